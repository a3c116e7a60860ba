//! `POST /api/v1/users/search`

use chrono::Duration;
use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    every_filter_narrows;
    they_are_ordered_as_asked;
    what_is_wrong_is_named;
    readers_of_users_alone;
}

const PATH: &str = "/api/v1/users/search";

async fn search(acme: &Organization, mut body: Value) -> Vec<String> {
    body["organization_id"] = json!(acme.id);
    let found = acme.admin.client.post(PATH, body).await.ok();
    let users = found["users"].as_array().unwrap().clone();
    assert_eq!(found["total_count"].as_u64(), Some(users.len() as u64));
    users.iter().map(|user| user["email"].as_str().unwrap().split('@').next().unwrap().to_owned()).collect()
}

async fn every_filter_narrows(server: &Server) {
    let acme = server.organization("Acme").await;
    let started = server.platform.clock.now();
    acme.developer.authenticator_app(server).await;
    let body = json!({"name": "Lab", "organization_id": acme.id});
    let lab = acme.owner.client.post("/api/v1/workspaces", body).await.created()["workspace"]["id"].clone();
    server.clock().advance(Duration::minutes(50));
    server.sign_in(&acme.viewer.email).await;
    let roles = [acme.roles["Viewer"], acme.roles["Developer"]];
    let later = (started + Duration::minutes(30)).to_rfc3339();
    for (filters, expected) in [
        (json!({}), vec!["admin", "developer", "owner", "viewer"]),
        (json!({"status": "suspended"}), vec![]),
        (json!({"role_ids": roles}), vec!["developer", "viewer"]),
        (json!({"workspace_ids": [lab]}), vec!["owner"]),
        (json!({"mfa_enabled": true}), vec!["developer"]),
        (json!({"mfa_enabled": false, "role_ids": roles}), vec!["viewer"]),
        (json!({"auth_source": "provisioned"}), vec!["admin", "developer", "owner", "viewer"]),
        (json!({"auth_source": "import"}), vec![]),
        (json!({"created_after": later}), vec![]),
        (json!({"created_before": later}), vec!["admin", "developer", "owner", "viewer"]),
        (json!({"last_login_before": later}), vec!["admin", "developer", "owner"]),
    ] {
        assert_eq!(search(&acme, json!({"filters": filters})).await, expected, "{filters}");
    }
    assert_eq!(search(&acme, json!({"query": "vie", "filters": {"status": "active"}})).await, ["viewer"]);
}

async fn they_are_ordered_as_asked(server: &Server) {
    let acme = server.organization("Acme").await;
    server.clock().advance(Duration::minutes(1));
    server.sign_in(&acme.owner.email).await;
    let sorted = async |by: &str, order: &str| search(&acme, json!({"sort_by": by, "sort_order": order})).await;
    assert_eq!(sorted("email", "desc").await, ["viewer", "owner", "developer", "admin"]);
    assert_eq!(sorted("display_name", "asc").await, ["admin", "developer", "owner", "viewer"]);
    assert_eq!(sorted("created_at", "asc").await[0], "owner");
    assert_eq!(sorted("last_login_at", "desc").await[0], "owner");
    assert_eq!(sorted("last_login_at", "asc").await[3], "owner");
}

async fn what_is_wrong_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    for (key, value, field) in [
        ("sort_by", json!("password"), "sort_by"),
        ("sort_order", json!("up"), "sort_order"),
        ("limit", json!(0), "limit"),
        ("filters", json!({"password": "x"}), "filters.password"),
        ("filters", json!({"created_after": "soon"}), "filters.created_after"),
        ("order", json!(1), "order"),
    ] {
        let mut body = json!({"organization_id": acme.id});
        body[key] = value;
        client.post(PATH, body).await.invalid(field);
    }
    client.post(PATH, json!({})).await.invalid("organization_id");
}

async fn readers_of_users_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let body = json!({"organization_id": acme.id});
    acme.viewer.client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    globex.owner.client.post(PATH, body).await.error(404, "ORG_NOT_FOUND");
}
