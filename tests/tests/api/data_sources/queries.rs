//! `/api/v1/queries`: the history of queries, and their cancellation.

use rivergen_tests::{Backend, Server, eventually, on_both_databases};
use serde_json::json;

use super::query::{numbers, start_endless};

on_both_databases! {
    the_history_is_ones_own;
    a_running_query_is_cancelled_by_its_id;
    only_ones_own_are_cancelled;
    the_record_is_kept_for_its_time with "[query]\nhistory_days = 31";
    a_long_history_is_not_counted_to_its_end;
}

async fn the_history_is_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.viewer.query(shop.orders, "SELECT count(*) FROM orders").await;
    acme.viewer
        .query_with(shop.orders, json!({"query": "SELECT nothing FROM orders"}))
        .await
        .error(400, "INVALID_QUERY");
    acme.admin.query(shop.orders, "SELECT 1").await;

    let list = acme.viewer.client.get("/api/v1/queries").await.ok();
    assert_eq!(list["pagination"]["total_items"], 2);
    let (newest, first) = (&list["items"][0], &list["items"][1]);
    assert_eq!((newest["status"].as_str(), newest["error_code"].as_str()), (Some("failed"), Some("INVALID_QUERY")));
    assert_eq!(first["query"], "SELECT count(*) FROM orders");
    assert_eq!((first["status"].as_str(), first["kind"].as_str()), (Some("succeeded"), Some("sql")));
    assert_eq!((first["row_count"].as_i64(), first["user_id"].as_i64()), (Some(1), Some(acme.viewer.id)));
    assert_eq!(first["data_source_ids"], json!([shop.orders]));
    assert!(first["duration_ms"].is_i64() && first["started_at"].is_string());

    let failed = acme.viewer.client.get("/api/v1/queries?status=failed").await.ok();
    assert_eq!(failed["pagination"]["total_items"], 1);
    let later = acme.viewer.client.get("/api/v1/queries?from=2999-01-01T00:00:00Z").await.ok();
    assert_eq!(later["pagination"]["total_items"], 0);
    acme.viewer.client.get("/api/v1/queries?status=nonsense").await.invalid("status");

    let path = format!("/api/v1/queries/{}", first["query_id"]);
    assert_eq!(&acme.viewer.client.get(&path).await.ok(), first);
    acme.developer.client.get(&path).await.error(404, "NOT_FOUND");
    let others = format!("/api/v1/queries?user_id={}", acme.viewer.id);
    acme.developer.client.get(&others).await.error(403, "FORBIDDEN");
    // Who reads the audit log reads this too.
    assert_eq!(&acme.admin.client.get(&path).await.ok(), first);
    assert_eq!(acme.admin.client.get(&others).await.ok()["pagination"]["total_items"], 2);
}

async fn a_running_query_is_cancelled_by_its_id(server: &Server) {
    let (acme, source) = numbers(server).await;
    let running = start_endless(server, &acme.viewer, source).await;
    let list = acme.viewer.client.get("/api/v1/queries?status=running").await.ok();
    let id = list["items"][0]["query_id"].as_i64().unwrap();
    let path = format!("/api/v1/queries/{id}");
    let answer = acme.viewer.client.post_empty(&format!("{path}/cancel")).await.ok();
    assert_eq!(answer["query_id"], id);
    running.await.unwrap().error(409, "QUERY_CANCELLED");
    let run = acme.viewer.client.get(&path).await.ok();
    assert_eq!((run["status"].as_str(), run["error_code"].as_str()), (Some("cancelled"), Some("QUERY_CANCELLED")));
    acme.viewer.client.post_empty(&format!("{path}/cancel")).await.error(409, "CONFLICT");
    let recorded = "SELECT count(*) FROM audit_log WHERE action = 'query.cancel'";
    assert_eq!(server.count(recorded).await, 1);
}

async fn only_ones_own_are_cancelled(server: &Server) {
    let (acme, source) = numbers(server).await;
    let running = start_endless(server, &acme.viewer, source).await;
    let list = acme.viewer.client.get("/api/v1/queries").await.ok();
    let path = format!("/api/v1/queries/{}/cancel", list["items"][0]["query_id"]);
    acme.developer.client.post_empty(&path).await.error(404, "NOT_FOUND");
    server.organization("Globex").await.owner.client.post_empty(&path).await.error(404, "NOT_FOUND");
    assert!(!running.is_finished());
    // The Admin may.
    acme.admin.client.post_empty(&path).await.ok();
    running.await.unwrap().error(409, "QUERY_CANCELLED");
}

/// On PostgreSQL the node that is asked need not be the one that runs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_cancelled_on_the_node_that_runs_it() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let (acme, source) = numbers(&first).await;
    let running = start_endless(&first, &acme.viewer, source).await;
    let there = second.anonymous().with_token(acme.viewer.client.token());
    let list = there.get("/api/v1/queries?status=running").await.ok();
    there.post_empty(&format!("/api/v1/queries/{}/cancel", list["items"][0]["query_id"])).await.ok();
    running.await.unwrap().error(409, "QUERY_CANCELLED");
    second.stop().await;
    first.stop().await;
}

async fn the_record_is_kept_for_its_time(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    acme.viewer.query(shop.crm, "SELECT count(*) FROM customers").await;
    server.clock().advance(chrono::Duration::days(20));
    let viewer = server.sign_in(&acme.viewer.email).await;
    viewer.query(shop.crm, "SELECT max(id) FROM customers").await;
    let runs = "SELECT count(*) FROM query_runs";
    let evaluations = "SELECT count(*) FROM policy_evaluations";
    server.run_due_jobs().await;
    let all = server.count(evaluations).await;
    assert_eq!((server.count(runs).await, all), (2, 4));
    server.clock().advance(chrono::Duration::days(12));
    eventually("the older one to go", async || (server.count(runs).await == 1).then_some(())).await;
    assert_eq!(server.count(evaluations).await, 2);
    assert_eq!(server.count("SELECT count(*) FROM query_runs WHERE sql_text LIKE '%max%'").await, 1);
    // What was counted by day stays.
    assert!(server.count("SELECT count(*) FROM policy_evaluation_days").await > 2);
}

async fn a_long_history_is_not_counted_to_its_end(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let first = acme.viewer.query(shop.orders, "SELECT 1").await;
    let columns = "organization_id, user_id, kind, sql_text, data_source_ids, status, started_at";
    let copies = format!(
        "INSERT INTO query_runs ({columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10030) \
         SELECT {columns} FROM query_runs CROSS JOIN n WHERE id = {}",
        first["query_id"]
    );
    server.execute(&copies).await;
    let list = acme.viewer.client.get("/api/v1/queries?page_size=20").await.ok();
    assert_eq!(list["pagination"]["total_items"], 10_000);
    // What lies beyond is read all the same.
    let beyond = acme.viewer.client.get("/api/v1/queries?page=501&page_size=20").await.ok();
    assert_eq!(beyond["items"].as_array().unwrap().len(), 20);
}
