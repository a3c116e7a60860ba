use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use datafusion::{
    arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    datasource::MemTable,
};
use futures::StreamExt;
use rivergen_policies::rule::RuleType;
use rivergen_query::{Limits, QueryError, Session};
use serde_json::json;

use crate::support::*;

fn numbers(count: i64, limits: Limits) -> Session {
    let batches: Vec<RecordBatch> = (0..count)
        .step_by(4_096)
        .map(|first| {
            let numbers = first..(first + 4_096).min(count);
            let texts = StringArray::from_iter_values(numbers.clone().map(|n| format!("value number {n}")));
            let columns: [(&str, ArrayRef, bool); 2] =
                [("n", Arc::new(Int64Array::from_iter_values(numbers)), true), ("text", Arc::new(texts), true)];
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        })
        .collect();
    let table = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
    session_over(vec![governed("src", "numbers", Arc::new(table), &[])], limits)
}

#[tokio::test]
async fn rows_over_the_limit_are_cut_off_and_told() {
    let session = numbers(5_000, Limits { max_rows: 100, ..limits() });
    for (sql, rows, truncated) in [
        ("SELECT n FROM numbers", 100, true),
        ("SELECT n FROM numbers LIMIT 100", 100, false),
        ("SELECT n FROM numbers LIMIT 101", 100, true),
        ("SELECT n FROM numbers ORDER BY n DESC", 100, true),
        ("SELECT n FROM numbers WHERE n < 7", 7, false),
    ] {
        let answer = ask(&session, sql).await.unwrap();
        assert_eq!(
            (answer.rows.len(), answer.outcome.row_count, answer.outcome.truncated),
            (rows, rows as u64, truncated),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn policies_tighten_the_limits() {
    let few = policy(1, "few", &[(RuleType::LimitQuery, json!({"max_rows": 2, "max_queries_per_hour": 9}))]);
    let session = session(&[few]);
    let planned = session.plan("SELECT * FROM customers", &Default::default()).await.unwrap();
    assert_eq!(planned.policy_limits().max_queries_per_hour, Some(9));
    let answer = planned.collect_json_rows().await.unwrap();
    assert_eq!((answer.rows.len(), answer.outcome.truncated), (2, true));
}

#[tokio::test]
async fn an_answer_may_be_too_large() {
    let session = numbers(5_000, Limits { max_bytes: 10_000, max_rows: 10_000, ..limits() });
    assert!(matches!(ask(&session, "SELECT text FROM numbers").await, Err(QueryError::TooLarge { .. })));
    assert!(ask(&session, "SELECT text FROM numbers LIMIT 50").await.is_ok());
}

#[tokio::test]
async fn time_ends_a_query() {
    let session = numbers(20_000, Limits { timeout: Duration::from_millis(300), ..limits() });
    let started = Instant::now();
    let sql = "SELECT sum(a.n * b.n % 7) FROM numbers a, numbers b WHERE a.n + b.n > 5";
    assert!(matches!(ask(&session, sql).await, Err(QueryError::Timeout(_))));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn memory_is_bounded_and_disk_too() {
    let tight = Limits { memory_bytes: 300_000, max_spill_bytes: 1_000, ..limits() };
    let sql = "SELECT text, count(*) AS c FROM numbers GROUP BY text ORDER BY c, text";
    let error = ask(&numbers(100_000, tight), sql).await.unwrap_err();
    assert!(matches!(error, QueryError::ResourceExhausted), "{error:?}");
}

#[tokio::test]
async fn a_sort_larger_than_memory_spills() {
    let directory = tempfile::tempdir().unwrap();
    let spilling =
        Limits { memory_bytes: 12 << 20, spill_directory: directory.path().to_owned(), max_rows: 5, ..limits() };
    let sql =
        "SELECT n, x FROM (SELECT n, text, row_number() OVER (ORDER BY text DESC, n) AS x FROM numbers) ORDER BY x";
    let answer = ask(&numbers(300_000, spilling), sql).await.unwrap();
    assert_eq!(answer.rows[0], [json!(99999), json!(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_an_answer_ends_its_work() {
    let session = numbers(30_000, limits());
    let sql = "SELECT a.n FROM numbers a, numbers b WHERE a.n * b.n % 1000003 = 17";
    let planned = session.plan(sql, &Default::default()).await.unwrap();
    let mut answer = planned.run().await.unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(100), answer.next()).await;
    drop(answer);
    let metrics = tokio::runtime::Handle::current().metrics();
    for _ in 0..100 {
        if metrics.num_alive_tasks() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} tasks still run", metrics.num_alive_tasks());
}
