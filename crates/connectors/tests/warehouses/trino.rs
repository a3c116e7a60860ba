use std::time::{Duration, Instant};

use futures::StreamExt;
use rivergen_connectors::{ConnectorError, Credentials, DataSourceType, Registry, SourceConfig, SourceContext, Step};
use rivergen_kernel::secret::Secret;
use serde_json::json;

use crate::support::differential::session;
use crate::support::warehouse::{
    MORE, NEVER, Service, TABLES, TYPES, check, check_cancel, check_discovery, check_failure, check_time_limit,
    check_types,
};
use crate::support::{open, outbound, source};

fn context(port: u16, change: impl FnOnce(&mut SourceConfig, &mut Credentials)) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Trino);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some("shop".into());
    config.connection_timeout = 10;
    config.metadata.insert("sslmode".into(), json!("disable"));
    let mut credentials = Credentials { username: Some("ann".into()), ..Credentials::default() };
    change(&mut config, &mut credentials);
    source("trino", config, credentials)
}

#[tokio::test]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let Some(service) = Service::start("trino", TABLES) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check(&open(&context).await).await;
}

#[tokio::test]
async fn every_value_arrives_as_it_is() {
    let Some(service) = Service::start("trino", TYPES) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check_types(&open(&context).await).await;
}

#[tokio::test]
async fn a_statement_has_its_time_and_no_more() {
    let Some(service) = Service::start("trino", NEVER) else { return };
    let (context, _cache) = context(service.port, |config, _| config.query_timeout = 1);
    check_time_limit(&service, &open(&context).await).await;
}

#[tokio::test]
async fn an_error_is_told_in_our_words() {
    let Some(service) = Service::start("trino", TABLES) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check_failure(&open(&context).await).await;
}

#[tokio::test]
async fn discovery_describes_everything() {
    let Some(service) = Service::start("trino", &format!("{TABLES}{MORE}")) else { return };
    let (all, _cache) = context(service.port, |_, _| {});
    check_discovery(&open(&all).await).await;
    let (one, _cache) = context(service.port, |config, _| config.schema_name = Some("sales".into()));
    let source = open(&one).await;
    assert_eq!(source.discover(None).await.unwrap().len(), 1);
    assert!(matches!(source.open_table("public", "people", None).await, Err(ConnectorError::NotFound { .. })));
}

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(service) = Service::start("trino", "SELECT 1") else { return };
    let connector = Registry::new().connector(DataSourceType::Trino).unwrap().clone();
    let (good, _cache) = context(service.port, |_, _| {});
    let outcome = connector.test(&good).await;
    assert_eq!(outcome.version.as_deref(), Some("Trino 476"), "{:?}", outcome.error_message);
    let cases: [fn(&mut SourceConfig, &mut Credentials); 2] =
        [|_, c| c.username = Some("nobody".into()), |s, _| s.database_name = Some("missing".into())];
    for change in cases {
        let (wrong, _cache) = context(service.port, change);
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
    let (plain, _cache) = context(service.port, |_, c| c.password = Some(Secret::new("p")));
    let wrong = connector.validate(&plain.config, &plain.credentials);
    assert_eq!(wrong[0].field, "metadata.sslmode", "no password leaves without TLS");
}

#[tokio::test]
async fn a_dropped_result_is_cancelled() {
    let Some(service) = Service::start("trino", NEVER) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check_cancel(&service, &open(&context).await).await;
}

/// One whose pages were not all read.
#[tokio::test]
async fn a_result_dropped_half_way_is_cancelled() {
    let Some(service) = Service::start("trino", "CREATE TABLE big AS SELECT * FROM range(200000) r (n)") else {
        return;
    };
    let (context, _cache) = context(service.port, |_, _| {});
    let source = open(&context).await;
    let ctx = session();
    ctx.register_table("big", source.open_table("public", "big", None).await.unwrap()).unwrap();
    let mut stream = ctx.sql("SELECT n FROM big").await.unwrap().execute_stream().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), stream.next()).await.is_err(), "pages are small");
    drop(stream);
    let until = Instant::now() + Duration::from_secs(10);
    while service.cancelled().await.is_empty() {
        assert!(Instant::now() < until, "the statement still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
