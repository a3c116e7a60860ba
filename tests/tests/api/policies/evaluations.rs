//! `GET /api/v1/policies/{policy_id}/evaluations`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    each_run_of_a_governed_query_is_recorded;
    a_denial_is_recorded_too;
    it_filters_by_person_query_and_time;
    anothers_is_not_found;
    who_may_not_is_refused;
}

async fn each_run_of_a_governed_query_is_recorded(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let made = acme.govern(&shop).await;
    let first = acme.viewer.query(shop.crm, "SELECT name FROM customers").await;
    acme.developer.query(shop.crm, "SELECT name FROM customers").await;
    // Nobody's policy: no evaluation.
    acme.admin.query(shop.crm, "SELECT name FROM customers").await;

    let path = format!("/api/v1/policies/{}/evaluations", made[1]);
    let data = acme.admin.client.get(&path).await.ok();
    assert_eq!(data["pagination"]["total_items"], 2);
    let of_viewer = &data["items"][1];
    assert_eq!(
        (of_viewer["user_id"].as_i64(), of_viewer["query_id"].as_i64()),
        (Some(acme.viewer.id), first["query_id"].as_i64())
    );
    assert_eq!(of_viewer["data_source_id"], shop.crm);
    assert_eq!(of_viewer["action_taken"], "filtered_rows");
    assert_eq!(of_viewer["evaluation_details"]["rows_returned"], 2);
    assert_eq!(of_viewer["ip_address"], "127.0.0.1");
    assert_eq!(of_viewer["metadata"]["query_status"], "succeeded");

    let masks = format!("/api/v1/policies/{}/evaluations", made[3]);
    acme.viewer.query(shop.crm, "SELECT email FROM customers").await;
    let data = acme.admin.client.get(&masks).await.ok();
    assert_eq!(data["items"][0]["action_taken"], "masked_columns", "{data}");
}

async fn a_denial_is_recorded_too(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"name": "closed", "type": "access_control", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Viewer"]],
        "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": {"table": "customers"}}]});
    let id = acme.admin.client.post("/api/v1/policies", body).await.created()["id"].clone();
    acme.viewer.query_with(shop.crm, json!({"query": "SELECT 1 FROM customers"})).await.error(403, "POLICY_DENIED");
    let data = acme.admin.client.get(&format!("/api/v1/policies/{id}/evaluations")).await.ok();
    assert_eq!(data["pagination"]["total_items"], 1);
    assert_eq!(data["items"][0]["evaluation_result"], "denied", "{data}");
    assert_eq!(data["items"][0]["metadata"]["error_code"], "POLICY_DENIED");
    let runs = server.rows("SELECT status, error_code FROM query_runs").await;
    assert_eq!((runs[0]["status"].as_str(), runs[0]["error_code"].as_str()), (Some("denied"), Some("POLICY_DENIED")));
}

async fn it_filters_by_person_query_and_time(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let made = acme.govern(&shop).await;
    let first = acme.viewer.query(shop.crm, "SELECT 1 FROM customers").await;
    server.clock().advance(chrono::Duration::minutes(30));
    acme.developer.query(shop.crm, "SELECT 1 FROM customers").await;
    let path = format!("/api/v1/policies/{}/evaluations", made[1]);
    let total = async |query: &str| {
        acme.admin.client.get(&format!("{path}?{query}")).await.ok()["pagination"]["total_items"].as_i64().unwrap()
    };
    assert_eq!(total("").await, 2);
    assert_eq!(total(&format!("user_id={}", acme.viewer.id)).await, 1);
    assert_eq!(total(&format!("query_id={}", first["query_id"])).await, 1);
    let between =
        (server.platform.clock.now() - chrono::Duration::minutes(10)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    assert_eq!(total(&format!("start_date={between}")).await, 1);
    assert_eq!(total(&format!("end_date={between}")).await, 1);
    acme.admin.client.get(&format!("{path}?start_date=yesterday")).await.invalid("start_date");
    let turned = format!("{path}?start_date={between}&end_date=2020-01-01T00:00:00Z");
    acme.admin.client.get(&turned).await.error(400, "BAD_REQUEST");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let body = json!({"name": "p", "type": "query_limit"});
    let id = acme.admin.client.post("/api/v1/policies", body).await.created()["id"].clone();
    globex.owner.client.get(&format!("/api/v1/policies/{id}/evaluations")).await.error(404, "NOT_FOUND");
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.get("/api/v1/policies/1/evaluations").await.error(403, "FORBIDDEN");
    server.anonymous().get("/api/v1/policies/1/evaluations").await.error(401, "UNAUTHORIZED");
}
