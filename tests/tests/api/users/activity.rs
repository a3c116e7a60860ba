//! `GET /api/v1/users/{user_id}/activity`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    what_somebody_did_and_what_was_done_to_them;
    an_administrator_sees_their_own_organization_alone;
    auditors_alone;
}

fn path(id: i64, query: &str) -> String {
    format!("/api/v1/users/{id}/activity?{query}")
}

fn actions(listed: &Value) -> Vec<&str> {
    listed["activities"].as_array().unwrap().iter().map(|activity| activity["action"].as_str().unwrap()).collect()
}

async fn what_somebody_did_and_what_was_done_to_them(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.client.put(&format!("/api/v1/users/{}", acme.viewer.id), json!({"display_name": "Vera"})).await.ok();
    let own = acme.viewer.client.get(&path(acme.viewer.id, "")).await.ok();
    assert_eq!(actions(&own)[0], "user.update");
    let update = &own["activities"][0];
    assert_eq!((update["actor_id"].as_i64(), &update["ip_address"]), (Some(acme.admin.id), &Value::Null));
    assert!(actions(&own).contains(&"auth.login"));
    let logins = acme.viewer.client.get(&path(acme.viewer.id, "action=auth.&limit=1")).await.ok();
    assert_eq!((actions(&logins), logins["total_count"].as_i64()), (vec!["auth.login"], Some(1)));
    assert_eq!(logins["activities"][0]["ip_address"], "127.0.0.1");
    let before = acme.viewer.client.get(&path(acme.viewer.id, "to=2000-01-01T00:00:00Z")).await.ok();
    assert_eq!(before["total_count"], 0);
}

async fn an_administrator_sees_their_own_organization_alone(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Lab", "organization_id": acme.id});
    acme.owner.client.post("/api/v1/workspaces", body).await.created();
    let seen = acme.admin.client.get(&path(acme.owner.id, "")).await.ok();
    assert!(actions(&seen).contains(&"workspace.create"), "{seen}");
    // A sign-in is the account's.
    assert!(!actions(&seen).contains(&"auth.login"), "{seen}");
}

async fn auditors_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    acme.developer.client.get(&path(acme.viewer.id, "")).await.error(403, "FORBIDDEN");
    acme.owner.client.get(&path(globex.viewer.id, "")).await.error(404, "USER_NOT_FOUND");
    acme.admin.client.get(&path(acme.viewer.id, "limit=0")).await.invalid("limit");
}
