//! The physical plan of a scan of a collection.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties, StatisticsArgs,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::rows::Rows;
use super::{Collection, Pages, Scan};
use crate::{ConnectorError, retry};

/// One scan of a collection.
#[derive(Debug)]
pub struct DocumentExec {
    collection: Arc<dyn Collection>,
    scan: Scan,
    rows: Arc<Rows>,
    max_retries: u32,
    statistics: Arc<Statistics>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl DocumentExec {
    pub(super) fn new(
        collection: Arc<dyn Collection>,
        scan: Scan,
        rows: Rows,
        statistics: Statistics,
        max_retries: u32,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(rows.schema().clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            collection,
            scan,
            rows: Arc::new(rows),
            max_retries,
            statistics: Arc::new(statistics),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// What is asked of the source. It holds the policies' literals: for tests, not for callers.
    pub fn conditions(&self) -> String {
        format!("{:?}", self.scan.conditions)
    }

    pub fn limit(&self) -> Option<usize> {
        self.scan.limit
    }
}

impl DisplayAs for DocumentExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scan { fields, conditions, limit } = &self.scan;
        write!(f, "DocumentExec: fields=[{}], conditions={}", fields.join(", "), conditions.len())?;
        limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

impl ExecutionPlan for DocumentExec {
    fn name(&self) -> &str {
        "DocumentExec"
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
        let rows = self.rows.clone();
        let wanted = self.scan.limit.unwrap_or(usize::MAX);
        let pages = begin(self.collection.clone(), self.scan.clone(), self.max_retries);
        // No further page is asked for once there is enough, nor after an error.
        let batches = stream::unfold((pages, wanted), |(mut pages, wanted)| async move {
            if wanted == 0 {
                return None;
            }
            let page = pages.next().await?.map(|mut page| {
                page.truncate(wanted);
                page
            });
            let left = page.as_ref().map_or(0, |page| wanted - page.len());
            Some((page, (pages, left)))
        })
        .flat_map(move |page| {
            let batches = page.and_then(|page| rows.batches(&page));
            stream::iter(match batches {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(DataFusionError::from(error))],
            })
        })
        .map(move |batch| batch.map(|batch| batch.record_output(&metrics)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(self.statistics.clone())
    }
}

/// The pages of a scan, of which the first is asked for again while the source cannot be reached.
fn begin(collection: Arc<dyn Collection>, scan: Scan, max_retries: u32) -> Pages {
    let begun = async move {
        let (first, rest) = retry::reaching(max_retries, || async {
            let mut pages = collection.clone().scan(scan.clone());
            let first = pages.try_next().await?;
            Ok::<_, ConnectorError>((first, pages))
        })
        .await?;
        Ok::<_, ConnectorError>(stream::iter(first.map(Ok)).chain(rest))
    };
    stream::once(begun).try_flatten().boxed()
}
