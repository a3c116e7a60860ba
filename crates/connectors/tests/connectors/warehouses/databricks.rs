use rivergen_connectors::{Credentials, DataSourceType, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;

use crate::support::differential::session_of;
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

/// Of a result inside the answers there may be 25 MiB; of one behind links, as much as there is.
#[tokio::test]
async fn results_of_any_size_are_fetched_behind_links_without_the_token() {
    let Some(service) = Service::start("databricks", TABLES) else { return };
    let (context, _cache) = context(service.port, |_, _| {});
    let source = open(&context).await;
    let ctx = session_of("people", source.open_table("public", "people", None).await.unwrap());
    // Pages are of seven rows, so there are six links; the store refuses whoever brings the token.
    let found = ctx.sql("SELECT id FROM people").await.unwrap().collect().await.unwrap();
    assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 40);
    let empty = ctx.sql("SELECT id FROM people WHERE id > 1000").await.unwrap().collect().await.unwrap();
    assert_eq!(empty.iter().map(|batch| batch.num_rows()).sum::<usize>(), 0);
    let fetched = service.fetched().await;
    assert!(fetched.len() == 2 && fetched.iter().all(|sql| !sql.contains("information_schema")), "{fetched:?}");
}
