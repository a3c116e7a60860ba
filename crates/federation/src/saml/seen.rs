//! Messages that were taken: each once. A unique index decides, so of two that come at once one is refused, on whatever node.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, Result, SsoProviderId, TokenHash};
use rivergen_platform::{
    Platform,
    db::is_unique_violation,
    jobs::{Handler, JobContext, JobError},
};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

use super::logout;
use crate::Federation;

const JOB: &str = "federation.saml_seen";

/// Indexes: saml_assertions_seen(provider_id, message_hash), unique; (expires_at).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saml_assertions_seen")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub provider_id: SsoProviderId,
    /// Of its kind and its id, which may be of any length.
    pub message_hash: TokenHash,
    /// From then on it would be refused for its time.
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What is taken once.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Assertion,
    LogoutRequest,
}

/// Writes down that a message is taken; answers whether it was not taken before.
pub(super) async fn is_first(
    platform: &Platform,
    provider: SsoProviderId,
    kind: Kind,
    id: &str,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    let tx = platform.db.begin().await?;
    let row = ActiveModel {
        provider_id: Set(provider),
        message_hash: Set(TokenHash::of(&format!("{kind:?} {id}"))),
        expires_at: Set(expires_at),
        ..Default::default()
    };
    match Entity::insert(row).exec_without_returning(tx.conn()).await {
        Ok(_) => tx.commit().await.map(|()| true),
        Err(error) if is_unique_violation(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

struct Sweep(Platform);

/// Registers the job that forgets what is over, once an hour.
pub(super) fn register(federation: &Federation) {
    let platform = federation.platform();
    platform.jobs.every(JOB, Duration::from_secs(3600), Arc::new(Sweep(platform.clone())));
}

#[async_trait]
impl Handler for Sweep {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        let platform = &self.0;
        let now = platform.clock.now();
        let tx = platform.db.begin().await?;
        Entity::delete_many().filter(Column::ExpiresAt.lt(now)).exec(tx.conn()).await.map_err(Error::from)?;
        logout::forget(&tx, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
