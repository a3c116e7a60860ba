//! What the two protocols have in common: a way out to the provider, and a way to sign out there.

use rivergen_kernel::{Result, Token};
use serde_json::Value;

use super::login;
use crate::{Federation, oidc, provider, saml};

/// Where the browser goes, and what must be known when it is back.
#[derive(Debug)]
pub struct Departure {
    pub url: String,
    /// Of the protocol; kept sealed with the state.
    pub secrets: Value,
}

/// How the provider is to ask somebody who they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asking<'a> {
    /// The address that they typed, or that the provider knows them by.
    pub login_hint: Option<&'a str>,
    /// Whether it is to ask though it knows.
    pub anew: bool,
}

/// The address at the provider where a sign-in under this state begins. `IDP_UNAVAILABLE` where the provider would have to
/// be asked and does not answer.
pub async fn depart(
    federation: &Federation,
    provider: &provider::Model,
    state: &Token,
    asking: Asking<'_>,
) -> Result<Departure> {
    match provider.kind {
        provider::Kind::Oidc => oidc::depart(federation, provider, state, asking).await,
        provider::Kind::Saml => saml::depart(federation, provider, state, asking.anew).await,
    }
}

/// The address at the provider that ends its session too, where it has one. The browser comes back to `back` from there.
pub async fn sign_out(
    federation: &Federation,
    provider: &provider::Model,
    login: &login::Model,
    back: &str,
) -> Result<Option<String>> {
    match provider.kind {
        provider::Kind::Oidc => oidc::sign_out(federation, provider, login, back).await,
        provider::Kind::Saml => saml::sign_out(federation, provider, login, back).await,
    }
}
