//! Runs: the question is asked as its owner, and what is to be sent is written down.
//!
//! Whatever the schedule's owner may not do any more, or what is gone, pauses the schedule; what may pass is tried again. Who
//! the owner is and what they may do is read before the question is asked, and once more before anything of the answer leaves.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_kernel::{Caller, Error, ErrorCode, PromptScheduleId, Result, ScheduledRunId, Tenant, UserId};
use rivergen_platform::{
    Platform, Transaction, audit,
    db::TenantScope,
    http::RequestOrigin,
    jobs::{Handler, JobContext, JobError},
    mail,
};
use sea_orm::{ActiveValue::Set, entity::prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ending::{fail, on_record, settle, stop, went_well},
    messages, options,
};
use crate::{
    Studio,
    execution::{
        self,
        ask::again,
        course::{Asking, Course, Underway},
    },
    prompt::{self, read},
    schedule::{
        Entity, Model, PausedReason, Status, delivery, mails, owner,
        run::{self, sent},
    },
};

pub(super) const RUN: &str = "studio.scheduled_run";
/// Of a run, where what it failed with may pass.
const ATTEMPTS: u32 = 3;
/// A run that is under way for longer than any is not waited for.
const LONGEST_RUN: chrono::Duration = chrono::Duration::days(1);

#[derive(Serialize, Deserialize)]
struct ScheduledRun {
    run_id: ScheduledRunId,
}

/// Writes a run down, to be done by whichever node is free.
pub(in crate::schedule) async fn enqueue(
    tx: &Transaction,
    platform: &Platform,
    schedule: &Model,
    due_at: DateTime<Utc>,
    by_hand: bool,
) -> Result<run::Model> {
    let row = run::ActiveModel {
        organization_id: Set(schedule.organization_id),
        schedule_id: Set(schedule.id),
        due_at: Set(due_at),
        by_hand: Set(by_hand),
        status: Set(run::Status::Pending),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    platform.jobs.enqueue(tx, RUN, &ScheduledRun { run_id: row.id }, options(schedule, ATTEMPTS)).await?;
    Ok(row)
}

/// Whether a run of the schedule is under way. Index: prompt_schedule_runs(schedule_id, due_at), unique.
pub(in crate::schedule) async fn is_under_way(
    db: &impl ConnectionTrait,
    schedule: PromptScheduleId,
    now: DateTime<Utc>,
) -> Result<bool> {
    let found = run::Entity::find()
        .filter(run::Column::ScheduleId.eq(schedule))
        .filter(run::Column::DueAt.gt(now - LONGEST_RUN))
        .filter(run::Column::Status.is_in(run::Status::UNDER_WAY))
        .one(db)
        .await?;
    Ok(found.is_some())
}

pub(super) struct Runs(pub(super) Studio);

#[async_trait]
impl Handler for Runs {
    async fn run(&self, payload: Value, context: JobContext) -> Result<(), JobError> {
        let ScheduledRun { run_id } = serde_json::from_value(payload).map_err(JobError::fatal)?;
        Ok(carry_out(&self.0, run_id, context.attempt).await?)
    }

    fn takes_long(&self) -> bool {
        true
    }

    async fn given_up(&self, tx: &Transaction, payload: Value, _: &str) -> Result<()> {
        let ScheduledRun { run_id } = serde_json::from_value(payload).map_err(Error::internal)?;
        let Some((row, schedule)) = load(tx.conn(), run_id).await? else { return Ok(()) };
        let error = Error::new(ErrorCode::InternalError).with_message("The run did not finish.");
        fail(tx, &self.0, &row, &schedule, &error).await
    }
}

/// A run that is not settled, with its schedule.
async fn load(db: &impl ConnectionTrait, id: ScheduledRunId) -> Result<Option<(run::Model, Model)>> {
    let row = run::Entity::find_by_id(id).filter(run::Column::Status.is_in(run::Status::UNDER_WAY)).one(db).await?;
    let Some(row) = row else { return Ok(None) };
    let schedule = Entity::find_by_id(row.schedule_id).one(db).await?;
    Ok(schedule.map(|schedule| (row, schedule)))
}

/// Asks for the owner, and tells who is to hear of it.
async fn carry_out(studio: &Studio, id: ScheduledRunId, attempt: u32) -> Result<()> {
    let platform = &studio.engine.platform;
    let Some((row, schedule)) = load(platform.db.read(), id).await? else { return Ok(()) };
    // Paused since it was due. What its owner starts by hand runs all the same.
    if schedule.status == Status::Paused && !row.by_hand {
        let reason = schedule.paused_reason.unwrap_or(PausedReason::ByHand);
        return stop(studio, &row, &schedule, reason).await;
    }
    let (caller, question) = match owner::ready(studio, &schedule).await? {
        Ok(ready) => ready,
        Err(reason) => return stop(studio, &row, &schedule, reason).await,
    };
    let tenant = caller.tenant()?;
    let origin = RequestOrigin { ip: None, user_agent: None };
    let asking = match again(studio, caller, tenant, origin, question, true).await {
        Ok(asking) => asking,
        Err(error) if error.code == ErrorCode::NotFound => {
            return stop(studio, &row, &schedule, PausedReason::SourceGone).await;
        }
        Err(error) if error.code == ErrorCode::Forbidden => {
            return stop(studio, &row, &schedule, PausedReason::PermissionLost).await;
        }
        Err(error) => return Err(error),
    };
    let answered = match answered_before(platform, tenant, &row).await? {
        Some(execution) => Ok(execution),
        None => Box::pin(answer(studio, &row, asking)).await,
    };
    match answered {
        // Much may be otherwise than when it set out.
        Ok(execution) => match owner::ready(studio, &schedule).await? {
            Ok((caller, question)) => deliver(studio, &row, &schedule, &caller, &question, &execution).await,
            Err(reason) => stop(studio, &row, &schedule, reason).await,
        },
        Err(error) if may_pass(error.code) && attempt < ATTEMPTS => Err(error),
        Err(error) => {
            let tx = platform.db.begin().await?;
            fail(&tx, studio, &row, &schedule, &error).await?;
            tx.commit().await
        }
    }
}

/// What an earlier attempt was answered, which did not come to tell it.
pub(super) async fn answered_before(
    platform: &Platform,
    tenant: Tenant,
    row: &run::Model,
) -> Result<Option<execution::Model>> {
    let Some(id) = row.execution_id else { return Ok(None) };
    let found = tenant
        .find::<execution::Entity>()
        .filter(execution::Column::Id.eq(id))
        .filter(execution::Column::Status.eq(prompt::Status::Completed));
    Ok(found.one(platform.db.read()).await?)
}

/// Asks the question, and waits for the answer; dropped, it cancels the run.
async fn answer(studio: &Studio, row: &run::Model, asking: Asking) -> Result<execution::Model> {
    for source in &asking.sources {
        source.check_usable()?;
    }
    let Underway { row: begun, cancelled, ended } = Course::begin(studio.clone(), asking).await?.set_out();
    let left = cancelled.drop_guard();
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    run::Entity::update_many()
        .col_expr(run::Column::Status, Expr::value(run::Status::Running))
        .col_expr(run::Column::ExecutionId, Expr::value(begun.id))
        .filter(run::Column::Id.eq(row.id))
        .filter(run::Column::Status.is_in(run::Status::UNDER_WAY))
        .exec(tx.conn())
        .await?;
    tx.commit().await?;
    let ended = ended.await.map_err(Error::internal)??;
    left.disarm();
    ended.outcome?;
    Ok(ended.row)
}

/// Whether the same may go well a little later.
fn may_pass(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RateLimited
            | ErrorCode::QueryLimitExceeded
            | ErrorCode::QueryTimeout
            | ErrorCode::ConnectionError
            | ErrorCode::PlannerUnavailable
            | ErrorCode::DataSourceUnavailable
            | ErrorCode::ServiceUnavailable
            | ErrorCode::InternalError
            // Another worker has given the run of the question up.
            | ErrorCode::Conflict
    )
}

/// Settles a run that was answered, and writes what is to be sent.
async fn deliver(
    studio: &Studio,
    row: &run::Model,
    schedule: &Model,
    caller: &Caller,
    question: &prompt::Model,
    execution: &execution::Model,
) -> Result<()> {
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let mail_to: Vec<UserId> = read(&schedule.mail_to_user_ids)?;
    let rows = match schedule.include_rows && mail_to.contains(&schedule.owner_user_id) {
        true => execution::preview(studio, caller, caller.tenant()?, execution).await?,
        false => None,
    };
    let (mut letters, mut deliveries) = (Vec::new(), Vec::new());
    let sending = |channel: sent::Channel, user: Option<UserId>, status: sent::Status| sent::ActiveModel {
        organization_id: Set(schedule.organization_id),
        run_id: Set(row.id),
        channel: Set(channel),
        user_id: Set(user),
        status: Set(status),
        attempts: Set(i32::from(status == sent::Status::Sent)),
        error: Set(None),
        at: Set(now),
        ..Default::default()
    };
    for id in mail_to {
        let status = match delivery::may_see(studio, question, id).await? {
            Some(user) => {
                letters.push(mails::answered(platform, schedule, execution, &user, rows.as_ref()));
                sent::Status::Sent
            }
            None => sent::Status::Withheld,
        };
        // An account that is gone is named nowhere.
        if status == sent::Status::Sent || delivery::is_there(studio, id).await? {
            deliveries.push(sending(sent::Channel::Mail, Some(id), status));
        }
    }
    let tx = platform.db.begin().await?;
    if !settle(&tx, platform, row, run::Status::Completed, execution.rows_returned, None).await? {
        return Ok(());
    }
    let mails = letters.len();
    mail::send_all(platform, &tx, letters).await?;
    if !deliveries.is_empty() {
        sent::Entity::insert_many(deliveries).exec_without_returning(tx.conn()).await?;
    }
    match schedule.webhook {
        Some(_) => {
            let message = sending(sent::Channel::Webhook, None, sent::Status::Pending).insert(tx.conn()).await?;
            messages::enqueue(&tx, platform, schedule, &message).await?;
        }
        None => went_well(&tx, schedule).await?,
    }
    let details = serde_json::json!({"run_id": row.id, "owner_user_id": schedule.owner_user_id,
        "execution_id": execution.id, "mails": mails, "webhook": schedule.webhook_origin});
    audit::record(&tx, &platform.clock, on_record(schedule, "prompt_schedule.run").details(details)).await?;
    tx.commit().await
}
