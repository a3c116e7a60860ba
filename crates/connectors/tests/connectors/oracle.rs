//! The connector of Oracle Database against a stand-in, to which Oracle's own client connects, too: the parsing of the SQL
//! is another's, the answers are DuckDB's, and what only Oracle takes for an error is one.

use std::sync::Arc;

use crate::support::database::{
    Given, check_kept, check_streams, check_time_limit, eventually, tls, waiting, wrong_fields,
};
use crate::support::differential::{Pair, check_suite, rows, session_of};
use crate::support::faults::{self, Change};
use crate::support::oracle::{PASSWORD, SERVICE, USER, own_client, start, start_with};
use crate::support::stand_in::Server;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use rivergen_connectors::{ConnectorError, DataSourceType, ForeignKey, OpenedSource, Registry, Step, TableKind};
use rivergen_kernel::secret::Secret;
use serde_json::json;

const GIVEN: Given = Given {
    kind: DataSourceType::Oracle,
    database: SERVICE,
    schema: "APP",
    user: USER,
    password: PASSWORD,
    sslmode: None,
};

async fn made() -> Option<(Server, Arc<dyn OpenedSource>, tempfile::TempDir)> {
    let server = start().await?;
    let (source, cache) = GIVEN.open(server.port).await;
    Some((server, source, cache))
}

#[tokio::test]
async fn oracles_own_client_reads_the_stand_in() {
    let Some(server) = start().await else { return };
    assert_eq!(own_client(&server).unwrap().trim(), "read");
}

#[tokio::test]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let Some((server, source, _cache)) = made().await else { return };
    check_suite(&source, "APP", 8, &["JOIN", "WHERE", "GROUP BY", "ORDER BY", "FETCH FIRST 5 ROWS ONLY"]).await;
    for line in server.log() {
        let Some(sent) = line.strip_prefix("SQL ") else { continue };
        let known = ["SELECT ", "ALTER SESSION SET TIME_ZONE=", "SET TRANSACTION READ ONLY"];
        assert!(known.iter().any(|known| sent.starts_with(known)), "{line}");
    }
    assert_eq!(server.logged("FAILED"), 0, "{:?}", server.log());
    assert_eq!(server.logged("CLOSE unknown"), 0);
}

/// There is none there, so what is compared with one is compared here; and nothing vanishes in a text beside it.
#[tokio::test]
async fn an_empty_text_is_not_sent() {
    let Some((_server, source, _cache)) = made().await else { return };
    let pair = Pair::of(vec![("blanks", GIVEN.table(&source, "BLANKS").await)]).await;
    for query in [
        "SELECT \"N\" FROM blanks WHERE \"T\" <> ''",
        "SELECT \"N\" FROM blanks WHERE NOT (\"T\" = '')",
        "SELECT \"N\" FROM blanks WHERE \"T\" IN ('x', '')",
        "SELECT \"N\" FROM blanks WHERE coalesce(\"T\", '') = ''",
        "SELECT \"N\", \"T\" || '!' FROM blanks",
        "SELECT \"N\" FROM blanks WHERE \"T\" || 'x' = 'xx'",
    ] {
        for statement in pair.check(query).await {
            assert!(!statement.contains("''") && !statement.contains("||"), "{statement}");
        }
    }
    let all = pair.pushed.sql("SELECT count(*) FROM blanks WHERE \"T\" <> ''").await.unwrap().collect().await.unwrap();
    assert_eq!(rows(&all, true), [["6"]]);
}

#[tokio::test]
async fn texts_are_compared_by_their_bytes() {
    let Some((_server, source, _cache)) = made().await else { return };
    let pair = Pair::of(vec![("blanks", GIVEN.table(&source, "BLANKS").await)]).await;
    pair.check_whole(&[
        "SELECT \"N\" FROM blanks WHERE \"T\" = 'x'",
        "SELECT \"N\" FROM blanks WHERE \"T\" = 'x '",
        "SELECT \"N\" FROM blanks WHERE \"T\" > 'X' AND \"T\" LIKE '%x%'",
        "SELECT \"T\", count(*) FROM blanks GROUP BY \"T\"",
        "SELECT a.\"N\", b.\"N\" FROM blanks a JOIN blanks b ON a.\"T\" = b.\"T\"",
        "SELECT min(\"T\"), max(\"T\"), count(DISTINCT \"T\") FROM blanks",
        "SELECT \"N\", CASE \"T\" WHEN 'x' THEN 'one' WHEN 'X' THEN 'other ' END FROM blanks ORDER BY \"T\", \"N\" LIMIT 9",
    ])
    .await;
    // A column with a collation of its own: what it calls equal is narrowed there, and looked at again.
    let statements = pair.check("SELECT \"N\" FROM blanks WHERE \"FOLDED\" = 'x'").await;
    assert!(statements[0].contains("(t1.\"FOLDED\" = 'x')"), "{statements:?}");
    for statement in pair.check("SELECT count(*), \"FOLDED\" FROM blanks GROUP BY \"FOLDED\"").await {
        assert!(!statement.contains("GROUP BY"), "{statement}");
    }

    // In another character set a constant may have lost letters.
    let Some(server) = start_with(&["--characters", "178"]).await else { return };
    let (source, _cache) = GIVEN.open(server.port).await;
    let pair = Pair::of(vec![("blanks", GIVEN.table(&source, "BLANKS").await)]).await;
    for query in ["SELECT \"T\", count(*) FROM blanks GROUP BY \"T\"", "SELECT \"N\" FROM blanks ORDER BY \"T\", \"N\""]
    {
        for statement in pair.check(query).await {
            assert!(!statement.contains("GROUP BY") && !statement.contains("ORDER BY"), "{statement}");
        }
    }
    let statements = pair.check("SELECT \"N\" FROM blanks WHERE \"T\" = 'x'").await;
    assert!(statements[0].contains("(t1.\"T\" = 'x')"), "an index may serve: {statements:?}");
}

#[tokio::test]
async fn every_type_is_read() {
    let Some((server, source, _cache)) = made().await else { return };
    let provider = GIVEN.table(&source, "TYPES").await;
    let schema = provider.schema();
    let typed = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    let moment = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    assert_eq!(typed("A"), DataType::Decimal128(38, 10));
    assert_eq!(typed("B"), DataType::Int16);
    assert_eq!(typed("C"), DataType::Decimal128(38, 0));
    assert_eq!((typed("I"), typed("J"), typed("L")), (moment(None), moment(None), moment(Some("UTC"))));
    assert!(schema.field_with_name("O").is_err(), "an object has no text");
    let ctx = session_of("types", provider.clone());
    let found = ctx.sql("SELECT * FROM types ORDER BY \"A\" DESC").await.unwrap().collect().await.unwrap();
    let found = rows(&found, true);
    let (blob, clob) = ("ab".repeat(70_000), "x".repeat(100_000));
    let expected = [
        "5.1234567890",
        "-9999",
        "12345678901234567890123456789012345678",
        "1234567890123456789012345678.0123456789",
        "ab",
        "ü😀",
        "00ff",
        &blob,
        "2024-02-29T12:00:01",
        "2024-02-29T12:00:00.123456",
        "7",
        &clob,
        "2024-02-29T10:00:00Z",
        "long",
        "1.00000000000e-1",
    ];
    assert_eq!(found[0], expected);
    // Of blanks alone one is left: no text is empty.
    assert_eq!((found[1][3].as_str(), found[1][4].as_str()), ("-0.0000000001", " "));
    assert_eq!((found[2][8].as_str(), found[2][9].as_str()), ("9999-12-31T23:59:59", "1969-12-31T23:59:59.999999"));
    assert!(server.logged("DEFINE") > 0, "large objects come as texts and bytes");

    let pair = Pair::of(vec![("types", provider)]).await;
    pair.check_whole(&[
        "SELECT \"A\" FROM types WHERE \"E\" = 'ab' AND \"B\" < 0",
        "SELECT \"A\" FROM types WHERE \"D\" = CAST('1234567890123456789012345678.0123456789' AS decimal(38, 10))",
        "SELECT count(*), sum(\"B\"), min(\"D\"), max(\"I\"), max(\"L\"), count(\"E\") FROM types",
        "SELECT \"A\" FROM types WHERE \"L\" > '2000-01-01T00:00:00Z' LIMIT 5",
        "SELECT \"E\", count(*) FROM types GROUP BY \"E\" LIMIT 5",
        "SELECT date_trunc('week', \"I\"), date_trunc('minute', \"I\"), extract(week FROM \"I\"), extract(dow FROM \"I\") FROM types WHERE \"A\" > 0",
        "SELECT \"A\" FROM types WHERE \"K\" IS NOT NULL LIMIT 5",
    ])
    .await;
    // What is only read goes into no function, no list and no other column.
    for query in [
        "SELECT count(\"K\"), count(\"H\"), max(\"K\") FROM types",
        "SELECT coalesce(\"K\", \"F\", \"E\") FROM types LIMIT 5",
        "SELECT \"K\" FROM types UNION ALL SELECT \"E\" FROM types",
        "SELECT \"A\" FROM types WHERE \"K\" = 'k' OR \"F\" IN ('f', 'g')",
        "SELECT CASE WHEN \"B\" > 0 THEN \"K\" END FROM types LIMIT 5",
        "SELECT \"F\", count(*) FROM types GROUP BY \"F\" ORDER BY \"F\"",
        "SELECT \"A\" FROM types WHERE \"J\" = '1969-12-31T23:59:59.999999' OR \"N\" = 0.1",
    ] {
        pair.check(query).await;
    }
    // Beside what is compared exactly stands what an index serves.
    for (query, narrowed) in [
        ("SELECT \"B\" FROM types WHERE \"A\" = -3", "(t1.\"A\" BETWEEN (-3.0000000001) AND (-2.9999999999))"),
        (
            "SELECT \"A\" FROM types WHERE \"I\" >= TIMESTAMP '2024-02-29 12:00:01'",
            "(t1.\"I\" >= TO_DATE('2024-02-29 12:00:01'",
        ),
        (
            "SELECT \"A\" FROM types WHERE \"J\" < TIMESTAMP '1970-01-01 00:00:00'",
            "(t1.\"J\" <= TO_DATE('1970-01-01 00:00:01'",
        ),
        ("SELECT \"A\" FROM types WHERE \"E\" = 'ab'", "(t1.\"E\" = 'ab')"),
        ("SELECT \"A\" FROM types WHERE \"F\" = 'ü😀'", "(t1.\"F\" = 'ü😀')"),
    ] {
        let statements = pair.check(query).await;
        assert!(statements.len() == 1 && statements[0].contains(narrowed), "{statements:?}");
    }
    assert_eq!(server.logged("FAILED"), 0, "{:?}", server.log());
}

#[tokio::test]
async fn discovery_describes_everything() {
    let Some((server, source, _cache)) = made().await else { return };
    let schemas = source.discover(None).await.unwrap();
    let names: Vec<_> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names, ["APP", "SALES"], "Oracle's own are left out");
    let people = schemas[0].tables.iter().find(|table| table.name == "people").unwrap();
    assert_eq!(
        (people.kind, people.row_count, people.comment.as_deref()),
        (TableKind::Table, Some(7), Some("All of them"))
    );
    assert_eq!((schemas[1].tables[0].kind, schemas[1].tables[0].row_count), (TableKind::View, None));
    let column = |name: &str| people.columns.iter().find(|column| column.name == name).unwrap();
    let id = column("id");
    assert!(id.primary_key && !id.nullable && id.position == 1);
    assert_eq!(column("salary").source_type, "NUMBER(10,2)");
    assert_eq!(column("name").source_type, "VARCHAR2(60 CHAR)");
    let age = column("age");
    assert_eq!((age.comment.as_deref(), age.default_value.as_deref()), (Some("In years"), Some("7")));
    let boss = ForeignKey { schema: "APP".into(), table: "people".into(), column: "id".into() };
    assert_eq!(column("boss").foreign_key.as_ref(), Some(&boss));
    assert!(source.discover(Some("OTHER")).await.unwrap().is_empty());
    assert!(source.discover(Some("")).await.unwrap().is_empty());
    for name in ["PEOPLE", "nobody", "peo\"ple"] {
        assert!(matches!(source.open_table("APP", name, None).await, Err(ConnectorError::NotFound { .. })), "{name}");
    }

    let known = check_kept(&source, "APP", people).await;
    let before = server.log().len();
    source.open_table("APP", "people", Some(&known)).await.unwrap();
    assert_eq!(server.log().len(), before, "it is opened without a question");

    // A table that has gone since.
    let gone = rivergen_connectors::DiscoveredTable { name: "gone".into(), ..known };
    let ctx = session_of("gone", source.open_table("APP", "gone", Some(&gone)).await.unwrap());
    let error = ctx.sql("SELECT id FROM gone").await.unwrap().collect().await.unwrap_err();
    assert!(matches!(ConnectorError::within(&error), Some(ConnectorError::NotFound { .. })), "{error}");

    // One schema, also one of Oracle's own.
    let (only, _cache) = GIVEN.at(server.port, |config, _| config.schema_name = Some("SYS".into()));
    let source = crate::support::open(&only).await;
    let schemas = source.discover(None).await.unwrap();
    assert_eq!((schemas.len(), schemas[0].tables[0].name.as_str()), (1, "SECRETS"));
    assert!(source.open_table("APP", "people", None).await.is_err());
}

/// A listener of TCPS asks for TLS anew, once another process has taken the session.
#[tokio::test]
async fn tls_is_as_strict_as_its_mode() {
    let Some(server) = start_with(&["--tls"]).await else { return };
    let certificate = server.certificate();
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Oracle).unwrap();
    for (mode, host, root, works) in [
        (Some("require"), "127.0.0.1", None, true),
        (Some("verify-full"), "localhost", None, false),
        (Some("verify-full"), "localhost", Some(&certificate), true),
        (Some("verify-full"), "127.0.0.1", Some(&certificate), false),
        (Some("verify-ca"), "127.0.0.1", Some(&certificate), true),
    ] {
        let (context, _cache) = GIVEN.at(server.port, tls(mode, host, root));
        let before = server.logged("CONNECT");
        let outcome = connector.test(&context).await;
        assert_eq!(outcome.successful, works, "{mode:?} {host}: {:?}", outcome.error_message);
        if works {
            assert_eq!(server.logged("CONNECT"), before + 2, "before TLS anew and after it");
        } else {
            assert_eq!((outcome.failed_at, server.logged("CONNECT")), (Some(Step::Tls), before), "{mode:?}");
        }
    }
    let (string, _cache) = GIVEN.at(server.port, |config, credentials| {
        (config.host, config.database_name) = (None, None);
        config.metadata.insert("ssl_root_certificate".into(), json!(certificate));
        credentials.connection_string =
            Some(Secret::new(format!("{USER}/{PASSWORD}@tcps://localhost:{}/{SERVICE}", server.port)));
    });
    let outcome = connector.test(&string).await;
    assert!(outcome.successful, "{:?}", outcome.error_message);
}

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(server) = start().await else { return };
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Oracle).unwrap();
    let (good, _cache) = GIVEN.at(server.port, |_, _| {});
    let outcome = connector.test(&good).await;
    assert!(outcome.successful, "{:?}", outcome.error_message);
    assert_eq!(outcome.version.as_deref(), Some("Oracle Database 19.3.0.0.0"));
    assert_eq!(server.logged("LOGIN rivergen speedy=True"), 1, "{:?}", server.log());
    let (by_sid, _cache) = GIVEN.at(server.port, |config, _| {
        config.database_name = Some("SHOP1".into());
        config.metadata.insert("named_by".into(), json!("sid"));
    });
    assert!(connector.test(&by_sid).await.successful);

    let closed = crate::support::port::ClosedPort::take();
    let port = closed.number();
    let cases: [(&str, Step, Change); 9] = [
        ("credentials", Step::SignIn, Box::new(|_, c| c.password = Some(Secret::new("wrong")))),
        ("credentials", Step::SignIn, Box::new(|_, c| c.username = Some("nobody_knows".into()))),
        ("credentials", Step::SignIn, Box::new(|s, _| s.database_name = Some("MISSING".into()))),
        (
            "credentials",
            Step::SignIn,
            Box::new(|s, _| {
                s.database_name = Some("MISSING".into());
                s.metadata.insert("named_by".into(), json!("sid"));
            }),
        ),
        ("native network encryption", Step::Configuration, Box::new(|s, _| s.database_name = Some("ENCRYPTED".into()))),
        ("not allowed", Step::Address, Box::new(|s, _| s.database_name = Some("FORBIDDEN".into()))),
        ("reached", Step::Connection, Box::new(move |s, _| s.port = Some(port))),
        ("reached", Step::Connection, Box::new(|s, _| s.host = Some("no-such-host.invalid".into()))),
        ("TLS", Step::Tls, Box::new(|s, _| _ = s.metadata.insert("sslmode".into(), json!("require")))),
    ];
    for (told, step, change) in cases {
        let (wrong, _cache) = GIVEN.at(server.port, |config, credentials| {
            config.max_retries = 0;
            change(config, credentials);
        });
        let outcome = connector.test(&wrong).await;
        let message = outcome.error_message.unwrap();
        assert!(!outcome.successful && message.contains(told), "{message}");
        assert_eq!(outcome.failed_at, Some(step), "{message}");
        assert!(
            !message.contains("ORA-") && !message.contains("127.0.0.1") && !message.contains("MISSING"),
            "{message}"
        );
    }

    let (private, _cache) = GIVEN.at(server.port, |_, _| {});
    faults::a_private_address_is_refused(private).await;

    // Who took the password and cannot show that they knew it, and who keeps it in a form of before.
    for (argument, step) in [(&["--dishonest"][..], Step::Connection), (&["--verifier", "6949"], Step::Configuration)] {
        let Some(server) = start_with(argument).await else { return };
        let (context, _cache) = GIVEN.at(server.port, |config, _| config.max_retries = 0);
        let outcome = connector.test(&context).await;
        assert_eq!((outcome.successful, outcome.failed_at), (false, Some(step)), "{:?}", outcome.error_message);
    }
}

/// As the listeners of clusters do; the address is checked again.
#[tokio::test]
async fn a_session_that_is_sent_on_goes_there() {
    let Some(server) = start().await else { return };
    let (sent_on, _cache) = GIVEN.at(server.port, |config, _| config.database_name = Some("ELSEWHERE".into()));
    assert!(crate::support::open(&sent_on).await.probe().await.is_ok());
    assert_eq!(server.logged("CONNECT"), 2);
}

#[tokio::test]
async fn statements_end_with_their_time_and_with_who_waits_for_them() {
    let Some(server) = start().await else { return };
    let (context, _cache) = GIVEN.at(server.port, |config, _| {
        config.query_timeout = 1;
        config.connection_pool_size = 1;
    });
    let source = crate::support::open(&context).await;
    let ctx = session_of("slow", GIVEN.table(&source, "SLOW").await);
    check_time_limit(&ctx, "SELECT \"S\" FROM slow").await;
    // The one session is free again, and the server has been told.
    assert!(source.probe().await.is_ok());
    drop(waiting(&ctx, "SELECT \"S\" FROM slow").await);
    assert!(eventually(async || server.logged("INTERRUPT") >= 2).await, "{:?}", server.log());
}

/// A server that breaks off says so between packets, and then why.
#[tokio::test]
async fn a_result_that_breaks_off_is_an_error_and_not_short() {
    let Some((_server, source, _cache)) = made().await else { return };
    let ctx = session_of("broken", GIVEN.table(&source, "BROKEN").await);
    let error = ctx.sql("SELECT \"S\" FROM broken").await.unwrap().collect().await.unwrap_err();
    let error = ConnectorError::within(&error).unwrap_or_else(|| panic!("{error}"));
    assert!(matches!(error, ConnectorError::QueryFailed { .. }) && !error.to_string().contains("snapshot"), "{error}");
    assert!(source.probe().await.is_ok());
}

#[tokio::test]
async fn large_results_stream() {
    let Some((server, source, _cache)) = made().await else { return };
    let ctx = session_of("big", GIVEN.table(&source, "BIG").await);
    check_streams(&ctx, "SELECT \"N\", \"T\" FROM big").await;
    let sum = ctx.sql("SELECT sum(\"N\"), count(\"T\") FROM big").await.unwrap().collect().await.unwrap();
    assert_eq!(rows(&sum, true), [["1250025000", "50000"]]);
    // A session that is used again begins anew, and one that is not takes its leave.
    assert!(server.logged("ROLLBACK") > 0);
    drop((ctx, source));
    assert!(eventually(async || server.logged("LOGOFF") > 0).await, "{:?}", server.log());
}

#[test]
fn settings_are_checked_by_field() {
    let kind = DataSourceType::Oracle;
    assert!(wrong_fields(kind, |config| config.database_name = Some("shop.example.com".into())).is_empty());
    assert_eq!(wrong_fields(kind, |config| config.database_name = None), ["database_name"]);
    assert_eq!(wrong_fields(kind, |config| config.database_name = Some("x)(SID=y".into())), ["database_name"]);
    assert_eq!(wrong_fields(kind, |config| config.host = Some("db)(PORT=1".into())), ["host"]);
    for (name, value) in [("sslmode", "prefer"), ("named_by", "tns"), ("ssl_root_certificate", "x")] {
        let wrong = wrong_fields(kind, |config| _ = config.metadata.insert(name.into(), value.into()));
        assert_eq!(wrong, [format!("metadata.{name}")]);
    }
    let registry = Registry::new();
    let connector = registry.connector(kind).unwrap();
    assert_eq!(connector.form()["properties"]["credentials"]["properties"]["password"]["writeOnly"], true);
}
