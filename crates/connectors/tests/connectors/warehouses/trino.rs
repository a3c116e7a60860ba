use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;

use crate::support::database::{eventually, waiting};
use crate::support::differential::session_of;
use crate::support::open;
use crate::support::warehouse::{Change, Service, check_test, configured};

fn context(port: u16, change: impl FnOnce(&mut SourceConfig, &mut Credentials)) -> (SourceContext, tempfile::TempDir) {
    let credentials = Credentials { username: Some("ann".into()), ..Credentials::default() };
    configured(DataSourceType::Trino, credentials, port, change)
}

suite!("trino");

#[tokio::test]
async fn tests_tell_what_is_wrong_and_no_more() {
    let Some(service) = Service::start("trino", "SELECT 1") else { return };
    let wrong: [Change; 2] =
        [|_, c| c.username = Some("nobody".into()), |s, _| s.database_name = Some("missing".into())];
    check_test(&service, context, Some("Trino 476"), &wrong).await;
    let connector = Registry::new().connector(DataSourceType::Trino).unwrap().clone();
    let (plain, _cache) = context(service.port, |_, c| c.password = Some(Secret::new("p")));
    let wrong = connector.validate(&plain.config, &plain.credentials);
    assert_eq!(wrong[0].field, "metadata.sslmode", "no password leaves without TLS");
}

/// One whose pages were not all read.
#[tokio::test]
async fn a_result_dropped_half_way_is_cancelled() {
    let Some(service) = Service::start("trino", "CREATE TABLE big AS SELECT * FROM range(200000) r (n)") else {
        return;
    };
    let (context, _cache) = context(service.port, |_, _| {});
    let source = open(&context).await;
    let ctx = session_of("big", source.open_table("public", "big", None).await.unwrap());
    // Pages are small.
    drop(waiting(&ctx, "SELECT n FROM big").await);
    assert!(eventually(async || !service.cancelled().await.is_empty()).await, "the statement still runs");
}
