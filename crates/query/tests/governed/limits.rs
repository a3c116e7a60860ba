use std::{sync::Arc, time::Duration};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_ends_a_query() {
    let session = numbers(20_000, Limits { timeout: Duration::from_millis(300), ..limits() });
    let sql = "SELECT sum(a.n * b.n % 7) FROM numbers a, numbers b WHERE a.n + b.n > 5";
    assert!(matches!(ask(&session, sql).await, Err(QueryError::Timeout(_))));
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
    for _ in 0..1_500 {
        if metrics.num_alive_tasks() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} tasks still run", metrics.num_alive_tasks());
}

/// The text twice as often with each step.
fn doubled(text: &str, twice: &str) -> String {
    let steps: Vec<String> =
        (1..=10).map(|step| format!("t{step} AS (SELECT {twice} AS t FROM t{})", step - 1)).collect();
    format!("WITH t0 AS (SELECT '{text}' AS t), {} SELECT octet_length(t) FROM t10", steps.join(", "))
}

/// With as many such joins as threads, nobody would hear of the request that ends them.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_join_that_lets_nothing_through_lets_other_tasks_go_on() {
    let session = numbers(50_000, limits());
    let query = tokio::spawn(async move {
        ask(&session, "SELECT count(*) FROM numbers a JOIN numbers b ON a.n + b.n < 0").await.map(drop)
    });
    // Its only thread computes by then.
    tokio::time::sleep(Duration::from_millis(300)).await;
    tokio::spawn(async {}).await.unwrap();
    assert!(!query.is_finished());
    query.abort();
}

#[tokio::test]
async fn no_function_makes_a_text_without_bounds() {
    let session = numbers(5_000, limits());
    let (x, y) = ("a".repeat(45_000), "b".repeat(45_000));
    let mut queries = vec![
        "SELECT octet_length(replace($x, 'a', $y))".to_owned(),
        "SELECT octet_length(replace($x, '', $y))".to_owned(),
        format!("SELECT octet_length(regexp_replace('{x}', 'a', '{y}', 'g'))"),
        format!("SELECT octet_length(array_to_string(string_to_array('{x}', 'a'), '{y}'))"),
        // Each is short, and all of a batch are too much.
        format!("SELECT max(octet_length('{x}' || text)) FROM numbers"),
        // A constant may stand in each row.
        "SELECT octet_length($x::text || $y || $x)".to_owned(),
        "SELECT max(octet_length(concat($x, $y, $x))) FROM numbers".to_owned(),
    ];
    let twice = [
        "t || t",
        "concat(t, t)",
        "concat_ws('', t, t)",
        "overlay(t PLACING t FROM 1 FOR 0)",
        "array_to_string(make_array(t, t), '')",
    ];
    queries.extend(twice.map(|twice| doubled(&x, twice)));
    let parameters = json!({"x": x, "y": y});
    for sql in &queries {
        let error = ask_with(&session, sql, parameters.clone()).await.unwrap_err();
        let told = &sql[..sql.len().min(80)];
        assert!(matches!(error, QueryError::ResourceExhausted), "{told}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_within_bounds_is_made_as_ever() {
    let session = numbers(5_000, limits());
    let thousand = "b".repeat(1_000);
    let in_parts = format!("SELECT max(octet_length(regexp_replace(text, '[0-9]', '{thousand}', 'g'))) FROM numbers");
    for (sql, expected) in [
        // Far from too much, though it could be by the lengths alone.
        ("SELECT octet_length(replace($x, 'z', $x))", json!([[45_000]])),
        ("SELECT octet_length($x::text || $x)", json!([[90_000]])),
        ("SELECT 'a' || 'b' || 'c', 'a' || NULL", json!([["abc", null]])),
        ("SELECT text || '!' FROM numbers WHERE n = 7", json!([["value number 7!"]])),
        ("SELECT max(octet_length(text || text)) FROM numbers", json!([[34]])),
        (
            "SELECT text || '!' AS t, count(*) FROM numbers WHERE n < 1 GROUP BY text || '!'",
            json!([["value number 0!", 1]]),
        ),
        ("SELECT concat_ws('-', 'a', NULL, 'b'), array_to_string(make_array(1, 2), ',')", json!([["a-b", "1,2"]])),
        // Every sign could be a digit, and then it would be too much.
        (in_parts.as_str(), json!([[4_013]])),
    ] {
        let answer = ask_with(&session, sql, json!({"x": "a".repeat(45_000)})).await;
        let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(json!(answer.rows), expected, "{sql}");
    }
}

#[tokio::test]
async fn a_batch_of_long_texts_may_become_a_little_longer() {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..70).map(|_| "x".repeat(1 << 20))));
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    let session = session_over(vec![governed("src", "articles", Arc::new(table), &[])], limits());
    let answer = ask(&session, "SELECT count(*), max(octet_length(text || '!')) FROM articles").await.unwrap();
    assert_eq!(json!(answer.rows), json!([[70, (1 << 20) + 1]]));
    let error = ask(&session, "SELECT max(octet_length(text || text)) FROM articles").await.unwrap_err();
    assert!(matches!(error, QueryError::ResourceExhausted), "{error:?}");
}

#[tokio::test]
async fn a_filter_on_what_is_bounded_still_makes_an_inner_join_of_an_outer_one() {
    let session = numbers(10, limits());
    let sql = "SELECT a.n FROM numbers a LEFT JOIN numbers b ON a.n = b.n WHERE b.text || '!' = 'value number 7!'";
    let plan = session.plan(sql, &Default::default()).await.unwrap().governed_plan_text().unwrap();
    assert!(plan.contains("Inner Join"), "{plan}");
    assert_eq!(json!(ask(&session, sql).await.unwrap().rows), json!([[7]]));
}
