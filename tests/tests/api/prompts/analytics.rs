//! `GET /api/v1/prompts/{prompt_id}/analytics` and `GET /api/v1/prompts/analytics/query-analytics`.

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{PATH, save};

on_both_databases! {
    a_question_has_numbers;
    all_queries_have_numbers;
    everybody_sees_their_own_numbers;
    periods_are_checked;
}

const ALL: &str = "/api/v1/prompts/analytics/query-analytics";

async fn a_question_has_numbers(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = save(&acme.viewer, &shop, "How many orders?", "All").await;
    acme.developer.client.post_empty(&format!("{PATH}/{}/execute", run["prompt_id"])).await.ok();
    let path = format!("{PATH}/{}/analytics", run["prompt_id"]);
    let numbers = acme.viewer.client.get(&path).await.ok();
    assert_eq!(
        (numbers["execution_count"].as_i64(), numbers["success_count"].as_i64()),
        (Some(2), Some(2)),
        "{numbers}"
    );
    assert_eq!((numbers["failure_count"].as_i64(), numbers["success_rate"].as_f64()), (Some(0), Some(1.0)));
    let used = json!([{"data_source_id": shop.orders, "data_source_name": "Orders", "count": 2}]);
    assert_eq!((&numbers["most_used_data_sources"], &numbers["most_used_schemas"]), (&used, &json!([])));
    for time in ["avg_total_duration_ms", "avg_ai_response_time_ms", "avg_query_execution_time_ms"] {
        assert!(numbers[time].as_i64().is_some_and(|ms| ms >= 0), "{numbers}");
    }
    let none = acme.viewer.client.get(&format!("{path}?period_start=2999-01-01T00:00:00%2B02:00")).await.ok();
    assert_eq!((none["execution_count"].as_i64(), none["success_rate"].as_f64()), (Some(0), Some(0.0)));
    acme.viewer.client.get(&format!("{path}?period_end=yesterday")).await.error(400, "BAD_REQUEST");
}

async fn all_queries_have_numbers(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for _ in 0..3 {
        acme.viewer.query(shop.orders, "SELECT count(*) FROM orders").await;
    }
    let body = json!({"query": "SELECT nothing FROM orders"});
    acme.viewer.query_with(shop.orders, body).await.error(400, "INVALID_QUERY");
    let numbers = acme.admin.client.get(&format!("{ALL}?metric_type=query_count")).await.ok();
    let kpis = &numbers["kpis"];
    assert_eq!((kpis["total_queries"].as_i64(), kpis["successful_queries"].as_i64()), (Some(4), Some(3)), "{numbers}");
    assert_eq!((kpis["success_rate"].as_f64(), kpis["data_sources_used"].as_i64()), (Some(0.75), Some(1)));
    assert_eq!(kpis["data_source_types"], json!(["parquet"]));
    assert_eq!(numbers["status_distribution"], json!({"success": 0.75, "failed": 0.25, "running": 0.0}));
    assert_eq!(numbers["time_series"].as_array().map(Vec::len), Some(1), "{numbers}");
    assert_eq!(numbers["time_series"][0]["value"], 4.0);
    let hours = numbers["peak_usage_times"].as_array().unwrap();
    assert_eq!((hours.len(), hours.iter().filter_map(|n| n.as_i64()).sum::<i64>()), (24, 4));
    let most = &numbers["most_used_queries"][0];
    assert_eq!(
        (most["query_preview"].as_str(), most["executions"].as_i64()),
        (Some("SELECT count(*) FROM orders"), Some(3))
    );
    assert!(most["last_run"].is_string());
    let source = &numbers["data_source_performance"][0];
    assert_eq!((source["data_source_name"].as_str(), source["queries"].as_i64()), (Some("Orders"), Some(4)));
    assert_eq!((source["status"].as_str(), numbers["scope"].as_str()), (Some("healthy"), Some("organization")));
    // A week later there are none, and there were some before.
    server.clock().advance(chrono::Duration::days(8));
    let later = server.sign_in(&acme.admin.email).await.client.get(ALL).await.ok();
    assert_eq!(
        (later["kpis"]["total_queries"].as_i64(), later["kpis"]["total_queries_trend"].as_f64()),
        (Some(0), Some(-1.0))
    );
}

async fn everybody_sees_their_own_numbers(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.viewer.query(shop.orders, "SELECT 1").await;
    acme.developer.query(shop.orders, "SELECT 2").await;
    let own = acme.viewer.client.get(ALL).await.ok();
    assert_eq!((own["kpis"]["total_queries"].as_i64(), own["scope"].as_str()), (Some(1), Some("own")), "{own}");
    assert!(!own.to_string().contains("SELECT 2"));
    assert_eq!(server.organization("Globex").await.owner.client.get(ALL).await.ok()["kpis"]["total_queries"], 0);
}

async fn periods_are_checked(server: &Server) {
    let admin = server.organization("Acme").await.admin.client;
    let numbers =
        admin.get(&format!("{ALL}?period=custom&start_date=2020-01-01&end_date=2020-02-01T00:00:00Z")).await.ok();
    assert_eq!(numbers["period"]["start_date"], "2020-01-01T00:00:00Z", "{numbers}");
    for query in [
        "period=custom",
        "period=custom&start_date=2020-01-01",
        "period=custom&start_date=2020-02-01&end_date=2020-01-01",
        "period=custom&start_date=1990-01-01&end_date=2020-01-01",
        "period=custom&start_date=soon&end_date=later",
    ] {
        admin.get(&format!("{ALL}?{query}")).await.error(400, "BAD_REQUEST");
    }
    admin.get(&format!("{ALL}?period=last_90_days")).await.invalid("period");
    admin.get(&format!("{ALL}?metric_type=happiness")).await.invalid("metric_type");
    server.anonymous().get(ALL).await.error(401, "UNAUTHORIZED");
}
