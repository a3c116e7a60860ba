//! Sign-in through an OpenID provider of an organization (OpenID Connect Core 1.0, authorization code with PKCE).
//!
//! **Which provider answered?** One server has the providers of many organizations, and any of them may be an attacker's. A
//! browser that is led on from there to an honest provider would bring the honest one's code back under the attacker's state,
//! and this server would hand it to the attacker (a mix-up, RFC 9700, section 4.4). So the answer has to show whose it is:
//!
//! | the provider | sends the browser back to | and |
//! | --- | --- | --- |
//! | names itself in its answers (RFC 9207) | `/api/v1/sso/oidc/callback` | `iss` must be its issuer |
//! | does not | `/api/v1/sso/oidc/callback/{organization_id}` | which it knows for no other organization |
//!
//! [`callback`] takes the answer, [`claims`] what the provider says of the person, [`backchannel`] its word that a session is
//! over.

mod backchannel;
mod callback;
mod claims;

use std::sync::Arc;

use openidconnect::{ClientId, ClientSecret, RedirectUrl, core::CoreClient};
use rivergen_identity::oidc::{self, Client, Discovered, Discovery, Failure};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Result, Secret, Token};
use rivergen_platform::Transaction;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use claims::offered;

use crate::{
    Federation, provider,
    sign_in::{
        login,
        protocol::{Asking, Departure},
    },
};

/// What the vault seals the client's secret for.
const SECRET_CONTEXT: &str = "sso_providers.client_secret";
/// What is asked for where an administrator says nothing else.
pub const USUAL_SCOPES: [&str; 3] = ["openid", "profile", "email"];

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(callback::oidc_callback))
        .routes(routes!(callback::oidc_callback_of_organization))
        .routes(routes!(callback::oidc_callback_of_provider))
        .routes(routes!(backchannel::backchannel_logout))
}

/// What is kept with the state of a sign-in.
#[derive(Serialize, Deserialize)]
struct Begun {
    #[serde(flatten)]
    secrets: oidc::Secrets,
    redirect_uri: String,
}

/// The address to which providers that name themselves send browsers back.
pub fn redirect_uri(federation: &Federation) -> String {
    format!("{}/api/v1/sso/oidc/callback", federation.platform().public_url.trim_end_matches('/'))
}

/// The one for the provider of an organization that does not.
pub fn redirect_uri_of_organization(federation: &Federation, organization: OrganizationId) -> String {
    format!("{}/{organization}", redirect_uri(federation))
}

/// The one for this provider, if it does not. No other provider has the same: an answer that arrives there cannot be taken for
/// that of another (RFC 9700, 4.4.2).
pub fn redirect_uri_of(federation: &Federation, provider: &provider::Model) -> String {
    let of_organization = redirect_uri_of_organization(federation, provider.organization_id);
    match provider.own_callback {
        true => format!("{of_organization}/{}", provider.id),
        false => of_organization,
    }
}

/// Where the provider tells that a session is over.
pub fn backchannel_uri(federation: &Federation, provider: &provider::Model) -> String {
    let public_url = federation.platform().public_url.trim_end_matches('/');
    format!("{public_url}/api/v1/sso/oidc/backchannel-logout/{}", provider.id)
}

/// The address at the provider where a sign-in under this state begins.
pub async fn depart(
    federation: &Federation,
    provider: &provider::Model,
    state: &Token,
    asking: Asking<'_>,
) -> Result<Departure> {
    let issuer = provider.issuer.as_deref().unwrap_or_default();
    let discovered = federation.discovery.of(federation.platform(), issuer).await.map_err(unavailable)?;
    begin(federation, provider, &discovered, state, asking).await.map_err(unavailable)
}

pub(crate) async fn begin(
    federation: &Federation,
    provider: &provider::Model,
    discovered: &Discovered,
    state: &Token,
    asking: Asking<'_>,
) -> Result<Departure, Failure> {
    let redirect_uri = match discovered.metadata.additional_metadata().authorization_response_iss_parameter_supported {
        true => redirect_uri(federation),
        false => redirect_uri_of(federation, provider),
    };
    let client = client(federation, provider, discovered, redirect_uri.clone()).await?;
    let hint = asking.login_hint.map(|hint| ("login_hint", hint.to_owned()));
    let anew = asking.anew.then(oidc::asking_anew);
    let extra: Vec<_> = hint.into_iter().chain(anew.into_iter().flatten()).collect();
    // The library asks for `openid` by itself.
    let scopes = provider.scopes().into_iter().filter(|scope| scope != "openid");
    let (url, secrets) = oidc::authorize(&client, state, scopes, &extra);
    let secrets = serde_json::to_value(Begun { secrets, redirect_uri })?;
    Ok(Departure { url, secrets })
}

/// The address that ends the provider's own session (OpenID Connect RP-Initiated Logout 1.0), where it has one.
pub async fn sign_out(
    federation: &Federation,
    provider: &provider::Model,
    login: &login::Model,
    back: &str,
) -> Result<Option<String>> {
    let issuer = provider.issuer.as_deref().unwrap_or_default();
    let Ok(discovered) = federation.discovery.of(federation.platform(), issuer).await else { return Ok(None) };
    let endpoint = discovered.metadata.additional_metadata().end_session_endpoint.as_deref();
    let url = endpoint.and_then(|address| Url::parse(address).ok()).filter(|url| is_open(federation, url));
    let Some(mut url) = url else { return Ok(None) };
    if let Some(hint) = login.logout_hint(federation).await? {
        url.query_pairs_mut().append_pair("id_token_hint", hint.expose());
    }
    url.query_pairs_mut()
        .append_pair("client_id", provider.client_id.as_deref().unwrap_or_default())
        .append_pair("post_logout_redirect_uri", back);
    Ok(Some(url.into()))
}

/// The library's client of the provider.
async fn client(
    federation: &Federation,
    provider: &provider::Model,
    discovered: &Discovered,
    redirect_uri: String,
) -> Result<Client, Failure> {
    refuse_open_endpoints(federation, discovered)?;
    let secret = client_secret(federation, provider).await?;
    let client = CoreClient::from_provider_metadata(
        discovered.metadata.clone(),
        ClientId::new(provider.client_id.clone().unwrap_or_default()),
        secret.map(|secret| ClientSecret::new(secret.expose().to_owned())),
    );
    Ok(client.set_redirect_uri(RedirectUrl::new(redirect_uri)?).set_auth_type(discovered.auth_type()))
}

/// The client with what the issuer says of itself, as [`client`] wants it.
async fn connect(
    federation: &Federation,
    provider: &provider::Model,
    redirect_uri: &str,
) -> Result<(Client, Arc<Discovered>), Failure> {
    let issuer = provider.issuer.as_deref().unwrap_or_default();
    let discovered = federation.discovery.of(federation.platform(), issuer).await?;
    Ok((client(federation, provider, &discovered, redirect_uri.to_owned()).await?, discovered))
}

/// What the issuer says of itself at this moment, for a test.
pub(crate) async fn discover(federation: &Federation, issuer: &str) -> Result<Arc<Discovered>, Failure> {
    Discovery::read(federation.platform(), issuer).await
}

/// A document must not lead secrets and tokens over an open line.
pub(crate) fn refuse_open_endpoints(federation: &Federation, discovered: &Discovered) -> Result<(), Failure> {
    let metadata = &discovered.metadata;
    let token = metadata.token_endpoint().map(|url| url.url().clone());
    let user_info = metadata.userinfo_endpoint().map(|url| url.url().clone());
    let always = [metadata.authorization_endpoint().url().clone(), metadata.jwks_uri().url().clone()];
    let named = always.into_iter().chain(token).chain(user_info);
    match named.into_iter().find(|url| !is_open(federation, url)) {
        Some(url) => Err(Failure::of(&format!("the provider's document names {url}, which is not https"))),
        None => Ok(()),
    }
}

/// Whether an address of a provider may be used: https, or http where this server may reach private addresses, as beside a
/// provider in the same network.
pub(crate) fn is_open(federation: &Federation, url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && federation.platform().outbound.policy().allow_private)
}

/// Seals the secret that this server shows the provider.
pub(crate) async fn seal_secret(
    federation: &Federation,
    tx: &Transaction,
    organization: OrganizationId,
    secret: &Secret,
) -> Result<rivergen_platform::vault::Sealed> {
    let vault = &federation.platform().vault;
    Ok(vault.seal(tx, organization.into(), SECRET_CONTEXT, secret.expose().as_bytes()).await?)
}

async fn client_secret(federation: &Federation, provider: &provider::Model) -> Result<Option<Secret>, Failure> {
    let Some(sealed) = &provider.sealed_client_secret else { return Ok(None) };
    let owner = provider.organization_id.into();
    let opened = federation.platform().vault.open(owner, SECRET_CONTEXT, sealed).await?;
    Ok(Some(Secret::new(String::from_utf8(opened.to_vec())?)))
}

fn unavailable(failure: Failure) -> Error {
    failure.coded(ErrorCode::IdpUnavailable)
}
