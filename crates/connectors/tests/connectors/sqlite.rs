//! The SQLite connector.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::database::{check_kept, check_time_limit, waiting};
use crate::support::differential::{CLAUSES, Pair, check_suite, rows, session_of};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::TableProvider;
use proptest::prelude::*;
use rivergen_connectors::{
    ConnectorError, Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext, TableKind,
};
use rusqlite::Connection;
use rusqlite::types::Value;

const TABLES: &str = "
CREATE TABLE people (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, city VARCHAR(20) COLLATE NOCASE, age INT, salary DECIMAL(10,2), rate REAL,
    active BOOLEAN, born DATE, seen DATETIME, boss INTEGER REFERENCES people (id));
INSERT INTO people VALUES
    (1, 'Anna', 'Rome', 30, 1000.50, 0.1, 1, '1990-05-01', '2024-03-10 12:30:00', NULL),
    (2, 'anna', 'Oslo', 41, 0.10, 0.2, 0, '1985-12-31', '2024-02-29 23:59:59', 1),
    (3, 'Bob', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
    (4, 'O''Brien; --', 'rome', 29, 99999999.99, 9e999, 1, '1969-07-20', '1969-12-31 00:00:01', 2),
    (5, 'Jürgen', 'Rome', 41, -5.25, -0.3, 0, '2001-01-01', '2024-03-10 12:30:00', 2),
    (6, '100%', '', 0, 1000, 1e300, NULL, '1990-05-01', '2023-12-25 08:00:00', 3);
WITH RECURSIVE s (n) AS (SELECT 7 UNION ALL SELECT n + 1 FROM s WHERE n < 40)
INSERT INTO people SELECT n, 'zed ' || n, 'Bonn', n, n, n / 3.0, n % 2 = 0, date('2000-01-01', n || ' days'), NULL, NULL FROM s;
CREATE TABLE orders (id INTEGER PRIMARY KEY, person INT, amount DOUBLE, price NUMERIC, placed TIMESTAMP, note);
INSERT INTO orders VALUES
    (1, 1, 5.00, 1.5, '2024-01-01T00:00:00Z', 'first'), (2, 1, 7.25, 2.5, NULL, NULL), (3, 2, 1.00, 3, '2024-01-01 10:00', ''),
    (4, NULL, 100.00, 3, '2024-06-01 12:00:00.5', 'nobody'), (5, 77, 2.50, NULL, NULL, 'unknown'), (6, 5, 0, 0, NULL, 'ü');";

/// The bytes of a database that the script makes.
fn database(script: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made.db");
    Connection::open(&path).unwrap().execute_batch(script).unwrap();
    std::fs::read(path).unwrap()
}

async fn context(content: Vec<u8>) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Sqlite);
    config.file_path = Some("users/1/crm.db".into());
    let (context, cache) = crate::support::source("sqlite", config, Credentials::default());
    crate::support::put(&context, content).await;
    (context, cache)
}

async fn table(source: &Arc<dyn OpenedSource>, name: &str) -> Arc<dyn TableProvider> {
    source.open_table("main", name, None).await.unwrap()
}

fn copies(context: &SourceContext) -> usize {
    std::fs::read_dir(&context.cache_dir).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let (context, _cache) = context(database(TABLES)).await;
    let source = crate::support::open(&context).await;
    check_suite(&source, "main", 8, CLAUSES).await;
}

#[tokio::test]
async fn types_are_what_the_columns_hold() {
    let (context, _cache) = context(database(
        "CREATE TABLE t (
            whole INT, flag BOOLEAN, not_flag BOOLEAN, day DATE, not_day DATE, at DATETIME, loose TIMESTAMP, amount NUMERIC,
            mixed INT, raw BLOB, anything, digits NUMERIC, empty TEXT, no_date DATE);
         INSERT INTO t VALUES (1, 1, 2, '2024-02-29', '2024-02-30', '2024-01-01 00:00:00', '2024-01-01T10:00:00+02:00', 1,
            'x', x'00ff', 'a', 'abc', NULL, NULL);
         INSERT INTO t VALUES (2, 0, 0, NULL, '2024-01-01', NULL, '2024-01-01', 2.5, 7, NULL, x'61', '9x', NULL, NULL);",
    ))
    .await;
    let source = crate::support::open(&context).await;
    let provider = table(&source, "t").await;
    let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    let expected = [
        ("whole", DataType::Int64),
        ("flag", DataType::Boolean),
        ("not_flag", DataType::Int64),
        ("day", DataType::Date32),
        ("not_day", DataType::Utf8),
        ("at", moment.clone()),
        ("loose", moment),
        ("amount", DataType::Float64),
        ("mixed", DataType::Utf8),
        ("raw", DataType::Binary),
        ("anything", DataType::Utf8),
        ("digits", DataType::Utf8),
        ("empty", DataType::Utf8),
        ("no_date", DataType::Date32),
    ];
    let schema = provider.schema();
    for (name, data_type) in &expected {
        assert_eq!(schema.field_with_name(name).unwrap().data_type(), data_type, "{name}");
    }
    let pair = Pair::of(vec![("t", provider)]).await;
    let found = pair.pushed.sql("SELECT loose, mixed, anything, amount FROM t ORDER BY whole").await.unwrap();
    let found = rows(&found.collect().await.unwrap(), true);
    assert_eq!(found[0][..3], ["2024-01-01T08:00:00", "x", "a"]);
    assert_eq!(found[1][..3], ["2024-01-01T00:00:00", "7", "61"]);
    for query in [
        "SELECT whole FROM t WHERE digits > '5'",
        "SELECT whole FROM t WHERE mixed = '7' OR not_day < '2024-02-01'",
        "SELECT whole FROM t WHERE day = '2024-02-29' AND at <= '2024-01-01'",
        "SELECT whole FROM t WHERE loose >= '2024-01-01 08:00:00'",
        "SELECT mixed, count(*) FROM t GROUP BY mixed ORDER BY mixed",
        "SELECT min(mixed), max(anything), min(at), max(day), count(raw) FROM t",
    ] {
        pair.check(query).await;
    }
}

/// SQLite compares the bytes of texts as they are stored, and those of UTF-16 are in an order of their own.
#[tokio::test]
async fn texts_in_another_encoding_are_ordered_as_they_are_here() {
    for encoding in ["UTF-16le", "UTF-16be"] {
        let (context, _cache) = context(database(&format!(
            "PRAGMA encoding = '{encoding}';
             CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, code NUMERIC, mixed);
             INSERT INTO t VALUES (1, 'a', 'a', 'a'), (2, 'ā', 'ā', 7), (3, 'z', 'z', 'z'), (4, '\u{ff61}', 'b', x'61'),
                 (5, '\u{1f600}', 'c', 'ā');"
        )))
        .await;
        let source = crate::support::open(&context).await;
        let pair = Pair::of(vec![("t", table(&source, "t").await)]).await;
        for column in ["name", "code", "mixed"] {
            pair.check(&format!("SELECT id FROM t WHERE {column} < 'b'")).await;
            pair.check(&format!("SELECT id FROM t WHERE {column} BETWEEN 'ā' AND '\u{ff70}'")).await;
            pair.check(&format!("SELECT id, {column} FROM t ORDER BY {column}, id")).await;
            pair.check(&format!("SELECT min({column}), max({column}) FROM t")).await;
        }
        let statements = pair.check("SELECT count(*) FROM t WHERE name = 'ā'").await;
        assert!(statements[0].contains("count(*)"), "equal texts are equal there, too: {statements:?}");
    }
}

#[tokio::test]
async fn discovery_describes_everything() {
    let (context, _cache) = context(database(&format!(
        "{TABLES} CREATE VIEW adults AS SELECT id, name FROM people WHERE age >= 18; CREATE VIEW broken AS SELECT * FROM gone;"
    )))
    .await;
    let source = crate::support::open(&context).await;
    let schemas = source.discover(None).await.unwrap();
    assert_eq!(schemas.len(), 1);
    let names: Vec<_> = schemas[0].tables.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    assert_eq!(names, [("adults", TableKind::View), ("orders", TableKind::Table), ("people", TableKind::Table)]);
    let people = &schemas[0].tables[2];
    assert_eq!(people.row_count, Some(40));
    assert!(people.columns[0].primary_key && !people.columns[1].nullable && people.columns[2].nullable);
    assert_eq!(people.columns[9].foreign_key.as_ref().unwrap().column, "id");
    assert!(source.discover(Some("other")).await.unwrap().is_empty());
    assert!(matches!(source.open_table("main", "gone", None).await, Err(ConnectorError::NotFound { .. })));

    check_kept(&source, "main", people).await;
}

#[tokio::test]
async fn a_replaced_file_is_another_source() {
    let (context, _cache) = context(database("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")).await;
    let source = crate::support::open(&context).await;
    let known = source.discover(None).await.unwrap().remove(0).tables.remove(0);
    assert!(source.is_current().await);
    crate::support::put(&context, database("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x'), ('y')")).await;
    assert!(!source.is_current().await);
    let again = crate::support::open(&context).await;
    // What was discovered of the old file does not speak of the new one.
    let table = again.open_table("main", "t", Some(&known)).await.unwrap();
    assert_eq!(table.schema().field(0).data_type(), &DataType::Utf8);
}

#[tokio::test]
async fn the_plain_copy_is_private_and_short_lived() {
    let (context, cache) = context(database(TABLES)).await;
    std::fs::write(cache.path().join("left.sqlite-copy"), "by a killed process").unwrap();
    let connector = Registry::new().connector(DataSourceType::Sqlite).unwrap().clone();
    let source = connector.open(&context).await.unwrap();
    let second = connector.open(&context).await.unwrap();
    assert_eq!(copies(&context), 1, "one copy for two users, and the old one is gone");
    let path = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777, 0o600);
    let table = table(&source, "people").await;
    drop((source, second));
    assert_eq!(copies(&context), 1, "a table still reads it");
    drop(table);
    assert_eq!(copies(&context), 0);
}

#[tokio::test]
async fn what_is_no_database_is_told_so() {
    let damaged = {
        let mut bytes = database(TABLES);
        let middle = bytes.len() / 2;
        bytes[100..middle].fill(0xa5);
        bytes
    };
    for (content, told) in
        [(Vec::new(), "empty"), (b"id,name\n1,a\n".to_vec(), "not an SQLite 3 database"), (damaged, "damaged")]
    {
        let (context, _cache) = context(content).await;
        let outcome = Registry::new().connector(DataSourceType::Sqlite).unwrap().test(&context).await;
        let message = outcome.error_message.unwrap();
        assert!(outcome.error_code == Some("UNREADABLE_FILE") && message.contains(told), "{message}");
        assert_eq!(copies(&context), 0);
    }
    let (context, _cache) = context(database(TABLES)).await;
    let outcome = Registry::new().connector(DataSourceType::Sqlite).unwrap().test(&context).await;
    assert!(outcome.successful && outcome.version.unwrap().starts_with("SQLite 3."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_statements_end() {
    let script = "CREATE TABLE n (i INT); WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 3000) INSERT INTO n SELECT i FROM s;";
    let (mut context, _cache) = context(database(script)).await;
    context.config.query_timeout = 1;
    context.config.connection_pool_size = 1;
    let source = crate::support::open(&context).await;
    let ctx = session_of("n", table(&source, "n").await);
    let endless = "SELECT count(*) FROM n a, n b, n c WHERE a.i < b.i AND b.i < c.i";
    let start = Instant::now();
    check_time_limit(&ctx, endless).await;
    drop(waiting(&ctx, endless).await);
    // The only connection is free once the statement was stopped.
    assert!(source.probe().await.is_ok());
    assert!(start.elapsed() < Duration::from_secs(30));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever stands in whatever column: it is read, and compared the same here and there.
    #[test]
    fn any_content_is_read(
        declared in prop::sample::select(vec!["INT", "TEXT", "REAL", "NUMERIC", "BLOB", "", "DATE", "DATETIME", "BOOLEAN"]),
        values in prop::collection::vec(value(), 0..12),
        other in "[a-c0-9%_]{0,3}",
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("made.db");
            let connection = Connection::open(&path).unwrap();
            connection.execute_batch(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared} COLLATE NOCASE)")).unwrap();
            for value in &values {
                connection.execute("INSERT INTO t (v) VALUES (?1)", [value]).unwrap();
            }
            drop(connection);
            let (context, _cache) = context(std::fs::read(path).unwrap()).await;
            let source = crate::support::open(&context).await;
            let provider = table(&source, "t").await;
            let text = provider.schema().field(1).data_type() == &DataType::Utf8;
            let pair = Pair::of(vec![("t", provider)]).await;
            pair.check("SELECT v, count(*) FROM t GROUP BY v").await;
            pair.check("SELECT a.id, b.id FROM t a JOIN t b ON a.v = b.v").await;
            pair.check("SELECT count(v), count(DISTINCT v) FROM t").await;
            if text {
                for operator in ["=", "<>", "<", ">=", "LIKE", "NOT LIKE"] {
                    pair.check(&format!("SELECT id FROM t WHERE v {operator} '{other}'")).await;
                }
                pair.check("SELECT id, v FROM t ORDER BY v, id").await;
            }
        });
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-3..3_i64).prop_map(Value::Integer),
        any::<i64>().prop_map(Value::Integer),
        (-100..100_i32).prop_map(|n| Value::Real(f64::from(n) / 4.0)),
        "[a-cA-C0-9%_ ]{0,4}".prop_map(Value::Text),
        "20[0-9]{2}-0[1-9]-[0-3][0-9]".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Value::Blob),
    ]
}
