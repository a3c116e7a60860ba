//! Ends what sign-ins through a provider opened: because the provider says so, or because a code was used twice.

use rivergen_identity::{
    pending_login,
    session::{self, EndReason},
};
use rivergen_kernel::Result;
use rivergen_platform::{
    Transaction,
    audit::{self, Actor, AuditRecord},
};
use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*, sea_query::Expr};
use serde_json::json;

use super::login::{Column, Entity};
use crate::{Federation, provider};

/// Sign-ins that one logout ends; nobody has as many sessions.
const MOST: u64 = 1_000;

/// Ends the sessions of a person of the provider, or, where the provider names some of its own sessions, those that these
/// opened; also what is still on its way (an unused code, a second factor that is asked for). Answers how many sessions were
/// live. The transaction, in which the provider's message was taken, is committed.
pub(crate) async fn end(
    federation: &Federation,
    tx: Transaction,
    provider: &provider::Model,
    subject: Option<&str>,
    idp_sessions: &[&str],
) -> Result<u64> {
    let platform = federation.platform();
    let logins = logins_of(&tx, provider, subject, idp_sessions).await?;
    let ended = end_logins(federation, &tx, &logins, EndReason::EndedByIdentityProvider).await?;
    let record = AuditRecord::new(Some(provider.organization_id), Actor::system(), "sso.logout")
        .target("sso_provider", provider.id.0)
        .details(json!({"by": "provider", "subject": subject, "sessions_ended": ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(ended)
}

/// The sign-ins of a person of the provider, or of some of its own sessions; none where neither is named, for it would be
/// everybody's. Indexes: sso_logins(provider_id, subject), sso_logins(provider_id, idp_session).
pub(crate) async fn logins_of(
    tx: &Transaction,
    provider: &provider::Model,
    subject: Option<&str>,
    idp_sessions: &[&str],
) -> Result<Vec<i64>> {
    if subject.is_none() && idp_sessions.is_empty() {
        return Ok(Vec::new());
    }
    let mut named = Entity::find().filter(Column::ProviderId.eq(provider.id));
    if let Some(subject) = subject {
        named = named.filter(Column::Subject.eq(subject));
    }
    if !idp_sessions.is_empty() {
        named = named.filter(Column::IdpSession.is_in(idp_sessions.iter().copied()));
    }
    // The last ones, where there are that many.
    let ids = named.select_only().column(Column::Id).order_by_desc(Column::Id).limit(MOST);
    Ok(ids.into_tuple().all(tx.conn()).await?)
}

/// Ends what the sign-ins opened, and uses up codes that were not used.
pub(crate) async fn end_logins(
    federation: &Federation,
    tx: &Transaction,
    logins: &[i64],
    reason: EndReason,
) -> Result<u64> {
    let now = federation.platform().clock.now();
    Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::Id.is_in(logins.iter().copied()))
        .filter(Column::UsedAt.is_null())
        .exec(tx.conn())
        .await?;
    pending_login::end_of_logins(tx, logins.iter().copied(), now).await?;
    session::end_of_logins(tx, logins.iter().copied(), reason, now).await
}
