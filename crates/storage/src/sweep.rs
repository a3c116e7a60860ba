//! The periodic job that clears away what cut uploads left behind.

use std::{sync::Arc, time::Duration};

use rivergen_kernel::Tenant;
use rivergen_platform::jobs::{Handler, JobContext, JobError};
use sea_orm::EntityTrait;

use crate::{Storage, file};

/// No upload takes this long.
const ABANDONED_AFTER: chrono::Duration = chrono::Duration::hours(24);

struct Sweep(Storage);

/// Registers the job; it runs every hour on one node.
pub fn register(storage: &Storage) {
    storage.platform.jobs.every("storage.sweep", Duration::from_secs(3600), Arc::new(Sweep(storage.clone())));
}

#[async_trait::async_trait]
impl Handler for Sweep {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        let Sweep(storage) = self;
        let deadline = storage.platform.clock.now() - ABANDONED_AFTER;
        for row in storage.arriving_before(deadline).await.map_err(JobError::retry)? {
            let tenant = Tenant::on_behalf_of(row.organization_id);
            storage.remove_object(tenant, &row.object_name).await.map_err(JobError::retry)?;
            let tx = storage.platform.db.begin().await.map_err(JobError::retry)?;
            file::Entity::delete_by_id(row.id).exec(tx.conn()).await.map_err(JobError::retry)?;
            tx.commit().await.map_err(JobError::retry)?;
        }
        Ok(())
    }
}
