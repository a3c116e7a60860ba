//! `GET /api/v1/prompts/schedules/{schedule_id}/runs`: what became of a schedule's runs, and who heard of each.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{ExecutionId, Page, PromptScheduleId, Result, ScheduledRunId, UserId};
use rivergen_platform::{
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;

use super::run::{self, sent};
use crate::Studio;

/// One run of a schedule.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduledRun {
    pub id: ScheduledRunId,
    pub schedule_id: PromptScheduleId,
    /// When it was due, or when someone requested it.
    pub due_at: DateTime<Utc>,
    /// Its owner asked for it.
    pub by_hand: bool,
    pub status: run::Status,
    /// The run of the question; its rows are only for its owner.
    pub execution_id: Option<ExecutionId>,
    /// For its owner.
    #[schema(examples(4))]
    pub rows_returned: Option<i64>,
    #[schema(examples("POLICY_DENIED"))]
    pub error_code: Option<String>,
    /// For its owner.
    pub error_message: Option<String>,
    /// Null while it is running.
    pub completed_at: Option<DateTime<Utc>>,
    pub deliveries: Vec<ScheduleSending>,
}

/// One mail or one message.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScheduleSending {
    pub channel: sent::Channel,
    /// Who got the mail; null for a webhook.
    pub user_id: Option<UserId>,
    pub status: sent::Status,
    #[schema(examples(1))]
    pub attempts: i32,
    /// Why the latest attempt failed, for its owner.
    #[schema(examples("the receiver answered 503 Service Unavailable"))]
    pub error: Option<String>,
    pub at: DateTime<Utc>,
}

impl ScheduledRun {
    /// Numbers and words about the answer are for whose policies made it.
    pub(super) fn new(row: run::Model, deliveries: Vec<ScheduleSending>, is_own: bool) -> Self {
        Self {
            id: row.id,
            schedule_id: row.schedule_id,
            due_at: row.due_at,
            by_hand: row.by_hand,
            status: row.status,
            execution_id: row.execution_id,
            rows_returned: row.rows_returned.filter(|_| is_own),
            error_code: row.error_code,
            error_message: row.error_message.filter(|_| is_own),
            completed_at: row.completed_at,
            deliveries,
        }
    }
}

impl ScheduleSending {
    fn new(row: sent::Model, is_own: bool) -> Self {
        Self {
            channel: row.channel,
            user_id: row.user_id,
            status: row.status,
            attempts: row.attempts,
            error: row.error.filter(|_| is_own),
            at: row.at,
        }
    }
}

errors! { pub ListScheduledRunsErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// List the runs of a schedule with what was sent: your own or, with `prompt.write`, someone else's
#[utoipa::path(get, path = "/api/v1/prompts/schedules/{schedule_id}/runs", tag = "prompt_studio",
    params(("schedule_id" = PromptScheduleId, Path, description = "The schedule"), PageQuery),
    responses((status = 200, description = "The latest first; kept for 30 days", body = Envelope<Page<ScheduledRun>>),
        ListScheduledRunsErrors))]
pub async fn list_scheduled_runs(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Path(id): Path<PromptScheduleId>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<ScheduledRun>>> {
    let page = page.request()?;
    let schedule = super::find(&studio, &caller, id).await?;
    let is_own = schedule.owner_user_id == caller.user_id;
    if !is_own {
        super::check_may_stop(&caller, &schedule)?;
    }
    let db = studio.engine.platform.db.read();
    // Index: prompt_schedule_runs(schedule_id, due_at), unique.
    let runs = run::Entity::find().filter(run::Column::ScheduleId.eq(schedule.id));
    let total = runs.clone().count(db).await?;
    let latest = runs.order_by_desc(run::Column::DueAt).order_by_desc(run::Column::Id);
    let rows = latest.offset(page.offset()).limit(page.limit()).all(db).await?;
    // Index: prompt_schedule_deliveries(run_id, id).
    let sendings = sent::Entity::find()
        .filter(sent::Column::RunId.is_in(rows.iter().map(|row| row.id)))
        .order_by_asc(sent::Column::Id)
        .all(db)
        .await?;
    let mut of_run: BTreeMap<ScheduledRunId, Vec<ScheduleSending>> = BTreeMap::new();
    for sending in sendings {
        of_run.entry(sending.run_id).or_default().push(ScheduleSending::new(sending, is_own));
    }
    let items = rows
        .into_iter()
        .map(|row| {
            let deliveries = of_run.remove(&row.id).unwrap_or_default();
            ScheduledRun::new(row, deliveries, is_own)
        })
        .collect();
    Ok(Reply::ok(Page::new(items, page, total), "The runs of the schedule."))
}
