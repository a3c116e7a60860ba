//! `POST /api/v1/workspaces`: in the organization that the body names

use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

use super::PATH;

on_both_databases! {
    the_body_names_the_organization;
    settings_may_come_with_it;
    a_session_can_stand_in_another_workspace;
    anothers_is_not_found;
}

async fn the_body_names_the_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Lab", "organization_id": acme.id});
    let data = acme.admin.client.post(PATH, body.clone()).await.created();
    assert_eq!(data["workspace"]["organization_id"], acme.id);
    assert_eq!(data["workspace"]["settings"], json!({"allow_public_access": false, "default_role_id": null}));
    assert_eq!(data["workspace"]["description"], Value::Null);
    acme.viewer.client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    acme.admin.client.post(PATH, body).await.error(409, "WORKSPACE_EXISTS");
    acme.admin.client.post(PATH, json!({"name": "Lab"})).await.invalid("organization_id");
    acme.admin.client.post(PATH, json!({"organization_id": acme.id})).await.invalid("name");
}

async fn settings_may_come_with_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let body = |settings: Value| json!({"name": "Lab", "organization_id": acme.id, "settings": settings});
    acme.admin.client.post(PATH, body(json!({"color": "blue"}))).await.invalid("settings.color");
    acme.admin
        .client
        .post(PATH, body(json!({"allow_public_access": "yes"})))
        .await
        .invalid("settings.allow_public_access");
    let foreign = json!({"default_role_id": globex.roles["Viewer"]});
    acme.admin.client.post(PATH, body(foreign)).await.error(404, "ROLE_NOT_FOUND");
    // An Admin is no Owner, and makes nobody one.
    let above = json!({"default_role_id": acme.roles["Owner"]});
    acme.admin.client.post(PATH, body(above)).await.error(403, "FORBIDDEN");
    assert_eq!(server.count("SELECT count(*) FROM workspaces").await, 2);

    let settings = json!({"allow_public_access": true, "default_role_id": acme.roles["Viewer"]});
    let data = acme.admin.client.post(PATH, body(settings.clone())).await.created();
    assert_eq!(data["workspace"]["settings"], settings);
}

async fn a_session_can_stand_in_another_workspace(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
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
