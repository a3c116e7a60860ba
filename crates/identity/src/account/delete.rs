//! `DELETE /api/v1/auth/me`: closes the account. It is disabled at once and purged after thirty days, in which the
//! operator can open it again ([`restore`], `rivergen people restore`). What the audit log tells of it stays.

use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result, Secret};
use rivergen_platform::{
    Transaction,
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Json, NoContent, RequestOrigin, SignedIn},
    jobs::{CancellationToken, Handler, JobContext, JobError},
    removal,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde::Deserialize;
use utoipa::ToSchema;

use super::change_password::{TRIES, wrong_current_password};
use crate::{
    Identity, mails,
    password::Verdict,
    pending_login, personal_token,
    session::{self, EndReason},
    user::{User, account},
};

/// How long a closed account can be restored.
const RESTORE_DAYS: i64 = 30;
const JOB: &str = "identity.purge_accounts";

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"current_password": "Correct1horse"}))]
pub struct DeleteRequest {
    /// For an account that has a password; otherwise the session must be less than ten minutes old.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub current_password: Option<Secret>,
}

errors! { pub DeleteErrors: InvalidCurrentPassword, InvalidRequest, Unauthorized, TokenExpired, ReauthenticationRequired, EmailNotVerified, LastAdmin, ValidationError, RateLimited; }

/// Close your own account
#[utoipa::path(delete, path = "/api/v1/auth/me", tag = "authentication", request_body = DeleteRequest,
    responses((status = 204, description = "Closed; it can be restored for thirty days"), DeleteErrors))]
pub async fn delete_me(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<DeleteRequest>,
) -> Result<NoContent> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    caller.session()?;
    let user = User::find(platform.db.read(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    match (&user.account.password_hash, request.current_password) {
        (Some(_), None) => return Err(ErrorCode::InvalidCurrentPassword.into()),
        (Some(hash), Some(password)) => {
            platform.limits.check(&TRIES, &user.id().to_string())?;
            if identity.passwords.verify(password, Some(hash.clone())).await? == Verdict::Wrong {
                return Err(wrong_current_password(&identity, &user, &origin, "user.delete").await?);
            }
        }
        (None, _) => {
            caller.recently_proved(now)?;
        }
    }
    let tx = platform.db.begin().await?;
    let mut records = close(&identity, &tx, &user, now).await?;
    records.push(AuditRecord::new(None, origin.actor(user.id()), "user.delete").target("user", user.id().0));
    audit::record_all(&tx, &platform.clock, records).await?;
    tx.commit().await?;
    Ok(NoContent)
}

/// Closes an account in the caller's transaction: nobody gets in any more, and in thirty days it is purged. `LAST_ADMIN`
/// where an organization would be left without an administrator. Answers the records of what goes with it, to be written
/// with that of the operation.
pub async fn close(identity: &Identity, tx: &Transaction, user: &User, now: DateTime<Utc>) -> Result<Vec<AuditRecord>> {
    let records = identity.directory.close_account(tx, user.id(), now).await?;
    let mut account = user.account.clone().into_active_model();
    account.disabled_at = Set(Some(now));
    account.deletion_requested_at = Set(Some(now));
    account.updated_at = Set(now);
    account.update(tx.conn()).await?;
    personal_token::revoke_all(tx, user.id(), now).await?;
    pending_login::end_all(tx, user.id(), now).await?;
    session::end_all(tx, user.id(), None, EndReason::AccountClosed, now).await?;
    mails::send_account_closed(identity, tx, user).await?;
    Ok(records)
}

/// Removes for good what was closed long enough ago.
pub struct Purge(Identity);

impl Purge {
    pub fn register(identity: &Identity) {
        let every = Duration::from_secs(3600);
        identity.platform.jobs.every(JOB, every, std::sync::Arc::new(Self(identity.clone())));
    }
}

#[async_trait]
impl Handler for Purge {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        purge(&self.0, &context.shutdown).await
    }
}

/// One run. Index: users(deletion_requested_at).
pub async fn purge(identity: &Identity, shutdown: &CancellationToken) -> Result<(), JobError> {
    let platform = &identity.platform;
    let is_over = account::Column::DeletionRequestedAt.lte(platform.clock.now() - chrono::Duration::days(RESTORE_DAYS));
    let due = account::Entity::find().filter(is_over.clone());
    removal::one_by_one(&platform.db, shutdown, account::Column::Id, due, |row| {
        // Everything of the person goes with the row: addresses, proofs, sessions, tokens.
        let still_due = account::Entity::delete_many().filter(account::Column::Id.eq(row.id)).filter(is_over.clone());
        let record = AuditRecord::new(None, Actor::system(), "user.purge").target("user", row.id.0);
        async move {
            let tx = platform.db.begin().await?;
            // Before the rows: whoever changes a group of theirs has the organization first, and comes to the same
            // rows then.
            identity.directory.hold_organizations(&tx, row.id).await?;
            removal::recorded(platform, tx, still_due, record).await
        }
    })
    .await
}

/// Opens a closed account again, before its time is over: organizations that went with it are erased then, and files
/// first. For the operator.
pub async fn restore(identity: &Identity, email: &str) -> Result<()> {
    let platform = &identity.platform;
    let tx = platform.db.begin().await?;
    let user = User::find_by_email(tx.conn(), email).await?.ok_or(ErrorCode::UserNotFound)?;
    let Some(closed_at) = user.account.deletion_requested_at else {
        return Err(Error::new(ErrorCode::Conflict).with_message("The account is not closed."));
    };
    if platform.clock.now() - closed_at >= chrono::Duration::days(RESTORE_DAYS) {
        let message = "The account was closed too long ago: it is being purged.";
        return Err(Error::new(ErrorCode::UserNotFound).with_message(message));
    }
    let mut records = identity.directory.reopen_account(&tx, user.id(), closed_at).await?;
    let mut account = user.account.clone().into_active_model();
    account.disabled_at = Set(None);
    account.deletion_requested_at = Set(None);
    account.updated_at = Set(platform.clock.now());
    account.update(tx.conn()).await?;
    tx.publish(rivergen_platform::Event::UserChanged(user.id())).await?;
    records.push(AuditRecord::new(None, Actor::system(), "user.restore").target("user", user.id().0));
    audit::record_all(&tx, &platform.clock, records).await?;
    tx.commit().await
}
