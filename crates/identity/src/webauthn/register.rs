//! `POST /api/v1/webauthn/register/{start,complete}`: a passkey is made and kept.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{CredentialId, Error, ErrorCode, Result, UserId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::Expr};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use webauthn_rs::prelude::{Credential, CredentialID, PasskeyRegistration, RegisterPublicKeyCredential, Uuid};

use super::{
    ActiveModel, MOST_PASSKEYS, NewChallenge,
    challenge::{self, Purpose},
    count, normalised, of_user, take,
};
use crate::{
    Identity, mails,
    user::{User, account},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"device_name": "Ada's laptop"}))]
pub struct StartRegistrationRequest {
    /// What to call the passkey.
    #[garde(length(chars, min = 1, max = 100))]
    pub device_name: String,
}

/// What `navigator.credentials.create()` takes as `publicKey`; binary values in base64url.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CreationOptions {
    #[schema(examples("x3JVQ0xMnb0uYw…"))]
    pub challenge: String,
    pub rp: RelyingPartyEntity,
    pub user: UserEntity,
    #[serde(rename = "pubKeyCredParams")]
    pub pub_key_cred_params: Vec<CredentialParameters>,
    #[serde(rename = "authenticatorSelection")]
    pub authenticator_selection: AuthenticatorSelection,
    /// Milliseconds.
    #[schema(examples(60000))]
    pub timeout: u32,
    #[schema(examples("none"))]
    pub attestation: String,
    /// Passkeys that the person has already.
    #[serde(rename = "excludeCredentials", default)]
    pub exclude_credentials: Vec<ExcludedCredential>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RelyingPartyEntity {
    #[schema(examples("RiverGen"))]
    pub name: String,
    #[schema(examples("rivergen.example"))]
    pub id: String,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UserEntity {
    /// Random; it tells nothing of the person.
    pub id: String,
    #[schema(examples("ada@acme.example"))]
    pub name: String,
    #[serde(rename = "displayName")]
    #[schema(examples("Ada"))]
    pub display_name: String,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CredentialParameters {
    #[serde(rename = "type")]
    #[schema(examples("public-key"))]
    pub kind: String,
    /// A COSE algorithm.
    #[schema(examples(-7))]
    pub alg: i64,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuthenticatorSelection {
    #[serde(rename = "userVerification")]
    #[schema(examples("required"))]
    pub user_verification: String,
    #[serde(rename = "residentKey", default)]
    #[schema(examples("preferred"))]
    pub resident_key: String,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExcludedCredential {
    pub id: String,
    #[serde(rename = "type")]
    #[schema(examples("public-key"))]
    pub kind: String,
}

errors! {
    pub StartRegistrationErrors: RegistrationStartFailed, InvalidRequest, Unauthorized, TokenExpired, ReauthenticationRequired, EmailNotVerified, UserNotFound, ValidationError;
    pub CompleteRegistrationErrors: RegistrationCompletionFailed, InvalidAttestation, InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, UserNotFound, ChallengeNotFound, ValidationError;
}

/// Milliseconds that a person has to touch their authenticator.
const TIMEOUT: u32 = 60_000;

/// Start registering a passkey
#[utoipa::path(post, path = "/api/v1/webauthn/register/start", tag = "webauthn", request_body = StartRegistrationRequest,
    responses((status = 201, description = "Options for the authenticator; the challenge is valid for five minutes", body = Envelope<CreationOptions>), StartRegistrationErrors))]
pub async fn start_registration(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    Json(request): Json<StartRegistrationRequest>,
) -> Result<Reply<CreationOptions>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    caller.recently_proved(now)?;
    let webauthn = identity.settings.relying_party.get(ErrorCode::RegistrationStartFailed)?;
    let failed = |error| Error::new(ErrorCode::RegistrationStartFailed).with_source(error);

    let tx = platform.db.begin().await?;
    let user = User::find(tx.conn(), caller.user_id).await?.ok_or(ErrorCode::UserNotFound)?;
    let rows = of_user(tx.conn(), user.id()).await?;
    if rows.len() as u64 >= MOST_PASSKEYS {
        return Err(Error::new(ErrorCode::RegistrationStartFailed).with_message(too_many()));
    }
    let mut known: Vec<CredentialID> = Vec::new();
    for row in rows {
        known.push(row.passkey()?.cred_id().clone());
    }
    let handle = handle_of(&tx, &user).await?;
    let address = &user.email.email;
    // An authenticator is not asked to show nothing.
    let name = Some(&user.account.display_name).filter(|name| !name.trim().is_empty()).unwrap_or(address);
    let (options, state) = webauthn.start_passkey_registration(handle, address, name, Some(known)).map_err(failed)?;
    let options = serde_json::to_value(&options.public_key).map_err(Error::internal)?;
    let mut options: CreationOptions = serde_json::from_value(options).map_err(Error::internal)?;
    // A passkey that the device keeps opens without an address; one that cannot is welcome too.
    options.authenticator_selection.resident_key = "preferred".to_owned();
    options.timeout = TIMEOUT;
    let new = NewChallenge {
        challenge: &options.challenge,
        purpose: Purpose::Registration,
        user_id: Some(user.id()),
        device_name: Some(request.device_name),
        state: serde_json::to_value(&state).map_err(Error::internal)?,
    };
    new.keep(&tx, now).await?;
    tx.commit().await?;
    Ok(Reply::created(options, "Create the passkey with these options."))
}

fn too_many() -> String {
    format!("You already have {MOST_PASSKEYS} passkeys, the most allowed; remove one first.")
}

/// What authenticators know the account by; made when it is first needed.
async fn handle_of(tx: &Transaction, user: &User) -> Result<Uuid> {
    if let Some(handle) = &user.account.webauthn_handle {
        return Uuid::from_slice(handle).map_err(Error::internal);
    }
    let handle = Uuid::from_bytes(rand::random());
    // Of two first registrations at once only one makes it, and the other waits and reads it.
    account::Entity::update_many()
        .col_expr(account::Column::WebauthnHandle, Expr::value(handle.as_bytes().to_vec()))
        .filter(account::Column::Id.eq(user.id()))
        .filter(account::Column::WebauthnHandle.is_null())
        .exec(tx.conn())
        .await?;
    let row = account::Entity::find_by_id(user.id()).one(tx.conn()).await?;
    let kept = row.and_then(|row| row.webauthn_handle).ok_or(ErrorCode::UserNotFound)?;
    Uuid::from_slice(&kept).map_err(Error::internal)
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"device_name": "Ada's laptop", "credential": {"id": "…", "rawId": "…", "type": "public-key",
    "response": {"attestationObject": "…", "clientDataJSON": "…"}}}))]
pub struct CompleteRegistrationRequest {
    /// What `navigator.credentials.create()` gave, binary values in base64url or base64.
    #[garde(skip)]
    #[schema(value_type = Object)]
    pub credential: Value,
    /// The same as at the start.
    #[garde(length(chars, min = 1, max = 100))]
    pub device_name: String,
}

/// The passkey is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisteredCredential {
    pub credential_id: CredentialId,
    #[schema(examples("Ada's laptop"))]
    pub device_name: String,
    pub created_at: DateTime<Utc>,
    pub message: &'static str,
}

/// Finish registering a passkey
#[utoipa::path(post, path = "/api/v1/webauthn/register/complete", tag = "webauthn", request_body = CompleteRegistrationRequest,
    responses((status = 200, description = "Registered", body = Envelope<RegisteredCredential>), CompleteRegistrationErrors))]
pub async fn complete_registration(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CompleteRegistrationRequest>,
) -> Result<Reply<RegisteredCredential>> {
    let platform = &identity.platform;
    caller.session()?;
    let webauthn = identity.settings.relying_party.get(ErrorCode::RegistrationCompletionFailed)?;
    let credential = normalised(request.credential);
    let is_callers = Condition::all()
        .add(challenge::Column::Purpose.eq(Purpose::Registration))
        .add(challenge::Column::UserId.eq(caller.user_id));
    let challenge = take(&identity, &credential, is_callers).await?;
    if challenge.device_name.as_ref() != Some(&request.device_name) {
        return Err(ErrorCode::RegistrationCompletionFailed.into());
    }
    let unreadable = |error: serde_json::Error| {
        Error::new(ErrorCode::RegistrationCompletionFailed)
            .with_message("The credential cannot be read.")
            .with_source(error)
    };
    let answer: RegisterPublicKeyCredential = serde_json::from_value(credential.clone()).map_err(unreadable)?;
    let state: PasskeyRegistration = serde_json::from_value(challenge.state).map_err(Error::internal)?;
    // Challenge, origin, relying party, presence, verification, attestation.
    let passkey = webauthn
        .finish_passkey_registration(&answer, &state)
        .map_err(|error| Error::new(ErrorCode::InvalidAttestation).with_source(error))?;

    let kept = new_row(caller.user_id, request.device_name, passkey, &credential, platform.clock.now())?;
    let tx = platform.db.begin().await?;
    // Of two registrations at once the second sees the passkey of the first.
    let user = User::lock(&tx, caller.user_id).await?.ok_or(ErrorCode::UserNotFound)?;
    if count(tx.conn(), user.id()).await? >= MOST_PASSKEYS {
        return Err(Error::new(ErrorCode::RegistrationCompletionFailed).with_message(too_many()));
    }
    let row = kept.insert(tx.conn()).await.map_err(duplicate_is(
        Error::new(ErrorCode::RegistrationCompletionFailed).with_message("This passkey is already registered."),
    ))?;
    tx.publish(Event::UserChanged(user.id())).await?;
    mails::send_passkey_changed(&identity, &tx, &user, &row.device_name, true).await?;
    let record = AuditRecord::new(None, origin.actor(user.id()), "webauthn.register")
        .target("webauthn_credential", row.id.0)
        .details(serde_json::json!({"device_name": row.device_name, "backed_up": row.backed_up}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The passkey was registered.";
    let registered = RegisteredCredential {
        credential_id: row.id,
        device_name: row.device_name,
        created_at: row.created_at,
        message,
    };
    Ok(Reply::ok(registered, message))
}

fn new_row(
    user_id: UserId,
    device_name: String,
    passkey: webauthn_rs::prelude::Passkey,
    answer: &Value,
    now: DateTime<Utc>,
) -> Result<ActiveModel> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let stored = serde_json::to_value(&passkey).map_err(Error::internal)?;
    let credential = Credential::from(passkey);
    // What the authenticator says of itself; only known words are kept.
    let transports: Vec<&str> = answer["response"]["transports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|word| ["usb", "nfc", "ble", "internal", "hybrid"].contains(word))
        .collect();
    Ok(ActiveModel {
        user_id: Set(user_id),
        device_name: Set(device_name),
        credential_id: Set(URL_SAFE_NO_PAD.encode(&credential.cred_id)),
        passkey: Set(stored),
        transports: Set(serde_json::json!(transports)),
        backup_eligible: Set(credential.backup_eligible),
        backed_up: Set(credential.backup_state),
        sign_count: Set(i64::from(credential.counter)),
        usage_count: Set(0),
        created_at: Set(now),
        last_used_at: Set(None),
        ..Default::default()
    })
}
