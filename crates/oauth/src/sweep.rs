//! What this room does in the background: a new signing key every quarter, announced beforehand, and away with what is over.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_kernel::Result;
use rivergen_platform::{
    jobs::{Handler, JobContext, JobError},
    removal,
    signing::SigningKeys,
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::IntoCondition};

use crate::{
    Oauth,
    access_token::revoked,
    application::{self, Origin, usage},
    assertion::seen,
    authorize::ticket as requests,
    grant::{self, refresh_token},
    keys::TokenAlgorithm,
};

const SWEEP: &str = "oauth.expiry";
const ROTATION: &str = "oauth.key_rotation";

/// How long a key signs. What it signed verifies for a month after.
const KEY_SIGNS: chrono::Duration = chrono::Duration::days(90);
/// How long before it signs a key is published: whoever keeps the published keys has read them again by then.
const ANNOUNCED_BEFORE: chrono::Duration = chrono::Duration::days(7);
/// How long it is published at least, where it was announced late.
const ANNOUNCED_AT_LEAST: chrono::Duration = chrono::Duration::days(1);
/// How long a grant that is over is kept, for its person to look back at.
const KEEP_GRANTS: chrono::Duration = chrono::Duration::days(90);

/// How long a program that came by itself may wait for its first use.
const KEEP_UNUSED: chrono::Duration = chrono::Duration::days(30);

/// How many rows go at once.
const BATCH: u64 = 1000;

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
        let now = self.0.platform().clock.now();
        let long_ago = now - KEEP_GRANTS;
        // Each with an index on the moment.
        let over = requests::Column::ExpiresAt.lt(now);
        self.delete::<requests::Entity>(requests::Column::Id, over.into_condition()).await?;
        let over = revoked::Column::ExpiresAt.lt(now);
        self.delete::<revoked::Entity>(revoked::Column::Id, over.into_condition()).await?;
        let over = seen::Column::ExpiresAt.lt(now);
        self.delete::<seen::Entity>(seen::Column::Id, over.into_condition()).await?;
        // Counts that are told no more. There are few rows for each day. Index: oauth_token_days(day).
        let untold = usage::Entity::delete_many().filter(usage::Column::Day.lt(usage::first_day(now)));
        let tx = self.0.platform().db.begin().await?;
        untold.exec(tx.conn()).await?;
        tx.commit().await?;
        // Codes that nobody exchanged.
        let unused = grant::Column::ExchangedAt.is_null().into_condition();
        let unused = unused.add(grant::Column::CodeExpiresAt.lt(now));
        self.delete::<grant::Entity>(grant::Column::Id, unused).await?;
        // With their refresh tokens: a spent one is told from an unknown one for as long as its grant lives.
        let ended = grant::Column::EndedAt.lt(long_ago);
        self.delete::<grant::Entity>(grant::Column::Id, ended.into_condition()).await?;
        // Programs that came by themselves and were never used. Index: oauth_applications(origin, created_at).
        let by_themselves = [Origin::Registered, Origin::Document];
        let unused = application::Column::Origin.is_in(by_themselves).into_condition();
        let unused = unused.add(application::Column::CreatedAt.lt(now - KEEP_UNUSED));
        let unused = unused.add(application::Column::LastUsedAt.is_null());
        self.delete::<application::Entity>(application::Column::Id, unused).await?;
        let expired = refresh_token::Column::ExpiresAt.lt(long_ago);
        self.delete::<refresh_token::Entity>(refresh_token::Column::Id, expired.into_condition()).await?;
        self.delete::<grant::Entity>(grant::Column::Id, grant::run_out(long_ago)).await
    }

    async fn delete<E: EntityTrait>(&self, id: E::Column, which: Condition) -> Result<()> {
        removal::in_pieces(&self.0.platform().db, id, E::find().filter(which), BATCH).await
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
    /// The keys of each algorithm, each at its own time.
    async fn rotate(&self) -> Result<()> {
        for (algorithm, keys) in self.0.access.keys().each() {
            self.rotate_one(algorithm, keys).await?;
        }
        Ok(())
    }

    async fn rotate_one(&self, algorithm: TokenAlgorithm, keys: &SigningKeys) -> Result<()> {
        let platform = self.0.platform();
        let now = platform.clock.now();
        let age = now - keys.current().signs_since;
        let tx = platform.db.begin().await?;
        match keys.announced_at() {
            None if age >= KEY_SIGNS - ANNOUNCED_BEFORE => {
                let kid = keys.announce(&tx).await?;
                tracing::info!(?kid, %algorithm, "the next key for tokens of applications is published");
            }
            Some(since) if age >= KEY_SIGNS && now - since >= ANNOUNCED_AT_LEAST => {
                let kid = keys.rotate(&tx).await?;
                tracing::info!(kid, %algorithm, "tokens of applications are signed with a new key");
            }
            _ => return Ok(()),
        }
        tx.commit().await
    }
}
