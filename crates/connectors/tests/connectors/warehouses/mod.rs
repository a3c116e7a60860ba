//! SQL services over HTTP, against their public protocols over DuckDB.

/// What every service is asked alike; the module has its own `context(port, change)`.
macro_rules! suite {
    ($kind:literal) => {
        #[tokio::test]
        async fn pushed_down_or_not_the_answer_is_the_same() {
            let Some(service) = $crate::support::warehouse::Service::start($kind, $crate::support::warehouse::TABLES)
            else {
                return;
            };
            let (context, _cache) = context(service.port, |_, _| {});
            $crate::support::warehouse::check(&$crate::support::open(&context).await).await;
        }

        #[tokio::test]
        async fn every_value_arrives_as_it_is() {
            let Some(service) = $crate::support::warehouse::Service::start($kind, $crate::support::warehouse::TYPES)
            else {
                return;
            };
            let (context, _cache) = context(service.port, |_, _| {});
            $crate::support::warehouse::check_types(&$crate::support::open(&context).await).await;
        }

        #[tokio::test]
        async fn a_statement_has_its_time_and_no_more() {
            let Some(service) = $crate::support::warehouse::Service::start($kind, $crate::support::warehouse::NEVER)
            else {
                return;
            };
            let (context, _cache) = context(service.port, |config, _| config.query_timeout = 1);
            $crate::support::warehouse::check_time_limit(&service, &$crate::support::open(&context).await).await;
        }

        #[tokio::test]
        async fn an_error_is_told_in_our_words() {
            let Some(service) = $crate::support::warehouse::Service::start($kind, $crate::support::warehouse::TABLES)
            else {
                return;
            };
            let (context, _cache) = context(service.port, |_, _| {});
            $crate::support::warehouse::check_failure(&$crate::support::open(&context).await).await;
        }

        #[tokio::test]
        async fn a_dropped_result_is_cancelled() {
            let Some(service) = $crate::support::warehouse::Service::start($kind, $crate::support::warehouse::NEVER)
            else {
                return;
            };
            let (context, _cache) = context(service.port, |_, _| {});
            $crate::support::warehouse::check_cancel(&service, &$crate::support::open(&context).await).await;
        }

        #[tokio::test]
        async fn discovery_describes_everything() {
            let script = format!("{}{}", $crate::support::warehouse::TABLES, $crate::support::warehouse::MORE);
            let Some(service) = $crate::support::warehouse::Service::start($kind, &script) else { return };
            let (all, _cache) = context(service.port, |_, _| {});
            $crate::support::warehouse::check_discovery(&$crate::support::open(&all).await).await;
            let (one, _cache) = context(service.port, |config, _| config.schema_name = Some("sales".into()));
            let source = $crate::support::open(&one).await;
            assert_eq!(source.discover(None).await.unwrap().len(), 1);
            let outside = source.open_table("public", "people", None).await;
            assert!(matches!(outside, Err(rivergen_connectors::ConnectorError::NotFound { .. })));
        }
    };
}

mod bigquery;
mod databricks;
mod snowflake;
mod trino;
