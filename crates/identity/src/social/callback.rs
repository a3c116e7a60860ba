//! `GET` and `POST /api/v1/auth/oauth/{provider}/callback`, where the provider sends the browser back to, and
//! `POST /api/v1/auth/oauth/handover`.
//!
//! The callback signs in under a state that was begun in the same browser, which its cookie shows. Without a redirect
//! target it answers as the login does. With one it sends the browser there, and no token ever stands in an address:
//! the query has a `handover_code` (a minute, once) to exchange for the tokens, or the provider's `code` where the
//! front end wants to finish itself, or the `error` that this server would have answered.

use axum::{
    extract::{Form, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Query, Reply, RequestOrigin},
};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use utoipa::{IntoParams, ToSchema};

use super::{
    FINISH_BY_IP,
    arrival::{self, Arrival, Arrived, HandedOver, Onward, SocialAnswer, SocialEntrance},
    login,
    provider::Provider,
    state,
};
use crate::{
    Identity,
    login::Way,
    one_time_token::{self, Purpose},
    user::User,
};

/// What a provider sends the browser back with.
#[derive(Debug, Default, Deserialize, Validate, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub struct CallbackAnswer {
    #[garde(inner(length(max = 4096)))]
    code: Option<String>,
    #[garde(inner(length(max = 200)))]
    state: Option<String>,
    /// Set if the provider or the person refused.
    #[garde(inner(length(max = 4096)))]
    error: Option<String>,
    /// Ignored: whoever creates a link can write anything there.
    #[garde(skip)]
    #[serde(rename = "error_description")]
    _error_description: Option<String>,
    /// JSON with the person's name, which Apple only sends the first time.
    #[garde(inner(length(max = 4096)))]
    user: Option<String>,
}

errors! {
    pub CallbackErrors: OauthAuthorizationFailed, MissingAuthorizationCode, InvalidState, InvalidProvider, ProviderNotConfigured, SocialLoginFailed, Forbidden, UserDisabled, SsoRequired, AnotherPerson, NotAskedAnew, EmailTaken, ValidationError, RateLimited;
    pub FormErrors: OauthAuthorizationFailed, MissingAuthorizationCode, InvalidState, InvalidRequest, InvalidProvider, ProviderNotConfigured, SocialLoginFailed, Forbidden, UserDisabled, SsoRequired, AnotherPerson, NotAskedAnew, EmailTaken, ValidationError, RateLimited;
    pub HandoverErrors: InvalidRequest, InvalidToken, UserDisabled, SsoRequired, ValidationError, RateLimited;
}

/// Handle the provider's redirect, and log in or sign up
#[utoipa::path(get, path = "/api/v1/auth/oauth/{provider}/callback", tag = "authentication", security(()),
    params(("provider" = String, Path, description = "From the list of providers"), CallbackAnswer),
    responses((status = 200, description = "Signed in, or what is still needed to sign in", body = Envelope<SocialAnswer>),
        (status = 303, description = "To the redirect target of the start, with a handover code, the provider's code or an error"), CallbackErrors))]
pub async fn oauth_callback(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(answer): Query<CallbackAnswer>,
) -> Result<Response> {
    come_back(&identity, &name, answer, &headers, &origin).await
}

/// Handle the form that a provider's page posts
#[utoipa::path(post, path = "/api/v1/auth/oauth/{provider}/callback", tag = "authentication", security(()),
    params(("provider" = String, Path, description = "From the list of providers")),
    request_body(content = CallbackAnswer, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Signed in, or what is still needed to sign in", body = Envelope<SocialAnswer>),
        (status = 303, description = "To the redirect target of the start, with a handover code, the provider's code or an error"), FormErrors))]
pub async fn oauth_callback_form(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path(name): Path<String>,
    form: Result<Form<CallbackAnswer>, FormRejection>,
) -> Result<Response> {
    let unread =
        |rejection: FormRejection| Error::new(ErrorCode::InvalidRequest).with_message(NO_FORM).with_source(rejection);
    let Form(answer) = form.map_err(unread)?;
    answer.validate().map_err(|report| Error::new(ErrorCode::InvalidRequest).with_source(report.to_string()))?;
    come_back(&identity, &name, answer, &headers, &origin).await
}

const NO_FORM: &str = "The request body is not the form that a provider posts.";

async fn come_back(
    identity: &Identity,
    name: &str,
    answer: CallbackAnswer,
    headers: &HeaderMap,
    origin: &RequestOrigin,
) -> Result<Response> {
    let platform = &identity.platform;
    let provider = identity.social.get(name)?;
    platform.limits.check(&FINISH_BY_IP, &origin.limit_key())?;
    let begun = match &answer.state {
        Some(state) => state::find(platform.db.read(), name, state, platform.clock.now()).await?,
        None => None,
    };
    // Begun in another browser, it is as good as unknown: its redirect target, too, is not for this one.
    let begun = begun.filter(|begun| begun.is_of_browser(headers));
    let target = begun.as_ref().and_then(|begun| Some((begun.redirect_to.clone()?, begun.client_state.clone())));
    let server_state = answer.state.clone().unwrap_or_default();
    let finished = finish(identity, provider, answer, begun, headers, origin).await;
    let Some((target, client_state)) = target else {
        let Finished::Answer(answer) = finished? else {
            return Err(Error::internal("a sign-in is to be continued nowhere"));
        };
        let message = answer.entrance.message();
        return leave(platform, provider, &server_state, Reply::ok(*answer, message).into_response());
    };
    let mut target: Url = target.parse().map_err(Error::internal)?;
    let mut state = client_state;
    let (key, value) = match finished {
        Ok(Finished::HandedOver(code)) => ("handover_code", code),
        Ok(Finished::Delivered(code)) => {
            // The front end finishes under the server's state, which is still good.
            state = Some(server_state.clone());
            ("code", code)
        }
        // What is missing is the proof of the address, and the mail for it is on its way.
        Ok(Finished::Answer(_)) => ("error", ErrorCode::EmailNotVerified.as_str().to_owned()),
        Err(error) => ("error", error.code.as_str().to_owned()),
    };
    target.query_pairs_mut().append_pair(key, &value);
    if let Some(state) = state {
        target.query_pairs_mut().append_pair("state", &state);
    }
    let location = HeaderValue::from_str(target.as_str()).map_err(Error::internal)?;
    leave(platform, provider, &server_state, (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// What goes to the browser: kept nowhere, told to nobody, and without the cookie.
fn leave(
    platform: &rivergen_platform::Platform,
    provider: &Provider,
    state: &str,
    response: Response,
) -> Result<Response> {
    let cookie = state::spent_cookie(provider, state, &platform.public_url)?;
    let headers = AppendHeaders([
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]);
    Ok((headers, response).into_response())
}

/// How a return ended.
enum Finished {
    Answer(Box<SocialAnswer>),
    HandedOver(String),
    /// The provider's code, for the front end.
    Delivered(String),
}

async fn finish(
    identity: &Identity,
    provider: &Provider,
    answer: CallbackAnswer,
    begun: Option<state::Model>,
    headers: &HeaderMap,
    origin: &RequestOrigin,
) -> Result<Finished> {
    if let Some(error) = answer.error {
        if let Some(begun) = begun {
            begun.spend(&identity.platform).await?;
        }
        return Err(refusal(&error));
    }
    let code = answer.code.filter(|code| !code.is_empty()).ok_or(ErrorCode::MissingAuthorizationCode)?;
    let begun = begun.ok_or(ErrorCode::InvalidState)?;
    if begun.delivers_code {
        return match begun.redirect_to {
            Some(_) => Ok(Finished::Delivered(code)),
            None => Err(Error::new(ErrorCode::InvalidState).with_message(NOT_HERE)),
        };
    }
    let begun = begun.spend(&identity.platform).await?;
    let profile = login::profile(identity, provider, code, &begun, ErrorCode::SocialLoginFailed, origin).await?;
    let asked_anew = begun.asked_anew(&identity.platform).await?;
    let onward = if begun.redirect_to.is_some() { Onward::HandOver } else { Onward::SignIn };
    let arrival = Arrival {
        provider,
        profile: profile.or_named(answer.user.as_deref().and_then(name_of_apple).as_deref()),
        client_state: begun.client_state,
        agree_to_terms: begun.accepted_terms.is_some().then_some(true),
        terms_version: begun.accepted_terms,
        is_signup: false,
        onward,
        asked_anew,
        origin,
    };
    Ok(match arrival::arrive(identity, arrival, headers).await? {
        Arrived::Answer(answer) => Finished::Answer(Box::new(answer)),
        Arrived::HandedOver(token) => Finished::HandedOver(token.expose().to_owned()),
    })
}

const NOT_HERE: &str = "This sign-in must be finished by the application; send it the code and the state.";

/// What the provider said, as far as it is one of its codes: text from outside is not shown as ours.
fn refusal(error: &str) -> Error {
    let code: String = error.chars().take(40).collect();
    let is_code = !code.is_empty() && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let refused = Error::new(ErrorCode::OauthAuthorizationFailed);
    match is_code {
        true => refused.with_message(format!("The provider refused the sign-in ({code}).")),
        false => refused,
    }
}

/// `{"name": {"firstName": "Ada", "lastName": "Lovelace"}}`
fn name_of_apple(user: &str) -> Option<String> {
    let user: serde_json::Value = serde_json::from_str(user).ok()?;
    let part = |name: &str| user["name"][name].as_str();
    let parts: Vec<&str> = [part("firstName"), part("lastName")].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"handover_code": "mVxN3…"}))]
pub struct HandoverRequest {
    /// From the query of the redirect target.
    #[garde(length(min = 1, max = 200))]
    pub handover_code: String,
    /// Asks for the second factor on a trusted device as well: for what needs one that is fresh.
    #[garde(skip)]
    pub ask_second_factor: Option<bool>,
}

/// Exchange a handover code for tokens
#[utoipa::path(post, path = "/api/v1/auth/oauth/handover", tag = "authentication", request_body = HandoverRequest, security(()),
    params(("x-device-fingerprint" = Option<String>, Header, description = "What the client knows about its device, as JSON"),
        ("x-device-token" = Option<String>, Header, description = "The secret of a trusted device, for clients without cookies")),
    responses((status = 200, description = "Signed in, or what is still needed to sign in", body = Envelope<SocialAnswer>), HandoverErrors))]
pub async fn oauth_handover(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Json(request): Json<HandoverRequest>,
) -> Result<Reply<SocialAnswer>> {
    let platform = &identity.platform;
    platform.limits.check(&FINISH_BY_IP, &origin.limit_key())?;
    let (now, db) = (platform.clock.now(), platform.db.read());
    let token = one_time_token::find(db, Purpose::SocialHandover, &request.handover_code).await?;
    let token = token.filter(|token| token.is_live(now)).ok_or(ErrorCode::InvalidToken)?;
    let user = User::find(db, token.user_id).await?.ok_or(ErrorCode::InvalidToken)?;
    let facts: HandedOver =
        serde_json::from_str(token.subject.as_deref().unwrap_or_default()).map_err(Error::internal)?;
    if user.account.disabled_at.is_some() {
        return Err(ErrorCode::UserDisabled.into());
    }
    crate::login::require_federation(&identity, &user).await?;
    let step = arrival::first_step(&identity, facts.authenticated_at);
    let way = Way::find(&identity, &user, &step, &headers).await?.asking_second_factor(request.ask_second_factor);
    let tx = platform.db.begin().await?;
    token.spend(&tx, now).await?;
    let details = json!({"method": "social", "provider": facts.provider});
    let entrance = crate::login::sign_in(&identity, &tx, &user, step, way, details, &origin).await?;
    tx.commit().await?;
    let entrance = SocialEntrance::of(entrance, user);
    let message = entrance.message();
    let HandedOver { provider, is_new_user, client_state, .. } = facts;
    Ok(Reply::ok(SocialAnswer { entrance, provider, is_new_user, state: client_state }, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_shows_codes_alone() {
        assert!(refusal("access_denied").message.contains("(access_denied)"));
        for text in ["<script>", "Call 555-1234 now", "", "ACCESS"] {
            assert_eq!(refusal(text).message, ErrorCode::OauthAuthorizationFailed.message(), "{text}");
        }
    }

    #[test]
    fn the_name_of_apple_is_read_from_its_form() {
        let name = name_of_apple(r#"{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"a@b.example"}"#);
        assert_eq!(name.as_deref(), Some("Ada Lovelace"));
        assert_eq!(name_of_apple(r#"{"name":{"firstName":"Ada"}}"#).as_deref(), Some("Ada"));
        assert_eq!(name_of_apple("{}"), None);
        assert_eq!(name_of_apple("nonsense"), None);
    }
}
