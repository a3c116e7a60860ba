//! `GET /api/v1/data-sources/{data_source_id}/health`, and the checks that the server makes by itself

use chrono::Duration;
use rivergen_tests::{ClosedPort, PostgresDatabase, Server, eventually, on_both_databases};
use serde_json::Value;

use super::of;

on_both_databases! {
    the_first_check_is_its_history;
    sources_are_checked_by_themselves;
    those_of_a_closed_organization_are_left_alone;
    one_that_fails_is_noticed_and_comes_back;
    without_periodic_checks_there_are_none with "[sources]\ncheck_every_seconds = 0";
    what_is_kept_is_bounded;
    the_steps_of_a_test_are_told;
    what_is_not_valid_is_named;
    anothers_is_not_found;
}

async fn health(server: &Server, email: &str, id: i64) -> Value {
    // The clock has moved, and with it the end of earlier tokens.
    server.sign_in(email).await.client.get(&of(id, "/health")).await.ok()
}

async fn the_first_check_is_its_history(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let data = acme.viewer.client.get(&of(id, "/health")).await.ok();
    assert_eq!((data["data_source_id"].as_i64(), data["current_status"].as_str()), (Some(id), Some("active")));
    assert_eq!(data["last_health_check"]["status"], "active");
    assert_eq!(data["last_health_check"]["origin"], "first");
    assert_eq!(data["health_history"].as_array().unwrap().len(), 1);
    assert_eq!((data["uptime_percentage"].as_f64(), data["failure_count_24h"].as_i64()), (Some(100.0), Some(0)));
    assert!(data["avg_response_time_ms"].is_number() && data["min_response_time_ms"].is_number(), "{data}");
    assert!(data["last_failure_at"].is_null() && data["next_check_at"].is_string(), "{data}");
    // What a kind can do and was tried with is the same wherever it is told.
    let types = acme.viewer.client.get("/api/v1/data-sources/types").await.ok();
    let csv = types["items"].as_array().unwrap().iter().find(|item| item["type"] == "csv").unwrap();
    for told in ["abilities", "verification"] {
        assert!(data[told].is_object() && data[told] == csv[told], "{told}: {data}");
    }
    for _ in 0..3 {
        acme.admin.client.post_empty(&of(id, "/test")).await.ok();
    }
    let data = acme.viewer.client.get(&of(id, "/health?limit=2")).await.ok();
    let origins: Vec<_> = data["health_history"].as_array().unwrap().iter().map(|c| c["origin"].clone()).collect();
    assert_eq!(origins, ["manual", "manual"]);
}

async fn sources_are_checked_by_themselves(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let off = acme.admin.file_source("Off", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    acme.admin.client.patch(&of(off, ""), serde_json::json!({"status": "inactive"})).await.ok();
    let scheduled = |id: i64| {
        format!("SELECT count(*) FROM data_source_checks WHERE data_source_id = {id} AND origin = 'scheduled'")
    };
    for round in 1..=2 {
        server.clock().advance(Duration::minutes(70));
        eventually("a check", async || (server.count(&scheduled(id)).await == round).then_some(())).await;
    }
    assert_eq!(server.count(&scheduled(off)).await, 0);
    let data = health(server, &acme.viewer.email, id).await;
    assert_eq!(data["last_health_check"]["origin"], "scheduled");
    assert_eq!(data["uptime_percentage"], 100.0);
}

async fn those_of_a_closed_organization_are_left_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let source =
        async |person: &rivergen_tests::Person| person.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let (closed, open) = (source(&acme.admin).await, source(&globex.admin).await);
    let owner = &acme.owner.client;
    let request = owner.request(reqwest::Method::DELETE, &format!("/api/v1/organizations/{}", acme.id));
    owner.send(request.json(&serde_json::json!({"confirm_name": "Acme"}))).await.ok();
    server.clock().advance(Duration::minutes(70));
    let scheduled = |id: i64, table: &str| {
        format!("SELECT count(*) FROM {table} WHERE data_source_id = {id} AND origin = 'scheduled'")
    };
    for table in ["data_source_checks", "data_source_discoveries"] {
        let came = async || (server.count(&scheduled(open, table)).await > 0).then_some(());
        eventually("another's turn", came).await;
        assert_eq!(server.count(&scheduled(closed, table)).await, 0, "{table}");
    }
}

async fn one_that_fails_is_noticed_and_comes_back(server: &Server) {
    let acme = server.organization("Acme").await;
    let (database, elsewhere) = (PostgresDatabase::empty().await, PostgresDatabase::empty().await);
    database.execute("CREATE TABLE stock (sku text)").await;
    let mut source = database.source("W");
    source["max_retries"] = serde_json::json!(0);
    let id = acme.admin.register(source).await;
    acme.admin.checked(id).await;
    let (name, aside) = (database.name(), format!("{}_aside", database.name()));
    elsewhere.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    elsewhere.execute(&cut).await;
    elsewhere.execute(&format!("ALTER DATABASE {name} RENAME TO {aside}")).await;
    server.clock().advance(Duration::minutes(70));
    let status = format!("SELECT count(*) FROM data_sources WHERE id = {id} AND status = ");
    eventually("the failure", async || (server.count(&format!("{status}'failed'")).await == 1).then_some(())).await;
    let data = health(server, &acme.viewer.email, id).await;
    assert_eq!(data["failure_count_24h"], 1);
    assert_eq!(data["last_health_check"]["error_code"], "CONNECTION_ERROR");
    assert!(data["last_failure_at"].is_string() && !data.to_string().contains(name), "{data}");
    let uptime = data["uptime_percentage"].as_f64().unwrap();
    assert!((90.0..=100.0).contains(&uptime), "{data}");

    elsewhere.execute(&format!("ALTER DATABASE {aside} RENAME TO {name}")).await;
    elsewhere.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    server.clock().advance(Duration::minutes(70));
    eventually("the recovery", async || (server.count(&format!("{status}'active'")).await == 1).then_some(())).await;
    let data = health(server, &acme.viewer.email, id).await;
    let uptime = data["uptime_percentage"].as_f64().unwrap();
    assert!((40.0..60.0).contains(&uptime), "{data}");
    database.remove().await;
    elsewhere.remove().await;
}

async fn without_periodic_checks_there_are_none(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let data = acme.viewer.client.get(&of(id, "/health")).await.ok();
    assert!(data["next_check_at"].is_null(), "{data}");
}

async fn what_is_kept_is_bounded(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let copy = |times: u32| {
        format!(
            "INSERT INTO data_source_checks (organization_id, data_source_id, origin, status, response_time_ms, checked_at) \
             SELECT organization_id, data_source_id, 'scheduled', status, 5, checked_at FROM data_source_checks \
             WHERE data_source_id = {id} AND {times} > 0"
        )
    };
    for round in 1..=11 {
        server.execute(&copy(round)).await;
    }
    let kept = format!("SELECT count(*) FROM data_source_checks WHERE data_source_id = {id}");
    assert!(server.count(&kept).await > 1000);
    acme.admin.client.post_empty(&of(id, "/test")).await.ok();
    assert_eq!(server.count(&kept).await, 1000);
    // After thirty days they are nobody's business.
    server.clock().advance(Duration::days(31));
    let old = format!("{kept} AND origin <> 'scheduled'");
    eventually("the purge", async || (server.count(&old).await == 0).then_some(())).await;
    let data = health(server, &acme.viewer.email, id).await;
    assert_eq!(data["failure_count_24h"], 0);
}

async fn the_steps_of_a_test_are_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    let steps = async || {
        let data = acme.admin.client.post_empty(&of(id, "/test")).await.ok();
        let steps = data["steps"].as_array().unwrap().clone();
        let told = |step: &Value| format!("{}:{}", step["step"].as_str().unwrap(), step["result"].as_str().unwrap());
        steps.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(
        steps().await,
        [
            "configuration:passed",
            "address:passed",
            "connection:passed",
            "tls:passed",
            "sign_in:passed",
            "permission:passed"
        ]
    );
    let nobody = serde_json::json!({"username": "nobody_at_all"});
    acme.admin.client.patch(&of(id, "/credentials"), nobody).await.ok();
    acme.admin.checked(id).await;
    assert_eq!(steps().await[3..], ["tls:passed", "sign_in:failed", "permission:not_reached"]);
    let closed = ClosedPort::take();
    let mut body = database.source("W");
    body.as_object_mut().unwrap().retain(|field, _| field == "credentials");
    body["port"] = closed.number().into();
    acme.admin.client.patch(&of(id, ""), body).await.ok();
    acme.admin.checked(id).await;
    assert_eq!(
        steps().await[..4],
        ["configuration:passed", "address:undisclosed", "connection:failed", "tls:not_reached"]
    );
    database.remove().await;
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    for limit in ["0", "101", "x"] {
        acme.viewer.client.get(&of(id, &format!("/health?limit={limit}"))).await.invalid("limit");
    }
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    globex.owner.client.get(&of(id, "/health")).await.error(404, "NOT_FOUND");
    server.anonymous().get(&of(id, "/health")).await.error(401, "UNAUTHORIZED");
}
