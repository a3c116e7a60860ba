//! `POST /api/v1/auth/oauth/login` and `POST /api/v1/auth/oauth/signup`: the provider's code, and the state that it was
//! given under, against a session.
//!
//! Both say what they want of a person whom this server does not know, or knows already: the login makes an account
//! where there is none, the sign-up makes one or nothing.

use axum::{extract::State, http::HeaderMap};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    FINISH_BY_IP,
    arrival::{self, Arrival, Arrived, Onward, SocialAnswer},
    exchange::{self, Profile},
    provider::Provider,
    state,
};
use crate::Identity;

/// What the provider gave the front end.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"provider": "google", "code": "4/0Ab…", "state": "mVxN3…"}))]
pub struct OauthRequest {
    #[garde(length(max = 50))]
    pub provider: String,
    /// The provider's authorization code.
    #[garde(length(min = 1, max = 4096))]
    pub code: String,
    /// The server's, from `oauth/{provider}/url`; used up with this call.
    #[garde(length(min = 1, max = 200))]
    pub state: String,
    /// Must be `true` for a new account if the server has terms; here or at the start.
    #[garde(skip)]
    pub agree_to_terms: Option<bool>,
    #[garde(inner(length(max = 50)))]
    pub terms_version: Option<String>,
}

errors! {
    pub LoginErrors: InvalidRequest, InvalidProvider, ProviderNotConfigured, InvalidState, SocialLoginFailed, Forbidden, UserDisabled, SsoRequired, AnotherPerson, NotAskedAnew, EmailTaken, ValidationError, RateLimited;
    pub SignupErrors: InvalidRequest, InvalidProvider, ProviderNotConfigured, InvalidState, SocialSignupFailed, Forbidden, AnotherPerson, NotAskedAnew, EmailTaken, ValidationError, RateLimited;
}

/// Log in with an authorization code from a social provider
#[utoipa::path(post, path = "/api/v1/auth/oauth/login", tag = "authentication", request_body = OauthRequest, security(()),
    params(("x-device-fingerprint" = Option<String>, Header, description = "What the client knows about its device, as JSON"),
        ("x-device-token" = Option<String>, Header, description = "The secret of a trusted device, for clients without cookies")),
    responses((status = 200, description = "Signed in, or what is still needed to sign in", body = Envelope<SocialAnswer>), LoginErrors))]
pub async fn oauth_login(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Json(request): Json<OauthRequest>,
) -> Result<Reply<SocialAnswer>> {
    let answer = finish(&identity, request, false, &headers, &origin).await?;
    let message = answer.entrance.message();
    Ok(Reply::ok(answer, message))
}

/// Sign up through a social provider
#[utoipa::path(post, path = "/api/v1/auth/oauth/signup", tag = "authentication", request_body = OauthRequest, security(()),
    responses((status = 201, description = "Created and signed in; or, if the provider has not verified the address, waiting for verification", body = Envelope<SocialAnswer>), SignupErrors))]
pub async fn oauth_signup(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Json(request): Json<OauthRequest>,
) -> Result<Reply<SocialAnswer>> {
    let answer = finish(&identity, request, true, &headers, &origin).await?;
    let message = answer.entrance.message();
    Ok(Reply::created(answer, message))
}

async fn finish(
    identity: &Identity,
    request: OauthRequest,
    is_signup: bool,
    headers: &HeaderMap,
    origin: &RequestOrigin,
) -> Result<SocialAnswer> {
    let provider = identity.social.get(&request.provider)?;
    identity.platform.limits.check(&FINISH_BY_IP, &origin.limit_key())?;
    let begun = state::take(&identity.platform, &provider.name, &request.state, None).await?;
    let failed = if is_signup { ErrorCode::SocialSignupFailed } else { ErrorCode::SocialLoginFailed };
    let profile = profile(identity, provider, request.code, &begun, failed, origin).await?;
    let asked_anew = begun.asked_anew(&identity.platform).await?;
    let arrival = Arrival {
        provider,
        profile,
        client_state: begun.client_state,
        agree_to_terms: request.agree_to_terms.or(begun.accepted_terms.is_some().then_some(true)),
        terms_version: request.terms_version.or(begun.accepted_terms),
        is_signup,
        onward: Onward::SignIn,
        asked_anew,
        origin,
    };
    match arrival::arrive(identity, arrival, headers).await? {
        Arrived::Answer(answer) => Ok(answer),
        Arrived::HandedOver(_) => Err(Error::internal("a sign-in was handed over that nobody asked for")),
    }
}

/// Asks the provider who the person is; that it did not say so is recorded, and answered as `failed`.
pub(super) async fn profile(
    identity: &Identity,
    provider: &Provider,
    code: String,
    begun: &state::Model,
    failed: ErrorCode,
    origin: &RequestOrigin,
) -> Result<Profile> {
    let secrets = begun.secrets(&identity.platform).await?;
    match exchange::profile(&identity.platform, provider, code, secrets).await {
        Ok(profile) => Ok(profile),
        Err(failure) => {
            arrival::refused(identity, provider, None, "the provider did not confirm it", origin).await?;
            Err(failure.coded(failed))
        }
    }
}
