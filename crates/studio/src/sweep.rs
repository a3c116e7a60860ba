//! What nobody works for any more is ended, and what nobody can come back to is removed.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::{
    Platform,
    jobs::{Handler, JobContext, JobError},
    removal,
};
use sea_orm::{ColumnTrait, Condition, DbBackend, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};

use crate::{Studio, execution, prompt, schedule, template};

/// How long a deleted question can be restored, and the steps of a run and the runs of a schedule are told.
pub(crate) const KEPT: chrono::Duration = chrono::Duration::days(30);
/// What one transaction removes.
const BATCH: u64 = 1000;

/// Registers the jobs; each runs on one node at a time.
pub fn register_jobs(studio: &Studio) {
    let platform = &studio.engine.platform;
    let abandon = Arc::new(Abandon(platform.clone()));
    platform.jobs.every("studio.abandon", Duration::from_secs(60), abandon);
    platform.jobs.every("studio.purge", Duration::from_secs(3600), Arc::new(Purge(platform.clone())));
}

/// Ends the runs that a killed server left behind; to be called before the first one. On PostgreSQL other nodes may be at
/// work, so that only those are ended that give no sign of life; on SQLite there is one process, and it has just begun.
pub async fn mark_interrupted(platform: &Platform) -> Result<u64> {
    let left = match platform.db.backend() {
        DbBackend::Postgres => execution::without_life(platform.clock.now()),
        _ => Condition::all().add(Expr::value(true)),
    };
    execution::abandon(platform, left, &interrupted()).await
}

fn interrupted() -> Error {
    Error::new(ErrorCode::InternalError).with_message("The server was stopped while this was running.")
}

struct Abandon(Platform);

#[async_trait::async_trait]
impl Handler for Abandon {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> std::result::Result<(), JobError> {
        let Self(platform) = self;
        let left = execution::without_life(platform.clock.now());
        execution::abandon(platform, left, &interrupted()).await.map(drop).map_err(JobError::retry)
    }
}

struct Purge(Platform);

#[async_trait::async_trait]
impl Handler for Purge {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> std::result::Result<(), JobError> {
        let Self(platform) = self;
        let until = platform.clock.now() - KEPT;
        purge(platform, until).await.map_err(JobError::retry)
    }
}

/// Removes what was deleted before then, and the steps of runs and the runs of schedules from before it: no run takes as long
/// as they are kept.
async fn purge(platform: &Platform, until: DateTime<Utc>) -> Result<()> {
    // Index: prompt_execution_events(at).
    purge_rows::<execution::event::Entity>(platform, execution::event::Column::Id, execution::event::Column::At, until)
        .await?;
    // Index: prompt_schedule_runs(due_at).
    purge_rows::<schedule::run::Entity>(platform, schedule::run::Column::Id, schedule::run::Column::DueAt, until)
        .await?;
    // Index: prompts(deleted_at) where deleted.
    purge_rows::<prompt::Entity>(platform, prompt::Column::Id, prompt::Column::DeletedAt, until).await?;
    // Index: prompt_templates(deleted_at) where deleted.
    purge_rows::<template::Entity>(platform, template::Column::Id, template::Column::DeletedAt, until).await
}

async fn purge_rows<E: EntityTrait>(
    platform: &Platform,
    id: E::Column,
    at: E::Column,
    until: DateTime<Utc>,
) -> Result<()> {
    let oldest = E::find().filter(at.lt(until)).order_by_asc(at);
    removal::in_pieces(&platform.db, id, oldest, BATCH).await
}
