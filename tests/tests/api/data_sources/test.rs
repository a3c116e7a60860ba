//! `POST /api/v1/data-sources/{data_source_id}/test`

use rivergen_tests::{PostgresDatabase, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_good_connection_says_so;
    a_test_is_no_way_round_a_mask;
    a_server_that_goes_and_comes_back_is_noticed;
    a_viewer_may_not;
    anothers_is_not_found;
}

async fn a_good_connection_says_so(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = format!("/api/v1/data-sources/{}/test", shop.crm);
    let data = acme.admin.client.post_empty(&path).await.ok();
    assert_eq!((data["connection_successful"].as_bool(), data["status"].as_str()), (Some(true), Some("active")));
    assert!(data["database_version"].as_str().unwrap().contains("SQLite"), "{data}");
    assert!(data["response_time_ms"].is_i64() && data["error_message"].is_null(), "{data}");
    assert_eq!(server.audited("data_source.test", "success").await, 1);

    let query = json!({"test_query": "SELECT count(*) FROM customers"});
    let data = acme.admin.client.post(&path, query).await.ok();
    assert_eq!(data["test_query_result"], "[6]");
    // A statement that fails is told; the connection stays good.
    let data = acme.admin.client.post(&path, json!({"test_query": "DELETE FROM customers"})).await.ok();
    assert_eq!(
        (data["connection_successful"].as_bool(), data["error_code"].as_str()),
        (Some(true), Some("INVALID_QUERY"))
    );
    acme.admin.client.post(&path, json!({"timeout_seconds": 0})).await.invalid("timeout_seconds");
}

async fn a_test_is_no_way_round_a_mask(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let path = format!("/api/v1/data-sources/{}/test", shop.crm);
    let query = json!({"test_query": "SELECT email, salary, region FROM customers ORDER BY id"});
    let data = acme.developer.client.post(&path, query).await.ok();
    assert_eq!(data["test_query_result"], r#"["a***@customers.example",50000,"EU"]"#);
}

async fn a_server_that_goes_and_comes_back_is_noticed(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, elsewhere) = (PostgresDatabase::empty().await, PostgresDatabase::empty().await);
    database.execute("CREATE TABLE stock (sku text, pieces bigint); INSERT INTO stock VALUES ('P1', 5)").await;
    let id = acme.admin.register(database.source("W")).await;
    assert_eq!(acme.admin.checked(id).await["status"], "active");
    assert_eq!(acme.viewer.value(id, "SELECT pieces FROM stock").await, 5);

    let (name, aside) = (database.name(), format!("{}_aside", database.name()));
    elsewhere.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    elsewhere.execute(&cut).await;
    elsewhere.execute(&format!("ALTER DATABASE {name} RENAME TO {aside}")).await;
    let query = json!({"query": "SELECT pieces FROM stock"});
    let error = acme.viewer.query_with(id, query.clone()).await.error(502, "CONNECTION_ERROR");
    assert!(!error["message"].as_str().unwrap().contains(name), "the network's own words: {error}");

    let path = format!("/api/v1/data-sources/{id}/test");
    let data = acme.admin.client.post_empty(&path).await.ok();
    assert_eq!((data["connection_successful"].as_bool(), data["status"].as_str()), (Some(false), Some("failed")));
    assert_eq!(data["error_code"], "CONNECTION_ERROR");
    let message = data["error_message"].as_str().unwrap();
    assert!(!message.contains(name), "the network's own words: {message}");
    acme.viewer.query_with(id, query).await.error(409, "DATA_SOURCE_UNAVAILABLE");

    elsewhere.execute(&format!("ALTER DATABASE {aside} RENAME TO {name}")).await;
    elsewhere.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    let data = acme.admin.client.post_empty(&path).await.ok();
    assert_eq!(
        (data["connection_successful"].as_bool(), data["status"].as_str()),
        (Some(true), Some("active")),
        "{data}"
    );
    assert_eq!(acme.viewer.value(id, "SELECT pieces FROM stock").await, 5);
    database.remove().await;
    elsewhere.remove().await;
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let path = format!("/api/v1/data-sources/{id}/test");
    acme.viewer.client.post_empty(&path).await.error(403, "FORBIDDEN");
    server.anonymous().post_empty(&path).await.error(401, "UNAUTHORIZED");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    globex.owner.client.post_empty(&format!("/api/v1/data-sources/{id}/test")).await.error(404, "NOT_FOUND");
}
