//! The leaf of a physical plan: what a source is asked, and the stream of its answer.
//!
//! What the engine wants of a leaf is the same whatever is read: one partition that ends, an estimate of its rows, and
//! a count of those that came.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties, StatisticsArgs,
};
use futures::StreamExt;

/// What is asked of a source.
pub trait Asked: fmt::Debug + Send + Sync + 'static {
    /// The plan's name.
    const NAME: &'static str;

    /// How it is shown in a plan.
    fn show(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The answer, in this schema. The source is asked once the stream is polled.
    fn answer(&self, schema: SchemaRef) -> SendableRecordBatchStream;
}

/// A plan of nothing but what is asked.
#[derive(Debug)]
pub struct Leaf<A> {
    pub(crate) asked: A,
    statistics: Arc<Statistics>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl<A: Asked> Leaf<A> {
    pub(crate) fn of(asked: A, schema: SchemaRef, statistics: Statistics) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            asked,
            statistics: Arc::new(statistics),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl<A: Asked> DisplayAs for Leaf<A> {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asked.show(format, f)
    }
}

impl<A: Asked> ExecutionPlan for Leaf<A> {
    fn name(&self) -> &str {
        A::NAME
    }

    fn static_name() -> &'static str {
        A::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let answer = self.asked.answer(self.schema());
        let counted = answer.map(move |batch| batch.map(|batch| batch.record_output(&metrics)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(self.statistics.clone())
    }
}
