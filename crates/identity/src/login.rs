//! `POST /api/v1/auth/login`: e-mail and password against a session with its tokens.
//!
//! The answer for an unknown address and for a wrong password is the same and takes as long. What is wrong
//! with the account itself (disabled, unverified) is told only after the password was right.
//!
//! [`enter`] is the one door behind every first proof (password, provider, mailed link): it asks for the second
//! factor where the person has one, and opens the session where not. [`sign_in`] goes through it and writes it down.

use axum::{extract::State, http::HeaderMap};
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, FieldError, Result, Secret, Token, UserId, WorkspaceId};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord, Outcome},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
    limits::{LOGIN_BY_EMAIL, LOGIN_BY_IP, durable::Uses},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    Identity, device,
    directory::Place,
    email_address, mails, mfa,
    one_time_token::{self, Purpose},
    password::Verdict,
    pending_login::{self, FirstStep},
    session::{self, Given, Proof},
    user::{self, User},
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
    /// Asks for the second factor on a trusted device as well: for what needs one that is fresh.
    #[garde(skip)]
    pub ask_second_factor: Option<bool>,
}

/// Tokens of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenSet {
    /// A JWT for `Authorization: Bearer`.
    pub access_token: String,
    /// Valid for one use at `/api/v1/auth/refresh`.
    pub refresh_token: String,
    /// Always `bearer`.
    #[schema(examples("bearer"))]
    pub token_type: &'static str,
    /// Seconds that the access token lives.
    #[schema(examples(3600))]
    pub expires_in: i64,
    /// What an organization of the person wants, and will demand: single sign-on, a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

impl TokenSet {
    /// Fresh tokens of a session, with the refresh token that was just issued for it.
    pub async fn of(
        identity: &Identity,
        session: &session::Model,
        refresh_token: &Token,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let security = identity.directory.security(session.user_id).await?;
        let lifetime = security.access_token_lifetime(session.organization_id, identity.tokens.lifetime());
        // Whoever checks the token alone, by its signature, shall not believe it any longer either.
        let lifetime = session.federated_until.map_or(lifetime, |until| lifetime.min(until - now));
        Ok(Self {
            access_token: identity.tokens.issue(session, lifetime, now)?,
            refresh_token: refresh_token.expose().to_owned(),
            token_type: "bearer",
            expires_in: lifetime.num_seconds(),
            notice: security.notice(session.proofs(None), now),
        })
    }
}

/// The answer to a login: tokens, or a temporary token if a second factor or the verification of the address is
/// missing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum LoginAnswer {
    SignedIn(SignedIn),
    FactorRequired(FactorRequired),
    VerificationRequired(VerificationRequired),
}

/// The first proof was right; the second is still to be given at `/api/v1/auth/mfa/…`.
#[derive(Debug, Serialize, ToSchema)]
pub struct FactorRequired {
    pub temporary_token: String,
    #[schema(examples(true))]
    pub mfa_required: bool,
    /// What the person has set up, the primary one first: `totp`, `email_otp`; and `backup_code` if some are left.
    #[schema(examples(json!(["totp", "backup_code"])))]
    pub mfa_methods: Vec<&'static str>,
    pub message: &'static str,
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

impl SignedIn {
    pub(crate) fn new(tokens: TokenSet, user: User) -> Self {
        Self {
            tokens,
            user_id: user.id(),
            email: user.email.email,
            display_name: user.account.display_name,
            is_verified: true,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct VerificationRequired {
    pub temporary_token: String,
    pub email_verification_required: bool,
    pub message: &'static str,
}

impl VerificationRequired {
    /// For somebody whose first proof was right and whose address is not proved yet: a token to ask for another mail
    /// with.
    pub(crate) async fn of(tx: &Transaction, user: &User, now: DateTime<Utc>) -> Result<Self> {
        let token = one_time_token::issue(tx, Purpose::PendingLogin, user.id(), None, now).await?;
        Ok(Self {
            temporary_token: token.expose().to_owned(),
            email_verification_required: true,
            message: "Verify your e-mail address first: follow the link in the e-mail, or ask for a new one.",
        })
    }
}

errors! { pub LoginErrors: InvalidRequest, InvalidCredentials, EmailNotVerified, UserDisabled, SsoRequired, ValidationError, RateLimited, ServiceUnavailable; }

/// Log in with e-mail and password
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "authentication", request_body = LoginRequest, security(()),
    params(("x-device-fingerprint" = Option<String>, Header, description = "What the client knows about its device, as JSON"),
        ("x-device-token" = Option<String>, Header, description = "The secret of a trusted device, for clients without cookies")),
    responses((status = 200, description = "Signed in, or what is still needed to sign in", body = Envelope<LoginAnswer>), LoginErrors))]
pub async fn login(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<Reply<LoginAnswer>> {
    let platform = &identity.platform;
    // An address that cannot be one is nobody's: the same answer, after the same work.
    let email = email_address::normalise(&request.email, "email").unwrap_or_default();
    let uses = platform.check_limits(&[(&LOGIN_BY_IP, &origin.limit_key()), (&LOGIN_BY_EMAIL, &email)]).await?;

    let user = User::find_by_email(platform.db.read(), &email).await?;
    let hash = user.as_ref().and_then(|user| user.account.password_hash.clone());
    let verdict = identity.passwords.verify(request.password.clone(), hash).await?;
    let rehashed = match verdict {
        Verdict::RightButOutdated => Some(identity.passwords.hash(request.password).await?),
        _ => None,
    };

    let user = match user {
        Some(user) if verdict != Verdict::Wrong => user,
        Some(user) => return Err(refused(&identity, uses, Some(user), "wrong password", &origin).await?),
        None => return Err(refused(&identity, uses, None, "unknown address", &origin).await?),
    };
    if user.account.disabled_at.is_some() {
        refused(&identity, uses, Some(user), "disabled", &origin).await?;
        return Err(ErrorCode::UserDisabled.into());
    }
    if let Err(error) = require_federation(&identity, &user).await {
        // The password was right, but it opens nothing.
        refused(&identity, uses, Some(user), "single sign-on required", &origin).await?;
        return Err(error);
    }
    let step = FirstStep {
        amr: "pwd",
        workspace_id: request.workspace_id,
        session_lifetime: match request.remember_me {
            Some(true) => identity.settings.remembered_session_lifetime,
            _ => identity.settings.session_lifetime,
        },
        federated_by: None,
        given: Given::Now,
    };
    let way = Way::find(&identity, &user, &step, &headers).await?.asking_second_factor(request.ask_second_factor);
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    if let Some(hash) = rehashed {
        let mut account = user.account.clone().into_active_model();
        account.password_hash = Set(Some(hash));
        account.update(tx.conn()).await?;
    }
    if !user.is_verified() {
        let required = VerificationRequired::of(&tx, &user, platform.clock.now()).await?;
        tx.commit().await?;
        let message = required.message;
        return Ok(Reply::ok(LoginAnswer::VerificationRequired(required), message));
    }
    let entrance = sign_in(&identity, &tx, &user, step, way, json!({"method": "password"}), &origin).await?;
    tx.commit().await?;
    Ok(match entrance {
        Entrance::Open(tokens) => Reply::ok(LoginAnswer::SignedIn(SignedIn::new(tokens, user)), "Signed in."),
        Entrance::FactorRequired(required) => Reply::ok(LoginAnswer::FactorRequired(required), FACTOR_REQUIRED),
    })
}

const FACTOR_REQUIRED: &str = "Enter your second factor to finish signing in.";

/// Records a refused login and gives the one answer for all of them.
async fn refused(
    identity: &Identity,
    uses: Uses,
    user: Option<User>,
    reason: &'static str,
    origin: &RequestOrigin,
) -> Result<Error> {
    let platform = &identity.platform;
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    record(identity, &tx, user.map(|user| user.id()), Outcome::Failure, json!({"reason": reason}), origin).await?;
    tx.commit().await?;
    Ok(ErrorCode::InvalidCredentials.into())
}

/// What the audit log calls a login.
pub(crate) const ACTION: &str = "auth.login";

/// Records a login, of somebody where it is known whose, and counts it. To be called last, as [`audit::record`].
pub async fn record(
    identity: &Identity,
    tx: &Transaction,
    user_id: Option<UserId>,
    outcome: Outcome,
    details: Value,
    origin: &RequestOrigin,
) -> Result<()> {
    let actor = match (outcome, user_id) {
        (Outcome::Success, Some(id)) => origin.actor(id),
        _ => origin.anonymous(),
    };
    let details = identity.settings.countries.add_to(details, origin.ip);
    let record = AuditRecord::new(None, actor, ACTION).outcome(outcome).details(details);
    let record = match user_id {
        Some(id) => record.target("user", id.0),
        None => record,
    };
    user::count_login(tx, user_id).await?;
    audit::record(tx, &identity.platform.clock, record).await
}

/// What a first proof led to.
#[derive(Debug)]
pub enum Entrance {
    Open(TokenSet),
    FactorRequired(FactorRequired),
}

impl Entrance {
    /// For the audit log.
    pub fn second_factor(&self) -> &'static str {
        match self {
            Self::Open(_) => "not asked for",
            Self::FactorRequired(_) => "asked for",
        }
    }
}

/// What the door needs to know beforehand: read before the transaction, which holds a connection of the pool of its
/// own.
#[derive(Debug)]
pub struct Way {
    place: Option<Place>,
    factors: Vec<mfa::Model>,
    has_backup_codes: bool,
    trusted_device: Option<device::Model>,
}

impl Way {
    pub async fn find(identity: &Identity, user: &User, step: &FirstStep, headers: &HeaderMap) -> Result<Self> {
        let db = identity.platform.db.read();
        let place = identity.place(user.id(), step.workspace_id, step.federated_by).await?;
        let factors = mfa::verified(db, user.id()).await?;
        let (mut has_backup_codes, mut trusted_device) = (false, None);
        if !factors.is_empty() {
            has_backup_codes = mfa::backup_codes::remaining(db, user.id()).await? > 0;
            let now = identity.platform.clock.now();
            let trusted_for = identity.directory.security(user.id()).await?.trusted_for();
            trusted_device = device::recognise(db, user.id(), headers, trusted_for, now).await?;
        }
        Ok(Self { place, factors, has_backup_codes, trusted_device })
    }

    /// Without the trust in a device, where a second factor is asked for that is fresh.
    pub fn asking_second_factor(mut self, asked: Option<bool>) -> Self {
        if asked == Some(true) {
            self.trusted_device = None;
        }
        self
    }

    /// Of an account that is made in the same transaction, and so has nothing but its place.
    pub fn of_new_account(place: Place) -> Self {
        Self { place: Some(place), factors: Vec::new(), has_backup_codes: false, trusted_device: None }
    }
}

/// [`enter`], and the record of a login: in what way, which `details` tell, and whether a second factor was asked for.
/// To be called last, as [`audit::record`].
pub async fn sign_in(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    step: FirstStep,
    way: Way,
    mut details: Value,
    origin: &RequestOrigin,
) -> Result<Entrance> {
    let entrance = enter(identity, tx, user, step, way, origin).await?;
    details["second_factor"] = json!(entrance.second_factor());
    record(identity, tx, Some(user.id()), Outcome::Success, details, origin).await?;
    Ok(entrance)
}

/// Lets somebody in whose first proof was right, or asks for the second.
pub async fn enter(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    step: FirstStep,
    way: Way,
    origin: &RequestOrigin,
) -> Result<Entrance> {
    let now = identity.platform.clock.now();
    let trusted_device = way.trusted_device.as_ref().map(|device| device.id);
    let proved_twice = session::names_two_factors(step.amr);
    if !way.factors.is_empty() && trusted_device.is_none() && !proved_twice {
        let token = pending_login::begin(tx, user.id(), &step, now).await?;
        let mut mfa_methods: Vec<&'static str> = Vec::new();
        for factor in &way.factors {
            if !mfa_methods.contains(&factor.kind.as_str()) {
                mfa_methods.push(factor.kind.as_str());
            }
        }
        if way.has_backup_codes {
            mfa_methods.push("backup_code");
        }
        return Ok(Entrance::FactorRequired(FactorRequired {
            temporary_token: token.expose().to_owned(),
            mfa_required: true,
            mfa_methods,
            message: FACTOR_REQUIRED,
        }));
    }
    if let Some(device) = &way.trusted_device {
        device.touch(tx, now).await?;
    }
    let FirstStep { amr, federated_by, given, session_lifetime, .. } = step;
    let proof = Proof { amr: amr.to_owned(), trusted_device, federated_by, given };
    let (_, tokens) = open_session(identity, tx, user, &proof, way.place, session_lifetime, origin).await?;
    Ok(Entrance::Open(tokens))
}

/// `SSO_REQUIRED`, with where it begins, for somebody to whom nothing would be open: all of their organizations demand their
/// identity provider. To be asked after the first proof, so that it tells a stranger nothing.
pub(crate) async fn require_federation(identity: &Identity, user: &User) -> Result<()> {
    let platform = &identity.platform;
    let security = identity.directory.security(user.id()).await?;
    if !security.is_single_sign_on_alone(platform.clock.now()) {
        return Ok(());
    }
    let mut url = url::Url::parse(&platform.public_url).map_err(Error::internal)?;
    url.set_path("/api/v1/sso/login");
    url.query_pairs_mut().append_pair("email", &user.email.email);
    Err(Error::new(ErrorCode::SsoRequired).with_details(vec![FieldError::new("login_url", url)]))
}

/// Opens a session for a person whose proofs are complete, and issues its tokens. Somebody who never signed in from
/// such a device or such a country is told by mail.
pub async fn open_session(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    proof: &Proof,
    place: Option<Place>,
    lifetime: Duration,
    origin: &RequestOrigin,
) -> Result<(session::Model, TokenSet)> {
    let is_new_device = session::is_from_new_device(tx.conn(), user.id(), origin).await?;
    let new_country = match identity.settings.countries.of(origin.ip) {
        Some(country) if session::is_from_new_country(tx.conn(), user.id(), &country).await? => Some(country),
        _ => None,
    };
    mails::send_new_origin(identity, tx, user, new_country.as_deref(), is_new_device, origin).await?;
    let (session, refresh_token) = session::open(identity, tx, user.id(), proof, place, lifetime, origin).await?;
    if let Some(place) = place {
        identity.directory.signed_in(tx, user.id(), place.organization_id, session.created_at).await?;
    }
    let security = identity.directory.security(user.id()).await?;
    for organization in security.exempt_in(session.federation(), session.created_at) {
        identity.directory.let_in_exempt(tx, organization, user.id(), &origin.actor(user.id())).await?;
    }
    let tokens = TokenSet::of(identity, &session, &refresh_token, session.created_at).await?;
    Ok((session, tokens))
}
