//! `POST /api/v1/auth/signup`: an account, an organization of its own, and a mail that proves the address.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result, Secret, Token, UserId};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord, Outcome},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, not_blank},
    idempotency::{self, Seen},
    limits::SIGNUP_BY_IP,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Identity,
    directory::Place,
    email_address, mails,
    one_time_token::{self, Purpose},
    password::PasswordPolicy,
    user::{NewUser, User, default_display_name},
};

/// A new account.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example", "password": "Correct1horse", "display_name": "Ada", "agree_to_terms": true}))]
pub struct SignupRequest {
    /// Lower-cased by the server; unique among all accounts.
    #[garde(skip)]
    pub email: String,
    /// 8 to 128 characters with an upper-case letter, a lower-case letter and a digit.
    #[garde(skip)]
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
    #[garde(inner(length(chars, min = 1, max = 255), custom(not_blank)))]
    pub display_name: Option<String>,
    /// Must be `true` if the server has terms.
    #[garde(skip)]
    pub agree_to_terms: Option<bool>,
    #[garde(inner(length(max = 50)))]
    pub terms_version: Option<String>,
    /// A repeat with the same key and body finds the same account. Kept for 24 hours.
    #[garde(inner(length(min = 1, max = 255)))]
    pub idempotency_key: Option<String>,
}

/// The account, waiting for its address to be verified.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedUp {
    /// 0 if the server hides whether an address is taken.
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub display_name: String,
    /// Asks for another verification mail; it is no access token.
    pub temporary_token: String,
    pub email_verification_required: bool,
    pub message: &'static str,
}

/// Stands for the id where taken addresses are hidden: ids count up, so a real one would tell.
const NOT_TOLD: UserId = UserId(0);

errors! { pub SignupErrors: InvalidRequest, Forbidden, EmailTaken, IdempotencyConflict, ValidationError, InvalidPassword, RateLimited; }

pub(crate) const SENT: &str = "The account was created; an e-mail with a link to verify the address is on its way.";

/// Register an account with e-mail and password
#[utoipa::path(post, path = "/api/v1/auth/signup", tag = "authentication", request_body = SignupRequest, security(()),
    responses((status = 201, description = "Created; the address still has to be verified", body = Envelope<SignedUp>), SignupErrors))]
pub async fn signup(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<SignupRequest>,
) -> Result<Reply<SignedUp>> {
    let platform = &identity.platform;
    require_open(&identity)?;
    let uses = platform.check_limits(&[(&SIGNUP_BY_IP, &origin.limit_key())]).await?;
    let email = email_address::normalise(&request.email, "email")?;
    let terms_version = accepted_terms(&identity, request.agree_to_terms, request.terms_version.as_deref())?;
    let display_name = request.display_name.unwrap_or_else(|| default_display_name(&email));
    let known = [email.as_str(), display_name.as_str()];
    let policy = PasswordPolicy::default();
    identity.passwords.check(&request.password, policy, &known, "password", ErrorCode::InvalidPassword).await?;
    let fingerprint = format!("{email}\n{display_name}\n{}", request.password.expose());
    let password_hash = identity.passwords.hash(request.password).await?;

    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    if let Some(key) = &request.idempotency_key
        && let Seen::Repeat(id) = idempotency::lookup(&tx, "auth.signup", key, &fingerprint, now).await?
    {
        let user = User::find(tx.conn(), UserId(id)).await?.ok_or(ErrorCode::Conflict)?;
        let answer = pending(&identity, &tx, &user).await?;
        tx.commit().await?;
        return Ok(Reply::created(answer, SENT));
    }
    if let Some(owner) = User::find_by_email(tx.conn(), &email).await? {
        return Ok(Reply::created(taken(&identity, tx, owner, display_name, &origin).await?, SENT));
    }
    let new = NewUser { email, display_name, password_hash: Some(password_hash), verified_at: None, terms_version };
    let user = new.insert(tx.conn(), now).await.map_err(duplicate_is(ErrorCode::EmailTaken))?;
    if let Some(key) = &request.idempotency_key {
        idempotency::remember(&tx, "auth.signup", key, &fingerprint, user.id().0, now).await?;
    }
    give_organization(&identity, &tx, &user).await?;
    mails::send_verification(&identity, &tx, &user).await?;
    let answer = pending(&identity, &tx, &user).await?;
    audit::record(
        &tx,
        &platform.clock,
        AuditRecord::new(None, origin.actor(user.id()), "auth.signup").target("user", user.id().0),
    )
    .await?;
    tx.commit().await?;
    Ok(Reply::created(answer, SENT))
}

/// New accounts are made where the operator lets everybody sign up.
pub(crate) fn require_open(identity: &Identity) -> Result<()> {
    match identity.settings.signup_open {
        true => Ok(()),
        false => {
            Err(Error::new(ErrorCode::Forbidden).with_message("Sign-up is closed; ask an administrator to add you."))
        }
    }
}

/// Every new account has an organization of its own, in which its first session stands.
pub(crate) async fn give_organization(identity: &Identity, tx: &Transaction, user: &User) -> Result<Place> {
    let name = format!("{}'s organization", user.account.display_name);
    identity.directory.create_personal_organization(tx, user.id(), &name).await
}

/// The answer for an account whose address is still to be verified.
pub(crate) async fn pending(identity: &Identity, tx: &Transaction, user: &User) -> Result<SignedUp> {
    let now = identity.platform.clock.now();
    let temporary_token = one_time_token::issue(tx, Purpose::PendingLogin, user.id(), None, now).await?;
    Ok(SignedUp {
        user_id: if identity.settings.hide_taken_addresses { NOT_TOLD } else { user.id() },
        email: user.email.email.clone(),
        display_name: user.account.display_name.clone(),
        temporary_token: temporary_token.expose().to_owned(),
        email_verification_required: !user.is_verified(),
        message: SENT,
    })
}

/// 409, or, where the operator hides taken addresses, an answer like any other and a mail to the owner.
pub(crate) async fn taken(
    identity: &Identity,
    tx: Transaction,
    owner: User,
    display_name: String,
    origin: &RequestOrigin,
) -> Result<SignedUp> {
    if !identity.settings.hide_taken_addresses {
        // The try counts, wherever else it is made.
        tx.commit().await?;
        return Err(ErrorCode::EmailTaken.into());
    }
    mails::send_address_taken(identity, &tx, &owner).await?;
    let record = AuditRecord::new(None, origin.anonymous(), "auth.signup")
        .target("user", owner.id().0)
        .outcome(Outcome::Failure);
    audit::record(&tx, &identity.platform.clock, record).await?;
    tx.commit().await?;
    Ok(SignedUp {
        user_id: NOT_TOLD,
        email: owner.email.email,
        display_name,
        // Of no account, and answered like one that has expired.
        temporary_token: Token::random(&mut rand::rng()).expose().to_owned(),
        email_verification_required: true,
        message: SENT,
    })
}

/// The version of the terms that a new account has accepted; 422 where the server's own are not.
pub(crate) fn accepted_terms(
    identity: &Identity,
    agree: Option<bool>,
    version: Option<&str>,
) -> Result<Option<String>> {
    match &identity.settings.terms_version {
        None => Ok(version.filter(|_| agree == Some(true)).map(str::to_owned)),
        Some(_) if agree != Some(true) => {
            Err(Error::invalid_field("agree_to_terms", "must be true: read and accept the terms"))
        }
        Some(current) => match version {
            Some(version) if version != current => {
                Err(Error::invalid_field("terms_version", format!("must be {current:?}, the terms in force")))
            }
            _ => Ok(Some(current.clone())),
        },
    }
}
