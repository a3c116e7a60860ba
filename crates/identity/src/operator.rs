//! What an operator does for somebody who cannot do it themselves, or must not any more: `rivergen people …`.
//!
//! Each is one transaction with its audit record, whose actor is the system; the person is told by mail where somebody
//! else could have asked for it in their name.

use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, Actor, AuditRecord},
};

use crate::{
    Identity, mails, mfa,
    one_time_token::{self, Purpose},
    pending_login,
    session::{self, EndReason},
    user::User,
};

/// Removes the second factors of the account, so that its password alone signs in again; answers how many there were.
pub async fn reset_mfa(identity: &Identity, email: &str) -> Result<usize> {
    let platform = &identity.platform;
    let tx = platform.db.begin().await?;
    let user = person(&tx, email).await?;
    let removed = mfa::remove_all(&tx, user.id()).await?;
    pending_login::end_all(&tx, user.id(), platform.clock.now()).await?;
    mails::send_factors_reset(identity, &tx, &user).await?;
    tx.publish(Event::UserChanged(user.id())).await?;
    let record = AuditRecord::new(None, Actor::system(), "mfa.reset").target("user", user.id().0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(removed)
}

/// Ends all sessions of the account; answers how many it ended.
pub async fn end_sessions(identity: &Identity, email: &str) -> Result<u64> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let user = person(&tx, email).await?;
    pending_login::end_all(&tx, user.id(), now).await?;
    let ended = session::end_all(&tx, user.id(), None, EndReason::RevokedByOperator, now).await?;
    let record = AuditRecord::new(None, Actor::system(), "session.revoke_all").target("user", user.id().0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Ends the sessions of everybody, sign-ins that wait for a second factor included; answers how many were live.
pub async fn end_everybodys_sessions(identity: &Identity) -> Result<u64> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    pending_login::end_everybodys(&tx, now).await?;
    let ended = session::end_everybodys(&tx, EndReason::RevokedByOperator, now).await?;
    tx.publish(Event::Resync).await?;
    let record = AuditRecord::new(None, Actor::system(), "session.revoke_all")
        .details(serde_json::json!({"of": "everybody", "ended": ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(ended)
}

/// A link with which a password can be set, once and within the hour, for whoever cannot be reached by mail. Older
/// links die.
pub async fn password_link(identity: &Identity, email: &str) -> Result<String> {
    let platform = &identity.platform;
    let tx = platform.db.begin().await?;
    let user = person(&tx, email).await?;
    let token = one_time_token::issue(&tx, Purpose::PasswordReset, user.id(), None, platform.clock.now()).await?;
    let record = AuditRecord::new(None, Actor::system(), "user.password_link").target("user", user.id().0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(mails::link(identity, "reset-password", &token))
}

async fn person(tx: &Transaction, email: &str) -> Result<User> {
    let found = User::find_by_email(tx.conn(), email).await?;
    found.ok_or_else(|| Error::new(ErrorCode::UserNotFound).with_message(format!("Nobody has the address {email}.")))
}
