//! A client of OpenID providers (OpenID Connect Core 1.0), for whoever signs people in with one: [`social`](crate::social)
//! with those of the operator, the room of single sign-on with those of organizations.
//!
//! Discovery documents with their key sets are kept for an hour; a token that no key of the set has signed has them read
//! anew, once a minute at most, because providers change their keys whenever they like, and some call the new one as the
//! old one. While they cannot be read, the former ones are believed for a day.
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

/// How long a discovery document and its keys are taken without being read again.
const KEPT_FOR: chrono::Duration = chrono::Duration::hours(1);
/// How old they are at least before a token of another key has them read anew, and how long after a try that failed there is
/// another one.
const FRESH_FOR: chrono::Duration = chrono::Duration::seconds(60);
/// How long they are believed where they cannot be read again: over a night in which the provider's address for them is
/// down, while people could sign in. Not for longer, because a key that is taken back meanwhile is believed as well; the
/// keys of SAML's providers are looked at once a day, too.
const BELIEVED_FOR: chrono::Duration = chrono::Duration::days(1);
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

/// What came of asking an issuer what it says of itself.
#[derive(Debug, Clone)]
struct Known {
    read: Result<Arc<Discovered>, Failure>,
    /// Where that failed: the document of before, as long as it is believed.
    former: Option<Arc<Discovered>>,
    asked_at: DateTime<Utc>,
    /// After this it is asked again.
    lasts: chrono::Duration,
}

impl Known {
    fn new(read: Result<Arc<Discovered>, Failure>, before: Option<Self>, now: DateTime<Utc>) -> Self {
        let before = before.filter(|_| read.is_err()).and_then(|before| before.document().ok());
        let former = before.filter(|document| now - document.read_at < BELIEVED_FOR);
        let lasts = match (&read, &former) {
            (Ok(_), _) => KEPT_FOR,
            // A provider that does not answer keeps people waiting: not each of them.
            (Err(_), Some(_)) => FRESH_FOR,
            (Err(_), None) => chrono::Duration::zero(),
        };
        Self { read, former, asked_at: now, lasts }
    }

    fn document(self) -> Result<Arc<Discovered>, Failure> {
        let former = self.former;
        self.read.or_else(|failure| former.ok_or(failure))
    }

    fn is_over(&self, now: DateTime<Utc>) -> bool {
        now - self.asked_at >= self.lasts
    }
}

/// The discovery documents that were read lately, by issuer; cheap to clone.
#[derive(Debug, Clone)]
pub struct Discovery(Cache<String, Known>);

impl Default for Discovery {
    fn default() -> Self {
        let longest = Duration::from_secs(BELIEVED_FOR.num_seconds().unsigned_abs());
        Self(Cache::builder().max_capacity(MOST).time_to_live(longest).build())
    }
}

impl Discovery {
    /// What the issuer says of itself. That it calls itself so is checked.
    pub async fn of(&self, platform: &Platform, issuer: &str) -> Result<Arc<Discovered>, Failure> {
        self.known(platform, issuer).await.document()
    }

    /// Asked where that is due; of several at once, one asks.
    async fn known(&self, platform: &Platform, issuer: &str) -> Known {
        let before = self.0.get(issuer).await;
        let ask = async {
            let read = Self::read(platform, issuer).await;
            Known::new(read, before, platform.clock.now())
        };
        let now = platform.clock.now();
        self.0.entry_by_ref(issuer).or_insert_with_if(ask, |known| known.is_over(now)).await.into_value()
    }

    /// The same, read anew and not kept.
    pub async fn read(platform: &Platform, issuer: &str) -> Result<Arc<Discovered>, Failure> {
        let http = GuardedHttp::new(&platform.outbound);
        let metadata = Metadata::discover_async(IssuerUrl::new(issuer.to_owned())?, &http).await?;
        Ok(Arc::new(Discovered { metadata, read_at: platform.clock.now() }))
    }

    /// Has the document read anew, unless it is almost new; whether it was. Where it cannot be read, the former one stays.
    pub async fn renew(&self, platform: &Platform, known: &Discovered) -> Result<bool, Failure> {
        if platform.clock.now() - known.read_at < FRESH_FOR {
            return Ok(false);
        }
        let issuer = known.metadata.issuer().as_str();
        // Of several who find so at once, the first has it read: what came of that stays for the others.
        let end = self.0.entry_by_ref(issuer).and_compute_with(|kept| {
            let kept = kept.map(moka::Entry::into_value);
            let same = kept.filter(|kept| kept.read.as_ref().is_ok_and(|kept| kept.read_at == known.read_at));
            future::ready(same.map_or(Op::Nop, |kept| Op::Put(Known { lasts: FRESH_FOR, ..kept })))
        });
        end.await;
        self.known(platform, issuer).await.read.map(|_| true)
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
