//! `POST /api/v1/policies/explain`

use rivergen_tests::{Organization, Person, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    it_names_each_policy_and_what_it_does;
    the_filter_itself_is_for_administrators;
    a_hidden_column_is_like_one_that_does_not_exist;
    a_closed_table_says_by_what;
    a_closed_table_names_no_columns;
    a_missing_attribute_is_named;
    what_is_not_governed_has_no_effects;
    anothers_is_not_found;
    who_may_not_is_refused;
}

const PATH: &str = "/api/v1/policies/explain";

async fn explain(person: &Person, source: i64, table: &str, column: Option<&str>) -> Value {
    person.client.post(PATH, json!({"data_source_id": source, "table": table, "column": column})).await.ok()
}

async fn governed(server: &Server) -> (Organization, Shop, Vec<i64>) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let made = acme.govern(&shop).await;
    (acme, shop, made)
}

fn told(data: &Value) -> Vec<(&str, Option<&str>)> {
    let effects = data["effects"].as_array().unwrap();
    effects.iter().map(|effect| (effect["effect"].as_str().unwrap(), effect["column"].as_str())).collect()
}

async fn deny(acme: &Organization, shop: &Shop, config: Value) {
    let body = json!({"name": "Closed", "type": "access_control", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Viewer"], acme.roles["Developer"]],
        "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": config}]});
    acme.admin.client.post("/api/v1/policies", body).await.created();
}

async fn it_names_each_policy_and_what_it_does(server: &Server) {
    let (acme, shop, made) = governed(server).await;
    let data = explain(&acme.viewer, shop.crm, "Customers", None).await;
    assert_eq!(
        (&data["table"], &data["visible"], &data["rows_filtered"]),
        (&json!("crm.main.customers"), &json!(true), &json!(true))
    );
    let masks =
        [("masks_column", Some("card_number")), ("masks_column", Some("email")), ("masks_column", Some("salary"))];
    assert_eq!(told(&data), [masks.as_slice(), &[("filters_rows", None)]].concat());
    assert_eq!(data["effects"][0]["policy"], json!({"policy_id": made[3], "policy_name": "Viewers"}));
    let data = explain(&acme.viewer, shop.crm, "main.customers", Some("EMAIL")).await;
    assert_eq!((&data["column"], &data["visible"]), (&json!("email"), &json!(true)));
    assert_eq!(told(&data), [("masks_column", Some("email")), ("filters_rows", None)]);
}

async fn the_filter_itself_is_for_administrators(server: &Server) {
    let (acme, shop, _) = governed(server).await;
    let data = explain(&acme.viewer, shop.crm, "customers", None).await;
    assert!(data["effects"].as_array().unwrap().iter().all(|effect| effect["condition"].is_null()), "{data}");
    assert!(!data.to_string().contains("current_user") && !data.to_string().contains("'US'"), "{data}");
    let data = explain(&acme.developer, shop.crm, "customers", Some("name")).await;
    assert_eq!(data["effects"][0]["condition"], "region = current_user_region");
}

async fn a_hidden_column_is_like_one_that_does_not_exist(server: &Server) {
    let (acme, shop, _) = governed(server).await;
    deny(&acme, &shop, json!({"table": "customers", "columns": ["salary"]})).await;
    // What is asked is said back as it was written, in whatever case.
    for (asked, unknown) in [("salary", "nosuch"), ("SALARY", "NOSUCH"), ("Salary", "Nosuch")] {
        let hidden = explain(&acme.viewer, shop.crm, "customers", Some(asked)).await;
        let unknown = explain(&acme.viewer, shop.crm, "customers", Some(unknown)).await;
        assert_eq!((&hidden["visible"], &hidden["column"]), (&json!(false), &json!(asked)));
        assert_eq!(told(&hidden), [("hides_column", None), ("filters_rows", None)]);
        let renamed = hidden.to_string().replace(asked, unknown["column"].as_str().unwrap());
        assert_eq!(renamed, unknown.to_string());
    }
    // Who may read policies is told which.
    let data = explain(&acme.developer, shop.crm, "customers", Some("salary")).await;
    assert_eq!((&data["visible"], told(&data)[0]), (&json!(false), ("hides_column", Some("salary"))));
    let body = json!({"data_source_id": shop.crm, "table": "customers", "column": "no_such_column"});
    acme.developer.client.post(PATH, body).await.error(404, "NOT_FOUND");
}

async fn a_closed_table_says_by_what(server: &Server) {
    let (acme, shop, _) = governed(server).await;
    deny(&acme, &shop, json!({"table": "customers"})).await;
    let data = explain(&acme.viewer, shop.crm, "customers", None).await;
    assert_eq!((&data["visible"], told(&data)[0]), (&json!(false), ("closes_table", None)));
    assert_eq!(data["effects"][0]["policy"]["policy_name"], "Closed");
}

async fn a_closed_table_names_no_columns(server: &Server) {
    let (acme, shop, _) = governed(server).await;
    deny(&acme, &shop, json!({"table": "customers"})).await;
    let whole = explain(&acme.viewer, shop.crm, "customers", None).await;
    assert_eq!((told(&whole), &whole["rows_filtered"]), (vec![("closes_table", None)], &json!(false)));
    // A masked one, one without a policy and none at all are the same to them.
    for column in ["EMAIL", "email", "name", "nosuch"] {
        let data = explain(&acme.viewer, shop.crm, "customers", Some(column)).await;
        assert_eq!(
            (&data["column"], &data["visible"], &data["effects"]),
            (&json!(column), &json!(false), &whole["effects"])
        );
    }
    let data = explain(&acme.developer, shop.crm, "customers", Some("EMAIL")).await;
    assert_eq!(told(&data)[1], ("masks_column", Some("email")));
}

async fn a_missing_attribute_is_named(server: &Server) {
    let (acme, shop, made) = governed(server).await;
    let path = format!("/api/v1/policies/{}/assignments", made[1]);
    acme.admin.client.post(&path, json!({"user_id": acme.owner.id})).await.created();
    let data = explain(&acme.owner, shop.crm, "customers", None).await;
    assert_eq!(told(&data), [("hides_all_rows", None)]);
    let said = data["effects"][0]["explanation"].as_str().unwrap();
    assert!(said.contains("asks for your region"), "{said}");
}

async fn what_is_not_governed_has_no_effects(server: &Server) {
    let (acme, shop, _) = governed(server).await;
    let data = explain(&acme.viewer, shop.products, "products", Some("price")).await;
    assert_eq!((&data["visible"], &data["effects"]), (&json!(true), &json!([])));
    assert_eq!(data["limits"], json!({"max_rows": null, "max_execution_seconds": null, "max_queries_per_hour": null}));
}

async fn anothers_is_not_found(server: &Server) {
    let (acme, shop, _) = governed(server).await;
    let globex = server.organization("Globex").await;
    let body = json!({"data_source_id": shop.crm, "table": "customers"});
    globex.owner.client.post(PATH, body).await.error(404, "NOT_FOUND");
    let body = json!({"data_source_id": shop.crm, "table": "no_such_table"});
    acme.viewer.client.post(PATH, body).await.error(404, "NOT_FOUND");
}

async fn who_may_not_is_refused(server: &Server) {
    let (_, shop, _) = governed(server).await;
    let body = json!({"data_source_id": shop.crm, "table": "customers"});
    server.anonymous().post(PATH, body).await.error(401, "UNAUTHORIZED");
}
