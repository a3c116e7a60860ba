//! `POST /api/v1/roles/bulk-assign`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, assignment_of, custom, give, may, suspend, workspace};

on_both_databases! {
    each_operation_goes_by_its_own_rules;
    an_operation_is_measured_against_what_is_held_by_then;
    five_hundred_at_once;
    what_is_not_valid_is_named;
    wrong_roles_and_strangers_do_nothing;
}

async fn each_operation_goes_by_its_own_rules(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let analyst = custom(&acme, "Analyst", &["policy.read"]).await;
    let lab = workspace(&acme, "Lab").await;
    let (viewer, developer) = (acme.viewer.id, acme.developer.id);
    let path = format!("{PATH}/bulk-assign");
    let operation = |action: &str, role: i64, user: i64, place: Option<i64>| json!({"action": action, "role_id": role, "user_id": user, "workspace_id": place});
    let tried = [
        (operation("assign", analyst, viewer, None), None),
        (operation("assign", analyst, viewer, None), Some("ROLE_ALREADY_ASSIGNED")),
        (operation("assign", analyst, viewer, Some(lab)), None),
        (operation("assign", acme.roles["Owner"], viewer, None), Some("FORBIDDEN")),
        (operation("revoke", acme.roles["Owner"], acme.owner.id, None), Some("FORBIDDEN")),
        (operation("assign", globex.roles["Viewer"], viewer, None), Some("ROLE_NOT_FOUND")),
        (operation("assign", analyst, globex.viewer.id, None), Some("USER_NOT_FOUND")),
        (operation("assign", analyst, developer, Some(globex.workspace_id)), Some("WORKSPACE_NOT_FOUND")),
        (operation("revoke", analyst, developer, None), Some("ASSIGNMENT_NOT_FOUND")),
        (operation("revoke", analyst, viewer, None), None),
        (operation("revoke", analyst, viewer, None), Some("ASSIGNMENT_NOT_FOUND")),
        (operation("revoke", analyst, viewer, Some(lab)), None),
    ];
    let operations: Vec<Value> = tried.iter().map(|(operation, _)| operation.clone()).collect();
    let body = json!({"organization_id": acme.id, "operations": operations});
    let data = acme.admin.client.post(&path, body).await.ok();
    for (index, (_, code)) in tried.iter().enumerate() {
        let result = &data["results"][index];
        assert_eq!((&result["index"], result["success"].as_bool()), (&json!(index), Some(code.is_none())), "{result}");
        assert_eq!(result["code"].as_str(), *code, "{result}");
        assert!(!result["message"].as_str().unwrap().is_empty());
    }
    assert_eq!((&data["total_count"], &data["succeeded"], &data["failed"]), (&json!(12), &json!(4), &json!(8)));
    assert!(data["message"].is_string());
    assert_eq!(server.roles_given().await, 3);
    assert_eq!(server.audited("role.revoke", "success").await, 2);
    assert!(!may(&acme.viewer, "policy.read").await);

    suspend(server, &acme.viewer).await;
    let body = json!({"organization_id": acme.id, "operations": [operation("assign", analyst, viewer, None)]});
    let data = acme.admin.client.post(&path, body).await.ok();
    assert_eq!(data["results"][0]["code"], "CONFLICT");
}

async fn an_operation_is_measured_against_what_is_held_by_then(server: &Server) {
    let acme = server.organization("Acme").await;
    let admin = acme.roles["Admin"];
    let body = json!({"organization_id": acme.id, "operations": [
        {"action": "revoke", "role_id": admin, "user_id": acme.admin.id},
        {"action": "assign", "role_id": acme.roles["Developer"], "user_id": acme.viewer.id}]});
    let data = acme.admin.client.post(&format!("{PATH}/bulk-assign"), body).await.ok();
    assert_eq!((&data["results"][0]["success"], &data["results"][1]["code"]), (&json!(true), &json!("FORBIDDEN")));
    // The last owner stays, also in a list.
    let owner = json!({"action": "revoke", "role_id": acme.roles["Owner"], "user_id": acme.owner.id});
    let body = json!({"organization_id": acme.id, "operations": [owner]});
    let data = acme.owner.client.post(&format!("{PATH}/bulk-assign"), body).await.ok();
    assert_eq!(data["results"][0]["code"], "LAST_OWNER");
    assignment_of(server, &acme.owner, acme.roles["Owner"]).await;
}

async fn five_hundred_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &[]).await;
    let operation = |action: &str| json!({"action": action, "role_id": role, "user_id": acme.viewer.id});
    let turns = |count: usize| -> Vec<Value> { (0..count).map(|i| operation(["assign", "revoke"][i % 2])).collect() };
    let path = format!("{PATH}/bulk-assign");
    let body = json!({"organization_id": acme.id, "operations": turns(500)});
    let data = acme.owner.client.post(&path, body).await.ok();
    assert_eq!((&data["succeeded"], &data["failed"]), (&json!(500), &json!(0)));
    let body = json!({"organization_id": acme.id, "operations": turns(501)});
    acme.owner.client.post(&path, body).await.invalid("operations");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/bulk-assign");
    for (operations, field) in [
        (json!([]), "operations"),
        (json!([{"action": "give", "role_id": 1, "user_id": 1}]), "operations[0].action"),
        (json!([{"action": "assign", "user_id": 1}]), "operations[0].role_id"),
        (json!([{"action": "assign", "role_id": 1}]), "operations[0].user_id"),
    ] {
        let body = json!({"organization_id": acme.id, "operations": operations});
        acme.owner.client.post(&path, body).await.invalid(field);
    }
    acme.owner.client.post(&path, json!({"operations": []})).await.invalid("organization_id");
}

async fn wrong_roles_and_strangers_do_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("{PATH}/bulk-assign");
    let operation = json!({"action": "assign", "role_id": acme.roles["Viewer"], "user_id": acme.developer.id});
    let body = json!({"organization_id": acme.id, "operations": [operation]});
    // One that administers a workspace only, too.
    give(&acme.owner, acme.roles["Admin"], json!({"user_id": acme.viewer.id, "workspace_id": acme.workspace_id})).await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path, body.clone()).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.post(&path, body.clone()).await.error(404, "ORG_NOT_FOUND");
    server.anonymous().post(&path, body).await.error(401, "UNAUTHORIZED");
}
