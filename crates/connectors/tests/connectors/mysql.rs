//! The connector of MySQL and MariaDB against a real MariaDB.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::database::{Given, check_kept, check_streams, check_time_limit, check_tls, eventually, waiting};
use crate::support::differential::{CLAUSES, Pair, check_suite, rows, session_of};
use crate::support::faults::{self, Change};
use crate::support::mariadb::{DATABASE, PASSWORD, Server, USER};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use mysql_async::prelude::Queryable;
use rivergen_connectors::{ConnectorError, DataSourceType, ForeignKey, OpenedSource, Registry, TableKind};
use rivergen_kernel::secret::Secret;
use serde_json::json;

/// The columns' collation is blind to case, accents and blanks at the end.
const TABLES: &str = "
CREATE TABLE people (
    id int PRIMARY KEY, name varchar(60) NOT NULL, city varchar(20), age bigint, salary decimal(10,2), rate double,
    active boolean, born date, seen datetime(6), boss int REFERENCES people (id), KEY (name), KEY (born));
INSERT INTO people VALUES
    (1, 'Anna', 'Rome', 30, 1000.50, 0.1, true, '1990-05-01', '2024-03-10 12:30:00', NULL),
    (2, 'anna', 'Oslo', 41, 0.10, 0.2, false, '1985-12-31', '2024-02-29 23:59:59.999999', 1),
    (3, 'Bob', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
    (4, 'O''Brien; --', 'rome', 29, 99999999.99, 1e308, true, '1969-07-20', '1969-12-31 00:00:01', 2),
    (5, 'Jürgen', 'Rome', 41, -5.25, -0.3, false, '2001-01-01', '2024-03-10 12:30:00', 2),
    (6, '100%', '', 0, 1000.51, 1e300, NULL, '1990-05-01', '2023-12-25 08:00:00', 3);
INSERT INTO people SELECT seq, concat('zed ', seq), 'Bonn', seq, seq, seq / 3e0, seq % 2 = 0, DATE'2000-01-01' + INTERVAL seq DAY,
    NULL, NULL FROM seq_7_to_40;
CREATE TABLE orders (
    id bigint unsigned PRIMARY KEY, person int, amount decimal(8,2), price float, placed timestamp NULL, note text);
INSERT INTO orders VALUES
    (1, 1, 5.00, 1.5, '2024-01-01 00:00:00', 'first'), (2, 1, 7.25, 2.5, NULL, NULL), (3, 2, 1.00, 0.1, now(), ''),
    (4, NULL, 100.00, 3, '2024-06-01 12:00:00', 'nobody'), (5, 77, 2.50, NULL, NULL, 'unknown'), (6, 5, 0, 0, NULL, 'ü');";

const GIVEN: Given = Given {
    kind: DataSourceType::Mariadb,
    database: DATABASE,
    schema: DATABASE,
    user: USER,
    password: PASSWORD,
    // The test's server has a certificate in some tests only.
    sslmode: Some("prefer"),
};

async fn made(script: &str) -> (Server, Arc<dyn OpenedSource>, tempfile::TempDir) {
    let mut server = Server::start();
    server.run(script).await;
    let (source, cache) = GIVEN.open(server.port).await;
    (server, source, cache)
}

#[tokio::test]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let (_server, source, _cache) = made(TABLES).await;
    check_suite(&source, DATABASE, 8, CLAUSES).await;
}

/// The exact comparison is by bytes and computed; beside it stands one that an index serves.
#[tokio::test]
async fn indexes_serve_exact_comparisons() {
    let (mut server, source, _cache) = made(TABLES).await;
    let pair = Pair::of(vec![("people", GIVEN.table(&source, "people").await)]).await;
    let mut conn = server.conn().await;
    for (query, index) in [
        ("SELECT id FROM people WHERE name = 'Anna'", "name"),
        ("SELECT id FROM people WHERE name IN ('Anna', 'Bob') AND age > 1", "name"),
        ("SELECT id FROM people WHERE born > DATE '2000-02-01'", "born"),
        ("SELECT id FROM people WHERE born BETWEEN DATE '2000-01-10' AND DATE '2000-01-12'", "born"),
        ("SELECT count(*) FROM people WHERE name = 'Anna'", "name"),
    ] {
        let statements = pair.check(query).await;
        let [statement] = statements.as_slice() else { panic!("{statements:?}") };
        conn.query_drop("SET NAMES utf8mb4; SET sql_mode = 'NO_BACKSLASH_ESCAPES'").await.unwrap();
        let plan: Option<mysql_async::Row> = conn.query_first(format!("EXPLAIN {statement}")).await.unwrap();
        let possible: Option<String> = plan.unwrap().get("possible_keys").unwrap();
        assert_eq!(possible.as_deref(), Some(index), "{statement}");
    }
}

#[tokio::test]
async fn every_type_is_read() {
    let (_server, source, _cache) = made(
        "SET sql_mode = '';
         CREATE TABLE types (
            a tinyint, b tinyint unsigned, c mediumint unsigned, d int unsigned, e bigint unsigned, f decimal(60,20), g float,
            h double, i bit(1), j bit(9), k bit(64), l date, m datetime(3), n timestamp NULL, o time(2), p year, q char(5),
            r varchar(20) CHARACTER SET latin1, s longtext, t json, u enum('sad', 'ok'), v set('x', 'y'), w binary(3), x blob,
            y point, z uuid, aa inet6, `odd ``\\\"name` int, bb decimal(20,5) zerofill, cc varchar(2000));
         INSERT INTO types VALUES (
            -3, 255, 16777215, 4294967295, 18446744073709551615, 12345678901234567890.12345678901234567890, 0.1, 1e-300, b'1',
            b'101', 18446744073709551615, '2024-02-29', '2024-02-29 12:00:00.5', '2024-06-01 12:00:00', '-838:59:59', 1999, 'ab ',
            'Ärger', 'long', '{\"x\":  1}', 'ok', 'x,y', x'00ff00', x'0102', POINT(1, 2), '123E4567-e89b-12d3-a456-426655440000',
            '::1', 7, 1.5, 'wide');
         INSERT INTO types (a, l, m, cc) VALUES (NULL, '0000-00-00', '2024-00-10 00:00:00', 'WIDE');",
    )
    .await;
    let provider = GIVEN.table(&source, "types").await;
    let schema = provider.schema();
    let typed = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(typed("b"), DataType::Int16);
    assert_eq!(typed("d"), DataType::Int64);
    assert_eq!(typed("e"), DataType::Decimal128(20, 0));
    assert_eq!(typed("i"), DataType::Boolean);
    assert_eq!(typed("m"), DataType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!(typed("n"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    let ctx = session_of("types", provider.clone());
    let found = ctx.sql("SELECT * FROM types WHERE a = -3").await.unwrap().collect().await.unwrap();
    let expected = [
        "-3",
        "255",
        "16777215",
        "4294967295",
        "18446744073709551615",
        "12345678901234567890.12345678901234567890",
        "1.00000001490e-1",
        "1.00000000000e-300",
        "true",
        "5",
        "18446744073709551615",
        "2024-02-29",
        "2024-02-29T12:00:00.500",
        "2024-06-01T12:00:00Z",
        "-838:59:59.00",
        "1999",
        "ab",
        "Ärger",
        "long",
        "{\"x\":  1}",
        "ok",
        "x,y",
        "00ff00",
        "0102",
        "POINT(1 2)",
        "123e4567-e89b-12d3-a456-426655440000",
        "::1",
        "7",
        "1.50000",
        "wide",
    ];
    assert_eq!(rows(&found, true), [expected.map(str::to_owned).to_vec()]);
    let pair = Pair::of(vec![("types", provider)]).await;
    pair.check_whole(&[
        "SELECT a FROM types WHERE l IS NULL AND m IS NULL",
        "SELECT count(*) FROM types WHERE l < DATE '2024-01-01' OR NOT (m > TIMESTAMP '2024-01-01 00:00:00')",
        "SELECT a FROM types WHERE r = 'ärger' OR q = 'AB' OR u = 'OK'",
        "SELECT a FROM types WHERE r = 'Ärger' AND q = 'ab' AND u = 'ok' AND v LIKE '%y'",
        "SELECT a FROM types WHERE e = 18446744073709551615",
        "SELECT a FROM types WHERE e > 5 AND k > 5 AND j = 5 AND p = 1999 AND i",
        "SELECT a FROM types WHERE g > 0.1 AND g < 0.2",
        "SELECT max(e), sum(e), min(l), max(m), sum(g) FROM types",
        "SELECT r, u, count(*) FROM types GROUP BY r, u ORDER BY r NULLS FIRST, u DESC",
        "SELECT date_trunc('month', m), extract(week FROM l), extract(dow FROM l), extract(quarter FROM m) FROM types",
    ])
    .await;
    // Too long to be sorted or grouped there; a comparison narrows what is fetched, and is made again here.
    for (query, narrowed) in [
        ("SELECT cc, count(*) FROM types GROUP BY cc ORDER BY cc", false),
        ("SELECT a FROM types WHERE cc = 'wide' LIMIT 1", true),
        ("SELECT count(*) FROM types WHERE cc IN ('Wide', 'wide', 'x') AND a IS NOT NULL", true),
        ("SELECT a FROM types WHERE cc <> 'wide'", false),
    ] {
        let statements = pair.check(query).await;
        let [statement] = statements.as_slice() else { panic!("{statements:?}") };
        assert_eq!(statement.contains("'wide'"), narrowed, "{statement}");
        assert!(!statement.contains("LIMIT"), "{statement}");
    }
}

#[tokio::test]
async fn discovery_describes_everything() {
    let (mut server, source, _cache) = made(TABLES).await;
    server
        .run(
            "CREATE VIEW totals AS SELECT person, sum(amount) AS total FROM orders GROUP BY person;
             ALTER TABLE people COMMENT 'All of them', MODIFY age bigint DEFAULT 7 COMMENT 'In years';
             CREATE DATABASE other; CREATE TABLE other.secret (a int); ANALYZE TABLE people;
             CREATE USER reader@'%' IDENTIFIED BY 'r'; GRANT SELECT (id, name) ON shop.people TO reader@'%';",
        )
        .await;
    let schemas = source.discover(None).await.unwrap();
    assert_eq!(schemas.len(), 1, "a source is one database");
    let tables: Vec<_> = schemas[0].tables.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    assert_eq!(tables, [("orders", TableKind::Table), ("people", TableKind::Table), ("totals", TableKind::View)]);
    let people = &schemas[0].tables[1];
    assert_eq!((people.row_count, people.comment.as_deref()), (Some(40), Some("All of them")));
    let column = |name: &str| people.columns.iter().find(|column| column.name == name).unwrap();
    assert!(column("id").primary_key && !column("id").nullable && column("id").position == 1);
    assert_eq!(column("salary").source_type, "decimal(10,2)");
    assert_eq!(column("age").comment.as_deref(), Some("In years"));
    assert_eq!(column("age").default_value.as_deref(), Some("7"));
    let boss = ForeignKey { schema: DATABASE.into(), table: "people".into(), column: "id".into() };
    assert_eq!(column("boss").foreign_key.as_ref(), Some(&boss));
    assert!(source.discover(Some("other")).await.unwrap().is_empty());
    assert!(matches!(source.open_table("other", "secret", None).await, Err(ConnectorError::NotFound { .. })));
    assert!(matches!(source.open_table(DATABASE, "PEOPLE", None).await, Err(ConnectorError::NotFound { .. })));

    check_kept(&source, DATABASE, people).await;

    let (limited, _cache) = GIVEN.at(server.port, |_, credentials| {
        credentials.username = Some("reader".into());
        credentials.password = Some(Secret::new("r"));
    });
    let schemas = crate::support::open(&limited).await.discover(None).await.unwrap();
    let columns: Vec<_> = schemas[0].tables[0].columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["id", "name"], "only what the user may read");
}

/// The modes of libpq: encryption alone, a trusted root and the right name.
#[tokio::test]
async fn tls_is_as_strict_as_its_mode() {
    let mut server = Server::start_with_tls();
    server.run("CREATE VIEW own AS SELECT VARIABLE_VALUE AS cipher FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'").await;
    let certificate = server.certificate();
    let ways = [
        ("disable", "127.0.0.1", None, true),
        ("prefer", "127.0.0.1", None, true),
        ("require", "127.0.0.1", None, true),
        ("verify-full", "127.0.0.1", Some(&certificate), false),
        ("verify-full", "localhost", None, false),
        ("verify-full", "localhost", Some(&certificate), true),
    ];
    check_tls(&GIVEN, server.port, &ways, "SELECT cipher <> '' FROM own").await;
}

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let mut server = Server::start();
    let _ready = server.conn().await;
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Mariadb).unwrap();
    let (good, _cache) = GIVEN.at(server.port, |_, _| {});
    let outcome = connector.test(&good).await;
    assert!(outcome.successful, "{:?}", outcome.error_message);
    assert!(outcome.version.as_ref().unwrap().starts_with("MariaDB 1"), "{:?}", outcome.version);

    let no_tls: Change = Box::new(|s, _| _ = s.metadata.insert("sslmode".into(), json!("require")));
    let changed = |change: &Change| GIVEN.at(server.port, |config, credentials| change(config, credentials));
    faults::are_told(changed, vec![("TLS", no_tls)]).await;
}

#[tokio::test]
async fn sessions_are_read_only_and_bounded() {
    let mut server = Server::start();
    server
        .run(
            "CREATE TABLE log (n int);
             CREATE FUNCTION write_log() RETURNS int BEGIN INSERT INTO log VALUES (1); RETURN 1; END;
             CREATE VIEW sneaky AS SELECT write_log() AS n; CREATE VIEW calm AS SELECT 1 AS n;
             CREATE VIEW slow AS SELECT SLEEP(60) AS s;",
        )
        .await;
    let (context, _cache) = GIVEN.at(server.port, |config, _| {
        config.query_timeout = 1;
        config.connection_pool_size = 1;
    });
    let source = crate::support::open(&context).await;
    let ctx = GIVEN.session_of(&source, "slow").await;
    // A view that writes is not even described to such a session.
    let tables = source.discover(None).await.unwrap().remove(0).tables;
    assert!(tables.iter().all(|table| table.name != "sneaky"));
    let mut known = tables.into_iter().find(|table| table.name == "calm").unwrap();
    known.name = "sneaky".into();
    ctx.register_table("sneaky", source.open_table(DATABASE, "sneaky", Some(&known)).await.unwrap()).unwrap();
    let error = ctx.sql("SELECT n FROM sneaky").await.unwrap().collect().await.unwrap_err();
    assert!(matches!(ConnectorError::within(&error), Some(ConnectorError::QueryFailed { .. })), "{error}");
    let start = Instant::now();
    check_time_limit(&ctx, "SELECT s FROM slow").await;
    // Long before the view is through.
    assert!(start.elapsed() < Duration::from_secs(30));
    // The one session is free again.
    assert!(source.probe().await.is_ok());
    let written: Option<u64> = server.conn().await.query_first("SELECT count(*) FROM log").await.unwrap();
    assert_eq!(written, Some(0));
}

#[tokio::test]
async fn a_dropped_result_is_killed_at_the_server() {
    let (mut server, source, _cache) = made("CREATE VIEW slow AS SELECT SLEEP(60) AS s").await;
    let ctx = GIVEN.session_of(&source, "slow").await;
    let stream = waiting(&ctx, "SELECT s FROM slow").await;
    let mut conn = server.conn().await;
    let mut count = async || {
        let running =
            "SELECT count(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%`slow`%' AND ID <> CONNECTION_ID()";
        conn.query_first::<u64, _>(running).await.unwrap()
    };
    assert_eq!(count().await, Some(1));
    drop(stream);
    assert!(eventually(async || count().await == Some(0)).await, "the statement still runs");
}

#[tokio::test]
async fn large_results_stream() {
    let (_server, source, _cache) =
        made("CREATE TABLE big AS SELECT seq AS n, repeat('x', 100) AS t FROM seq_1_to_50000").await;
    check_streams(&GIVEN.session_of(&source, "big").await, "SELECT n, t FROM big").await;
}
