//! `POST /api/v1/data-sources`

use rivergen_tests::{PostgresDatabase, Server, eventually, fixtures, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_file_is_registered_tested_and_discovered;
    a_postgresql_server_is_registered_with_sealed_credentials;
    what_its_kind_needs_is_asked_for;
    a_file_must_be_ones_own;
    names_are_unique_as_sql_names;
    a_viewer_may_not;
    anothers_workspace_is_not_found;
}

const PATH: &str = "/api/v1/data-sources";

async fn a_file_is_registered_tested_and_discovered(server: &Server) {
    let acme = server.organization("Acme").await;
    let file_path = acme.developer.upload("orders.parquet", fixtures::orders_parquet()).await;
    let body = json!({"name": "Sales (EU)", "type": "parquet", "file_path": file_path, "tags": ["sales"],
        "description": "Orders", "metadata": {"table": "orders"}});
    let data = acme.developer.client.post(PATH, body).await.created();
    assert_eq!(data["status"], "testing");
    assert_eq!(data["sql_name"], "sales_eu");
    assert_eq!(data["organization_id"], acme.id);
    assert_eq!(data["workspace_id"], acme.workspace_id);
    assert_eq!(data["created_by_user_id"], acme.developer.id);
    assert_eq!(data["tags"], json!(["sales"]));
    let defaults =
        ["connection_pool_size", "connection_timeout", "query_timeout", "max_retries", "schema_refresh_interval"];
    assert_eq!(defaults.map(|field| data[field].as_i64().unwrap()), [5, 30, 300, 3, 3600]);
    assert_eq!(server.audited("data_source.create", "success").await, 1);

    let checked = acme.developer.checked(data["id"].as_i64().unwrap()).await;
    assert_eq!(checked["status"], "active");
    assert!(!checked["last_successful_connection_at"].is_null(), "{checked}");
}

async fn a_postgresql_server_is_registered_with_sealed_credentials(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text PRIMARY KEY, pieces bigint NOT NULL)").await;
    let data = acme.admin.client.post(PATH, database.source("Warehouse")).await.created();
    let shown = data.to_string();
    assert!(data["credentials"].is_null() && !shown.contains(database.password()), "{shown}");
    let checked = acme.admin.checked(data["id"].as_i64().unwrap()).await;
    assert_eq!(checked["status"], "active", "{checked}");
    assert!(!checked.to_string().contains(database.password()), "{checked}");
    let kept = format!("{:?}", server.rows("SELECT * FROM data_sources").await);
    assert!(!kept.contains(database.password()), "the password lies in the clear");
    assert_eq!(acme.admin.value(data["id"].as_i64().unwrap(), "SELECT count(*) FROM stock").await, 0);
    database.remove().await;
}

async fn what_its_kind_needs_is_asked_for(server: &Server) {
    let admin = server.organization("Acme").await.admin;
    let post = async |body: Value| admin.client.post(PATH, body).await;
    post(json!({"type": "csv", "file_path": "x"})).await.invalid("name");
    post(json!({"name": "", "type": "csv"})).await.invalid("name");
    post(json!({"name": "…", "type": "csv", "file_path": "x"})).await.error(422, "VALIDATION_ERROR");
    post(json!({"name": "A"})).await.invalid("type");
    post(json!({"name": "A", "type": "abacus"})).await.invalid("type");
    post(json!({"name": "A", "type": "csv"})).await.invalid("file_path");
    post(json!({"name": "A", "type": "postgresql", "database_name": "d"})).await.invalid("host");
    post(json!({"name": "A", "type": "postgresql", "host": "h", "port": 70000})).await.invalid("port");
    post(json!({"name": "A", "type": "postgresql", "host": "h", "connection_timeout": 0}))
        .await
        .invalid("connection_timeout");
    post(json!({"name": "A", "type": "csv", "file_path": "x", "surprise": 1})).await.invalid("surprise");
    assert_eq!(server.count("SELECT count(*) FROM data_sources").await, 0);
}

async fn a_file_must_be_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let file_path = acme.developer.upload("a.csv", b"a\n1\n".to_vec()).await;
    let body = json!({"name": "A", "type": "csv", "file_path": file_path});
    for person in [&acme.admin, &globex.owner] {
        person.client.post(PATH, body.clone()).await.invalid("file_path");
    }
    for path in ["../../server.key", "/etc/passwd", "nothing"] {
        let body = json!({"name": "A", "type": "csv", "file_path": path});
        acme.developer.client.post(PATH, body).await.invalid("file_path");
    }
    acme.developer.client.post(PATH, body).await.created();
}

async fn names_are_unique_as_sql_names(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.file_source("Sales EU", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let file_path = acme.admin.upload("a.csv", b"a\n1\n".to_vec()).await;
    let body = json!({"name": "sales-eu", "type": "csv", "file_path": file_path});
    acme.admin.client.post(PATH, body).await.error(409, "CONFLICT");
    // Another organization's names do not count.
    let globex = server.organization("Globex").await;
    globex.admin.file_source("Sales EU", "csv", "a.csv", b"a\n1\n".to_vec()).await;
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "A", "type": "csv", "file_path": "x"});
    acme.viewer.client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    server.anonymous().post(PATH, body).await.error(401, "UNAUTHORIZED");
}

async fn anothers_workspace_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let file_path = acme.admin.upload("a.csv", b"a\n1\n".to_vec()).await;
    let body = json!({"name": "A", "type": "csv", "file_path": file_path, "workspace_id": globex.workspace_id});
    acme.admin.client.post(PATH, body).await.error(404, "NOT_FOUND");
    // Nothing of a refused source is tested later.
    let waiting = "SELECT count(*) FROM jobs WHERE kind LIKE 'data_source%'";
    eventually("no job", async || (server.count(waiting).await == 0).then_some(())).await;
}
