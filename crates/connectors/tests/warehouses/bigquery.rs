use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::json;

use crate::support::warehouse::{MORE, Service, TABLES, check, check_cancel, check_discovery};
use crate::support::{open, outbound, private_key, source};

fn context(port: u16, change: impl FnOnce(&mut SourceConfig, &mut Credentials)) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Bigquery);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some("shop".into());
    config.connection_timeout = 10;
    config.metadata.insert("sslmode".into(), json!("disable"));
    let mut credentials = Credentials { oauth_token: Some(Secret::new("ya29-secret")), ..Credentials::default() };
    change(&mut config, &mut credentials);
    source("bigquery", config, credentials)
}

#[tokio::test]
async fn pushed_down_or_not_the_answer_is_the_same() {
    let Some(service) = Service::start("bigquery", TABLES) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check(&open(&context).await).await;
}

#[tokio::test]
async fn discovery_describes_everything() {
    let Some(service) = Service::start("bigquery", &format!("{TABLES}{MORE}")) else { return };
    let (all, _cache) = context(service.port, |_, _| {});
    check_discovery(&open(&all).await).await;
    let (one, _cache) = context(service.port, |config, _| config.schema_name = Some("sales".into()));
    assert_eq!(open(&one).await.discover(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_dropped_result_is_cancelled() {
    let Some(service) = Service::start("bigquery", "CREATE TABLE slow (k int)") else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check_cancel(&service, &open(&context).await).await;
}

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(service) = Service::start("bigquery", "SELECT 1") else { return };
    let connector = Registry::new().connector(DataSourceType::Bigquery).unwrap().clone();
    let (good, _cache) = context(service.port, |_, _| {});
    assert!(connector.validate(&good.config, &good.credentials).is_empty());
    let outcome = connector.test(&good).await;
    assert!(outcome.successful, "{:?}", outcome.error_message);
    assert_eq!(outcome.version.as_deref(), None);
    let (wrong, _cache) = context(service.port, |_, c| c.oauth_token = Some(Secret::new("wrong")));
    let message = connector.test(&wrong).await.error_message.unwrap();
    assert!(message.contains("credentials") && !message.contains("secret words"), "{message}");
    let (mut private, _cache) = context(service.port, |_, _| {});
    private.guard = outbound(false);
    assert!(connector.test(&private).await.error_message.unwrap().contains("not allowed"));
}

#[tokio::test]
async fn a_service_accounts_key_is_exchanged_for_a_token() {
    let Some(service) = Service::start("bigquery", TABLES) else { return };
    let key = |email: &str| {
        json!({
            "type": "service_account",
            "client_email": email,
            "private_key": private_key(),
            "private_key_id": "1",
            "token_uri": format!("http://127.0.0.1:{}/token", service.port),
        })
    };
    let connector = Registry::new().connector(DataSourceType::Bigquery).unwrap().clone();
    for (email, works) in [("reader@shop.example", true), ("other@shop.example", false)] {
        let key = key(email).to_string();
        let (context, _cache) = context(service.port, |_, c| c.oauth_token = Some(Secret::new(key)));
        let outcome = connector.test(&context).await;
        assert_eq!(outcome.successful, works, "{:?}", outcome.error_message);
        assert!(works || outcome.error_message.unwrap().contains("credentials"));
    }
    let (context, _cache) = context(service.port, |_, c| c.oauth_token = Some(Secret::new("{}")));
    let wrong = connector.validate(&context.config, &context.credentials);
    assert_eq!(wrong[0].field, "credentials.oauth_token");
}
