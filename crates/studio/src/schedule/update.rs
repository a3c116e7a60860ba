//! `PATCH /api/v1/prompts/schedules/{schedule_id}`: its name, when it is due, who hears of it, and whether it runs.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, ErrorCode, Permission, PromptScheduleId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_sources::access::Access;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ActiveModel, Column, Entity, Model, PausedReason, PromptSchedule, Status,
    delivery::{NewDelivery, ScheduleDeliveryRequest},
    timing::Timing,
};
use crate::{Studio, prompt};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"status": "paused"}))]
pub struct UpdateScheduleRequest {
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub name: Option<String>,
    /// Takes the place of the one before.
    pub timing: Option<Timing>,
    #[garde(dive)]
    pub delivery: Option<ScheduleDeliveryRequest>,
    /// `paused`, or `active` again: then it runs when it is due next, from now on.
    pub status: Option<Status>,
}

impl UpdateScheduleRequest {
    /// All that somebody else than the owner may ask for.
    fn only_pauses(&self) -> bool {
        let changes = self.name.is_some() || self.timing.is_some() || self.delivery.is_some();
        !changes && self.status == Some(Status::Paused)
    }
}

errors! { pub UpdateScheduleErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// Change, pause or resume your own schedule; with `prompt.write`, pause someone else's
#[utoipa::path(patch, path = "/api/v1/prompts/schedules/{schedule_id}", tag = "prompt_studio", request_body = UpdateScheduleRequest,
    params(("schedule_id" = PromptScheduleId, Path, description = "The schedule")),
    responses((status = 200, description = "The schedule, with the secret if its webhook is new", body = Envelope<PromptSchedule>),
        UpdateScheduleErrors))]
pub async fn update_schedule(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<PromptScheduleId>,
    Json(request): Json<UpdateScheduleRequest>,
) -> Result<Reply<PromptSchedule>> {
    let before = super::find(&studio, &caller, id).await?;
    let only_pauses = request.only_pauses();
    let check = |schedule: &Model| match only_pauses {
        true => super::check_may_stop(&caller, schedule),
        false => super::check_is_owner(&caller, schedule),
    };
    check(&before)?;
    let (name, timing, wanted) = (request.name, request.timing, request.status);
    let rhythm = timing.as_ref().map(Timing::rhythm).transpose()?;
    let delivery = match request.delivery {
        Some(delivery) => {
            let question = prompt::find(&studio, &caller, before.prompt_id).await?;
            Some(NewDelivery::check(&studio, &caller, &question, Some(&before), delivery).await?)
        }
        None => None,
    };
    if wanted == Some(Status::Active) && before.status == Status::Paused {
        check_may_run(&studio, &caller, &before).await?;
    }
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    // As it is now: a run may have paused it meanwhile, or it was left to somebody else, as whom it would run.
    let before = Entity::find().filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    let before = before.ok_or(ErrorCode::NotFound)?;
    check(&before)?;
    let status = wanted.unwrap_or(before.status);
    let next = match &rhythm {
        _ if status == Status::Paused => None,
        None if before.status == Status::Active => before.next_run_at,
        Some(rhythm) => rhythm.next(now),
        None => before.rhythm()?.next(now),
    };
    let organization_id = before.organization_id;
    let mut row = turned(before, status, next, now);
    let mut changed = Vec::new();
    if let Some(name) = name {
        row.name = Set(name);
        changed.push("name");
    }
    if let Some(timing) = timing {
        row.timing = Set(serde_json::json!(timing));
        changed.push("timing");
    }
    let mut webhook_secret = None;
    if let Some(delivery) = delivery {
        webhook_secret = delivery.write(&studio, &tx, organization_id, &mut row).await?;
        changed.push("delivery");
    }
    let row = row.update(tx.conn()).await?;
    let details = serde_json::json!({"changed": changed, "status": row.status, "timing": row.timing,
        "mail_to_user_ids": row.mail_to_user_ids, "webhook": row.webhook_origin, "include_rows": row.include_rows});
    let record = AuditRecord::new(Some(organization_id), origin.actor(caller.user_id), "prompt_schedule.update")
        .target("prompt_schedule", id)
        .details(details);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let schedule = PromptSchedule { webhook_secret, ..PromptSchedule::new(row)? };
    Ok(Reply::ok(schedule, "The schedule was changed."))
}

/// The row in that status, due next then.
fn turned(before: Model, status: Status, next: Option<DateTime<Utc>>, now: DateTime<Utc>) -> ActiveModel {
    let turns = before.status != status;
    let mut row = before.into_active_model();
    row.next_run_at = Set(next);
    row.updated_at = Set(now);
    if turns {
        row.status = Set(status);
        row.paused_reason = Set((status == Status::Paused).then_some(PausedReason::ByHand));
        row.failures = Set(0);
    }
    row
}

/// What a run would ask for, before there is one to find out.
async fn check_may_run(studio: &Studio, caller: &Caller, schedule: &Model) -> Result<()> {
    caller.require(Permission::PromptExecute)?;
    if schedule.webhook.is_some() {
        caller.require(Permission::PromptWrite)?;
    }
    let question = prompt::find(studio, caller, schedule.prompt_id).await?;
    let access = Access::of(caller, Permission::DataSourceQuery)?;
    let sources = crate::execution::ask::distinct(prompt::read(&question.selected_data_source_ids)?);
    studio.engine.sources.find_all(&access, &sources).await.map(drop)
}
