//! `PATCH /api/v1/data-sources/{data_source_id}`

use rivergen_tests::{PostgresDatabase, Server, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{of, policy};

on_both_databases! {
    what_is_sent_changes_and_nothing_else;
    the_sql_name_outlives_a_new_name;
    a_secret_does_not_go_to_another_target;
    another_database_is_discovered_anew;
    what_is_switched_off_is_not_queried;
    a_source_that_is_off_stays_off_whatever_else_changes;
    what_is_not_valid_is_named;
    a_file_must_be_ones_own;
    a_governed_person_does_not_rename_the_table;
    a_governed_person_does_not_move_the_source_to_another_schema;
    an_own_source_that_was_never_read_is_mended_under_policies;
    a_viewer_may_not;
    anothers_is_not_found;
}

fn csv() -> Vec<u8> {
    b"sku,product\nP1,Lamp\n".to_vec()
}

async fn what_is_sent_changes_and_nothing_else(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Products", "csv", "products.csv", csv()).await;
    let before = acme.admin.client.get(&of(id, "")).await.ok();
    let body = json!({"description": "What we sell", "tags": ["shop"], "query_timeout": 60, "max_retries": 0,
        "schema_auto_refresh": false});
    let data = acme.developer.client.patch(&of(id, ""), body.clone()).await.ok();
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(data[field], *value, "{field}");
    }
    assert_eq!(data["updated_by_user_id"], acme.developer.id);
    for field in ["name", "sql_name", "file_path", "status", "metadata", "connection_pool_size", "created_at"] {
        assert_eq!(data[field], before[field], "{field}");
    }
    // Null takes away what may be absent.
    let data = acme.developer.client.patch(&of(id, ""), json!({"description": null})).await.ok();
    assert!(data["description"].is_null());
    assert_eq!(server.audited("data_source.update", "success").await, 2);
    // Nothing that is so already is a change.
    acme.developer.client.patch(&of(id, ""), json!({"max_retries": 0})).await.ok();
    acme.developer.client.patch(&of(id, ""), json!({})).await.ok();
    assert_eq!(server.audited("data_source.update", "success").await, 2);
    assert_eq!(acme.viewer.value(id, "SELECT count(*) FROM products").await, 1);
}

async fn the_sql_name_outlives_a_new_name(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Products", "csv", "products.csv", csv()).await;
    acme.admin.file_source("Orders", "csv", "orders.csv", csv()).await;
    let data = acme.admin.client.patch(&of(id, ""), json!({"name": "Catalogue"})).await.ok();
    assert_eq!((data["name"].as_str(), data["sql_name"].as_str()), (Some("Catalogue"), Some("products")));
    assert_eq!(acme.viewer.value(id, "SELECT count(*) FROM products.files.products").await, 1);
    for taken in ["Orders", "orders ", "oRDERS!"] {
        acme.admin.client.patch(&of(id, ""), json!({"name": taken})).await.error(409, "CONFLICT");
    }
    acme.admin.client.patch(&of(id, ""), json!({"name": "Products"})).await.ok();
}

async fn a_secret_does_not_go_to_another_target(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    let id = acme.admin.register(database.source("Warehouse")).await;
    acme.admin.checked(id).await;
    let port = 1 + database.source("W")["port"].as_i64().unwrap();
    let patch = async |body: Value| acme.admin.client.patch(&of(id, ""), body).await;
    for body in [
        json!({"port": port}),
        json!({"host": "localhost"}),
        json!({"host": "127.0.0.1", "port": port, "name": "Elsewhere"}),
        json!({"connection_string": null, "port": port}),
        json!({"ssh_host": "bastion.acme.example"}),
        // What would leave the connection unprotected.
        json!({"metadata": {"sslmode": "prefer"}}),
        json!({"metadata": {}}),
    ] {
        patch(body.clone()).await.invalid("credentials");
    }
    // Credentials without the password are none.
    patch(json!({"port": port, "credentials": {"username": "somebody"}})).await.invalid("credentials.password");
    assert_eq!(acme.admin.client.get(&of(id, "")).await.ok()["port"], database.source("W")["port"]);
    // What says how it is read needs none.
    patch(json!({"database_name": database.name(), "query_timeout": 10})).await.ok();
    // With fresh credentials it goes.
    let mut body = database.source("Warehouse");
    body.as_object_mut().unwrap().retain(|field, _| ["host", "port", "credentials"].contains(&field.as_str()));
    body["host"] = json!("localhost");
    let data = patch(body).await.ok();
    assert_eq!((data["host"].as_str(), data["status"].as_str()), (Some("localhost"), Some("testing")));
    assert_eq!(acme.admin.checked(id).await["status"], "active");
    let kept = format!("{:?}", server.rows("SELECT * FROM data_sources").await);
    assert!(!kept.contains(database.password()), "the password lies in the clear");
    // A connection string brings its own, and takes the place of all that was kept.
    let string = json!({"connection_string": database.url()});
    let data = patch(string).await.ok();
    assert!(data["connection_string"].is_null() && !data.to_string().contains(database.password()), "{data}");
    assert_eq!(acme.admin.checked(id).await["status"], "active");
    patch(json!({"connection_string": null})).await.invalid("credentials");
    database.remove().await;
}

async fn another_database_is_discovered_anew(server: &Server) {
    let acme = server.organization("Acme").await;
    let (first, second) = (PostgresDatabase::empty().await, PostgresDatabase::empty().await);
    first.execute("CREATE TABLE stock (sku text)").await;
    second.execute("CREATE TABLE depot (id int); INSERT INTO depot VALUES (7)").await;
    let id = acme.admin.register(first.source("Warehouse")).await;
    acme.admin.checked(id).await;
    acme.viewer.query(id, "SELECT * FROM stock").await;
    acme.admin.client.patch(&of(id, ""), json!({"database_name": second.name()})).await.ok();
    acme.admin.checked(id).await;
    assert_eq!(acme.viewer.value(id, "SELECT id FROM depot").await, 7);
    acme.viewer.query_with(id, json!({"query": "SELECT * FROM stock"})).await.error(400, "INVALID_QUERY");
    // That is another database, not one that changed.
    assert_eq!(acme.admin.client.get(&of(id, "/drift")).await.ok()["pagination"]["total_items"], 0);
    first.remove().await;
    second.remove().await;
}

async fn what_is_switched_off_is_not_queried(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text)").await;
    let id = acme.admin.register(database.source("Warehouse")).await;
    acme.admin.checked(id).await;
    let query = json!({"query": "SELECT * FROM stock"});
    let prompt = json!({"prompt_text": "How many stock?", "selected_data_source_ids": [id]});
    acme.viewer.query_with(id, query.clone()).await.ok();
    for (status, said) in [("inactive", "is inactive"), ("maintenance", "is under maintenance")] {
        let data = acme.admin.client.patch(&of(id, ""), json!({"status": status})).await.ok();
        assert_eq!(data["status"], status);
        // Its sessions are closed at once.
        let sessions = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'rivergen'",
            database.name()
        );
        eventually("no session", async || (database.count(&sessions).await == 0).then_some(())).await;
        for answer in [
            acme.viewer.query_with(id, query.clone()).await,
            acme.viewer.client.post("/api/v1/prompts/execute", prompt.clone()).await,
            acme.admin.client.post_empty(&of(id, "/discover-schema?refresh=true")).await,
        ] {
            let error = answer.error(409, "DATA_SOURCE_UNAVAILABLE");
            assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        }
        // To be tried before it is switched on again; which leaves it off.
        let data = acme.admin.client.post_empty(&of(id, "/test")).await.ok();
        assert_eq!((data["connection_successful"].as_bool(), data["status"].as_str()), (Some(true), Some(status)));
        assert_eq!(acme.admin.client.get(&of(id, "")).await.ok()["status"], status);
        let health = acme.viewer.client.get(&of(id, "/health")).await.ok();
        assert!(health["next_check_at"].is_null(), "{health}");
    }
    assert_eq!(acme.admin.client.patch(&of(id, ""), json!({"status": "active"})).await.ok()["status"], "active");
    acme.viewer.query_with(id, query).await.ok();
    acme.admin.client.patch(&of(id, ""), json!({"status": "failed"})).await.invalid("status");
    database.remove().await;
}

async fn a_source_that_is_off_stays_off_whatever_else_changes(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Products", "csv", "products.csv", csv()).await;
    acme.admin.client.patch(&of(id, ""), json!({"status": "inactive"})).await.ok();
    let file_path = acme.admin.upload("more.csv", b"sku\nP1\nP2\n".to_vec()).await;
    let data = acme.admin.client.patch(&of(id, ""), json!({"file_path": file_path})).await.ok();
    assert_eq!((data["status"].as_str(), data["schema_discovered_at"].is_null()), (Some("inactive"), true));
    // What is read elsewhere now is tested first.
    let data = acme.admin.client.patch(&of(id, ""), json!({"status": "active"})).await.ok();
    assert_ne!(data["status"], "inactive");
    acme.admin.checked(id).await;
    assert_eq!(acme.viewer.value(id, "SELECT count(*) FROM products").await, 2);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Products", "csv", "products.csv", csv()).await;
    let patch = async |body: Value| acme.admin.client.patch(&of(id, ""), body).await;
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "…"}), "name"),
        (json!({"name": null, "port": 0.5}), "port"),
        (json!({"port": 70000}), "port"),
        (json!({"type": "parquet"}), "type"),
        (json!({"workspace_id": acme.workspace_id}), "workspace_id"),
        (json!({"query_timeout": 0}), "query_timeout"),
        (json!({"schema_refresh_interval": 1}), "schema_refresh_interval"),
        (json!({"use_ssh_tunnel": true}), "use_ssh_tunnel"),
        (json!({"tags": [""]}), "tags[0]"),
        (json!({"status": "testing"}), "status"),
        (json!({"metadata": {"delimiter": "ab"}}), "metadata.delimiter"),
    ] {
        patch(body).await.invalid(field);
    }
}

async fn a_file_must_be_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Products", "csv", "products.csv", csv()).await;
    let file_path = acme.admin.upload("secret.csv", csv()).await;
    acme.developer.client.patch(&of(id, ""), json!({"file_path": file_path})).await.invalid("file_path");
    acme.admin.client.patch(&of(id, ""), json!({"file_path": file_path})).await.ok();
}

/// The filter names the table: under another name it would say nothing of it.
async fn a_governed_person_does_not_rename_the_table(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let patch = json!({"metadata": {"table": "x"}});
    let rule = json!({"table": "orders", "condition": "region = 'EU'"});
    policy(&acme, shop.orders, "Developer", "row_level_security", "filter_rows", rule).await;
    let count = acme.developer.value(shop.orders, "SELECT count(*) FROM orders").await;
    let developer = &acme.developer.client;
    for body in [patch.clone(), json!({"metadata": {"table": "orders", "has_header": false}}), json!({"metadata": {}})]
    {
        developer.patch(&of(shop.orders, ""), body).await.error(403, "POLICY_DENIED");
    }
    assert_eq!(acme.developer.value(shop.orders, "SELECT count(*) FROM orders").await, count);
    // What does not change what is read is theirs to change, and so is a source that they see all of.
    developer.patch(&of(shop.orders, ""), json!({"description": "Ours", "query_timeout": 60})).await.ok();
    developer.patch(&of(shop.products, ""), patch.clone()).await.ok();
    acme.owner.client.patch(&of(shop.orders, ""), patch).await.ok();
}

/// The credentials that are kept are an administrator's, and the policies say nothing of what lies beside.
async fn a_governed_person_does_not_move_the_source_to_another_schema(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, beside) = (PostgresDatabase::empty().await, PostgresDatabase::empty().await);
    database.execute("CREATE TABLE stock (sku text); CREATE SCHEMA payroll; CREATE TABLE payroll.pay (id int)").await;
    let id = acme.admin.register(database.source("Warehouse")).await;
    acme.admin.checked(id).await;
    let rule = json!({"table": "stock", "condition": "sku = 'P1'"});
    policy(&acme, id, "Developer", "row_level_security", "filter_rows", rule).await;
    let credentials = database.source("Warehouse")["credentials"].clone();
    for body in [
        json!({"schema_name": "payroll"}),
        json!({"database_name": beside.name()}),
        json!({"credentials": credentials}),
        json!({"host": "localhost", "credentials": credentials}),
        json!({"connection_string": database.url()}),
    ] {
        acme.developer.client.patch(&of(id, ""), body).await.error(403, "POLICY_DENIED");
    }
    assert!(acme.admin.client.get(&of(id, "")).await.ok()["schema_name"].is_null());
    acme.admin.client.patch(&of(id, ""), json!({"schema_name": "payroll"})).await.ok();
    database.remove().await;
    beside.remove().await;
}

async fn an_own_source_that_was_never_read_is_mended_under_policies(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text)").await;
    let everywhere = json!({"name": "Stock", "type": "row_level_security", "role_ids": [acme.roles["Developer"]],
        "rules": [{"rule_name": "r", "rule_type": "filter_rows",
            "rule_config": {"table": "stock", "condition": "sku = 'P1'"}}]});
    acme.admin.client.post("/api/v1/policies", everywhere).await.created();
    let mut wrong = database.source("Warehouse");
    let right = json!({"port": wrong["port"], "credentials": wrong["credentials"]});
    (wrong["port"], wrong["max_retries"]) = (json!(1), json!(0));
    let id = acme.developer.register(wrong).await;
    assert_eq!(acme.developer.checked(id).await["status"], "failed");
    acme.developer.client.patch(&of(id, ""), right).await.ok();
    assert_eq!(acme.developer.checked(id).await["status"], "active");
    acme.developer.client.patch(&of(id, ""), json!({"schema_name": "public"})).await.error(403, "POLICY_DENIED");
    database.remove().await;
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Products", "csv", "products.csv", csv()).await;
    acme.viewer.client.patch(&of(id, ""), json!({"name": "X"})).await.error(403, "FORBIDDEN");
    server.anonymous().patch(&of(id, ""), json!({"name": "X"})).await.error(401, "UNAUTHORIZED");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Products", "csv", "products.csv", csv()).await;
    globex.owner.client.patch(&of(id, ""), json!({"name": "X"})).await.error(404, "NOT_FOUND");
}
