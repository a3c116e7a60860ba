//! `use_ssh_tunnel`: sources that only a bastion host reaches, through OpenSSH's own server.

use rivergen_tests::{Bastion, PostgresDatabase, Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, of};

on_both_databases! {
    a_source_is_read_through_its_bastion;
    a_host_key_that_nobody_confirmed_gets_no_secret;
    a_key_that_the_bastion_does_not_know_is_refused;
    what_the_bastion_does_not_permit_is_not_reached_another_way;
    a_secret_does_not_go_round_the_tunnel;
    what_a_tunnel_needs_is_named;
}

/// A database with a table of one row, and the body that registers it.
async fn warehouse() -> (PostgresDatabase, Value, u64) {
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text, pieces bigint); INSERT INTO stock VALUES ('P1', 5)").await;
    let source = database.source("W");
    let port = source["port"].as_u64().unwrap();
    (database, source, port)
}

fn results(test: &Value) -> Vec<(&str, &str)> {
    let steps = test["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["step"].as_str().unwrap(), step["result"].as_str().unwrap())).collect()
}

async fn a_source_is_read_through_its_bastion(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, source, port) = warehouse().await;
    let bastion = Bastion::to(port).await;
    for (host_key, rsa) in [(bastion.fingerprint(), false), (bastion.known_host(), true)] {
        let mut body = bastion.before(source.clone());
        body["name"] = json!(format!("W {rsa}"));
        body["metadata"]["ssh_host_key"] = json!(host_key);
        if rsa {
            body["credentials"]["ssh_private_key"] = json!(bastion.rsa_key());
            body["credentials"].as_object_mut().unwrap().remove("ssh_passphrase");
        }
        let id = acme.admin.register(body).await;
        let data = acme.admin.checked(id).await;
        assert_eq!((data["status"].as_str(), data["use_ssh_tunnel"].as_bool()), (Some("active"), Some(true)), "{data}");
        assert!(!data.to_string().contains("PRIVATE KEY"), "{data}");
        assert_eq!(acme.viewer.value(id, "SELECT pieces FROM stock").await, 5);
        let test = acme.admin.client.post_empty(&of(id, "/test")).await.ok();
        assert_eq!(test["ssh_tunnel_established"], true, "{test}");
        assert!(results(&test).contains(&("tunnel", "passed")), "{test}");
    }
    database.remove().await;
}

async fn a_host_key_that_nobody_confirmed_gets_no_secret(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, source, port) = warehouse().await;
    let bastion = Bastion::to(port).await;
    let id = acme.admin.register(bastion.before(source)).await;
    assert_eq!(acme.admin.checked(id).await["status"], "failed");
    let test = acme.admin.client.post_empty(&of(id, "/test")).await.ok();
    let message = test["error_message"].as_str().unwrap();
    assert!(message.contains(&bastion.fingerprint()), "{message}");
    assert_eq!(test["ssh_tunnel_established"], false, "{test}");
    assert!(results(&test).contains(&("tunnel", "failed")), "{test}");

    // To confirm it, nothing has to be entered again: nothing was sent anywhere yet.
    let metadata = json!({"sslmode": "disable", "ssh_host_key": bastion.fingerprint()});
    acme.admin.client.patch(&of(id, ""), json!({"metadata": metadata})).await.ok();
    assert_eq!(acme.admin.checked(id).await["status"], "active");
    assert_eq!(acme.viewer.value(id, "SELECT pieces FROM stock").await, 5);

    // Another key is another server.
    let stranger = Bastion::to(port).await;
    let metadata = json!({"sslmode": "disable", "ssh_host_key": stranger.fingerprint()});
    acme.admin.client.patch(&of(id, ""), json!({"metadata": metadata})).await.invalid("credentials");
    let mut body = bastion.before(database.source("Other"));
    body["metadata"]["ssh_host_key"] = json!(stranger.fingerprint());
    let id = acme.admin.register(body).await;
    let data = acme.admin.checked(id).await;
    let reason = data["failure_reason"].as_str().unwrap();
    assert!(reason.contains(&bastion.fingerprint()) && reason.contains("someone is intercepting"), "{reason}");
    database.remove().await;
}

async fn a_key_that_the_bastion_does_not_know_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, source, port) = warehouse().await;
    let bastion = Bastion::to(port).await;
    for (name, field, value) in
        [("A", "ssh_private_key", bastion.strange_key()), ("B", "ssh_passphrase", "wrong".to_owned())]
    {
        let mut body = bastion.before(source.clone());
        body["name"] = json!(name);
        body["metadata"]["ssh_host_key"] = json!(bastion.fingerprint());
        body["credentials"][field] = json!(value);
        let id = acme.admin.register(body).await;
        let data = acme.admin.checked(id).await;
        assert!(data["failure_reason"].as_str().unwrap().contains("refused ssh_username or ssh_private_key"), "{data}");
    }
    database.remove().await;
}

async fn what_the_bastion_does_not_permit_is_not_reached_another_way(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, source, port) = warehouse().await;
    // The database would answer this server; the bastion leads elsewhere.
    let bastion = Bastion::to(port - 1).await;
    let mut body = bastion.before(source);
    body["metadata"]["ssh_host_key"] = json!(bastion.fingerprint());
    body["max_retries"] = json!(0);
    let id = acme.admin.register(body).await;
    assert_eq!(acme.admin.checked(id).await["status"], "failed");
    let test = acme.admin.client.post_empty(&of(id, "/test")).await.ok();
    assert_eq!(test["ssh_tunnel_established"], true, "{test}");
    assert!(results(&test).contains(&("connection", "failed")), "{test}");
    database.remove().await;
}

async fn a_secret_does_not_go_round_the_tunnel(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, source, port) = warehouse().await;
    let bastion = Bastion::to(port).await;
    let mut body = bastion.before(source.clone());
    body["metadata"]["ssh_host_key"] = json!(bastion.fingerprint());
    let id = acme.admin.register(body).await;
    acme.admin.checked(id).await;
    for change in [json!({"use_ssh_tunnel": false}), json!({"ssh_host": "localhost"}), json!({"ssh_username": "eve"})] {
        acme.admin.client.patch(&of(id, ""), change).await.invalid("credentials");
    }
    let change = json!({"use_ssh_tunnel": false, "credentials": source["credentials"]});
    let data = acme.admin.client.patch(&of(id, ""), change).await.ok();
    assert_eq!(data["use_ssh_tunnel"], false);
    drop(bastion);
    assert_eq!(acme.admin.checked(id).await["status"], "active");
    assert_eq!(acme.viewer.value(id, "SELECT pieces FROM stock").await, 5);
    database.remove().await;
}

async fn what_a_tunnel_needs_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = json!({"name": "W", "type": "postgresql", "host": "db", "port": 5432, "database_name": "d",
        "credentials": {"username": "u", "password": "p"}, "use_ssh_tunnel": true});
    let error = acme.admin.client.post(PATH, source.clone()).await.error(422, "VALIDATION_ERROR");
    let fields: Vec<&str> =
        error["details"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["ssh_host", "ssh_username", "credentials.ssh_private_key"]);
    let mut body = source.clone();
    body["metadata"] = json!({"ssh_host_key": "trust me"});
    let error = acme.admin.client.post(PATH, body).await.error(422, "VALIDATION_ERROR");
    assert!(error["details"].to_string().contains("metadata.ssh_host_key"), "{error}");
    let file_path = acme.admin.upload("a.csv", b"a\n1\n".to_vec()).await;
    let file = json!({"name": "F", "type": "csv", "file_path": file_path, "use_ssh_tunnel": true});
    acme.admin.client.post(PATH, file).await.invalid("use_ssh_tunnel");
}
