//! `GET /api/v1/prompts/planners`.

use axum::extract::State;
use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Reply, SignedIn},
};

use super::Choice;
use crate::Studio;

errors! { pub GetPlannersErrors: Unauthorized, Forbidden, EmailNotVerified; }

/// Read the organization's planners, and what it spent on models this month
#[utoipa::path(get, path = "/api/v1/prompts/planners", tag = "prompt_studio",
    responses((status = 200, description = "Its planners", body = Envelope<Choice>), GetPlannersErrors))]
pub async fn get_planners(State(studio): State<Studio>, SignedIn(caller): SignedIn) -> Result<Reply<Choice>> {
    let tenant = caller.require(Permission::OrganizationUpdate)?;
    let choice = studio.planners.choice(&studio.engine.platform, tenant).await?;
    Ok(Reply::ok(choice, "The planners."))
}
