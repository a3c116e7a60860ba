//! The ClickHouse connector: against the engine itself where it is installed, and against a stub for what only a
//! server does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::clickhouse::{DATABASE, PASSWORD, USER, start};
use crate::support::database::{Given, check_kept, waiting};
use crate::support::differential::{CLAUSES, Pair, check_suite, rows, session_of};
use crate::support::shim::Shim;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use rivergen_connectors::{
    ConnectorError, Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext, Step, TableKind,
};
use rivergen_kernel::secret::Secret;

const TABLES: &str = "
CREATE TABLE people (
    id Int32, name String, city LowCardinality(Nullable(String)), age Nullable(Int64), salary Nullable(Decimal(10, 2)),
    rate Nullable(Float64), active Nullable(Bool), born Nullable(Date32), seen Nullable(DateTime64(6, 'Europe/Paris')),
    boss Nullable(Int32)) ENGINE = MergeTree ORDER BY id COMMENT 'All of them';
INSERT INTO people SETTINGS session_timezone = 'UTC' VALUES
    (1, 'Anna', 'Rome', 30, 1000.50, 0.1, true, '1990-05-01', toDateTime64('2024-03-10 12:30:00', 6, 'UTC'), NULL),
    (2, 'anna', 'Oslo', 41, 0.10, 0.2, false, '1985-12-31', toDateTime64('2024-02-29 23:59:59.999999', 6, 'UTC'), 1),
    (3, 'Bob', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
    (4, 'O\\'Brien; --', 'rome', 29, 99999999.99, inf, true, '1969-07-20', toDateTime64('1969-12-31 00:00:01', 6, 'UTC'), 2),
    (5, 'Jürgen', 'Rome', 41, -5.25, -0.3, false, '2001-01-01', toDateTime64('2024-03-10 12:30:00', 6, 'UTC'), 2),
    (6, '100%', '', 0, 1000.51, nan, NULL, '1990-05-01', toDateTime64('2023-12-25 08:00:00', 6, 'UTC'), 3);
INSERT INTO people SELECT number + 7, 'zed ' || toString(number + 7), 'Bonn', number + 7, number + 7, (number + 7) / 3,
    (number + 7) % 2 = 0, toDate32('2000-01-01') + number + 7, NULL, NULL FROM numbers(34);
CREATE TABLE orders (
    id UInt64, person Nullable(Int32), amount Decimal(8, 2), price Nullable(Float32), placed Nullable(DateTime), note Nullable(String))
    ENGINE = MergeTree ORDER BY id;
INSERT INTO orders VALUES
    (1, 1, 5.00, 1.5, 1704067200, 'first'), (2, 1, 7.25, 2.5, NULL, NULL), (3, 2, 1.00, 0.1, now(), ''),
    (4, NULL, 100.00, 3, 1717236000, 'nobody'), (5, 77, 2.50, NULL, NULL, 'unknown'), (6, 5, 0, 0, NULL, 'ü');
";

const GIVEN: Given = Given {
    kind: DataSourceType::Clickhouse,
    database: DATABASE,
    schema: DATABASE,
    user: USER,
    password: PASSWORD,
    sslmode: Some("disable"),
};

async fn made(script: &str) -> Option<(Shim, Arc<dyn OpenedSource>, tempfile::TempDir)> {
    let server = start(script)?;
    let (source, cache) = GIVEN.open(server.port).await;
    Some((server, source, cache))
}

#[tokio::test]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let Some((_server, source, _cache)) = made(TABLES).await else { return };
    let pair = check_suite(&source, DATABASE, 7, CLAUSES).await;
    // NaN is above all numbers for the engine, and beside them for the database.
    pair.check_whole(&[
        "SELECT id FROM people WHERE rate > 1000",
        "SELECT id FROM people WHERE NOT (rate >= 0.2)",
        "SELECT id FROM people WHERE 0.2 < rate",
        "SELECT sum(amount) FROM orders WHERE id > 100",
        "SELECT city, sum(age), min(name), max(born) FROM people WHERE age IS NULL GROUP BY city",
    ])
    .await;
}

#[tokio::test]
async fn every_type_is_read() {
    let script = "
        CREATE TABLE types (
            a Int8, b UInt8, c UInt16, d UInt32, e UInt64, f Int128, g Float32, h Decimal(38, 10), i Decimal(76, 2), j FixedString(4),
            k Date, l DateTime, m DateTime64(3, 'Asia/Tokyo'), n DateTime64(9), o Enum8('sad' = 1, 'ok' = 2), p UUID, q IPv4, r IPv6,
            s Array(Nullable(Int8)), t Map(String, Int32), u Tuple(x Int8, y String), v LowCardinality(String), w Bool,
            `odd ``\\\\\"name` Nullable(Int32), y SimpleAggregateFunction(max, Int64)) ENGINE = Memory;
        INSERT INTO types VALUES (
            -3, 255, 65535, 4294967295, 18446744073709551615, 170141183460469231731687303715884105727, 0.1, 1.5, 2.5, 'ab',
            '2024-02-29', 1709208000, toDateTime64('2024-02-29 12:00:00.5', 3, 'UTC'), toDateTime64('2024-02-29 12:00:00.123456789', 9, 'UTC'),
            'ok', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '10.0.0.1', '::1', [1, NULL], {'k': 1}, (1, 'z'), 'low', true, 7, 9);\n";
    let Some((_server, source, _cache)) = made(script).await else { return };
    let provider = GIVEN.table(&source, "types").await;
    let schema = provider.schema();
    let typed = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(typed("e"), DataType::Decimal128(20, 0));
    assert_eq!(typed("m"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    let ctx = session_of("types", provider.clone());
    let found = ctx.sql("SELECT * FROM types WHERE a = -3").await.unwrap().collect().await.unwrap();
    let expected = [
        "-3",
        "255",
        "65535",
        "4294967295",
        "18446744073709551615",
        "170141183460469231731687303715884105727",
        "1.00000001490e-1",
        "1.5000000000",
        "2.5",
        "ab",
        "2024-02-29",
        "2024-02-29T12:00:00Z",
        "2024-02-29T12:00:00.500Z",
        "2024-02-29T12:00:00.123456Z",
        "ok",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "10.0.0.1",
        "::1",
        "[1,null]",
        "{\"k\":1}",
        "{\"x\":1,\"y\":\"z\"}",
        "low",
        "true",
        "7",
        "9",
    ];
    assert_eq!(rows(&found, true), [expected.map(str::to_owned).to_vec()]);
    let pair = Pair::of(vec![("types", provider)]).await;
    pair.check_whole(&[
        "SELECT a FROM types WHERE o = 'no such label' OR p = 'not an id'",
        "SELECT a FROM types WHERE o = 'ok' AND q LIKE '10.%' AND j = 'ab' AND f = '170141183460469231731687303715884105727'",
        "SELECT a FROM types WHERE e = 18446744073709551615 AND e > 5 AND h < 2 AND b > 200 AND w",
        "SELECT sum(e), max(e), min(l), max(m), max(n), min(k), sum(h), count(DISTINCT v) FROM types",
        "SELECT a FROM types WHERE m = '2024-02-29T12:00:00.5Z' AND n < '2024-02-29T12:00:00.123457Z' AND k = '2024-02-29'",
        "SELECT extract(year FROM m), extract(hour FROM l), extract(dow FROM k), extract(week FROM n) FROM types",
        "SELECT a FROM types WHERE l IN ('2024-02-29T12:00:00Z') AND k BETWEEN '2024-01-01' AND '2024-12-31'",
    ])
    .await;
}

#[tokio::test]
async fn discovery_describes_everything() {
    let script = format!(
        "{TABLES}CREATE VIEW totals AS SELECT person, sum(amount) AS total FROM orders GROUP BY person;\n\
         ALTER TABLE people COMMENT COLUMN age 'In years';\n"
    );
    let Some((server, source, _cache)) = made(&script).await else { return };
    let schemas = source.discover(None).await.unwrap();
    assert_eq!((schemas.len(), schemas[0].name.as_str()), (1, DATABASE));
    let tables: Vec<_> = schemas[0].tables.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    assert_eq!(tables, [("orders", TableKind::Table), ("people", TableKind::Table), ("totals", TableKind::View)]);
    let people = &schemas[0].tables[1];
    assert_eq!((people.row_count, people.comment.as_deref()), (Some(40), Some("All of them")));
    let column = |name: &str| people.columns.iter().find(|column| column.name == name).unwrap();
    assert!(column("id").primary_key && !column("id").nullable && column("id").position == 1);
    assert!(column("city").nullable && column("city").source_type == "LowCardinality(Nullable(String))");
    assert_eq!(column("age").comment.as_deref(), Some("In years"));
    assert!(source.discover(Some("system")).await.unwrap().is_empty());
    assert!(matches!(source.open_table("system", "users", None).await, Err(ConnectorError::NotFound { .. })));
    assert!(matches!(source.open_table(DATABASE, "nobody", None).await, Err(ConnectorError::NotFound { .. })));

    check_kept(&source, DATABASE, people).await;

    let connector = Registry::new().connector(DataSourceType::Clickhouse).unwrap().clone();
    let (good, _cache) = GIVEN.at(server.port, |_, _| {});
    let outcome = connector.test(&good).await;
    assert!(outcome.successful, "{outcome:?}");
    assert!(outcome.version.unwrap().starts_with("ClickHouse 2"));
    let cases: [fn(&mut SourceConfig, &mut Credentials); 2] =
        [|_, c| c.password = Some(Secret::new("wrong")), |s, _| s.database_name = Some("missing".into())];
    for change in cases {
        let (wrong, _cache) = GIVEN.at(server.port, change);
        let outcome = connector.test(&wrong).await;
        assert_eq!(outcome.failed_at, Some(Step::SignIn));
        assert!(outcome.error_message.unwrap().contains("credentials"));
    }
}

/// A statement, with the settings that came with it.
type Sent = (String, HashMap<String, String>);

/// What was asked of a server that answers only what its user may do.
#[derive(Clone, Default)]
struct Asked {
    readonly: &'static str,
    statements: Arc<Mutex<Vec<Sent>>>,
}

async fn stub(
    State(asked): State<Asked>,
    Query(parameters): Query<HashMap<String, String>>,
    _headers: HeaderMap,
    sql: String,
) -> (StatusCode, Vec<u8>) {
    asked.statements.lock().unwrap().push((sql.clone(), parameters));
    if sql.contains("getSetting") {
        return (StatusCode::OK, format!("{}\n", asked.readonly).into_bytes());
    }
    if sql.contains("version()") {
        return (StatusCode::OK, b"[\"24.8.1\"]\n".to_vec());
    }
    if sql.contains("system.columns") {
        return (StatusCode::OK, b"[\"t\",\"Memory\",null,\"\",\"a\",1,\"Int32\",0,\"\",\"\"]\n".to_vec());
    }
    if sql.contains("`cut`") {
        return (StatusCode::OK, Vec::new());
    }
    if !sql.starts_with("KILL") {
        std::future::pending::<()>().await;
    }
    (StatusCode::OK, Vec::new())
}

async fn stubbed(readonly: &'static str) -> (Asked, SourceContext, tempfile::TempDir) {
    let asked = Asked { readonly, ..Asked::default() };
    let address = crate::support::http::serve(Router::new().route("/", post(stub)).with_state(asked.clone())).await;
    let (context, cache) = GIVEN.at(address.port(), |_, _| {});
    (asked, context, cache)
}

#[tokio::test]
async fn statements_are_read_only_bounded_and_killed_when_nobody_waits() {
    let (asked, context, _cache) = stubbed("0").await;
    let source = crate::support::open(&context).await;
    let ctx = GIVEN.session_of(&source, "t").await;
    drop(waiting(&ctx, "SELECT a FROM t").await);
    let killed = async || loop {
        let last = asked.statements.lock().unwrap().last().cloned().unwrap();
        if last.0.starts_with("KILL") {
            return last.0;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let kill = tokio::time::timeout(Duration::from_secs(10), killed()).await.unwrap();
    let statements = asked.statements.lock().unwrap().clone();
    let (_, parameters) = statements.iter().find(|(sql, _)| sql.contains("FROM `shop`.`t`")).unwrap();
    assert_eq!(parameters["readonly"], "2");
    assert_eq!(parameters["max_execution_time"], "300");
    assert_eq!(parameters["join_use_nulls"], "1");
    assert!(kill.contains(&parameters["query_id"]), "{kill}");
}

#[tokio::test]
async fn a_profile_that_forbids_settings_is_told() {
    let (_asked, context, _cache) = stubbed("1").await;
    let outcome = Registry::new().connector(DataSourceType::Clickhouse).unwrap().test(&context).await;
    assert!(outcome.error_message.unwrap().contains("readonly = 2"));
    let (asked, context, _cache) = stubbed("2").await;
    assert!(Registry::new().connector(DataSourceType::Clickhouse).unwrap().test(&context).await.successful);
    let statements = asked.statements.lock().unwrap().clone();
    assert!(statements.iter().all(|(_, parameters)| !parameters.contains_key("readonly")), "it is already");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_no_answer() {
    let (_asked, context, _cache) = stubbed("0").await;
    let source = crate::support::open(&context).await;
    let known = source.discover(None).await.unwrap().remove(0).tables.remove(0);
    let known = rivergen_connectors::DiscoveredTable { name: "cut".into(), ..known };
    let ctx = session_of("cut", source.open_table(DATABASE, "cut", Some(&known)).await.unwrap());
    let error = ctx.sql("SELECT a FROM cut").await.unwrap().collect().await.unwrap_err();
    assert!(matches!(ConnectorError::within(&error), Some(ConnectorError::QueryFailed { .. })), "{error}");
}
