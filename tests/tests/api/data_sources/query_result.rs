//! Queries that go on after their request (`Prefer: respond-async`), and `GET /api/v1/queries/{query_id}/result`.

use reqwest::Method;
use rivergen_tests::{Backend, Person, PostgresDatabase, Server, eventually, on_both_databases};
use serde_json::{Value, json};

use super::query::{ENDLESS, numbers};

on_both_databases! {
    a_query_goes_on_and_its_result_is_read_later;
    a_result_is_a_download_too;
    a_page_is_read_from_where_it_lies;
    a_page_is_no_larger_than_one_that_is_answered_at_once with "[query]\nmax_bytes = 20000";
    what_fails_says_why;
    a_running_query_says_how_far_it_is_and_is_cancelled;
    a_result_is_for_who_asked;
    a_result_is_not_given_to_who_may_see_something_else_now;
    a_result_is_given_while_the_same_is_looked_up;
    a_result_that_is_another_each_second_is_not_kept;
    nothing_is_read_of_a_source_that_is_switched_off;
    a_result_is_gone_after_its_time with "[query]\nresults_hours = 1";
    a_result_counts_to_the_quota with "[query]\nresults_hours = 1";
}

/// Sends a query that goes on; its id.
pub(super) async fn send(person: &Person, source: i64, body: Value) -> i64 {
    let path = format!("/api/v1/data-sources/{source}/query");
    let request = person.client.request(Method::POST, &path).header("prefer", "wait=5, respond-async").json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let run = response.json::<Value>().await.unwrap()["data"].clone();
    assert_eq!(location, format!("/api/v1/queries/{}", run["query_id"]));
    run["query_id"].as_i64().unwrap()
}

/// The run, once it has ended.
async fn ended(person: &Person, id: i64) -> Value {
    eventually("the query to end", async || {
        let run = person.client.get(&format!("/api/v1/queries/{id}")).await.ok();
        (run["status"] != "running").then_some(run)
    })
    .await
}

fn result(id: i64) -> String {
    format!("/api/v1/queries/{id}/result")
}

async fn a_query_goes_on_and_its_result_is_read_later(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let body = json!({"query": "SELECT id, email, region FROM customers WHERE id > $least ORDER BY id",
        "parameters": {"least": 0}});
    let id = send(&acme.developer, shop.crm, body.clone()).await;
    let run = ended(&acme.developer, id).await;
    assert_eq!((run["status"].as_str(), run["stage"].is_null()), (Some("succeeded"), true), "{run}");
    assert!(run["result_expires_at"].is_string() && run["byte_count"].as_i64().unwrap() > 0, "{run}");

    let direct = acme.developer.query_with(shop.crm, body).await.ok();
    let kept = acme.developer.client.get(&result(id)).await.ok();
    assert_eq!(kept["items"], direct["rows"]);
    assert_eq!(kept["columns"], direct["columns"]);
    assert_eq!(kept["policies_applied"], direct["policies_applied"]);
    assert_eq!((kept["truncated"].as_bool(), kept["pagination"]["total_items"].as_u64()), (Some(false), Some(2)));
    assert!(kept["items"].to_string().contains("***"), "masked: {kept}");
    let second = acme.developer.client.get(&format!("{}?page=2&page_size=1", result(id))).await.ok();
    assert_eq!(second["items"].as_array().unwrap().as_slice(), &direct["rows"].as_array().unwrap()[1..]);
    acme.developer.client.get(&format!("{}?page_size=10001", result(id))).await.invalid("page_size");
    let none = acme.developer.client.get(&format!("{}?page=9", result(id))).await.ok();
    assert_eq!(none["items"], json!([]));
}

async fn a_result_is_a_download_too(server: &Server) {
    let (acme, source) = numbers(server).await;
    let body = json!({"query": "SELECT n FROM numbers ORDER BY n", "max_rows": 25_000});
    let id = send(&acme.viewer, source, body).await;
    let run = ended(&acme.viewer, id).await;
    assert_eq!(run["row_count"], 25_000, "{run}");
    let get = async |accept: &str| {
        let request = acme.viewer.client.request(Method::GET, &result(id)).header("accept", accept);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], accept);
        assert_eq!(response.headers()["x-query-id"], id.to_string());
        assert_eq!(response.headers()["x-truncated"], "true");
        response.bytes().await.unwrap()
    };
    let csv = get("text/csv").await;
    assert_eq!(csv.split(|byte| *byte == b'\n').count(), 25_002, "a header, the rows, and nothing after the last");
    assert_eq!(&get("application/vnd.apache.parquet").await[..4], b"PAR1");
    let last = acme.viewer.client.get(&format!("{}?page=3&page_size=10000", result(id))).await.ok();
    assert_eq!((last["items"].as_array().unwrap().len(), last["truncated"].as_bool()), (5_000, Some(true)));
}

/// What lies before a page is not read: not even noticed to be broken.
async fn a_page_is_read_from_where_it_lies(server: &Server) {
    let (acme, source) = numbers(server).await;
    let id = send(&acme.viewer, source, json!({"query": "SELECT n FROM numbers ORDER BY n"})).await;
    ended(&acme.viewer, id).await;
    let page =
        async |number: u32| acme.viewer.client.get(&format!("{}?page={number}&page_size=10000", result(id))).await;
    let whole = [page(1).await.ok(), page(5).await.ok()];
    for data in &whole {
        assert_eq!(data["items"].as_array().unwrap().len(), 10_000);
    }
    let file = server.folder().join(format!("files/organizations/{}/results/{id}.arrows", acme.id));
    let mut sealed = std::fs::read(&file).unwrap();
    // In the second of the pieces that are sealed one by one, of 64 KiB; the last page lies far behind it.
    sealed[100_000] ^= 1;
    std::fs::write(&file, sealed).unwrap();
    assert_eq!(page(5).await.ok(), whole[1]);
    page(1).await.error(500, "INTERNAL_ERROR");
}

/// A download has all of it, in whatever memory; a page of JSON is held as a whole.
async fn a_page_is_no_larger_than_one_that_is_answered_at_once(server: &Server) {
    let (acme, source) = numbers(server).await;
    let wide =
        format!("SELECT concat(CAST(n AS text), '{}') AS t FROM numbers ORDER BY n LIMIT 100", "x".repeat(1_000));
    acme.viewer.query_with(source, json!({"query": wide})).await.error(429, "QUERY_LIMIT_EXCEEDED");
    let id = send(&acme.viewer, source, json!({"query": wide})).await;
    assert_eq!(ended(&acme.viewer, id).await["row_count"], 100);
    acme.viewer.client.get(&result(id)).await.error(429, "QUERY_LIMIT_EXCEEDED");
    let page = acme.viewer.client.get(&format!("{}?page=10&page_size=10", result(id))).await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 10);
    let request = acme.viewer.client.request(Method::GET, &result(id)).header("accept", "text/csv");
    assert!(request.send().await.unwrap().bytes().await.unwrap().len() > 100_000);
}

async fn what_fails_says_why(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let id = send(&acme.viewer, shop.orders, json!({"query": "SELECT nothing FROM orders"})).await;
    let run = ended(&acme.viewer, id).await;
    assert_eq!((run["status"].as_str(), run["error_code"].as_str()), (Some("failed"), Some("INVALID_QUERY")));
    let reason = run["error_message"].as_str().unwrap();
    assert!(reason.contains("nothing"), "{reason}");
    assert!(run["result_expires_at"].is_null());
    let error = acme.viewer.client.get(&result(id)).await.error(409, "CONFLICT");
    assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
    // What is no query at all is refused before it is anything.
    let path = format!("/api/v1/data-sources/{}/query", shop.orders);
    let request = acme.viewer.client.request(Method::POST, &path).header("prefer", "respond-async");
    let answer = acme.viewer.client.send(request.json(&json!({"query": "DELETE FROM orders"}))).await;
    answer.error(400, "INVALID_QUERY");
    // What was answered at once is not kept.
    let direct = acme.viewer.query(shop.orders, "SELECT 1").await;
    acme.viewer.client.get(&result(direct["query_id"].as_i64().unwrap())).await.error(404, "NOT_FOUND");
}

async fn a_running_query_says_how_far_it_is_and_is_cancelled(server: &Server) {
    let (acme, source) = numbers(server).await;
    let id = send(&acme.viewer, source, json!({"query": ENDLESS, "timeout_seconds": 120})).await;
    let path = format!("/api/v1/queries/{id}");
    eventually("rows to be read", async || {
        let run = acme.viewer.client.get(&path).await.ok();
        (run["stage"] == "reading").then_some(())
    })
    .await;
    acme.viewer.client.get(&result(id)).await.error(409, "CONFLICT");
    acme.viewer.client.post_empty(&format!("{path}/cancel")).await.ok();
    let run = ended(&acme.viewer, id).await;
    assert_eq!((run["status"].as_str(), run["error_code"].as_str()), (Some("cancelled"), Some("QUERY_CANCELLED")));
    assert_eq!(server.count("SELECT count(*) FROM query_results").await, 0);
}

async fn a_result_is_for_who_asked(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let id = send(&acme.viewer, shop.orders, json!({"query": "SELECT count(*) FROM orders"})).await;
    assert_eq!(ended(&acme.viewer, id).await["status"], "succeeded");
    // Who reads the audit log sees that it ran, and not what it answered.
    let run = acme.admin.client.get(&format!("/api/v1/queries/{id}")).await.ok();
    assert!(run["result_expires_at"].is_null(), "{run}");
    for stranger in [&acme.admin, &acme.developer, &globex.owner] {
        stranger.client.get(&result(id)).await.error(404, "NOT_FOUND");
    }
    server.anonymous().get(&result(id)).await.error(401, "UNAUTHORIZED");
    acme.viewer.client.get(&result(id)).await.ok();
    // The source is gone: so is what was read from it.
    acme.admin.client.delete(&format!("/api/v1/data-sources/{}", shop.orders)).await.ok();
    acme.viewer.client.get(&result(id)).await.error(404, "NOT_FOUND");
}

async fn a_result_is_not_given_to_who_may_see_something_else_now(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let id = send(&acme.developer, shop.crm, json!({"query": "SELECT email FROM customers"})).await;
    let of_orders = send(&acme.developer, shop.orders, json!({"query": "SELECT count(*) FROM orders"})).await;
    for id in [id, of_orders] {
        assert_eq!(ended(&acme.developer, id).await["status"], "succeeded");
        acme.developer.client.get(&result(id)).await.ok();
    }
    let mask = json!({"name": "E-mails", "type": "data_masking", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Developer"]], "rules": [{"rule_name": "email", "rule_type": "mask_column",
            "rule_config": {"table": "customers", "column": "email", "masking_function": "redact"}}]});
    acme.admin.client.post("/api/v1/policies", mask).await.created();
    let error = acme.developer.client.get(&result(id)).await.error(409, "CONFLICT");
    assert!(error["message"].as_str().unwrap().contains("has changed since"), "{error}");
    // What the policy does not speak of is as it was.
    acme.developer.client.get(&result(of_orders)).await.ok();
}

/// Who may see which rows stands in a table that others write to.
async fn a_result_is_given_while_the_same_is_looked_up(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database
        .execute(
            "CREATE TABLE notes (id integer, customer_id integer); \
            CREATE TABLE entitlements (customer_id integer, email text, until timestamp); \
            INSERT INTO notes VALUES (1, 10), (2, 20), (3, 30); \
            INSERT INTO entitlements VALUES (10, 'viewer@acme.example', '2999-01-01'), \
                (30, 'viewer@acme.example', '2999-01-01'), (20, 'developer@acme.example', '2999-01-01')",
        )
        .await;
    let source = acme.admin.register(database.source("Notes")).await;
    acme.admin.checked(source).await;
    let condition = "customer_id IN (SELECT customer_id FROM entitlements \
        WHERE email = current_user_email AND until >= current_date)";
    let policy = json!({"name": "Entitled", "type": "row_level_security", "data_source_ids": [source],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "filter_rows",
            "rule_config": {"table": "notes", "condition": condition}}]});
    acme.admin.client.post("/api/v1/policies", policy).await.created();
    let body = json!({"query": "SELECT id FROM notes ORDER BY id"});
    let id = send(&acme.viewer, source, body.clone()).await;
    assert_eq!(ended(&acme.viewer, id).await["status"], "succeeded");
    assert_eq!(acme.viewer.client.get(&result(id)).await.ok()["items"], json!([[1], [3]]));

    // What is somebody else's, is there twice or opens nothing.
    database
        .execute(
            "DELETE FROM entitlements WHERE customer_id = 20; INSERT INTO entitlements VALUES \
            (10, 'viewer@acme.example', '2999-01-01'), (NULL, 'viewer@acme.example', '2999-01-01'), \
            (20, 'viewer@acme.example', '1999-01-01')",
        )
        .await;
    assert_eq!(acme.viewer.client.get(&result(id)).await.ok()["items"], json!([[1], [3]]));
    database.execute("UPDATE entitlements SET customer_id = 20 WHERE customer_id = 30").await;
    let error = acme.viewer.client.get(&result(id)).await.error(409, "CONFLICT");
    assert!(error["message"].as_str().unwrap().contains("has changed since"), "{error}");
    let again = send(&acme.viewer, source, body).await;
    assert_eq!(ended(&acme.viewer, again).await["status"], "succeeded");
    assert_eq!(acme.viewer.client.get(&result(again)).await.ok()["items"], json!([[1], [2]]));
    database.execute("UPDATE entitlements SET customer_id = 30 WHERE customer_id = 20 AND until > '2000-01-01'").await;
    acme.viewer.client.get(&result(again)).await.error(409, "CONFLICT");
    acme.viewer.client.get(&result(id)).await.ok();

    // Nobody is told which table it is that cannot be read.
    database.execute("DROP TABLE entitlements").await;
    let answer = acme.viewer.client.get(&result(id)).await;
    assert!(matches!(answer.status.as_u16(), 409 | 502), "{}", answer.body);
    assert!(!answer.body.to_string().contains("entitlements"), "{}", answer.body);
    database.remove().await;
}

async fn a_result_that_is_another_each_second_is_not_kept(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"query": "SELECT count(*) FROM customers"});
    for (condition, kept) in [
        ("email <> current_timestamp", false),
        ("region = 'EU' OR NOT (email IN (current_time))", false),
        ("email <> current_date AND current_time >= '00:00:00'", true),
    ] {
        let policy = json!({"name": "Moment", "type": "row_level_security", "data_source_ids": [shop.crm],
            "role_ids": [acme.roles["Developer"]], "rules": [{"rule_name": "r", "rule_type": "filter_rows",
                "rule_config": {"table": "customers", "condition": condition}}]});
        let policy = acme.admin.client.post("/api/v1/policies", policy).await.created();
        let id = send(&acme.developer, shop.crm, body.clone()).await;
        let run = ended(&acme.developer, id).await;
        let (status, code) = if kept { ("succeeded", None) } else { ("failed", Some("RESULT_NOT_KEPT")) };
        assert_eq!((run["status"].as_str(), run["error_code"].as_str()), (Some(status), code), "{condition}: {run}");
        let answer = acme.developer.client.get(&result(id)).await;
        assert_eq!(answer.status.as_u16(), if kept { 200 } else { 409 }, "{condition}: {}", answer.body);
        // At once they are told.
        assert_eq!(acme.developer.value(shop.crm, "SELECT count(*) FROM customers").await, 6, "{condition}");
        acme.admin.client.delete(&format!("/api/v1/policies/{}", policy["id"])).await.ok();
    }
}

async fn nothing_is_read_of_a_source_that_is_switched_off(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let id = send(&acme.viewer, shop.orders, json!({"query": "SELECT count(*) FROM orders"})).await;
    assert_eq!(ended(&acme.viewer, id).await["status"], "succeeded");
    let source = format!("/api/v1/data-sources/{}", shop.orders);
    acme.admin.client.patch(&source, json!({"status": "inactive"})).await.ok();
    acme.viewer.client.get(&result(id)).await.error(409, "DATA_SOURCE_UNAVAILABLE");
    acme.admin.client.patch(&source, json!({"status": "active"})).await.ok();
    acme.viewer.client.get(&result(id)).await.ok();
}

async fn a_result_is_gone_after_its_time(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let id = send(&acme.viewer, shop.orders, json!({"query": "SELECT count(*) FROM orders"})).await;
    assert_eq!(ended(&acme.viewer, id).await["status"], "succeeded");
    acme.viewer.client.get(&result(id)).await.ok();
    server.clock().advance(chrono::Duration::minutes(61));
    let viewer = server.sign_in(&acme.viewer.email).await;
    viewer.client.get(&result(id)).await.error(404, "NOT_FOUND");
    eventually("the purge", async || {
        let left = server.count("SELECT count(*) FROM query_results").await;
        (left == 0).then_some(())
    })
    .await;
    assert_eq!(server.count("SELECT count(*) FROM query_runs WHERE status = 'succeeded'").await, 1);
}

async fn a_result_counts_to_the_quota(server: &Server) {
    let (acme, source) = numbers(server).await;
    let reserved =
        async |person: &Person| person.client.get("/api/v1/storage/usage").await.ok()["reserved_bytes"].clone();
    let first = send(&acme.viewer, source, json!({"query": "SELECT n FROM numbers LIMIT 1"})).await;
    assert_eq!(ended(&acme.viewer, first).await["status"], "succeeded");
    let taken = reserved(&acme.viewer).await.as_i64().unwrap();
    assert!(taken > 0, "{taken}");

    let used = acme.viewer.client.get("/api/v1/storage/usage").await.ok()["used_bytes"].as_i64().unwrap();
    let organization = rivergen_kernel::OrganizationId(acme.id);
    server.storage.set_quota(organization, Some(used + taken + 1)).await.unwrap();
    let second = send(&acme.viewer, source, json!({"query": "SELECT n FROM numbers LIMIT 1"})).await;
    let run = ended(&acme.viewer, second).await;
    assert_eq!(
        (run["status"].as_str(), run["error_code"].as_str()),
        (Some("failed"), Some("QUERY_LIMIT_EXCEEDED")),
        "{run}"
    );
    acme.viewer.client.get(&result(second)).await.error(409, "CONFLICT");
    assert_eq!(server.count("SELECT count(*) FROM query_results").await, 1);
    assert_eq!(reserved(&acme.viewer).await, taken);
    acme.viewer.client.get(&result(first)).await.ok();

    server.clock().advance(chrono::Duration::minutes(61));
    let viewer = server.sign_in(&acme.viewer.email).await;
    eventually("the bytes to come back", async || (reserved(&viewer).await == 0).then_some(())).await;
}

/// On PostgreSQL another node than the one that ran it tells how it stands and what it answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_read_on_another_node() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let shop = acme.shop().await;
    let id = send(&acme.viewer, shop.products, json!({"query": "SELECT count(*) FROM products"})).await;
    let there = second.anonymous().with_token(acme.viewer.client.token());
    let kept = eventually("the result on the other node", async || {
        let answer = there.get(&result(id)).await;
        (answer.status == 200).then(|| answer.ok())
    })
    .await;
    assert_eq!(kept["pagination"]["total_items"], 1);
    second.stop().await;
    first.stop().await;
}
