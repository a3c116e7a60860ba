//! `POST /api/v1/auth/login`: e-mail and password against a session with its tokens.
//!
//! The answer for an unknown address and for a wrong password is the same and takes as long. What is wrong
//! with the account itself (disabled, unverified) is told only after the password was right.

use axum::extract::State;
use chrono::Duration;
use garde::Validate;
use rivergen_kernel::{ErrorCode, Result, Secret, UserId, WorkspaceId};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord, Outcome},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
    limits::{LOGIN_BY_EMAIL, LOGIN_BY_IP},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Identity,
    directory::Place,
    email_address,
    one_time_token::{self, Purpose},
    password::Verdict,
    session,
    user::User,
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example", "password": "Correct1horse", "remember_me": false}))]
pub struct LoginRequest {
    #[garde(length(max = 254))]
    pub email: String,
    #[garde(skip)]
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
    /// The workspace that the session is meant for; without it, the default one.
    #[garde(skip)]
    pub workspace_id: Option<WorkspaceId>,
    /// A session of 30 days instead of 24 hours.
    #[garde(skip)]
    pub remember_me: Option<bool>,
}

/// Tokens of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenSet {
    /// A JWT for `Authorization: Bearer`.
    pub access_token: String,
    /// Good for one use at `/api/v1/auth/refresh`.
    pub refresh_token: String,
    /// Always `bearer`.
    #[schema(examples("bearer"))]
    pub token_type: &'static str,
    /// Seconds that the access token lives.
    #[schema(examples(3600))]
    pub expires_in: i64,
}

/// What a login answers: tokens, or a temporary token where the address is still to be verified.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum LoginAnswer {
    SignedIn(SignedIn),
    VerificationRequired(VerificationRequired),
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SignedIn {
    #[serde(flatten)]
    pub tokens: TokenSet,
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub display_name: String,
    pub is_verified: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct VerificationRequired {
    pub temporary_token: String,
    pub email_verification_required: bool,
    pub message: &'static str,
}

errors! { pub LoginErrors: InvalidRequest, InvalidCredentials, EmailNotVerified, UserDisabled, ValidationError, RateLimited, ServiceUnavailable; }

/// Log in with e-mail and password
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "authentication", request_body = LoginRequest, security(()),
    params(("x-device-fingerprint" = Option<String>, Header, description = "What the client knows of its device, as JSON")),
    responses((status = 200, description = "Signed in, or what is still needed for it", body = Envelope<LoginAnswer>), LoginErrors))]
pub async fn login(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<LoginRequest>,
) -> Result<Reply<LoginAnswer>> {
    let platform = &identity.platform;
    platform.limits.check(&LOGIN_BY_IP, &origin.limit_key())?;
    // An address that cannot be one is nobody's: the same answer, after the same work.
    let email = email_address::normalise(&request.email, "email").unwrap_or_default();
    platform.limits.check(&LOGIN_BY_EMAIL, &email)?;

    let user = User::find_by_email(platform.db.read(), &email).await?;
    let hash = user.as_ref().and_then(|user| user.account.password_hash.clone());
    let verdict = identity.passwords.verify(request.password.clone(), hash).await?;
    let rehashed = match verdict {
        Verdict::RightButOutdated => Some(identity.passwords.hash(request.password).await?),
        _ => None,
    };

    // Asked before the transaction, which holds a connection of the pool of its own.
    let place = match &user {
        Some(user) if verdict != Verdict::Wrong => identity.directory.home(user.id(), request.workspace_id).await?,
        _ => None,
    };
    let tx = platform.db.begin().await?;
    let user = match user {
        Some(user) if verdict != Verdict::Wrong => user,
        user => {
            let record = AuditRecord::new(None, origin.anonymous(), "auth.login").outcome(Outcome::Failure);
            let record = match user {
                Some(user) => record.target("user", user.id().0),
                None => record,
            };
            audit::record(&tx, &platform.clock, record).await?;
            tx.commit().await?;
            return Err(ErrorCode::InvalidCredentials.into());
        }
    };
    if user.account.disabled_at.is_some() {
        return Err(ErrorCode::UserDisabled.into());
    }
    if let Some(hash) = rehashed {
        let mut account = user.account.clone().into_active_model();
        account.password_hash = Set(Some(hash));
        account.update(tx.conn()).await?;
    }
    if !user.is_verified() {
        let token = one_time_token::issue(&tx, Purpose::PendingLogin, user.id(), platform.clock.now()).await?;
        tx.commit().await?;
        let message = "Verify the e-mail address first: follow the link in the mail, or ask for another one.";
        let answer = VerificationRequired {
            temporary_token: token.expose().to_owned(),
            email_verification_required: true,
            message,
        };
        return Ok(Reply::ok(LoginAnswer::VerificationRequired(answer), message));
    }
    let lifetime = match request.remember_me {
        Some(true) => identity.settings.remembered_session_lifetime,
        _ => identity.settings.session_lifetime,
    };
    let tokens = sign_in(&identity, &tx, &user, place, lifetime, &origin).await?;
    audit::record(
        &tx,
        &platform.clock,
        AuditRecord::new(None, origin.actor(user.id()), "auth.login").target("user", user.id().0),
    )
    .await?;
    tx.commit().await?;
    let answer = SignedIn {
        tokens,
        user_id: user.id(),
        email: user.email.email,
        display_name: user.account.display_name,
        is_verified: true,
    };
    Ok(Reply::ok(LoginAnswer::SignedIn(answer), "Signed in."))
}

/// Opens a session for a person whose proofs are complete, and issues its tokens.
pub async fn sign_in(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    place: Option<Place>,
    lifetime: Duration,
    origin: &RequestOrigin,
) -> Result<TokenSet> {
    let now = identity.platform.clock.now();
    let (session, refresh_token) = session::open(tx, user.id(), place, lifetime, origin, now).await?;
    let access_token = identity.tokens.issue(&session, now)?;
    Ok(TokenSet {
        access_token,
        refresh_token: refresh_token.expose().to_owned(),
        token_type: "bearer",
        expires_in: identity.tokens.lifetime().num_seconds(),
    })
}
