//! Who is asking: the bearer token becomes a [`Caller`] once per request, before the handler, and the
//! request is counted against its rate limit.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use rivergen_kernel::{Caller, Credential, Error, ErrorCode, MissingScope, Permission, Result, Scope, UserId};

use super::key_proof::{KeyFault, KeyProof, Shown};
use crate::{
    audit::Actor,
    limits::{Allowance, GENERAL, GENERAL_ADMIN, Limits, ip_key},
};

/// Turns the token of a request into a caller; `identity` has the one that stands.
#[async_trait::async_trait]
pub trait Authenticator: Send + Sync {
    /// `UNAUTHORIZED`, `TOKEN_EXPIRED` or `USER_DISABLED` where the token does not make a caller. One that is bound to a key
    /// makes none without a proof of it ([`KeyFault::Missing`]).
    async fn authenticate(&self, token: &str, ip: Option<IpAddr>) -> Result<Arc<Caller>>;

    /// The same for a token that is bound to a key and came with a proof of it (RFC 9449, section 7); any other is refused.
    async fn authenticate_bound(&self, _token: &str, _ip: Option<IpAddr>, _proof: KeyProof<'_>) -> Result<Arc<Caller>> {
        Err(KeyFault::Unbound.into())
    }

    /// Whether a token that opened a request which goes on is good still. What it was bound to was proved when it opened it.
    async fn authenticate_again(&self, token: &str, ip: Option<IpAddr>) -> Result<Arc<Caller>> {
        self.authenticate(token, ip).await
    }
}

/// The caller of an operation that needs one; 401 without a valid token, 403 with an unverified address.
#[derive(Debug)]
pub struct SignedIn(pub Arc<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let outcome = parts.extensions.get::<Outcome>().ok_or_else(|| Error::internal("no authentication layer"))?;
        match &outcome.0 {
            Some(Ok(caller)) if caller.email_verified => Ok(Self(caller.clone())),
            Some(Ok(_)) => Err(ErrorCode::EmailNotVerified.into()),
            Some(Err(error)) => Err(error.clone()),
            None => Err(ErrorCode::Unauthorized.into()),
        }
    }
}

/// The caller of an operation that works without one; a token that is sent must be valid all the same.
#[derive(Debug)]
pub struct MaybeSignedIn(pub Option<Arc<Caller>>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeSignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.extensions.get::<Outcome>().and_then(|outcome| outcome.0.clone()) {
            None => Ok(Self(None)),
            Some(outcome) => outcome.map(|caller| Self(Some(caller))),
        }
    }
}

#[derive(Clone)]
struct Outcome(Option<Result<Arc<Caller>>>);

/// The address of the client, as far as the trusted proxies tell it.
#[derive(Debug, Clone, Copy)]
pub struct ClientIp(pub Option<IpAddr>);

/// Where a request came from, for sessions and the audit log.
#[derive(Debug, Clone)]
pub struct RequestOrigin {
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
}

impl RequestOrigin {
    /// The person who acts, for the audit log.
    pub fn actor(&self, user_id: UserId) -> Actor {
        Actor::user(user_id).with_ip(self.ip).with_user_agent(self.user_agent.as_deref())
    }

    /// Somebody who has not proved who they are, for the audit log.
    pub fn anonymous(&self) -> Actor {
        Actor::anonymous().with_ip(self.ip).with_user_agent(self.user_agent.as_deref())
    }

    /// The client as rate limits know it.
    pub fn limit_key(&self) -> String {
        self.ip.map(ip_key).unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestOrigin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let ip = parts.extensions.get::<ClientIp>().and_then(|ip| ip.0);
        let user_agent = parts
            .headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map(|text| text.chars().take(255).collect());
        Ok(Self { ip, user_agent })
    }
}

/// The proxies whose `X-Forwarded-For` is believed; of all others the header is ignored.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// Walks the header from the right, past trusted proxies, to the first address that is not one.
    pub fn client_ip(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let trusted = |ip: &IpAddr| self.0.iter().any(|net| net.contains(ip));
        let mut client = peer?;
        let hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        for hop in hops.iter().rev() {
            if !trusted(&client) {
                break;
            }
            match hop.trim().parse() {
                Ok(ip) => client = ip,
                Err(_) => break,
            }
        }
        Some(client)
    }
}

/// What [`authenticate`] needs.
#[derive(Clone)]
pub struct Authentication {
    pub authenticator: Arc<dyn Authenticator>,
    pub limits: Arc<Limits>,
    pub proxies: Arc<TrustedProxies>,
    pub challenge: Challenge,
}

/// What somebody without a good token is told of where to get one (RFC 9728, section 5.1).
#[derive(Debug, Clone)]
pub struct Challenge {
    /// To whoever sent none: without a fault (RFC 6750, section 3.1).
    pub unasked: HeaderValue,
    /// To whoever sent one that is not good, and is not about a key.
    pub refused: HeaderValue,
    /// Where the API says who gives tokens for it, as a parameter of other challenges.
    pub metadata: Arc<str>,
}

/// The layer: finds out who is asking, counts the request, and leaves both for the handler.
pub async fn authenticate(State(state): State<Authentication>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let ip = state.proxies.client_ip(peer, request.headers());
    request.extensions_mut().insert(ClientIp(ip));

    let (headers, method, path) = (request.headers(), request.method().as_str(), request.uri().path());
    let outcome = match Shown::of(headers) {
        None => None,
        Some(Shown::Bearer(token)) => Some(state.authenticator.authenticate(token, ip).await),
        Some(Shown::Bound(token)) => {
            let proof = KeyProof::of(headers, method, path);
            Some(state.authenticator.authenticate_bound(token, ip, proof).await)
        }
    };
    let is_bound = matches!(Shown::of(headers), Some(Shown::Bound(_)));
    let key_challenge = match &outcome {
        Some(Err(error)) => KeyChallenge::of(error, is_bound),
        _ => None,
    };
    let challenge = match &outcome {
        Some(Err(_)) if key_challenge.is_none() => state.challenge.refused,
        _ => state.challenge.unasked,
    };
    let application = match &outcome {
        Some(Ok(caller)) if matches!(caller.credential, Credential::Application { .. }) => Some(caller.clone()),
        _ => None,
    };
    let (rule, key) = match &outcome {
        Some(Ok(caller)) if caller.may(Permission::RoleAssign) => (&GENERAL_ADMIN, user_key(caller)),
        Some(Ok(caller)) => (&GENERAL, user_key(caller)),
        _ => (&GENERAL, ip.map(ip_key).unwrap_or_default()),
    };
    request.extensions_mut().insert(Outcome(outcome));

    match state.limits.check(rule, &key) {
        Ok(allowance) => {
            let mut response = next.run(request).await;
            if response.status() == StatusCode::UNAUTHORIZED {
                let headers = response.headers_mut();
                headers.remove(header::WWW_AUTHENTICATE);
                if let Some(challenge) = key_challenge {
                    challenge.write(headers);
                }
                headers.append(header::WWW_AUTHENTICATE, challenge);
            }
            if response.status() == StatusCode::FORBIDDEN
                && let Some(application) = application
                && let Some(error) = response.extensions().get::<Error>()
                && let Some(challenge) = insufficient_scope(&application, is_bound, error, &state.challenge.metadata)
            {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            write_allowance(response.headers_mut(), &allowance);
            response
        }
        Err(limited) => Error::from(limited).into_response(),
    }
}

/// What an application is told to ask its person for, where its token's scopes were too narrow (RFC 6750, section 3.1): what
/// they let through already and what is missing, so that the next token does no less than this one.
fn insufficient_scope(application: &Caller, is_bound: bool, error: &Error, metadata: &str) -> Option<HeaderValue> {
    let MissingScope(permission) = MissingScope::of(error)?;
    let mut scopes = application.credential.scopes().cloned().unwrap_or_default();
    scopes.0.insert(Scope::Only(permission));
    let scopes: Vec<String> = scopes.0.iter().map(ToString::to_string).collect();
    let says = format!("error=\"insufficient_scope\", scope=\"{}\", {metadata}", scopes.join(" "));
    let challenge = match is_bound {
        true => format!("DPoP {says}, {}", KeyFault::ALGORITHMS),
        false => format!("Bearer {says}"),
    };
    HeaderValue::from_str(&challenge).ok()
}

/// Unlike any address.
fn user_key(caller: &Caller) -> String {
    format!("user {}", caller.user_id)
}

/// What a request is told whose token or proof of a key was not taken.
struct KeyChallenge {
    challenge: &'static str,
    nonce: Option<HeaderValue>,
}

impl KeyChallenge {
    /// None where no key is what it is about.
    fn of(error: &Error, is_bound: bool) -> Option<Self> {
        match KeyFault::of(error) {
            Some(fault) => {
                let nonce = fault.nonce().and_then(|nonce| HeaderValue::from_str(nonce).ok());
                Some(Self { challenge: fault.challenge(), nonce })
            }
            None => is_bound.then_some(Self { challenge: KeyFault::INVALID_TOKEN, nonce: None }),
        }
    }

    fn write(self, headers: &mut HeaderMap) {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(self.challenge));
        if let Some(nonce) = self.nonce {
            headers.insert(KeyFault::NONCE_HEADER, nonce);
        }
    }
}

pub(super) fn write_allowance(headers: &mut HeaderMap, allowance: &Allowance) {
    headers.insert("x-ratelimit-limit", HeaderValue::from(allowance.limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(allowance.remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(allowance.reset_at.timestamp()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::HeaderName::from_static("x-forwarded-for"), value.parse().unwrap())])
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(proxies.client_ip(Some(ip("203.0.113.9")), &forwarded("1.2.3.4")), Some(ip("203.0.113.9")));
        assert_eq!(proxies.client_ip(Some(ip("10.0.0.1")), &forwarded("6.6.6.6, 1.2.3.4")), Some(ip("1.2.3.4")));
        assert_eq!(proxies.client_ip(Some(ip("10.0.0.1")), &forwarded("1.2.3.4, 10.0.0.2")), Some(ip("1.2.3.4")));
        assert_eq!(proxies.client_ip(Some(ip("10.0.0.1")), &forwarded("nonsense")), Some(ip("10.0.0.1")));
    }
}
