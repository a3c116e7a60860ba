//! `max_age_seconds`: the same again, for whoever may see the same; and what a dry run expects to be read.

use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    the_same_question_has_the_same_answer_for_a_while;
    nobody_is_given_what_another_may_see;
    result_caching_across_callers;
    the_time_of_an_answer_that_is_given_again_is_its_own;
    what_changes_with_the_time_is_computed;
    it_has_to_be_asked_for_and_can_be_switched_off with "[query]\nanswers_bytes = 0";
    a_dry_run_estimates_what_is_read;
}

async fn ask(person: &Person, source: i64, sql: &str) -> Value {
    person.query_with(source, json!({"query": sql, "max_age_seconds": 600})).await.ok()
}

const COUNT: &str = "SELECT count(*) FROM orders";

async fn the_same_question_has_the_same_answer_for_a_while(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let first = ask(&acme.viewer, shop.orders, COUNT).await;
    assert!(first["computed_at"].is_null(), "{first}");
    // No policy tells the two apart.
    for person in [&acme.viewer, &acme.developer] {
        let again = ask(person, shop.orders, COUNT).await;
        assert!(again["computed_at"].is_string(), "{again}");
        assert_eq!((&again["rows"], &again["columns"]), (&first["rows"], &first["columns"]));
        assert_ne!(again["query_id"], first["query_id"]);
        let run = person.client.get(&format!("/api/v1/queries/{}", again["query_id"])).await.ok();
        assert_eq!((run["status"].as_str(), run["row_count"].as_i64()), (Some("succeeded"), Some(1)));
    }
    for body in [
        json!({"query": COUNT}),
        json!({"query": COUNT, "max_age_seconds": 600, "max_rows": 7}),
        json!({"query": "SELECT count(*)  FROM orders", "max_age_seconds": 600}),
    ] {
        let other = acme.viewer.query_with(shop.orders, body).await.ok();
        assert!(other["computed_at"].is_null(), "{other}");
    }
    let asked = |least: i64| {
        json!({"query": "SELECT count(*) FROM orders WHERE amount > $least",
        "parameters": {"least": least}, "max_age_seconds": 600})
    };
    let all = acme.viewer.query_with(shop.orders, asked(0)).await.ok();
    let none = acme.viewer.query_with(shop.orders, asked(1_000_000)).await.ok();
    assert_ne!(all["rows"], none["rows"]);

    server.clock().advance(chrono::Duration::minutes(11));
    let later = ask(&acme.viewer, shop.orders, COUNT).await;
    assert!(later["computed_at"].is_null(), "{later}");
    // Another file is another content.
    let file_path = acme.admin.upload("other.parquet", rivergen_tests::fixtures::orders_parquet()).await;
    acme.admin.client.patch(&super::of(shop.orders, ""), json!({"file_path": file_path})).await.ok();
    acme.admin.checked(shop.orders).await;
    let other = ask(&acme.viewer, shop.orders, COUNT).await;
    assert!(other["computed_at"].is_null(), "{other}");
    acme.viewer
        .query_with(shop.orders, json!({"query": COUNT, "max_age_seconds": 3601}))
        .await
        .invalid("max_age_seconds");
}

async fn nobody_is_given_what_another_may_see(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let theirs = globex.shop().await;
    let sql = "SELECT email, salary, region FROM customers ORDER BY id";
    let unmasked = ask(&acme.developer, shop.crm, sql).await;
    acme.govern(&shop).await;
    let masked = ask(&acme.developer, shop.crm, sql).await;
    assert!(masked["computed_at"].is_null(), "{masked}");
    assert_ne!(masked["rows"], unmasked["rows"]);
    // Another role, another mask; the same role with another attribute, other rows; the Admin sees all.
    let of_viewer = ask(&acme.viewer, shop.crm, sql).await;
    let of_admin = ask(&acme.admin, shop.crm, sql).await;
    let of_globex = ask(&globex.owner, theirs.crm, sql).await;
    for (answer, who) in [(&of_viewer, "Viewer"), (&of_globex, "Globex")] {
        assert!(answer["computed_at"].is_null(), "{who}: {answer}");
    }
    assert_ne!(of_viewer["rows"], masked["rows"]);
    assert_eq!(of_admin["rows"], unmasked["rows"], "whom no policy governs");
    // A policy closes the table: nothing is given any more, and nothing of it is told.
    let closed = json!({"name": "Closed", "type": "access_control", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Developer"]], "rules": [{"rule_name": "no", "rule_type": "deny_access",
            "rule_config": {"table": "customers"}}]});
    acme.admin.client.post("/api/v1/policies", closed).await.created();
    let body = json!({"query": sql, "max_age_seconds": 600});
    acme.developer.query_with(shop.crm, body).await.error(403, "POLICY_DENIED");
}

/// Callers of the same statement who differ in one thing that a policy looks at: neither is given the other's page, nor the
/// rows that are kept of the other's query.
async fn result_caching_across_callers(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let rule =
        |config: Value| json!([{"rule_name": "r", "rule_type": config["type"], "rule_config": config["config"]}]);
    let make = async |name: &str, kind: &str, config: Value| {
        let body = json!({"name": name, "type": kind, "data_source_ids": [shop.crm], "rules": rule(config)});
        let made = acme.admin.client.post("/api/v1/policies", body).await.created();
        format!("/api/v1/policies/{}", made["id"])
    };
    let sql = "SELECT name, email FROM customers ORDER BY id";
    let both = async |what: &str| {
        let first = ask(&acme.viewer, shop.crm, sql).await;
        let second = ask(&acme.developer, shop.crm, sql).await;
        assert!(first["computed_at"].is_null() && second["computed_at"].is_null(), "{what}: {first} {second}");
        assert_ne!(first["rows"], second["rows"], "{what}");
        // Each finds their own again.
        let again = ask(&acme.viewer, shop.crm, sql).await;
        assert!(again["computed_at"].is_string() && again["rows"] == first["rows"], "{what}: {again}");
    };
    // The Viewer's region is US, the Developer's EU.
    let filter =
        json!({"type": "filter_rows", "config": {"table": "customers", "condition": "region = current_user_region"}});
    let path = make("attribute", "row_level_security", filter).await;
    both("attribute").await;
    acme.admin.client.delete(&path).await.ok();
    let mask = json!({"type": "mask_column", "config": {"table": "customers", "column": "email",
        "masking_function": "redact", "unless_role_ids": [acme.roles["Developer"]]}});
    let path = make("role", "data_masking", mask).await;
    both("role").await;
    acme.admin.client.delete(&path).await.ok();
    let condition = format!("(region = 'EU' AND current_user_id = {}) OR region = 'US'", acme.viewer.id);
    let filter = json!({"type": "filter_rows", "config": {"table": "customers", "condition": condition}});
    let path = make("person", "row_level_security", filter).await;
    both("person").await;
    acme.admin.client.delete(&path).await.ok();
    // A tag that comes is another decision for the same person.
    let tagged = json!({"type": "mask_column", "config": {"tag": "pii.*", "masking_function": "redact"}});
    make("tag", "data_masking", tagged).await;
    let open = ask(&acme.viewer, shop.crm, sql).await;
    let tags = json!({"columns": [{"table": "customers", "column": "email", "tags": ["pii.email"]}]});
    acme.admin.client.put(&super::of(shop.crm, "/tags"), tags).await.ok();
    let masked = ask(&acme.viewer, shop.crm, sql).await;
    assert!(masked["computed_at"].is_null(), "{masked}");
    assert_ne!(masked["rows"], open["rows"]);
    // A query that went on after its request is its caller's alone.
    let id = super::query_result::send(&acme.developer, shop.crm, json!({"query": sql})).await;
    acme.viewer.client.get(&format!("/api/v1/queries/{id}/result")).await.error(404, "NOT_FOUND");
}

async fn the_time_of_an_answer_that_is_given_again_is_its_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    // A quarter of a million rows to count.
    let sql = "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e WHERE a.amount < b.amount + c.id";
    let first = ask(&acme.viewer, shop.orders, sql).await["execution_time_ms"].as_u64().unwrap();
    let again = ask(&acme.viewer, shop.orders, sql).await;
    assert!(again["computed_at"].is_string(), "{again}");
    let own = again["execution_time_ms"].as_u64().unwrap();
    assert!(own < first, "{own} ms, and {first} ms when it was computed");
}

async fn what_changes_with_the_time_is_computed(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for sql in ["SELECT count(*) FROM orders WHERE ordered_on < now()", "SELECT current_date, count(*) FROM orders"] {
        for _ in 0..2 {
            let answer = ask(&acme.viewer, shop.orders, sql).await;
            assert!(answer["computed_at"].is_null(), "{answer}");
        }
    }
}

async fn it_has_to_be_asked_for_and_can_be_switched_off(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for _ in 0..3 {
        let answer = ask(&acme.viewer, shop.orders, COUNT).await;
        assert!(answer["computed_at"].is_null(), "{answer}");
    }
}

async fn a_dry_run_estimates_what_is_read(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let orders = acme.admin.value(shop.orders, COUNT).await.as_u64().unwrap();
    let estimate = async |person: &Person, sql: &str| {
        let answer = person.query_with(shop.orders, json!({"query": sql, "dry_run": true})).await.ok();
        answer["estimate"].clone()
    };
    let one = estimate(&acme.viewer, "SELECT sum(amount) FROM orders").await;
    assert_eq!(one["rows"], orders);
    let all = estimate(&acme.viewer, "SELECT * FROM orders").await;
    assert!(all["bytes"].as_u64() > one["bytes"].as_u64(), "{all} {one}");
    let twice = estimate(&acme.viewer, "SELECT count(*) FROM orders a JOIN orders b ON a.id = b.id").await;
    assert_eq!(twice["rows"], 2 * orders);
    // How many rows there are is not told to whom a filter hides some.
    acme.govern(&shop).await;
    assert!(estimate(&acme.viewer, "SELECT sum(amount) FROM orders").await.is_null());
    assert_eq!(estimate(&acme.admin, "SELECT sum(amount) FROM orders").await["rows"], orders);
}
