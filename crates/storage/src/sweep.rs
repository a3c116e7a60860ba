//! The periodic job that clears away what was left behind: by cut uploads, by uploads that nobody goes on with, by a kill
//! in the middle of a deletion, and by links that are long over.

use std::{sync::Arc, time::Duration};

use rivergen_kernel::{Result, Tenant};
use rivergen_platform::{
    audit::Actor,
    jobs::{Handler, JobContext, JobError},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{Storage, file, link, tus};

/// No upload in one request takes this long.
const ABANDONED_AFTER: chrono::Duration = chrono::Duration::hours(24);
/// How long the row of a link that is over can be looked at.
const LINKS_KEPT: chrono::Duration = chrono::Duration::days(30);
/// How long past its time an upload is kept that is all there and cannot become a file: the store may be away for a while.
const TRIED_AGAIN: chrono::Duration = chrono::Duration::days(7);
/// What one run takes on of each kind; the next run goes on.
const BATCH: u64 = 100;

struct Sweep(Storage);

/// Registers the job; it runs every hour on one node.
pub fn register(storage: &Storage) {
    storage.platform.jobs.every("storage.sweep", Duration::from_secs(3600), Arc::new(Sweep(storage.clone())));
}

#[async_trait::async_trait]
impl Handler for Sweep {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        let Sweep(storage) = self;
        storage.sweep().await.map_err(JobError::retry)
    }
}

impl Storage {
    /// Clears away what is due now. What cannot be cleared away keeps nothing else waiting.
    pub async fn sweep(&self) -> Result<()> {
        let files = self.sweep_arriving().await.and(self.sweep_removing().await);
        let uploads = self.sweep_uploads().await;
        files.and(uploads).and(self.sweep_links().await)
    }

    /// Index: storage_files(state, created_at).
    async fn sweep_arriving(&self) -> Result<()> {
        let abandoned = file::Entity::find()
            .filter(file::Column::State.eq(file::State::Arriving))
            .filter(file::Column::CreatedAt.lt(self.platform.clock.now() - ABANDONED_AFTER))
            .order_by_asc(file::Column::CreatedAt)
            .limit(BATCH);
        let mut swept = Ok(());
        for row in abandoned.all(self.platform.db.read()).await? {
            swept = swept.and(self.discard(Tenant::on_behalf_of(row.organization_id), &row).await);
        }
        swept
    }

    /// Index: storage_files(state, created_at).
    async fn sweep_removing(&self) -> Result<()> {
        let removing = file::Entity::find()
            .filter(file::Column::State.eq(file::State::Removing))
            .order_by_asc(file::Column::CreatedAt)
            .limit(BATCH);
        let mut swept = Ok(());
        for row in removing.all(self.platform.db.read()).await? {
            swept = swept.and(self.finish_removing(Tenant::on_behalf_of(row.organization_id), &row).await);
        }
        swept
    }

    /// Index: storage_uploads(expires_at).
    async fn sweep_uploads(&self) -> Result<()> {
        let expired = tus::Entity::find()
            .filter(tus::Column::ExpiresAt.lt(self.platform.clock.now()))
            .order_by_asc(tus::Column::ExpiresAt)
            .limit(BATCH);
        let mut swept = Ok(());
        for upload in expired.all(self.platform.db.read()).await? {
            swept = swept.and(self.sweep_upload(&upload).await);
        }
        swept
    }

    async fn sweep_upload(&self, upload: &tus::Model) -> Result<()> {
        if upload.is_complete()
            && let Err(error) = self.complete(upload.clone(), Actor::system()).await
        {
            tracing::error!(upload = %upload.id, %error, "an upload that is all there cannot become a file");
            // Whoever sent it has done all that they could.
            if upload.expires_at > self.platform.clock.now() - TRIED_AGAIN {
                return Ok(());
            }
        }
        // False where it is a file or has ended before: then only what is left of it goes.
        self.end_upload(upload, Actor::system()).await?;
        self.clear_upload(upload).await
    }

    /// Index: storage_links(expires_at).
    async fn sweep_links(&self) -> Result<()> {
        let over = link::Column::ExpiresAt.lt(self.platform.clock.now() - LINKS_KEPT);
        let tx = self.platform.db.begin().await?;
        link::Entity::delete_many().filter(over).exec(tx.conn()).await?;
        tx.commit().await
    }
}
