//! The HTTP protocols of SQL services over DuckDB in a Python process, with `sqlglot` to read their dialects.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use futures::StreamExt;
use rivergen_connectors::{ConnectorError, OpenedSource, TableKind};

use super::differential::{Pair, QUERIES, session};

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

/// A running service; dropping it stops it.
pub struct Service {
    pub port: u16,
    child: Child,
}

impl Service {
    /// Starts the service and runs the statements; `None`, and a word, where its packages are not installed.
    pub fn start(kind: &str, script: &str) -> Option<Self> {
        let Some(python) = python() else {
            eprintln!("skipped: DuckDB and sqlglot are not installed; see scripts/install-test-tools.sh");
            return None;
        };
        let shim = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/warehouse_http.py");
        let mut child = Command::new(python).args([shim, kind, script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the service did not start: {line}"));
        Some(Self { port, child })
    }

    /// The statements that were cancelled.
    pub async fn cancelled(&self) -> Vec<String> {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/cancelled", self.port)).await.unwrap();
        answer.json().await.unwrap()
    }
}

/// Asks what the differential suite asks, of the service and of copies of its tables.
pub async fn check(source: &Arc<dyn OpenedSource>) {
    let mut tables = Vec::new();
    for name in ["people", "orders"] {
        tables.push((name, source.open_table("public", name, None).await.unwrap()));
    }
    let pair = Pair::of(tables).await;
    let mut whole = 0;
    for query in QUERIES {
        whole += usize::from(pair.check(query).await.len() == 1);
    }
    assert!(whole * 10 >= QUERIES.len() * 7, "{whole} of {} left as one statement", QUERIES.len());
    let statements = pair.check("SELECT p.city, sum(o.amount) AS s FROM people p JOIN orders o ON o.person = p.id WHERE p.active GROUP BY p.city ORDER BY s DESC LIMIT 5").await;
    let [statement] = statements.as_slice() else { panic!("{statements:?}") };
    for part in ["JOIN", "WHERE", "GROUP BY", "ORDER BY", "LIMIT 5"] {
        assert!(statement.contains(part), "{statement}");
    }
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
    let known = serde_json::from_str(&serde_json::to_string(people).unwrap()).unwrap();
    let table = source.open_table("public", "people", Some(&known)).await.unwrap();
    assert_eq!(table.schema(), source.open_table("public", "people", None).await.unwrap().schema());
    for (schema, table) in [("public", "nobody"), ("nowhere", "people")] {
        assert!(matches!(source.open_table(schema, table, None).await, Err(ConnectorError::NotFound { .. })));
    }
}

/// What discovery looks at beside the tables of the suite.
pub const MORE: &str = "CREATE VIEW totals AS SELECT person, sum(amount) AS total FROM orders GROUP BY person;
    CREATE SCHEMA sales; CREATE TABLE sales.parts (k int);";

/// Drops a result that never comes, and waits until the service was told.
pub async fn check_cancel(service: &Service, source: &Arc<dyn OpenedSource>) {
    let ctx = session();
    ctx.register_table("slow", source.open_table("public", "slow", None).await.unwrap()).unwrap();
    let mut stream = ctx.sql("SELECT k FROM slow").await.unwrap().execute_stream().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), stream.next()).await.is_err(), "it never comes");
    drop(stream);
    let until = Instant::now() + Duration::from_secs(10);
    while service.cancelled().await != ["slow"] {
        assert!(Instant::now() < until, "the statement still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The Python that has the engines.
pub fn python() -> Option<PathBuf> {
    let given = std::env::var_os("RIVERGEN_TEST_SERVICES_PYTHON").map(PathBuf::from);
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/rivergen/services/bin/python"));
    given.or_else(usual).filter(|python| python.exists())
}
