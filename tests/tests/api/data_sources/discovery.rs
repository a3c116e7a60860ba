//! `GET /api/v1/data-sources/{data_source_id}/discoveries`, and the discoveries that the server makes by itself

use chrono::Duration;
use rivergen_tests::{ClosedPort, PostgresDatabase, Server, eventually, on_both_databases};
use serde_json::json;

use super::of;

on_both_databases! {
    each_is_told_with_how_far_it_is;
    sources_are_discovered_by_themselves;
    one_that_failed_says_why;
    two_at_once_leave_one_schema;
    a_viewer_may_not;
    anothers_is_not_found;
}

async fn each_is_told_with_how_far_it_is(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a,b\n1,2\n".to_vec()).await;
    acme.admin.client.post_empty(&of(id, "/discover-schema?refresh=true")).await.ok();
    let data = acme.developer.client.get(&of(id, "/discoveries")).await.ok();
    let items = data["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|run| run["origin"].as_str().unwrap()).collect::<Vec<_>>(), ["manual", "first"]);
    for run in items {
        assert_eq!((run["state"].as_str(), run["progress_percentage"].as_i64()), (Some("succeeded"), Some(100)));
        assert_eq!((run["total_tables"].as_i64(), run["total_columns"].as_i64()), (Some(1), Some(2)));
        assert_eq!(run["changes"], 0);
    }
    assert_eq!(data["pagination"]["total_items"], 2);
}

async fn sources_are_discovered_by_themselves(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text, pieces int)").await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    let mut still = database.source("Still");
    still["schema_auto_refresh"] = json!(false);
    let still = acme.admin.register(still).await;
    acme.admin.checked(still).await;
    database.execute("ALTER TABLE stock ADD COLUMN depot text; CREATE TABLE depots (id int)").await;
    server.clock().advance(Duration::minutes(65));
    let made = |id: i64| {
        format!(
            "SELECT count(*) FROM data_source_discoveries WHERE data_source_id = {id} AND origin = 'scheduled' \
                 AND state = 'succeeded'"
        )
    };
    eventually("a discovery", async || (server.count(&made(id)).await == 1).then_some(())).await;
    assert_eq!(server.count(&made(still)).await, 0);
    let admin = server.sign_in(&acme.admin.email).await;
    assert_eq!(admin.value(id, "SELECT count(depot) FROM stock").await, 0);
    assert_eq!(admin.client.get(&of(id, "/discoveries")).await.ok()["items"][0]["changes"], 2);
    assert_eq!(server.audited("data_source.drift", "success").await, 1);
    database.remove().await;
}

async fn one_that_failed_says_why(server: &Server) {
    let acme = server.organization("Acme").await;
    let closed = ClosedPort::take();
    let body = json!({"name": "Far", "type": "postgresql", "host": "127.0.0.1", "port": closed.number(),
        "database_name": "d", "max_retries": 0, "credentials": {"username": "u", "password": "p"}});
    let id = acme.admin.register(body).await;
    acme.admin.checked(id).await;
    acme.admin.client.post_empty(&of(id, "/discover-schema")).await.error(502, "CONNECTION_ERROR");
    let run = acme.admin.client.get(&of(id, "/discoveries")).await.ok()["items"][0].take();
    assert_eq!((run["state"].as_str(), run["error_code"].as_str()), (Some("failed"), Some("CONNECTION_ERROR")));
    assert!(run["error_message"].as_str().unwrap().contains("cannot be reached"), "{run}");
    assert_eq!(run["progress_percentage"], 10, "it is no further than where it failed");
}

async fn two_at_once_leave_one_schema(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int)").await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    let discover = async || acme.admin.client.post_empty(&of(id, "/discover-schema?refresh=true")).await;
    let answers = futures::future::join_all((0..6).map(|_| discover())).await;
    for answer in answers {
        assert_eq!(answer.ok()["total_tables"], 3);
    }
    let kept = format!("SELECT count(*) FROM data_source_tables WHERE data_source_id = {id}");
    assert_eq!(server.count(&kept).await, 3);
    database.remove().await;
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    acme.viewer.client.get(&of(id, "/discoveries")).await.error(403, "FORBIDDEN");
    server.anonymous().get(&of(id, "/discoveries")).await.error(401, "UNAUTHORIZED");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    globex.owner.client.get(&of(id, "/discoveries")).await.error(404, "NOT_FOUND");
}
