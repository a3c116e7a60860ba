//! What the condition language knows beside the row, over the API: roles, the moment, the network, tables of entitlements

use chrono::Duration;
use rivergen_tests::{Organization, Server, Shop, fixtures, on_both_databases};
use serde_json::{Value, json};

use crate::scim::{self, Provider};

on_both_databases! {
    the_roles_and_the_address_of_the_person;
    the_groups_of_the_person;
    the_moment_and_the_network;
    what_reads_no_column_holds_for_every_table;
    a_table_of_entitlements;
    a_table_of_entitlements_is_held_against_the_source;
    errors_say_where_they_are;
}

async fn filter(acme: &Organization, source: i64, table: &str, condition: &str) -> rivergen_tests::Answer {
    let body = json!({"name": "p", "type": "row_level_security", "data_source_ids": [source],
        "role_ids": [acme.roles["Viewer"], acme.roles["Developer"]], "rules": [{"rule_name": "r",
            "rule_type": "filter_rows", "rule_config": {"table": table, "condition": condition}}]});
    acme.admin.client.post("/api/v1/policies", body).await
}

/// How many customers Viewer and Developer see under the condition alone.
async fn seen(acme: &Organization, shop: &Shop, condition: &str) -> [i64; 2] {
    let id = filter(acme, shop.crm, "customers", condition).await.created()["id"].clone();
    let count = async |person: &rivergen_tests::Person| {
        person.value(shop.crm, "SELECT count(*) FROM customers").await.as_i64().unwrap()
    };
    let counts = [count(&acme.viewer).await, count(&acme.developer).await];
    acme.admin.client.delete(&format!("/api/v1/policies/{id}")).await.ok();
    counts
}

async fn the_roles_and_the_address_of_the_person(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    assert_eq!(seen(&acme, &shop, "region = 'EU' OR 'Developer' IN (current_user_roles)").await, [2, 6]);
    assert_eq!(seen(&acme, &shop, "'Viewer' NOT IN (current_user_roles) AND region = 'US'").await, [0, 2]);
    assert_eq!(seen(&acme, &shop, "current_user_email = 'viewer@acme.example'").await, [6, 0]);
    assert_eq!(seen(&acme, &shop, &format!("current_user_id = {}", acme.developer.id)).await, [0, 6]);
    assert_eq!(seen(&acme, &shop, "region = 'EU' OR current_user_nothing = 1").await, [0, 0]);
}

/// Those that a provider names at a sign-in, and those that one pushes.
async fn the_groups_of_the_person(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let sales = "region = 'EU' OR 'Sales' IN (current_user_groups)";
    // Of whom nobody has said anything, nothing is known.
    assert_eq!(seen(&acme, &shop, sales).await, [0, 0]);
    let provider = scim::provider(&acme, "login").await;
    for (person, groups) in [(&acme.viewer, r#"["Sales", "Berlin"]"#), (&acme.developer, r#"["Ops"]"#)] {
        let signed_in = format!(
            "INSERT INTO sso_identities (organization_id, provider_id, subject, user_id, attributes, groups, created_at) \
             VALUES ({}, {provider}, 'subject {}', {}, '{{}}', '{groups}', '2026-01-01 00:00:00+00:00')",
            acme.id, person.id, person.id
        );
        server.execute(&signed_in).await;
    }
    assert_eq!(seen(&acme, &shop, sales).await, [6, 2]);
    assert_eq!(seen(&acme, &shop, "'Ops' IN (current_user_groups)").await, [0, 6]);
    let idp = Provider::of(server, &acme).await;
    let (inside, outside) = (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await);
    idp.group("Sales", &[&inside]).await;
    for (user, hides_all_rows) in [(inside, false), (outside, true)] {
        let draft = json!({"name": "p", "type": "row_level_security", "rules": [{"rule_name": "r",
            "rule_type": "filter_rows", "rule_config": {"table": "customers", "condition": sales}}]});
        let body = json!({"user_id": user.parse::<i64>().unwrap(), "data_source_id": shop.crm,
            "changes": {"drafts": [draft]}});
        let data = acme.admin.client.post("/api/v1/policies/simulate", body).await.ok();
        assert_eq!(data["tables"][0]["after"]["row_filters"][0]["hides_all_rows"], hides_all_rows, "{data}");
    }
}

async fn the_moment_and_the_network(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let hour: i64 = server.platform.clock.now().format("%H").to_string().parse().unwrap();
    let now = format!("current_hour = {hour} OR current_hour = {}", (hour + 1) % 24);
    let later = format!("current_hour = {}", (hour + 5) % 24);
    assert_eq!((seen(&acme, &shop, &now).await, seen(&acme, &shop, &later).await), ([6, 6], [0, 0]));
    assert_eq!(seen(&acme, &shop, "current_ip IN ('127.0.0.0/8', '::1')").await, [6, 6]);
    assert_eq!(seen(&acme, &shop, "current_ip IN ('10.0.0.0/8')").await, [0, 0]);
    // A simulation may stand elsewhere and at another time.
    filter(&acme, shop.crm, "customers", "current_ip = '10.0.0.0/8' AND current_date >= '2100-01-01'").await.created();
    let told = async |more: Value| {
        let mut body = json!({"user_id": acme.viewer.id, "data_source_id": shop.crm});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let data = acme.admin.client.post("/api/v1/policies/simulate", body).await.ok();
        data["tables"][0]["before"]["row_filters"][0].clone()
    };
    assert_eq!(told(json!({})).await["hides_all_rows"], true);
    let there = told(json!({"ip": "10.1.1.1", "at": "2100-01-02T00:00:00Z"})).await;
    assert_eq!(there["in_words"], "every row at the moment and every row at the moment");
    let now = told(json!({"ip": "10.1.1.1"})).await;
    assert_eq!(now["in_words"], "every row at the moment and no row at the moment");
    server.clock().advance(Duration::minutes(1));
}

/// Nobody names a table to say from where, when or by whom a source is read.
async fn what_reads_no_column_holds_for_every_table(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for (table, condition, rows) in [
        (json!("*"), "current_ip IN ('10.0.0.0/8')", 0),
        (json!(null), "'Owner' IN (current_user_roles)", 0),
        (json!("*"), "current_ip IN ('127.0.0.0/8', '::1')", 6),
    ] {
        let body = json!({"name": "p", "type": "row_level_security", "data_source_ids": [shop.crm],
            "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "filter_rows",
                "rule_config": {"table": table, "condition": condition}}]});
        let id = acme.admin.client.post("/api/v1/policies", body).await.created()["id"].clone();
        let count = acme.viewer.value(shop.crm, "SELECT count(*) FROM customers").await;
        assert_eq!(count, rows, "{condition} for {table}");
        acme.admin.client.delete(&format!("/api/v1/policies/{id}")).await.ok();
    }
}

/// A database with notes and with who may see which.
async fn notes(acme: &Organization) -> i64 {
    let database = fixtures::sqlite(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, customer_id INTEGER, body TEXT);
         CREATE TABLE entitlements (customer_id INTEGER, email TEXT, code TEXT);
         INSERT INTO notes VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, NULL, 'd');
         INSERT INTO entitlements VALUES (10, 'viewer@acme.example', 'x'), (30, 'viewer@acme.example', 'x'),
            (20, 'developer@acme.example', 'x'), (NULL, 'viewer@acme.example', 'x');",
    );
    acme.admin.file_source("Notes", "sqlite", "notes.sqlite", database).await
}

async fn a_table_of_entitlements(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = notes(&acme).await;
    let condition = "customer_id IN (SELECT customer_id FROM entitlements WHERE email = current_user_email)";
    filter(&acme, source, "notes", condition).await.created();
    let deny = json!({"name": "closed", "type": "access_control", "data_source_ids": [source],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "deny_access",
            "rule_config": {"table": "entitlements"}}]});
    acme.admin.client.post("/api/v1/policies", deny).await.created();
    let of_viewer = acme.viewer.query(source, "SELECT id FROM notes ORDER BY id").await;
    assert_eq!(of_viewer["rows"], json!([[1], [3]]));
    assert_eq!(acme.developer.value(source, "SELECT id FROM notes").await, 2);
    assert_eq!(acme.admin.value(source, "SELECT count(*) FROM notes").await, 4);
    // What may raise stays above the filter here as well.
    assert_eq!(acme.viewer.value(source, "SELECT sum(6 / (id - 2)) FROM notes").await, 0);
    let body = json!({"user_id": acme.viewer.id, "data_source_id": source, "table": "notes", "sample_rows": 3});
    let data = acme.admin.client.post("/api/v1/policies/simulate", body).await.ok();
    let filter = &data["tables"][0]["before"]["row_filters"][0];
    assert_eq!(filter["condition"], condition);
    assert_eq!(filter["in_words"], "customer_id is a customer_id of entitlements where email is 'viewer@acme.example'");
    assert!(data["sample_refused_because"].as_str().unwrap().contains("another table"), "{data}");
}

async fn a_table_of_entitlements_is_held_against_the_source(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = notes(&acme).await;
    let field = "rules[0].rule_config.condition";
    for condition in [
        "customer_id IN (SELECT customer_id FROM no_such_table)",
        "customer_id IN (SELECT no_such_column FROM entitlements)",
        "customer_id IN (SELECT code FROM entitlements)",
        "customer_id IN (SELECT customer_id FROM entitlements WHERE customer_id = 'x')",
        "customer_id NOT IN (SELECT customer_id FROM entitlements)",
        "NOT (customer_id IN (SELECT customer_id FROM entitlements))",
    ] {
        filter(&acme, source, "notes", condition).await.invalid(field);
    }
    // One whose table goes away later closes what it governs.
    filter(&acme, source, "notes", "customer_id IN (SELECT customer_id FROM entitlements)").await.created();
    server.execute("DELETE FROM data_source_tables WHERE table_name = 'entitlements'").await;
    acme.viewer.query_with(source, json!({"query": "SELECT id FROM notes"})).await.error(403, "POLICY_DENIED");
}

async fn errors_say_where_they_are(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let condition = "region = 'EU'\n  AND lower(name) = 'ada'";
    let error = filter(&acme, shop.crm, "customers", condition).await.invalid("rules[0].rule_config.condition");
    assert!(error["details"][0]["reason"].as_str().unwrap().contains("(line 2, column 7)"), "{error}");
}
