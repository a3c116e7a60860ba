//! A collection as a table of the engine.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Statistics, stats::Precision};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::rows::Rows;
use super::shape::Column;
use super::{Collection, Condition, DocumentExec, Scan};

/// The table over a collection.
#[derive(Debug)]
pub(super) struct DocumentTable {
    collection: Arc<dyn Collection>,
    columns: Vec<Column>,
    schema: SchemaRef,
    rows: Option<u64>,
    max_retries: u32,
}

impl DocumentTable {
    pub fn new(collection: Arc<dyn Collection>, columns: Vec<Column>, rows: Option<u64>, max_retries: u32) -> Self {
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        Self { collection, columns, schema, rows, max_retries }
    }

    /// What of the filter the source can narrow by.
    fn condition(&self, filter: &Expr) -> Option<Condition> {
        Condition::read(filter, &self.columns).filter(|condition| self.collection.accepts(condition))
    }
}

#[async_trait]
impl TableProvider for DocumentTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.condition(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (schema, columns): (_, Vec<_>) = match projection {
            Some(kept) => (Arc::new(self.schema.project(kept)?), kept.iter().map(|at| &self.columns[*at]).collect()),
            None => (self.schema.clone(), self.columns.iter().collect()),
        };
        let scan = Scan {
            fields: columns.iter().map(|column| column.name.clone()).collect(),
            conditions: filters.iter().filter_map(|filter| self.condition(filter)).collect(),
            // More documents may come back than the filters let through.
            limit: limit.filter(|_| filters.is_empty()),
        };
        let mixed = columns.iter().map(|column| column.mixed).collect();
        let mut statistics = Statistics::new_unknown(&schema);
        if let Some(rows) = self.rows {
            statistics.num_rows = Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX));
        }
        let rows = Rows::new(schema, mixed);
        Ok(Arc::new(DocumentExec::new(self.collection.clone(), scan, rows, statistics, self.max_retries)))
    }
}
