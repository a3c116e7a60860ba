use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;

use crate::support::warehouse::{Change, Service, TABLES, check_test, configured};
use crate::support::{open, private_key};

fn context(port: u16, change: impl FnOnce(&mut SourceConfig, &mut Credentials)) -> (SourceContext, tempfile::TempDir) {
    let credentials = Credentials {
        username: Some("ann".into()),
        password: Some(Secret::new("pat-secret")),
        warehouse: Some("WH".into()),
        ..Credentials::default()
    };
    configured(DataSourceType::Snowflake, credentials, port, change)
}

suite!("snowflake");

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(service) = Service::start("snowflake", "SELECT 1") else { return };
    let wrong: [Change; 1] = [|_, c| c.password = Some(Secret::new("wrong"))];
    check_test(&service, context, Some("Snowflake 9.40.1"), &wrong).await;
}

#[tokio::test]
async fn tokens_and_key_pairs_sign_in() {
    let Some(service) = Service::start("snowflake", TABLES) else { return };
    let connector = Registry::new().connector(DataSourceType::Snowflake).unwrap().clone();
    let changes: [fn(&mut Credentials); 3] = [
        |c| c.oauth_token = Some(Secret::new("oauth-secret")),
        |c| c.password = Some(Secret::new(private_key())),
        |c| c.ssh_private_key = Some(Secret::new(private_key())),
    ];
    for change in changes {
        let (context, _cache) = context(service.port, |_, credentials| change(credentials));
        assert!(connector.validate(&context.config, &context.credentials).is_empty());
        let outcome = connector.test(&context).await;
        assert!(outcome.successful, "{:?}", outcome.error_message);
    }
    let (context, _cache) = context(service.port, |_, c| c.password = Some(Secret::new("-----BEGIN NONSENSE-----")));
    assert_eq!(connector.validate(&context.config, &context.credentials)[0].field, "credentials.password");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told() {
    let Some(service) = Service::start("snowflake", TABLES) else { return };
    let (context, _cache) = context(service.port, |config, _| config.database_name = Some("missing".into()));
    let error = open(&context).await.discover(None).await.unwrap_err();
    assert!(error.to_string().contains("does not exist") && !error.to_string().contains("secret words"));
}
