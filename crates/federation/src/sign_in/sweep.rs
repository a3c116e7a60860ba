//! What sign-ins leave behind, thrown away once an hour: states that nobody came back with, messages that are refused for their
//! time by now, and what is kept of sign-ins of which no session lives any more.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_identity::session;
use rivergen_kernel::Result;
use rivergen_platform::jobs::{Handler, JobContext, JobError};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};

use super::{login, seen, state};
use crate::{Federation, saml};

const JOB: &str = "federation.sign_ins";
/// How long a used code is known as such after it ended.
const KEEP_CODES: chrono::Duration = chrono::Duration::days(1);

struct Sweep(Federation);

pub(super) fn register(federation: &Federation) {
    federation.platform().jobs.every(JOB, Duration::from_secs(3600), Arc::new(Sweep(federation.clone())));
}

#[async_trait]
impl Handler for Sweep {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        Ok(self.sweep().await?)
    }
}

impl Sweep {
    async fn sweep(&self) -> Result<()> {
        let platform = self.0.platform();
        let now = platform.clock.now();
        let tx = platform.db.begin().await?;
        // Index: sso_states(expires_at).
        state::Entity::delete_many().filter(state::Column::ExpiresAt.lt(now)).exec(tx.conn()).await?;
        // Index: sso_messages_seen(expires_at).
        seen::Entity::delete_many().filter(seen::Column::ExpiresAt.lt(now)).exec(tx.conn()).await?;
        saml::forget_logouts(&tx, now).await?;
        // Index: sessions(federated_login_id).
        let live = session::Entity::find()
            .select_only()
            .expr(Expr::val(1))
            .filter(
                Expr::col((session::Entity, session::Column::FederatedLoginId))
                    .equals((login::Entity, login::Column::Id)),
            )
            .filter(session::Column::EndedAt.is_null())
            .filter(session::Column::ExpiresAt.gt(now))
            .into_query();
        // Index: sso_logins(expires_at).
        login::Entity::delete_many()
            .filter(login::Column::ExpiresAt.lt(now - KEEP_CODES))
            .filter(Expr::exists(live).not())
            .exec(tx.conn())
            .await?;
        tx.commit().await
    }
}
