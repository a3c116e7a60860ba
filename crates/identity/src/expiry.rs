//! What this room throws away by age, once an hour: pending logins, links, challenges, sessions that are long over.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_kernel::{Error, Result};
use rivergen_platform::jobs::{Handler, JobContext, JobError};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{Identity, device, mfa, one_time_token, pending_login, session, social, webauthn};

const JOB: &str = "identity.expiry";

/// How long an ended session is kept, for its person to look back at.
const KEEP_SESSIONS: chrono::Duration = chrono::Duration::days(90);
/// How long a link that is over is known as such, rather than as unknown.
const KEEP_LINKS: chrono::Duration = chrono::Duration::days(7);

pub(crate) struct Sweep(Identity);

impl Sweep {
    pub fn register(identity: &Identity) {
        identity.platform.jobs.every(JOB, Duration::from_secs(3600), Arc::new(Self(identity.clone())));
    }

    async fn sweep(&self) -> Result<()> {
        let platform = &self.0.platform;
        let now = platform.clock.now();
        let tx = platform.db.begin().await?;
        let conn = tx.conn();
        one_time_token::Entity::delete_many()
            .filter(one_time_token::Column::ExpiresAt.lt(now - KEEP_LINKS))
            .exec(conn)
            .await?;
        pending_login::Entity::delete_many().filter(pending_login::Column::ExpiresAt.lt(now)).exec(conn).await?;
        mfa::Entity::delete_many()
            .filter(mfa::Column::VerifiedAt.is_null())
            .filter(mfa::Column::ExpiresAt.lt(now))
            .exec(conn)
            .await?;
        device::Entity::delete_many()
            .filter(device::Column::ActivatedAt.is_null())
            .filter(device::Column::ActivationExpiresAt.lt(now))
            .exec(conn)
            .await?;
        device::Entity::delete_many().filter(device::Column::TrustedUntil.lt(now)).exec(conn).await?;
        webauthn::challenge::Entity::delete_many()
            .filter(webauthn::challenge::Column::ExpiresAt.lt(now))
            .exec(conn)
            .await?;
        social::state::Entity::delete_many().filter(social::state::Column::ExpiresAt.lt(now)).exec(conn).await?;
        // With their refresh tokens.
        session::Entity::delete_many().filter(session::Column::ExpiresAt.lt(now - KEEP_SESSIONS)).exec(conn).await?;
        tx.commit().await
    }
}

#[async_trait]
impl Handler for Sweep {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        self.sweep().await.map_err(|error: Error| JobError::retry(error))
    }
}
