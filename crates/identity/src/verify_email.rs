//! `POST /api/v1/auth/verify-email` and `POST /api/v1/auth/resend-verification`.
//!
//! The mailed link opens a page; only the page's button posts, so a mail scanner that follows links
//! verifies nothing. The token works once; repeated, it says that the address is verified, without tokens.

use axum::{extract::State, http::HeaderMap};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result, UserId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Identity, VERIFICATION_MAIL, VERIFY_BY_IP, email_address,
    login::{self, Entrance, FactorRequired, TokenSet, Way},
    mails,
    one_time_token::{self, Purpose},
    pending_login::FirstStep,
    session::Given,
    user::{User, address},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"token": "mVxN3…"}))]
pub struct VerifyEmailRequest {
    /// From the link in the mail.
    #[garde(length(min = 1, max = 200))]
    pub token: String,
}

/// The verified address. With tokens, or the question for a second factor, when it is the account's first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verified {
    #[serde(flatten)]
    pub tokens: Option<TokenSet>,
    #[serde(flatten)]
    pub factor: Option<PendingFactor>,
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    pub is_verified: bool,
    pub message: &'static str,
}

/// As the login answers where a second factor is still to be given.
#[derive(Debug, Serialize, ToSchema)]
pub struct PendingFactor {
    pub temporary_token: String,
    pub mfa_required: bool,
    pub mfa_methods: Vec<&'static str>,
}

errors! {
    pub VerifyEmailErrors: InvalidRequest, InvalidToken, UserDisabled, VerificationExpired, ValidationError, RateLimited;
    pub ResendErrors: InvalidRequest, ValidationError, RateLimited;
}

/// Verify an e-mail address with the token from the e-mail
#[utoipa::path(post, path = "/api/v1/auth/verify-email", tag = "authentication", request_body = VerifyEmailRequest, security(()),
    responses((status = 200, description = "Verified; signed in if it is a new account's first time", body = Envelope<Verified>), VerifyEmailErrors))]
pub async fn verify_email(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Json(request): Json<VerifyEmailRequest>,
) -> Result<Reply<Verified>> {
    let platform = &identity.platform;
    platform.limits.check(&VERIFY_BY_IP, &origin.limit_key())?;
    let now = platform.clock.now();
    let db = platform.db.read();
    if let Some(approval) = one_time_token::find(db, Purpose::EmailChangeApproval, &request.token).await? {
        return approve_change(&identity, approval, &origin).await;
    }
    let token = one_time_token::find(db, Purpose::EmailVerification, &request.token).await?;
    let token = token.ok_or(ErrorCode::InvalidToken)?;
    let user = User::find(db, token.user_id).await?.ok_or(ErrorCode::InvalidToken)?;
    let subject = token.subject.as_deref().unwrap_or(&user.email.email);
    let address = address::of_user(db, user.id(), subject).await?.ok_or(ErrorCode::InvalidToken)?;
    if address.verified_at.is_some() {
        return Ok(Reply::ok(verified(&user, address.email, None), "The address is already verified; sign in."));
    }
    if !token.is_live(now) {
        return Err(ErrorCode::VerificationExpired.into());
    }
    if user.account.disabled_at.is_some() {
        return Err(ErrorCode::UserDisabled.into());
    }
    let step = FirstStep {
        amr: "otp",
        workspace_id: None,
        session_lifetime: identity.settings.session_lifetime,
        federated_by: None,
        given: Given::Now,
    };
    let way = Way::find(&identity, &user, &step, &headers).await?;
    let is_single_sign_on_alone = identity.directory.security(user.id()).await?.is_single_sign_on_alone(now);
    let tx = platform.db.begin().await?;
    let welcoming = identity.directory.welcoming(&tx, &address.email).await?;
    token.spend(&tx, now).await?;
    let mut row = address.into_active_model();
    row.verified_at = Set(Some(now));
    let address = row.update(tx.conn()).await?;
    tx.publish(Event::UserChanged(user.id())).await?;
    // A further address of somebody who has an account opens no session; nor does any where only an identity provider may.
    let entrance = match address.is_primary && !is_single_sign_on_alone {
        true => Some(login::enter(&identity, &tx, &user, step, way, &origin).await?),
        false => None,
    };
    let email = address.email.clone();
    take_over(&identity, &tx, &user, address).await?;
    if let Some(organization) = welcoming {
        // With the primary address as it is now.
        let user = User::find(tx.conn(), user.id()).await?.ok_or(ErrorCode::InvalidToken)?;
        identity.directory.join(&tx, organization, &user, &email, &origin.actor(user.id())).await?;
    }
    let details = identity.settings.countries.add_to(serde_json::json!({"email": email}), origin.ip);
    let record = AuditRecord::new(None, origin.actor(user.id()), "auth.verify_email").target("user", user.id().0);
    audit::record(&tx, &platform.clock, record.details(details)).await?;
    tx.commit().await?;
    Ok(Reply::ok(verified(&user, email, entrance), "The address is verified."))
}

/// The old primary address agrees that another takes its place.
async fn approve_change(
    identity: &Identity,
    token: one_time_token::Model,
    origin: &RequestOrigin,
) -> Result<Reply<Verified>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let user = User::find(tx.conn(), token.user_id).await?.ok_or(ErrorCode::InvalidToken)?;
    let subject = token.subject.clone().unwrap_or_default();
    let address = address::of_user(tx.conn(), user.id(), &subject).await?.ok_or(ErrorCode::InvalidToken)?;
    if address.is_primary || address.change_approved_at.is_some() {
        return Ok(Reply::ok(verified(&user, address.email, None), "The change is already confirmed."));
    }
    if !token.is_live(now) {
        return Err(ErrorCode::VerificationExpired.into());
    }
    token.spend(&tx, now).await?;
    let mut row = address.into_active_model();
    row.change_approved_at = Set(Some(now));
    let address = row.update(tx.conn()).await?;
    let email = address.email.clone();
    take_over(identity, &tx, &user, address).await?;
    let record = AuditRecord::new(None, origin.actor(user.id()), "user.approve_email_change")
        .target("user", user.id().0)
        .details(serde_json::json!({"email": email}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(verified(&user, email, None), "The change was confirmed."))
}

/// Makes an address the primary one where it is meant to be and both sides have proved it.
async fn take_over(identity: &Identity, tx: &Transaction, user: &User, address: address::Model) -> Result<()> {
    let proved = address.verified_at.is_some() && address.change_approved_at.is_some();
    if !(address.becomes_primary && proved) {
        return Ok(());
    }
    let mut former = user.email.clone().into_active_model();
    former.is_primary = Set(false);
    former.update(tx.conn()).await?;
    let email = address.email.clone();
    let mut row = address.into_active_model();
    row.is_primary = Set(true);
    row.becomes_primary = Set(false);
    row.update(tx.conn()).await?;
    // Links that went to the old address open nothing any more.
    one_time_token::kill(tx, Purpose::PasswordReset, user.id(), identity.platform.clock.now()).await?;
    mails::send_primary_changed(identity, tx, user, &email).await?;
    identity.directory.person_renamed(tx, user.id()).await?;
    tx.publish(Event::UserChanged(user.id())).await
}

fn verified(user: &User, email: String, entrance: Option<Entrance>) -> Verified {
    let (tokens, factor) = match entrance {
        Some(Entrance::Open(tokens)) => (Some(tokens), None),
        Some(Entrance::FactorRequired(required)) => {
            let FactorRequired { temporary_token, mfa_required, mfa_methods, .. } = required;
            (None, Some(PendingFactor { temporary_token, mfa_required, mfa_methods }))
        }
        None => (None, None),
    };
    Verified { tokens, factor, user_id: user.id(), email, is_verified: true, message: "The address is verified." }
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

const GENERIC: &str = "If the address is waiting to be verified, an e-mail is on its way.";

/// Send the verification e-mail again
#[utoipa::path(post, path = "/api/v1/auth/resend-verification", tag = "authentication", request_body = ResendRequest, security(()),
    responses((status = 200, description = "The same answer whether or not the address is known", body = Envelope<Resent>), ResendErrors))]
pub async fn resend_verification(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<ResendRequest>,
) -> Result<Reply<Resent>> {
    let platform = &identity.platform;
    let email = request.email.as_deref().map(|email| email_address::normalise(email, "email")).transpose()?;
    let by_ip = origin.limit_key();
    let mut wanted = vec![(&VERIFICATION_MAIL, by_ip.as_str())];
    wanted.extend(email.as_deref().map(|email| (&VERIFICATION_MAIL, email)));
    let uses = platform.check_limits(&wanted).await?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    let user = match (&email, &request.temporary_token) {
        (Some(email), _) => User::find_by_email(tx.conn(), email).await?,
        (None, Some(token)) => match one_time_token::find(tx.conn(), Purpose::PendingLogin, token).await? {
            Some(row) if row.is_live(now) => User::find(tx.conn(), row.user_id).await?,
            _ => None,
        },
        (None, None) => return Err(Error::invalid_field("email", "send the e-mail address or the temporary token")),
    };
    if let Some(user) = user.filter(|user| !user.is_verified() && user.account.disabled_at.is_none()) {
        mails::send_verification(&identity, &tx, &user).await?;
    }
    // Whoever has no account is counted as well.
    tx.commit().await?;
    Ok(Reply::ok(Resent { message: GENERIC }, GENERIC))
}
