//! What the platform throws away by age, once an hour: finished jobs, spent idempotency keys and limits that are full.

use std::time::Duration;

use async_trait::async_trait;
use rivergen_kernel::Error;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::Value;

use super::{Handler, JobContext, JobError, job};
use crate::{Clock, Database, idempotency, limits::durable};

/// The kind of the periodic job.
pub(super) const JOB: &str = "platform.purge";

pub(super) struct Purge {
    pub db: Database,
    pub clock: Clock,
    pub keep_done: Duration,
    pub keep_dead: Duration,
}

#[async_trait]
impl Handler for Purge {
    async fn run(&self, _: Value, _: JobContext) -> Result<(), JobError> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        for (state, keep) in [(job::State::Done, self.keep_done), (job::State::Dead, self.keep_dead)] {
            // Index jobs_finished (state, finished_at).
            job::Entity::delete_many()
                .filter(job::Column::State.eq(state))
                .filter(job::Column::FinishedAt.lt(now - keep))
                .exec(tx.conn())
                .await
                .map_err(Error::from)?;
        }
        // Index idempotency_keys_created_at (created_at). A key counts for 24 hours.
        idempotency::Entity::delete_many()
            .filter(idempotency::Column::CreatedAt.lt(now - chrono::Duration::hours(24)))
            .exec(tx.conn())
            .await
            .map_err(Error::from)?;
        // Index rate_limits_full_at (full_at). A key that is full is as good as one that was never used.
        durable::state::Entity::delete_many()
            .filter(durable::state::Column::FullAt.lt(now.timestamp_micros()))
            .exec(tx.conn())
            .await
            .map_err(Error::from)?;
        tx.commit().await?;
        Ok(())
    }
}
