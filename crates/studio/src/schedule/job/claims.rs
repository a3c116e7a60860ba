//! Due times are claimed, each by one node.
//!
//! The next time and the run of this one are written in one transaction, which only one of several succeeds with: the row
//! still has to be due at the time that was read.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_kernel::Result;
use rivergen_platform::{
    Platform,
    jobs::{Handler, JobContext, JobError},
};
use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*};
use serde_json::Value;

use super::runs::{enqueue, is_under_way};
use crate::{
    Studio,
    schedule::{Column, Entity, Model, run},
};

pub(super) const CLAIM: &str = "studio.schedules";
pub(super) const EVERY: Duration = Duration::from_secs(30);
/// Schedules that one turn claims.
const BATCH: u64 = 500;

pub(super) struct Claims(pub(super) Studio);

#[async_trait]
impl Handler for Claims {
    async fn run(&self, _: Value, _: JobContext) -> Result<(), JobError> {
        Ok(claim_due(&self.0.engine.platform).await?)
    }
}

async fn claim_due(platform: &Platform) -> Result<()> {
    let now = platform.clock.now();
    // Index: prompt_schedules(next_run_at) where there is one.
    let due = Entity::find().filter(Column::NextRunAt.lte(now)).order_by_asc(Column::NextRunAt).limit(BATCH);
    for schedule in due.all(platform.db.read()).await? {
        if let Err(error) = claim(platform, &schedule, now).await {
            tracing::error!(%error, schedule = %schedule.id, "a schedule that is due could not be claimed");
        }
    }
    Ok(())
}

/// Takes a due time, and looks for the next one from now on: of times that nobody was there for, one is made up for. A run
/// that is under way still takes the place of the next.
async fn claim(platform: &Platform, schedule: &Model, now: DateTime<Utc>) -> Result<()> {
    let Some(due_at) = schedule.next_run_at else { return Ok(()) };
    let next = schedule.rhythm()?.next(now);
    let tx = platform.db.begin().await?;
    let claimed = Entity::update_many()
        .col_expr(Column::NextRunAt, Expr::value(next))
        .col_expr(Column::LastRunAt, Expr::value(due_at))
        .filter(Column::Id.eq(schedule.id))
        .filter(Column::NextRunAt.eq(due_at))
        .exec(tx.conn())
        .await?;
    if claimed.rows_affected == 0 {
        return Ok(());
    }
    // Where the clock was set back, the same time comes again.
    let same =
        run::Entity::find().filter(run::Column::ScheduleId.eq(schedule.id)).filter(run::Column::DueAt.eq(due_at));
    if same.one(tx.conn()).await?.is_none() && !is_under_way(tx.conn(), schedule.id, now).await? {
        enqueue(&tx, platform, schedule, due_at, false).await?;
    }
    tx.commit().await
}
