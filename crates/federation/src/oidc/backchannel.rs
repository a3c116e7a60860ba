//! `POST /api/v1/sso/oidc/backchannel-logout/{provider_id}`: the provider tells this server that a session is over (OpenID
//! Connect Back-Channel Logout 1.0). What it opened here ends at once. A token is taken once: its `jti` is remembered for as long
//! as it would be good.

use std::time::Duration;

use axum::{
    extract::{Form, State, rejection::FormRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, errors::ErrorKind, jwk::JwkSet};
use rivergen_identity::oidc::{Discovered, Failure};
use rivergen_kernel::{Error, ErrorCode, Result, SsoProviderId};
use rivergen_platform::{
    errors,
    http::{Path, RequestOrigin},
    limits::Rule,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    Federation,
    provider::{self, Kind},
    sign_in::{seen, sessions},
};

/// The event that a logout token tells of.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How old a token may be: whoever keeps one must not end sessions of later days with it.
const OLDEST_SECONDS: i64 = 300;
/// How far the provider's clock may be ahead of this server's.
const SKEW_SECONDS: i64 = 60;
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

#[derive(Debug, Deserialize, ToSchema)]
pub struct BackchannelLogoutForm {
    /// A JWT from the provider.
    logout_token: String,
}

#[derive(Debug, Deserialize)]
struct LogoutClaims {
    iat: i64,
    exp: Option<i64>,
    jti: String,
    sub: Option<String>,
    sid: Option<String>,
    events: Map<String, Value>,
    nonce: Option<Value>,
}

impl LogoutClaims {
    /// From when on the token would be refused for its time, whatever its `exp` says.
    fn good_until(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.iat + OLDEST_SECONDS + 1, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Logouts of one provider's people that one address tells of: as many as a company has at the end of its day. A provider in
/// the cloud tells of those of many companies from the same few addresses, so each is counted by itself.
const LOGOUT_BY_IP: Rule = Rule::new("sso_logout_by_ip", 3000, Duration::from_secs(600));

errors! { pub LogoutErrors: BadRequest, ProviderNotFound, RateLimited, IdpUnavailable; }

/// Handle a back-channel logout from the OpenID provider
#[utoipa::path(post, path = "/api/v1/sso/oidc/backchannel-logout/{provider_id}", tag = "sso", security(()),
    params(("provider_id" = SsoProviderId, Path, description = "The provider")),
    request_body(content = BackchannelLogoutForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The sessions that it started have ended"), LogoutErrors))]
pub async fn backchannel_logout(
    State(federation): State<Federation>,
    origin: RequestOrigin,
    Path(id): Path<SsoProviderId>,
    form: Result<Form<BackchannelLogoutForm>, FormRejection>,
) -> Result<Response> {
    let platform = federation.platform();
    platform.limits.check(&LOGOUT_BY_IP, &format!("{id} {}", origin.limit_key()))?;
    let provider = provider::active(platform.db.read(), id).await?.filter(|provider| provider.kind == Kind::Oidc);
    let provider = provider.ok_or(ErrorCode::ProviderNotFound)?;
    let Form(form) = form.map_err(|rejection| Error::new(ErrorCode::BadRequest).with_source(rejection))?;
    let claims = read(&federation, &provider, &form.logout_token).await.map_err(|failure| {
        let code = if failure.is_unreachable() { ErrorCode::IdpUnavailable } else { ErrorCode::BadRequest };
        failure.coded(code)
    })?;
    let tx = platform.db.begin().await?;
    if !seen::is_first(&tx, provider.id, seen::Kind::LogoutToken, &claims.jti, claims.good_until()).await? {
        return Err(Failure::of("the logout token was already used").coded(ErrorCode::BadRequest));
    }
    let named: Vec<&str> = claims.sid.as_deref().into_iter().collect();
    sessions::end(&federation, tx, &provider, claims.sub.as_deref(), &named).await?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::OK, no_store).into_response())
}

/// The claims of a logout token of this provider for this server; where no known key has signed it, the keys are read
/// anew once.
async fn read(federation: &Federation, provider: &provider::Model, token: &str) -> Result<LogoutClaims, Failure> {
    let platform = federation.platform();
    let issuer = provider.issuer.as_deref().unwrap_or_default();
    let mut discovered = federation.discovery.of(platform, issuer).await?;
    super::refuse_open_endpoints(federation, &discovered)?;
    let header = jsonwebtoken::decode_header(token)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Failure::of("the logout token is not signed with one of the provider's keys"));
    }
    let mut claims = verified(provider, &discovered, &header, token)?;
    if claims.is_none() && federation.discovery.renew(platform, &discovered).await? {
        discovered = federation.discovery.of(platform, issuer).await?;
        super::refuse_open_endpoints(federation, &discovered)?;
        claims = verified(provider, &discovered, &header, token)?;
    }
    let claims =
        claims.ok_or_else(|| Failure::of("the logout token is signed with a key that the provider does not have"))?;
    check(claims, platform.clock.now().timestamp())
}

/// What the token says; `None` where none of the provider's keys has signed it.
fn verified(
    provider: &provider::Model,
    discovered: &Discovered,
    header: &Header,
    token: &str,
) -> Result<Option<LogoutClaims>, Failure> {
    let Some(key) = key_of(discovered, header.kid.as_deref())? else { return Ok(None) };
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[discovered.metadata.issuer().as_str()]);
    validation.set_audience(&[provider.client_id.as_deref().unwrap_or_default()]);
    validation.set_required_spec_claims(&["iss", "aud"]);
    // Checked below against the injected clock.
    validation.validate_exp = false;
    match jsonwebtoken::decode::<LogoutClaims>(token, &key, &validation) {
        Ok(read) => Ok(Some(read.claims)),
        // The second: the key of this name is of another kind.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature | ErrorKind::InvalidKeyFormat) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The key of the set that the token names; without a name, the only one.
fn key_of(discovered: &Discovered, kid: Option<&str>) -> Result<Option<DecodingKey>, Failure> {
    let set: JwkSet = serde_json::from_value(serde_json::to_value(discovered.metadata.jwks())?)?;
    let found = match (kid, set.keys.as_slice()) {
        (Some(kid), _) => set.find(kid),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    Ok(found.map(DecodingKey::from_jwk).transpose()?)
}

/// What makes a token one of a logout that happens now (section 2.6 of the standard).
fn check(claims: LogoutClaims, now: i64) -> Result<LogoutClaims, Failure> {
    if !claims.events.get(EVENT).is_some_and(Value::is_object) {
        return Err(Failure::of("the token does not announce a logout"));
    }
    // With one it could be an ID token.
    if claims.nonce.is_some() {
        return Err(Failure::of("a logout token must not have a nonce"));
    }
    if claims.sub.is_none() && claims.sid.is_none() {
        return Err(Failure::of("the logout token names neither a person nor a session"));
    }
    let is_of_now = claims.iat <= now + SKEW_SECONDS && claims.iat >= now - OLDEST_SECONDS;
    if !is_of_now || claims.exp.is_some_and(|exp| now >= exp.saturating_add(SKEW_SECONDS)) || claims.jti.is_empty() {
        return Err(Failure::of("the logout token is not current"));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_remembered_for_as_long_as_it_is_good() {
        let token = || json!({"iat": 1000, "jti": "1", "sub": "ada", "events": {EVENT: {}}});
        let good_until = serde_json::from_value::<LogoutClaims>(token()).unwrap().good_until().timestamp();
        let is_good = |now| check(serde_json::from_value(token()).unwrap(), now).is_ok();
        assert!(is_good(good_until - 1) && !is_good(good_until));
    }

    #[test]
    fn a_logout_token_is_one_of_now() {
        let good = json!({"iat": 1000, "exp": 1120, "jti": "1", "sub": "ada", "events": {EVENT: {}}});
        let read = |change: Value| {
            let mut all = good.clone();
            all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            check(serde_json::from_value(all).unwrap(), 1010).is_ok()
        };
        assert!(read(json!({})) && read(json!({"exp": null})) && read(json!({"sub": null, "sid": "s"})));
        assert!(read(json!({"exp": i64::MAX})));
        for bad in [
            json!({"events": {}}),
            json!({"events": {EVENT: true}}),
            json!({"nonce": "n"}),
            json!({"sub": null}),
            json!({"iat": 1071}),
            json!({"iat": 700}),
            json!({"exp": 950}),
            json!({"jti": ""}),
        ] {
            assert!(!read(bad.clone()), "{bad}");
        }
    }
}
