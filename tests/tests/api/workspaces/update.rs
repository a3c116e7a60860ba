//! `PUT /api/v1/workspaces/{workspace_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::PATH;

on_both_databases! {
    what_is_left_out_stays;
    names_are_unique_in_the_organization;
    only_who_may_change_it_does;
    what_is_not_valid_is_named;
    anothers_is_not_found;
}

async fn what_is_left_out_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}", acme.workspace("Lab").await);
    let viewer = acme.roles["Viewer"];
    let body = json!({"settings": {"default_role_id": viewer}});
    acme.admin.client.put(&path, body).await.ok();
    let workspace = acme.admin.client.put(&path, json!({"name": "  Research "})).await.ok()["workspace"].take();
    assert_eq!((workspace["name"].as_str(), workspace["slug"].as_str()), (Some("Research"), Some("lab")));
    assert_eq!(workspace["settings"], json!({"allow_public_access": false, "default_role_id": viewer}));
    assert_eq!(acme.admin.client.get(&path).await.ok()["workspace"], workspace);
    // What changes nothing is no change.
    acme.admin.client.put(&path, json!({"name": "Research", "settings": {}})).await.ok();
    acme.admin.client.put(&path, json!({})).await.ok();

    let records = server.rows("SELECT details FROM audit_log WHERE action = 'workspace.update' ORDER BY id").await;
    let details =
        |index: usize| -> Value { serde_json::from_str(records[index]["details"].as_str().unwrap()).unwrap() };
    assert_eq!(records.len(), 2);
    assert_eq!(details(0), json!({"before": {"default_role_id": null}, "after": {"default_role_id": viewer}}));
    assert_eq!(details(1), json!({"before": {"name": "Lab"}, "after": {"name": "Research"}}));
}

async fn names_are_unique_in_the_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}", acme.workspace("Lab").await);
    acme.owner.client.put(&path, json!({"name": "MAIN workspace"})).await.error(409, "WORKSPACE_EXISTS");
    // One's own name in other letters is free.
    acme.owner.client.put(&path, json!({"name": "LAB"})).await.ok();
}

async fn only_who_may_change_it_does(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let path = format!("{PATH}/{lab}");
    let body = json!({"name": "Research"});
    acme.let_in(lab, &acme.developer, "Developer").await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.put(&path, body.clone()).await.error(403, "FORBIDDEN");
    }
    acme.let_in(lab, &acme.viewer, "Admin").await;
    acme.viewer.client.put(&path, body.clone()).await.ok();
    let other = format!("{PATH}/{}", acme.workspace_id);
    acme.viewer.client.put(&other, body).await.error(403, "FORBIDDEN");
    // A token of the Admin's that may only read.
    let token = json!({"name": "reader", "scopes": ["read"]});
    let token = acme.admin.client.post("/api/v1/auth/tokens", token).await.created();
    let program = server.anonymous().with_token(token["token"].as_str().unwrap());
    program.put(&path, json!({"name": "Mine"})).await.error(403, "FORBIDDEN");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}", acme.workspace_id);
    for name in [json!(""), json!("—"), json!(7), json!("x".repeat(256))] {
        acme.owner.client.put(&path, json!({"name": name})).await.invalid("name");
    }
    acme.owner.client.put(&path, json!({"settings": {"color": 1}})).await.invalid("settings.color");
    let nobodys = json!({"settings": {"default_role_id": 987_654_321}});
    acme.owner.client.put(&path, nobodys).await.error(404, "ROLE_NOT_FOUND");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let path = format!("{PATH}/{}", globex.workspace_id);
    acme.owner.client.put(&path, json!({"name": "Mine"})).await.error(404, "WORKSPACE_NOT_FOUND");
    server.anonymous().put(&path, json!({"name": "Mine"})).await.error(401, "UNAUTHORIZED");
}
