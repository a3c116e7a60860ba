//! `DELETE /api/v1/prompts/schedules/{schedule_id}`: with the record of its runs; what they answered stays.

use axum::extract::State;
use rivergen_kernel::{PromptScheduleId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{NoContent, Path, RequestOrigin, SignedIn},
};
use sea_orm::EntityTrait;

use super::Entity;
use crate::Studio;

errors! { pub DeleteScheduleErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Delete a schedule: your own or, with `prompt.write`, someone else's
#[utoipa::path(delete, path = "/api/v1/prompts/schedules/{schedule_id}", tag = "prompt_studio",
    params(("schedule_id" = PromptScheduleId, Path, description = "The schedule")),
    responses((status = 204, description = "Deleted, with the record of its runs"), DeleteScheduleErrors))]
pub async fn delete_schedule(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<PromptScheduleId>,
) -> Result<NoContent> {
    let row = super::find(&studio, &caller, id).await?;
    super::check_may_stop(&caller, &row)?;
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    Entity::delete_by_id(id).exec(tx.conn()).await?;
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "prompt_schedule.delete")
        .target("prompt_schedule", id)
        .details(serde_json::json!({"owner_user_id": row.owner_user_id, "prompt_id": row.prompt_id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
