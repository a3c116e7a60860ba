//! `POST /api/v1/webauthn/authenticate/{start,complete}`: a sign-in with a passkey, with or without an address.
//!
//! The start answers alike for everybody: an address without passkeys is given one that does not exist. The end has one
//! refusal for all that is wrong.

use std::time::Duration;

use axum::extract::State;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result, UserId};
use rivergen_platform::{
    Transaction,
    audit::Outcome,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
    limits::Rule,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey, PasskeyAuthentication, PublicKeyCredential,
    RequestChallengeResponse,
};

use super::{Column, Entity, Model, NewChallenge, challenge, challenge::Purpose, normalised, of_user, take};
use crate::{
    Identity, email_address,
    login::{self, TokenSet},
    session::Proof,
    user::{User, address},
};

const BY_IP: Rule = Rule::new("webauthn_by_ip", 30, Duration::from_secs(15 * 60));
const BY_EMAIL: Rule = Rule::new("webauthn_by_email", 10, Duration::from_secs(15 * 60));
const TIMEOUT: u32 = 60_000;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example"}))]
pub struct StartAuthenticationRequest {
    /// Without it, for whatever passkey the device offers.
    #[garde(skip)]
    pub email: Option<String>,
}

/// What `navigator.credentials.get()` takes as `publicKey`; binary values in base64url.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    #[schema(examples("x3JVQ0xMnb0uYw…"))]
    pub challenge: String,
    pub allow_credentials: Vec<AllowedCredential>,
    /// Milliseconds.
    #[schema(examples(60000))]
    pub timeout: u32,
    #[schema(examples("required"))]
    pub user_verification: &'static str,
    #[schema(examples("rivergen.example"))]
    pub rp_id: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AllowedCredential {
    pub id: String,
    #[serde(rename = "type")]
    #[schema(examples("public-key"))]
    pub kind: &'static str,
    #[schema(examples(json!(["internal", "hybrid"])))]
    pub transports: Vec<String>,
}

errors! {
    pub StartAuthenticationErrors: AuthenticationStartFailed, InvalidRequest, ValidationError, RateLimited;
    pub CompleteAuthenticationErrors: AuthenticationCompletionFailed, InvalidRequest, InvalidAssertion, UserDisabled, SsoRequired, EmailNotVerified, ChallengeNotFound, ValidationError, RateLimited;
}

/// Start signing in with a passkey
#[utoipa::path(post, path = "/api/v1/webauthn/authenticate/start", tag = "webauthn", request_body = StartAuthenticationRequest, security(()),
    params(("x-device-fingerprint" = Option<String>, Header, description = "Accepted but not needed: a passkey asks for no further factor, so no device has to be trusted")),
    responses((status = 200, description = "Options for the authenticator, the same for known and unknown addresses", body = Envelope<RequestOptions>), StartAuthenticationErrors))]
pub async fn start_authentication(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<StartAuthenticationRequest>,
) -> Result<Reply<RequestOptions>> {
    let platform = &identity.platform;
    platform.limits.check(&BY_IP, &origin.limit_key())?;
    let webauthn = identity.settings.relying_party.get(ErrorCode::AuthenticationStartFailed)?;
    let failed = |error| Error::new(ErrorCode::AuthenticationStartFailed).with_source(error);
    let db = platform.db.read();
    let (mut allow_credentials, mut user_id, mut passkeys) = (Vec::new(), None, Vec::new());
    if let Some(email) = &request.email {
        let email = email_address::normalise(email, "email")?;
        platform.limits.check(&BY_EMAIL, &email)?;
        let user = User::find_by_email(db, &email).await?;
        // Made for known addresses too: it costs the same.
        let decoy = identity.decoys.of(platform, &email).await?;
        if let Some(user) = user {
            for row in of_user(db, user.id()).await? {
                passkeys.push(row.passkey()?);
                let transports = serde_json::from_value(row.transports).unwrap_or_default();
                allow_credentials.push(AllowedCredential { id: row.credential_id, kind: "public-key", transports });
            }
            user_id = Some(user.id());
        }
        if passkeys.is_empty() {
            let transports = vec!["internal".to_owned(), "hybrid".to_owned()];
            allow_credentials.push(AllowedCredential { id: decoy, kind: "public-key", transports });
        }
    }
    let (purpose, options, state): (_, RequestChallengeResponse, Value) = if passkeys.is_empty() {
        let (options, state) = webauthn.start_discoverable_authentication().map_err(failed)?;
        let purpose = if request.email.is_some() { Purpose::Decoy } else { Purpose::Discoverable };
        (purpose, options, serde_json::to_value(&state).map_err(Error::internal)?)
    } else {
        let (options, state) = webauthn.start_passkey_authentication(&passkeys).map_err(failed)?;
        (Purpose::Authentication, options, serde_json::to_value(&state).map_err(Error::internal)?)
    };
    let options = serde_json::to_value(&options.public_key).map_err(Error::internal)?;
    let text = |field: &str| options[field].as_str().unwrap_or_default().to_owned();
    let options = RequestOptions {
        challenge: text("challenge"),
        allow_credentials,
        timeout: TIMEOUT,
        user_verification: "required",
        rp_id: text("rpId"),
    };
    let tx = platform.db.begin().await?;
    let new = NewChallenge { challenge: &options.challenge, purpose, user_id, device_name: None, state };
    new.keep(&tx, platform.clock.now()).await?;
    tx.commit().await?;
    Ok(Reply::ok(options, "Sign the challenge with a passkey."))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example", "credential": {"id": "…", "rawId": "…", "type": "public-key",
    "response": {"authenticatorData": "…", "clientDataJSON": "…", "signature": "…", "userHandle": "…"}}}))]
pub struct CompleteAuthenticationRequest {
    /// What `navigator.credentials.get()` gave, binary values in base64url or base64.
    #[garde(skip)]
    #[schema(value_type = Object)]
    pub credential: Value,
    /// The same as at the start.
    #[garde(skip)]
    pub email: Option<String>,
}

/// Signed in with a passkey.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeySignedIn {
    #[serde(flatten)]
    pub tokens: TokenSet,
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub display_name: String,
    pub message: &'static str,
}

/// Finish a sign-in with a passkey
#[utoipa::path(post, path = "/api/v1/webauthn/authenticate/complete", tag = "webauthn", request_body = CompleteAuthenticationRequest, security(()),
    params(("x-device-fingerprint" = Option<String>, Header, description = "Accepted but not needed: a passkey asks for no further factor, so no device has to be trusted")),
    responses((status = 200, description = "Signed in; no further factor is asked for", body = Envelope<PasskeySignedIn>), CompleteAuthenticationErrors))]
pub async fn complete_authentication(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<CompleteAuthenticationRequest>,
) -> Result<Reply<PasskeySignedIn>> {
    let platform = &identity.platform;
    platform.limits.check(&BY_IP, &origin.limit_key())?;
    let credential = normalised(request.credential);
    // A registration is its person's alone: whoever signs in does not use it up.
    let of_sign_in = Condition::all().add(challenge::Column::Purpose.ne(Purpose::Registration));
    let challenge = take(&identity, &credential, of_sign_in).await?;
    let unreadable = |error: serde_json::Error| {
        Error::new(ErrorCode::AuthenticationCompletionFailed)
            .with_message("The credential cannot be read.")
            .with_source(error)
    };
    let answer: PublicKeyCredential = serde_json::from_value(credential).map_err(unreadable)?;
    let (row, user) = match find(&identity, &challenge, &answer, request.email.as_deref()).await? {
        Some(found) => found,
        None => return Err(refused(&identity, None, "unknown passkey", &origin).await?),
    };
    let mut passkey = row.passkey()?;
    let result = match verify(&identity, challenge, &answer, &passkey)? {
        Ok(result) => result,
        Err(reason) => return Err(refused(&identity, Some(&row), &reason, &origin).await?),
    };
    if user.account.disabled_at.is_some() {
        refused(&identity, Some(&row), "disabled", &origin).await?;
        return Err(ErrorCode::UserDisabled.into());
    }
    if !user.is_verified() {
        refused(&identity, Some(&row), "address not verified", &origin).await?;
        return Err(ErrorCode::EmailNotVerified.into());
    }
    if let Err(error) = login::require_federation(&identity, &user).await {
        refused(&identity, Some(&row), "single sign-on required", &origin).await?;
        return Err(error);
    }
    passkey.update_credential(&result);
    let place = identity.directory.home(user.id(), None).await?;

    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    if !use_up(&tx, &row, &passkey, &result, now).await? {
        drop(tx);
        // A copy of the key may be in other hands.
        return Err(refused(&identity, Some(&row), "the counter did not go on", &origin).await?);
    }
    // Possession and, by the verification flag, a PIN or a finger.
    let proof = Proof::of_passkey();
    let lifetime = identity.settings.session_lifetime;
    let (_, tokens) = login::open_session(&identity, &tx, &user, &proof, place, lifetime, &origin).await?;
    let details = json!({"method": "passkey", "credential": row.id});
    login::record(&identity, &tx, Some(user.id()), Outcome::Success, details, &origin).await?;
    tx.commit().await?;
    let message = "Signed in.";
    let signed_in = PasskeySignedIn {
        tokens,
        user_id: user.id(),
        email: user.email.email,
        display_name: user.account.display_name,
        message,
    };
    Ok(Reply::ok(signed_in, message))
}

/// The passkey that answered and its owner, where it may answer this challenge. Index:
/// webauthn_credentials(credential_id), unique.
async fn find(
    identity: &Identity,
    challenge: &challenge::Model,
    answer: &PublicKeyCredential,
    email: Option<&str>,
) -> Result<Option<(Model, User)>> {
    let db = identity.platform.db.read();
    let id = URL_SAFE_NO_PAD.encode(answer.get_credential_id());
    let Some(row) = Entity::find().filter(Column::CredentialId.eq(id)).one(db).await? else { return Ok(None) };
    let Some(user) = User::find(db, row.user_id).await? else { return Ok(None) };
    let handle = answer.get_user_unique_id();
    let handle_fits = handle.is_none_or(|handle| user.account.webauthn_handle.as_deref() == Some(handle));
    let fits = match challenge.purpose {
        Purpose::Authentication => challenge.user_id == Some(row.user_id) && handle_fits,
        // Without an address it is the handle that says who it is.
        Purpose::Discoverable => handle.is_some() && handle_fits,
        Purpose::Decoy | Purpose::Registration => false,
    };
    let is_named = match email {
        Some(email) => {
            let email = email_address::normalise(email, "email")?;
            address::of_user(db, user.id(), &email).await?.is_some()
        }
        None => true,
    };
    Ok((fits && is_named).then_some((row, user)))
}

/// Signature, challenge, origin, relying party, presence and verification; why not, for the audit log.
fn verify(
    identity: &Identity,
    challenge: challenge::Model,
    answer: &PublicKeyCredential,
    passkey: &Passkey,
) -> Result<Result<AuthenticationResult, String>> {
    let webauthn = identity.settings.relying_party.get(ErrorCode::AuthenticationCompletionFailed)?;
    let verified = match challenge.purpose {
        Purpose::Authentication => {
            let state: PasskeyAuthentication = serde_json::from_value(challenge.state).map_err(Error::internal)?;
            webauthn.finish_passkey_authentication(answer, &state)
        }
        _ => {
            let state: DiscoverableAuthentication = serde_json::from_value(challenge.state).map_err(Error::internal)?;
            webauthn.finish_discoverable_authentication_v2(answer, state, passkey)
        }
    };
    Ok(match verified {
        Ok(result) if result.user_verified() => Ok(result),
        Ok(_) => Err("the user was not verified".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

/// Writes the use down. Refuses a counter that is not beyond the last one, also of two answers at the same moment; a
/// passkey that is synchronised counts nothing and sends 0 always.
async fn use_up(
    tx: &Transaction,
    row: &Model,
    passkey: &Passkey,
    result: &AuthenticationResult,
    now: DateTime<Utc>,
) -> Result<bool> {
    let counter = i64::from(result.counter());
    let goes_on = match counter {
        0 => Column::SignCount.eq(0),
        _ => Column::SignCount.lt(counter),
    };
    let used = Entity::update_many()
        .col_expr(Column::Passkey, Expr::value(serde_json::to_value(passkey).map_err(Error::internal)?))
        .col_expr(Column::SignCount, Expr::value(counter))
        .col_expr(Column::BackedUp, Expr::value(result.backup_state()))
        .col_expr(Column::UsageCount, Expr::col(Column::UsageCount).add(1))
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.eq(row.id))
        .filter(goes_on)
        .exec(tx.conn())
        .await?;
    Ok(used.rows_affected == 1)
}

/// Records a refused sign-in and gives the one answer for all of them: which passkeys there are is not told.
async fn refused(identity: &Identity, row: Option<&Model>, reason: &str, origin: &RequestOrigin) -> Result<Error> {
    let tx = identity.platform.db.begin().await?;
    let details = json!({"method": "passkey", "reason": reason});
    login::record(identity, &tx, row.map(|row| row.user_id), Outcome::Failure, details, origin).await?;
    tx.commit().await?;
    Ok(ErrorCode::InvalidAssertion.into())
}
