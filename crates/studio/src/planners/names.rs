//! `GET /api/v1/prompts/planners/names`: what a question takes as `ai_model`, for whoever may put one. Where the models
//! are, and what is spent on them, is told by [`super::get`] to whoever chooses them.

use axum::extract::State;
use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Reply, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Studio;

/// The planners that a question can use.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannerNames {
    /// Those that a question is put to, in the order in which they are asked, and behind them this server's own rules.
    #[schema(examples(json!(["claude-sonnet-4-5", "embedded"])))]
    pub names: Vec<String>,
}

errors! { pub PlannerNamesErrors: Unauthorized, Forbidden, EmailNotVerified; }

/// List the planners that a question can use
#[utoipa::path(get, path = "/api/v1/prompts/planners/names", tag = "prompt_studio",
    responses((status = 200, description = "What a question takes as `ai_model`", body = Envelope<PlannerNames>), PlannerNamesErrors))]
pub async fn get_planner_names(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
) -> Result<Reply<PlannerNames>> {
    let tenant = caller.require(Permission::PromptExecute)?;
    let names = studio.planners.names(&studio.engine.platform, tenant).await?;
    Ok(Reply::ok(PlannerNames { names }, "The planners by name."))
}
