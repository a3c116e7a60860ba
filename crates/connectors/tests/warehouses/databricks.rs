use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::json;

use crate::support::warehouse::{MORE, Service, TABLES, check, check_cancel, check_discovery};
use crate::support::{open, outbound, source};

fn context(port: u16, change: impl FnOnce(&mut SourceConfig, &mut Credentials)) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Databricks);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some("shop".into());
    config.connection_timeout = 10;
    config.metadata.insert("sslmode".into(), json!("disable"));
    let mut credentials = Credentials {
        warehouse: Some("w1".into()),
        api_key: Some(Secret::new("dapi-secret")),
        ..Credentials::default()
    };
    change(&mut config, &mut credentials);
    source("databricks", config, credentials)
}

#[tokio::test]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let Some(service) = Service::start("databricks", TABLES) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check(&open(&context).await).await;
}

#[tokio::test]
async fn discovery_describes_everything() {
    let Some(service) = Service::start("databricks", &format!("{TABLES}{MORE}")) else { return };
    let (all, _cache) = context(service.port, |_, _| {});
    check_discovery(&open(&all).await).await;
    let (one, _cache) = context(service.port, |config, _| config.schema_name = Some("sales".into()));
    assert_eq!(open(&one).await.discover(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_dropped_result_is_cancelled() {
    let Some(service) = Service::start("databricks", "CREATE TABLE slow (k int)") else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check_cancel(&service, &open(&context).await).await;
}

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(service) = Service::start("databricks", "SELECT 1") else { return };
    let connector = Registry::new().connector(DataSourceType::Databricks).unwrap().clone();
    let (good, _cache) = context(service.port, |_, _| {});
    assert!(connector.validate(&good.config, &good.credentials).is_empty());
    let outcome = connector.test(&good).await;
    assert!(outcome.successful, "{:?}", outcome.error_message);
    assert_eq!(outcome.version.as_deref(), Some("Databricks SQL 2025.40"));
    let (wrong, _cache) = context(service.port, |_, c| c.api_key = Some(Secret::new("wrong")));
    let message = connector.test(&wrong).await.error_message.unwrap();
    assert!(message.contains("credentials") && !message.contains("secret words"), "{message}");
    let (mut private, _cache) = context(service.port, |_, _| {});
    private.guard = outbound(false);
    assert!(connector.test(&private).await.error_message.unwrap().contains("not allowed"));
}

#[tokio::test]
async fn the_default_catalogue_is_asked_for() {
    let Some(service) = Service::start("databricks", &format!("{TABLES}{MORE}")) else { return };
    let (context, _cache) = context(service.port, |config, _| config.database_name = None);
    check_discovery(&open(&context).await).await;
}
