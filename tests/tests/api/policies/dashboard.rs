//! `GET /api/v1/policies/dashboard`

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    it_counts_policies_by_type;
    it_counts_what_policies_did;
    it_reads_no_evaluation;
    it_knows_only_ones_own;
    who_may_not_is_refused;
}

const PATH: &str = "/api/v1/policies/dashboard";

async fn it_counts_policies_by_type(server: &Server) {
    let acme = server.organization("Acme").await;
    let admin = &acme.admin.client;
    for (kind, is_active, workspace) in [
        ("row_level_security", true, None),
        ("row_level_security", false, Some(acme.workspace_id)),
        ("query_limit", false, None),
        ("access_control", true, Some(acme.workspace_id)),
    ] {
        let body = json!({"name": "p", "type": kind, "is_active": is_active, "workspace_id": workspace});
        admin.post("/api/v1/policies", body).await.created();
    }
    let deleted = admin.post("/api/v1/policies", json!({"name": "p", "type": "data_masking"})).await.created();
    admin.delete(&format!("/api/v1/policies/{}", deleted["id"])).await.ok();
    let told = async |query: &str| {
        let data = admin.get(&format!("{PATH}{query}")).await.ok();
        ["row_level_security", "data_masking", "query_limits", "access_control"].map(|key| {
            let of = |field: &str| data[key][field].as_i64().unwrap();
            assert!(data[key]["name"].is_string() && data[key]["description"].is_string(), "{data}");
            assert_eq!(data[key]["is_active"], of("active_policies") > 0, "{data}");
            (of("total_policies"), of("active_policies"))
        })
    };
    assert_eq!(told("").await, [(2, 1), (0, 0), (1, 0), (1, 1)]);
    assert_eq!(told(&format!("?workspace_id={}", acme.workspace_id)).await, [(1, 0), (0, 0), (0, 0), (1, 1)]);
    let data = admin.get(PATH).await.ok();
    assert_eq!((&data["query_limits"]["type"], data.as_object().unwrap().len()), (&json!("query_limit"), 4));
    admin.get(&format!("{PATH}?days=0")).await.invalid("days");
}

async fn it_counts_what_policies_did(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let body = json!({"name": "closed", "type": "access_control", "data_source_ids": [shop.products],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": {}}]});
    acme.admin.client.post("/api/v1/policies", body).await.created();
    for _ in 0..2 {
        acme.viewer.query(shop.crm, "SELECT name FROM customers").await;
    }
    let denied = json!({"query": "SELECT 1 FROM products"});
    acme.viewer.query_with(shop.products, denied).await.error(403, "POLICY_DENIED");
    server.clock().advance(Duration::days(3));
    let viewer = server.sign_in(&acme.viewer.email).await;
    let admin = server.sign_in(&acme.admin.email).await;
    viewer.query(shop.orders, "SELECT 1 FROM orders").await;

    let told = async |query: &str| {
        let data = admin.client.get(&format!("{PATH}{query}")).await.ok();
        // The overview is right where it says the same as the records themselves.
        ["row_level_security", "data_masking", "access_control"].map(|key| {
            let counts = &data[key]["evaluations"];
            assert_eq!(counts["last_evaluated_at"].is_null(), counts["total"] == 0, "{data}");
            ["total", "allowed", "modified", "denied"].map(|field| counts[field].as_i64().unwrap())
        })
    };
    assert_eq!(told("").await, [[3, 0, 3, 0], [2, 0, 2, 0], [1, 0, 0, 1]]);
    assert_eq!(told("?days=3").await, [[1, 0, 1, 0], [0; 4], [0; 4]]);
    assert_eq!(told("?days=4").await, [[3, 0, 3, 0], [2, 0, 2, 0], [1, 0, 0, 1]]);
    let records = server.count("SELECT count(*) FROM policy_evaluations").await;
    let days = server.count("SELECT CAST(sum(evaluations) AS bigint) FROM policy_evaluation_days").await;
    assert_eq!((records, days), (6, 6));
}

/// Of a million evaluations it reads as many rows as there are policies, days and results.
async fn it_reads_no_evaluation(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    acme.viewer.query(shop.crm, "SELECT name FROM customers").await;
    let total = async || {
        let data = acme.admin.client.get(PATH).await.ok();
        data["row_level_security"]["evaluations"]["total"].as_i64().unwrap()
    };
    assert_eq!(total().await, 1);
    server.execute("UPDATE policy_evaluation_days SET evaluations = 1000000").await;
    server.execute("DELETE FROM policy_evaluations").await;
    assert_eq!(total().await, 1_000_000);
    acme.viewer.query(shop.crm, "SELECT name FROM customers").await;
    assert_eq!(total().await, 1_000_001);
}

async fn it_knows_only_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    acme.viewer.query(shop.crm, "SELECT name FROM customers").await;
    let data = globex.owner.client.get(PATH).await.ok();
    for summary in data.as_object().unwrap().values() {
        assert_eq!((&summary["total_policies"], &summary["evaluations"]["total"]), (&json!(0), &json!(0)));
        assert_eq!(summary["evaluations"]["last_evaluated_at"], Value::Null);
    }
    let theirs = format!("{PATH}?workspace_id={}", acme.workspace_id);
    globex.owner.client.get(&theirs).await.error(404, "NOT_FOUND");
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.developer.client.get(PATH).await.ok();
    acme.viewer.client.get(PATH).await.error(403, "FORBIDDEN");
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}
