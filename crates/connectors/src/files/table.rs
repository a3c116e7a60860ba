//! The table over a file: the engine's listing table, which brings its own store.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::reading::Reading;
use super::sealed::Sealed;

/// A file's table.
#[derive(Debug)]
pub(crate) struct FileTable {
    inner: ListingTable,
    store: Arc<Sealed>,
}

impl FileTable {
    /// Of the one file that the store holds.
    pub fn new(store: Arc<Sealed>, reading: &Reading, schema: SchemaRef) -> Result<Self> {
        let location = store.only().map(|meta| meta.location.to_string()).unwrap_or_default();
        let url = ListingTableUrl::parse(format!("{}/{location}", store.url()))?;
        let options = ListingOptions::new(reading.format()).with_file_extension("");
        let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(schema);
        Ok(Self { inner: ListingTable::try_new(config)?, store })
    }

    /// Makes the store known to the session that scans. A runtime holds at most one for each source: the URL stays
    /// the same when a source is opened again. It is not taken back, since a plan outlives its table.
    fn register(&self, session: &dyn Session) {
        session.runtime_env().register_object_store(self.store.url(), self.store.clone());
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.inner.statistics()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.register(state);
        self.inner.scan(state, projection, filters, limit).await
    }

    async fn scan_with_args<'a>(&self, state: &dyn Session, args: ScanArgs<'a>) -> Result<ScanResult> {
        self.register(state);
        self.inner.scan_with_args(state, args).await
    }
}
