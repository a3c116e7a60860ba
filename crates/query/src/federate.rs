//! What a source can compute itself leaves as one statement in its own language.
//!
//! This runs last, when filters and projections lie where they will stay, so that each source is asked for what the
//! query needs and no more. Which parts of a plan mean the same in the source's language, and raise nowhere where
//! the engine would not, is decided by whoever made the table (`rivergen-connectors`); tables of sources without a
//! language of their own are left alone. Views that are still closed are left alone too: each pushes its own plan.

use datafusion::{error::Result, execution::SessionState, logical_expr::LogicalPlan, optimizer::OptimizerRule};
use datafusion_federation::FederationOptimizerRule;

/// Hands the largest parts of the plan that one source can compute to that source.
pub fn push_to_sources(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    Ok(FederationOptimizerRule::new().rewrite(plan, state)?.data)
}
