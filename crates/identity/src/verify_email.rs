//! `POST /api/v1/auth/verify-email` and `POST /api/v1/auth/resend-verification`.
//!
//! The mailed link opens a page; only the page's button posts, so a mail scanner that follows links
//! verifies nothing. The token works once; repeated, it says that the address is verified, without tokens.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result, UserId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Identity, VERIFICATION_MAIL, VERIFY_BY_IP, email_address,
    login::{self, TokenSet},
    mails,
    one_time_token::{self, Purpose},
    user::User,
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"token": "mVxN3…"}))]
pub struct VerifyEmailRequest {
    /// From the link in the mail.
    #[garde(length(min = 1, max = 200))]
    pub token: String,
}

/// The verified address; with tokens the first time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verified {
    #[serde(flatten)]
    pub tokens: Option<TokenSet>,
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    pub is_verified: bool,
    pub message: &'static str,
}

errors! {
    pub VerifyEmailErrors: InvalidRequest, InvalidToken, UserDisabled, VerificationExpired, ValidationError, RateLimited;
    pub ResendErrors: InvalidRequest, ValidationError, RateLimited;
}

/// Verify an e-mail address with the token from the mail
#[utoipa::path(post, path = "/api/v1/auth/verify-email", tag = "authentication", request_body = VerifyEmailRequest, security(()),
    responses((status = 200, description = "Verified; signed in the first time", body = Envelope<Verified>), VerifyEmailErrors))]
pub async fn verify_email(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<VerifyEmailRequest>,
) -> Result<Reply<Verified>> {
    let platform = &identity.platform;
    platform.limits.check(&VERIFY_BY_IP, &origin.limit_key())?;
    let now = platform.clock.now();
    let db = platform.db.read();
    let token = one_time_token::find(db, Purpose::EmailVerification, &request.token).await?;
    let token = token.ok_or(ErrorCode::InvalidToken)?;
    let user = User::find(db, token.user_id).await?.ok_or(ErrorCode::InvalidToken)?;
    if user.is_verified() {
        return Ok(Reply::ok(verified(&user, None), "The address is verified already; sign in."));
    }
    if !token.is_live(now) {
        return Err(ErrorCode::VerificationExpired.into());
    }
    if user.account.disabled_at.is_some() {
        return Err(ErrorCode::UserDisabled.into());
    }
    let place = identity.directory.home(user.id(), None).await?;
    let tx = platform.db.begin().await?;
    token.spend(&tx, now).await?;
    let mut address = user.email.clone().into_active_model();
    address.verified_at = Set(Some(now));
    let email = address.update(tx.conn()).await?;
    let user = User { email, ..user };
    tx.publish(Event::UserChanged(user.id())).await?;
    let tokens = login::sign_in(&identity, &tx, &user, place, identity.settings.session_lifetime, &origin).await?;
    audit::record(
        &tx,
        &platform.clock,
        AuditRecord::new(None, origin.actor(user.id()), "auth.verify_email").target("user", user.id().0),
    )
    .await?;
    tx.commit().await?;
    Ok(Reply::ok(verified(&user, Some(tokens)), "The address is verified."))
}

fn verified(user: &User, tokens: Option<TokenSet>) -> Verified {
    Verified {
        tokens,
        user_id: user.id(),
        email: user.email.email.clone(),
        is_verified: true,
        message: "The address is verified.",
    }
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example"}))]
pub struct ResendRequest {
    /// The address, or
    #[garde(skip)]
    pub email: Option<String>,
    /// the temporary token from signup or login.
    #[garde(inner(length(max = 200)))]
    pub temporary_token: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Resent {
    pub message: &'static str,
}

const GENERIC: &str = "If the address waits for verification, a mail is on its way.";

/// Send the verification mail once more
#[utoipa::path(post, path = "/api/v1/auth/resend-verification", tag = "authentication", request_body = ResendRequest, security(()),
    responses((status = 200, description = "The same answer whether or not the address is known", body = Envelope<Resent>), ResendErrors))]
pub async fn resend_verification(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<ResendRequest>,
) -> Result<Reply<Resent>> {
    let platform = &identity.platform;
    let rule = &VERIFICATION_MAIL;
    platform.limits.check(rule, &origin.limit_key())?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let user = match (&request.email, &request.temporary_token) {
        (Some(email), _) => {
            let email = email_address::normalise(email, "email")?;
            platform.limits.check(rule, &email)?;
            User::find_by_email(tx.conn(), &email).await?
        }
        (None, Some(token)) => match one_time_token::find(tx.conn(), Purpose::PendingLogin, token).await? {
            Some(row) if row.is_live(now) => User::find(tx.conn(), row.user_id).await?,
            _ => None,
        },
        (None, None) => return Err(Error::invalid_field("email", "send the e-mail address or the temporary token")),
    };
    if let Some(user) = user.filter(|user| !user.is_verified() && user.account.disabled_at.is_none()) {
        mails::send_verification(&identity, &tx, &user).await?;
        tx.commit().await?;
    }
    Ok(Reply::ok(Resent { message: GENERIC }, GENERIC))
}
