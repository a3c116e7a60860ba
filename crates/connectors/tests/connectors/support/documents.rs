//! What the tests of sources of documents share: narrowed at the source or not, the answer is the same.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::physical_plan::ExecutionPlan;
use rivergen_connectors::documents::DocumentExec;
use rivergen_connectors::{ConnectorError, DiscoveredTable, OpenedSource};

use super::differential::{Pair, rows, session_of};

/// The tables of the only schema, or of one of several.
pub async fn discover(source: &Arc<dyn OpenedSource>, schema: &str) -> Vec<DiscoveredTable> {
    let schemas = source.discover(Some(schema)).await.unwrap();
    assert!(schemas.len() <= 1 && schemas.iter().all(|found| found.name == schema));
    let tables: Vec<_> = schemas.into_iter().flat_map(|schema| schema.tables).collect();
    // What is kept of a discovery is read back as it was.
    let kept = serde_json::to_string(&tables).unwrap();
    assert_eq!(serde_json::from_str::<Vec<DiscoveredTable>>(&kept).unwrap(), tables);
    tables
}

/// A table by what was discovered of it, and by asking again: both alike.
pub async fn table(source: &Arc<dyn OpenedSource>, schema: &str, name: &str) -> Arc<dyn TableProvider> {
    let tables = discover(source, schema).await;
    let known = tables.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("{name} in {tables:?}"));
    let provider = source.open_table(schema, name, Some(known)).await.unwrap();
    assert_eq!(provider.schema(), source.open_table(schema, name, None).await.unwrap().schema());
    provider
}

/// `name type` of each column.
pub fn columns(provider: &Arc<dyn TableProvider>) -> Vec<String> {
    provider.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

/// The scans of collections in a plan.
pub fn scans(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let mut found: Vec<String> =
        plan.downcast_ref::<DocumentExec>().map(DocumentExec::conditions).into_iter().collect();
    found.extend(plan.children().into_iter().flat_map(scans));
    found
}

/// Runs the queries on the table `t` at the source and on a copy of it; of the first `narrowed` queries each must be
/// narrowed at the source.
pub async fn check(provider: Arc<dyn TableProvider>, narrowed: &[&str], others: &[&str]) {
    let pair = Pair::of(vec![("t", provider)]).await;
    for (query, is_narrowed) in narrowed.iter().map(|q| (q, true)).chain(others.iter().map(|q| (q, false))) {
        pair.check(query).await;
        let plan = pair.pushed.sql(query).await.unwrap().create_physical_plan().await.unwrap();
        let scans = scans(&plan);
        assert_eq!(scans.iter().any(|conditions| conditions != "[]"), is_narrowed, "{query}: {scans:?}");
    }
}

/// The rows of a query on the table `t`, as texts.
pub async fn query(provider: &Arc<dyn TableProvider>, sql: &str) -> Vec<Vec<String>> {
    let ctx = session_of("t", provider.clone());
    rows(&ctx.sql(sql).await.unwrap().collect().await.unwrap(), true)
}

/// The connector's error that a query ends with.
pub async fn failure(provider: &Arc<dyn TableProvider>, sql: &str) -> String {
    let ctx = session_of("t", provider.clone());
    let error = ctx.sql(sql).await.unwrap().collect().await.unwrap_err();
    let error = ConnectorError::within(&error).unwrap_or_else(|| panic!("{error}"));
    error.to_string()
}
