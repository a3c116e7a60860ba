//! `GET /api/v1/workspaces/{workspace_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::PATH;

on_both_databases! {
    it_is_read_by_those_who_are_in_it_or_may_read_all;
    the_default_one_is_read_by_every_member;
    a_token_reads_within_its_scopes;
    anothers_is_not_found;
}

async fn it_is_read_by_those_who_are_in_it_or_may_read_all(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Data Lab").await;
    let path = format!("{PATH}/{lab}");
    for person in [&acme.owner, &acme.admin, &acme.developer] {
        let workspace = person.client.get(&path).await.ok()["workspace"].take();
        assert_eq!(workspace["name"], "Data Lab");
        assert_eq!(workspace["slug"], "data-lab");
        assert_eq!(workspace["organization_id"], acme.id);
        assert_eq!(workspace["is_default"], false);
        assert_eq!(workspace["settings"], json!({"allow_public_access": false, "default_role_id": null}));
        assert_eq!((&workspace["description"], &workspace["source_workspace_id"]), (&Value::Null, &Value::Null));
        assert!(workspace["created_at"].is_string() && workspace["updated_at"].is_string());
    }
    acme.viewer.client.get(&path).await.error(403, "FORBIDDEN");
    acme.let_in(lab, &acme.viewer, "Viewer").await;
    acme.viewer.client.get(&path).await.ok();
}

async fn the_default_one_is_read_by_every_member(server: &Server) {
    let acme = server.organization("Acme").await;
    for (_, person) in acme.people() {
        let data = person.client.get(&format!("{PATH}/{}", acme.workspace_id)).await.ok();
        assert_eq!(data["workspace"]["is_default"], true);
    }
}

async fn a_token_reads_within_its_scopes(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}", acme.workspace_id);
    for (scope, status) in [("read", 200), ("workspace.read", 200), ("policy.read", 403)] {
        let token = json!({"name": scope, "scopes": [scope]});
        let token = acme.viewer.client.post("/api/v1/auth/tokens", token).await.created();
        let program = server.anonymous().with_token(token["token"].as_str().unwrap());
        assert_eq!(program.get(&path).await.status.as_u16(), status, "{scope}");
    }
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let hidden = acme.owner.client.get(&format!("{PATH}/{}", globex.workspace_id)).await;
    let mut hidden = hidden.error(404, "WORKSPACE_NOT_FOUND");
    let missing = acme.owner.client.get(&format!("{PATH}/987654321")).await;
    let mut missing = missing.error(404, "WORKSPACE_NOT_FOUND");
    // What is another's and what does not exist cannot be told apart.
    assert_ne!(hidden["request_id"].take(), missing["request_id"].take());
    assert_eq!(hidden, missing);
    server.anonymous().get(&format!("{PATH}/{}", acme.workspace_id)).await.error(401, "UNAUTHORIZED");
}
