//! `POST /api/v1/auth/reset-password`: another password, with the token from the mail.
//!
//! Every session ends, no new one begins: the second factor is still asked for at the next login. What the person lets
//! applications do ends too: whoever needed the reset may not have been the one who allowed it.

use std::time::Duration;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{ErrorCode, Result, Secret};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
    limits::Rule,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Identity, mails,
    one_time_token::{self, Purpose},
    password::Change,
    pending_login,
    session::{self, EndReason},
    user::User,
};

/// Links that are tried from one address.
const BY_IP: Rule = Rule::new("reset_password_by_ip", 20, Duration::from_secs(600));

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"token": "mVxN3…", "new_password": "Correct2horse"}))]
pub struct ResetPasswordRequest {
    /// From the link in the mail.
    #[garde(length(min = 1, max = 200))]
    pub token: String,
    /// 8 to 128 characters with an upper-case letter, a lower-case letter and a digit; organizations may ask for more.
    #[garde(skip)]
    #[schema(value_type = String, format = Password)]
    pub new_password: Secret,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PasswordSet {
    pub message: &'static str,
}

errors! { pub ResetPasswordErrors: InvalidRequest, InvalidToken, UserDisabled, VerificationExpired, ValidationError, InvalidPassword, RateLimited; }

/// Set a new password with the token from the e-mail
#[utoipa::path(post, path = "/api/v1/auth/reset-password", tag = "authentication", request_body = ResetPasswordRequest, security(()),
    responses((status = 200, description = "Set; every session has ended", body = Envelope<PasswordSet>), ResetPasswordErrors))]
pub async fn reset_password(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<ResetPasswordRequest>,
) -> Result<Reply<PasswordSet>> {
    let platform = &identity.platform;
    platform.limits.check(&BY_IP, &origin.limit_key())?;
    let now = platform.clock.now();
    let db = platform.db.read();
    let token = one_time_token::find(db, Purpose::PasswordReset, &request.token).await?;
    let token = token.filter(|token| token.used_at.is_none()).ok_or(ErrorCode::InvalidToken)?;
    if !token.is_live(now) {
        return Err(ErrorCode::VerificationExpired.into());
    }
    let user = User::find(db, token.user_id).await?.ok_or(ErrorCode::InvalidToken)?;
    if user.account.disabled_at.is_some() {
        return Err(ErrorCode::UserDisabled.into());
    }
    let change =
        Change::prepare(&identity, &user, request.new_password, "new_password", ErrorCode::InvalidPassword).await?;

    let tx = platform.db.begin().await?;
    let address = token.subject.clone();
    // Whoever followed the link reads the mail of that address: it is proved.
    let is_proof = !user.is_verified() && address.as_deref() == Some(user.email.email.as_str());
    let welcoming = match is_proof {
        true => identity.directory.welcoming(&tx, &user.email.email).await?,
        false => None,
    };
    token.spend(&tx, now).await?;
    change.apply(&tx, &user, now).await?;
    if is_proof {
        let mut email = user.email.clone().into_active_model();
        email.verified_at = Set(Some(now));
        email.update(tx.conn()).await?;
    }
    one_time_token::kill(&tx, Purpose::PasswordReset, user.id(), now).await?;
    pending_login::end_all(&tx, user.id(), now).await?;
    let ended = session::end_all(&tx, user.id(), None, EndReason::PasswordChanged, now).await?;
    let delegations_ended = identity.delegations.end_all(&tx, user.id(), "password_reset", now).await?;
    mails::send_password_changed(&identity, &tx, &user, &origin).await?;
    if let Some(organization) = welcoming {
        identity.directory.join(&tx, organization, &user, &user.email.email, &origin.actor(user.id())).await?;
    }
    let record = AuditRecord::new(None, origin.actor(user.id()), "auth.reset_password")
        .target("user", user.id().0)
        .details(serde_json::json!({"sessions_ended": ended, "delegations_ended": delegations_ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The password was set; sign in with it.";
    Ok(Reply::ok(PasswordSet { message }, message))
}
