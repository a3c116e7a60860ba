//! How a run ends on record, and what follows for its schedule.
//!
//! Each end holds the schedule first, so that whoever changes, leaves or deletes it meanwhile and this wait one for the other in
//! one order. A failure is counted; with too many of them, or for a reason that does not pass, the schedule is paused.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, PromptScheduleId, Result};
use rivergen_platform::{
    Platform, Transaction,
    audit::{self, Actor, AuditRecord, Outcome},
    mail,
};
use sea_orm::{QuerySelect, entity::prelude::*};

use crate::{
    Studio,
    schedule::{Column, Entity, MOST_FAILURES, Model, PausedReason, Status, delivery, mails, run},
};

/// Holds the schedule before anything of its runs is written: whoever deletes or leaves it holds it first, too, so that of the
/// two one waits, and neither for the other.
pub(super) async fn hold(tx: &Transaction, schedule: PromptScheduleId) -> Result<()> {
    Entity::find_by_id(schedule).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Writes down how a run ended; `false` where that is on record already.
pub(super) async fn settle(
    tx: &Transaction,
    platform: &Platform,
    row: &run::Model,
    status: run::Status,
    rows_returned: Option<i64>,
    error: Option<(&str, &str)>,
) -> Result<bool> {
    hold(tx, row.schedule_id).await?;
    let settled = run::Entity::update_many()
        .col_expr(run::Column::Status, Expr::value(status))
        .col_expr(run::Column::RowsReturned, Expr::value(rows_returned))
        .col_expr(run::Column::ErrorCode, Expr::value(error.map(|(code, _)| code.to_owned())))
        .col_expr(run::Column::ErrorMessage, Expr::value(error.map(|(_, message)| message.replace('\0', ""))))
        .col_expr(run::Column::CompletedAt, Expr::value(platform.clock.now()))
        .filter(run::Column::Id.eq(row.id))
        .filter(run::Column::Status.is_in(run::Status::UNDER_WAY))
        .exec(tx.conn())
        .await?;
    Ok(settled.rows_affected == 1)
}

/// Settles a run that failed, and tells the owner of the first of several.
pub(super) async fn fail(
    tx: &Transaction,
    studio: &Studio,
    row: &run::Model,
    schedule: &Model,
    error: &Error,
) -> Result<()> {
    let platform = &studio.engine.platform;
    let why = (error.code.as_str(), &*error.message);
    if settle(tx, platform, row, run::Status::Failed, None, Some(why)).await? {
        count_failure(tx, studio, row, schedule, error.code.as_str(), &error.message).await?;
    }
    Ok(())
}

/// Settles a run that must not be, and pauses its schedule.
pub(super) async fn stop(studio: &Studio, row: &run::Model, schedule: &Model, reason: PausedReason) -> Result<()> {
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    let why = (ErrorCode::Forbidden.as_str(), mails::in_words(reason));
    if settle(&tx, platform, row, run::Status::Failed, None, Some(why)).await? {
        let record = pause(&tx, studio, schedule, reason).await?;
        audit::record_all(&tx, &platform.clock, record.into_iter().collect()).await?;
    }
    tx.commit().await
}

pub(super) async fn went_well(tx: &Transaction, schedule: &Model) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Failures, Expr::value(0))
        .filter(Column::Id.eq(schedule.id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Counts what went wrong, on record; the schedule is paused where it is too much. Writes the audit log, so it comes last.
pub(super) async fn count_failure(
    tx: &Transaction,
    studio: &Studio,
    row: &run::Model,
    schedule: &Model,
    code: &str,
    why: &str,
) -> Result<()> {
    let platform = &studio.engine.platform;
    // As it stands now, and not as it did when the run began: meanwhile it may have been set in motion anew.
    let counted = Entity::find_by_id(schedule.id).lock_exclusive().one(tx.conn()).await?;
    let failures = counted.map_or(0, |schedule| schedule.failures).saturating_add(1);
    Entity::update_many()
        .col_expr(Column::Failures, Expr::value(failures))
        .filter(Column::Id.eq(schedule.id))
        .exec(tx.conn())
        .await?;
    let details = serde_json::json!({"run_id": row.id, "owner_user_id": schedule.owner_user_id, "code": code});
    let mut records = vec![on_record(schedule, "prompt_schedule.run").outcome(Outcome::Failure).details(details)];
    if failures >= MOST_FAILURES {
        records.extend(pause(tx, studio, schedule, PausedReason::Failing).await?);
    } else if failures == 1
        && let Some(owner) = delivery::person(tx.conn(), schedule.owner_user_id).await?
    {
        mail::send(platform, tx, mails::failed(platform, schedule, &owner, why)).await?;
    }
    audit::record_all(tx, &platform.clock, records).await
}

/// Pauses a schedule that is active, and tells its owner; answers what is to be on record of it.
async fn pause(
    tx: &Transaction,
    studio: &Studio,
    schedule: &Model,
    reason: PausedReason,
) -> Result<Option<AuditRecord>> {
    let platform = &studio.engine.platform;
    let paused = Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Paused))
        .col_expr(Column::PausedReason, Expr::value(Some(reason)))
        .col_expr(Column::NextRunAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::UpdatedAt, Expr::value(platform.clock.now()))
        .filter(Column::Id.eq(schedule.id))
        .filter(Column::Status.eq(Status::Active))
        .exec(tx.conn())
        .await?;
    if paused.rows_affected == 0 {
        return Ok(None);
    }
    if let Some(owner) = delivery::person(tx.conn(), schedule.owner_user_id).await? {
        mail::send(platform, tx, mails::paused(platform, schedule, &owner, reason)).await?;
    }
    let details = serde_json::json!({"reason": reason, "owner_user_id": schedule.owner_user_id});
    Ok(Some(on_record(schedule, "prompt_schedule.pause").details(details)))
}

pub(super) fn on_record(schedule: &Model, action: &'static str) -> AuditRecord {
    AuditRecord::new(Some(schedule.organization_id), Actor::system(), action).target("prompt_schedule", schedule.id)
}
