//! `GET /api/v1/data-sources/{data_source_id}/schemas`

use rivergen_tests::{ClosedPort, Organization, PostgresDatabase, Server, on_both_databases};
use serde_json::{Value, json};

use super::{of, policy};

on_both_databases! {
    tables_and_columns_are_told;
    it_filters_and_pages;
    what_policies_hide_does_not_exist;
    a_source_that_was_never_discovered_has_nothing;
    what_is_not_valid_is_named;
    anothers_is_not_found;
}

const TABLES: &str = "CREATE TABLE regions (id int PRIMARY KEY, name text NOT NULL DEFAULT 'EU'); \
    COMMENT ON TABLE regions IS 'Where we sell'; \
    CREATE TABLE customers (id bigint PRIMARY KEY, secret_code text DEFAULT 'sesame', \
        email varchar(80) NOT NULL DEFAULT 'nobody@acme.example', region_id int REFERENCES regions (id)); \
    COMMENT ON COLUMN customers.email IS 'As entered'; COMMENT ON COLUMN customers.secret_code IS 'never shown'; \
    CREATE TABLE vault (id int); CREATE VIEW few AS SELECT id FROM regions; \
    CREATE SCHEMA hr; CREATE TABLE hr.people (id int); \
    INSERT INTO regions SELECT n, 'r' || n FROM generate_series(1, 500) n; ANALYZE regions";

async fn source(acme: &Organization) -> (PostgresDatabase, i64) {
    let database = PostgresDatabase::empty().await;
    database.execute(TABLES).await;
    let id = acme.admin.register(database.source("Warehouse")).await;
    assert_eq!(acme.admin.checked(id).await["status"], "active");
    (database, id)
}

fn names(data: &Value) -> Vec<String> {
    let tables = |schema: &Value| {
        let name = schema["schema_name"].as_str().unwrap().to_owned();
        let tables = schema["tables"].as_array().unwrap().clone();
        tables.into_iter().map(move |table| format!("{name}.{}", table["table_name"].as_str().unwrap()))
    };
    data["schemas"].as_array().unwrap().iter().flat_map(tables).collect()
}

fn table<'a>(data: &'a Value, name: &str) -> &'a Value {
    let tables = data["schemas"].as_array().unwrap().iter().flat_map(|schema| schema["tables"].as_array().unwrap());
    tables.into_iter().find(|table| table["table_name"] == name).unwrap_or_else(|| panic!("no {name} in {data}"))
}

async fn tables_and_columns_are_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, id) = source(&acme).await;
    let data = acme.viewer.client.get(&of(id, "/schemas")).await.ok();
    assert_eq!(data["data_source_id"], id);
    assert_eq!(names(&data), ["hr.people", "public.customers", "public.few", "public.regions", "public.vault"]);
    assert!(data["last_discovered_at"].is_string());
    assert_eq!(data["pagination"]["total_items"], 5);
    let regions = table(&data, "regions");
    assert_eq!((regions["table_type"].as_str(), regions["row_count"].as_i64()), (Some("table"), Some(500)));
    assert_eq!(
        (regions["table_comment"].as_str(), regions["rows_filtered"].as_bool()),
        (Some("Where we sell"), Some(false))
    );
    assert_eq!(table(&data, "few")["table_type"], "view");
    let customers = table(&data, "customers");
    let email = &customers["columns"][2];
    assert_eq!((email["column_name"].as_str(), email["column_position"].as_i64()), (Some("email"), Some(3)));
    assert_eq!((email["is_nullable"].as_bool(), email["column_comment"].as_str()), (Some(false), Some("As entered")));
    assert!(email["default_value"].as_str().unwrap().contains("nobody@acme.example"), "{email}");
    assert_eq!(customers["columns"][0]["is_primary_key"], true);
    let region = &customers["columns"][3];
    assert_eq!(region["is_foreign_key"], true);
    assert_eq!(region["references"], json!({"schema_name": "public", "table_name": "regions", "column_name": "id"}));
    database.remove().await;
}

async fn it_filters_and_pages(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, id) = source(&acme).await;
    let get = async |query: &str| acme.viewer.client.get(&of(id, &format!("/schemas?{query}"))).await.ok();
    assert_eq!(names(&get("schema_name=hr").await), ["hr.people"]);
    assert_eq!(names(&get("table_name=customers").await), ["public.customers"]);
    assert_eq!(names(&get("search=REG").await), ["public.regions"]);
    assert_eq!(names(&get("schema_name=nothing").await), Vec::<String>::new());
    let data = get("include_columns=false").await;
    assert_eq!(table(&data, "customers")["columns"], json!([]));
    let data = get("page=2&page_size=2").await;
    assert_eq!(names(&data), ["public.few", "public.regions"]);
    let page = &data["pagination"];
    assert_eq!((page["total_items"].as_i64(), page["has_next"].as_bool()), (Some(5), Some(true)));
    database.remove().await;
}

async fn what_policies_hide_does_not_exist(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, id) = source(&acme).await;
    let deny = |rule: Value| policy(&acme, id, "Viewer", "access_control", "deny_access", rule);
    deny(json!({"table": "vault"})).await;
    deny(json!({"table": "hr.people"})).await;
    deny(json!({"table": "customers", "columns": ["secret_code"]})).await;
    let mask = json!({"table": "customers", "column": "email", "masking_function": "redact"});
    policy(&acme, id, "Viewer", "data_masking", "mask_column", mask).await;
    let filter = json!({"table": "few", "condition": "id > 10"});
    policy(&acme, id, "Viewer", "row_level_security", "filter_rows", filter).await;
    let data = acme.viewer.client.get(&of(id, "/schemas")).await.ok();
    assert_eq!(names(&data), ["public.customers", "public.few", "public.regions"]);
    assert_eq!(data["pagination"]["total_items"], 3);
    let shown = data.to_string();
    for hidden in ["vault", "people", "\"hr\"", "secret_code", "sesame", "never shown", "nobody@acme.example"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
    let customers = table(&data, "customers");
    let columns: Vec<_> = customers["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            (c["column_name"].as_str().unwrap(), c["column_position"].as_i64().unwrap(), c["masked"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(columns, [("id", 1, false), ("email", 2, true), ("region_id", 3, false)]);
    assert_eq!(table(&data, "few")["rows_filtered"], true);
    // A filter on the rows is one on their number.
    let filter = json!({"table": "regions", "condition": "id > 10"});
    policy(&acme, id, "Viewer", "row_level_security", "filter_rows", filter).await;
    let data = acme.viewer.client.get(&of(id, "/schemas")).await.ok();
    assert!(table(&data, "regions")["row_count"].is_null());
    // Nothing points to what does not exist.
    deny(json!({"table": "regions"})).await;
    let data = acme.viewer.client.get(&of(id, "/schemas")).await.ok();
    let region = &table(&data, "customers")["columns"][2];
    assert_eq!((region["is_foreign_key"].as_bool(), region["references"].is_null()), (Some(false), true));
    assert!(!data.to_string().contains("\"regions\""), "{data}");
    // Names of what is closed are not found by asking for them.
    for query in ["table_name=vault", "schema_name=hr", "search=vau"] {
        let data = acme.viewer.client.get(&of(id, &format!("/schemas?{query}"))).await.ok();
        assert_eq!(data["schemas"], json!([]), "{query}");
    }
    // Whom the policies do not govern sees all of it.
    assert_eq!(names(&acme.developer.client.get(&of(id, "/schemas")).await.ok()).len(), 5);
    database.remove().await;
}

async fn a_source_that_was_never_discovered_has_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let closed = ClosedPort::take();
    let body = json!({"name": "Far", "type": "postgresql", "host": "127.0.0.1", "port": closed.number(),
        "database_name": "d", "max_retries": 0, "credentials": {"username": "u", "password": "p"}});
    let id = acme.admin.register(body).await;
    acme.admin.checked(id).await;
    let data = acme.viewer.client.get(&of(id, "/schemas")).await.ok();
    assert_eq!((data["schemas"].clone(), data["last_discovered_at"].is_null()), (json!([]), true));
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    for (query, field) in [
        ("page=0", "page"),
        ("page_size=1001", "page_size"),
        ("page_size=0", "page_size"),
        ("include_columns=perhaps", "include_columns"),
    ] {
        acme.viewer.client.get(&of(id, &format!("/schemas?{query}"))).await.invalid(field);
    }
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    globex.owner.client.get(&of(id, "/schemas")).await.error(404, "NOT_FOUND");
    server.anonymous().get(&of(id, "/schemas")).await.error(401, "UNAUTHORIZED");
}
