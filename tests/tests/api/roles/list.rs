//! `GET /api/v1/roles`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, custom, give, workspace};

on_both_databases! {
    the_built_in_ones_come_first;
    the_usage_is_counted;
    the_window_moves;
    anothers_is_not_found;
}

fn names(data: &Value) -> Vec<&str> {
    data["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect()
}

async fn the_built_in_ones_come_first(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    custom(&acme, "Zookeeper", &[]).await;
    custom(&acme, "analyst", &["datasource.query"]).await;
    custom(&globex, "Stranger", &[]).await;
    for (_, person) in acme.people() {
        let data = person.client.get(PATH).await.ok();
        assert_eq!(names(&data), ["Admin", "Developer", "Owner", "Viewer", "analyst", "Zookeeper"]);
        assert_eq!((&data["total_count"], &data["message"]), (&json!(6), &json!("Roles listed successfully")));
    }
    // The built-in ones show what they really give.
    let data = acme.viewer.client.get(PATH).await.ok();
    let shown =
        |name: &str| data["roles"].as_array().unwrap().iter().find(|role| role["name"] == name).unwrap().clone();
    let catalogue = acme.viewer.client.get(&format!("{PATH}/permissions")).await.ok();
    assert_eq!(json!(shown("Owner")["permissions"].as_array().unwrap().len()), catalogue["total_count"]);
    assert!(!data.to_string().contains("\"*\""));
    assert_eq!(shown("analyst")["permissions"], json!(["datasource.query"]));
}

async fn the_usage_is_counted(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["datasource.query"]).await;
    let lab = workspace(&acme, "Lab").await;
    let usage = async || {
        let data = acme.owner.client.get(PATH).await.ok();
        let found = data["roles"].as_array().unwrap().iter().find(|found| found["id"] == role).unwrap();
        found["usage_count"].as_i64().unwrap()
    };
    assert_eq!(usage().await, 0);
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    let end = server.platform.clock.now() + chrono::Duration::minutes(10);
    give(&acme.owner, role, json!({"user_id": acme.developer.id, "expires_at": end})).await;
    assert_eq!(usage().await, 3);
    let shown = acme.owner.client.get(&format!("{PATH}/{role}")).await.ok();
    assert_eq!(shown["role"]["member_count"], 2);
    server.clock().advance(chrono::Duration::minutes(10));
    assert_eq!(usage().await, 2);
}

async fn the_window_moves(server: &Server) {
    let acme = server.organization("Acme").await;
    let page = async |query: &str| acme.viewer.client.get(&format!("{PATH}?{query}")).await.ok();
    let data = page("skip=1&limit=2").await;
    assert_eq!((names(&data), &data["total_count"]), (vec!["Developer", "Owner"], &json!(4)));
    assert!(names(&page("skip=9").await).is_empty());
    for (query, field) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("skip=-1", "skip"), ("organization_id=x", "organization_id")]
    {
        acme.viewer.client.get(&format!("{PATH}?{query}")).await.invalid(field);
    }
}

async fn anothers_is_not_found(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let named = acme.viewer.client.get(&format!("{PATH}?organization_id={}", acme.id)).await.ok();
    assert_eq!(named["total_count"], 4);
    let path = format!("{PATH}?organization_id={}", globex.id);
    acme.owner.client.get(&path).await.error(404, "ORG_NOT_FOUND");
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}
