//! Takes the largest sub-plans of one database and replaces what can be written as SQL.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{Optimizer, OptimizerConfig, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_federation::{FederatedPlanNode, FederationPlanner, FederationProvider};

use super::{RemoteDatabase, RemoteExec, plan};

/// Stands for one database in the federation.
pub(super) struct RemoteProvider {
    database: Arc<dyn RemoteDatabase>,
    optimizer: Arc<Optimizer>,
}

impl RemoteProvider {
    pub fn new(database: Arc<dyn RemoteDatabase>) -> Self {
        // Where the federation rule runs early, filters and projections have yet to reach the scans.
        let optimizer = Optimizer::with_rules(vec![
            Arc::new(PushDownFilter::new()),
            Arc::new(OptimizeProjections::new()),
            Arc::new(WriteSql { planner: Arc::new(Planner { database: database.clone() }) }),
        ]);
        Self { database, optimizer: Arc::new(optimizer) }
    }
}

impl fmt::Debug for RemoteProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteProvider").field("database", &self.database).finish_non_exhaustive()
    }
}

impl FederationProvider for RemoteProvider {
    fn name(&self) -> &str {
        "rivergen"
    }

    fn compute_context(&self) -> Option<String> {
        Some(self.database.identity().to_owned())
    }

    fn optimizer(&self) -> Option<Arc<Optimizer>> {
        Some(self.optimizer.clone())
    }
}

/// Replaces, from the top, each part of a plan that can be written as SQL and is more than a scan.
#[derive(Debug)]
struct WriteSql {
    planner: Arc<Planner>,
}

impl OptimizerRule for WriteSql {
    fn name(&self) -> &str {
        "write_sql"
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let dialect = self.planner.database.dialect();
        plan.transform_down(|plan| {
            if !plan::worthwhile(&plan) || plan::write(&plan, dialect).is_none() {
                return Ok(Transformed::no(plan));
            }
            let node = FederatedPlanNode::new(plan, self.planner.clone());
            let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
            Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump))
        })
    }
}

#[derive(Debug)]
struct Planner {
    database: Arc<dyn RemoteDatabase>,
}

#[async_trait]
impl FederationPlanner for Planner {
    async fn plan_federation(
        &self,
        node: &FederatedPlanNode,
        _session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = node.plan().schema().inner().clone();
        let sql = plan::write(node.plan(), self.database.dialect())
            .ok_or_else(|| DataFusionError::Internal("a plan that had SQL has none".into()))?;
        let statistics = Statistics::new_unknown(&schema);
        Ok(Arc::new(RemoteExec::new(self.database.clone(), sql, schema, statistics)))
    }
}
