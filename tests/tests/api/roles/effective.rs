//! `GET /api/v1/roles/users/{user_id}/permissions` and `POST /api/v1/roles/check`

use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, custom, give, suspend, workspace};

on_both_databases! {
    each_permission_tells_where_it_comes_from;
    a_question_is_answered_in_the_order_asked;
    others_are_for_who_may_read_roles;
    strangers_are_not_found;
    what_is_not_valid_is_named;
    who_is_suspended_may_nothing;
}

fn path(of: &Person) -> String {
    format!("{PATH}/users/{}/permissions", of.id)
}

/// Sources and scope of one permission.
fn source<'a>(data: &'a Value, name: &str) -> Option<(&'a Value, &'a str)> {
    let found = data["permissions"].as_array().unwrap().iter().find(|permission| permission["name"] == name)?;
    Some((&found["source_role_ids"], found["scope"].as_str().unwrap()))
}

async fn each_permission_tells_where_it_comes_from(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read", "datasource.query"]).await;
    let lab = workspace(&acme, "Lab").await;
    let viewer = acme.roles["Viewer"];
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;

    let data = acme.viewer.client.get(&path(&acme.viewer)).await.ok();
    assert_eq!((&data["user_id"], &data["organization_id"]), (&json!(acme.viewer.id), &json!(acme.id)));
    assert_eq!((&data["workspace_id"], data["roles"].as_array().unwrap().len()), (&Value::Null, 1));
    assert_eq!(source(&data, "datasource.query"), Some((&json!([viewer]), "organization")));
    assert_eq!(source(&data, "policy.read"), None);

    let there = format!("{}?workspace_id={lab}&organization_id={}", path(&acme.viewer), acme.id);
    let data = acme.viewer.client.get(&there).await.ok();
    assert_eq!((&data["workspace_id"], &data["roles"][1]["role_name"]), (&json!(lab), &json!("Analyst")));
    assert_eq!(source(&data, "datasource.query"), Some((&json!([viewer, role]), "organization")));
    assert_eq!(source(&data, "policy.read"), Some((&json!([role]), "workspace")));
    // A role in both places is one source.
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    let data = acme.viewer.client.get(&there).await.ok();
    assert_eq!(source(&data, "policy.read"), Some((&json!([role]), "organization")));
}

async fn a_question_is_answered_in_the_order_asked(server: &Server) {
    let acme = server.organization("Acme").await;
    let check = format!("{PATH}/check");
    let body = json!({"permissions": ["policy.write", "datasource.query", "policy.write"]});
    let data = acme.viewer.client.post(&check, body).await.ok();
    let (no, yes) = (
        json!({"permission": "policy.write", "allowed": false, "source_role_id": null, "through_public_access": false,
            "denied_by_policy": false}),
        json!({"permission": "datasource.query", "allowed": true, "source_role_id": acme.roles["Viewer"],
            "through_public_access": false, "denied_by_policy": false}),
    );
    assert_eq!((&data["results"], &data["allowed"]), (&json!([no, yes, no]), &json!(false)));
    let body =
        json!({"permissions": ["datasource.query"], "organization_id": acme.id, "workspace_id": acme.workspace_id});
    assert_eq!(acme.viewer.client.post(&check, body).await.ok()["allowed"], true);
    let body = json!({"permissions": ["organization.delete"], "user_id": acme.owner.id});
    assert_eq!(acme.developer.client.post(&check, body).await.ok()["allowed"], true);
}

async fn others_are_for_who_may_read_roles(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"permissions": ["policy.read"], "user_id": acme.owner.id});
    acme.viewer.client.post(&format!("{PATH}/check"), body.clone()).await.error(403, "FORBIDDEN");
    acme.viewer.client.get(&path(&acme.owner)).await.error(403, "FORBIDDEN");
    acme.developer.client.post(&format!("{PATH}/check"), body.clone()).await.ok();
    acme.developer.client.get(&path(&acme.owner)).await.ok();
    server.anonymous().post(&format!("{PATH}/check"), body).await.error(401, "UNAUTHORIZED");
    server.anonymous().get(&path(&acme.owner)).await.error(401, "UNAUTHORIZED");
}

async fn strangers_are_not_found(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let check = format!("{PATH}/check");
    for stranger in [globex.viewer.id, 987_654_321] {
        acme.owner.client.get(&format!("{PATH}/users/{stranger}/permissions")).await.error(404, "USER_NOT_FOUND");
        let body = json!({"permissions": ["policy.read"], "user_id": stranger});
        acme.owner.client.post(&check, body).await.error(404, "USER_NOT_FOUND");
    }
    for (field, foreign, code) in
        [("organization_id", globex.id, "ORG_NOT_FOUND"), ("workspace_id", globex.workspace_id, "WORKSPACE_NOT_FOUND")]
    {
        let mut body = json!({"permissions": ["policy.read"]});
        body[field] = json!(foreign);
        acme.owner.client.post(&check, body).await.error(404, code);
        acme.owner.client.get(&format!("{}?{field}={foreign}", path(&acme.owner))).await.error(404, code);
    }
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let check = format!("{PATH}/check");
    for (permissions, field) in [
        (json!([]), "permissions"),
        (json!(vec!["role.read"; 101]), "permissions"),
        (json!(["role.read", "*"]), "permissions[1]"),
        (json!(["role.fly"]), "permissions[0]"),
        (Value::Null, "permissions"),
    ] {
        acme.owner.client.post(&check, json!({"permissions": permissions})).await.invalid(field);
    }
    acme.owner.client.post(&check, json!({"permissions": vec!["role.read"; 100]})).await.ok();
    acme.owner.client.get(&format!("{}?workspace_id=x", path(&acme.owner))).await.invalid("workspace_id");
}

async fn who_is_suspended_may_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    suspend(server, &acme.developer).await;
    let data = acme.owner.client.get(&path(&acme.developer)).await.ok();
    assert_eq!((&data["roles"], &data["permissions"]), (&json!([]), &json!([])));
    let body = json!({"permissions": ["datasource.read"], "user_id": acme.developer.id});
    assert_eq!(acme.owner.client.post(&format!("{PATH}/check"), body).await.ok()["allowed"], false);
}
