//! Prompt Studio: a question in plain words, answered by a governed query.
//!
//! [`planner`] turns words into SQL and knows nothing of HTTP or the database; [`context`] tells it what the
//! caller may see; [`execute`] is the operation; [`prompt`] what is kept of it.

mod context;
pub mod execute;
pub mod migrations;
pub mod personal_data;
pub mod planner;
pub mod prompt;

use std::sync::Arc;

use planner::{EmbeddedPlanner, Planner};
use prompt::{Status, StepStatus, execution};
use rivergen_kernel::{Error, Result};
use rivergen_platform::Platform;
use rivergen_runs::Engine;
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Studio {
    pub engine: Engine,
    planners: Planners,
    samples: context::Samples,
}

/// The planners that can be chosen by name; the first is the default.
#[derive(Clone)]
pub struct Planners(Arc<[Arc<dyn Planner>]>);

impl Planners {
    /// The embedded planner alone.
    pub fn embedded() -> Self {
        Self(Arc::from([Arc::new(EmbeddedPlanner::new()) as Arc<dyn Planner>]))
    }

    /// Another one in front.
    pub fn with_default(self, planner: Arc<dyn Planner>) -> Self {
        Self(std::iter::once(planner).chain(self.0.iter().cloned()).collect())
    }
}

impl Studio {
    pub fn new(engine: Engine, planners: Planners) -> Self {
        let samples = context::samples(engine.platform.db.bus());
        Self { engine, planners, samples }
    }

    /// The planner of that name, or the default one.
    fn planner(&self, name: Option<&str>) -> Result<Arc<dyn Planner>> {
        let planners = &self.planners.0;
        let found = match name {
            None => planners.first(),
            Some(name) => planners.iter().find(|planner| planner.name() == name),
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = planners.iter().map(|planner| planner.name()).collect();
            Error::invalid_field("ai_model", format!("must be one of {}", names.join(", ")))
        })
    }
}

/// Ends the runs that a killed server left behind; on PostgreSQL only those older than any run can be,
/// because other nodes may be at work.
pub async fn mark_interrupted(platform: &Platform, longest: chrono::Duration) -> Result<u64> {
    let mut of_old = SimpleExpr::from(true);
    if platform.db.backend() == DbBackend::Postgres {
        of_old = execution::Column::StartedAt.lt(platform.clock.now() - longest);
    }
    fail(platform, of_old, "The server was stopped while this ran.").await
}

/// Ends runs that nobody works for any more.
async fn fail(platform: &Platform, which: SimpleExpr, reason: &'static str) -> Result<u64> {
    let tx = platform.db.begin().await?;
    let ended = execution::Entity::update_many()
        .col_expr(execution::Column::Status, Expr::value(Status::Failed))
        .col_expr(execution::Column::AiProcessingStatus, Expr::value(StepStatus::Failed))
        .col_expr(execution::Column::ErrorMessage, Expr::value(reason))
        .col_expr(execution::Column::CompletedAt, Expr::value(platform.clock.now()))
        .filter(execution::Column::Status.eq(Status::Processing))
        .filter(which)
        .exec(tx.conn())
        .await?;
    tx.commit().await?;
    Ok(ended.rows_affected)
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Studio> {
    OpenApiRouter::new().routes(routes!(execute::execute_prompt))
}
