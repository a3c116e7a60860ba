//! `POST /api/v1/data-sources/{data_source_id}/query`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    rows_columns_and_a_record_come_back;
    parameters_are_bound;
    the_answer_is_cut_at_the_wanted_rows;
    one_read_only_statement_is_run;
    what_does_not_plan_is_told;
    further_sources_are_joined_by_their_names;
    sheets_of_a_workbook_are_tables;
    what_is_not_valid_is_named;
    a_source_is_ones_own_or_not_found;
    the_operators_limits_hold with "[query]\nmax_rows = 5\nmax_bytes = 2000";
    only_so_many_run_at_a_time with "[query]\nconcurrent_per_organization = 1\nwaiting_seconds = 0";
    further_ones_wait_for_a_place with "[query]\nconcurrent_per_organization = 1\nwaiting_seconds = 600";
    a_query_ends_at_its_time_limit;
    a_client_that_goes_away_cancels_its_query;
    an_endless_query_leaves_everybody_else_to_their_work with "[query]\nthreads = 1";
}

/// Far more pairs than can be counted in a test.
pub(super) const ENDLESS: &str =
    "SELECT sum(a.n % 7 + b.n % 5) FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c";

async fn rows_columns_and_a_record_come_back(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let data =
        acme.viewer.query(shop.orders, "SELECT id, region, amount, ordered_on FROM orders ORDER BY id LIMIT 2").await;
    assert_eq!(data["data_source_id"], shop.orders);
    let names: Vec<&str> = data["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["id", "region", "amount", "ordered_on"]);
    assert_eq!(data["rows"], json!([[1, "EU", 10.0, "2025-01-01"], [2, "US", 20.0, "2025-01-16"]]));
    assert_eq!((data["row_count"].as_i64(), data["truncated"].as_bool()), (Some(2), Some(false)));
    assert!(data["governed_plan"].is_null() && data["execution_time_ms"].is_i64());
    assert_eq!(data["policies_applied"], json!([]));

    let run = format!(
        "SELECT user_id, kind, sql_text, status, row_count, ip FROM query_runs WHERE id = {}",
        data["query_id"]
    );
    let run = &server.rows(&run).await[0];
    assert_eq!((run["user_id"].as_i64(), run["row_count"].as_i64()), (Some(acme.viewer.id), Some(2)));
    assert_eq!((run["kind"].as_str(), run["status"].as_str()), (Some("sql"), Some("succeeded")));
    assert!(run["sql_text"].as_str().unwrap().starts_with("SELECT id, region"));
    assert_eq!(run["ip"], "127.0.0.1");
}

async fn parameters_are_bound(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = |region: &str| {
        json!({"query": "SELECT count(*) FROM orders WHERE region = $region AND id > $least",
            "parameters": {"region": region, "least": 3}})
    };
    let data = acme.viewer.query_with(shop.orders, body("EU")).await.ok();
    assert_eq!(data["rows"], json!([[3]]));
    let data = acme.viewer.query_with(shop.orders, body("EU' OR '1' = '1")).await.ok();
    assert_eq!(data["rows"], json!([[0]]));
    let missing = json!({"query": "SELECT count(*) FROM orders WHERE region = $region"});
    acme.viewer.query_with(shop.orders, missing).await.error(400, "INVALID_QUERY");
}

async fn the_answer_is_cut_at_the_wanted_rows(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let data = acme.viewer.query_with(shop.orders, json!({"query": "SELECT id FROM orders", "max_rows": 5})).await.ok();
    assert_eq!((data["row_count"].as_i64(), data["truncated"].as_bool()), (Some(5), Some(true)));
    assert_eq!(data["rows"].as_array().unwrap().len(), 5);
    let data =
        acme.viewer.query_with(shop.orders, json!({"query": "SELECT id FROM orders", "max_rows": 12})).await.ok();
    assert_eq!((data["row_count"].as_i64(), data["truncated"].as_bool()), (Some(12), Some(false)));
}

async fn one_read_only_statement_is_run(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for sql in [
        "SELEKT 1",
        "",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE customers",
        "DELETE FROM customers",
        "UPDATE customers SET salary = 0",
        "INSERT INTO customers SELECT * FROM customers",
        "DROP TABLE customers",
        "CREATE TABLE x AS SELECT * FROM customers",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY customers TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SHOW TABLES",
        "ATTACH DATABASE 'x' AS y",
        "PRAGMA table_info(customers)",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM information_schema.tables",
    ] {
        let answer = acme.owner.query_with(shop.crm, json!({"query": sql})).await;
        if sql.is_empty() {
            answer.invalid("query");
        } else {
            answer.error(400, "INVALID_QUERY");
        }
    }
    assert_eq!(acme.owner.value(shop.crm, "SELECT count(*) FROM customers").await, 6);
    assert_eq!(acme.owner.value(shop.crm, "WITH c AS (SELECT * FROM customers) SELECT count(*) FROM c;").await, 6);
}

async fn what_does_not_plan_is_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let told = async |sql: &str| {
        let error = acme.viewer.query_with(shop.crm, json!({"query": sql})).await.error(400, "INVALID_QUERY");
        error["message"].as_str().unwrap().to_owned()
    };
    let message = told("SELECT emial FROM customers").await;
    assert!(message.contains("emial") && message.contains("email"), "{message}");
    let message = told("SELECT * FROM custmers").await;
    assert!(message.contains("custmers"), "{message}");
    let message = told("SELECT nosuch(name) FROM customers").await;
    assert!(message.to_lowercase().contains("nosuch"), "{message}");
    told("SELECT CAST(name AS BIGINT) FROM customers").await;
    told("SELECT name FROM customers GROUP BY region").await;
}

async fn further_sources_are_joined_by_their_names(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let sql = "SELECT c.name, p.product, o.amount FROM orders o JOIN crm.main.customers c ON c.id = o.customer_id \
               JOIN products.files.products p ON p.sku = o.sku WHERE o.id = 2";
    let body = json!({"query": sql, "additional_data_source_ids": [shop.crm, shop.products, shop.crm]});
    let data = acme.viewer.query_with(shop.orders, body).await.ok();
    assert_eq!(data["rows"], json!([["Ben", "Chair", 20.0]]));
    // What was not named is not there.
    acme.viewer.query_with(shop.orders, json!({"query": sql})).await.error(400, "INVALID_QUERY");
}

async fn sheets_of_a_workbook_are_tables(server: &Server) {
    let acme = server.organization("Acme").await;
    let fixture = rivergen_tests::manifest_dir().join("../crates/connectors/tests/connectors/fixtures/people.xlsx");
    let id = acme.admin.file_source("Staff", "excel", "people.xlsx", std::fs::read(fixture).unwrap()).await;
    let sql = r#"SELECT "Name", "Day", "Fraction" FROM people_of_2024 WHERE "Whole" IS NOT NULL ORDER BY "Whole""#;
    let data = acme.viewer.query(id, sql).await;
    assert_eq!(data["rows"], json!([["Cyd", null, 2.0], ["Ann", "2024-02-29", 1.5], ["Bob", "2024-02-29", null]]));
    let data = acme.viewer.query(id, "SELECT t.took, count(*) FROM times t CROSS JOIN plain p GROUP BY t.took").await;
    assert_eq!(data["rows"], json!([["30:00:00", 2]]));
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let post = async |body: Value| acme.viewer.query_with(shop.orders, body).await;
    post(json!({})).await.invalid("query");
    post(json!({"query": 7})).await.invalid("query");
    post(json!({"query": "SELECT 1", "max_rows": 0})).await.invalid("max_rows");
    post(json!({"query": "SELECT 1", "max_rows": 10_001})).await.invalid("max_rows");
    post(json!({"query": "SELECT 1", "timeout_seconds": 0})).await.invalid("timeout_seconds");
    post(json!({"query": "SELECT 1", "parameters": [1]})).await.invalid("parameters");
    post(json!({"query": "SELECT 1", "surprise": 1})).await.invalid("surprise");
    post(json!({"query": "SELECT 1", "additional_data_source_ids": ["x"]}))
        .await
        .invalid("additional_data_source_ids[0]");
}

async fn a_source_is_ones_own_or_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let theirs = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let mine = globex.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let body = json!({"query": "SELECT 1"});
    globex.owner.query_with(theirs, body.clone()).await.error(404, "NOT_FOUND");
    let joined = json!({"query": "SELECT 1", "additional_data_source_ids": [theirs]});
    globex.owner.query_with(mine, joined).await.error(404, "NOT_FOUND");
    let path = format!("/api/v1/data-sources/{mine}/query");
    server.anonymous().post(&path, body).await.error(401, "UNAUTHORIZED");
    assert_eq!(server.count("SELECT count(*) FROM query_runs").await, 0);
}

async fn the_operators_limits_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let data = acme.owner.query_with(shop.orders, json!({"query": "SELECT id FROM orders", "max_rows": 12})).await.ok();
    assert_eq!((data["row_count"].as_i64(), data["truncated"].as_bool()), (Some(5), Some(true)));
    let wide = json!({"query": format!("SELECT concat(region, '{}') FROM orders", "x".repeat(1000))});
    acme.owner.query_with(shop.orders, wide).await.error(429, "QUERY_LIMIT_EXCEEDED");
    let runs = "SELECT error_code FROM query_runs WHERE status = 'failed'";
    assert_eq!(server.rows(runs).await[0]["error_code"], "QUERY_LIMIT_EXCEEDED");
}

pub(super) async fn numbers(server: &Server) -> (rivergen_tests::Organization, i64) {
    let acme = server.organization("Acme").await;
    let bytes = rivergen_tests::fixtures::numbers_parquet(50_000);
    let source = acme.admin.file_source("Numbers", "parquet", "numbers.parquet", bytes).await;
    (acme, source)
}

/// Starts the endless query and waits until it runs; aborting the task drops the connection.
pub(super) async fn start_endless(
    server: &Server,
    person: &rivergen_tests::Person,
    source: i64,
) -> tokio::task::JoinHandle<rivergen_tests::Answer> {
    let person = person.clone();
    let running =
        tokio::spawn(async move { person.query_with(source, json!({"query": ENDLESS, "timeout_seconds": 120})).await });
    let count = "SELECT count(*) FROM query_runs WHERE status = 'running'";
    rivergen_tests::eventually("the query to run", async || (server.count(count).await == 1).then_some(())).await;
    running
}

async fn is_cancelled(server: &Server) {
    let count = "SELECT count(*) FROM query_runs WHERE status = 'cancelled'";
    rivergen_tests::eventually("the query to be cancelled", async || (server.count(count).await == 1).then_some(()))
        .await;
}

async fn only_so_many_run_at_a_time(server: &Server) {
    let (acme, source) = numbers(server).await;
    let running = start_endless(server, &acme.viewer, source).await;
    // The record stands before the place is taken.
    rivergen_tests::eventually("the place to be taken", async || {
        let answer = acme.admin.query_with(source, json!({"query": "SELECT 1"})).await;
        (answer.status == 429).then(|| answer.error(429, "QUERY_LIMIT_EXCEEDED"))
    })
    .await;
    running.abort();
    is_cancelled(server).await;
    assert_eq!(acme.admin.value(source, "SELECT 1").await, 1);
}

async fn further_ones_wait_for_a_place(server: &Server) {
    let (acme, source) = numbers(server).await;
    let running = start_endless(server, &acme.viewer, source).await;
    let waiting = tokio::spawn({
        let admin = acme.admin.clone();
        async move { admin.query_with(source, json!({"query": "SELECT 1"})).await }
    });
    let both = "SELECT count(*) FROM query_runs WHERE status = 'running'";
    rivergen_tests::eventually("both to be on record", async || (server.count(both).await == 2).then_some(())).await;
    assert!(!waiting.is_finished());
    running.abort();
    assert_eq!(waiting.await.unwrap().ok()["rows"], json!([[1]]));
}

async fn a_query_ends_at_its_time_limit(server: &Server) {
    let (acme, source) = numbers(server).await;
    let body = json!({"query": ENDLESS, "timeout_seconds": 1});
    let error = acme.viewer.query_with(source, body).await.error(504, "QUERY_TIMEOUT");
    assert!(error["message"].as_str().unwrap().contains('1'), "{error}");
    let run = server.rows("SELECT status, error_code, duration_ms FROM query_runs").await;
    assert_eq!((run[0]["status"].as_str(), run[0]["error_code"].as_str()), (Some("failed"), Some("QUERY_TIMEOUT")));
    assert!(run[0]["duration_ms"].as_i64().unwrap() >= 1000);
}

async fn an_endless_query_leaves_everybody_else_to_their_work(server: &Server) {
    let (acme, source) = numbers(server).await;
    let running = start_endless(server, &acme.viewer, source).await;
    let viewer = server.sign_in(&acme.viewer.email).await;
    let list = viewer.client.get("/api/v1/queries?status=running").await.ok();
    server.organization("Globex").await.owner.client.get("/api/v1/data-sources").await.ok();
    // Other queries have their turns on the same thread.
    assert_eq!(acme.admin.value(source, "SELECT count(*) FROM numbers").await, 50_000);
    assert!(!running.is_finished());
    viewer.client.post_empty(&format!("/api/v1/queries/{}/cancel", list["items"][0]["query_id"])).await.ok();
    running.await.unwrap().error(409, "QUERY_CANCELLED");
}

async fn a_client_that_goes_away_cancels_its_query(server: &Server) {
    let (acme, source) = numbers(server).await;
    start_endless(server, &acme.viewer, source).await.abort();
    is_cancelled(server).await;
}
