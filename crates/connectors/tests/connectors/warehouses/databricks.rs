use rivergen_connectors::{Credentials, DataSourceType, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;

use crate::support::open;
use crate::support::warehouse::{Change, MORE, Service, TABLES, check_discovery, check_test, configured};

fn context(port: u16, change: impl FnOnce(&mut SourceConfig, &mut Credentials)) -> (SourceContext, tempfile::TempDir) {
    let credentials = Credentials {
        warehouse: Some("w1".into()),
        api_key: Some(Secret::new("dapi-secret")),
        ..Credentials::default()
    };
    configured(DataSourceType::Databricks, credentials, port, change)
}

suite!("databricks");

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(service) = Service::start("databricks", "SELECT 1") else { return };
    let wrong: [Change; 1] = [|_, c| c.api_key = Some(Secret::new("wrong"))];
    check_test(&service, context, Some("Databricks SQL 2025.40"), &wrong).await;
}

#[tokio::test]
async fn the_default_catalogue_is_asked_for() {
    let Some(service) = Service::start("databricks", &format!("{TABLES}{MORE}")) else { return };
    let (context, _cache) = context(service.port, |config, _| config.database_name = None);
    check_discovery(&open(&context).await).await;
}
