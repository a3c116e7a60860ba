//! `POST /api/v1/prompts/schedules/{schedule_id}/run`: once more, now.

use std::time::Duration;

use axum::extract::State;
use rivergen_kernel::{Error, ErrorCode, Permission, PromptScheduleId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::{Column, Entity, history::ScheduledRun, job};
use crate::Studio;

/// By one person: each may write to twenty others.
const RUNS: Rule = Rule::new("schedule_runs", 60, Duration::from_secs(3600));

errors! { pub RunScheduleErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, RateLimited, InternalError; }

/// Run your own schedule now and deliver its result, without changing when it is next due
#[utoipa::path(post, path = "/api/v1/prompts/schedules/{schedule_id}/run", tag = "prompt_studio",
    params(("schedule_id" = PromptScheduleId, Path, description = "The schedule, paused or not")),
    responses((status = 202, description = "The run, which continues in the background", body = Envelope<ScheduledRun>), RunScheduleErrors))]
pub async fn run_schedule(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<PromptScheduleId>,
) -> Result<Reply<ScheduledRun>> {
    let schedule = super::find(&studio, &caller, id).await?;
    super::check_is_owner(&caller, &schedule)?;
    caller.require(Permission::PromptExecute)?;
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    // Of two who ask at once the second waits, and is told of the first.
    let locked = Entity::find().filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    let schedule = locked.ok_or(ErrorCode::NotFound)?;
    // It may have been left to somebody else meanwhile.
    super::check_is_owner(&caller, &schedule)?;
    if job::is_under_way(tx.conn(), id, now).await? {
        return Err(Error::new(ErrorCode::Conflict).with_message("The schedule is already running."));
    }
    platform.limits.check(&RUNS, &caller.user_id.to_string())?;
    let run = job::enqueue(&tx, platform, &schedule, now, true).await?;
    let record =
        AuditRecord::new(Some(schedule.organization_id), origin.actor(caller.user_id), "prompt_schedule.run_now")
            .target("prompt_schedule", id)
            .details(serde_json::json!({"run_id": run.id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::accepted(ScheduledRun::new(run, Vec::new(), true), "The schedule is running."))
}
