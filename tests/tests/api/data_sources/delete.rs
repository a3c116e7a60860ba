//! `DELETE /api/v1/data-sources/{data_source_id}`

use chrono::Duration;
use rivergen_tests::{PostgresDatabase, Server, eventually, fixtures, on_both_databases};
use serde_json::json;

use super::{PATH, of, policy};

on_both_databases! {
    softly_it_is_gone_and_its_connections_are_closed;
    for_good_nothing_of_it_is_left;
    after_thirty_days_it_is_purged;
    one_that_cannot_be_purged_holds_up_no_other;
    a_governed_person_does_not_delete_what_governs_them;
    a_viewer_may_not;
    anothers_is_not_found;
}

async fn softly_it_is_gone_and_its_connections_are_closed(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text)").await;
    let id = acme.admin.register(database.source("Warehouse")).await;
    acme.admin.checked(id).await;
    acme.viewer.query(id, "SELECT * FROM stock").await;
    let data = acme.developer.client.delete(&of(id, "")).await.ok();
    assert_eq!(data["data_source_id"], id);
    assert!(data["deleted_at"].is_string());
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'rivergen'",
        database.name()
    );
    eventually("no session", async || (database.count(&sessions).await == 0).then_some(())).await;

    acme.admin.client.get(&of(id, "")).await.error(404, "NOT_FOUND");
    acme.admin.query_with(id, json!({"query": "SELECT 1"})).await.error(404, "NOT_FOUND");
    for operation in ["/schemas", "/health", "/drift", "/discoveries"] {
        acme.admin.client.get(&of(id, operation)).await.error(404, "NOT_FOUND");
    }
    for operation in ["/test", "/discover-schema"] {
        acme.admin.client.post_empty(&of(id, operation)).await.error(404, "NOT_FOUND");
    }
    acme.admin.client.patch(&of(id, ""), json!({"name": "X"})).await.error(404, "NOT_FOUND");
    acme.admin.client.delete(&of(id, "")).await.error(404, "NOT_FOUND");
    assert_eq!(acme.admin.client.get(PATH).await.ok()["pagination"]["total_items"], 0);
    let deleted = acme.admin.client.get(&format!("{PATH}?deleted=true")).await.ok();
    assert_eq!(deleted["items"][0]["id"], id);
    assert!(deleted["items"][0]["deleted_at"].is_string());
    assert_eq!(server.audited("data_source.delete", "success").await, 1);
    // Its SQL name is kept for it, and that is said.
    let error = acme.admin.client.post(PATH, database.source("warehouse")).await.error(409, "CONFLICT");
    assert!(error["message"].as_str().unwrap().contains("force=true"), "{error}");
    database.remove().await;
}

async fn for_good_nothing_of_it_is_left(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let (orders, crm) = (shop.orders, shop.crm);
    let assigned = format!("SELECT count(*) FROM policy_assignments WHERE data_source_id = {crm}");
    assert!(server.count(&assigned).await > 0);
    acme.admin.client.delete(&of(crm, "?force=true")).await.ok();
    for table in [
        "data_source_tables",
        "data_source_checks",
        "data_source_discoveries",
        "data_source_changes",
        "policy_assignments",
    ] {
        let left = format!("SELECT count(*) FROM {table} WHERE data_source_id = {crm}");
        assert_eq!(server.count(&left).await, 0, "{table}");
        // Another source's are left alone.
        let others = format!("SELECT count(*) FROM {table} WHERE data_source_id = {orders}");
        assert!(table == "data_source_changes" || server.count(&others).await > 0, "{table}");
    }
    assert_eq!(server.count(&format!("SELECT count(*) FROM data_sources WHERE id = {crm}")).await, 0);
    acme.admin.client.post_empty(&of(crm, "/restore")).await.error(404, "NOT_FOUND");
    // The name is free, and a deleted source can be taken too.
    let again = acme.admin.file_source("CRM", "sqlite", "customers.sqlite", fixtures::customers_sqlite()).await;
    acme.admin.client.delete(&of(again, "")).await.ok();
    acme.admin.client.delete(&of(again, "?force=true")).await.ok();
    acme.admin.client.delete(&of(again, "?force=true")).await.error(404, "NOT_FOUND");
    acme.admin.client.delete(&of(orders, "?force=maybe")).await.invalid("force");
}

async fn after_thirty_days_it_is_purged(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    policy(&acme, id, "Viewer", "query_limit", "limit_query", json!({"max_rows": 5})).await;
    acme.admin.client.delete(&of(id, "")).await.ok();
    server.later(Duration::days(29)).await;
    let rows = format!("SELECT count(*) FROM data_sources WHERE id = {id}");
    assert_eq!(server.count(&rows).await, 1);
    server.clock().advance(Duration::days(1));
    eventually("the purge", async || (server.count(&rows).await == 0).then_some(())).await;
    assert_eq!(server.audited("data_source.purge", "success").await, 1);
    let assigned = format!("SELECT count(*) FROM policy_assignments WHERE data_source_id = {id}");
    assert_eq!(server.count(&assigned).await, 0);
}

async fn one_that_cannot_be_purged_holds_up_no_other(server: &Server) {
    let acme = server.organization("Acme").await;
    let stuck = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let other = acme.admin.file_source("Others", "csv", "b.csv", b"a\n1\n".to_vec()).await;
    server.execute("CREATE TABLE stuck (data_source_id bigint REFERENCES data_sources (id))").await;
    server.execute(&format!("INSERT INTO stuck (data_source_id) VALUES ({stuck})")).await;
    for id in [stuck, other] {
        acme.admin.client.delete(&of(id, "")).await.ok();
    }
    let left = async |id: i64| server.count(&format!("SELECT count(*) FROM data_sources WHERE id = {id}")).await;
    server.later(Duration::days(31)).await;
    assert_eq!((left(stuck).await, left(other).await), (1, 0));
    // It is tried again.
    server.execute("DROP TABLE stuck").await;
    server.later(Duration::hours(2)).await;
    assert_eq!(left(stuck).await, 0);
    assert_eq!(server.audited("data_source.purge", "success").await, 2);
}

async fn a_governed_person_does_not_delete_what_governs_them(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    for options in ["", "?force=true"] {
        acme.developer.client.delete(&of(shop.crm, options)).await.error(403, "POLICY_DENIED");
    }
    acme.admin.client.delete(&of(shop.crm, "")).await.ok();
    acme.developer.client.delete(&of(shop.crm, "?force=true")).await.error(403, "POLICY_DENIED");
    // No policy keeps anything of this one from them.
    acme.developer.client.delete(&of(shop.products, "?force=true")).await.ok();
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    acme.viewer.client.delete(&of(id, "")).await.error(403, "FORBIDDEN");
    server.anonymous().delete(&of(id, "")).await.error(401, "UNAUTHORIZED");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    for path in [of(id, ""), of(id, "?force=true")] {
        globex.owner.client.delete(&path).await.error(404, "NOT_FOUND");
    }
    acme.viewer.value(id, "SELECT count(*) FROM a").await;
}
