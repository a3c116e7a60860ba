//! `POST /api/v1/data-sources/{data_source_id}/query` as a download: CSV, Arrow, Parquet.

use bytes::Bytes;
use datafusion::{
    arrow::{array::RecordBatch, ipc::reader::StreamReader},
    parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
};
use reqwest::{Method, Response};
use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::query::numbers;

on_both_databases! {
    csv_has_a_header_and_the_rows;
    arrow_and_parquet_hold_all_rows;
    policies_are_in_the_download_too;
    errors_stay_json;
    a_dry_run_stays_json;
    a_download_has_its_own_bounds with "[query]\nmax_rows = 3\ndownload_rows = 30000";
    a_download_that_a_policy_would_cut_is_refused;
    a_download_that_is_left_is_cancelled;
    a_download_that_is_not_read_keeps_nobody_waiting with "[query]\nconcurrent_per_organization = 1\ntimeout_seconds = 5";
}

const CSV: &str = "text/csv";
const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

async fn download(person: &Person, source: i64, accept: &str, body: Value) -> Response {
    let path = format!("/api/v1/data-sources/{source}/query");
    let request = person.client.request(Method::POST, &path).header("accept", accept).json(&body);
    request.send().await.unwrap()
}

async fn bytes_of(response: Response, media_type: &str) -> Bytes {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], media_type);
    response.bytes().await.unwrap()
}

fn rows_of(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

async fn csv_has_a_header_and_the_rows(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"query": "SELECT id, region, amount, ordered_on FROM orders ORDER BY id LIMIT 2"});
    let response = download(&acme.viewer, shop.orders, "text/csv, application/json;q=0.5", body).await;
    let id: i64 = response.headers()["x-query-id"].to_str().unwrap().parse().unwrap();
    assert!(response.headers()["content-disposition"].to_str().unwrap().contains(&format!("query-{id}.csv")));
    let text = bytes_of(response, CSV).await;
    assert_eq!(text, "id,region,amount,ordered_on\n1,EU,10.0,2025-01-01\n2,US,20.0,2025-01-16\n");
    let run = acme.viewer.client.get(&format!("/api/v1/queries/{id}")).await.ok();
    assert_eq!((run["status"].as_str(), run["row_count"].as_i64()), (Some("succeeded"), Some(2)));
}

async fn arrow_and_parquet_hold_all_rows(server: &Server) {
    let (acme, source) = numbers(server).await;
    let body = json!({"query": "SELECT n FROM numbers"});
    let arrow = bytes_of(download(&acme.viewer, source, ARROW, body.clone()).await, ARROW).await;
    let batches: Vec<_> = StreamReader::try_new(arrow.as_ref(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows_of(&batches), 50_000);
    let parquet = bytes_of(download(&acme.viewer, source, PARQUET, body.clone()).await, PARQUET).await;
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().build().unwrap();
    assert_eq!(rows_of(&reader.map(Result::unwrap).collect::<Vec<_>>()), 50_000);
    let csv = bytes_of(download(&acme.viewer, source, CSV, body).await, CSV).await;
    assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), 50_001);
    // Wanted rows are a limit here too.
    let body = json!({"query": "SELECT n FROM numbers", "max_rows": 20_000});
    let csv = bytes_of(download(&acme.viewer, source, CSV, body).await, CSV).await;
    assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), 20_001);
}

async fn policies_are_in_the_download_too(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let policy = json!({"name": "No e-mail", "type": "data_masking", "data_source_ids": [shop.crm],
        "rules": [{"rule_name": "null", "rule_type": "mask_column",
            "rule_config": {"table": "customers", "column": "email", "masking_function": "null_value"}}]});
    acme.owner.client.post("/api/v1/policies", policy).await.created();
    let body = json!({"query": "SELECT id, email FROM customers WHERE id = 1"});
    let text = bytes_of(download(&acme.viewer, shop.crm, CSV, body).await, CSV).await;
    assert_eq!(text, "id,email\n1,\n");
}

async fn errors_stay_json(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for (sql, status, code) in [
        ("SELECT nosuch FROM orders", 400, "INVALID_QUERY"),
        ("DROP TABLE orders", 400, "INVALID_QUERY"),
        // Found out when it runs, before the first rows have left.
        ("SELECT CAST(region AS BIGINT) FROM orders", 400, "INVALID_QUERY"),
    ] {
        let response = download(&acme.viewer, shop.orders, PARQUET, json!({"query": sql})).await;
        assert_eq!(response.status(), status, "{sql}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{sql}");
    }
}

async fn a_dry_run_stays_json(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"query": "SELECT id FROM orders", "dry_run": true});
    let answer: Value = download(&acme.viewer, shop.orders, CSV, body).await.json().await.unwrap();
    assert!(answer["data"]["governed_plan"].is_string(), "{answer}");
}

async fn a_download_has_its_own_bounds(server: &Server) {
    let (acme, source) = numbers(server).await;
    let body = json!({"query": "SELECT n FROM numbers"});
    let response = download(&acme.viewer, source, CSV, body.clone()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-max-rows"], "30000");
    // More rows than that break it off: what has arrived is no file that looks whole.
    let id: i64 = response.headers()["x-query-id"].to_str().unwrap().parse().unwrap();
    assert!(response.bytes().await.is_err());
    let run = acme.viewer.client.get(&format!("/api/v1/queries/{id}")).await.ok();
    assert_eq!((run["status"].as_str(), run["error_code"].as_str()), (Some("failed"), Some("QUERY_LIMIT_EXCEEDED")));
    // Who asks for so many has them.
    let most = json!({"query": "SELECT n FROM numbers", "max_rows": 30_000});
    let csv = bytes_of(download(&acme.viewer, source, CSV, most).await, CSV).await;
    assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), 30_001);
    assert_eq!(acme.viewer.query_with(source, body).await.ok()["row_count"], 3);
}

async fn a_download_that_a_policy_would_cut_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let rule = json!({"max_rows": 3});
    super::policy(&acme, shop.orders, "Viewer", "query_limit", "limit_query", rule).await;
    for most in [json!(null), json!(100)] {
        let body = json!({"query": "SELECT id FROM orders", "max_rows": most});
        let response = download(&acme.viewer, shop.orders, CSV, body).await;
        assert_eq!(response.status(), 429);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], "QUERY_LIMIT_EXCEEDED");
    }
    for (sql, most, lines) in [
        ("SELECT id FROM orders", json!(3), 4),
        ("SELECT id FROM orders", json!(2), 3),
        ("SELECT id FROM orders WHERE id <= 3", json!(null), 4),
    ] {
        let body = json!({"query": sql, "max_rows": most});
        let csv = bytes_of(download(&acme.viewer, shop.orders, CSV, body).await, CSV).await;
        assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), lines, "{sql} {most}");
    }
}

async fn a_download_that_is_left_is_cancelled(server: &Server) {
    let (acme, source) = numbers(server).await;
    // So many rows that the server cannot be done before the client is gone.
    let body = json!({"query": "SELECT a.n, b.n AS m FROM numbers a CROSS JOIN numbers b"});
    let mut response = download(&acme.viewer, source, CSV, body).await;
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let count = "SELECT count(*) FROM query_runs WHERE status = 'cancelled' AND row_count > 0";
    rivergen_tests::eventually("the download to be cancelled", async || (server.count(count).await == 1).then_some(()))
        .await;
}

/// One that nobody reads never comes to its end, and the only place of the organization is given on all the same.
async fn a_download_that_is_not_read_keeps_nobody_waiting(server: &Server) {
    let (acme, source) = numbers(server).await;
    let body = json!({"query": "SELECT a.n, b.n AS m FROM numbers a CROSS JOIN numbers b"});
    let unread = download(&acme.viewer, source, CSV, body).await;
    assert_eq!(unread.status(), 200);
    assert_eq!(acme.developer.value(source, "SELECT count(*) AS n FROM numbers").await, 50_000);
    drop(unread);
}
