//! Authenticator apps (RFC 6238): SHA-1, six digits, thirty seconds, the one set that every app knows.
//!
//! The seed has 160 bits (RFC 4226, section 4) and lies sealed. A code of the step before or after is taken, for
//! clocks that drift, and each step only once.

use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use garde::Validate;
use qrcode::{EcLevel, QrCode, render::svg};
use rand::Rng;
use rivergen_kernel::{Error, ErrorCode, FactorId, Result};
use rivergen_platform::{
    Platform, Transaction, errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
    vault::Owner,
};
use sea_orm::{ActiveValue::Set, Condition, ConnectionTrait, IntoActiveModel, entity::prelude::*, sea_query::Expr};
use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Secret, Totp};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{Column, Entity, Kind, Model, SECRET_CONTEXT, backup_codes, lockout};
use crate::{Identity, user::User};

const SEED_BYTES: usize = 20;
/// Wrong codes after which a setup is to be started anew.
const MAX_WRONG_CODES: i32 = 9;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"device_name": "Ada's phone"}))]
pub struct TotpSetupRequest {
    /// What to call the app.
    #[garde(length(chars, min = 1, max = 100))]
    pub device_name: String,
}

/// The seed, in the ways that apps take it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotpSetup {
    /// Base32.
    #[schema(examples("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"))]
    pub secret: String,
    /// An SVG as a data URL.
    #[schema(examples("data:image/svg+xml;base64,PHN2Zy…"))]
    pub qr_code: String,
    /// The seed in groups of four, to be typed.
    #[schema(examples("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"))]
    pub manual_entry_key: String,
    pub device_name: String,
    /// Always empty: backup codes come with the confirmation.
    pub backup_codes: Vec<String>,
}

errors! {
    pub SetupErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, TotpAlreadyEnabled, ValidationError;
    pub VerifyErrors: InvalidCode, NoPendingSetup, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, TotpAlreadyEnabled, ValidationError, TooManyAttempts;
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, DeviceListError;
    pub RemoveErrors: Unauthorized, TokenExpired, ReauthenticationRequired, EmailNotVerified, DeviceNotFound, MfaRequiredByOrganization, DeviceRemoveError;
}

/// Start setting up an authenticator app
#[utoipa::path(post, path = "/api/v1/mfa/totp/setup", tag = "mfa", request_body = TotpSetupRequest,
    responses((status = 200, description = "The secret; nothing is active until a first code confirms it", body = Envelope<TotpSetup>), SetupErrors))]
pub async fn setup_totp(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    Json(request): Json<TotpSetupRequest>,
) -> Result<Reply<TotpSetup>> {
    let platform = &identity.platform;
    caller.session()?;
    let now = platform.clock.now();
    let mut seed = Zeroizing::new([0u8; SEED_BYTES]);
    rand::rng().fill_bytes(seed.as_mut());
    let totp = generator(seed.as_ref(), &identity.settings.mfa_issuer, &caller.email)?;

    let tx = platform.db.begin().await?;
    refuse_taken_name(tx.conn(), caller.user_id, &request.device_name).await?;
    let sealed = platform.vault.seal(&tx, Owner::System, SECRET_CONTEXT, seed.as_ref()).await?;
    super::begin_setup(&tx, caller.user_id, Kind::Totp, Some(request.device_name.clone()), sealed, now).await?;
    tx.commit().await?;

    let secret = totp.secret().to_base32();
    let manual_entry_key = secret.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
    let setup = TotpSetup {
        qr_code: qr_code(&totp.to_url().map_err(Error::internal)?)?,
        secret,
        manual_entry_key,
        device_name: request.device_name,
        backup_codes: Vec::new(),
    };
    Ok(Reply::ok(setup, "TOTP setup initiated successfully"))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"code": "123456"}))]
pub struct TotpVerifyRequest {
    /// What the app shows.
    #[garde(custom(super::six_digits))]
    pub code: String,
    /// Another name for the app than at the start.
    #[garde(inner(length(chars, min = 1, max = 100)))]
    pub device_name: Option<String>,
}

/// The factor is on.
#[derive(Debug, Serialize, ToSchema)]
pub struct FactorEnabled {
    #[schema(examples(true))]
    pub success: bool,
    /// Only shown this once. Empty if an earlier set still works.
    #[schema(examples(json!(["K7QD-2MPX"])))]
    pub backup_codes: Vec<String>,
    pub message: &'static str,
}

/// Confirm an authenticator app with its first code
#[utoipa::path(post, path = "/api/v1/mfa/totp/verify", tag = "mfa", request_body = TotpVerifyRequest,
    responses((status = 200, description = "On; the backup codes are only shown this once", body = Envelope<FactorEnabled>), VerifyErrors))]
pub async fn verify_totp(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<TotpVerifyRequest>,
) -> Result<Reply<FactorEnabled>> {
    let platform = &identity.platform;
    let session = caller.session()?;
    let now = platform.clock.now();
    let codes = backup_codes::NewSet::for_first_factor(&identity, caller.user_id).await?;

    let tx = platform.db.begin().await?;
    let attempt = lockout::enter(&tx, caller.user_id, Kind::Totp.as_str(), now).await?;
    let pending = super::pending(tx.conn(), caller.user_id, Kind::Totp, MAX_WRONG_CODES, now).await?;
    let Some(step) = matching_step(platform, &pending, &request.code, now).await? else {
        return Err(super::refuse_code(tx, attempt, pending, now).await?);
    };
    attempt.right(&tx).await?;
    let mut setup = pending.into_active_model();
    if let Some(name) = request.device_name {
        refuse_taken_name(tx.conn(), caller.user_id, &name).await?;
        setup.device_name = Set(Some(name));
    }
    setup.last_step = Set(Some(step));
    let backup_codes = super::confirm(&identity, &tx, caller.user_id, setup, session, codes, &origin).await?;
    tx.commit().await?;
    let message = "The authenticator is set up.";
    Ok(Reply::ok(FactorEnabled { success: true, backup_codes, message }, message))
}

/// An authenticator app that is set up.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotpDevice {
    pub id: FactorId,
    #[schema(examples("Ada's phone"))]
    pub device_name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub is_primary: bool,
    pub verified: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TotpDevices {
    pub devices: Vec<TotpDevice>,
    pub total_count: usize,
}

/// List your authenticator apps
#[utoipa::path(get, path = "/api/v1/mfa/totp/devices", tag = "mfa",
    responses((status = 200, description = "Those that are set up, the primary one first", body = Envelope<TotpDevices>), ListErrors))]
pub async fn list_totp_devices(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
) -> Result<Reply<TotpDevices>> {
    caller.session()?;
    let factors = super::verified(identity.platform.db.read(), caller.user_id).await;
    let factors = factors.map_err(|error| error.or_internally(ErrorCode::DeviceListError))?;
    let devices: Vec<TotpDevice> = factors
        .into_iter()
        .filter(|factor| factor.kind == Kind::Totp)
        .map(|factor| TotpDevice {
            id: factor.id,
            device_name: factor.device_name.unwrap_or_default(),
            kind: factor.kind,
            created_at: factor.created_at,
            last_used_at: factor.last_used_at,
            is_primary: factor.is_primary,
            verified: true,
        })
        .collect();
    let total_count = devices.len();
    Ok(Reply::ok(TotpDevices { devices, total_count }, "Authenticators."))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TotpRemoved {
    #[schema(examples(true))]
    pub success: bool,
    pub message: &'static str,
}

/// Remove an authenticator app
#[utoipa::path(delete, path = "/api/v1/mfa/totp/devices/{device_id}", tag = "mfa",
    params(("device_id" = FactorId, Path, description = "From the list of authenticators")),
    responses((status = 200, description = "TotpRemoved", body = Envelope<TotpRemoved>), RemoveErrors))]
pub async fn remove_totp_device(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<FactorId>,
) -> Result<Reply<TotpRemoved>> {
    let platform = &identity.platform;
    caller.recently_proved(platform.clock.now())?;
    let removed = async {
        let tx = platform.db.begin().await?;
        let factor = Entity::find_by_id(id)
            .filter(Column::UserId.eq(caller.user_id))
            .filter(Column::Kind.eq(Kind::Totp))
            .filter(Column::VerifiedAt.is_not_null())
            .one(tx.conn())
            .await?
            .ok_or(ErrorCode::DeviceNotFound)?;
        let user = User::find(tx.conn(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
        super::remove(&identity, &tx, &user, factor, &origin).await?;
        tx.commit().await
    };
    removed.await.map_err(|error| error.or_internally(ErrorCode::DeviceRemoveError))?;
    let message = "The authenticator was removed.";
    Ok(Reply::ok(TotpRemoved { success: true, message }, message))
}

/// Takes a code of any of the person's apps, once; says why not.
pub(super) async fn accept(
    platform: &Platform,
    tx: &Transaction,
    factors: &[Model],
    code: &str,
    now: DateTime<Utc>,
) -> Result<Result<(), &'static str>> {
    let mut refusal = "wrong code";
    for factor in factors.iter().filter(|factor| factor.kind == Kind::Totp) {
        let Some(step) = matching_step(platform, factor, code, now).await? else { continue };
        // Of two requests with one code only one moves the step on.
        let taken = Entity::update_many()
            .col_expr(Column::LastStep, Expr::value(step))
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::Id.eq(factor.id))
            .filter(Condition::any().add(Column::LastStep.is_null()).add(Column::LastStep.lt(step)))
            .exec(tx.conn())
            .await?;
        if taken.rows_affected == 1 {
            return Ok(Ok(()));
        }
        refusal = "code used before";
    }
    Ok(Err(refusal))
}

/// The time step whose code this is.
async fn matching_step(platform: &Platform, factor: &Model, code: &str, now: DateTime<Utc>) -> Result<Option<i64>> {
    let sealed = factor.sealed_secret.as_ref().ok_or_else(|| Error::internal("an authenticator without its seed"))?;
    let seed = platform.vault.open(Owner::System, SECRET_CONTEXT, sealed).await?;
    let totp = generator(&seed, "", "")?;
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Ok(totp.check(code, seconds).and_then(|step| i64::try_from(step).ok()))
}

fn generator(seed: &[u8], issuer: &str, account: &str) -> Result<Totp> {
    // A colon separates the two in the label of an app.
    let (issuer, account) = (issuer.replace(':', " "), account.replace(':', " "));
    let builder = Builder::new().with_secret(Secret::from(seed.to_vec())).with_account_name(account);
    let builder = if issuer.is_empty() { builder } else { builder.with_issuer(Some(issuer)) };
    builder.build().map_err(|error| Error::internal(error.to_string()))
}

fn qr_code(url: &str) -> Result<String> {
    let code = QrCode::with_error_correction_level(url, EcLevel::M).map_err(Error::internal)?;
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    Ok(format!("data:image/svg+xml;base64,{}", STANDARD.encode(drawn)))
}

async fn refuse_taken_name(db: &impl ConnectionTrait, user_id: rivergen_kernel::UserId, name: &str) -> Result<()> {
    let taken = super::verified(db, user_id).await?;
    match taken.iter().any(|factor| factor.device_name.as_deref() == Some(name)) {
        true => Err(ErrorCode::TotpAlreadyEnabled.into()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, for SHA-1; of its eight digits the last six.
        let totp = generator(b"12345678901234567890", "", "").unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp.generate(seconds).to_string(), code);
            assert_eq!(totp.check(code, seconds), Some(seconds / 30));
            // One step either side, and no further.
            assert!(totp.check(code, seconds + 30).is_some() && totp.check(code, seconds - 30).is_some());
            assert!(
                totp.check(code, seconds + 60).is_none() && (seconds < 60 || totp.check(code, seconds - 60).is_none())
            );
        }
    }

    #[test]
    fn the_label_names_issuer_and_account() {
        let totp = generator(b"12345678901234567890", "River: Gen", "ada@acme.example").unwrap();
        let url = totp.to_url().unwrap();
        assert!(url.starts_with("otpauth://totp/") && url.contains("issuer=River") && url.contains("ada"), "{url}");
        let drawn = qr_code(&url).unwrap();
        assert!(drawn.starts_with("data:image/svg+xml;base64,PD94bWwg"), "{drawn}");
    }
}
