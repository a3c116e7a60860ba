//! `GET /api/v1/data-sources/{data_source_id}/statistics`

use chrono::Duration;
use rivergen_tests::{Organization, Person, PostgresDatabase, Server, fixtures, on_both_databases};
use serde_json::{Value, json};

use super::{of, policy};

on_both_databases! {
    columns_are_told;
    missing_values_are_counted_and_odd_types_are_no_failure;
    types_of_a_database_are_told_as_answers_have_them;
    a_large_table_is_sampled;
    of_a_wide_table_fewer_rows_and_not_all_columns_are_read;
    what_policies_hide_is_in_no_number;
    a_masked_column_is_silent;
    a_closed_table_is_like_one_that_is_not_there;
    limits_of_a_policy_hold;
    it_is_given_again_to_whoever_may_see_the_same;
    it_is_not_given_again_where_entitlements_are_looked_up;
    it_is_not_given_again_where_that_is_switched_off with "[query]\nanswers_bytes = 0";
    a_source_that_is_off_is_not_read;
    what_is_not_valid_is_named;
    who_may_not_is_refused;
}

fn path(source: i64, schema: &str, table: &str) -> String {
    of(source, &format!("/statistics?schema_name={schema}&table_name={table}"))
}

async fn statistics(person: &Person, source: i64, schema: &str, table: &str) -> Value {
    person.client.get(&path(source, schema, table)).await.ok()
}

fn names(data: &Value) -> Vec<&str> {
    data["columns"].as_array().unwrap().iter().map(|column| column["column_name"].as_str().unwrap()).collect()
}

fn column<'a>(data: &'a Value, name: &str) -> &'a Value {
    let mut columns = data["columns"].as_array().unwrap().iter();
    columns.find(|column| column["column_name"] == name).unwrap_or_else(|| panic!("no {name} in {data}"))
}

/// Missing and different values, the least and the greatest.
fn numbers(data: &Value, name: &str) -> Value {
    let column = column(data, name);
    json!([column["null_count"], column["distinct_count"], column["minimum"], column["maximum"]])
}

/// The commonest values with how many rows have them; null where there are none.
fn common(data: &Value, name: &str) -> Value {
    match column(data, name)["most_common"].as_array() {
        Some(values) => values.iter().map(|each| json!([each["value"], each["count"]])).collect(),
        None => Value::Null,
    }
}

async fn columns_are_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let data = statistics(&acme.viewer, shop.orders, "files", "orders").await;
    assert_eq!((data["data_source_id"].as_i64(), data["rows_sampled"].as_i64()), (Some(shop.orders), Some(12)));
    assert_eq!((&data["schema_name"], &data["table_name"]), (&json!("files"), &json!("orders")));
    assert_eq!((&data["is_whole"], &data["columns_left_out"]), (&json!(true), &json!([])));
    assert!(data["sampled_at"].is_string(), "{data}");
    assert_eq!(names(&data), ["id", "customer_id", "sku", "region", "amount", "parts", "ordered_on"]);
    for (name, expected) in [
        ("id", json!([0, 12, 1, 12])),
        ("customer_id", json!([0, 6, 1, 6])),
        ("sku", json!([0, 3, "P1", "P3"])),
        ("region", json!([0, 3, "APAC", "US"])),
        ("amount", json!([0, 12, 10.0, 120.0])),
        ("parts", json!([0, 2, 0, 2])),
        ("ordered_on", json!([0, 12, "2025-01-01", "2025-06-15"])),
    ] {
        assert_eq!(numbers(&data, name), expected, "{name}");
        assert_eq!(column(&data, name)["masked"], false);
    }
    assert_eq!(common(&data, "region"), json!([["APAC", 4], ["EU", 4], ["US", 4]]));
    assert_eq!(common(&data, "parts"), json!([[2, 8], [0, 4]]));
    // Five at most; each of the six stands in two orders.
    assert_eq!(common(&data, "customer_id"), json!([[1, 2], [2, 2], [3, 2], [4, 2], [5, 2]]));
    for name in ["id", "amount", "ordered_on"] {
        assert_eq!(common(&data, name), Value::Null, "{name}");
    }
    // It is on record as a query is.
    let runs = "SELECT user_id, kind, status, row_count, sql_text FROM query_runs";
    let run = &server.rows(runs).await[0];
    assert_eq!((run["user_id"].as_i64(), run["row_count"].as_i64()), (Some(acme.viewer.id), Some(12)));
    assert_eq!((run["kind"].as_str(), run["status"].as_str()), (Some("sql"), Some("succeeded")));
    assert!(run["sql_text"].as_str().unwrap().contains(r#"FROM "orders"."files"."orders""#), "{run}");
}

async fn missing_values_are_counted_and_odd_types_are_no_failure(server: &Server) {
    let acme = server.organization("Acme").await;
    let made = fixtures::sqlite(
        "CREATE TABLE things (id INTEGER PRIMARY KEY, kind TEXT, weight REAL, picture BLOB, note TEXT, \"a \"\"b\" TEXT);
         INSERT INTO things VALUES (1, 'new', 1.5, x'00ff', NULL, 'x'), (2, NULL, NULL, NULL, NULL, 'y'),
            (3, 'new', -2.0, x'00ff', NULL, 'z'), (4, 'old', 1.5, x'01', NULL, 'x'), (5, 'new', 3.0, NULL, NULL, 'x');
         CREATE TABLE bare (id INTEGER PRIMARY KEY, kind TEXT);",
    );
    let source = acme.admin.file_source("Things", "sqlite", "things.sqlite", made).await;
    let data = statistics(&acme.viewer, source, "main", "things").await;
    assert_eq!(numbers(&data, "kind"), json!([1, 2, "new", "old"]));
    assert_eq!(common(&data, "kind"), json!([["new", 3], ["old", 1]]));
    assert_eq!(numbers(&data, "weight"), json!([1, 3, -2.0, 3.0]));
    assert_eq!(numbers(&data, "picture"), json!([2, 2, null, null]));
    assert_eq!(numbers(&data, "note"), json!([5, 0, null, null]));
    assert_eq!(numbers(&data, "a \"b"), json!([0, 3, "x", "z"]));
    let empty = statistics(&acme.viewer, source, "main", "bare").await;
    assert_eq!((&empty["rows_sampled"], &empty["is_whole"]), (&json!(0), &json!(true)));
    assert_eq!(numbers(&empty, "kind"), json!([0, 0, null, null]));

    let lines: String = [
        json!({"person": {"name": "Ada"}, "words": ["x", "y"], "long": "ä".repeat(300), "big": 9_007_199_254_740_993_i64}),
        json!({"person": null, "words": [], "long": "a", "big": 1}),
    ]
    .map(|line| line.to_string() + "\n")
    .concat();
    let source = acme.admin.file_source("Lines", "jsonl", "lines.jsonl", lines.into_bytes()).await;
    let data = statistics(&acme.viewer, source, "files", "lines").await;
    assert_eq!(numbers(&data, "person"), json!([1, null, null, null]));
    assert_eq!(numbers(&data, "words"), json!([0, null, null, null]));
    assert_eq!(numbers(&data, "long"), json!([0, 2, "a", format!("{}…", "ä".repeat(200))]));
    // As answers to queries have it.
    assert_eq!(numbers(&data, "big"), json!([0, 2, 1, "9007199254740993"]));
}

async fn types_of_a_database_are_told_as_answers_have_them(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database
        .execute(
            "CREATE TABLE things (id uuid PRIMARY KEY, document json, is_new boolean, at timestamptz, price numeric(10,2), \
                took interval, parts int[], picture bytea, \"order\" text); \
             INSERT INTO things VALUES \
                ('00000000-0000-0000-0000-000000000001', '{\"a\": 1}', true, '2025-01-02T03:04:05Z', 12.5, '1 day', \
                 '{1,2}', 'x', 'B'), \
                ('00000000-0000-0000-0000-000000000002', NULL, true, '2024-01-02T03:04:05Z', -3, '2 hours', '{}', 'x', 'a')",
        )
        .await;
    let source = acme.admin.register(database.source("Warehouse")).await;
    assert_eq!(acme.admin.checked(source).await["status"], "active");
    let data = statistics(&acme.viewer, source, "public", "things").await;
    assert_eq!(data["rows_sampled"], 2, "{data}");
    let [first, last] = ["1", "2"].map(|end| format!("00000000-0000-0000-0000-00000000000{end}"));
    assert_eq!(numbers(&data, "id"), json!([0, 2, first, last]));
    assert_eq!(numbers(&data, "is_new"), json!([0, 1, null, null]));
    assert_eq!(common(&data, "is_new"), json!([[true, 2]]));
    assert_eq!(numbers(&data, "at"), json!([0, 2, "2024-01-02T03:04:05Z", "2025-01-02T03:04:05Z"]));
    assert_eq!(numbers(&data, "price"), json!([0, 2, "-3.00", "12.50"]));
    assert_eq!(numbers(&data, "picture"), json!([0, 1, null, null]));
    // By code points, whatever the database's own order of texts is.
    assert_eq!(numbers(&data, "order"), json!([0, 2, "B", "a"]));
    for (name, missing) in [("document", 1), ("took", 0), ("parts", 0)] {
        assert_eq!(column(&data, name)["null_count"], missing, "{name}");
    }
    database.remove().await;
}

async fn a_large_table_is_sampled(server: &Server) {
    let acme = server.organization("Acme").await;
    for (name, rows, is_whole) in [("exact", 10_000, true), ("more", 10_001, false)] {
        let bytes = fixtures::numbers_parquet(rows);
        let source = acme.admin.file_source(name, "parquet", &format!("{name}.parquet"), bytes).await;
        let data = statistics(&acme.viewer, source, "files", name).await;
        assert_eq!((&data["rows_sampled"], &data["is_whole"]), (&json!(10_000), &json!(is_whole)), "{name}");
        let column = column(&data, "n");
        assert_eq!((&column["distinct_count"], &column["most_common"]), (&json!(10_000), &Value::Null), "{name}");
    }
}

async fn of_a_wide_table_fewer_rows_and_not_all_columns_are_read(server: &Server) {
    let acme = server.organization("Acme").await;
    let line = |cell: &dyn Fn(usize) -> String| (0..230).map(cell).collect::<Vec<_>>().join(",") + "\n";
    let rows = line(&|at| at.to_string()).repeat(2_600);
    let csv = line(&|at| format!("c{at}")) + &rows;
    let source = acme.admin.file_source("Wide", "csv", "wide.csv", csv.into_bytes()).await;
    // A masked column takes no place.
    let mask = json!({"table": "wide", "column": "c7", "masking_function": "redact"});
    policy(&acme, source, "Viewer", "data_masking", "mask_column", mask).await;
    let data = statistics(&acme.viewer, source, "files", "wide").await;
    assert_eq!((&data["rows_sampled"], &data["is_whole"]), (&json!(2_500), &json!(false)));
    let told: Vec<String> = (0..=200).map(|at| format!("c{at}")).collect();
    assert_eq!(names(&data), told);
    let left_out: Vec<String> = (201..230).map(|at| format!("c{at}")).collect();
    assert_eq!(data["columns_left_out"], json!(left_out));
    assert_eq!(numbers(&data, "c200"), json!([0, 1, 200, 200]));
}

async fn what_policies_hide_is_in_no_number(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let all = statistics(&acme.viewer, shop.crm, "main", "customers").await;
    assert_eq!((&all["rows_sampled"], numbers(&all, "salary")), (&json!(6), json!([0, 6, 52_000, 57_000])));
    // A policy that comes is in the next answer.
    let made = acme.govern(&shop).await;
    let own = statistics(&acme.viewer, shop.crm, "main", "customers").await;
    assert_eq!((&own["rows_sampled"], &own["is_whole"]), (&json!(2), &json!(true)));
    assert_eq!(numbers(&own, "id"), json!([0, 2, 2, 5]));
    assert_eq!(numbers(&own, "name"), json!([0, 2, "Ben", "Eve"]));
    assert_eq!((numbers(&own, "region"), common(&own, "region")), (json!([0, 1, "US", "US"]), json!([["US", 2]])));
    let evaluations = format!("SELECT count(*) FROM policy_evaluations WHERE policy_id = {}", made[1]);
    assert_eq!(server.count(&evaluations).await, 1);
    // Others have other rows, and whom no policy governs has all of them.
    let theirs = statistics(&acme.developer, shop.crm, "main", "customers").await;
    assert_eq!(numbers(&theirs, "id"), json!([0, 2, 1, 4]));
    let admins = statistics(&acme.admin, shop.crm, "main", "customers").await;
    assert_eq!(numbers(&admins, "id"), json!([0, 6, 1, 6]));
    // A column that is hidden is not among them, by no name.
    let hide = json!({"table": "customers", "columns": ["name"]});
    policy(&acme, shop.crm, "Viewer", "access_control", "deny_access", hide).await;
    let left = statistics(&acme.viewer, shop.crm, "main", "customers").await;
    assert_eq!(names(&left), ["id", "email", "card_number", "salary", "region"]);
    assert_eq!(left["columns_left_out"], json!([]));
    for gone in [&made[0], &made[1]] {
        acme.admin.client.delete(&format!("/api/v1/policies/{gone}")).await.ok();
    }
    let more = statistics(&acme.viewer, shop.crm, "main", "customers").await;
    assert_eq!((&more["rows_sampled"], numbers(&more, "id")), (&json!(6), json!([0, 6, 1, 6])));
}

async fn a_masked_column_is_silent(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    for person in [&acme.viewer, &acme.developer] {
        let data = statistics(person, shop.crm, "main", "customers").await;
        for name in ["email", "card_number", "salary"] {
            let silent = json!({"column_name": name, "masked": true, "null_count": null, "distinct_count": null,
                "minimum": null, "maximum": null, "most_common": null});
            assert_eq!(*column(&data, name), silent);
        }
        assert_eq!(column(&data, "name")["masked"], false);
        let told = data.to_string();
        assert!(!told.contains('@') && !told.contains("REDACTED") && !told.contains("**"), "{told}");
    }
    // Of a table whose columns are all masked it is told how many rows there are.
    for name in ["sku", "product", "price"] {
        let mask = json!({"table": "products", "column": name, "masking_function": "null_value"});
        policy(&acme, shop.products, "Viewer", "data_masking", "mask_column", mask).await;
    }
    let data = statistics(&acme.viewer, shop.products, "files", "products").await;
    assert_eq!((&data["rows_sampled"], &data["is_whole"]), (&json!(3), &json!(true)));
    assert!(data["columns"].as_array().unwrap().iter().all(|column| column["masked"] == true), "{data}");
}

async fn a_closed_table_is_like_one_that_is_not_there(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    policy(&acme, shop.crm, "Viewer", "access_control", "deny_access", json!({"table": "customers"})).await;
    let closed = acme.viewer.client.get(&path(shop.crm, "main", "customers")).await.error(404, "NOT_FOUND");
    let message = closed["message"].clone();
    for (schema, table) in [("main", "no_such_table"), ("no_such_schema", "customers"), ("main", "CUSTOMERS"), ("", "")]
    {
        let missing = acme.viewer.client.get(&path(shop.crm, schema, table)).await.error(404, "NOT_FOUND");
        assert_eq!(missing["message"], message, "{schema}.{table}");
    }
    // Nothing was asked of the source.
    assert_eq!(server.count("SELECT count(*) FROM query_runs").await, 0);
    statistics(&acme.developer, shop.crm, "main", "customers").await;
}

async fn limits_of_a_policy_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let rule = json!({"max_rows": 3, "max_queries_per_hour": 2});
    policy(&acme, shop.orders, "Viewer", "query_limit", "limit_query", rule).await;
    // What is given again counts as well.
    for _ in 0..2 {
        let data = statistics(&acme.viewer, shop.orders, "files", "orders").await;
        assert_eq!((&data["rows_sampled"], &data["is_whole"]), (&json!(3), &json!(false)));
        assert_eq!(column(&data, "id")["distinct_count"], 3);
    }
    let refused = acme.viewer.client.get(&path(shop.orders, "files", "orders")).await;
    assert!(refused.number("retry-after") > 0);
    refused.error(429, "QUERY_LIMIT_EXCEEDED");
    let query = json!({"query": "SELECT id FROM orders"});
    acme.viewer.query_with(shop.orders, query).await.error(429, "QUERY_LIMIT_EXCEEDED");
    let data = statistics(&acme.developer, shop.orders, "files", "orders").await;
    assert_eq!((&data["rows_sampled"], &data["is_whole"]), (&json!(12), &json!(true)));
}

async fn it_is_given_again_to_whoever_may_see_the_same(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let of_orders = async |person: &Person| statistics(person, shop.orders, "files", "orders").await;
    let first = of_orders(&acme.viewer).await;
    server.clock().advance(Duration::minutes(5));
    for person in [&acme.viewer, &acme.developer] {
        assert_eq!(of_orders(person).await, first, "no policy tells the two apart");
    }
    // Each is on record for who asked.
    for (person, runs) in [(&acme.viewer, 2), (&acme.developer, 1)] {
        let count = format!("SELECT count(*) FROM query_runs WHERE status = 'succeeded' AND user_id = {}", person.id);
        assert_eq!(server.count(&count).await, runs);
    }
    server.clock().advance(Duration::minutes(6));
    let later = of_orders(&acme.viewer).await;
    assert_ne!(later["sampled_at"], first["sampled_at"]);
    assert_eq!(later["columns"], first["columns"]);
    // Who may see other rows is not given it.
    policy(&acme, shop.orders, "Viewer", "row_level_security", "filter_rows", json!({"condition": "region = 'EU'"}))
        .await;
    let own = of_orders(&acme.viewer).await;
    assert_eq!((&own["rows_sampled"], common(&own, "region")), (&json!(4), json!([["EU", 4]])));
    assert_eq!(of_orders(&acme.developer).await, later);
}

async fn it_is_not_given_again_where_entitlements_are_looked_up(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = fixtures::sqlite(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, customer_id INTEGER);
         CREATE TABLE entitlements (customer_id INTEGER, email TEXT);
         INSERT INTO notes VALUES (1, 10), (2, 20), (3, 30);
         INSERT INTO entitlements VALUES (10, 'viewer@acme.example'), (30, 'viewer@acme.example');",
    );
    let source = acme.admin.file_source("Notes", "sqlite", "notes.sqlite", database).await;
    let condition = "customer_id IN (SELECT customer_id FROM entitlements WHERE email = current_user_email)";
    let filter = json!({"table": "notes", "condition": condition});
    policy(&acme, source, "Viewer", "row_level_security", "filter_rows", filter).await;
    is_computed_each_time(server, &acme, source, "main", "notes", json!([0, 2, 1, 3])).await;
}

async fn it_is_not_given_again_where_that_is_switched_off(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    is_computed_each_time(server, &acme, shop.crm, "main", "customers", json!([0, 6, 1, 6])).await;
}

async fn is_computed_each_time(
    server: &Server,
    acme: &Organization,
    source: i64,
    schema: &str,
    table: &str,
    id: Value,
) {
    let first = statistics(&acme.viewer, source, schema, table).await;
    server.clock().advance(Duration::minutes(1));
    let second = statistics(&acme.viewer, source, schema, table).await;
    assert_eq!((numbers(&first, "id"), numbers(&second, "id")), (id.clone(), id));
    assert_ne!(first["sampled_at"], second["sampled_at"]);
}

async fn a_source_that_is_off_is_not_read(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    statistics(&acme.viewer, shop.crm, "main", "customers").await;
    acme.admin.client.patch(&of(shop.crm, ""), json!({"status": "inactive"})).await.ok();
    acme.viewer.client.get(&path(shop.crm, "main", "customers")).await.error(409, "DATA_SOURCE_UNAVAILABLE");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let long = "x".repeat(256);
    for (query, field) in [
        ("".to_owned(), "schema_name"),
        ("?table_name=customers".to_owned(), "schema_name"),
        ("?schema_name=main".to_owned(), "table_name"),
        (format!("?schema_name={long}&table_name=customers"), "schema_name"),
        (format!("?schema_name=main&table_name={long}"), "table_name"),
    ] {
        acme.viewer.client.get(&of(shop.crm, &format!("/statistics{query}"))).await.invalid(field);
    }
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let path = path(shop.crm, "main", "customers");
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
    globex.owner.client.get(&path).await.error(404, "NOT_FOUND");
    // Who sees which tables there are may not query them for that.
    let body = json!({"name": "a program", "scopes": ["datasource.read"]});
    let data = acme.owner.client.post("/api/v1/auth/tokens", body).await.created();
    let program = acme.owner.client.with_token(data["token"].as_str().unwrap());
    program.get(&of(shop.crm, "/schemas")).await.ok();
    program.get(&path).await.error(403, "FORBIDDEN");
    assert_eq!(server.count("SELECT count(*) FROM query_runs").await, 0);
}
