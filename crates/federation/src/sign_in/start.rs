//! `GET /api/v1/sso/login`: finds the identity provider of whoever wants to sign in, and sends the browser there.
//!
//! By an address it is the provider of the address's domain, where an organization has proved that; by an organization, its
//! only one. That there is none is answered in the same words for addresses that have an account here and for those that have
//! none. With `test`, an administrator goes the same way to see what would happen; with `anew`, somebody who is signed in
//! already proves that it is still them.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use garde::Validate;
use rivergen_identity::email_address;
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Permission, Result, SsoProviderId, Token, UserId};
use rivergen_platform::{
    errors,
    http::{Envelope, MaybeSignedIn, Query, Reply, RequestOrigin},
};
use rivergen_tenancy::{domain, organization};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    START_BY_IP,
    arrive::default_target,
    proofs,
    protocol::{self, Asking},
    state::{self, Wish},
};
use crate::{
    Federation,
    provider::{self, Kind, Status, identity},
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LoginQuery {
    /// The provider itself; or
    #[garde(skip)]
    #[param(value_type = Option<i64>)]
    provider_id: Option<SsoProviderId>,
    /// an address in a domain that its organization has verified; or
    #[garde(inner(length(max = 254)))]
    email: Option<String>,
    /// the organization, by its name, if it has one provider.
    #[garde(inner(length(max = 255)))]
    organization: Option<String>,
    /// Where the browser goes in the end: one of the addresses that the operator allows, or one below it; the first of
    /// them, if absent.
    #[garde(inner(length(max = 2000)))]
    redirect_uri: Option<String>,
    /// Comes back beside the code; the state that goes to the provider is the server's own.
    #[garde(inner(length(max = 500)))]
    state: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    #[param(inline)]
    response_mode: ResponseMode,
    /// For those who may manage single sign-on, with `provider_id`: runs through the whole sign-in, signs nobody in,
    /// and finally shows what would have happened. An inactive provider can be tried out too.
    #[garde(skip)]
    #[serde(default)]
    test: bool,
    /// For someone who is signed in and linked at the provider, with `provider_id`: the provider asks them to sign in
    /// again, even if it knows them, and says when it did; the person who comes back must be the same. The resulting
    /// session counts as a fresh proof.
    #[garde(skip)]
    #[serde(default)]
    anew: bool,
}

/// How the address of the provider is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseMode {
    /// As a redirect.
    #[default]
    Redirect,
    Json,
}

/// Where a sign-in starts.
#[derive(Debug, Serialize, ToSchema)]
pub struct SsoLogin {
    /// To be opened in the browser that made this request: it has a cookie that the callback needs.
    #[schema(examples("https://acme.okta.com/oauth2/v1/authorize?client_id=…"))]
    pub authorization_url: String,
    pub provider_id: SsoProviderId,
    pub provider_type: Kind,
    /// The address that the code will be sent to, to be named when it is exchanged.
    #[schema(examples("https://app.acme.example/signed-in"))]
    pub redirect_uri: String,
    /// Seconds.
    #[schema(examples(600))]
    pub expires_in: i64,
    pub message: &'static str,
}

errors! { pub LoginErrors: InvalidRedirectUri, Unauthorized, TokenExpired, Forbidden, SsoNotConfigured, ProviderNotFound, ValidationError, RateLimited, IdpUnavailable; }

/// Start a sign-in with an organization's identity provider
#[utoipa::path(get, path = "/api/v1/sso/login", tag = "sso", security((), ("bearer" = [])), params(LoginQuery),
    responses((status = 200, description = "With `response_mode=json`: the provider's address, and a cookie for the way back", body = Envelope<SsoLogin>),
        (status = 302, description = "To the provider, with a cookie for the way back"), LoginErrors))]
pub async fn start_login(
    State(federation): State<Federation>,
    MaybeSignedIn(caller): MaybeSignedIn,
    origin: RequestOrigin,
    Query(query): Query<LoginQuery>,
) -> Result<Response> {
    let platform = federation.platform();
    platform.limits.check(&START_BY_IP, &origin.limit_key())?;
    let redirect_uri = match &query.redirect_uri {
        Some(address) => {
            let target = federation.tenancy.identity.settings.social.target(address);
            target.map(String::from).ok_or(ErrorCode::InvalidRedirectUri)?
        }
        None => default_target(&federation),
    };
    let (mut tested_by, mut known) = (None, None);
    let provider = match (query.test, query.anew) {
        (true, _) => {
            let (provider, administrator) = to_test(&federation, caller, &query).await?;
            tested_by = Some(administrator);
            provider
        }
        (false, true) => {
            let (provider, identity) = to_ask_anew(&federation, caller, &query).await?;
            known = Some(identity);
            provider
        }
        (false, false) => find(&federation, &query).await?,
    };
    let state = Token::random(&mut rand::rng());
    let address = known.as_ref().and_then(|identity| identity.email.as_deref());
    let asking = Asking { login_hint: address.or(query.email.as_deref()), anew: known.is_some() };
    let departure = protocol::depart(&federation, &provider, &state, asking).await?;

    let asked_anew = known.map(|identity| identity.user_id);
    let wish = Wish { redirect_uri: redirect_uri.clone(), client_state: query.state, tested_by, asked_anew };
    let tx = platform.db.begin().await?;
    let browser = state::begin(&federation, &tx, &provider, &state, &departure.secrets, wish).await?;
    tx.commit().await?;
    let headers = AppendHeaders([
        (header::SET_COOKIE, state::cookie(&federation, &state, &browser)?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    let authorization_url = departure.url;
    Ok(match query.response_mode {
        ResponseMode::Redirect => {
            let location = HeaderValue::from_str(&authorization_url).map_err(Error::internal)?;
            (headers, (StatusCode::FOUND, [(header::LOCATION, location)])).into_response()
        }
        ResponseMode::Json => {
            let message = "Open the address to sign in.";
            let answer = SsoLogin {
                authorization_url,
                provider_id: provider.id,
                provider_type: provider.kind,
                redirect_uri,
                expires_in: state::LIFETIME.num_seconds(),
                message,
            };
            (headers, Reply::ok(answer, message)).into_response()
        }
    })
}

/// A provider of the caller's organization, whatever its status.
async fn to_test(
    federation: &Federation,
    caller: Option<Arc<Caller>>,
    query: &LoginQuery,
) -> Result<(provider::Model, UserId)> {
    let caller = caller.ok_or(ErrorCode::Unauthorized)?;
    caller.session()?;
    let tenant = caller.require(Permission::SsoManage)?;
    let id =
        query.provider_id.ok_or_else(|| Error::invalid_field("provider_id", "must name the provider to try out"))?;
    let provider = provider::find(federation.platform().db.read(), tenant, id).await?;
    Ok((provider, caller.user_id))
}

/// A provider that can vouch anew for the caller, and who they are there.
async fn to_ask_anew(
    federation: &Federation,
    caller: Option<Arc<Caller>>,
    query: &LoginQuery,
) -> Result<(provider::Model, identity::Model)> {
    let caller = caller.ok_or(ErrorCode::Unauthorized)?;
    caller.session()?;
    let id = query
        .provider_id
        .ok_or_else(|| Error::invalid_field("provider_id", "must name the provider to sign in with again"))?;
    let mut vouching = proofs::vouching(federation, &caller).await?.into_iter();
    vouching.find(|(provider, _)| provider.id == id).ok_or_else(|| ErrorCode::SsoNotConfigured.into())
}

/// The active provider that the query means; `SSO_NOT_CONFIGURED` where there is none.
async fn find(federation: &Federation, query: &LoginQuery) -> Result<provider::Model> {
    let db = federation.platform().db.read();
    let found = match (query.provider_id, &query.email, &query.organization) {
        (Some(id), ..) => provider::active(db, id).await?,
        (None, Some(email), _) => of_address(federation, email).await?,
        (None, None, Some(name)) => {
            let organization = match organization::named(db, name).await {
                Ok(row) => row,
                Err(error) if error.code == ErrorCode::OrgNotFound => return Err(ErrorCode::SsoNotConfigured.into()),
                Err(error) => return Err(error),
            };
            only_one(actives(federation, organization.id).await?)?
        }
        (None, None, None) => {
            return Err(Error::invalid_field("email", "name a provider_id, an email or an organization"));
        }
    };
    found.ok_or_else(|| ErrorCode::SsoNotConfigured.into())
}

/// The provider that the address's domain is routed to, or the only one of the organization that takes every domain.
async fn of_address(federation: &Federation, email: &str) -> Result<Option<provider::Model>> {
    let email = email_address::normalise(email, "email")?;
    let db = federation.platform().db.read();
    let Some(domain) = domain::of_address(&email) else { return Ok(None) };
    let Some(organization) = domain::proved_by(db, &domain).await? else { return Ok(None) };
    // Index: sso_provider_domains(domain, organization_id), unique.
    let routed = provider::domain::Entity::find()
        .filter(provider::domain::Column::Domain.eq(&domain))
        .filter(provider::domain::Column::OrganizationId.eq(organization))
        .one(db)
        .await?;
    if let Some(routed) = routed {
        return provider::active(db, routed.provider_id).await;
    }
    let mut for_all = Vec::new();
    for provider in actives(federation, organization).await? {
        if provider::domain::of(db, provider.id).await?.is_empty() {
            for_all.push(provider);
        }
    }
    only_one(for_all)
}

/// Those through which people of the organization may sign in; nobody has more than a few.
async fn actives(federation: &Federation, organization: OrganizationId) -> Result<Vec<provider::Model>> {
    // Index: sso_providers(organization_id, name_key), its first column.
    let of = provider::Entity::find().filter(provider::Column::OrganizationId.eq(organization));
    let active = of.filter(provider::Column::Status.eq(Status::Active)).order_by_asc(provider::Column::Id);
    Ok(active.limit(provider::MOST).all(federation.platform().db.read()).await?)
}

/// 422 where there are several: the client lets its person choose.
fn only_one(mut found: Vec<provider::Model>) -> Result<Option<provider::Model>> {
    if found.len() > 1 {
        let named: Vec<String> = found.iter().map(|one| format!("{} ({})", one.id, one.name)).collect();
        let reason = format!("there are several identity providers, choose one: {}", named.join(", "));
        return Err(Error::invalid_field("provider_id", reason));
    }
    Ok(found.pop())
}
