//! `PUT /api/v1/users/{user_id}/status` and `POST /api/v1/users/bulk-status`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_suspended_member_is_out_at_once_and_comes_back_with_their_role;
    the_rules_hold;
    the_last_owner_stays_under_concurrency;
    many_at_once_each_for_itself;
    what_fails_on_our_side_is_told_with_the_others;
}

fn path(id: i64) -> String {
    format!("/api/v1/users/{id}/status")
}

async fn a_suspended_member_is_out_at_once_and_comes_back_with_their_role(server: &Server) {
    let acme = server.organization("Acme").await;
    let token = json!({"name": "a program", "scopes": ["read"], "organization_id": acme.id});
    let token = acme.viewer.client.post("/api/v1/auth/tokens", token).await.created();
    let program = acme.viewer.client.with_token(token["token"].as_str().unwrap());
    program.get("/api/v1/data-sources").await.ok();
    let suspend = json!({"status": "suspended", "reason": "left the project"});
    let answer = acme.admin.client.put(&path(acme.viewer.id), suspend.clone()).await.ok();
    assert_eq!(
        (answer["user"]["id"].as_i64(), answer["user"]["status"].as_str()),
        (Some(acme.viewer.id), Some("suspended"))
    );
    let since = answer["user"]["status_updated_at"].clone();
    acme.viewer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    program.get("/api/v1/data-sources").await.error(401, "UNAUTHORIZED");
    // The account is not closed, and the organization is none of its own.
    let viewer = server.sign_in(&acme.viewer.email).await;
    assert_eq!(viewer.client.get("/api/v1/organizations").await.ok()["total_count"], 0);
    viewer.client.get("/api/v1/data-sources").await.error(403, "FORBIDDEN");

    // The same again changes nothing.
    assert_eq!(acme.admin.client.put(&path(acme.viewer.id), suspend).await.ok()["user"]["status_updated_at"], since);
    assert_eq!(server.audited("user.update_status", "success").await, 1);
    acme.admin.client.put(&path(acme.viewer.id), json!({"status": "active"})).await.ok();
    let viewer = server.sign_in(&acme.viewer.email).await;
    viewer.client.get("/api/v1/data-sources").await.ok();
    // No token comes back.
    program.get("/api/v1/data-sources").await.error(401, "UNAUTHORIZED");
}

async fn the_rules_hold(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let suspend = json!({"status": "suspended"});
    acme.developer.client.put(&path(acme.viewer.id), suspend.clone()).await.error(403, "FORBIDDEN");
    acme.admin.client.put(&path(acme.owner.id), suspend.clone()).await.error(403, "FORBIDDEN");
    acme.admin.client.put(&path(acme.admin.id), suspend.clone()).await.error(409, "CANNOT_CHANGE_SELF");
    acme.owner.client.put(&path(globex.viewer.id), suspend.clone()).await.error(404, "USER_NOT_FOUND");
    acme.owner.client.put(&path(acme.viewer.id), json!({"status": "deleted"})).await.invalid("status");
    acme.owner.client.put(&path(acme.viewer.id), json!({})).await.invalid("status");
}

async fn the_last_owner_stays_under_concurrency(server: &Server) {
    let acme = server.organization("Acme").await;
    let (owner, role) = (acme.roles["Owner"], acme.roles["Admin"]);
    // A second owner.
    server.execute(&format!("UPDATE role_assignments SET role_id = {owner} WHERE role_id = {role}")).await;
    server.forget().await;
    let suspend = json!({"status": "suspended"});
    let calls = (0..50).map(|index| {
        let (client, other) = match index % 2 {
            0 => (&acme.owner.client, acme.admin.id),
            _ => (&acme.admin.client, acme.owner.id),
        };
        let suspend = suspend.clone();
        async move { client.put(&path(other), suspend).await }
    });
    for answer in futures::future::join_all(calls).await {
        assert!(answer.status.as_u16() < 500, "{}", answer.body);
    }
    let owners = format!(
        "SELECT count(*) FROM memberships m JOIN role_assignments a ON a.user_id = m.user_id \
         WHERE m.status = 'active' AND a.role_id = {owner}"
    );
    assert_eq!(server.count(&owners).await, 1);
}

async fn many_at_once_each_for_itself(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let bulk = "/api/v1/users/bulk-status";
    let ids = [acme.viewer.id, globex.viewer.id, acme.owner.id, acme.admin.id, acme.developer.id];
    let body = json!({"organization_id": acme.id, "user_ids": ids, "status": "suspended", "reason": "audit"});
    let answer = acme.admin.client.post(bulk, body).await.ok();
    let codes: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| result["code"].clone()).collect();
    assert_eq!(
        codes,
        [json!(null), json!("USER_NOT_FOUND"), json!("FORBIDDEN"), json!("CANNOT_CHANGE_SELF"), json!(null)]
    );
    assert_eq!(
        (answer["succeeded"].as_i64(), answer["failed"].as_i64(), answer["total_count"].as_i64()),
        (Some(2), Some(3), Some(5))
    );
    acme.viewer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let body = |ids: serde_json::Value| json!({"organization_id": acme.id, "user_ids": ids, "status": "active"});
    acme.admin.client.post(bulk, body(json!([]))).await.invalid("user_ids");
    acme.admin.client.post(bulk, body(json!([1, 2, 1]))).await.invalid("user_ids[2]");
    let foreign = json!({"organization_id": globex.id, "user_ids": [1], "status": "active"});
    acme.admin.client.post(bulk, foreign).await.error(404, "ORG_NOT_FOUND");
}

async fn what_fails_on_our_side_is_told_with_the_others(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.owner.client.put(&path(acme.viewer.id), json!({"status": "suspended"})).await.ok();
    // The database takes no second one of these two who is suspended.
    let pair = format!("{}, {}", acme.viewer.id, acme.developer.id);
    server.execute(&format!("CREATE UNIQUE INDEX one_of_two ON memberships (status) WHERE user_id IN ({pair})")).await;
    let ids = [acme.admin.id, acme.developer.id, acme.owner.id];
    let body = json!({"organization_id": acme.id, "user_ids": ids, "status": "suspended"});
    let answer = acme.owner.client.post("/api/v1/users/bulk-status", body).await.ok();
    let codes: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| result["code"].clone()).collect();
    assert_eq!(codes, [json!(null), json!("INTERNAL_ERROR"), json!("CANNOT_CHANGE_SELF")]);
    assert_eq!((answer["succeeded"].as_i64(), answer["failed"].as_i64()), (Some(1), Some(2)));
    acme.admin.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    acme.developer.client.get("/api/v1/data-sources").await.ok();
}
