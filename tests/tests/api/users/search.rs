//! `POST /api/v1/users/search`

use chrono::Duration;
use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    every_filter_narrows;
    they_are_ordered_as_asked;
    the_order_by_last_login_comes_from_an_index;
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
    assert_eq!(search(&acme, json!({"query": "%"})).await, Vec::<String>::new());
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
    // Who never signed in comes before everybody else, on either database.
    server.execute(&format!("UPDATE memberships SET last_login_at = NULL WHERE user_id = {}", acme.viewer.id)).await;
    assert_eq!(sorted("last_login_at", "asc").await, ["viewer", "admin", "developer", "owner"]);
    assert_eq!(sorted("last_login_at", "desc").await, ["owner", "developer", "admin", "viewer"]);
    let before = json!({"last_login_before": "2000-01-01T00:00:00Z"});
    assert_eq!(search(&acme, json!({"filters": before})).await, ["viewer"]);
    // To go on in a workspace of another organization is to sign in there.
    let globex = server.organization("Globex").await;
    let (member, other) = (acme.viewer.id, globex.id);
    let join =
        "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, email)";
    let row = "'active', 'created', '{}', joined_at, name_key, email FROM memberships WHERE";
    server.execute(&format!("{join} SELECT {other}, user_id, {row} user_id = {member}")).await;
    server.forget().await;
    acme.viewer.stand_in(globex.workspace_id).await;
    let last = "SELECT count(*) FROM memberships WHERE last_login_at IS NOT NULL AND user_id =";
    assert_eq!(server.count(&format!("{last} {member} AND organization_id = {other}")).await, 1);
    assert_eq!(server.count(&format!("{last} {member} AND organization_id = {}", acme.id)).await, 0);
}

async fn the_order_by_last_login_comes_from_an_index(server: &Server) {
    let acme = server.organization("Acme").await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)";
    let columns = "profile, user_metadata, is_system_admin, login_count, created_at, updated_at";
    for sql in [
        format!(
            "INSERT INTO users (display_name, {columns}) {numbers} SELECT 'Crowd ' || i, {columns} \
             FROM n CROSS JOIN users WHERE users.id = {}",
            acme.viewer.id
        ),
        format!(
            "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, last_login_at, \
             name_key, email) SELECT {}, id, 'active', 'created', '{{}}', created_at, \
             CASE WHEN id % 3 = 0 THEN NULL ELSE created_at END, lower(display_name), 'c' || id || '@crowd.example' \
             FROM users WHERE display_name LIKE 'Crowd %'",
            acme.id
        ),
    ] {
        server.execute(&sql).await;
    }
    server.analyze().await;
    for (order, nulls) in [("ASC", "FIRST"), ("DESC", "LAST")] {
        let page = format!(
            "SELECT user_id FROM memberships WHERE organization_id = {} \
             ORDER BY last_login_at {order} NULLS {nulls}, user_id {order} LIMIT 100 OFFSET 200",
            acme.id
        );
        let plan = server.plan(&page).await;
        assert!(plan.contains("memberships_last_login"), "{plan}");
        assert!(!plan.contains("Sort") && !plan.contains("B-TREE"), "{plan}");
    }
    let data = json!({"organization_id": acme.id, "sort_by": "last_login_at", "sort_order": "asc", "skip": 100});
    assert_eq!(acme.admin.client.post(PATH, data).await.ok()["users"][0]["last_login_at"], Value::Null);
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
