use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::json;

use crate::support::differential::session_of;
use crate::support::warehouse::{Change, Service, TABLES, check_test, configured};
use crate::support::{open, private_key};

fn context(port: u16, change: impl FnOnce(&mut SourceConfig, &mut Credentials)) -> (SourceContext, tempfile::TempDir) {
    let credentials = Credentials { oauth_token: Some(Secret::new("ya29-secret")), ..Credentials::default() };
    configured(DataSourceType::Bigquery, credentials, port, change)
}

suite!("bigquery");

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(service) = Service::start("bigquery", "SELECT 1") else { return };
    let wrong: [Change; 1] = [|_, c| c.oauth_token = Some(Secret::new("wrong"))];
    check_test(&service, context, None, &wrong).await;
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
    let ctx = session_of("people", source.open_table("public", "people", None).await.unwrap());
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
