//! `POST /api/v1/workspaces/{workspace_id}/clone`

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

use super::PATH;

on_both_databases! {
    settings_are_copied_and_members_are_not;
    members_are_copied_where_it_is_asked_for;
    a_workspace_admin_may_copy_theirs;
    nobody_copies_what_is_more_than_they_hold;
    what_is_not_valid_is_named;
    anothers_is_not_found;
}

/// Name and role of everybody in a workspace, as the Owner sees them.
async fn members(acme: &Organization, workspace: &Value) -> Vec<(i64, String)> {
    let path = format!("/api/v1/organizations/{}/workspaces/{workspace}/members", acme.id);
    let data = acme.owner.client.get(&path).await.ok();
    let rows = data["members"].as_array().unwrap().iter();
    let mut members: Vec<_> =
        rows.map(|row| (row["user_id"].as_i64().unwrap(), row["role"]["name"].as_str().unwrap().to_owned())).collect();
    members.sort();
    members
}

async fn settings_are_copied_and_members_are_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Viewer").await;
    let viewer = acme.roles["Viewer"];
    let body = json!({"description": "Tests", "settings": {"allow_public_access": true, "default_role_id": viewer}});
    let path = format!("/api/v1/organizations/{}/workspaces/{lab}", acme.id);
    acme.owner.client.patch(&path, body).await.ok();

    let path = format!("{PATH}/{lab}/clone");
    let copy = acme.admin.client.post(&path, json!({"name": "Lab 2"})).await.ok()["workspace"].take();
    assert_eq!((copy["name"].as_str(), copy["slug"].as_str()), (Some("Lab 2"), Some("lab-2")));
    assert_eq!((copy["source_workspace_id"].as_i64(), copy["is_default"].as_bool()), (Some(lab), Some(false)));
    assert_eq!(copy["organization_id"], acme.id);
    assert_eq!(copy["description"], "Tests");
    // That the original is open to the public is not copied.
    assert_eq!(copy["settings"], json!({"allow_public_access": false, "default_role_id": viewer}));
    assert_eq!(members(&acme, &copy["id"]).await, [(acme.admin.id, "Admin".to_owned())]);
    assert_eq!(server.audited("workspace.clone", "success").await, 1);

    let body = json!({"name": "Lab 3", "copy_settings": false});
    let copy = acme.admin.client.post(&path, body).await.ok()["workspace"].take();
    assert_eq!((&copy["description"], &copy["settings"]["default_role_id"]), (&Value::Null, &Value::Null));
    acme.admin.client.post(&path, json!({"name": "lab 3"})).await.error(409, "WORKSPACE_EXISTS");
}

async fn members_are_copied_where_it_is_asked_for(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Developer").await;
    acme.let_in(lab, &acme.admin, "Viewer").await;
    let body = json!({"name": "Lab 2", "copy_members": true});
    let copy = acme.admin.client.post(&format!("{PATH}/{lab}/clone"), body).await.ok()["workspace"].take();
    // Whoever makes it is its Admin, whatever they are in the original.
    let mut expected = vec![
        (acme.owner.id, "Admin".to_owned()),
        (acme.admin.id, "Admin".to_owned()),
        (acme.viewer.id, "Developer".to_owned()),
    ];
    expected.sort();
    assert_eq!(members(&acme, &copy["id"]).await, expected);
    // In force at once.
    let viewer = acme.viewer.stand_in(copy["id"].as_i64().unwrap()).await;
    viewer.client.upload("a.csv", b"a\n1\n".to_vec()).await.created();
}

async fn a_workspace_admin_may_copy_theirs(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let path = format!("{PATH}/{lab}/clone");
    let body = json!({"name": "Lab 2", "copy_members": true});
    acme.developer.client.post(&path, body.clone()).await.error(403, "FORBIDDEN");
    acme.viewer.client.post(&path, body.clone()).await.error(403, "FORBIDDEN");
    acme.let_in(lab, &acme.viewer, "Admin").await;
    acme.viewer.client.post(&path, body).await.ok();
    let other = format!("{PATH}/{}/clone", acme.workspace_id);
    acme.viewer.client.post(&other, json!({"name": "Main 2"})).await.error(403, "FORBIDDEN");
}

async fn nobody_copies_what_is_more_than_they_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.developer, "Owner").await;
    let path = format!("{PATH}/{lab}/clone");
    let body = json!({"name": "Lab 2", "copy_members": true});
    acme.admin.client.post(&path, body.clone()).await.error(403, "FORBIDDEN");
    acme.admin.client.post(&path, json!({"name": "Lab 2"})).await.ok();
    let settings = json!({"settings": {"default_role_id": acme.roles["Owner"]}});
    acme.owner.client.put(&format!("{PATH}/{lab}/settings"), settings).await.ok();
    acme.admin.client.post(&path, json!({"name": "Lab 3"})).await.error(403, "FORBIDDEN");
    acme.admin.client.post(&path, json!({"name": "Lab 3", "copy_settings": false})).await.ok();
    // Nothing is left of those that were refused.
    assert_eq!(server.count("SELECT count(*) FROM workspaces").await, 4);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/clone", acme.workspace_id);
    acme.owner.client.post(&path, json!({})).await.invalid("name");
    for name in ["", "—"] {
        acme.owner.client.post(&path, json!({"name": name})).await.invalid("name");
    }
    acme.owner.client.post(&path, json!({"name": "x", "copy_members": 1})).await.invalid("copy_members");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let path = format!("{PATH}/{}/clone", globex.workspace_id);
    acme.owner.client.post(&path, json!({"name": "Mine"})).await.error(404, "WORKSPACE_NOT_FOUND");
    server.anonymous().post(&path, json!({"name": "Mine"})).await.error(401, "UNAUTHORIZED");
}
