//! Invitations are forgotten ninety days after their time was over, whatever became of them: they name people who may never
//! have come. What was done with them stays in the audit log.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_kernel::Result;
use rivergen_platform::jobs::{Handler, JobContext, JobError};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{Column, Entity};
use crate::Tenancy;

const JOB: &str = "tenancy.forget_invitations";
/// How long after its end an invitation can be looked up and sent again.
const KEPT_DAYS: i64 = 90;

struct Forget(Tenancy);

/// Registers the job, which runs every hour.
pub(crate) fn register(tenancy: &Tenancy) {
    let every = Duration::from_secs(3600);
    tenancy.identity.platform.jobs.every(JOB, every, Arc::new(Forget(tenancy.clone())));
}

#[async_trait]
impl Handler for Forget {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        forget(&self.0).await.map(drop).map_err(JobError::retry)
    }
}

/// One run; answers how many it forgot. Index: invitations(expires_at).
pub async fn forget(tenancy: &Tenancy) -> Result<u64> {
    let platform = &tenancy.identity.platform;
    let before = platform.clock.now() - chrono::Duration::days(KEPT_DAYS);
    let tx = platform.db.begin().await?;
    let forgotten = Entity::delete_many().filter(Column::ExpiresAt.lt(before)).exec(tx.conn()).await?;
    tx.commit().await?;
    Ok(forgotten.rows_affected)
}
