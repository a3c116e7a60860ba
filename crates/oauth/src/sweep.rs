//! What this room does in the background: a new signing key every quarter, and away with what is over.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_kernel::Result;
use rivergen_platform::jobs::{Handler, JobContext, JobError};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    Oauth,
    access_token::revoked,
    assertion::seen,
    authorize::ticket as requests,
    grant::{self, refresh_token},
};

const SWEEP: &str = "oauth.expiry";
const ROTATION: &str = "oauth.key_rotation";

/// How long a key signs. What it signed verifies for a month after.
const KEY_SIGNS: chrono::Duration = chrono::Duration::days(90);
/// How long a grant that is over is kept, for its person to look back at.
const KEEP_GRANTS: chrono::Duration = chrono::Duration::days(90);

/// To be called once, before the jobs start.
pub fn register_jobs(oauth: &Oauth) {
    let jobs = &oauth.platform().jobs;
    jobs.every(SWEEP, Duration::from_secs(3600), Arc::new(Sweep(oauth.clone())));
    jobs.every(ROTATION, Duration::from_secs(24 * 3600), Arc::new(Rotation(oauth.clone())));
}

struct Sweep(Oauth);

#[async_trait]
impl Handler for Sweep {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        self.sweep().await.map_err(JobError::retry)
    }
}

impl Sweep {
    async fn sweep(&self) -> Result<()> {
        let platform = self.0.platform();
        let now = platform.clock.now();
        let tx = platform.db.begin().await?;
        let conn = tx.conn();
        requests::Entity::delete_many().filter(requests::Column::ExpiresAt.lt(now)).exec(conn).await?;
        revoked::Entity::delete_many().filter(revoked::Column::ExpiresAt.lt(now)).exec(conn).await?;
        seen::Entity::delete_many().filter(seen::Column::ExpiresAt.lt(now)).exec(conn).await?;
        // Codes that nobody exchanged.
        grant::Entity::delete_many()
            .filter(grant::Column::ExchangedAt.is_null())
            .filter(grant::Column::CodeExpiresAt.lt(now))
            .exec(conn)
            .await?;
        // With their refresh tokens: a spent one is told from an unknown one for as long as its grant lives.
        grant::Entity::delete_many().filter(grant::Column::EndedAt.lt(now - KEEP_GRANTS)).exec(conn).await?;
        refresh_token::Entity::delete_many()
            .filter(refresh_token::Column::ExpiresAt.lt(now - KEEP_GRANTS))
            .exec(conn)
            .await?;
        tx.commit().await
    }
}

struct Rotation(Oauth);

#[async_trait]
impl Handler for Rotation {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        self.rotate().await.map_err(JobError::retry)
    }
}

impl Rotation {
    async fn rotate(&self) -> Result<()> {
        let platform = self.0.platform();
        let keys = self.0.access.keys();
        if platform.clock.now() - keys.current().created_at < KEY_SIGNS {
            return Ok(());
        }
        let tx = platform.db.begin().await?;
        let kid = keys.rotate(&tx).await?;
        tx.commit().await?;
        tracing::info!(kid, "tokens of applications are signed with a new key");
        Ok(())
    }
}
