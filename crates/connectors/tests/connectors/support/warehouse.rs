//! The HTTP protocols of SQL services over DuckDB in a Python process, with `sqlglot` to read their dialects.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use rivergen_connectors::{
    ConnectorError, Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext, Step, TableKind,
};
use serde_json::json;

use super::database::{self, check_kept, eventually, waiting};
use super::differential::{CLAUSES, Pair, check_suite, rows, session_of};
use super::shim::Shim;
use super::{local, outbound};

/// The tables that the differential suite asks, in DuckDB's SQL.
pub const TABLES: &str = "
CREATE TABLE people (
    id int PRIMARY KEY, name varchar NOT NULL, city varchar, age bigint, salary decimal(10,2), rate double,
    active boolean, born date, seen timestamp, boss int);
INSERT INTO people VALUES
    (1, 'Anna', 'Rome', 30, 1000.50, 0.1, true, '1990-05-01', '2024-03-10 12:30:00', NULL),
    (2, 'anna', 'Oslo', 41, 0.10, 0.2, false, '1985-12-31', '2024-02-29 23:59:59.999999', 1),
    (3, 'Bob', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
    (4, 'O''Brien; --', 'rome', 29, 99999999.99, 'Infinity', true, '1969-07-20', '1969-12-31 00:00:01', 2),
    (5, 'Jürgen', 'Rome', 41, -5.25, -0.3, false, '2001-01-01', '2024-03-10 12:30:00', 2),
    (6, '100%', '', 0, 1000.51, 1e300, NULL, '1990-05-01', '2023-12-25 08:00:00', 3);
INSERT INTO people SELECT n, 'zed ' || n, 'Bonn', n, n, n / 3, n % 2 = 0, DATE '2000-01-01' + n::int, NULL, NULL
    FROM range(7, 41) r (n);
CREATE TABLE orders (id bigint PRIMARY KEY, person int, amount decimal(8,2), price float, placed timestamptz, note varchar);
INSERT INTO orders VALUES
    (1, 1, 5.00, 1.5, '2024-01-01 00:00:00+02', 'first'), (2, 1, 7.25, 2.5, NULL, NULL), (3, 2, 1.00, 0.1, now(), ''),
    (4, NULL, 100.00, 3, '2024-06-01 12:00+00', 'nobody'), (5, 77, 2.50, NULL, NULL, 'unknown'), (6, 5, 0, 0, NULL, 'ü');
";

/// A running service.
pub struct Service {
    pub port: u16,
    _shim: Shim,
}

impl Service {
    /// Starts the service and runs the statements; `None`, and a word, where its packages are not installed.
    pub fn start(kind: &str, script: &str) -> Option<Self> {
        let shim = Shim::start("warehouse_http.py", &[kind, script], "DuckDB and sqlglot are")?;
        Some(Self { port: shim.port, _shim: shim })
    }

    /// The statements that were cancelled.
    pub async fn cancelled(&self) -> Vec<String> {
        self.told("cancelled").await
    }

    /// The statements whose results were to be fetched elsewhere.
    pub async fn fetched(&self) -> Vec<String> {
        self.told("fetched").await
    }

    /// The tokens for a while that were handed out.
    pub async fn granted(&self) -> Vec<String> {
        self.told("granted").await
    }

    async fn told(&self, what: &str) -> Vec<String> {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/{what}", self.port)).await.unwrap();
        answer.json().await.unwrap()
    }
}

/// A change of what a source is configured with.
pub type Change = fn(&mut SourceConfig, &mut Credentials);

/// A source of the kind, which listens at the port; with a change of it.
pub fn configured(
    kind: DataSourceType,
    credentials: Credentials,
    port: u16,
    change: impl FnOnce(&mut SourceConfig, &mut Credentials),
) -> (SourceContext, tempfile::TempDir) {
    local(kind, port, "shop", credentials, |config, credentials| {
        config.metadata.insert("sslmode".into(), json!("disable"));
        change(config, credentials);
    })
}

/// Tests of the connection tell what is wrong and no more; with each of the `wrong` changes nobody is signed in.
pub async fn check_test(
    service: &Service,
    context: impl Fn(u16, Change) -> (SourceContext, tempfile::TempDir),
    version: Option<&str>,
    wrong: &[Change],
) {
    let (good, _cache) = context(service.port, |_, _| {});
    let connector = Registry::new().connector(good.config.kind).unwrap().clone();
    assert!(connector.validate(&good.config, &good.credentials).is_empty());
    let outcome = connector.test(&good).await;
    assert!(outcome.successful, "{:?}", outcome.error_message);
    assert_eq!(outcome.version.as_deref(), version);
    for change in wrong {
        let (wrong, _cache) = context(service.port, *change);
        let outcome = connector.test(&wrong).await;
        assert_eq!(outcome.failed_at, Some(Step::SignIn));
        let message = outcome.error_message.unwrap();
        assert!(message.contains("credentials") && !message.contains("secret words"), "{message}");
    }
    let (mut private, _cache) = context(service.port, |_, _| {});
    private.guard = outbound(false);
    let outcome = connector.test(&private).await;
    assert_eq!(outcome.failed_at, Some(Step::Address));
    assert!(outcome.error_message.unwrap().contains("not allowed"));
    let (mut closed, _cache) = context(1, |config, _| config.max_retries = 0);
    assert_eq!(connector.test(&closed).await.failed_at, Some(Step::Connection));
    closed.config.metadata.remove("sslmode");
    closed.config.port = Some(service.port);
    assert_eq!(connector.test(&closed).await.failed_at, Some(Step::Connection), "no TLS is spoken there");
    for (field, value) in [("host", "https://x"), ("host", "x/y"), ("metadata.sslmode", "perhaps")] {
        let (mut wrong, _cache) = context(service.port, |_, _| {});
        match field {
            "host" => wrong.config.host = Some(value.into()),
            _ => _ = wrong.config.metadata.insert("sslmode".into(), json!(value)),
        }
        let faults = connector.validate(&wrong.config, &wrong.credentials);
        assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), [field]);
    }
}

/// Asks what the differential suite asks, of the service and of copies of its tables.
pub async fn check(source: &Arc<dyn OpenedSource>) {
    let pair = check_suite(source, "public", 7, CLAUSES).await;
    // Pages are of seven rows.
    let all = pair.pushed.sql("SELECT id FROM people").await.unwrap().collect().await.unwrap();
    assert_eq!(rows(&all, false).len(), 40);
    for query in [
        "SELECT id FROM orders WHERE placed > '2024-02-01T00:00:00Z'",
        "SELECT id FROM orders WHERE placed BETWEEN '2023-12-01T00:00:00Z' AND '2024-01-01T00:00:00Z'",
    ] {
        let statements = pair.check(query).await;
        assert!(statements[0].contains("'202"), "narrowed there: {statements:?}");
    }
}

/// Discovery and what follows from it.
pub async fn check_discovery(source: &Arc<dyn OpenedSource>) {
    let schemas = source.discover(None).await.unwrap();
    let names: Vec<_> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names, ["public", "sales"]);
    let tables: Vec<_> = schemas[0].tables.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    assert_eq!(tables, [("orders", TableKind::Table), ("people", TableKind::Table), ("totals", TableKind::View)]);
    let people = &schemas[0].tables[1];
    assert!(!people.columns[0].nullable && people.columns[2].nullable && people.columns[0].position == 1);
    assert_eq!(people.columns[8].arrow_type, DataType::Timestamp(TimeUnit::Microsecond, None));
    check_kept(source, "public", people).await;
    for (schema, table) in [("public", "nobody"), ("nowhere", "people")] {
        assert!(matches!(source.open_table(schema, table, None).await, Err(ConnectorError::NotFound { .. })));
    }
}

/// What discovery looks at beside the tables of the suite.
pub const MORE: &str = "CREATE VIEW totals AS SELECT person, sum(amount) AS total FROM orders GROUP BY person;
    CREATE SCHEMA sales; CREATE TABLE sales.parts (k int);";

/// Tables whose rows never come; of the second even the statement begins late.
pub const NEVER: &str = "CREATE TABLE slow (k int); CREATE TABLE late (k int);";

/// Drops results that never come, and waits until the service was told.
pub async fn check_cancel(service: &Service, source: &Arc<dyn OpenedSource>) {
    for name in ["slow", "late"] {
        let ctx = session_of(name, source.open_table("public", name, None).await.unwrap());
        let stream = waiting(&ctx, &format!("SELECT k FROM {name}")).await;
        assert!(!service.cancelled().await.contains(&name.to_owned()));
        drop(stream);
        check_cancelled(service, name).await;
    }
}

async fn check_cancelled(service: &Service, name: &str) {
    let is_cancelled = async || service.cancelled().await.contains(&name.to_owned());
    assert!(eventually(is_cancelled).await, "the statement still runs");
}

/// A statement that takes longer than its time is given up, here and there. The source has a second.
pub async fn check_time_limit(service: &Service, source: &Arc<dyn OpenedSource>) {
    let ctx = session_of("slow", source.open_table("public", "slow", None).await.unwrap());
    database::check_time_limit(&ctx, "SELECT k FROM slow").await;
    check_cancelled(service, "slow").await;
}

/// A table that is gone since it was discovered: an error, in words that are not the service's.
pub async fn check_failure(source: &Arc<dyn OpenedSource>) {
    let schemas = source.discover(Some("public")).await.unwrap();
    let known = schemas[0].tables.iter().find(|table| table.name == "people").unwrap().clone();
    let known = rivergen_connectors::DiscoveredTable { name: "gone".into(), ..known };
    let ctx = session_of("gone", source.open_table("public", "gone", Some(&known)).await.unwrap());
    let error = ctx.sql("SELECT id FROM gone").await.unwrap().collect().await.unwrap_err();
    let error = ConnectorError::within(&error).unwrap_or_else(|| panic!("{error}")).to_string();
    assert!(!error.contains("Catalog Error") && !error.contains("gone"), "{error}");
}

/// Values at the edges of their types.
pub const TYPES: &str = "
CREATE TABLE types (id int, n bigint, d decimal(38,10), f double, t varchar, b boolean, day date, ts timestamp, tz timestamptz, raw blob);
INSERT INTO types VALUES
    (1, 9223372036854775807, 1234567890123456789012345678.0123456789, 'NaN', 'a ', true, '0001-01-01',
     '1969-12-31 23:59:59.999999', '2024-03-31 02:30:00.000001+02', '\\x00\\xFF'::blob),
    (2, -9223372036854775807, -0.0000000001, '-Infinity', 'A', false, '9999-12-31', '2024-02-29 12:00:00',
     '1969-12-31 23:59:59.5+00', ''::blob),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 0, 0, 1e-300, E'\\\\ '' \" \n', NULL, '1970-01-01', '1970-01-01 00:00:00', '1970-01-01 00:00:00+00', NULL);
";

/// Every value arrives as it is; texts are compared by every character of them, numbers by every digit.
pub async fn check_types(source: &Arc<dyn OpenedSource>) {
    let table = source.open_table("public", "types", None).await.unwrap();
    let ctx = session_of("types", table.clone());
    let found = ctx.sql("SELECT * FROM types ORDER BY id").await.unwrap().collect().await.unwrap();
    let minus = "-9223372036854775807";
    let expected = [
        [
            "1",
            "9223372036854775807",
            "1234567890123456789012345678.0123456789",
            "NaN",
            "a ",
            "true",
            "0001-01-01",
            "1969-12-31T23:59:59.999999",
            "2024-03-31T00:30:00.000001Z",
            "00ff",
        ],
        [
            "2",
            minus,
            "-0.0000000001",
            "-inf",
            "A",
            "false",
            "9999-12-31",
            "2024-02-29T12:00:00",
            "1969-12-31T23:59:59.500Z",
            "",
        ],
        ["3", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL"],
        [
            "4",
            "0",
            "0.0000000000",
            "1.00000000000e-300",
            "\\ ' \" \n",
            "NULL",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00Z",
            "NULL",
        ],
    ];
    assert_eq!(rows(&found, true), expected.map(|row| row.map(str::to_owned).to_vec()));
    let pair = Pair::of(vec![("types", table)]).await;
    for (condition, ids) in [
        ("t = 'a '", vec!["1"]),
        ("t = 'a'", vec![]),
        ("t = 'a' OR t = 'A '", vec![]),
        ("t > 'A' AND t < 'b'", vec!["1", "4"]),
        ("t = '\\ '' \" \n'", vec!["4"]),
        ("t IN ('a ', 'A', NULL)", vec!["1", "2"]),
        ("t NOT IN ('a ', 'A')", vec!["4"]),
        ("d = CAST('1234567890123456789012345678.0123456789' AS decimal(38, 10))", vec!["1"]),
        ("d = CAST('-0.0000000001' AS decimal(38, 10))", vec!["2"]),
        ("n = 9223372036854775807", vec!["1"]),
        ("day = '0001-01-01' OR day = '9999-12-31'", vec!["1", "2"]),
        ("ts = '1969-12-31T23:59:59.999999'", vec!["1"]),
        ("ts < '1970-01-01T00:00:00'", vec!["1"]),
        ("tz = '2024-03-31T00:30:00.000001Z'", vec!["1"]),
        ("tz < '1970-01-01T00:00:00Z'", vec!["2"]),
        ("b IS NOT TRUE", vec!["2", "3", "4"]),
        ("n IS NULL", vec!["3"]),
        ("f = 'NaN'", vec!["1"]),
        ("id > 4", vec![]),
    ] {
        let sql = format!("SELECT id FROM types WHERE {condition} ORDER BY id");
        let found = pair.pushed.sql(&sql).await.unwrap().collect().await.unwrap();
        let found: Vec<_> = rows(&found, true).into_iter().flatten().collect();
        assert_eq!(found, ids, "{condition}");
        pair.check(&sql).await;
    }
    // An empty result, and aggregates of one.
    for sql in ["SELECT * FROM types WHERE id > 4", "SELECT count(*), sum(n), max(t), min(tz) FROM types WHERE id > 4"]
    {
        pair.check(sql).await;
    }
}
