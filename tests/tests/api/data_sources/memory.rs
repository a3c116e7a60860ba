//! What SQLite groups for a query lies on disk: it takes none of the memory that nobody bounds.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use rivergen_tests::{Binary, eventually, fixtures};
use serde_json::json;

/// As many texts of 32 letters take twice as much as may be taken, wherever they are held.
const TEXTS: u32 = 2_000_000;
const MOST_MIB: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sqlite_groups_takes_no_memory_of_the_server() {
    let folder = tempfile::Builder::new().prefix("rivergen-grouping-").tempdir().unwrap();
    let url = Binary::configure(folder.path());
    Binary::provision_acme(folder.path());
    let server = Binary::serve(folder.path(), &url).await;
    let client = Binary::acme_owner(&url).await;
    let texts = fixtures::sqlite(&format!(
        "CREATE TABLE texts (t TEXT NOT NULL);
         WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {TEXTS})
         INSERT INTO texts SELECT hex(randomblob(16)) FROM c;"
    ));
    let form = Form::new().part("file", Part::bytes(texts).file_name("texts.sqlite"));
    let stored = client.send(client.request(Method::POST, "/api/v1/storage/upload").multipart(form)).await.created();
    let source = json!({"name": "Texts", "type": "sqlite", "file_path": stored["file_path"]});
    let id = client.post("/api/v1/data-sources", source).await.created()["id"].clone();
    eventually("the source to be discovered", async || {
        let source = client.get(&format!("/api/v1/data-sources/{id}")).await.ok();
        (source["status"] == "active" && source["schema_discovered_at"].is_string()).then_some(())
    })
    .await;
    let query = format!("/api/v1/data-sources/{id}/query");
    let count = async |sql: &str| client.post(&query, json!({"query": sql})).await.ok()["rows"][0][0].clone();
    assert_eq!(count("SELECT count(*) FROM texts").await, TEXTS);
    let before = server.peak_mib();
    assert_eq!(count("SELECT count(*) FROM (SELECT t, count(*) AS n FROM texts GROUP BY t) WHERE n = 1").await, TEXTS);
    let after = server.peak_mib();
    assert!(after - before <= MOST_MIB, "MiB at most before it was grouped and after: {before} and {after}");
    server.kill().await;
}
