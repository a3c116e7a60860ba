//! `POST /api/v1/prompts/{prompt_id}/schedules`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Permission, PromptId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_sources::access::Access;
use rivergen_tenancy::organization;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, PaginatorTrait, QueryFilter};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ActiveModel, Column, Entity, MOST, PromptSchedule, Status,
    delivery::{NewDelivery, ScheduleDeliveryRequest},
    timing::Timing,
};
use crate::{Studio, execution::ask::distinct, prompt};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "Orders every Monday",
    "timing": {"every": "week", "on": ["monday"], "at": "08:00", "time_zone": "Europe/Berlin"},
    "delivery": {"mail_to_user_ids": [3], "include_rows": true}}))]
pub struct CreateScheduleRequest {
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
    pub timing: Timing,
    #[garde(dive)]
    pub delivery: ScheduleDeliveryRequest,
}

errors! { pub CreateScheduleErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, ValidationError, InternalError; }

/// Schedule a saved question to run as yourself
///
/// Each run is subject to the policies that apply to its owner at that moment. It needs a session, `prompt.execute` and
/// `datasource.query`, and with a webhook also `prompt.write`. A workspace can have at most 100 schedules.
#[utoipa::path(post, path = "/api/v1/prompts/{prompt_id}/schedules", tag = "prompt_studio", request_body = CreateScheduleRequest,
    params(("prompt_id" = PromptId, Path, description = "The saved question")),
    responses((status = 201, description = "The schedule, with the secret of its webhook if it has one", body = Envelope<PromptSchedule>),
        CreateScheduleErrors))]
pub async fn create_schedule(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<PromptId>,
    Json(request): Json<CreateScheduleRequest>,
) -> Result<Reply<PromptSchedule>> {
    let tenant = caller.require(Permission::PromptExecute)?;
    caller.session()?;
    let question = prompt::find(&studio, &caller, id).await?;
    let access = Access::of(&caller, Permission::DataSourceQuery)?;
    let sources = distinct(prompt::read(&question.selected_data_source_ids)?);
    studio.engine.sources.find_all(&access, &sources).await?;
    let rhythm = request.timing.rhythm()?;
    let delivery = NewDelivery::check(&studio, &caller, &question, None, request.delivery).await?;
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let workspace_id = caller.membership()?.workspace_id;
    // Where they stand in none, those of none: nothing is compared by IS NULL.
    let here = Column::WorkspaceId.eq(workspace_id);
    let tx = platform.db.begin().await?;
    // So that of two at once the second counts the first.
    organization::lock(&tx, tenant).await?;
    // Index: prompt_schedules(organization_id, id).
    if tenant.find::<Entity>().filter(here).count(tx.conn()).await? >= MOST {
        return Err(Error::new(ErrorCode::Conflict)
            .with_message(format!("The workspace already has {MOST} schedules; delete one first.")));
    }
    let mut row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        workspace_id: Set(workspace_id),
        prompt_id: Set(question.id),
        owner_user_id: Set(caller.user_id),
        name: Set(request.name),
        timing: Set(serde_json::json!(request.timing)),
        mail_to_user_ids: Set(serde_json::json!([])),
        include_rows: Set(false),
        webhook: Set(None),
        webhook_origin: Set(None),
        status: Set(Status::Active),
        paused_reason: Set(None),
        failures: Set(0),
        next_run_at: Set(rhythm.next(now)),
        last_run_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let webhook_secret = delivery.write(&studio, &tx, tenant.organization_id(), &mut row).await?;
    let row = row.insert(tx.conn()).await?;
    let details = serde_json::json!({"prompt_id": id, "timing": row.timing, "mail_to_user_ids": row.mail_to_user_ids,
        "webhook": row.webhook_origin, "include_rows": row.include_rows});
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "prompt_schedule.create")
        .target("prompt_schedule", row.id)
        .details(details);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let schedule = PromptSchedule { webhook_secret, ..PromptSchedule::new(row)? };
    Ok(Reply::created(schedule, "The question was scheduled."))
}
