//! A client of OpenID providers (OpenID Connect Core 1.0), for whoever signs people in with one: [`social`](crate::social)
//! with those of the operator, the room of single sign-on with those of organizations.
//!
//! Discovery documents with their key sets are kept for an hour; a token that no key of the set has signed has them read
//! anew, once a minute at most, because providers change their keys whenever they like, and some call the new one as the
//! old one.
//!
//! [`Discovery`] reads what a provider says of itself, [`authorize`] makes the address that a sign-in begins at, and
//! [`IdToken`] is what comes back, checked. Every request goes the guarded way out ([`GuardedHttp`]).

mod http;
mod id_token;

use std::{future, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use moka::{future::Cache, ops::compute::Op};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, AuthenticationFlow, AuthorizationCode, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    ProviderMetadata, Scope,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType, CoreTokenResponse,
    },
};
use rivergen_platform::Platform;
use serde::{Deserialize, Serialize};

pub use http::{Failure, GuardedHttp, HttpError};
pub use id_token::{IdToken, is_by_key};

/// How long a discovery document and its keys are believed.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// How old they are at least before a token of another key has them read anew.
const FRESH_FOR: chrono::Duration = chrono::Duration::seconds(60);
/// Providers whose documents are kept.
const MOST: u64 = 10_000;

/// The library's client with the addresses that a sign-in needs.
pub type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// A discovery document.
pub type Metadata = ProviderMetadata<
    Extensions,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What the document says beyond the first standard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Extensions {
    /// RFC 9207: answers name their issuer, so that those of two providers are not mixed up.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    /// OpenID Connect RP-Initiated Logout 1.0.
    pub end_session_endpoint: Option<String>,
}

impl AdditionalProviderMetadata for Extensions {}

/// What a provider says of itself.
#[derive(Debug)]
pub struct Discovered {
    pub metadata: Metadata,
    pub read_at: DateTime<Utc>,
}

impl Discovered {
    /// How a secret is shown at the token endpoint: in the header where the provider takes it (the standard's own way), else
    /// in the body.
    pub fn auth_type(&self) -> AuthType {
        let methods = self.metadata.token_endpoint_auth_methods_supported();
        let in_body = |methods: &Vec<CoreClientAuthMethod>| !methods.contains(&CoreClientAuthMethod::ClientSecretBasic);
        if methods.is_some_and(in_body) { AuthType::RequestBody } else { AuthType::BasicAuth }
    }
}

/// The discovery documents that were read lately, by issuer; cheap to clone.
#[derive(Debug, Clone)]
pub struct Discovery(Cache<String, Arc<Discovered>>);

impl Default for Discovery {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(KEPT_FOR).build())
    }
}

impl Discovery {
    /// What the issuer says of itself. That it calls itself so is checked.
    pub async fn of(&self, platform: &Platform, issuer: &str) -> Result<Arc<Discovered>, Failure> {
        let read = Self::read(platform, issuer);
        let kept = self.0.try_get_with_by_ref(issuer, read).await;
        kept.map_err(|failure: Arc<Failure>| Failure::clone(&failure))
    }

    /// The same, read anew and not kept.
    pub async fn read(platform: &Platform, issuer: &str) -> Result<Arc<Discovered>, Failure> {
        let http = GuardedHttp::new(&platform.outbound);
        let metadata = Metadata::discover_async(IssuerUrl::new(issuer.to_owned())?, &http).await?;
        Ok(Arc::new(Discovered { metadata, read_at: platform.clock.now() }))
    }

    /// Has the document read anew, unless it is almost new; whether it was.
    pub async fn forget(&self, known: &Discovered, now: DateTime<Utc>) -> bool {
        let is_due = now - known.read_at >= FRESH_FOR;
        if is_due {
            // Of several who find so at once, the first has it read: what came of that stays for the others.
            let forget = self.0.entry_by_ref(known.metadata.issuer().as_str()).and_compute_with(|kept| {
                let is_known = kept.is_some_and(|kept| kept.value().read_at == known.read_at);
                future::ready(if is_known { Op::Remove } else { Op::Nop })
            });
            forget.await;
        }
        is_due
    }
}

/// What the provider must prove to have seen, and this server to have made.
#[derive(Serialize, Deserialize)]
pub struct Secrets {
    pub pkce_verifier: String,
    pub nonce: String,
}

/// Has a provider ask who somebody is, whoever is signed in there, and say when it did (OpenID Connect Core 1.0, section
/// 3.1.2.1).
pub fn asking_anew() -> [(&'static str, String); 2] {
    [("prompt", "login".to_owned()), ("max_age", "0".to_owned())]
}

/// The provider's address with the state, a fresh nonce and the challenge for a fresh verifier.
pub fn authorize(
    client: &Client,
    state: &rivergen_kernel::Token,
    scopes: impl IntoIterator<Item = String>,
    extra: &[(&'static str, String)],
) -> (String, Secrets) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let state = CsrfToken::new(state.expose().to_owned());
    let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
    let mut request = client
        .authorize_url(flow, || state, Nonce::new_random)
        .add_scopes(scopes.into_iter().map(Scope::new))
        .set_pkce_challenge(challenge);
    for (name, value) in extra {
        request = request.add_extra_param(*name, value.clone());
    }
    let (url, _, nonce) = request.url();
    (url.into(), Secrets { pkce_verifier: verifier.into_secret(), nonce: nonce.secret().clone() })
}

/// Exchanges a code, once.
pub async fn exchange(
    http: &GuardedHttp,
    client: &Client,
    code: String,
    pkce_verifier: String,
) -> Result<CoreTokenResponse, Failure> {
    let request = client.exchange_code(AuthorizationCode::new(code))?;
    let tokens = request.set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier)).request_async(http).await?;
    // It is written into a header, which takes nothing else.
    if !tokens.access_token().secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::of("the access token is none"));
    }
    Ok(tokens)
}
