//! Programs that register themselves: `POST /oauth/register` (RFC 7591), and what they do with that later at
//! `/oauth/registration` (RFC 7592), where their registration token says which of them asks.
//!
//! Two have to let them: the operator, with `oauth.registration.dynamic`, and the organization, with its policy. With `token` a
//! program brings a token of somebody who may register applications there; with `open` it may come without one, where the
//! operator named that organization. Nobody has checked who made such a program: people read that when they are asked, until an
//! administrator vouches for it.

use std::time::Duration;

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use rivergen_kernel::{ErrorCode, Permission, Tenant, Token, TokenHash, UserId};
use rivergen_platform::{
    Event,
    audit::{self, Actor},
    db::TenantScope,
    http::{KeyProof, RequestOrigin, Shown},
    limits::Rule,
};
use rivergen_tenancy::organization;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    application::{self, Column, Entity, Model, Origin, Status, secret},
    client_metadata::{ClientMetadata, Proof},
    error::{Code, OauthError, OauthErrorBody, Result},
    policy::{Policy, Registration},
};

const REGISTRATIONS_BY_IP: Rule = Rule::new("oauth_registrations_by_ip", 20, Duration::from_secs(3600));

/// Programs that registered themselves with one organization. Those that nobody used are swept.
const MOST: u64 = 1000;

const REGISTER: &str = "/oauth/register";
const REGISTRATION: &str = "/oauth/registration";

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new().routes(routes!(register)).routes(routes!(read, update, remove))
}

/// Where programs register themselves; none where the operator does not let them.
pub fn endpoint(oauth: &Oauth) -> Option<String> {
    oauth.access.settings().dynamic_registration.then(|| format!("{}{REGISTER}", oauth.issuer()))
}

/// A program as it is registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientInformation {
    #[serde(flatten)]
    pub metadata: ClientMetadata,
    /// Seconds since 1970.
    #[schema(examples(1_764_000_000))]
    pub client_id_issued_at: i64,
    /// Only shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// 0: it does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<i64>,
    /// For `registration_client_uri`; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_access_token: Option<String>,
    pub registration_client_uri: String,
}

impl ClientInformation {
    fn of(oauth: &Oauth, row: &Model) -> Self {
        // What it is given where it asked for nothing is told too (RFC 7591, section 3.2.1).
        let algorithm = oauth.access.keys().of_id_token(row.id_token_signed_response_alg);
        let metadata =
            ClientMetadata { id_token_signed_response_alg: Some(algorithm.to_string()), ..ClientMetadata::of(row) };
        Self {
            metadata,
            client_id_issued_at: row.created_at.timestamp(),
            client_secret: None,
            client_secret_expires_at: None,
            registration_access_token: None,
            registration_client_uri: format!("{}{REGISTRATION}", oauth.issuer()),
        }
    }
}

fn unreadable(_: JsonRejection) -> OauthError {
    OauthError::new(
        Code::InvalidClientMetadata,
        "Send the metadata as a JSON object, with the content type application/json.",
    )
}

fn refused(reason: &str) -> OauthError {
    OauthError::new(Code::AccessDenied, reason)
}

/// For which organization a program registers itself, who answers for it, and who is written down as having done it.
struct Registrar {
    tenant: Tenant,
    policy: Policy,
    responsible: UserId,
    actor: Actor,
}

impl Registrar {
    async fn find(oauth: &Oauth, headers: &HeaderMap, origin: &RequestOrigin) -> Result<Self> {
        let caller = match Shown::of(headers) {
            None => return Self::nobody(oauth, origin).await,
            Some(Shown::Bearer(token)) => oauth.authenticator.authenticate(token, origin.ip).await?,
            Some(Shown::Bound(token)) => {
                let proof = KeyProof::of(headers, "POST", REGISTER);
                oauth.authenticator.authenticate_bound(token, origin.ip, proof).await?
            }
        };
        if !caller.email_verified {
            return Err(ErrorCode::EmailNotVerified.into());
        }
        let tenant = caller.require(Permission::OauthAppManage).map_err(|error| match error.code.status() {
            403 => refused(&error.message),
            _ => error.into(),
        })?;
        let policy = Policy::of(oauth.platform().db.read(), tenant).await?;
        match policy.registration {
            Registration::Off => Err(refused("The organization's policy does not let programs register themselves.")),
            Registration::Token | Registration::Open => {
                Ok(Self { tenant, policy, responsible: caller.user_id, actor: origin.actor(caller.user_id) })
            }
        }
    }

    /// Somebody without a token: whoever opened the registration answers for what comes in.
    async fn nobody(oauth: &Oauth, origin: &RequestOrigin) -> Result<Self> {
        let unasked = || OauthError {
            challenge: Some("Bearer"),
            ..OauthError::new(Code::InvalidToken, "Send the token of someone who may register applications.")
        };
        let organization = oauth.access.settings().organization.ok_or_else(unasked)?;
        let tenant = Tenant::on_behalf_of(organization);
        let policy = Policy::of(oauth.platform().db.read(), tenant).await?;
        match (policy.registration, policy.updated_by_user_id) {
            (Registration::Open, Some(responsible)) => {
                Ok(Self { tenant, policy, responsible, actor: origin.anonymous() })
            }
            _ => Err(unasked()),
        }
    }
}

/// Register a program
#[utoipa::path(post, path = "/oauth/register", tag = "oauth2", security((), ("bearer" = [])), request_body = ClientMetadata,
    responses((status = 201, description = "The program; its secret and its registration token are only shown this once", body = ClientInformation),
        (status = 400, description = "`invalid_client_metadata`, `invalid_redirect_uri`, or `access_denied`: the server or the organization lets no program register itself", body = OauthErrorBody),
        (status = 401, description = "`invalid_token`: it is missing, or not from someone who may register applications", body = OauthErrorBody)))]
pub async fn register(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    headers: HeaderMap,
    body: std::result::Result<Json<ClientMetadata>, JsonRejection>,
) -> Result<impl IntoResponse> {
    let platform = oauth.platform();
    if !oauth.access.settings().dynamic_registration {
        return Err(refused("This server does not let programs register themselves; ask an administrator."));
    }
    let limited = platform.limits.check(&REGISTRATIONS_BY_IP, &origin.limit_key());
    limited.map_err(rivergen_kernel::Error::from)?;
    let Registrar { tenant, policy, responsible, actor } = Registrar::find(&oauth, &headers, &origin).await?;
    let Json(metadata) = body.map_err(unreadable)?;
    let checked = metadata.check(&oauth, &policy)?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    // Of two at once the second waits here and counts the first.
    organization::lock(&tx, tenant).await?;
    // Index: oauth_applications(organization_id, id).
    let own = tenant.find::<Entity>().filter(Column::Origin.eq(Origin::Registered));
    if own.count(tx.conn()).await? >= MOST {
        return Err(refused("Too many programs have registered themselves; ask an administrator."));
    }
    let registration_token = Token::random(&mut rand::rng());
    let client_id = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
    let mut row = checked.application(tenant.organization_id(), client_id, Origin::Registered, responsible, now);
    row.registration_token_hash = Set(Some(registration_token.hash()));
    let row = row.insert(tx.conn()).await?;
    let client_secret = match checked.proof {
        Proof::Secret => Some(secret::issue(&tx, row.id, None, now).await?),
        _ => None,
    };
    audit::record(&tx, &platform.clock, row.came(actor)).await?;
    tx.commit().await?;
    let mut information = ClientInformation {
        client_secret_expires_at: client_secret.as_ref().map(|_| 0),
        client_secret,
        registration_access_token: Some(registration_token.expose().to_owned()),
        ..ClientInformation::of(&oauth, &row)
    };
    // With a secret it may prove itself in either way; it is told the one that it asked for.
    if let (Proof::Secret, Some(method)) = (&checked.proof, metadata.token_endpoint_auth_method) {
        information.metadata.token_endpoint_auth_method = Some(method);
    }
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(information)))
}

/// The program whose registration token came. Index: oauth_applications(registration_token_hash), unique.
async fn own(oauth: &Oauth, headers: &HeaderMap) -> Result<Model> {
    let unknown = || OauthError::new(Code::InvalidToken, "The registration token is not known.");
    let Some(Shown::Bearer(token)) = Shown::of(headers) else { return Err(unknown()) };
    let found = Entity::find().filter(Column::RegistrationTokenHash.eq(TokenHash::of(token)));
    let found = found.one(oauth.platform().db.read()).await?;
    found.filter(|row| row.status == Status::Active).ok_or_else(unknown)
}

/// Read a program's registration
#[utoipa::path(get, path = "/oauth/registration", tag = "oauth2",
    responses((status = 200, description = "The program whose registration token came", body = ClientInformation),
        (status = 401, description = "`invalid_token`", body = OauthErrorBody)))]
pub async fn read(State(oauth): State<Oauth>, headers: HeaderMap) -> Result<impl IntoResponse> {
    let row = own(&oauth, &headers).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(ClientInformation::of(&oauth, &row))))
}

/// Change a program's registration
#[utoipa::path(put, path = "/oauth/registration", tag = "oauth2", request_body = ClientMetadata,
    responses((status = 200, description = "As it is registered now; anything left out is as in a new registration", body = ClientInformation),
        (status = 400, description = "`invalid_client_metadata`, `invalid_redirect_uri`, or `access_denied`: no program registers itself any more", body = OauthErrorBody),
        (status = 401, description = "`invalid_token`", body = OauthErrorBody)))]
pub async fn update(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    headers: HeaderMap,
    body: std::result::Result<Json<ClientMetadata>, JsonRejection>,
) -> Result<impl IntoResponse> {
    let platform = oauth.platform();
    let before = own(&oauth, &headers).await?;
    let Json(metadata) = body.map_err(unreadable)?;
    let invalid = |reason: &str| OauthError::new(Code::InvalidClientMetadata, reason);
    if metadata.client_id.as_deref() != Some(&*before.client_id) {
        return Err(invalid("Send the client_id that it has."));
    }
    let tenant = Tenant::on_behalf_of(before.organization_id);
    let policy = Policy::of(platform.db.read(), tenant).await?;
    // What says something else of itself is another program.
    if !oauth.access.settings().dynamic_registration || policy.registration == Registration::Off {
        return Err(refused("Programs can no longer register themselves; ask an administrator."));
    }
    let checked = metadata.check(&oauth, &policy)?;
    let had = ClientMetadata::of(&before).token_endpoint_auth_method;
    let has = match checked.proof {
        Proof::None => "none",
        Proof::Secret => "client_secret_basic",
        Proof::Keys(_) | Proof::KeysAt(_) => "private_key_jwt",
    };
    if had.as_deref() != Some(has) {
        return Err(invalid("Its authentication method cannot be changed; register it again."));
    }
    let tx = platform.db.begin().await?;
    let row =
        application::ActiveModel { id: Set(before.id), updated_at: Set(platform.clock.now()), ..checked.columns() };
    let row = row.update(tx.conn()).await?;
    let row = application::agreed_anew(&tx, &before, row).await?;
    tx.publish(Event::ApplicationChanged(row.id)).await?;
    audit::record(&tx, &platform.clock, row.changed_itself(origin.anonymous())).await?;
    tx.commit().await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(ClientInformation::of(&oauth, &row))))
}

/// Delete a program's registration
#[utoipa::path(delete, path = "/oauth/registration", tag = "oauth2",
    responses((status = 204, description = "Gone, with all of its tokens"),
        (status = 401, description = "`invalid_token`", body = OauthErrorBody)))]
pub async fn remove(State(oauth): State<Oauth>, origin: RequestOrigin, headers: HeaderMap) -> Result<StatusCode> {
    let row = own(&oauth, &headers).await?;
    application::delete::forget(&oauth, &row, origin.anonymous()).await?;
    Ok(StatusCode::NO_CONTENT)
}
