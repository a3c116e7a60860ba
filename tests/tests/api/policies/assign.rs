//! `POST /api/v1/policies/{policy_id}/assignments`

use rivergen_tests::{PostgresDatabase, Server, fixtures, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    an_assigned_policy_governs_the_next_query;
    a_policy_of_a_dataset_leaves_its_neighbours_alone;
    a_dataset_that_was_gone_is_governed_when_it_is_back;
    a_rule_for_another_table_does_not_fit_a_dataset;
    a_query_cannot_be_governed;
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

const TWO_TABLES: &str = "CREATE TABLE held (id INTEGER, region TEXT); CREATE TABLE others (id INTEGER, region TEXT); \
    INSERT INTO held VALUES (1, 'EU'), (2, 'US'); INSERT INTO others VALUES (1, 'EU'), (2, 'US');";

/// The id that a table of a source has as a dataset.
async fn dataset(acme: &rivergen_tests::Organization, source: i64, table: &str) -> i64 {
    let path = format!("/api/v1/data-sources/{source}/schemas?table_name={table}");
    let data = acme.admin.client.get(&path).await.ok();
    data["schemas"][0]["tables"][0]["dataset_id"].as_i64().unwrap()
}

async fn a_policy_of_a_dataset_leaves_its_neighbours_alone(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = acme.admin.file_source("Two", "sqlite", "two.sqlite", fixtures::sqlite(TWO_TABLES)).await;
    let held = dataset(&acme, source, "held").await;
    let path = policy(&acme).await;
    let body = json!({"dataset_id": held, "role_id": acme.roles["Viewer"]});
    let data = acme.admin.client.post(&path, body).await.created();
    assert_eq!((data["dataset_id"].as_i64(), data["dataset_name"].as_str()), (Some(held), Some("main.held")));
    let seen = async || {
        let count = async |table: &str| acme.viewer.value(source, &format!("SELECT count(*) FROM {table}")).await;
        (count("held").await, count("others").await)
    };
    assert_eq!(seen().await, (json!(1), json!(2)));
    assert_eq!(acme.developer.value(source, "SELECT count(*) FROM held").await, 2);

    let body = json!({"user_id": acme.viewer.id, "data_source_id": source});
    let simulated = acme.admin.client.post("/api/v1/policies/simulate", body).await.ok();
    let filters = simulated["tables"].as_array().unwrap().iter().map(|table| {
        let filters = table["before"]["row_filters"].as_array().unwrap().len();
        (table["table"].as_str().unwrap().rsplit_once('.').unwrap().1, filters)
    });
    assert_eq!(filters.collect::<Vec<_>>(), [("held", 1), ("others", 0)]);

    // A table that is found again is the same dataset, and no less governed.
    let discover = format!("/api/v1/data-sources/{source}/discover-schema?refresh=true");
    acme.admin.client.post_empty(&discover).await.ok();
    assert_eq!(dataset(&acme, source, "held").await, held);
    assert_eq!(seen().await, (json!(1), json!(2)));
    // The file behind the table would get around the policy.
    acme.developer.client.get(&format!("/api/v1/data-sources/{source}/file-url")).await.ok();
    acme.viewer.client.get(&format!("/api/v1/data-sources/{source}/file-url")).await.error(403, "POLICY_DENIED");
}

/// A policy is bound to a table by its name: what stands there again is governed, though discovery numbers it anew. What has
/// its name in another schema is another table.
async fn a_dataset_that_was_gone_is_governed_when_it_is_back(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    let make = "CREATE TABLE held (id int, region text); INSERT INTO held VALUES (1, 'EU'), (2, 'US')";
    database.execute(make).await;
    database.execute("CREATE SCHEMA archive; CREATE TABLE archive.held AS SELECT * FROM held").await;
    let source = acme.admin.register(database.source("W")).await;
    acme.admin.checked(source).await;
    let schemas = async || {
        let path = format!("/api/v1/data-sources/{source}/schemas?schema_name=public&table_name=held");
        acme.admin.client.get(&path).await.ok()["schemas"].take()
    };
    let discover = async || {
        let path = format!("/api/v1/data-sources/{source}/discover-schema?refresh=true");
        acme.admin.client.post_empty(&path).await.ok();
    };
    discover().await;
    let held = schemas().await[0]["tables"][0]["dataset_id"].clone();
    let rule = json!({"rule_name": "r", "rule_type": "filter_rows",
        "rule_config": {"table": "held", "condition": "region = 'EU'"}});
    let body = json!({"name": "p", "type": "row_level_security", "dataset_ids": [held],
        "role_ids": [acme.roles["Viewer"]], "rules": [rule]});
    acme.admin.client.post("/api/v1/policies", body).await.created();
    assert_eq!(acme.viewer.value(source, "SELECT count(*) FROM public.held").await, 1);
    assert_eq!(acme.viewer.value(source, "SELECT count(*) FROM archive.held").await, 2);

    database.execute("DROP TABLE held").await;
    discover().await;
    assert_eq!(schemas().await, json!([]));
    database.execute(make).await;
    discover().await;
    assert_ne!(schemas().await[0]["tables"][0]["dataset_id"], held, "it could be governed by its id");
    assert_eq!(acme.viewer.value(source, "SELECT count(*) FROM public.held").await, 1);

    // The namesake loses the column that the policy asks for, and is none of its business.
    database.execute("ALTER TABLE archive.held DROP COLUMN region").await;
    discover().await;
    assert_eq!(acme.viewer.value(source, "SELECT count(*) FROM archive.held").await, 2);
    let drift = acme.admin.client.get(&format!("/api/v1/data-sources/{source}/drift?schema_name=archive")).await.ok();
    assert_eq!(drift["items"][0]["change"], "column_removed", "{drift}");
    assert_eq!(drift["items"][0]["closes_table"], false);
    database.remove().await;
}

async fn a_rule_for_another_table_does_not_fit_a_dataset(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = acme.admin.file_source("Two", "sqlite", "two.sqlite", fixtures::sqlite(TWO_TABLES)).await;
    let held = dataset(&acme, source, "held").await;
    let about = |table: &str, condition: &str| {
        json!({"name": "p", "type": "row_level_security", "dataset_ids": [held], "rules": [{"rule_name": "r",
            "rule_type": "filter_rows", "rule_config": {"table": table, "condition": condition}}]})
    };
    let post = async |body: Value| acme.admin.client.post("/api/v1/policies", body).await;
    post(about("others", "region = 'EU'")).await.invalid("rules[0].rule_config.table");
    post(about("held", "country = 'DE'")).await.invalid("rules[0].rule_config.condition");
    post(about("held", "region = 'EU'")).await.created();
    assert_eq!(server.count("SELECT count(*) FROM policy_assignments").await, 1);
}

async fn a_query_cannot_be_governed(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = policy(&acme).await;
    acme.admin.client.post(&path, json!({"query_id": 1})).await.invalid("query_id");
    let body = json!({"name": "p", "type": "query_limit", "query_ids": [1], "role_ids": [acme.roles["Viewer"]]});
    acme.admin.client.post("/api/v1/policies", body).await.invalid("query_ids");
    assert_eq!(server.count("SELECT count(*) FROM policies").await, 1);
    assert_eq!(server.count("SELECT count(*) FROM policy_assignments").await, 0);
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
