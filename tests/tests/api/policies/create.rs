//! `POST /api/v1/policies`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_policy_governs_the_next_query;
    each_kind_of_rule_is_checked;
    what_is_governed_must_be_ones_own;
    who_may_not_is_refused;
    nothing_is_left_of_a_refused_one;
}

const PATH: &str = "/api/v1/policies";

fn filter(condition: &str) -> Value {
    json!({"rule_name": "r", "rule_type": "filter_rows", "rule_config": {"table": "customers", "condition": condition}})
}

async fn a_policy_governs_the_next_query(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let count = async || acme.viewer.value(shop.crm, "SELECT count(*) FROM customers").await;
    assert_eq!(count().await, 6);
    let body = json!({"name": "EU only", "description": "d", "type": "row_level_security", "priority": 5,
        "data_source_ids": [shop.crm], "role_ids": [acme.roles["Viewer"]], "rules": [filter("region = 'EU'")],
        "metadata": {"ticket": 7}});
    let data = acme.admin.client.post(PATH, body).await.created();
    assert_eq!((data["name"].as_str(), data["type"].as_str()), (Some("EU only"), Some("row_level_security")));
    assert_eq!((data["is_active"].as_bool(), data["priority"].as_i64()), (Some(true), Some(5)));
    assert_eq!(data["rules"][0]["rule_config"]["condition"], "region = 'EU'");
    assert_eq!(data["assignments"][0]["data_source_id"], shop.crm);
    assert_eq!(data["assignments"][0]["role_name"], "Viewer");
    assert_eq!(data["metadata"], json!({"ticket": 7}));
    assert_eq!(server.audited("policy.create", "success").await, 1);

    assert_eq!(count().await, 2);
    assert_eq!(acme.admin.value(shop.crm, "SELECT count(*) FROM customers").await, 6);
}

async fn each_kind_of_rule_is_checked(server: &Server) {
    let admin = server.organization("Acme").await.admin;
    let post = async |kind: &str, rule: Value| {
        admin.client.post(PATH, json!({"name": "p", "type": kind, "rules": [rule]})).await
    };
    let mask = |config: Value| json!({"rule_name": "r", "rule_type": "mask_column", "rule_config": config});
    post("row_level_security", filter("region = ")).await.invalid("rules[0].rule_config.condition");
    post("row_level_security", filter("region = (SELECT 1)")).await.invalid("rules[0].rule_config.condition");
    post("row_level_security", mask(json!({}))).await.invalid("rules[0].rule_type");
    post("data_masking", mask(json!({"column": "c", "masking_function": "blur"})))
        .await
        .invalid("rules[0].rule_config.masking_function");
    post("data_masking", mask(json!({"column": "c", "masking_function": "redact", "surprise": 1})))
        .await
        .error(422, "VALIDATION_ERROR");
    let limit = json!({"rule_name": "r", "rule_type": "limit_query", "rule_config": {"max_rows": -1}});
    post("query_limit", limit).await.invalid("rules[0].rule_config.max_rows");
    post("access_control", json!({"rule_name": "", "rule_type": "deny_access", "rule_config": {}}))
        .await
        .invalid("rules[0].rule_name");
    admin.client.post(PATH, json!({"name": "p", "type": "magic"})).await.invalid("type");
    admin.client.post(PATH, json!({"name": " ", "type": "query_limit"})).await.invalid("name");
    admin.client.post(PATH, json!({"type": "query_limit"})).await.invalid("name");
}

async fn what_is_governed_must_be_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let theirs = globex.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    for (field, id) in [
        ("data_source_ids", theirs),
        ("role_ids", globex.roles["Viewer"]),
        ("user_ids", globex.viewer.id),
        ("workspace_ids", globex.workspace_id),
        ("dataset_ids", 1),
    ] {
        let mut body = json!({"name": "p", "type": "query_limit"});
        body[field] = json!([id]);
        let error = acme.admin.client.post(PATH, body).await.error(404, "NOT_FOUND");
        assert!(error["details"][0]["field"].as_str().unwrap().starts_with(field), "{error}");
    }
    assert_eq!(server.count("SELECT count(*) FROM policies").await, 0);
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "p", "type": "query_limit"});
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    }
    server.anonymous().post(PATH, body).await.error(401, "UNAUTHORIZED");
}

async fn nothing_is_left_of_a_refused_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "p", "type": "row_level_security", "rules": [filter("region = 'EU'"), filter("=")]});
    acme.admin.client.post(PATH, body).await.error(422, "VALIDATION_ERROR");
    for table in ["policies", "policy_rules", "policy_assignments"] {
        assert_eq!(server.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}
