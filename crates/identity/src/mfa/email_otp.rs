//! Codes by mail as a second factor: six digits to the verified primary address, good for ten minutes.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::{
    Platform, Transaction, errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
    limits::Rule,
    vault::{Owner, Sealed},
};
use sea_orm::{ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::{Kind, backup_codes, lockout, totp::FactorEnabled};
use crate::{Identity, mails, user::User};

/// Wrong tries after which a mailed code is dead, so that waiting out the lock gains nothing.
const MAX_WRONG_CODES: i32 = 5;
/// Codes that are mailed to one person.
pub(super) const MAILS: Rule = Rule::new("mfa_mail", 5, std::time::Duration::from_secs(15 * 60));
/// What codes are sealed for.
const CODE_CONTEXT: &str = "mfa.mailed_code";

#[derive(Debug, Serialize, ToSchema)]
pub struct EmailOtpSent {
    pub message: &'static str,
    #[schema(examples(true))]
    pub otp_sent: bool,
}

errors! {
    pub SetupErrors: SetupFailed, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, EmailOtpAlreadyEnabled, ValidationError, RateLimited;
    pub VerifyErrors: InvalidCode, NoPendingSetup, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError, TooManyAttempts;
    pub RemoveErrors: Unauthorized, TokenExpired, ReauthenticationRequired, EmailNotVerified, MfaMethodNotFound, MfaRequiredByOrganization;
}

/// Start setting up codes by e-mail
#[utoipa::path(post, path = "/api/v1/mfa/email-otp/setup", tag = "mfa",
    responses((status = 200, description = "A code is on its way; another request sends a new one, which replaces it", body = Envelope<EmailOtpSent>), SetupErrors))]
pub async fn setup_email_otp(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
) -> Result<Reply<EmailOtpSent>> {
    let platform = &identity.platform;
    caller.session()?;
    let uses = platform.check_limits(&[(&MAILS, &caller.user_id.to_string())]).await?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    let user = User::find(tx.conn(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    if super::verified(tx.conn(), user.id()).await?.iter().any(|factor| factor.kind == Kind::EmailOtp) {
        return Err(ErrorCode::EmailOtpAlreadyEnabled.into());
    }
    if !user.is_verified() {
        return Err(Error::new(ErrorCode::SetupFailed).with_message("Verify your e-mail address first."));
    }
    let sealed = send(&identity, &tx, &user).await?;
    super::begin_setup(&tx, user.id(), Kind::EmailOtp, None, sealed, now).await?;
    tx.commit().await?;
    let message = "A code is on its way to your e-mail address.";
    Ok(Reply::ok(EmailOtpSent { message, otp_sent: true }, message))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"code": "123456"}))]
pub struct EmailOtpVerifyRequest {
    /// From the e-mail.
    #[garde(custom(super::six_digits))]
    pub code: String,
}

/// Confirm codes by e-mail with the first code
#[utoipa::path(post, path = "/api/v1/mfa/email-otp/verify", tag = "mfa", request_body = EmailOtpVerifyRequest,
    responses((status = 200, description = "On; the backup codes are only shown this once", body = Envelope<FactorEnabled>), VerifyErrors))]
pub async fn verify_email_otp(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<EmailOtpVerifyRequest>,
) -> Result<Reply<FactorEnabled>> {
    let platform = &identity.platform;
    let session = caller.session()?;
    let now = platform.clock.now();
    let codes = backup_codes::NewSet::for_first_factor(&identity, caller.user_id).await?;

    let tx = platform.db.begin().await?;
    let attempt = lockout::enter(&tx, caller.user_id, Kind::EmailOtp.as_str(), now).await?;
    let pending = super::pending(tx.conn(), caller.user_id, Kind::EmailOtp, MAX_WRONG_CODES, now).await?;
    if !matches(platform, pending.sealed_secret.as_ref(), &request.code).await? {
        return Err(super::refuse_code(tx, attempt, pending, now).await?);
    }
    attempt.right(&tx).await?;
    let mut setup = pending.into_active_model();
    setup.sealed_secret = Set(None);
    let backup_codes = super::confirm(&identity, &tx, caller.user_id, setup, session, codes, &origin).await?;
    tx.commit().await?;
    let message = "Codes by e-mail are set up.";
    Ok(Reply::ok(FactorEnabled { success: true, backup_codes, message }, message))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EmailOtpRemoved {
    #[schema(examples(true))]
    pub success: bool,
    /// Whether another factor is left.
    pub mfa_enabled: bool,
    pub message: &'static str,
}

/// Switch off codes by e-mail
#[utoipa::path(delete, path = "/api/v1/mfa/email-otp", tag = "mfa",
    responses((status = 200, description = "Off", body = Envelope<EmailOtpRemoved>), RemoveErrors))]
pub async fn remove_email_otp(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
) -> Result<Reply<EmailOtpRemoved>> {
    let platform = &identity.platform;
    caller.recently_proved(platform.clock.now())?;
    let tx = platform.db.begin().await?;
    let mut factors = super::verified(tx.conn(), caller.user_id).await?.into_iter();
    let factor = factors.find(|factor| factor.kind == Kind::EmailOtp).ok_or(ErrorCode::MfaMethodNotFound)?;
    let user = User::find(tx.conn(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    let mfa_enabled = super::remove(&identity, &tx, &user, factor, &origin).await?;
    tx.commit().await?;
    let message = "Codes by e-mail are off.";
    Ok(Reply::ok(EmailOtpRemoved { success: true, mfa_enabled, message }, message))
}

/// Mails a fresh code to the primary address and seals it for later.
pub(super) async fn send(identity: &Identity, tx: &Transaction, user: &User) -> Result<Sealed> {
    let code = super::random_digits();
    mails::send_code(identity, tx, user, &code).await?;
    Ok(identity.platform.vault.seal(tx, Owner::System, CODE_CONTEXT, code.as_bytes()).await?)
}

/// Whether it is the code that was mailed, in constant time.
pub(super) async fn matches(platform: &Platform, sealed: Option<&Sealed>, code: &str) -> Result<bool> {
    let Some(sealed) = sealed else { return Ok(false) };
    let sent = platform.vault.open(Owner::System, CODE_CONTEXT, sealed).await?;
    Ok(sent.as_slice().ct_eq(code.as_bytes()).into())
}
