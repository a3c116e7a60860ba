//! What people see of the same sources under policies: the main job, end to end.

use rivergen_tests::{Organization, Person, PostgresDatabase, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    each_sees_their_region_and_their_masks;
    a_predicate_tests_the_mask;
    a_failing_predicate_does_not_tell_of_hidden_rows;
    one_statement_joins_three_kinds_of_sources;
    a_dry_run_shows_the_plan_without_the_filters_secrets;
    no_form_of_sql_gets_round_a_filter;
    limits_of_a_policy_hold;
    a_closed_table_is_refused_and_a_closed_column_too;
    a_filter_without_its_attribute_shows_nothing;
    a_policy_that_cannot_be_applied_refuses;
    what_goes_wrong_names_no_hidden_column;
}

async fn governed(server: &Server) -> (Organization, Shop) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    (acme, shop)
}

async fn rows(person: &Person, source: i64, sql: &str) -> Value {
    person.query(source, sql).await["rows"].take()
}

async fn each_sees_their_region_and_their_masks(server: &Server) {
    let (acme, shop) = governed(server).await;
    let sql = "SELECT name, email, card_number, salary, region FROM customers ORDER BY id";
    let developer = json!([
        ["Ada", "a***@customers.example", "************1111", 50_000, "EU"],
        ["Dan", "d***@customers.example", "************4444", 60_000, "EU"]
    ]);
    assert_eq!(rows(&acme.developer, shop.crm, sql).await, developer);
    let viewer =
        json!([["Ben", "[REDACTED]", "[REDACTED]", null, "US"], ["Eve", "[REDACTED]", "[REDACTED]", null, "US"]]);
    assert_eq!(rows(&acme.viewer, shop.crm, sql).await, viewer);
    let admin = rows(&acme.admin, shop.crm, sql).await;
    assert_eq!(admin.as_array().unwrap().len(), 6);
    assert_eq!(admin[0], json!(["Ada", "ada@customers.example", "4000000000001111", 52_000, "EU"]));

    let data = acme.developer.query(shop.crm, sql).await;
    let mut applied: Vec<(&str, &str)> = data["policies_applied"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| (policy["policy_name"].as_str().unwrap(), policy["action_taken"].as_str().unwrap()))
        .collect();
    applied.sort_unstable();
    assert_eq!(applied, [("Customers of the own region", "filtered_rows"), ("Developers", "masked_columns")]);
}

async fn a_predicate_tests_the_mask(server: &Server) {
    let (acme, shop) = governed(server).await;
    let count = async |person: &Person, predicate: &str| {
        person.value(shop.crm, &format!("SELECT count(*) FROM customers WHERE {predicate}")).await
    };
    for predicate in ["email = 'ada@customers.example'", "card_number LIKE '4000%'", "salary = 52000", "salary < 50000"]
    {
        assert_eq!(count(&acme.developer, predicate).await, 0, "{predicate}");
    }
    assert_eq!(count(&acme.developer, "email = 'a***@customers.example'").await, 1);
    assert_eq!(count(&acme.developer, "card_number LIKE '%1111'").await, 1);
    assert_eq!(count(&acme.viewer, "salary IS NULL").await, 2);
    assert_eq!(count(&acme.viewer, "email <> '[REDACTED]'").await, 0);
    // Aggregates, orders and joins see the mask too.
    assert_eq!(acme.developer.value(shop.crm, "SELECT max(salary) FROM customers").await, 60_000);
    assert_eq!(acme.viewer.value(shop.crm, "SELECT max(salary) FROM customers").await, Value::Null);
    let sql = "SELECT count(*) FROM customers a JOIN (SELECT 'ada@customers.example' AS email) b ON a.email = b.email";
    assert_eq!(acme.developer.value(shop.crm, sql).await, 0);
    assert_eq!(acme.admin.value(shop.crm, sql).await, 1);
}

async fn a_failing_predicate_does_not_tell_of_hidden_rows(server: &Server) {
    let (acme, shop) = governed(server).await;
    // Only orders of APAC have no parts, and neither of the two sees them.
    for sql in [
        "SELECT sum(id / parts) FROM orders",
        "SELECT count(*) FROM orders WHERE 10 / parts > 1",
        "SELECT count(*) FROM orders WHERE region = 'APAC' AND 1 / parts = 1",
        "SELECT count(*) FROM orders GROUP BY 1 / parts ORDER BY 1 LIMIT 1",
    ] {
        acme.developer.query(shop.orders, sql).await;
        acme.viewer.query(shop.orders, sql).await;
        let error = acme.admin.query_with(shop.orders, json!({"query": sql})).await.error(400, "INVALID_QUERY");
        assert_eq!(error["message"], "division by zero");
    }
    let cast = "SELECT count(*) FROM customers WHERE CAST(substr(card_number, 13) AS BIGINT) > 0";
    acme.admin.query(shop.crm, cast).await;
    let error = acme.viewer.query_with(shop.crm, json!({"query": cast})).await.error(400, "INVALID_QUERY");
    assert!(!error["message"].as_str().unwrap().contains("REDACTED"), "a value is told: {error}");
}

async fn one_statement_joins_three_kinds_of_sources(server: &Server) {
    let (acme, shop) = governed(server).await;
    let database = PostgresDatabase::empty().await;
    database
        .execute(
            "CREATE TABLE stock (sku text PRIMARY KEY, pieces bigint NOT NULL, supplier text NOT NULL);
             INSERT INTO stock VALUES ('P1', 5, 'Lumen'), ('P2', 0, 'Sedes'), ('P3', 9, 'Tabula')",
        )
        .await;
    let stock = acme.admin.register(database.source("Warehouse")).await;
    acme.admin.checked(stock).await;
    let hide = json!({"name": "Suppliers", "type": "data_masking", "data_source_ids": [stock],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "mask_column",
            "rule_config": {"table": "stock", "column": "supplier", "masking_function": "redact"}}]});
    acme.admin.client.post("/api/v1/policies", hide).await.created();

    let sql = "SELECT c.name, c.email, w.supplier, sum(o.amount) AS total FROM orders.files.orders o \
               JOIN crm.main.customers c ON c.id = o.customer_id \
               JOIN warehouse.public.stock w ON w.sku = o.sku GROUP BY c.name, c.email, w.supplier ORDER BY c.name";
    let body = json!({"query": sql, "additional_data_source_ids": [shop.crm, stock]});
    let ask = async |person: &Person| person.query_with(shop.orders, body.clone()).await.ok()["rows"].take();
    let developer =
        json!([["Ada", "a***@customers.example", "Lumen", 80.0], ["Dan", "d***@customers.example", "Lumen", 140.0]]);
    assert_eq!(ask(&acme.developer).await, developer);
    let viewer = json!([["Ben", "[REDACTED]", "[REDACTED]", 100.0], ["Eve", "[REDACTED]", "[REDACTED]", 160.0]]);
    assert_eq!(ask(&acme.viewer).await, viewer);
    assert_eq!(ask(&acme.owner).await.as_array().unwrap().len(), 6);
    database.remove().await;
}

async fn a_dry_run_shows_the_plan_without_the_filters_secrets(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let policy = json!({"name": "Not the secret ones", "type": "row_level_security", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "filter_rows",
            "rule_config": {"table": "customers", "condition": "name <> 'Cleo' AND salary < 56789"}}]});
    acme.admin.client.post("/api/v1/policies", policy).await.created();
    let sql = "SELECT name FROM customers WHERE region = 'EU'";
    for body in [json!({"query": sql, "dry_run": true}), json!({"query": format!("EXPLAIN {sql}")})] {
        let data = acme.viewer.query_with(shop.crm, body).await.ok();
        let plan = data["governed_plan"].as_str().unwrap_or_else(|| panic!("{data}"));
        assert!(plan.contains("customers"), "{plan}");
        assert!(!plan.contains("Cleo") && !plan.contains("56789"), "the filter is told: {plan}");
        assert_eq!((data["row_count"].as_i64(), data["rows"].as_array().map(Vec::len)), (Some(0), Some(0)));
        assert_eq!(data["policies_applied"][0]["policy_name"], "Not the secret ones");
    }
    // It leaves its record like every run.
    assert_eq!(server.count("SELECT count(*) FROM query_runs WHERE status = 'succeeded'").await, 2);
}

async fn no_form_of_sql_gets_round_a_filter(server: &Server) {
    let (acme, shop) = governed(server).await;
    for sql in [
        "SELECT count(*) FROM customers",
        "SELECT count(*) FROM crm.main.customers",
        "SELECT count(*) FROM \"customers\" AS x",
        "WITH c AS (SELECT * FROM customers) SELECT count(*) FROM c",
        "SELECT (SELECT count(*) FROM customers)",
        "SELECT count(*) FROM (SELECT id FROM customers UNION SELECT id FROM customers) u",
        "SELECT count(*) FROM customers a LEFT JOIN customers b ON a.id = b.id",
        "SELECT count(*) FROM customers WHERE EXISTS (SELECT 1 FROM customers WHERE region <> 'x')",
        "SELECT count(*) FROM customers WHERE region = 'APAC' OR true",
        "SELECT max(c) FROM (SELECT count(*) OVER () AS c FROM customers) w",
    ] {
        assert_eq!(acme.viewer.value(shop.crm, sql).await, 2, "{sql}");
        assert_eq!(acme.admin.value(shop.crm, sql).await, 6, "{sql}");
    }
}

async fn limits_of_a_policy_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let policy = json!({"name": "Few", "type": "query_limit", "data_source_ids": [shop.orders],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "limit_query",
            "rule_config": {"max_rows": 3, "max_queries_per_hour": 2}}]});
    acme.admin.client.post("/api/v1/policies", policy).await.created();
    let body = json!({"query": "SELECT id FROM orders", "max_rows": 100});
    for _ in 0..2 {
        let data = acme.viewer.query_with(shop.orders, body.clone()).await.ok();
        assert_eq!((data["row_count"].as_i64(), data["truncated"].as_bool()), (Some(3), Some(true)), "{data}");
    }
    let refused = acme.viewer.query_with(shop.orders, body.clone()).await;
    assert!(refused.number("retry-after") > 0);
    refused.error(429, "QUERY_LIMIT_EXCEEDED");
    assert_eq!(acme.developer.query_with(shop.orders, body.clone()).await.ok()["row_count"], 12);
    server.clock().advance(chrono::Duration::minutes(61));
    let viewer = server.sign_in(&acme.viewer.email).await;
    viewer.query_with(shop.orders, body).await.ok();
}

async fn a_closed_table_is_refused_and_a_closed_column_too(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let close = |name: &str, source: i64, config: Value| {
        json!({"name": name, "type": "access_control", "data_source_ids": [source], "role_ids": [acme.roles["Viewer"]],
            "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": config}]})
    };
    let table = close("No products", shop.products, json!({"table": "products"}));
    acme.admin.client.post("/api/v1/policies", table).await.created();
    let column = close("No salaries", shop.crm, json!({"table": "customers", "columns": ["salary"]}));
    acme.admin.client.post("/api/v1/policies", column).await.created();

    let refused = acme.viewer.query_with(shop.products, json!({"query": "SELECT 1 FROM products"})).await;
    refused.error(403, "POLICY_DENIED");
    acme.developer.query(shop.products, "SELECT * FROM products").await;
    let answer = acme.viewer.query_with(shop.crm, json!({"query": "SELECT salary FROM customers"})).await;
    assert!([400, 403].contains(&answer.status.as_u16()), "{answer:?}");
    let data = acme.viewer.query(shop.crm, "SELECT * FROM customers").await;
    assert!(!data["columns"].to_string().contains("salary"), "{data}");
}

async fn a_filter_without_its_attribute_shows_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    // For everybody, and neither Owner nor Admin has a region.
    let policy = json!({"name": "Own region", "type": "row_level_security", "data_source_ids": [shop.orders],
        "rules": [{"rule_name": "r", "rule_type": "filter_rows",
            "rule_config": {"table": "orders", "condition": "region = current_user_region"}}]});
    acme.admin.client.post("/api/v1/policies", policy).await.created();
    for person in [&acme.owner, &acme.admin] {
        assert_eq!(person.value(shop.orders, "SELECT count(*) FROM orders").await, 0);
    }
    assert_eq!(acme.viewer.value(shop.orders, "SELECT count(*) FROM orders").await, 4);
}

async fn a_policy_that_cannot_be_applied_refuses(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for (name, kind, rule) in [
        (
            "No such column",
            "row_level_security",
            json!({"rule_name": "r", "rule_type": "filter_rows",
            "rule_config": {"table": "orders", "condition": "country = 'DE'"}}),
        ),
        (
            "No number",
            "data_masking",
            json!({"rule_name": "r", "rule_type": "mask_column",
            "rule_config": {"table": "customers", "column": "name", "masking_function": "round_number",
                "options": {"to": 10}}}),
        ),
    ] {
        let source = if kind == "data_masking" { shop.crm } else { shop.orders };
        // Bound to the source it is refused at once; bound to people it may be for any source, and closes the table.
        let policy = json!({"name": name, "type": kind, "data_source_ids": [source], "rules": [rule]});
        acme.admin.client.post("/api/v1/policies", policy).await.error(422, "VALIDATION_ERROR");
        let policy = json!({"name": name, "type": kind, "role_ids": [acme.roles["Viewer"]], "rules": [rule]});
        acme.admin.client.post("/api/v1/policies", policy).await.created();
    }
    let orders = json!({"query": "SELECT count(*) FROM orders"});
    acme.viewer.query_with(shop.orders, orders).await.error(403, "POLICY_DENIED");
    let customers = json!({"query": "SELECT id FROM customers"});
    acme.viewer.query_with(shop.crm, customers).await.error(403, "POLICY_DENIED");
}

async fn what_goes_wrong_names_no_hidden_column(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    // More digits than a number without a scale is read with.
    database.execute("CREATE TABLE notes (grade numeric, note text); INSERT INTO notes VALUES (1e30, 'Hello')").await;
    let source = acme.admin.register(database.source("Warehouse")).await;
    assert_eq!(acme.admin.checked(source).await["status"], "active");
    let policy = |name: &str, kind: &str, rule_type: &str, config: Value| {
        json!({"name": name, "type": kind, "data_source_ids": [source], "role_ids": [acme.roles["Viewer"]],
            "rules": [{"rule_name": "r", "rule_type": rule_type, "rule_config": config}]})
    };
    let expression = "CASE WHEN grade > 5 THEN lower(note) ELSE NULL END";
    let mask = json!({"table": "notes", "column": "note", "masking_function": "expression",
        "options": {"expression": expression}});
    let hidden = json!({"table": "notes", "columns": ["grade"]});
    for policy in [
        policy("By grade", "data_masking", "mask_column", mask),
        policy("No grades", "access_control", "deny_access", hidden),
    ] {
        acme.admin.client.post("/api/v1/policies", policy).await.created();
    }
    let query = |column: &str| json!({"query": format!("SELECT {column} FROM notes")});
    let told = acme.developer.query_with(source, query("grade")).await.error(422, "UNREADABLE_FILE");
    assert!(told["message"].as_str().unwrap().contains("grade"), "{told}");
    // Nor one whose name somebody has guessed.
    for column in ["note", "note AS grade"] {
        let told = acme.viewer.query_with(source, query(column)).await.error(422, "UNREADABLE_FILE");
        assert!(!told.to_string().contains("grade"), "{column}: {told}");
    }
    database.remove().await;
}
