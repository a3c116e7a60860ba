//! The PostgreSQL connector against a real server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::database::{Given, check_kept, check_streams, check_time_limit, check_tls, eventually, waiting};
use crate::support::differential::{CLAUSES, Pair, QUERIES, check_suite, rows, session_of};
use crate::support::faults::{self, Change};
use crate::support::postgres::{PASSWORD, Server, USER};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use rivergen_connectors::{ConnectorError, DataSourceType, ForeignKey, OpenedSource, Registry, TableKind};
use rivergen_kernel::secret::Secret;
use serde_json::json;

const TABLES: &str = "
CREATE TABLE people (
    id int PRIMARY KEY, name text NOT NULL, city varchar(20), age bigint, salary numeric(10,2), rate float8,
    active boolean, born date, seen timestamp, boss int REFERENCES people);
INSERT INTO people VALUES
    (1, 'Anna', 'Rome', 30, 1000.50, 0.1, true, '1990-05-01', '2024-03-10 12:30:00', NULL),
    (2, 'anna', 'Oslo', 41, 0.10, 0.2, false, '1985-12-31', '2024-02-29 23:59:59.999999', 1),
    (3, 'Bob', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
    (4, 'O''Brien; --', 'rome', 29, 99999999.99, 'Infinity', true, '1969-07-20', '1969-12-31 00:00:01', 2),
    (5, 'Jürgen', 'Rome', 41, -5.25, -0.3, false, '2001-01-01', '2024-03-10 12:30:00', 2),
    (6, '100%', '', 0, 1000.51, 1e300, NULL, '1990-05-01', '2023-12-25 08:00:00', 3);
INSERT INTO people SELECT n, 'zed ' || n, 'Bonn', n, n, n / 3.0, n % 2 = 0, '2000-01-01'::date + n, NULL, NULL
    FROM generate_series(7, 40) n;
CREATE TABLE orders (id bigint PRIMARY KEY, person int, amount numeric(8,2), price float4, placed timestamptz, note text);
INSERT INTO orders VALUES
    (1, 1, 5.00, 1.5, '2024-01-01 00:00:00+02', 'first'), (2, 1, 7.25, 2.5, NULL, NULL), (3, 2, 1.00, 0.1, now(), ''),
    (4, NULL, 100.00, 3, '2024-06-01 12:00+00', 'nobody'), (5, 77, 2.50, NULL, NULL, 'unknown'), (6, 5, 0, 0, NULL, 'ü');
ANALYZE;";

const GIVEN: Given = Given {
    kind: DataSourceType::Postgresql,
    database: "postgres",
    schema: "public",
    user: USER,
    password: PASSWORD,
    // The test's server has a certificate in some tests only.
    sslmode: Some("prefer"),
};

async fn made(script: &str) -> (Server, Arc<dyn OpenedSource>, tempfile::TempDir) {
    let server = Server::start();
    server.client().await.batch_execute(script).await.unwrap();
    let (source, cache) = GIVEN.open(server.port).await;
    (server, source, cache)
}

#[tokio::test]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let (_server, source, _cache) = made(TABLES).await;
    // Most leave as one statement; what does not is arithmetic of integers, case folding, windows.
    let pair = check_suite(&source, "public", 8, CLAUSES).await;
    // Decimals are computed there where every result has its place here.
    let statements = pair.check("SELECT p.city, sum(o.amount * (1 - o.amount)) AS s FROM people p JOIN orders o ON o.person = p.id GROUP BY p.city").await;
    let [statement] = statements.as_slice() else { panic!("{statements:?}") };
    for part in ["sum((", " * (", " - ", "JOIN", "GROUP BY"] {
        assert!(statement.contains(part), "{statement}");
    }
    let statements = pair.check("SELECT sum(amount * amount * amount * amount * amount) FROM orders").await;
    assert!(!statements[0].contains("sum("), "a product of forty digits: {statements:?}");
    // Not pushed: it could raise for a row that a policy hides.
    let statements = pair.check("SELECT id FROM people WHERE 100 / (age + 1) > 2").await;
    assert!(!statements[0].contains('/'), "{statements:?}");
}

/// What Redshift's manual says of its catalogue, as far as it is read.
const REDSHIFT_VIEWS: &str = "
CREATE VIEW svv_all_tables AS SELECT CAST(table_catalog AS varchar) AS database_name, CAST(table_schema AS varchar) AS
    schema_name, CAST(table_name AS varchar) AS table_name, CAST(table_type AS varchar) AS table_type
    FROM information_schema.tables;
CREATE VIEW svv_all_columns AS SELECT CAST(table_catalog AS varchar) AS database_name, CAST(table_schema AS varchar) AS
    schema_name, CAST(table_name AS varchar) AS table_name, CAST(column_name AS varchar) AS column_name,
    CAST(ordinal_position AS int) AS ordinal_position, CAST(column_default AS varchar) AS column_default,
    CAST(is_nullable AS varchar) AS is_nullable, CAST(data_type AS varchar) AS data_type,
    CAST(numeric_precision AS int) AS numeric_precision, CAST(numeric_scale AS int) AS numeric_scale,
    CAST(NULL AS varchar) AS remarks FROM information_schema.columns;";

/// PostgreSQL understands what its relatives are asked: here it answers for them.
#[tokio::test]
async fn relatives_are_asked_in_words_that_mean_the_same() {
    let server = Server::start();
    let client = server.client().await;
    client.batch_execute(TABLES).await.unwrap();
    client.batch_execute(REDSHIFT_VIEWS).await.unwrap();
    let (plain, _cache) = GIVEN.open(server.port).await;
    let known = plain.discover(Some("public")).await.unwrap().remove(0).tables;
    for kind in [DataSourceType::Timescaledb, DataSourceType::Redshift, DataSourceType::Cockroachdb] {
        let (context, _cache) = GIVEN.at(server.port, |config, _| config.kind = kind);
        let source = crate::support::open(&context).await;
        let mut tables = Vec::new();
        for name in ["people", "orders"] {
            // CockroachDB's catalogue has columns that PostgreSQL's lacks.
            let known = known.iter().find(|table| table.name == name && kind == DataSourceType::Cockroachdb);
            tables.push((name, source.open_table("public", name, known).await.unwrap()));
        }
        let pair = Pair::of(tables).await;
        for query in QUERIES {
            let statements = pair.check(query).await;
            assert!(
                kind != DataSourceType::Redshift || statements.iter().all(|sql| !sql.contains("FILTER")),
                "{query}"
            );
        }
        if kind == DataSourceType::Redshift {
            let statements = pair.check("SELECT count(*) FROM people WHERE city = 'Rome'").await;
            assert!(statements[0].contains("'Rome'") && !statements[0].contains("count"), "{statements:?}");
            let statements = pair.check("SELECT boss, count(*) FILTER (WHERE active) FROM people GROUP BY boss").await;
            assert!(statements.len() == 1 && statements[0].contains("CASE WHEN"), "{statements:?}");
            let people = source.discover(None).await.unwrap().remove(0).tables.into_iter().find(|t| t.name == "people");
            let people = people.unwrap();
            assert!(people.columns[0].primary_key && !people.columns[0].nullable && people.columns[1].position == 2);
        }
        assert!(source.probe().await.unwrap().is_some());
    }
    // Without a setting of the session, a transaction keeps it from writing.
    client
        .batch_execute("CREATE SEQUENCE numbers; CREATE VIEW sneaky AS SELECT CAST(nextval('numbers') AS int) AS n")
        .await
        .unwrap();
    let (context, _cache) = GIVEN.at(server.port, |config, _| config.kind = DataSourceType::Redshift);
    let ctx = GIVEN.session_of(&crate::support::open(&context).await, "sneaky").await;
    let error = ctx.sql("SELECT n FROM sneaky").await.unwrap().collect().await.unwrap_err();
    assert!(matches!(ConnectorError::within(&error), Some(ConnectorError::QueryFailed { .. })), "{error}");
}

/// A governed view is a filter and a mask below the caller's query; it leaves with the query, and a predicate on
/// the masked column tests the mask.
#[tokio::test]
async fn a_governed_view_leaves_as_one_statement() {
    let (_server, source, _cache) = made(TABLES).await;
    let pair = Pair::of_suite(&source, "public").await;
    let governed =
        "(SELECT id, CASE WHEN name IS NOT NULL THEN '***' END AS name, city, age FROM people WHERE city = 'Rome')";
    for (sql, part) in [
        (
            format!(
                "SELECT g.name, sum(o.amount) AS s FROM {governed} g JOIN orders o ON o.person = g.id GROUP BY 1 ORDER BY s"
            ),
            "SUM",
        ),
        (format!("SELECT count(*) FROM {governed} g WHERE name = 'Anna'"), "COUNT"),
        (format!("SELECT count(*) FROM {governed} g WHERE name LIKE '*%' AND age > 20"), "COUNT"),
    ] {
        let statements = pair.check(&sql).await;
        let [statement] = statements.as_slice() else { panic!("{statements:?}") };
        assert!(statement.contains("'Rome'") && statement.to_uppercase().contains(part), "{statement}");
        let early = pair.early_statements(&sql).await;
        assert_eq!(early.len(), 1, "{early:?}");
    }
}

/// The modes of libpq: encryption alone, a trusted root, a trusted root and the right name.
#[tokio::test]
async fn tls_is_as_strict_as_its_mode() {
    let server = Server::start_with_tls();
    let own = "CREATE VIEW own AS SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    server.client().await.batch_execute(own).await.unwrap();
    let certificate = server.certificate();
    let ways = [
        ("disable", "127.0.0.1", None, true),
        ("prefer", "127.0.0.1", None, true),
        ("require", "127.0.0.1", None, true),
        ("verify-ca", "127.0.0.1", None, false),
        ("verify-ca", "127.0.0.1", Some(&certificate), true),
        ("verify-full", "127.0.0.1", Some(&certificate), false),
        ("verify-full", "localhost", None, false),
        ("verify-full", "localhost", Some(&certificate), true),
    ];
    check_tls(&GIVEN, server.port, &ways, "SELECT ssl FROM own").await;
}

#[tokio::test]
async fn every_type_is_read() {
    let (_server, source, _cache) = made(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text);
         CREATE DOMAIN positive AS numeric(6,1) CHECK (VALUE > 0);
         CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE types (
            a smallint, b real, c numeric, d numeric(40,2), e money, f uuid, g json, h jsonb, i int[], j text[],
            k mood, l bytea, m inet, n timestamptz, o time, p interval, q pair, r positive, s char(5), t xml, u bit(3),
            v int4range, w point, x timetz, y text COLLATE nocase, z text COLLATE \"C\", \"Odd \"\"name\" name, oid_col oid);
         INSERT INTO types VALUES (
            -3, 1.5, 12345678901234567890.1234567890123, 7.25, 12.34, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
            '{\"x\": 1}', '{\"y\":  [1, 2]}', '{{1,2},{3,NULL}}', '{a,\"b c\"}', 'ok', '\\x00ff', '10.0.0.1/8',
            '2024-06-01 12:00:00.123456+02', '23:59:59.5', '1 year 2 days', '(1,x)', 5.5, 'ab', '<a/>', B'101', '[1,5)',
            '(1,2)', '12:00+02', 'Ann', 'Ann', 'n', 4000000000);
         INSERT INTO types (a) VALUES (NULL);",
    )
    .await;
    let table = GIVEN.table(&source, "types").await;
    let schema = table.schema();
    let typed = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(typed("a"), DataType::Int16);
    assert_eq!(typed("c"), DataType::Decimal128(38, 10));
    assert_eq!(typed("n"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(typed("r"), DataType::Decimal128(6, 1), "a domain is its base type");
    let ctx = session_of("types", table.clone());
    let found = ctx.sql("SELECT * FROM types WHERE a = -3").await.unwrap().collect().await.unwrap();
    let expected = [
        "-3",
        "1.50000000000e0",
        "12345678901234567890.1234567890",
        "7.2500000000",
        "12.34",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{\"x\": 1}",
        "{\"y\": [1, 2]}",
        "[[1,2],[3,null]]",
        "[\"a\",\"b c\"]",
        "ok",
        "00ff",
        "10.0.0.1/8",
        "2024-06-01T10:00:00.123456Z",
        "23:59:59.500",
        "P1Y2D",
        "{\"a\":1,\"b\":\"x\"}",
        "5.5",
        "ab",
        "<a/>",
        "101",
        "[1,5)",
        "(1,2)",
        "12:00:00+02",
        "Ann",
        "Ann",
        "n",
        "4000000000",
    ];
    assert_eq!(rows(&found, true), [expected.map(str::to_owned).to_vec()]);
    // Casts keep their meaning inside the database: an unknown label or id is no error, and folding is not ours.
    let pair = Pair::of(vec![("types", table)]).await;
    pair.check_whole(&[
        "SELECT a FROM types WHERE k = 'no such mood'",
        "SELECT a FROM types WHERE f = 'not an id' OR f = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "SELECT a FROM types WHERE y = 'ANN'",
        "SELECT a FROM types WHERE s = 'ab' AND k > 'a' AND m LIKE '10.%'",
        "SELECT z, \"Odd \"\"name\", count(*) FROM types GROUP BY 1, 2 ORDER BY z, 2",
        "SELECT max(z), max(f), min(n), max(c), sum(c), sum(e) FROM types",
        "SELECT date_trunc('day', n), extract(hour FROM n) FROM types WHERE n > '2024-06-01T09:00:00Z'",
    ])
    .await;
}

/// In another encoding bytes are in another order than here, and in none characters are bytes.
#[tokio::test]
async fn texts_in_another_encoding_are_compared_as_they_are_here() {
    let server = Server::start();
    let client = server.client().await;
    for (database, encoding) in [("western", "WIN1252"), ("plain", "SQL_ASCII")] {
        let creation = format!(
            "CREATE DATABASE {database} TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'"
        );
        client.batch_execute(&creation).await.unwrap();
        let table = "CREATE TABLE t (id int, code text, mood bpchar);
                     INSERT INTO t VALUES (1, 'Aé', 'é'), (2, 'Abc', '€'), (3, '€', 'b'), (4, 'é', NULL);";
        server.client_of(database).await.batch_execute(table).await.unwrap();
        let given = Given { database, ..GIVEN };
        let (source, _cache) = given.open(server.port).await;
        let pair = Pair::of(vec![("t", given.table(&source, "t").await)]).await;
        for column in ["code", "mood"] {
            for test in ["> 'é'", "< '€'", "LIKE '_'", "LIKE 'A_'", "NOT LIKE 'A__'", "IN ('é', 'Abc')"] {
                pair.check(&format!("SELECT id FROM t WHERE {column} {test}")).await;
            }
            pair.check(&format!("SELECT id, {column} FROM t ORDER BY {column}, id")).await;
            pair.check(&format!("SELECT min({column}), max({column}) FROM t")).await;
        }
        let statements = pair.check("SELECT id FROM t WHERE code = 'Aé'").await;
        assert!(statements[0].contains("'Aé'"), "equal texts are equal there, too: {statements:?}");
    }
}

#[tokio::test]
async fn values_without_a_counterpart_name_their_column() {
    let (_server, source, _cache) =
        made("CREATE TABLE odd (at timestamp, n numeric(5,2)); INSERT INTO odd VALUES ('infinity', 1), (now(), 'NaN')")
            .await;
    let ctx = GIVEN.session_of(&source, "odd").await;
    for (query, column) in [("SELECT at FROM odd", "at"), ("SELECT n FROM odd", "n")] {
        let error = ctx.sql(query).await.unwrap().collect().await.unwrap_err();
        match ConnectorError::within(&error) {
            Some(ConnectorError::UnreadableValue { column: named, .. }) => assert_eq!(named, column),
            other => panic!("{other:?} of {error}"),
        }
    }
    assert_eq!(ctx.sql("SELECT n FROM odd WHERE n < 5").await.unwrap().count().await.unwrap(), 1);
}

#[tokio::test]
async fn discovery_describes_everything() {
    let (server, source, _cache) = made(TABLES).await;
    let client = server.client().await;
    client
        .batch_execute(
            "CREATE SCHEMA sales; CREATE VIEW sales.totals AS SELECT person, sum(amount) AS total FROM orders GROUP BY person;
             CREATE TABLE sales.people (id int GENERATED ALWAYS AS IDENTITY, label text DEFAULT 'x');
             COMMENT ON TABLE people IS 'All of them'; COMMENT ON COLUMN people.age IS 'In years';
             CREATE TABLE parts (k int) PARTITION BY RANGE (k); CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
             CREATE ROLE reader LOGIN PASSWORD 'r'; GRANT SELECT (id, name) ON people TO reader; GRANT USAGE ON SCHEMA sales TO reader;",
        )
        .await
        .unwrap();
    let schemas = source.discover(None).await.unwrap();
    let names: Vec<_> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names, ["public", "sales"]);
    let tables: Vec<_> = schemas[0].tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(tables, ["orders", "parts", "people"], "partitions are part of their table");
    let people = &schemas[0].tables[2];
    assert_eq!((people.row_count, people.comment.as_deref()), (Some(40), Some("All of them")));
    let column = |name: &str| people.columns.iter().find(|column| column.name == name).unwrap();
    assert!(column("id").primary_key && !column("id").nullable && column("id").position == 1);
    assert_eq!(column("salary").source_type, "numeric(10,2)");
    assert_eq!(column("age").comment.as_deref(), Some("In years"));
    let boss = ForeignKey { schema: "public".into(), table: "people".into(), column: "id".into() };
    assert_eq!(column("boss").foreign_key.as_ref(), Some(&boss));
    assert_eq!(schemas[1].tables[1].kind, TableKind::View);
    assert_eq!(schemas[1].tables[0].columns[1].default_value.as_deref(), Some("'x'::text"));
    assert_eq!(source.discover(Some("sales")).await.unwrap().len(), 1);

    check_kept(&source, "public", people).await;
    assert!(matches!(source.open_table("public", "nobody", None).await, Err(ConnectorError::NotFound { .. })));

    // Tables of one name in two schemas are told apart.
    let pair = Pair::of(vec![
        ("a", source.open_table("public", "people", None).await.unwrap()),
        ("b", source.open_table("sales", "people", None).await.unwrap()),
    ])
    .await;
    pair.check("SELECT a.name, b.label FROM a LEFT JOIN b ON a.id = b.id").await;

    let (limited, _cache) = GIVEN.at(server.port, |config, credentials| {
        credentials.username = Some("reader".into());
        credentials.password = Some(Secret::new("r"));
        config.schema_name = Some("public".into());
    });
    let schemas = crate::support::open(&limited).await.discover(None).await.unwrap();
    assert_eq!(schemas.len(), 1);
    let columns: Vec<_> = schemas[0].tables[0].columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["id", "name"], "only what the role may read");
}

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let server = Server::start();
    let _ready = server.client().await;
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Postgresql).unwrap();
    let (good, _cache) = GIVEN.at(server.port, |_, _| {});
    let outcome = connector.test(&good).await;
    assert!(outcome.successful && outcome.version.unwrap().starts_with("PostgreSQL "), "{:?}", outcome.error_message);

    let no_tls: Change = Box::new(|s, _| _ = s.metadata.insert("sslmode".into(), json!("require")));
    let changed = |change: &Change| GIVEN.at(server.port, |config, credentials| change(config, credentials));
    faults::are_told(changed, vec![("TLS", no_tls)]).await;
}

#[tokio::test]
async fn sessions_are_read_only_and_bounded() {
    let server = Server::start();
    let client = server.client().await;
    client
        .batch_execute(
            "CREATE TABLE log (n int);
             CREATE FUNCTION write_log() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO log VALUES (1) RETURNING n';
             CREATE VIEW sneaky AS SELECT write_log() AS n;
             CREATE VIEW slow AS SELECT n, pg_sleep(60)::text AS s FROM generate_series(1, 5) n;",
        )
        .await
        .unwrap();
    let (context, _cache) = GIVEN.at(server.port, |config, _| {
        config.query_timeout = 1;
        config.connection_pool_size = 1;
    });
    let source = crate::support::open(&context).await;
    let ctx = GIVEN.session_of(&source, "sneaky").await;
    ctx.register_table("slow", GIVEN.table(&source, "slow").await).unwrap();
    let error = ctx.sql("SELECT n FROM sneaky").await.unwrap().collect().await.unwrap_err();
    assert!(matches!(ConnectorError::within(&error), Some(ConnectorError::QueryFailed { .. })), "{error}");
    let start = Instant::now();
    check_time_limit(&ctx, "SELECT s FROM slow").await;
    // Long before the view is through.
    assert!(start.elapsed() < Duration::from_secs(30));
    // The one session is free again.
    assert!(source.probe().await.is_ok());
}

#[tokio::test]
async fn a_dropped_result_is_cancelled_at_the_server() {
    let (server, source, _cache) =
        made("CREATE VIEW slow AS SELECT pg_sleep(60)::text AS s FROM generate_series(1, 5)").await;
    let client = server.client().await;
    let ctx = GIVEN.session_of(&source, "slow").await;
    let stream = waiting(&ctx, "SELECT s FROM slow").await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rivergen' AND state = 'active'";
    let count = async || client.query_one(running, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(count().await, 1);
    drop(stream);
    assert!(eventually(async || count().await == 0).await, "the statement still runs");
}

#[tokio::test]
async fn large_results_stream() {
    let (_server, source, _cache) =
        made("CREATE TABLE big AS SELECT n, repeat('x', 100) AS t FROM generate_series(1, 50000) n").await;
    check_streams(&GIVEN.session_of(&source, "big").await, "SELECT n, t FROM big").await;
}
