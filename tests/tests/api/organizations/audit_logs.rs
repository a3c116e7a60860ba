//! `GET /api/v1/organizations/{org_id}/audit-logs`

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    the_newest_come_first_page_by_page;
    they_are_found_by_actor_action_object_and_time;
    readers_of_the_log_alone_and_of_their_own;
}

fn path(acme: &Organization, query: &str) -> String {
    format!("/api/v1/organizations/{}/audit-logs?{query}", acme.id)
}

fn entries(answer: &Value) -> &[Value] {
    answer["entries"].as_array().unwrap()
}

async fn the_newest_come_first_page_by_page(server: &Server) {
    let acme = server.organization("Acme").await;
    for name in ["A", "B", "C", "D", "E"] {
        let body = json!({"name": name, "organization_id": acme.id});
        acme.owner.client.post("/api/v1/workspaces", body).await.created();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = acme.admin.client.get(&path(&acme, &format!("action=workspace.create&limit=2{cursor}"))).await.ok();
        seen.extend(entries(&page).iter().map(|entry| entry["id"].as_i64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    assert_eq!(server.audited("audit.read", "success").await, 3);
    acme.admin.client.get(&path(&acme, "limit=501")).await.invalid("limit");
    acme.admin.client.get(&path(&acme, "cursor=x")).await.invalid("cursor");
    acme.admin.client.get(&path(&acme, "from=yesterday")).await.invalid("from");
}

async fn they_are_found_by_actor_action_object_and_time(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Lab", "organization_id": acme.id});
    let workspace = acme.owner.client.post("/api/v1/workspaces", body).await.created()["workspace"]["id"].clone();
    let count = async |query: String| entries(&acme.admin.client.get(&path(&acme, &query)).await.ok()).len();
    assert_eq!(count(format!("actor_id={}&action=workspace.", acme.owner.id)).await, 1);
    assert_eq!(count(format!("actor_id={}&action=workspace.", acme.viewer.id)).await, 0);
    assert_eq!(count(format!("target_type=workspace&target={workspace}")).await, 1);
    assert_eq!(count("action=workspace.create&to=2000-01-01T00:00:00Z".to_owned()).await, 0);
    assert_eq!(count("action=workspace.create&from=2000-01-01T00:00:00Z".to_owned()).await, 1);
    let found = acme.admin.client.get(&path(&acme, "action=workspace.create")).await.ok();
    let entry = &entries(&found)[0];
    assert_eq!((entry["actor_id"].as_i64(), entry["actor_type"].as_str()), (Some(acme.owner.id), Some("user")));
    assert_eq!((entry["ip"].as_str(), entry["outcome"].as_str()), (Some("127.0.0.1"), Some("success")));
    assert!(entry["at"].as_str().unwrap().ends_with('Z') && entry["details"].is_object());
}

async fn readers_of_the_log_alone_and_of_their_own(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    acme.developer.client.get(&path(&acme, "")).await.error(403, "FORBIDDEN");
    globex.owner.client.get(&path(&acme, "")).await.error(404, "ORG_NOT_FOUND");
    let body = json!({"name": "Secret", "organization_id": globex.id});
    globex.owner.client.post("/api/v1/workspaces", body).await.created();
    let own = acme.admin.client.get(&path(&acme, "action=workspace.create")).await.ok();
    assert!(entries(&own).is_empty());
}
