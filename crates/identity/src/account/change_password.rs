//! `POST /api/v1/auth/change-password`: another password, with the current one as the proof. Every session ends, the
//! calling one too, and what the person lets applications do: whoever knew the old password may have begun either.

use std::time::Duration;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{ErrorCode, Result, Secret};
use rivergen_platform::{
    audit::{self, AuditRecord, Outcome},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
    limits::Rule,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::reset_password::PasswordSet;
use crate::{
    Identity, mails,
    one_time_token::{self, Purpose},
    password::{Change, Verdict},
    pending_login,
    session::{self, EndReason},
    user::User,
};

/// Current passwords that one person tries.
pub(super) const TRIES: Rule = Rule::new("current_password", 5, Duration::from_secs(15 * 60));

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"current_password": "Correct1horse", "new_password": "Correct2horse"}))]
pub struct ChangePasswordRequest {
    /// Ignored for an account without a password; its session must then be less than ten minutes old.
    #[garde(skip)]
    #[schema(value_type = String, format = Password)]
    pub current_password: Secret,
    #[garde(skip)]
    #[schema(value_type = String, format = Password)]
    pub new_password: Secret,
}

errors! { pub ChangePasswordErrors: InvalidCurrentPassword, ChangePasswordFailed, InvalidRequest, Unauthorized, PendingUserGone, TokenExpired, ReauthenticationRequired, EmailNotVerified, ValidationError, InvalidPassword, RateLimited; }

/// Change the password while signed in
#[utoipa::path(post, path = "/api/v1/auth/change-password", tag = "authentication", request_body = ChangePasswordRequest,
    responses((status = 200, description = "Changed; every session has ended", body = Envelope<PasswordSet>), ChangePasswordErrors))]
pub async fn change_password(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ChangePasswordRequest>,
) -> Result<Reply<PasswordSet>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    caller.session()?;
    let user = User::find(platform.db.read(), caller.user_id).await?.ok_or(ErrorCode::PendingUserGone)?;
    match &user.account.password_hash {
        Some(hash) => {
            platform.limits.check(&TRIES, &user.id().to_string())?;
            if identity.passwords.verify(request.current_password, Some(hash.clone())).await? == Verdict::Wrong {
                return Err(wrong_current_password(&identity, &user, &origin, "auth.change_password").await?);
            }
        }
        None => {
            caller.recently_proved(now)?;
        }
    }
    let change =
        Change::prepare(&identity, &user, request.new_password, "new_password", ErrorCode::InvalidPassword).await?;
    let tx = platform.db.begin().await?;
    change.apply(&tx, &user, now).await?;
    one_time_token::kill(&tx, Purpose::PasswordReset, user.id(), now).await?;
    pending_login::end_all(&tx, user.id(), now).await?;
    let ended = session::end_all(&tx, user.id(), None, EndReason::PasswordChanged, now).await?;
    let delegations_ended = identity.delegations.end_all(&tx, user.id(), "password_changed", now).await?;
    mails::send_password_changed(&identity, &tx, &user, &origin).await?;
    let record = AuditRecord::new(None, origin.actor(user.id()), "auth.change_password")
        .target("user", user.id().0)
        .details(serde_json::json!({"sessions_ended": ended, "delegations_ended": delegations_ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await.map_err(|error| error.or_internally(ErrorCode::ChangePasswordFailed))?;
    let message = "The password was changed; sign in with it on all your devices.";
    Ok(Reply::ok(PasswordSet { message }, message))
}

/// Records the wrong password and gives the answer for it.
pub(super) async fn wrong_current_password(
    identity: &Identity,
    user: &User,
    origin: &RequestOrigin,
    action: &'static str,
) -> Result<rivergen_kernel::Error> {
    let platform = &identity.platform;
    let tx = platform.db.begin().await?;
    let record = AuditRecord::new(None, origin.actor(user.id()), action)
        .target("user", user.id().0)
        .outcome(Outcome::Failure)
        .details(serde_json::json!({"reason": "wrong current password"}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(ErrorCode::InvalidCurrentPassword.into())
}
