//! `POST /api/v1/policies/simulate`

use rivergen_tests::{Answer, Organization, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    it_tells_what_somebody_sees;
    it_compares_with_a_change;
    a_sample_is_what_the_person_gets;
    a_sample_never_tells_more_than_the_caller_may_see;
    nothing_is_changed_by_it;
    a_faulty_draft_names_its_field;
    anothers_is_not_found;
    who_may_not_is_refused;
}

const PATH: &str = "/api/v1/policies/simulate";

async fn governed(server: &Server) -> (Organization, Shop, Vec<i64>) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let made = acme.govern(&shop).await;
    (acme, shop, made)
}

async fn simulate(acme: &Organization, shop: &Shop, more: Value) -> Answer {
    let mut body = json!({"user_id": acme.developer.id, "data_source_id": shop.crm, "table": "customers"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    acme.admin.client.post(PATH, body).await
}

async fn it_tells_what_somebody_sees(server: &Server) {
    let (acme, shop, made) = governed(server).await;
    let data = simulate(&acme, &shop, json!({})).await.ok();
    assert_eq!((data["may_query"].as_bool(), data["total_tables"].as_i64()), (Some(true), Some(1)));
    let table = &data["tables"][0];
    assert_eq!((&table["table"], &table["changed"]), (&json!("crm.main.customers"), &json!(false)));
    let before = &table["before"];
    assert_eq!(before, &table["after"]);
    assert_eq!(before["allowed"], true);
    let filter = &before["row_filters"][0];
    assert_eq!(filter["policy_id"], made[1]);
    assert_eq!(filter["policy_name"], "Customers of the own region");
    assert_eq!(filter["condition"], "region = current_user_region");
    assert_eq!((&filter["in_words"], &filter["hides_all_rows"]), (&json!("region is 'EU'"), &json!(false)));
    let masked: Vec<_> = before["masked_columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mask| (mask["column"].as_str().unwrap(), mask["masking_function"].as_str().unwrap()))
        .collect();
    assert_eq!(masked, [("card_number", "partial"), ("email", "email"), ("salary", "round_number")]);
    assert_eq!(before["masked_columns"][0]["in_words"], "all but the last 4 characters are hidden");
    // Somebody who lacks the attribute sees no row.
    let body = json!({"user_id": acme.owner.id, "data_source_id": shop.crm,
        "changes": {"add_policy_ids": [made[1]]}});
    let data = acme.admin.client.post(PATH, body).await.ok();
    assert_eq!(data["tables"][0]["before"]["row_filters"], json!([]));
    assert_eq!(data["tables"][0]["after"]["row_filters"][0]["hides_all_rows"], true);
}

async fn it_compares_with_a_change(server: &Server) {
    let (acme, shop, made) = governed(server).await;
    let draft = json!({"name": "No salaries", "type": "access_control", "rules": [{"rule_name": "r",
        "rule_type": "deny_access", "rule_config": {"table": "customers", "columns": ["salary"]}}]});
    let changes = json!({"changes": {"remove_policy_ids": [made[1]], "drafts": [draft]}});
    let data = simulate(&acme, &shop, changes).await.ok();
    let table = &data["tables"][0];
    assert_eq!(table["changed"], true);
    assert_eq!(table["before"]["row_filters"].as_array().unwrap().len(), 1);
    assert_eq!(table["after"]["row_filters"], json!([]));
    assert_eq!(table["before"]["hidden_columns"], json!([]));
    let hidden = json!([{"column": "salary", "policy": {"policy_id": null, "policy_name": "No salaries"}}]);
    assert_eq!(table["after"]["hidden_columns"], hidden);
    let deny = json!({"name": "Closed", "type": "access_control",
        "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": {}}]});
    let data = simulate(&acme, &shop, json!({"changes": {"drafts": [deny]}})).await.ok();
    let after = &data["tables"][0]["after"];
    assert_eq!(
        (after["allowed"].as_bool(), after["denied_because"].as_str()),
        (Some(false), Some("The policy “Closed” closes the table."))
    );
}

async fn a_sample_is_what_the_person_gets(server: &Server) {
    let (acme, shop, made) = governed(server).await;
    let changes = json!({"remove_policy_ids": [made[1]]});
    let data = simulate(&acme, &shop, json!({"sample_rows": 3, "changes": changes})).await.ok();
    let sample = &data["sample"];
    assert_eq!(data["sample_refused_because"], Value::Null);
    assert_eq!((&sample["before"]["row_count"], &sample["after"]["row_count"]), (&json!(2), &json!(6)));
    assert_eq!(sample["after"]["rows"].as_array().unwrap().len(), 3);
    let theirs = acme.developer.query(shop.crm, "SELECT * FROM customers").await;
    assert_eq!(sample["before"]["rows"], theirs["rows"]);
    assert_eq!(sample["before"]["columns"], theirs["columns"]);
    assert_eq!(server.audited("policy.sample_as", "success").await, 1);
    // On record as the administrator's, and as no evaluation.
    let runs = format!("SELECT count(*) FROM query_runs WHERE user_id = {} AND status = 'succeeded'", acme.admin.id);
    assert_eq!(server.count(&runs).await, 4);
    let evaluations = "SELECT count(*) FROM policy_evaluations WHERE user_id <> ".to_owned();
    assert_eq!(server.count(&format!("{evaluations}{}", acme.developer.id)).await, 0);
    let unnamed = json!({"user_id": acme.developer.id, "data_source_id": shop.crm, "sample_rows": 1});
    assert!(acme.admin.client.post(PATH, unnamed).await.ok()["sample"].is_object());
}

async fn a_sample_never_tells_more_than_the_caller_may_see(server: &Server) {
    let (acme, shop, made) = governed(server).await;
    let own = |name: &str, kind: &str, rule: Value| json!({"name": name, "type": kind, "data_source_ids": [shop.crm], "user_ids": [acme.admin.id], "rules": [rule]});
    let mask = json!({"rule_name": "r", "rule_type": "mask_column",
        "rule_config": {"table": "customers", "column": "salary", "masking_function": "hash"}});
    let filter = json!({"rule_name": "r", "rule_type": "filter_rows",
        "rule_config": {"table": "customers", "condition": "region = 'APAC'"}});
    let hide = json!({"rule_name": "r", "rule_type": "deny_access",
        "rule_config": {"table": "customers", "columns": ["name"]}});
    let close = json!({"rule_name": "r", "rule_type": "deny_access", "rule_config": {"table": "customers"}});
    for (kind, rule, reason) in [
        ("data_masking", mask.clone(), "masked for you"),
        ("row_level_security", filter, "different rows"),
        ("access_control", hide, "hidden from you"),
        ("access_control", close, "may not read"),
    ] {
        let id = acme.admin.client.post("/api/v1/policies", own("mine", kind, rule)).await.created()["id"].clone();
        // Neither as the person is governed, nor with the policies taken away.
        for changes in [json!({}), json!({"remove_policy_ids": made})] {
            let data = simulate(&acme, &shop, json!({"sample_rows": 5, "changes": changes})).await.ok();
            assert_eq!(data["sample"], Value::Null, "{kind}");
            let said = data["sample_refused_because"].as_str().unwrap();
            assert!(said.contains(reason), "{said}");
            // What policies do is told all the same.
            assert_eq!(data["tables"][0]["before"]["allowed"], true);
        }
        acme.admin.client.delete(&format!("/api/v1/policies/{id}")).await.ok();
    }
    // A filter over what is masked for the caller would tell of it by which rows come.
    acme.admin.client.post("/api/v1/policies", own("mine", "data_masking", mask)).await.created();
    let probe = json!({"name": "probe", "type": "row_level_security", "rules": [{"rule_name": "r",
        "rule_type": "filter_rows", "rule_config": {"condition": "salary > 54000"}}]});
    let redacted = json!({"name": "cover", "type": "data_masking", "rules": [{"rule_name": "r",
        "rule_type": "mask_column", "rule_config": {"column": "salary", "masking_function": "null_value"}}]});
    let cover = json!({"sample_rows": 5, "user_id": acme.viewer.id, "changes": {"drafts": [redacted]}});
    assert!(simulate(&acme, &shop, cover).await.ok()["sample"].is_object());
    let probing = json!({"sample_rows": 5, "user_id": acme.viewer.id, "changes": {"drafts": [redacted, probe]}});
    let data = simulate(&acme, &shop, probing).await.ok();
    assert!(data["sample_refused_because"].as_str().unwrap().contains("depends on columns"), "{data}");
}

async fn nothing_is_changed_by_it(server: &Server) {
    let (acme, shop, made) = governed(server).await;
    let before = server.count("SELECT count(*) FROM policies").await;
    let changes = json!({"changes": {"remove_policy_ids": made}});
    simulate(&acme, &shop, changes).await.ok();
    assert_eq!(server.count("SELECT count(*) FROM policies").await, before);
    assert_eq!(acme.developer.value(shop.crm, "SELECT count(*) FROM customers").await, 2);
    assert_eq!(server.count("SELECT count(*) FROM query_runs").await, 1);
}

async fn a_faulty_draft_names_its_field(server: &Server) {
    let (acme, shop, _) = governed(server).await;
    let draft =
        |rule: Value| json!({"changes": {"drafts": [{"name": "d", "type": "row_level_security", "rules": [rule]}]}});
    let rule = |condition: &str| json!({"rule_name": "r", "rule_type": "filter_rows", "rule_config": {"condition": condition}});
    let field = "changes.drafts[0].rules[0].rule_config.condition";
    simulate(&acme, &shop, draft(rule("region ="))).await.invalid(field);
    simulate(&acme, &shop, json!({"sample_rows": 21})).await.invalid("sample_rows");
    simulate(&acme, &shop, json!({"table": "no_such_table"})).await.error(404, "NOT_FOUND");
    // One that cannot be applied closes the table, as it would.
    let data = simulate(&acme, &shop, draft(rule("salary = 1 AND no_such_column = 2"))).await.ok();
    assert_eq!(data["tables"][0]["after"]["allowed"], false);
}

async fn anothers_is_not_found(server: &Server) {
    let (acme, shop, made) = governed(server).await;
    let globex = server.organization("Globex").await;
    let theirs = json!({"user_id": globex.viewer.id});
    simulate(&acme, &shop, theirs).await.error(404, "NOT_FOUND");
    simulate(&acme, &shop, json!({"workspace_id": globex.workspace_id})).await.error(404, "NOT_FOUND");
    let body = json!({"user_id": globex.viewer.id, "data_source_id": shop.crm});
    globex.owner.client.post(PATH, body).await.error(404, "NOT_FOUND");
    let policy = json!({"name": "p", "type": "query_limit"});
    let id = globex.owner.client.post("/api/v1/policies", policy).await.created()["id"].clone();
    for field in ["add_policy_ids", "remove_policy_ids"] {
        let changes = json!({"changes": {field: [made[0], id]}});
        let error = simulate(&acme, &shop, changes).await.error(404, "NOT_FOUND");
        assert_eq!(error["details"][0]["field"], format!("changes.{field}"));
    }
}

async fn who_may_not_is_refused(server: &Server) {
    let (acme, shop, _) = governed(server).await;
    let body = json!({"user_id": acme.viewer.id, "data_source_id": shop.crm});
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    }
    server.anonymous().post(PATH, body).await.error(401, "UNAUTHORIZED");
}
