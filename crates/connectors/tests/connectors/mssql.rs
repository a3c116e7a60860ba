//! The connector of SQL Server and Synapse against a stand-in: the protocol and the parsing of Transact-SQL are others',
//! the answers are DuckDB's with SQL Server's comparisons of texts.

use std::sync::Arc;

use crate::support::database::{
    Given, check_kept, check_streams, check_time_limit, eventually, tls, waiting, wrong_fields,
};
use crate::support::differential::{Pair, QUERIES, check_suite, rows, session_of};
use crate::support::faults::{self, Change};
use crate::support::stand_in::Server;
use crate::support::tds::{DATABASE, PASSWORD, USER, start, start_with};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use rivergen_connectors::{ConnectorError, DataSourceType, ForeignKey, OpenedSource, Registry, TableKind};

const GIVEN: Given = Given {
    kind: DataSourceType::Mssql,
    database: DATABASE,
    schema: "dbo",
    user: USER,
    password: PASSWORD,
    sslmode: Some("require"),
};

async fn made() -> Option<(Server, Arc<dyn OpenedSource>, tempfile::TempDir)> {
    let server = start().await?;
    let (source, cache) = GIVEN.open(server.port).await;
    Some((server, source, cache))
}

#[tokio::test]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let Some((server, source, _cache)) = made().await else { return };
    check_suite(&source, "dbo", 9, &["SELECT TOP (5)", "JOIN", "WHERE", "GROUP BY", "ORDER BY"]).await;
    let log = server.log();
    let mut batches = 0;
    for line in &log {
        match line.split_once(' ').unwrap_or((line.as_str(), "")) {
            ("BATCH", sql) => {
                assert!(sql.starts_with("SELECT ") || sql.starts_with("SET "), "{line}");
                batches += 1;
            }
            ("LOGIN", login) => assert!(login.contains("read_only=True"), "{line}"),
            // What nobody waits for any more.
            ("ATTENTION", _) => {}
            _ => panic!("nothing else is asked: {line}"),
        }
    }
    assert!(batches * 10 >= QUERIES.len() * 9, "{batches} of {} were the server's to answer", QUERIES.len());
    assert!(log.iter().any(|line| line.starts_with("BATCH ") && line.contains(" OFFSET ")), "it passes over rows");
}

/// A dedicated pool passes over no rows.
#[tokio::test]
async fn what_synapse_lacks_is_done_here() {
    let Some(server) = start().await else { return };
    let (pool, _cache) = GIVEN.at(server.port, |config, _| config.kind = DataSourceType::Synapse);
    let source = crate::support::open(&pool).await;
    assert_eq!(source.probe().await.unwrap().as_deref(), Some("Synapse 16.0.4175.1"));
    let pair = Pair::of_suite(&source, "dbo").await;
    for query in QUERIES {
        for statement in pair.check(query).await {
            assert!(!statement.contains(" OFFSET "), "{statement}");
        }
    }
    assert!(server.log().iter().all(|line| !line.contains("BATCH SET ")), "its sessions have no options");
}

/// For the database texts are equal whatever their case and the blanks at their end.
#[tokio::test]
async fn texts_are_told_apart_that_the_database_takes_for_one() {
    let Some((_server, source, _cache)) = made().await else { return };
    let pair = Pair::of(vec![("blanks", GIVEN.table(&source, "blanks").await)]).await;
    pair.check_whole(&[
        "SELECT n FROM blanks WHERE t = 'x'",
        "SELECT n FROM blanks WHERE t = 'x '",
        "SELECT n FROM blanks WHERE t <> 'x'",
        "SELECT n FROM blanks WHERE t = '' OR t IN ('X', 'a[b')",
        "SELECT n FROM blanks WHERE t NOT IN ('x', '')",
        "SELECT n FROM blanks WHERE t LIKE 'a[%'",
        "SELECT t, count(*) FROM blanks GROUP BY t",
        "SELECT a.n, b.n FROM blanks a JOIN blanks b ON a.t = b.t",
        "SELECT n, CASE t WHEN 'x' THEN 1 WHEN '' THEN 2 END, nullif(t, 'x') FROM blanks ORDER BY n LIMIT 20",
        "SELECT n FROM blanks b WHERE EXISTS (SELECT 1 FROM blanks c WHERE c.t = b.t AND c.n > b.n)",
    ])
    .await;
    for query in
        ["SELECT count(DISTINCT t) FROM blanks", "SELECT min(t), max(t) FROM blanks", "SELECT t FROM blanks ORDER BY t"]
    {
        pair.check(query).await;
    }
    let statements = pair.check("SELECT n FROM blanks WHERE t = 'x'").await;
    assert!(statements[0].contains("(t1.[t] = N'x') AND"), "an index may serve: {}", statements[0]);
}

#[tokio::test]
async fn every_type_is_read() {
    let Some((_server, source, _cache)) = made().await else { return };
    let provider = GIVEN.table(&source, "types").await;
    let schema = provider.schema();
    let typed = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(typed("a"), DataType::Int16);
    assert_eq!(typed("c"), DataType::Decimal128(19, 4));
    assert_eq!(typed("d"), DataType::Decimal128(38, 10));
    assert_eq!(typed("i"), DataType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!(typed("j"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    let ctx = session_of("types", provider.clone());
    let found = ctx.sql("SELECT * FROM types WHERE a = 255").await.unwrap().collect().await.unwrap();
    let expected = [
        "255",
        "-3",
        "922337203685477.5807",
        "1234567890123456789012345678.0123456789",
        "ab",
        "123e4567-e89b-12d3-a456-426655440000",
        "00ff",
        "23:59:59.500",
        "2024-02-29T12:00:00.003",
        "2024-02-29T10:00:00Z",
        "7",
        "<a>1</a>",
        "2024-02-29T12:30:00",
        "9999-12-31T23:59:59.999999",
    ];
    assert_eq!(rows(&found, true), [expected.map(str::to_owned).to_vec()]);
    let pair = Pair::of(vec![("types", provider)]).await;
    pair.check_whole(&[
        "SELECT a FROM types WHERE e = 'ab' AND f = '123e4567-e89b-12d3-a456-426655440000'",
        "SELECT a FROM types WHERE c = 922337203685477.5807 AND d > 5",
        "SELECT count(*), sum(a), sum(c), min(d), max(i), max(j) FROM types",
        "SELECT a FROM types WHERE i = TIMESTAMP '2024-02-29 12:00:00.003' AND m > TIMESTAMP '2200-01-01 00:00:00'",
        "SELECT e, count(*) FROM types GROUP BY e LIMIT 5",
        "SELECT date_trunc('week', i), date_trunc('minute', i), extract(week FROM i), extract(dow FROM l) FROM types LIMIT 9",
    ])
    .await;
    // Beside what is compared exactly stands what an index serves.
    for (query, narrowed) in [
        ("SELECT a FROM types WHERE i >= TIMESTAMP '2024-02-29 12:00:00.003'", "(t1.[i] >= CAST("),
        (
            "SELECT a FROM types WHERE i BETWEEN TIMESTAMP '2024-02-01 00:00:00' AND TIMESTAMP '2024-03-01 00:00:00'",
            "(t1.[i] <= CAST(",
        ),
        ("SELECT a FROM types WHERE f = '123e4567-e89b-12d3-a456-426655440000'", "(t1.[f] = '123e"),
    ] {
        let statements = pair.check(query).await;
        assert!(statements.len() == 1 && statements[0].contains(narrowed), "{statements:?}");
    }
    // No identifier, and so no error of the database's.
    let statements = pair.check("SELECT a FROM types WHERE f = 'nonsense'").await;
    assert!(!statements[0].contains("(t1.[f] ="), "{statements:?}");
}

#[tokio::test]
async fn discovery_describes_everything() {
    let Some((server, source, _cache)) = made().await else { return };
    let schemas = source.discover(None).await.unwrap();
    let names: Vec<_> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names, ["dbo", "sales"]);
    let people = schemas[0].tables.iter().find(|table| table.name == "people").unwrap();
    assert_eq!(
        (people.kind, people.row_count, people.comment.as_deref()),
        (TableKind::Table, Some(6), Some("All of them"))
    );
    assert_eq!(schemas[1].tables[0].kind, TableKind::View);
    let column = |name: &str| people.columns.iter().find(|column| column.name == name);
    assert!(column("secret").is_none(), "only what the user may read");
    let id = column("id").unwrap();
    assert!(id.primary_key && !id.nullable && id.position == 1);
    assert_eq!(column("salary").unwrap().source_type, "decimal(10,2)");
    assert_eq!(column("name").unwrap().source_type, "nvarchar(60)");
    let age = column("age").unwrap();
    assert_eq!((age.comment.as_deref(), age.default_value.as_deref()), (Some("In years"), Some("((7))")));
    let boss = ForeignKey { schema: "dbo".into(), table: "people".into(), column: "id".into() };
    assert_eq!(column("boss").unwrap().foreign_key.as_ref(), Some(&boss));
    assert!(source.discover(Some("other")).await.unwrap().is_empty());
    assert!(matches!(source.open_table("dbo", "PEOPLE", None).await, Err(ConnectorError::NotFound { .. })));

    let known = check_kept(&source, "dbo", people).await;
    let before = server.log().len();
    source.open_table("dbo", "people", Some(&known)).await.unwrap();
    assert_eq!(server.log().len(), before, "it is opened without a question");

    // Synapse has no views of permissions and hidden columns that could be relied on; what it lacks is left out.
    let (pool, _cache) = GIVEN.at(server.port, |config, _| {
        config.kind = DataSourceType::Synapse;
        config.schema_name = Some("sales".into());
    });
    let schemas = crate::support::open(&pool).await.discover(None).await.unwrap();
    assert_eq!((schemas.len(), schemas[0].name.as_str(), schemas[0].tables[0].row_count), (1, "sales", None));
}

#[tokio::test]
async fn tls_is_as_strict_as_its_mode() {
    let Some(server) = start().await else { return };
    let certificate = server.certificate();
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Mssql).unwrap();
    for (mode, host, root, works) in [
        (Some("disable"), "127.0.0.1", None, true),
        (Some("prefer"), "127.0.0.1", None, true),
        (Some("require"), "127.0.0.1", None, true),
        (None, "localhost", None, false),
        (Some("verify-full"), "localhost", Some(&certificate), true),
        (None, "localhost", Some(&certificate), true),
        (Some("verify-ca"), "127.0.0.1", Some(&certificate), true),
    ] {
        let (context, _cache) = GIVEN.at(server.port, tls(mode, host, root));
        let outcome = connector.test(&context).await;
        assert_eq!(outcome.successful, works, "{mode:?} {host}: {:?}", outcome.error_message);
        if works {
            let encrypted = if mode == Some("disable") { "encrypted=False" } else { "encrypted=True" };
            assert!(server.log().iter().rfind(|line| line.starts_with("LOGIN")).unwrap().ends_with(encrypted));
        } else {
            assert!(outcome.error_message.unwrap().contains("TLS"), "{mode:?}");
        }
    }

    let Some(plain) = start_with(&["--no-tls"]).await else { return };
    for (mode, works) in [("prefer", true), ("require", false), ("verify-full", false)] {
        let (context, _cache) = GIVEN.at(plain.port, tls(Some(mode), "127.0.0.1", None));
        let before = plain.log().len();
        let outcome = connector.test(&context).await;
        assert_eq!(outcome.successful, works, "{mode}: {:?}", outcome.error_message);
        assert!(works || plain.log().len() == before, "no password went out");
    }
}

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(server) = start().await else { return };
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Mssql).unwrap();
    let (good, _cache) = GIVEN.at(server.port, |_, _| {});
    let outcome = connector.test(&good).await;
    assert!(outcome.successful, "{:?}", outcome.error_message);
    assert_eq!(outcome.version.as_deref(), Some("SQL Server 16.0.4175.1"));
    let login = server.log().into_iter().find(|line| line.starts_with("LOGIN")).unwrap();
    assert_eq!(login, "LOGIN rivergen rivergen shop read_only=True encrypted=True");

    let changed = |change: &Change| {
        GIVEN.at(server.port, |config, credentials| {
            config.max_retries = 0;
            change(config, credentials);
        })
    };
    faults::are_told(changed, Vec::new()).await;
}

/// As Azure and availability groups do; the address is checked again.
#[tokio::test]
async fn a_session_that_is_sent_on_goes_there() {
    let Some(server) = start().await else { return };
    let (routed, _cache) = GIVEN.at(server.port, |_, credentials| credentials.username = Some("routed".into()));
    assert!(crate::support::open(&routed).await.probe().await.is_ok());
    let logins = server.log().iter().filter(|line| line.starts_with("LOGIN routed")).count();
    assert_eq!(logins, 2);
}

#[tokio::test]
async fn statements_end_with_their_time_and_with_who_waits_for_them() {
    let Some(server) = start().await else { return };
    let (context, _cache) = GIVEN.at(server.port, |config, _| {
        config.query_timeout = 1;
        config.connection_pool_size = 1;
    });
    let source = crate::support::open(&context).await;
    let ctx = GIVEN.session_of(&source, "slow").await;
    check_time_limit(&ctx, "SELECT s FROM slow").await;
    // The one session is free again, and the server has been told.
    assert!(source.probe().await.is_ok());
    drop(waiting(&ctx, "SELECT s FROM slow").await);
    let is_told = async || server.log().iter().filter(|line| *line == "ATTENTION").count() >= 2;
    assert!(eventually(is_told).await, "{:?}", server.log());
}

#[tokio::test]
async fn large_results_stream() {
    let Some((_server, source, _cache)) = made().await else { return };
    check_streams(&GIVEN.session_of(&source, "big").await, "SELECT n, t FROM big").await;
}

#[test]
fn settings_are_checked_by_field() {
    let registry = Registry::new();
    for kind in [DataSourceType::Mssql, DataSourceType::Synapse] {
        assert!(wrong_fields(kind, |_| {}).is_empty());
        assert_eq!(wrong_fields(kind, |config| config.database_name = None), ["database_name"]);
        assert_eq!(wrong_fields(kind, |config| config.host = Some(r"db\SQLEXPRESS".into())), ["host"]);
        for (name, value) in [("sslmode", "strict"), ("ssl_root_certificate", "x")] {
            let wrong = wrong_fields(kind, |config| _ = config.metadata.insert(name.into(), value.into()));
            assert_eq!(wrong, [format!("metadata.{name}")]);
        }
        let form = registry.connector(kind).unwrap().form();
        assert_eq!(form["properties"]["credentials"]["properties"]["password"]["writeOnly"], true);
    }
}
