//! `POST` and `GET /api/v1/workspaces`: the same workspaces, over all organizations

use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    the_body_names_the_organization;
    it_lists_what_one_can_reach_over_all_organizations;
    a_session_can_stand_in_another_workspace;
    anothers_is_not_found;
}

const PATH: &str = "/api/v1/workspaces";

fn names(data: &Value) -> Vec<&str> {
    data["workspaces"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

async fn the_body_names_the_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Lab", "organization_id": acme.id});
    let data = acme.admin.client.post(PATH, body.clone()).await.created();
    assert_eq!(data["workspace"]["organization_id"], acme.id);
    acme.viewer.client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    acme.admin.client.post(PATH, body).await.error(409, "WORKSPACE_EXISTS");
    acme.admin.client.post(PATH, json!({"name": "Lab"})).await.invalid("organization_id");
    acme.admin.client.post(PATH, json!({"organization_id": acme.id})).await.invalid("name");
}

async fn it_lists_what_one_can_reach_over_all_organizations(server: &Server) {
    let acme = server.organization("Acme").await;
    server.organization("Globex").await;
    let second = json!({"name": "Second", "workspace_name": "Annex", "admin_email": acme.owner.email});
    acme.owner.client.post("/api/v1/organizations", second).await.created();
    let lab = json!({"name": "Lab", "organization_id": acme.id});
    acme.owner.client.post(PATH, lab).await.created();

    let data = acme.owner.client.get(PATH).await.ok();
    assert_eq!(names(&data), ["Annex", "Lab", "Main Workspace"]);
    // An Admin belongs to the default workspace only, until somebody adds them to another.
    assert_eq!(names(&acme.admin.client.get(PATH).await.ok()), ["Main Workspace"]);
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}

async fn a_session_can_stand_in_another_workspace(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = json!({"name": "Lab", "organization_id": acme.id});
    let lab = acme.owner.client.post(PATH, lab).await.created()["workspace"]["id"].as_i64().unwrap();
    let login = json!({"email": acme.owner.email, "password": PASSWORD, "workspace_id": lab});
    let data = server.anonymous().post("/api/v1/auth/login", login).await.ok();
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    client.upload("a.csv", b"a\n1\n".to_vec()).await.created();
    let files = client.get("/api/v1/storage/files").await.ok();
    assert_eq!(files["items"][0]["workspace_id"], lab);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let body = json!({"name": "Lab", "organization_id": globex.id});
    acme.owner.client.post(PATH, body).await.error(404, "ORG_NOT_FOUND");
}
