//! `POST /api/v1/policies/detokenize`, and the other masks that a policy may ask for, from one end to the other

use rivergen_tests::{Organization, PostgresDatabase, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_token_stands_for_its_value;
    each_use_is_on_record;
    a_token_of_another_organization_does_not_open;
    what_masks_leave_of_a_value;
    hashed_numbers_join_whatever_their_types;
    a_custom_mask_is_held_against_its_table;
    a_custom_mask_shows_nothing_that_another_policy_covers;
    who_may_not_is_refused;
}

const PATH: &str = "/api/v1/policies/detokenize";

async fn mask(acme: &Organization, shop: &Shop, column: &str, function: &str, options: Value) {
    let body = json!({"name": column, "type": "data_masking", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Viewer"], acme.roles["Developer"]], "rules": [{"rule_name": "m",
            "rule_type": "mask_column", "rule_config": {"table": "customers", "column": column,
                "masking_function": function, "options": options}}]});
    acme.admin.client.post("/api/v1/policies", body).await.created();
}

async fn token_of_ada(acme: &Organization, shop: &Shop) -> Value {
    mask(acme, shop, "email", "tokenize", json!({})).await;
    acme.viewer.value(shop.crm, "SELECT email FROM customers WHERE id = 1").await
}

async fn a_token_stands_for_its_value(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let token = token_of_ada(&acme, &shop).await;
    assert!(token.as_str().unwrap().starts_with("tok_"), "{token}");
    // Equal for everybody, so that it joins and can be looked for.
    let found = json!({"query": "SELECT id FROM customers WHERE email = $t", "parameters": {"t": token}});
    let data = acme.developer.query_with(shop.crm, found).await.ok();
    assert_eq!(data["rows"], json!([[1]]));
    let body = json!({"tokens": [token, "tok_nonsense", "ada@customers.example"], "reason": "a refund"});
    let data = acme.admin.client.post(PATH, body).await.ok();
    let values: Vec<_> = data["values"].as_array().unwrap().iter().map(|value| value["value"].clone()).collect();
    assert_eq!(values, [json!("ada@customers.example"), Value::Null, Value::Null]);
}

async fn each_use_is_on_record(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let token = token_of_ada(&acme, &shop).await;
    acme.admin.client.post(PATH, json!({"tokens": [token], "reason": "a refund"})).await.ok();
    let records = server.rows("SELECT details FROM audit_log WHERE action = 'policy.detokenize'").await;
    let details = records[0]["details"].to_string();
    assert!(details.contains("a refund") && !details.contains("ada@"), "{details}");
    acme.admin.client.post(PATH, json!({"tokens": [token]})).await.invalid("reason");
    acme.admin.client.post(PATH, json!({"tokens": [], "reason": "a refund"})).await.invalid("tokens");
    acme.admin.client.post(PATH, json!({"tokens": vec!["x"; 101], "reason": "a refund"})).await.invalid("tokens");
}

async fn a_token_of_another_organization_does_not_open(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let token = token_of_ada(&acme, &shop).await;
    let data = globex.owner.client.post(PATH, json!({"tokens": [token], "reason": "a refund"})).await.ok();
    assert_eq!(data["values"][0]["value"], Value::Null);
}

async fn what_masks_leave_of_a_value(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    mask(&acme, &shop, "card_number", "card", json!({"keep_first": 4})).await;
    mask(&acme, &shop, "salary", "bucket", json!({"bounds": [53000, 55000]})).await;
    let own = "CASE WHEN region = current_user_region THEN email ELSE left(email, 1) || '…' END";
    mask(&acme, &shop, "email", "expression", json!({"expression": own})).await;
    let sql = "SELECT card_number, salary, email FROM customers WHERE id < 3 ORDER BY id";
    let of_viewer = acme.viewer.query(shop.crm, sql).await;
    assert_eq!(
        of_viewer["rows"],
        json!([
            ["4000********1111", "under 53000", "a…"],
            ["4000********2222", "53000 to under 55000", "ben@customers.example"]
        ])
    );
    assert!(of_viewer["columns"].as_array().unwrap().iter().all(|column| column["masked"] == true), "{of_viewer}");
    let of_developer = acme.developer.query(shop.crm, sql).await;
    assert_eq!(of_developer["rows"][0][2], "ada@customers.example");
    // Nobody without the attribute is shown anything.
    let body = json!({"role_id": acme.roles["Owner"]});
    let policies = acme.admin.client.get("/api/v1/policies?search=email").await.ok();
    let path = format!("/api/v1/policies/{}/assignments", policies["items"][0]["id"]);
    acme.admin.client.post(&path, body).await.created();
    assert_eq!(acme.owner.value(shop.crm, "SELECT count(email) FROM customers").await, 0);
}

async fn hashed_numbers_join_whatever_their_types(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database
        .execute(
            "CREATE TABLE prices (n numeric(20, 6)); CREATE TABLE counts (n bigint); CREATE TABLE weights (n float8); \
            INSERT INTO prices VALUES (5), (7.5), (0), (0.000001); INSERT INTO counts VALUES (5), (7), (0); \
            INSERT INTO weights VALUES (5), (7.5), ('-0'), (1e-6), (8)",
        )
        .await;
    let source = acme.admin.register(database.source("W")).await;
    acme.admin.checked(source).await;
    let body = json!({"name": "n", "type": "data_masking", "data_source_ids": [source], "role_ids": [acme.roles["Viewer"]],
        "rules": [{"rule_name": "m", "rule_type": "mask_column",
            "rule_config": {"column": "n", "masking_function": "hash"}}]});
    acme.admin.client.post("/api/v1/policies", body).await.created();
    for (a, b, rows) in [("prices", "counts", 2), ("prices", "weights", 4), ("counts", "weights", 2)] {
        let joined = format!("SELECT count(*) FROM {a} JOIN {b} ON {a}.n = {b}.n");
        assert_eq!(acme.viewer.value(source, &joined).await, rows, "{joined}");
    }
    database.remove().await;
}

async fn a_custom_mask_is_held_against_its_table(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let post = async |expression: &str| {
        let body = json!({"name": "p", "type": "data_masking", "data_source_ids": [shop.crm], "rules": [{
            "rule_name": "m", "rule_type": "mask_column", "rule_config": {"table": "customers", "column": "salary",
                "masking_function": "expression", "options": {"expression": expression}}}]});
        acme.admin.client.post("/api/v1/policies", body).await
    };
    post("1 / salary").await.invalid("rules[0].rule_config.options.expression");
    post("CASE WHEN salary > 'much' THEN salary END").await.invalid("rules[0].rule_config.column");
    post("no_such_column").await.invalid("rules[0].rule_config.column");
    post("CASE WHEN salary > 50000 THEN 50000 ELSE salary END").await.created();
}

async fn a_custom_mask_shows_nothing_that_another_policy_covers(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    mask(&acme, &shop, "email", "expression", json!({"expression": "coalesce(card_number, email)"})).await;
    let cards = "SELECT count(*) FROM customers WHERE email LIKE '4000%'";
    assert!(acme.viewer.value(shop.crm, cards).await.as_i64().unwrap() > 0);
    mask(&acme, &shop, "card_number", "redact", json!({})).await;
    assert_eq!(acme.viewer.value(shop.crm, cards).await, 0);
    assert_eq!(acme.viewer.value(shop.crm, "SELECT count(email) FROM customers").await, 0);
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"tokens": ["tok_x"], "reason": "a refund"});
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    }
    server.anonymous().post(PATH, body).await.error(401, "UNAUTHORIZED");
}
