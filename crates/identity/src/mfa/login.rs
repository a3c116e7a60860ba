//! The second step of a login: choose a factor, then give its code.
//!
//! ```text
//! login ─▶ temporary token ─▶ mfa/otp/generate ─▶ another token (and a mail) ─▶ mfa/verify ─▶ tokens
//!                          └──────── an app's code or a backup code ────────────────┘
//! ```

use axum::{extract::State, http::HeaderMap};
use chrono::Duration;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord, Outcome},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
    limits::Rule,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Kind, backup_codes, email_otp, lockout, totp};
use crate::{
    Identity,
    device::{self, PendingDevice},
    login::{self, TokenSet},
    pending_login,
    session::Proof,
    user::User,
};

/// Codes that are mailed for one login.
const MAX_MAILS: i32 = 3;
/// Codes that are tried from one address.
const VERIFY_BY_IP: Rule = Rule::new("mfa_verify_by_ip", 30, std::time::Duration::from_secs(600));

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"temporary_token": "mVxN3…", "method": "email_otp"}))]
pub struct MfaChooseRequest {
    /// From the login.
    #[garde(length(min = 1, max = 200))]
    pub temporary_token: String,
    #[garde(skip)]
    pub method: Kind,
}

/// The next step's token; the previous one no longer works.
#[derive(Debug, Serialize, ToSchema)]
pub struct Chosen {
    pub temporary_token: String,
    pub message: &'static str,
}

errors! {
    pub ChooseErrors: InvalidRequest, InvalidTemporaryToken, PendingUserGone, SessionNotFound, ValidationError, RateLimited;
    pub VerifyErrors: InvalidMfaCode, InvalidRequest, PendingLoginInvalid, PendingUserGone, ValidationError, TooManyAttempts, RateLimited;
}

/// Choose the second factor of a pending login
#[utoipa::path(post, path = "/api/v1/auth/mfa/otp/generate", tag = "authentication", request_body = MfaChooseRequest, security(()),
    responses((status = 200, description = "Chosen; a code is on its way if the factor is e-mail", body = Envelope<Chosen>), ChooseErrors))]
pub async fn mfa_otp_generate(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<MfaChooseRequest>,
) -> Result<Reply<Chosen>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let pending = pending_login::find(tx.conn(), &request.temporary_token).await?;
    let pending = pending.filter(|pending| pending.is_live(now)).ok_or(ErrorCode::InvalidTemporaryToken)?;
    let user = live_user(&tx, pending.user_id).await?;
    let factors = super::verified(tx.conn(), user.id()).await?;
    if !factors.iter().any(|factor| factor.kind == request.method) {
        return Err(Error::invalid_field("method", "is not set up; choose one of those in the answer to the login"));
    }
    let (code, message) = match request.method {
        Kind::Totp => (None, "Enter the code that your authenticator shows."),
        Kind::EmailOtp => {
            if pending.mails >= MAX_MAILS {
                return Err(Error::new(ErrorCode::RateLimited)
                    .with_message("Too many codes were sent for this sign-in; start it again.")
                    .with_retry_after(std::time::Duration::from_secs(600)));
            }
            let by_person = user.id().to_string();
            let uses = platform.limits.check_durably(tx.conn(), &[(&email_otp::MAILS, &by_person)]).await?;
            uses.keep(&tx).await?;
            (Some(email_otp::send(&identity, &tx, &user).await?), "A code is on its way to your e-mail address.")
        }
    };
    let token = pending.choose(&tx, request.method, code).await?;
    let record = AuditRecord::new(None, origin.anonymous(), "auth.mfa_challenge")
        .target("user", user.id().0)
        .details(serde_json::json!({"method": request.method}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(Chosen { temporary_token: token.expose().to_owned(), message }, message))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"temporary_token": "mVxN3…", "code": "123456"}))]
pub struct MfaVerifyRequest {
    /// From the step before.
    #[garde(length(min = 1, max = 200))]
    pub temporary_token: String,
    #[garde(inner(custom(super::six_digits)))]
    pub code: Option<String>,
    /// In place of a code.
    #[garde(inner(length(chars, min = 8, max = 20)))]
    pub backup_code: Option<String>,
}

/// Signed in with both factors.
#[derive(Debug, Serialize, ToSchema)]
pub struct MfaVerified {
    #[serde(flatten)]
    pub tokens: TokenSet,
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub display_name: String,
    pub is_verified: bool,
    /// A device that can now be trusted; null if the client sent no fingerprint or an organization forbids it.
    pub trusted_device: Option<PendingDevice>,
}

/// Finish a pending login with a code or a backup code
#[utoipa::path(post, path = "/api/v1/auth/mfa/verify", tag = "authentication", request_body = MfaVerifyRequest, security(()),
    params(("x-device-fingerprint" = Option<String>, Header, description = "What the client knows about its device, as JSON")),
    responses((status = 200, description = "Signed in", body = Envelope<MfaVerified>), VerifyErrors))]
pub async fn mfa_verify(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Json(request): Json<MfaVerifyRequest>,
) -> Result<Reply<MfaVerified>> {
    let platform = &identity.platform;
    platform.limits.check(&VERIFY_BY_IP, &origin.limit_key())?;
    let fingerprint = device::fingerprint(&headers)?;
    let given = match (&request.code, &request.backup_code) {
        (Some(code), None) => Given::Code(code),
        (None, Some(code)) => Given::BackupCode(code),
        _ => return Err(Error::invalid_field("code", "send either a code or a backup code")),
    };
    let now = platform.clock.now();
    let db = platform.db.read();
    let live = |pending: Option<pending_login::Model>| pending.filter(|pending| pending.is_live(now));
    let pending =
        live(pending_login::find(db, &request.temporary_token).await?).ok_or(ErrorCode::PendingLoginInvalid)?;
    // What costs time or another connection comes before the transaction.
    let backup_code = match given {
        Given::BackupCode(code) => backup_codes::find(&identity, pending.user_id, code).await?,
        Given::Code(_) => None,
    };
    let place = identity.place(pending.user_id, pending.workspace_id, pending.federated_by()).await?;
    let trusted_for = identity.directory.security(pending.user_id).await?.trusted_for();

    let tx = platform.db.begin().await?;
    let user = live_user(&tx, pending.user_id).await?;
    let factors = super::verified(tx.conn(), user.id()).await?;
    let method = pending.method.unwrap_or(Kind::Totp);
    let factor = match (&given, method) {
        (Given::BackupCode(_), _) => "backup_code",
        (Given::Code(_), method) => method.as_str(),
    };
    let attempt = lockout::enter(&tx, user.id(), factor, now).await?;
    // Again, and now with all others that try locked out: the token may be spent meanwhile.
    let pending = live(pending_login::find(tx.conn(), &request.temporary_token).await?);
    let pending = pending.ok_or(ErrorCode::PendingLoginInvalid)?;
    let outcome = match (&given, method) {
        (Given::BackupCode(_), _) => {
            let spent = match backup_code {
                Some(found) => found.spend(&tx, now).await?,
                None => false,
            };
            if spent { Ok(()) } else { Err("wrong code") }
        }
        (Given::Code(code), Kind::Totp) => totp::accept(platform, &tx, &factors, code, now).await?,
        (Given::Code(code), Kind::EmailOtp) => {
            match email_otp::matches(platform, pending.sealed_code.as_ref(), code).await? {
                true => Ok(()),
                false => Err("wrong code"),
            }
        }
    };
    if let Err(reason) = outcome {
        attempt.wrong(&tx, now).await?;
        pending.wrong_code(&tx, now).await?;
        let details = serde_json::json!({"factor": factor, "reason": reason});
        let record = AuditRecord::new(None, origin.anonymous(), "auth.mfa_verify")
            .target("user", user.id().0)
            .outcome(Outcome::Failure)
            .details(identity.settings.countries.add_to(details, origin.ip));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        return Err(ErrorCode::InvalidMfaCode.into());
    }
    attempt.right(&tx).await?;
    if !pending.end(&tx, now).await? {
        return Err(ErrorCode::PendingLoginInvalid.into());
    }
    let proof = Proof::with_factor(&pending.first_factor, "otp").federated_by(pending.federated_by());
    let lifetime = Duration::seconds(pending.lifetime_seconds);
    let (session, tokens) = login::open_session(&identity, &tx, &user, &proof, place, lifetime, &origin).await?;
    let trusted_device = match fingerprint {
        Some(fingerprint) if trusted_for > Duration::zero() => {
            Some(device::propose(&tx, &session, &fingerprint, &origin, now).await?)
        }
        _ => None,
    };
    let details = identity.settings.countries.add_to(serde_json::json!({"factor": factor}), origin.ip);
    let record = AuditRecord::new(None, origin.actor(user.id()), "auth.mfa_verify").target("user", user.id().0);
    let record = record.details(details);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let verified = MfaVerified {
        tokens,
        user_id: user.id(),
        email: user.email.email,
        display_name: user.account.display_name,
        is_verified: true,
        trusted_device,
    };
    Ok(Reply::ok(verified, "Signed in."))
}

enum Given<'a> {
    Code(&'a str),
    BackupCode(&'a str),
}

async fn live_user(tx: &rivergen_platform::Transaction, id: UserId) -> Result<User> {
    let user = User::find(tx.conn(), id).await?;
    user.filter(|user| user.account.disabled_at.is_none()).ok_or(ErrorCode::PendingUserGone.into())
}
