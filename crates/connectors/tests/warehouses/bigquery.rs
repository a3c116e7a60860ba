use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext, Step};
use rivergen_kernel::secret::Secret;
use serde_json::json;

use crate::support::differential::session;
use crate::support::warehouse::{
    MORE, NEVER, Service, TABLES, TYPES, check, check_cancel, check_discovery, check_failure, check_time_limit,
    check_types,
};
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
async fn every_value_arrives_as_it_is() {
    let Some(service) = Service::start("bigquery", TYPES) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check_types(&open(&context).await).await;
}

#[tokio::test]
async fn a_statement_has_its_time_and_no_more() {
    let Some(service) = Service::start("bigquery", NEVER) else { return };
    let (context, _cache) = context(service.port, |config, _| config.query_timeout = 1);
    check_time_limit(&service, &open(&context).await).await;
}

#[tokio::test]
async fn an_error_is_told_in_our_words() {
    let Some(service) = Service::start("bigquery", TABLES) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    check_failure(&open(&context).await).await;
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
    let Some(service) = Service::start("bigquery", NEVER) else { return };
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
    let outcome = connector.test(&wrong).await;
    assert_eq!(outcome.failed_at, Some(Step::SignIn));
    let message = outcome.error_message.unwrap();
    assert!(message.contains("credentials") && !message.contains("secret words"), "{message}");
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
    // One whose tokens end soon: each request that would come too late has a new one.
    let brief = key("brief@shop.example").to_string();
    let (context, _cache) = context(service.port, |_, c| c.oauth_token = Some(Secret::new(brief)));
    let source = open(&context).await;
    let ctx = session();
    ctx.register_table("people", source.open_table("public", "people", None).await.unwrap()).unwrap();
    let found = ctx.sql("SELECT id FROM people").await.unwrap().collect().await.unwrap();
    assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 40);
    assert!(service.granted().await.len() > 3, "pages are small, tokens end");
    let connector = Registry::new().connector(DataSourceType::Bigquery).unwrap().clone();
    for (email, works) in [("reader@shop.example", true), ("other@shop.example", false)] {
        let key = key(email).to_string();
        let (context, _cache) = self::context(service.port, |_, c| c.oauth_token = Some(Secret::new(key)));
        let outcome = connector.test(&context).await;
        assert_eq!(outcome.successful, works, "{:?}", outcome.error_message);
        assert!(works || outcome.error_message.unwrap().contains("credentials"));
    }
    let (context, _cache) = self::context(service.port, |_, c| c.oauth_token = Some(Secret::new("{}")));
    let wrong = connector.validate(&context.config, &context.credentials);
    assert_eq!(wrong[0].field, "credentials.oauth_token");
    let reader = key("reader@shop.example").to_string();
    let (mut context, _cache) = self::context(service.port, |_, c| c.oauth_token = Some(Secret::new(reader)));
    assert!(connector.validate(&context.config, &context.credentials).is_empty());
    context.config.metadata.remove("sslmode");
    let wrong = connector.validate(&context.config, &context.credentials);
    assert!(wrong[0].field == "credentials.oauth_token" && wrong[0].reason.contains("https"), "{wrong:?}");
}
