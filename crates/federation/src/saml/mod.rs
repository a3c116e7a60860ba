//! Sign-in through a SAML 2.0 identity provider of an organization: Web Browser SSO and single logout, as service provider.
//!
//! ```text
//! sso/login ─▶ depart: a signed AuthnRequest ─▶ the provider ─▶ acs: its Response
//!     ─▶ document: bounded, of one shape, canonical ─▶ response: verified and read ─▶ seen: once ─▶ mapping ─▶ an Assertion
//! ```
//!
//! The library (`saml-rs`) verifies signatures and compares what the standard wants compared. What stands before and after it
//! here are rules of our own, each of which somebody else lacked once: [`document`] says what an honest message looks like and
//! leaves only one way to read it, [`seen`](crate::sign_in::seen) takes each once. Each provider has addresses and an audience of its own here
//! ([`parties`]) and each organization its own keys ([`keys`]). [`metadata`] reads what providers publish of themselves and
//! follows their certificates; [`logout`] is single logout.
//!
//! Why a message was refused is in the audit log ([`refusal`]); whoever sent it is told the code alone.

mod acs;
#[cfg(test)]
mod attacks;
mod document;
mod keys;
mod logout;
mod mapping;
pub mod metadata;
pub(crate) mod migrations;
mod parties;
mod refusal;
mod response;
#[cfg(test)]
mod testing;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use rivergen_kernel::{Error, ErrorCode, Result, SsoProviderId, Token};
use rivergen_platform::{errors, http::Path};
use saml_rs::{ForceAuthn, RelayStateParam, StartSso};
use sea_orm::EntityTrait;
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use logout::forget as forget_logouts;
pub use refusal::Refusal;

use crate::{
    Federation,
    provider::{self, Kind},
    sign_in::{login, protocol::Departure},
};
use parties::ServiceProvider;

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(acs::saml_callback))
        .routes(routes!(saml_metadata))
        .routes(routes!(logout::saml_logout, logout::saml_logout_form))
}

/// What this module does in the background.
pub(crate) fn register_jobs(federation: &Federation) {
    keys::register(federation);
    metadata::register(federation);
}

/// The address at the provider where a sign-in under this state begins: a signed AuthnRequest, by redirect. With `anew` it
/// says that the provider is to ask who the person is though it knows (`ForceAuthn`).
pub async fn depart(
    federation: &Federation,
    provider: &provider::Model,
    state: &Token,
    anew: bool,
) -> Result<Departure> {
    let now = federation.platform().clock.now();
    let us = ServiceProvider::of(federation, provider).await?;
    // Its answer could not be verified, so nobody is sent there.
    let peer =
        parties::peer(provider, now).map_err(|refusal| Error::new(ErrorCode::IdpUnavailable).with_source(refusal))?;
    let relay_state = RelayStateParam::try_from_option(Some(state.expose())).map_err(parties::ours)?;
    let sp = us.acting(now, None).map_err(parties::ours)?;
    let mut asking = StartSso::redirect().relay_state(relay_state);
    if anew {
        asking = asking.force_authn(ForceAuthn::Required);
    }
    let started = sp.start_sso(&peer, asking).map_err(parties::ours)?;
    let url = started.outbound.redirect_url().map_err(parties::ours)?.to_owned();
    Ok(Departure { url, secrets: json!({"request_id": started.pending.request_id().as_str()}) })
}

/// The address at the provider that ends its session too, where it has one. The browser comes back to `back` from there.
pub async fn sign_out(
    federation: &Federation,
    provider: &provider::Model,
    login: &login::Model,
    back: &str,
) -> Result<Option<String>> {
    logout::begin(federation, provider, login, back).await
}

/// What an identity provider is to load.
pub async fn metadata_xml(federation: &Federation, provider: &provider::Model) -> Result<String> {
    Ok(ServiceProvider::of(federation, provider).await?.metadata())
}

/// What stands in the way of sign-ins, in plain words; nothing where nothing does.
pub async fn diagnose(federation: &Federation, provider: &provider::Model) -> Vec<String> {
    let sentence = |text: String| {
        let mut letters = text.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
        format!("{first}{}.", letters.as_str())
    };
    let mut faults = Vec::new();
    let state = Token::random(&mut rand::rng());
    if let Err(refusal) = parties::peer(provider, federation.platform().clock.now()) {
        faults.push(sentence(refusal.to_string()));
    } else if let Err(error) = depart(federation, provider, &state, false).await {
        tracing::error!(?error, "an AuthnRequest could not be made");
        faults.push("A request for a sign-in could not be made.".to_owned());
    }
    match metadata::fault(federation, provider).await {
        Ok(fault) => faults.extend(fault.map(|fault| sentence(format!("the metadata of the provider: {fault}")))),
        Err(error) => tracing::error!(?error, "what was found of a provider's metadata could not be read"),
    }
    faults
}

errors! { pub MetadataErrors: ProviderNotFound; }

/// Get this service's SAML metadata for an identity provider
#[utoipa::path(get, path = "/api/v1/sso/saml/metadata/{provider_id}", tag = "sso", security(()),
    params(("provider_id" = SsoProviderId, Path, description = "The provider that loads it")),
    responses((status = 200, description = "An EntityDescriptor: addresses, certificates to verify with and to encrypt for; nothing in it is secret",
        body = String, content_type = "application/samlmetadata+xml"), MetadataErrors))]
pub async fn saml_metadata(State(federation): State<Federation>, Path(id): Path<SsoProviderId>) -> Result<Response> {
    let db = federation.platform().db.read();
    let provider = provider::Entity::find_by_id(id).one(db).await?.filter(|provider| provider.kind == Kind::Saml);
    let provider = provider.ok_or(ErrorCode::ProviderNotFound)?;
    if !provider::lives(db, &provider).await? {
        return Err(ErrorCode::ProviderNotFound.into());
    }
    let xml = metadata_xml(&federation, &provider).await?;
    Ok(([(header::CONTENT_TYPE, "application/samlmetadata+xml")], xml).into_response())
}
