//! `POST /api/v1/policies/{policy_id}/assignments`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    an_assigned_policy_governs_the_next_query;
    an_assignment_is_made_once;
    at_least_one_target_is_needed;
    a_rule_that_does_not_fit_the_source_is_refused;
    policy_and_targets_must_be_ones_own;
    who_may_not_is_refused;
}

async fn policy(acme: &rivergen_tests::Organization) -> String {
    let rule = json!({"rule_name": "r", "rule_type": "filter_rows", "rule_config": {"condition": "region = 'EU'"}});
    let body = json!({"name": "p", "type": "row_level_security", "rules": [rule]});
    let data = acme.admin.client.post("/api/v1/policies", body).await.created();
    format!("/api/v1/policies/{}/assignments", data["id"])
}

async fn an_assigned_policy_governs_the_next_query(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = policy(&acme).await;
    let count = async || acme.viewer.value(shop.crm, "SELECT count(*) FROM customers").await;
    assert_eq!(count().await, 6);
    let body = json!({"user_id": acme.viewer.id, "data_source_id": shop.crm});
    let data = acme.admin.client.post(&path, body).await.created();
    assert_eq!((data["user_id"].as_i64(), data["data_source_id"].as_i64()), (Some(acme.viewer.id), Some(shop.crm)));
    assert_eq!((data["is_active"].as_bool(), data["applied_by_user_id"].as_i64()), (Some(true), Some(acme.admin.id)));
    assert_eq!(count().await, 2);
    assert_eq!(acme.developer.value(shop.crm, "SELECT count(*) FROM customers").await, 6);
    // All ids must match: the orders are not governed.
    assert_eq!(acme.viewer.value(shop.orders, "SELECT count(*) FROM orders").await, 12);
    assert_eq!(server.audited("policy.assign", "success").await, 1);
}

async fn an_assignment_is_made_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = policy(&acme).await;
    let body = json!({"role_id": acme.roles["Viewer"]});
    acme.admin.client.post(&path, body.clone()).await.created();
    acme.admin.client.post(&path, body).await.error(409, "ASSIGNMENT_EXISTS");
    assert_eq!(server.count("SELECT count(*) FROM policy_assignments").await, 1);
}

async fn at_least_one_target_is_needed(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = policy(&acme).await;
    acme.admin.client.post(&path, json!({})).await.error(400, "BAD_REQUEST");
    acme.admin.client.post(&path, json!({"role_id": "x"})).await.invalid("role_id");
}

/// A policy that is made before anybody says for which source is held against the source when it is.
async fn a_rule_that_does_not_fit_the_source_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let make = async |name: &str, conditions: &[(&str, &str)]| {
        let rules: Vec<Value> = conditions
            .iter()
            .map(|(table, condition)| {
                json!({"rule_name": table, "rule_type": "filter_rows",
                    "rule_config": {"table": table, "condition": condition}})
            })
            .collect();
        let body = json!({"name": name, "type": "row_level_security", "rules": rules});
        let made = acme.admin.client.post("/api/v1/policies", body).await.created();
        format!("/api/v1/policies/{}/assignments", made["id"])
    };
    let crm = json!({"data_source_id": shop.crm, "role_id": acme.roles["Viewer"]});
    for conditions in [
        [("customers", "country = 'DE'")].as_slice(),
        [("customers", "salary = 'much'")].as_slice(),
        [("nothing", "region = 'EU'")].as_slice(),
    ] {
        let path = make("does not fit", conditions).await;
        acme.admin.client.post(&path, crm.clone()).await.invalid("data_source_id");
        // Bound to people it is for whatever source has such a table.
        acme.admin.client.post(&path, json!({"user_id": acme.owner.id})).await.created();
    }
    // One for two sources is bound to one after the other.
    let path = make("fits", &[("customers", "region = 'EU'"), ("orders", "region = 'EU'")]).await;
    acme.admin.client.post(&path, crm).await.created();
    acme.admin.client.post(&path, json!({"data_source_id": shop.orders})).await.created();
    assert_eq!(acme.viewer.value(shop.crm, "SELECT count(*) FROM customers").await, 2);
}

async fn policy_and_targets_must_be_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let path = policy(&acme).await;
    let theirs = globex.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    for (field, id) in [
        ("data_source_id", theirs),
        ("role_id", globex.roles["Viewer"]),
        ("user_id", globex.viewer.id),
        ("workspace_id", globex.workspace_id),
        ("dataset_id", 1),
        ("query_id", 1),
    ] {
        let mut body = json!({});
        body[field] = Value::from(id);
        acme.admin.client.post(&path, body).await.error(404, "NOT_FOUND");
    }
    let body = json!({"role_id": globex.roles["Viewer"]});
    globex.owner.client.post(&path, body).await.error(404, "NOT_FOUND");
    assert_eq!(server.count("SELECT count(*) FROM policy_assignments").await, 0);
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = policy(&acme).await;
    let body = json!({"role_id": acme.roles["Viewer"]});
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path, body.clone()).await.error(403, "FORBIDDEN");
    }
    server.anonymous().post(&path, body).await.error(401, "UNAUTHORIZED");
}
