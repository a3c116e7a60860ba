//! `PATCH /api/v1/data-sources/{data_source_id}/credentials`

use rivergen_tests::{PostgresDatabase, Server, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{of, policy};

on_both_databases! {
    what_is_sent_is_replaced_sealed_and_tested;
    rotation_keeps_the_old_ones_until_the_new_ones_work;
    what_is_not_valid_is_named;
    a_governed_person_does_not_sign_in_as_somebody_else;
    a_viewer_may_not;
    anothers_is_not_found;
}

/// A login of the test server, named in `username`, with a password that is asked for or not.
async fn login(database: &PostgresDatabase, name: &str) {
    database.execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'of {name}'")).await;
    database.execute(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")).await;
}

async fn without(database: PostgresDatabase, name: &str) {
    database.execute(&format!("DROP OWNED BY {name}; DROP ROLE {name}")).await;
    database.remove().await;
}

fn role_name() -> String {
    format!("reader_{:08x}", rand::random::<u32>())
}

async fn what_is_sent_is_replaced_sealed_and_tested(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text)").await;
    let reader = role_name();
    login(&database, &reader).await;
    let id = acme.admin.register(database.source("Warehouse")).await;
    acme.admin.checked(id).await;
    let body = json!({"username": reader, "password": format!("of {reader}")});
    let data = acme.developer.client.patch(&of(id, "/credentials"), body).await.ok();
    assert_eq!((data["data_source_id"].as_i64(), data["status"].as_str()), (Some(id), Some("testing")));
    assert!(data["credentials_updated_at"].is_string() && !data.to_string().contains(&reader), "{data}");
    assert_eq!(acme.admin.checked(id).await["status"], "active");
    // The old sessions are gone, the new ones are the new user's.
    acme.viewer.query(id, "SELECT * FROM stock").await;
    let others = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'rivergen' \
         AND usename <> '{reader}'",
        database.name()
    );
    eventually("no session of the old user", async || (database.count(&others).await == 0).then_some(())).await;
    let kept = format!("{:?}", server.rows("SELECT * FROM data_sources").await);
    assert!(!kept.contains(&reader), "credentials lie in the clear");
    assert_eq!(server.audited("data_source.credentials", "success").await, 1);
    let told = format!("{:?}", server.rows("SELECT details FROM audit_log").await);
    assert!(!told.contains(&reader), "credentials are in the audit log");
    // Null takes one away, which this kind needs.
    acme.admin.client.patch(&of(id, "/credentials"), json!({"password": null})).await.invalid("credentials.password");

    // Those that do not work are kept where nobody asked to try them.
    acme.admin.client.patch(&of(id, "/credentials"), json!({"username": "nobody_at_all"})).await.ok();
    assert_eq!(acme.admin.checked(id).await["status"], "failed");
    without(database, &reader).await;
}

async fn rotation_keeps_the_old_ones_until_the_new_ones_work(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text)").await;
    let reader = role_name();
    login(&database, &reader).await;
    let id = acme.admin.register(database.source("Warehouse")).await;
    acme.admin.checked(id).await;
    let rotate = async |body: Value| acme.admin.client.patch(&of(id, "/credentials"), body).await;
    let error = rotate(json!({"username": "nobody_at_all", "password": "x", "rotate_credentials": true})).await;
    let error = error.invalid("credentials");
    assert!(error.to_string().contains("kept") && !error.to_string().contains("nobody_at_all"), "{error}");
    assert_eq!(acme.admin.client.get(&of(id, "")).await.ok()["status"], "active");
    acme.viewer.query(id, "SELECT * FROM stock").await;
    assert_eq!(server.audited("data_source.credentials", "success").await, 0);

    let body = json!({"username": reader, "password": format!("of {reader}"), "rotate_credentials": true});
    assert_eq!(rotate(body).await.ok()["status"], "active");
    acme.viewer.query(id, "SELECT * FROM stock").await;
    let health = acme.viewer.client.get(&of(id, "/health")).await.ok();
    assert_eq!(health["last_health_check"]["origin"], "manual", "{health}");
    without(database, &reader).await;
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    let mut source = database.source("Warehouse");
    source.as_object_mut().unwrap().retain(|field, _| ["name", "type"].contains(&field.as_str()));
    source["connection_string"] = json!(database.url());
    let id = acme.admin.register(source).await;
    acme.admin.checked(id).await;
    let patch = async |body: Value| acme.admin.client.patch(&of(id, "/credentials"), body).await;
    patch(json!({})).await.invalid("password");
    patch(json!({"rotate_credentials": true})).await.invalid("password");
    patch(json!({"password": 1})).await.invalid("password");
    patch(json!({"pasword": "x"})).await.invalid("pasword");
    patch(json!({"username": ""})).await.invalid("username");
    // It signs in with the string as a whole.
    let reason = patch(json!({"password": "x"})).await.invalid("password").to_string();
    assert!(reason.contains("its connection string") && !reason.contains("/api/"), "{reason}");
    database.remove().await;
}

async fn a_governed_person_does_not_sign_in_as_somebody_else(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text)").await;
    let id = acme.admin.register(database.source("Warehouse")).await;
    acme.admin.checked(id).await;
    let rule = json!({"table": "stock", "condition": "sku = 'P1'"});
    policy(&acme, id, "Developer", "row_level_security", "filter_rows", rule).await;
    let body = json!({"username": "another"});
    acme.developer.client.patch(&of(id, "/credentials"), body.clone()).await.error(403, "POLICY_DENIED");
    acme.admin.client.patch(&of(id, "/credentials"), body).await.ok();
    database.remove().await;
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let body = json!({"password": "x"});
    acme.viewer.client.patch(&of(id, "/credentials"), body.clone()).await.error(403, "FORBIDDEN");
    server.anonymous().patch(&of(id, "/credentials"), body).await.error(401, "UNAUTHORIZED");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let body = json!({"password": "x"});
    globex.owner.client.patch(&of(id, "/credentials"), body).await.error(404, "NOT_FOUND");
}
