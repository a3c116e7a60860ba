//! TPC-H: its 22 queries have the right answers, over files, over PostgreSQL, and over both at once.

use rivergen_tests::{
    Backend, Organization, PostgresDatabase, Server,
    tpch::{TABLES, Tpch},
};
use serde_json::json;

const SCALE: &str = "0.1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_files() {
    let Some(tpch) = Tpch::make(SCALE) else { return };
    let server = Server::start(Backend::Sqlite, "").await;
    let acme = server.organization("Acme").await;
    let sources = files(&acme, &tpch, &TABLES).await;
    check(&acme, &tpch, &sources).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_postgresql() {
    let Some(tpch) = Tpch::make(SCALE) else { return };
    let server = Server::start(Backend::Sqlite, "").await;
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    tpch.load(&database, &TABLES).await;
    let source = warehouse(&acme, &database).await;
    check(&acme, &tpch, &[source]).await;
    server.stop().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_over_files_and_half_over_postgresql() {
    let Some(tpch) = Tpch::make(SCALE) else { return };
    let server = Server::start(Backend::Sqlite, "").await;
    let acme = server.organization("Acme").await;
    let (in_files, in_database): (Vec<_>, Vec<_>) =
        TABLES.iter().partition(|table| ["lineitem", "part", "nation", "customer"].contains(table));
    let database = PostgresDatabase::empty().await;
    tpch.load(&database, &in_database).await;
    let mut sources = files(&acme, &tpch, &in_files).await;
    sources.push(warehouse(&acme, &database).await);
    check(&acme, &tpch, &sources).await;
    server.stop().await;
    database.remove().await;
}

/// The tables as files, each a source.
async fn files(acme: &Organization, tpch: &Tpch, tables: &[&str]) -> Vec<i64> {
    let mut sources = Vec::new();
    for table in tables {
        let bytes = tpch.parquet(table);
        sources.push(acme.admin.file_source(table, "parquet", &format!("{table}.parquet"), bytes).await);
    }
    sources
}

async fn warehouse(acme: &Organization, database: &PostgresDatabase) -> i64 {
    let id = acme.admin.register(database.source("Warehouse")).await;
    let checked = acme.admin.checked(id).await;
    assert_eq!(checked["status"], "active", "{checked}");
    id
}

/// Runs all queries, and tells of all that have a wrong answer.
async fn check(acme: &Organization, tpch: &Tpch, sources: &[i64]) {
    let mut wrong = Vec::new();
    for (name, sql) in tpch.queries() {
        let body = json!({"query": sql, "max_rows": 10_000, "additional_data_source_ids": sources});
        let answer = acme.viewer.query_with(sources[0], body).await;
        if !answer.status.is_success() {
            wrong.push(format!("{name}: {}", answer.body));
            continue;
        }
        let rows = answer.ok()["rows"].as_array().unwrap().clone();
        wrong.extend(tpch.check(name, &rows).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
