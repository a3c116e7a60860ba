//! What a query costs the place that its tables lie in: what is asked of each table, and what comes back.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::{Session, TableProvider},
    common::tree_node::TreeNodeRecursion,
    error::Result,
    execution::TaskContext,
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
        SendableRecordBatchStream, stream::RecordBatchStreamAdapter,
    },
};
use futures::TryStreamExt;

/// The work of one query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// Of each scan: the table, its columns, the conditions that are left to it, and its limit.
    pub asked: Vec<String>,
    pub rows: usize,
    pub bytes: usize,
}

/// The work of a query that is under way.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Work>>);

impl Meter {
    /// The table, with its scans on the meter. Each is left to the table alone: none is joined to another's in the source.
    pub fn over(&self, name: &'static str, table: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
        Arc::new(MeteredTable { name, table, meter: self.clone() })
    }

    pub fn read(&self) -> Work {
        self.0.lock().unwrap().clone()
    }

    fn delivered(&self, batch: &RecordBatch) {
        let mut work = self.0.lock().unwrap();
        work.rows += batch.num_rows();
        work.bytes += batch.get_array_memory_size();
    }
}

#[derive(Debug)]
struct MeteredTable {
    name: &'static str,
    table: Arc<dyn TableProvider>,
    meter: Meter,
}

#[async_trait]
impl TableProvider for MeteredTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.table.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(kept) => Arc::new(self.schema().project(kept)?),
            None => self.schema(),
        };
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let filters_text: Vec<String> = filters.iter().map(ToString::to_string).collect();
        let asked = format!("{} {columns:?} {filters_text:?} {limit:?}", self.name);
        self.meter.0.lock().unwrap().asked.push(asked);
        let scan = self.table.scan(state, projection, filters, limit).await?;
        let properties = Arc::clone(scan.properties());
        Ok(Arc::new(MeteredScan { scan, properties, meter: self.meter.clone() }))
    }
}

/// The scan as it is; nothing else of the plan is pushed into it.
#[derive(Debug)]
struct MeteredScan {
    scan: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    meter: Meter,
}

impl DisplayAs for MeteredScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeteredScan")
    }
}

impl ExecutionPlan for MeteredScan {
    fn name(&self) -> &str {
        "MeteredScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batches = self.scan.execute(partition, context)?;
        let meter = self.meter.clone();
        let schema = batches.schema();
        let metered = batches.inspect_ok(move |batch| meter.delivered(batch));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, metered)))
    }
}
