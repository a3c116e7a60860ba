//! `GET /api/v1/prompts/schedules/{schedule_id}`.

use axum::extract::State;
use rivergen_kernel::{PromptScheduleId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};

use super::PromptSchedule;
use crate::Studio;

errors! { pub GetScheduleErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Read a schedule
#[utoipa::path(get, path = "/api/v1/prompts/schedules/{schedule_id}", tag = "prompt_studio",
    params(("schedule_id" = PromptScheduleId, Path, description = "The schedule")),
    responses((status = 200, description = "The schedule", body = Envelope<PromptSchedule>), GetScheduleErrors))]
pub async fn get_schedule(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Path(id): Path<PromptScheduleId>,
) -> Result<Reply<PromptSchedule>> {
    let row = super::find(&studio, &caller, id).await?;
    Ok(Reply::ok(PromptSchedule::new(row)?, "The schedule."))
}
