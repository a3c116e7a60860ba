//! `PATCH /api/v1/policies/{policy_id}`

use rivergen_tests::{Organization, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    what_is_sent_changes_and_the_rest_stays;
    the_next_query_is_governed_by_what_stands_now;
    rules_are_replaced_as_a_whole;
    rules_are_held_against_the_discovered_tables;
    of_two_changes_of_one_version_the_second_is_refused;
    what_a_policy_is_about_is_fixed;
    anothers_is_not_found;
    who_may_not_is_refused;
}

fn filter(condition: &str) -> Value {
    json!({"rule_name": "region", "rule_type": "filter_rows",
        "rule_config": {"table": "customers", "condition": condition}})
}

/// Viewers see the customers of the EU.
async fn eu_only(acme: &Organization, shop: &Shop) -> String {
    let body = json!({"name": "EU only", "description": "d", "type": "row_level_security", "priority": 5,
        "data_source_ids": [shop.crm], "role_ids": [acme.roles["Viewer"]], "rules": [filter("region = 'EU'")],
        "metadata": {"ticket": 7}});
    format!("/api/v1/policies/{}", acme.admin.client.post("/api/v1/policies", body).await.created()["id"])
}

async fn count(acme: &Organization, shop: &Shop) -> Value {
    acme.viewer.value(shop.crm, "SELECT count(*) FROM customers").await
}

async fn what_is_sent_changes_and_the_rest_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    let before = acme.admin.client.get(&path).await.ok();
    server.clock().advance(chrono::Duration::minutes(1));
    let data = acme.owner.client.patch(&path, json!({"name": " Europe ", "priority": 9})).await.ok();
    assert_eq!((data["name"].as_str(), data["priority"].as_i64()), (Some("Europe"), Some(9)));
    assert_eq!((data["version"].as_i64(), data["updated_by_user_id"].as_i64()), (Some(2), Some(acme.owner.id)));
    assert_ne!(data["updated_at"], before["updated_at"]);
    for field in [
        "id",
        "organization_id",
        "workspace_id",
        "description",
        "type",
        "is_active",
        "metadata",
        "rules",
        "assignments",
        "created_at",
        "created_by_user_id",
    ] {
        assert_eq!(data[field], before[field], "{field}");
    }
    assert_eq!(acme.admin.client.get(&path).await.ok(), data);
    assert_eq!(server.audited("policy.update", "success").await, 1);

    let data = acme.admin.client.patch(&path, json!({"description": null, "metadata": {}})).await.ok();
    assert_eq!((&data["description"], &data["metadata"]), (&Value::Null, &json!({})));
    // What changes nothing makes no version.
    let data = acme.admin.client.patch(&path, json!({"name": "Europe"})).await.ok();
    assert_eq!(data["version"], 3);
    assert_eq!(server.audited("policy.update", "success").await, 2);
}

async fn the_next_query_is_governed_by_what_stands_now(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    assert_eq!(count(&acme, &shop).await, 2);
    acme.admin.client.patch(&path, json!({"is_active": false})).await.ok();
    assert_eq!(count(&acme, &shop).await, 6);
    acme.admin.client.patch(&path, json!({"is_active": true, "rules": [filter("region <> 'EU'")]})).await.ok();
    assert_eq!(count(&acme, &shop).await, 4);
}

async fn rules_are_replaced_as_a_whole(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    let mut second = filter("salary > 55000");
    second["rule_name"] = json!("well paid");
    let mut off = filter("region = 'nowhere'");
    off["is_active"] = json!(false);
    let data = acme.admin.client.patch(&path, json!({"rules": [filter("region <> 'EU'"), second, off]})).await.ok();
    let names: Vec<_> = data["rules"].as_array().unwrap().iter().map(|rule| rule["rule_name"].clone()).collect();
    assert_eq!(names, ["region", "well paid", "region"]);
    assert_eq!(count(&acme, &shop).await, 2);
    assert_eq!(server.count("SELECT count(*) FROM policy_rules").await, 3);
    acme.admin.client.patch(&path, json!({"rules": []})).await.ok();
    assert_eq!(count(&acme, &shop).await, 6);
    assert_eq!(server.count("SELECT count(*) FROM policy_rules").await, 0);
}

async fn rules_are_held_against_the_discovered_tables(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    let rule = |table: &str, condition: &str| json!({"rule_name": "r", "rule_type": "filter_rows", "rule_config": {"table": table, "condition": condition}});
    for (rule, field) in [
        (rule("customers", "salary = 'much'"), "rules[0].rule_config.condition"),
        (rule("customers", "no_such_column = 1"), "rules[0].rule_config.condition"),
        (rule("no_such_table", "region = 'EU'"), "rules[0].rule_config.table"),
        (rule("customers", "region = "), "rules[0].rule_config.condition"),
    ] {
        acme.admin.client.patch(&path, json!({"rules": [rule]})).await.invalid(field);
        let body = json!({"name": "p", "type": "row_level_security", "data_source_ids": [shop.crm], "rules": [rule]});
        acme.admin.client.post("/api/v1/policies", body).await.invalid(field);
    }
    let mask = |column: &str| {
        json!({"name": "p", "type": "data_masking", "data_source_ids": [shop.crm], "rules": [{"rule_name": "m",
            "rule_type": "mask_column", "rule_config": {"table": "customers", "column": column,
                "masking_function": "round_number", "options": {"to": 10}}}]})
    };
    acme.admin.client.post("/api/v1/policies", mask("name")).await.invalid("rules[0].rule_config.column");
    acme.admin.client.post("/api/v1/policies", mask("salary")).await.created();
    // Nothing of the refused ones is left, and what stood still stands.
    assert_eq!(count(&acme, &shop).await, 2);
    assert_eq!(acme.admin.client.get(&path).await.ok()["version"], 1);
}

async fn of_two_changes_of_one_version_the_second_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    acme.admin.client.patch(&path, json!({"priority": 1, "version": 1})).await.ok();
    acme.owner.client.patch(&path, json!({"priority": 2, "version": 1})).await.error(409, "CONFLICT");
    acme.owner.client.patch(&path, json!({"priority": 2, "version": 2})).await.ok();
}

async fn what_a_policy_is_about_is_fixed(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    for (body, field) in [
        (json!({"type": "data_masking"}), "type"),
        (json!({"workspace_id": acme.workspace_id}), "workspace_id"),
        (json!({"name": " "}), "name"),
        (json!({"priority": -1}), "priority"),
        (json!({"rules": [{"rule_name": "m", "rule_type": "mask_column", "rule_config": {}}]}), "rules[0].rule_type"),
    ] {
        acme.admin.client.patch(&path, body).await.invalid(field);
    }
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    globex.owner.client.patch(&path, json!({"is_active": false})).await.error(404, "NOT_FOUND");
    let role = json!({"name": "p", "type": "data_masking"});
    let id = acme.admin.client.post("/api/v1/policies", role).await.created()["id"].clone();
    let rule = json!({"rule_name": "m", "rule_type": "mask_column", "rule_config": {"column": "email",
        "masking_function": "redact", "unless_role_ids": [globex.roles["Viewer"]]}});
    let answer = acme.admin.client.patch(&format!("/api/v1/policies/{id}"), json!({"rules": [rule]})).await;
    let error = answer.error(404, "NOT_FOUND");
    assert_eq!(error["details"][0]["field"], "rules[0].rule_config.unless_role_ids[0]");
    assert_eq!(count(&acme, &shop).await, 2);
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.patch(&path, json!({"is_active": false})).await.error(403, "FORBIDDEN");
    }
    server.anonymous().patch(&path, json!({"is_active": false})).await.error(401, "UNAUTHORIZED");
}
