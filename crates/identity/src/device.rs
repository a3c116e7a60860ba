//! Trusted devices: on one of them the password is enough, for a month, where the person's organizations allow it.
//!
//! ```text
//! mfa/verify ─▶ proposed, with an activation token of five minutes ─▶ activate: a random secret, in a cookie
//!                                                                   └▶ skip: forgotten
//! ```
//!
//! Trust needs the secret, which only the device has. The fingerprint is a second signal: where one is sent and it is
//! another than at the activation, the secret counts for nothing. All trust falls with a change of the password and
//! with the last factor.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{AppendHeaders, IntoResponse},
};
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_kernel::{
    DeviceId, Error, ErrorCode, OrganizationId, Permission, Result, SessionId, Token, TokenHash, UserId,
};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord},
    db::page_by,
    errors,
    http::{Envelope, Json, Path, Query, Reply, RequestOrigin, SignedIn, SkipLimit},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, IntoActiveModel, QueryOrder, entity::prelude::*,
    sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Identity, cookies, mails, session, user::User};

const ACTIVATION: Duration = Duration::minutes(5);
const COOKIE: &str = "rivergen_device";
/// For clients without cookies.
const HEADER: &str = "x-device-token";
const FINGERPRINT: &str = "x-device-fingerprint";
const LONGEST_FINGERPRINT: usize = 4096;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trusted_devices")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DeviceId,
    pub user_id: UserId,
    pub device_name: String,
    pub fingerprint_hash: Option<TokenHash>,
    pub user_agent: Option<String>,
    pub ip: Option<String>,
    /// Where the session stood that it was activated in.
    pub organization_id: Option<OrganizationId>,
    /// `None` once it is used.
    pub activation_hash: Option<TokenHash>,
    pub activating_session_id: SessionId,
    pub activation_expires_at: DateTime<Utc>,
    /// Set with the activation.
    pub secret_hash: Option<TokenHash>,
    pub created_at: DateTime<Utc>,
    pub activated_at: Option<DateTime<Utc>>,
    pub trusted_until: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The header that tells of the client's device: JSON, at most 4 KiB.
pub fn fingerprint(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get(FINGERPRINT) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| text.len() <= LONGEST_FINGERPRINT);
    let json = text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let wrong = || Error::invalid_field(FINGERPRINT, "must be JSON of at most 4096 bytes");
    // In one form, so that the order of the keys does not matter.
    let mut json = json.ok_or_else(wrong)?;
    json.sort_all_objects();
    Ok(Some(json.to_string()))
}

/// The secret of the device, from its cookie or the header.
pub fn secret(headers: &HeaderMap) -> Option<&str> {
    if let Some(token) = headers.get(HEADER) {
        return token.to_str().ok();
    }
    cookies::read(headers, COOKIE)
}

/// The device that a login comes from, if the person trusts it and a device may be trusted for so long. Index:
/// trusted_devices(secret_hash), unique.
pub async fn recognise(
    db: &impl ConnectionTrait,
    user_id: UserId,
    headers: &HeaderMap,
    trusted_for: Duration,
    now: DateTime<Utc>,
) -> Result<Option<Model>> {
    let Some(secret) = secret(headers) else { return Ok(None) };
    let found = Entity::find().filter(Column::SecretHash.eq(TokenHash::of(secret))).one(db).await?;
    let shown = fingerprint(headers)?.map(|text| TokenHash::of(&text));
    Ok(found.filter(|device| {
        device.user_id == user_id
            && device.ends_at(trusted_for).is_some_and(|end| now < end)
            && (shown.is_none() || device.fingerprint_hash == shown)
    }))
}

impl Model {
    /// When the trust ends by itself: as was said at the activation, and when it is older than trust may be by now. `None`
    /// before the activation.
    fn ends_at(&self, trusted_for: Duration) -> Option<DateTime<Utc>> {
        Some(self.trusted_until?.min(self.activated_at? + trusted_for))
    }

    pub async fn touch(&self, tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::Id.eq(self.id))
            .exec(tx.conn())
            .await?;
        Ok(())
    }
}

/// A device that may be trusted from now on.
#[derive(Debug, Serialize, ToSchema)]
pub struct PendingDevice {
    pub id: DeviceId,
    #[schema(examples("Firefox on Linux"))]
    pub device_name: String,
    /// For `/api/v1/devices/activate` or `/api/v1/devices/skip`, within five minutes.
    pub activation_token: String,
    pub expires_at: DateTime<Utc>,
    /// Always `false`.
    pub is_active: bool,
}

/// Offers to trust the device of a session that was just opened with two factors.
pub async fn propose(
    tx: &Transaction,
    session: &session::Model,
    fingerprint: &str,
    origin: &RequestOrigin,
    now: DateTime<Utc>,
) -> Result<PendingDevice> {
    let token = Token::random(&mut rand::rng());
    let row = ActiveModel {
        user_id: Set(session.user_id),
        device_name: Set(name_of(origin.user_agent.as_deref().unwrap_or_default())),
        fingerprint_hash: Set(Some(TokenHash::of(fingerprint))),
        user_agent: Set(origin.user_agent.clone()),
        ip: Set(origin.ip.map(|ip| ip.to_string())),
        organization_id: Set(session.organization_id),
        activation_hash: Set(Some(token.hash())),
        activating_session_id: Set(session.id),
        activation_expires_at: Set(now + ACTIVATION),
        secret_hash: Set(None),
        created_at: Set(now),
        activated_at: Set(None),
        trusted_until: Set(None),
        last_used_at: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    Ok(PendingDevice {
        id: row.id,
        device_name: row.device_name,
        activation_token: token.expose().to_owned(),
        expires_at: row.activation_expires_at,
        is_active: false,
    })
}

/// Takes all trust away from a person's devices.
pub async fn forget_all(tx: &Transaction, user_id: UserId) -> Result<()> {
    Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(tx.conn()).await?;
    Ok(())
}

/// Browser and system in words, from the user agent.
pub(crate) fn name_of(user_agent: &str) -> String {
    let first = |words: &[(&'static str, &'static str)]| {
        words.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    // In this order: each browser also names those that it descends from.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "Unknown device".to_owned(),
    }
}

/// A trusted device as its person sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrustedDevice {
    pub id: DeviceId,
    #[schema(examples("Firefox on Linux"))]
    pub device_name: String,
    /// The beginning of its hash: enough to tell two apart.
    #[schema(examples("9f86d081"))]
    pub device_fingerprint: String,
    pub user_agent: Option<String>,
    pub ip_address: Option<String>,
    pub is_active: bool,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub trusted_until: Option<DateTime<Utc>>,
}

impl TrustedDevice {
    fn new(row: Model, trusted_for: Duration) -> Self {
        Self {
            trusted_until: row.ends_at(trusted_for),
            id: row.id,
            device_name: row.device_name,
            device_fingerprint: row.fingerprint_hash.map(|hash| hex::encode(&hash.0[..4])).unwrap_or_default(),
            user_agent: row.user_agent,
            ip_address: row.ip,
            is_active: row.activated_at.is_some(),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"activation_token": "mVxN3…"}))]
pub struct ActivationRequest {
    /// From the second step of the login.
    #[garde(length(min = 1, max = 200))]
    pub activation_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Activated {
    pub device: TrustedDevice,
    /// The device's secret, for clients without cookies: send it as `x-device-token` at login. Only shown this once.
    pub device_token: String,
}

errors! {
    pub ActivateErrors: InvalidActivationToken, ActivationTokenExpired, InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError;
    pub SkipErrors: InvalidActivationToken, InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError;
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, NotFound, ValidationError;
    pub RevokeErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, DeviceNotFound;
}

/// Trust the device of the last two-factor sign-in
#[utoipa::path(post, path = "/api/v1/devices/activate", tag = "devices", request_body = ActivationRequest,
    responses((status = 200, description = "Trusted; its secret is also in a cookie", body = Envelope<Activated>), ActivateErrors))]
pub async fn activate_device(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ActivationRequest>,
) -> Result<impl IntoResponse> {
    let platform = &identity.platform;
    let session = caller.session()?;
    let now = platform.clock.now();
    let trusted_for = identity.directory.security(caller.user_id).await?.trusted_for();
    let tx = platform.db.begin().await?;
    let pending = pending(&tx, caller.user_id, session, &request.activation_token).await?;
    if now >= pending.activation_expires_at {
        return Err(ErrorCode::ActivationTokenExpired.into());
    }
    if trusted_for <= Duration::zero() {
        return Err(Error::new(ErrorCode::InvalidActivationToken)
            .with_message("One of your organizations does not allow trusted devices."));
    }
    let secret = Token::random(&mut rand::rng());
    let mut row = pending.into_active_model();
    row.activation_hash = Set(None);
    row.secret_hash = Set(Some(secret.hash()));
    row.activated_at = Set(Some(now));
    row.trusted_until = Set(Some(now + trusted_for));
    let device = row.update(tx.conn()).await?;
    let user = User::find(tx.conn(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    mails::send_device_trusted(&identity, &tx, &user, &device.device_name, &origin).await?;
    let record = AuditRecord::new(None, origin.actor(caller.user_id), "device.activate").target("device", device.id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let cookie = cookie(secret.expose(), trusted_for, &platform.public_url)?;
    let device = TrustedDevice::new(device, trusted_for);
    let activated = Activated { device, device_token: secret.expose().to_owned() };
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Reply::ok(activated, "The device is trusted.")))
}

/// Read by the login alone; never by scripts, never sent from other sites.
fn cookie(secret: &str, trusted_for: Duration, public_url: &str) -> Result<HeaderValue> {
    let secure = if public_url.starts_with("https://") { "; Secure" } else { "" };
    let age = trusted_for.num_seconds();
    let text = format!("{COOKIE}={secret}; Path=/api/v1; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).map_err(Error::internal)
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    #[schema(examples(true))]
    pub success: bool,
}

/// Decline trusting the device
#[utoipa::path(post, path = "/api/v1/devices/skip", tag = "devices", request_body = ActivationRequest,
    responses((status = 200, description = "The activation token is used up", body = Envelope<Done>), SkipErrors))]
pub async fn skip_device(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ActivationRequest>,
) -> Result<Reply<Done>> {
    let platform = &identity.platform;
    let session = caller.session()?;
    let tx = platform.db.begin().await?;
    let pending = pending(&tx, caller.user_id, session, &request.activation_token).await?;
    if platform.clock.now() >= pending.activation_expires_at {
        return Err(ErrorCode::InvalidActivationToken.into());
    }
    Entity::delete_by_id(pending.id).exec(tx.conn()).await?;
    let record = AuditRecord::new(None, origin.actor(caller.user_id), "device.skip").target("device", pending.id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(Done { success: true }, "The device is not trusted."))
}

/// The device that the token was given for, to this person, in this session. Index: (activation_hash), unique.
async fn pending(tx: &Transaction, user_id: UserId, session: SessionId, token: &str) -> Result<Model> {
    let found = Entity::find()
        .filter(Column::ActivationHash.eq(TokenHash::of(token)))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::ActivatingSessionId.eq(session))
        .one(tx.conn())
        .await?;
    found.ok_or(ErrorCode::InvalidActivationToken.into())
}

#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct DevicesQuery {
    /// The devices of this organization's members, for its administrators.
    organization_id: Option<OrganizationId>,
    /// Of one member; only with `organization_id`.
    user_id: Option<UserId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Devices {
    pub devices: Vec<TrustedDevice>,
    pub total_count: u64,
}

/// List trusted devices
#[utoipa::path(get, path = "/api/v1/devices/", tag = "devices", params(DevicesQuery, SkipLimit),
    responses((status = 200, description = "Those that are trusted, the newest first", body = Envelope<Devices>), ListErrors))]
pub async fn list_devices(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    Query(query): Query<DevicesQuery>,
    Query(slice): Query<SkipLimit>,
) -> Result<Reply<Devices>> {
    let platform = &identity.platform;
    let trusted = Entity::find().filter(Column::ActivatedAt.is_not_null());
    let (trusted, trusted_for) = match (query.organization_id, query.user_id) {
        (None, None) => {
            caller.session()?;
            let trusted_for = identity.directory.security(caller.user_id).await?.trusted_for();
            (trusted.filter(Column::UserId.eq(caller.user_id)), trusted_for)
        }
        (None, Some(_)) => {
            return Err(Error::invalid_field("user_id", "can only be used together with organization_id"));
        }
        (Some(organization), user) => {
            // Another organization does not exist for the caller.
            let tenant = match caller.membership()?.organization_id == organization {
                true => caller.require(Permission::DeviceRead)?,
                false => return Err(ErrorCode::NotFound.into()),
            };
            let days = identity.directory.security_of(organization).await?.trusted_device_days;
            let of_members = trusted.filter(Column::OrganizationId.eq(tenant.organization_id()));
            let of_members = match user {
                Some(user) => of_members.filter(Column::UserId.eq(user)),
                None => of_members,
            };
            (of_members, Duration::days(i64::from(days)))
        }
    };
    let now = platform.clock.now();
    let trusted = trusted.filter(Column::TrustedUntil.gt(now)).filter(Column::ActivatedAt.gt(now - trusted_for));
    let db = platform.db.read();
    // Indexes: trusted_devices(organization_id, id, activated_at, trusted_until), trusted_devices(user_id,
    // activated_at).
    let newest = trusted.clone().order_by_desc(Column::Id);
    let rows = page_by(newest, Column::Id.into_expr(), slice.skip(), slice.limit()).all(db).await?;
    let total_count = sea_orm::PaginatorTrait::count(trusted, db).await?;
    let devices = rows.into_iter().map(|row| TrustedDevice::new(row, trusted_for)).collect();
    Ok(Reply::ok(Devices { devices, total_count }, "Trusted devices retrieved successfully"))
}

/// Forgets the devices of a person that an organization trusts. Index: trusted_devices(user_id, activated_at).
pub async fn forget_in_organization(tx: &Transaction, user_id: UserId, organization_id: OrganizationId) -> Result<()> {
    Entity::delete_many()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::OrganizationId.eq(organization_id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Stop trusting a device
#[utoipa::path(delete, path = "/api/v1/devices/{device_id}", tag = "devices",
    params(("device_id" = DeviceId, Path, description = "From the list of devices")),
    responses((status = 200, description = "No longer trusted; the sessions that relied on it have ended", body = Envelope<Done>), RevokeErrors))]
pub async fn revoke_device(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DeviceId>,
) -> Result<Reply<Done>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let found = Entity::find_by_id(id).filter(Column::ActivatedAt.is_not_null()).one(tx.conn()).await?;
    let device = found.ok_or(ErrorCode::DeviceNotFound)?;
    let organization = if device.user_id == caller.user_id {
        caller.session()?;
        None
    } else {
        let tenant = caller.require(Permission::DeviceRevoke).map_err(|_| ErrorCode::DeviceNotFound)?;
        if device.organization_id != Some(tenant.organization_id()) {
            return Err(ErrorCode::DeviceNotFound.into());
        }
        device.organization_id
    };
    session::end_of_device(&tx, device.id, device.user_id, now).await?;
    Entity::delete_by_id(device.id).exec(tx.conn()).await?;
    let record = AuditRecord::new(organization, origin.actor(caller.user_id), "device.revoke")
        .target("device", device.id.0)
        .details(serde_json::json!({"user_id": device.user_id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(Done { success: true }, "Device revoked successfully"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_in_words() {
        for (user_agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0 Safari/537.36 Edg/139.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/604.1",
                "Safari on iPhone",
            ),
            ("", "Unknown device"),
        ] {
            assert_eq!(name_of(user_agent), name);
        }
    }

    #[test]
    fn the_secret_is_read_from_cookie_or_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(secret(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; rivergen_device=from-cookie; c=d"));
        assert_eq!(secret(&headers), Some("from-cookie"));
        headers.insert(HEADER, HeaderValue::from_static("from-header"));
        assert_eq!(secret(&headers), Some("from-header"));
    }

    #[test]
    fn the_order_of_a_fingerprint_does_not_matter() {
        let of = |text: &'static str| {
            fingerprint(&HeaderMap::from_iter([(
                header::HeaderName::from_static(FINGERPRINT),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(of(r#"{"a": 1, "b": 2}"#).unwrap(), of(r#"{"b":2,"a":1}"#).unwrap());
        assert!(of("not json").is_err());
        assert_eq!(fingerprint(&HeaderMap::new()).unwrap(), None);
    }
}
