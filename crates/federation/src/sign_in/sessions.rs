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
use sea_orm::{QuerySelect, entity::prelude::*, sea_query::Expr};
use serde_json::json;

use super::login::{Column, Entity};
use crate::{Federation, provider};

/// Sign-ins that one logout ends; nobody has as many sessions.
const MOST: u64 = 1_000;

/// Ends the sessions of a person of the provider, or, where the provider names one of its own sessions, those that this one
/// opened; also what is still on its way (an unused code, a second factor that is asked for). Answers how many sessions were
/// live.
pub async fn end(
    federation: &Federation,
    provider: &provider::Model,
    subject: Option<&str>,
    idp_session: Option<&str>,
) -> Result<u64> {
    // Indexes: sso_logins(provider_id, subject), sso_logins(provider_id, idp_session).
    let mut named = Entity::find().filter(Column::ProviderId.eq(provider.id));
    match (subject, idp_session) {
        // Without either it would be everybody.
        (None, None) => return Ok(0),
        (Some(subject), None) => named = named.filter(Column::Subject.eq(subject)),
        (None, Some(session)) => named = named.filter(Column::IdpSession.eq(session)),
        (Some(subject), Some(session)) => {
            named = named.filter(Column::Subject.eq(subject)).filter(Column::IdpSession.eq(session));
        }
    }
    let platform = federation.platform();
    let tx = platform.db.begin().await?;
    let logins: Vec<i64> =
        named.select_only().column(Column::Id).limit(MOST).into_tuple().all(tx.conn()).await?;
    let ended = end_logins(federation, &tx, &logins, EndReason::EndedByIdentityProvider).await?;
    let record = AuditRecord::new(Some(provider.organization_id), Actor::system(), "sso.logout")
        .target("sso_provider", provider.id.0)
        .details(json!({"by": "provider", "subject": subject, "sessions_ended": ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Ends what the sign-ins opened, and uses up codes that were not used.
pub(super) async fn end_logins(
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
