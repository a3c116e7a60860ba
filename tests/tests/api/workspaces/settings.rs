//! `GET` and `PUT /api/v1/workspaces/{workspace_id}/settings`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::PATH;
use crate::roles::custom;

on_both_databases! {
    settings_are_merged_and_say_where_they_come_from;
    each_change_is_counted_and_somebodys;
    a_role_must_be_one_that_the_caller_may_grant;
    what_is_held_in_the_default_workspace_alone_is_no_newcomers;
    a_role_that_is_gone_is_none;
    changes_at_once_are_all_kept;
    only_who_may_change_them_does;
    what_is_not_valid_is_named;
    anothers_is_not_found;
}

async fn settings_are_merged_and_say_where_they_come_from(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/settings", acme.workspace_id);
    let data = acme.viewer.client.get(&path).await.ok();
    assert_eq!(data["settings"], json!({"allow_public_access": false, "default_role_id": null}));
    assert_eq!(data["sources"], json!({"allow_public_access": "default", "default_role_id": "default"}));

    let viewer = acme.roles["Viewer"];
    let body = json!({"settings": {"default_role_id": viewer}});
    let data = acme.admin.client.put(&path, body).await.ok();
    assert_eq!(data["settings"], json!({"allow_public_access": false, "default_role_id": viewer}));
    let data = acme.admin.client.put(&path, json!({"settings": {"allow_public_access": true}})).await.ok();
    assert_eq!(data["settings"], json!({"allow_public_access": true, "default_role_id": viewer}));
    assert_eq!(data["sources"], json!({"allow_public_access": "workspace", "default_role_id": "workspace"}));
    // null sets back.
    let data = acme.admin.client.put(&path, json!({"settings": {"allow_public_access": null}})).await.ok();
    assert_eq!(data["settings"]["allow_public_access"], false);
    assert_eq!(data["sources"], json!({"allow_public_access": "default", "default_role_id": "workspace"}));
    assert_eq!(acme.viewer.client.get(&path).await.ok()["settings"], data["settings"]);

    let records = "SELECT details FROM audit_log WHERE action = 'workspace.update_settings' ORDER BY id";
    let records = server.rows(records).await;
    let last: Value = serde_json::from_str(records[2]["details"].as_str().unwrap()).unwrap();
    assert_eq!(records.len(), 3);
    assert_eq!(last, json!({"before": {"allow_public_access": true}, "after": {"allow_public_access": null}}));
}

async fn each_change_is_counted_and_somebodys(server: &Server) {
    let acme = server.organization("Acme").await;
    let workspace = format!("{PATH}/{}", acme.workspace_id);
    let path = format!("{workspace}/settings");
    let told = |data: &Value| (data["version"].as_i64().unwrap(), data["updated_by"].as_i64());
    let first = acme.viewer.client.get(&path).await.ok();
    assert_eq!((told(&first), &first["updated_at"]), ((0, None), &Value::Null));
    let open = |is_open: bool| json!({"settings": {"allow_public_access": is_open}});
    let data = acme.admin.client.put(&path, open(true)).await.ok();
    assert_eq!(told(&data), (1, Some(acme.admin.id)));
    assert!(data["updated_at"].is_string());
    // Nothing that changes them not, nor another name.
    acme.owner.client.put(&path, open(true)).await.ok();
    acme.owner.client.put(&workspace, json!({"name": "Another name"})).await.ok();
    assert_eq!(told(&acme.viewer.client.get(&path).await.ok()), (1, Some(acme.admin.id)));
    // By either operation, and where a default role is replaced.
    acme.owner.client.put(&workspace, open(false)).await.ok();
    assert_eq!(told(&acme.viewer.client.get(&path).await.ok()), (2, Some(acme.owner.id)));
    let role = custom(&acme, "Guest", &[]).await;
    acme.admin.client.put(&path, json!({"settings": {"default_role_id": role}})).await.ok();
    acme.owner.client.delete(&format!("/api/v1/roles/{role}")).await.ok();
    assert_eq!(told(&acme.viewer.client.get(&path).await.ok()), (4, Some(acme.owner.id)));
}

async fn a_role_must_be_one_that_the_caller_may_grant(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let path = format!("{PATH}/{}/settings", acme.workspace_id);
    let body = |role: i64| json!({"settings": {"default_role_id": role}});
    acme.owner.client.put(&path, body(987_654_321)).await.error(404, "ROLE_NOT_FOUND");
    acme.owner.client.put(&path, body(globex.roles["Viewer"])).await.error(404, "ROLE_NOT_FOUND");
    acme.admin.client.put(&path, body(acme.roles["Owner"])).await.error(403, "FORBIDDEN");
    acme.owner.client.put(&path, body(acme.roles["Owner"])).await.ok();
}

async fn what_is_held_in_the_default_workspace_alone_is_no_newcomers(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.let_in(acme.workspace_id, &acme.viewer, "Admin").await;
    let viewer = &acme.viewer.client;
    let path = format!("{PATH}/{}", acme.workspace_id);
    let default = |role: &str| json!({"settings": {"default_role_id": acme.roles[role]}});
    for role in ["Admin", "Developer"] {
        viewer.put(&format!("{path}/settings"), default(role)).await.error(403, "FORBIDDEN");
        viewer.put(&path, default(role)).await.error(403, "FORBIDDEN");
    }
    viewer.put(&format!("{path}/settings"), default("Viewer")).await.ok();
    let ada = json!({"email": "ada@new.example", "display_name": "Ada", "organization_id": acme.id});
    let id = acme.owner.client.post("/api/v1/users", ada).await.created()["user"]["id"].clone();
    let seen = acme.owner.client.get(&format!("/api/v1/users/{id}")).await.ok();
    assert_eq!(seen["user"]["memberships"][0]["roles"], json!(["Viewer"]));
    // What others have set there hinders nothing else.
    acme.owner.client.put(&format!("{path}/settings"), default("Developer")).await.ok();
    viewer.put(&path, json!({"name": "Another name"})).await.ok();
    // In another workspace it reaches no further than that.
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Admin").await;
    viewer.put(&format!("{PATH}/{lab}/settings"), default("Admin")).await.ok();
    // Nor does it become the newcomers' by way of whoever makes that workspace the default one.
    let role = custom(&acme, "Facilities", &["workspace.write"]).await;
    let give = json!({"user_id": acme.developer.id});
    acme.owner.client.post(&format!("/api/v1/roles/{role}/assignments"), give).await.created();
    let path = format!("/api/v1/organizations/{}/workspaces/{lab}/default", acme.id);
    acme.developer.client.post_empty(&path).await.error(403, "FORBIDDEN");
    acme.admin.client.post_empty(&path).await.ok();
}

async fn a_role_that_is_gone_is_none(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/settings", acme.workspace_id);
    server
        .execute(&format!(
            "INSERT INTO roles (organization_id, name, name_key, description, is_built_in, permissions, created_at) \
             VALUES ({}, 'Guest', 'guest', '', FALSE, '[]', CURRENT_TIMESTAMP)",
            acme.id
        ))
        .await;
    let guest = server.count("SELECT id FROM roles WHERE name_key = 'guest'").await;
    let data = acme.admin.client.put(&path, json!({"settings": {"default_role_id": guest}})).await.ok();
    assert_eq!(data["settings"]["default_role_id"], guest);
    server.execute(&format!("DELETE FROM roles WHERE id = {guest}")).await;
    let data = acme.admin.client.get(&path).await.ok();
    assert_eq!(
        (&data["settings"]["default_role_id"], &data["sources"]["default_role_id"]),
        (&Value::Null, &json!("default"))
    );
    let workspace = acme.admin.client.get(&format!("{PATH}/{}", acme.workspace_id)).await.ok();
    assert_eq!(workspace["workspace"]["settings"]["default_role_id"], Value::Null);
}

async fn changes_at_once_are_all_kept(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/settings", acme.workspace_id);
    let viewer = acme.roles["Viewer"];
    for round in 0..5 {
        let reset = json!({"settings": {"allow_public_access": null, "default_role_id": null}});
        acme.admin.client.put(&path, reset).await.ok();
        let (open, role) = tokio::join!(
            acme.admin.client.put(&path, json!({"settings": {"allow_public_access": true}})),
            acme.owner.client.put(&path, json!({"settings": {"default_role_id": viewer}})),
        );
        open.ok();
        role.ok();
        let data = acme.admin.client.get(&path).await.ok();
        assert_eq!(data["settings"], json!({"allow_public_access": true, "default_role_id": viewer}), "{round}");
    }
}

async fn only_who_may_change_them_does(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let path = format!("{PATH}/{lab}/settings");
    let body = json!({"settings": {"allow_public_access": true}});
    acme.viewer.client.get(&path).await.error(403, "FORBIDDEN");
    for person in [&acme.developer, &acme.viewer] {
        person.client.put(&path, body.clone()).await.error(403, "FORBIDDEN");
    }
    acme.let_in(lab, &acme.viewer, "Admin").await;
    acme.viewer.client.get(&path).await.ok();
    acme.viewer.client.put(&path, body.clone()).await.ok();
    let other = format!("{PATH}/{}/settings", acme.workspace_id);
    acme.viewer.client.put(&other, body).await.error(403, "FORBIDDEN");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/settings", acme.workspace_id);
    acme.owner.client.put(&path, json!({})).await.invalid("settings");
    acme.owner.client.put(&path, json!({"settings": {"color": "blue"}})).await.invalid("settings.color");
    let body = json!({"settings": {"allow_public_access": 1}});
    acme.owner.client.put(&path, body).await.invalid("settings.allow_public_access");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let path = format!("{PATH}/{}/settings", globex.workspace_id);
    acme.owner.client.get(&path).await.error(404, "WORKSPACE_NOT_FOUND");
    acme.owner.client.put(&path, json!({"settings": {}})).await.error(404, "WORKSPACE_NOT_FOUND");
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
    server.anonymous().put(&path, json!({"settings": {}})).await.error(401, "UNAUTHORIZED");
}
