//! `GET` and `POST /oauth/logout`: an application that signed somebody in asks to sign them out here too (OpenID Connect
//! RP-Initiated Logout 1.0).
//!
//! With an ID token of the person who sits there it is done at once; without one, anybody could have sent the browser here,
//! so the person is asked. The browser goes back to an address that the application registered for that, and nowhere else.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::http::{RequestOrigin, SignedIn};

use super::{
    page,
    sign_in::{self, LOGOUT},
};
use crate::{
    Oauth,
    application::known::Client,
    error::OauthErrorBody,
    form::{Form, Parameters},
    id_token,
    request::{Refusal, client},
};

/// Sign a person out
#[utoipa::path(get, path = "/oauth/logout", tag = "oauth2", security(()),
    params(
        ("id_token_hint" = Option<String>, Query, description = "An ID token of the person; they are not asked then"),
        ("client_id" = Option<String>, Query, description = "The application's, where there is no hint"),
        ("post_logout_redirect_uri" = Option<String>, Query, description = "One of those registered for it, exactly"),
        ("state" = Option<String>, Query, description = "Returned unchanged")),
    responses((status = 200, description = "A page: asks, or says that it is done", content_type = "text/html", body = String),
        (status = 302, description = "Signed out, and back to the application"),
        (status = 400, description = "A page, or `invalid_request`: the application or its address is not known", body = OauthErrorBody)))]
pub async fn logout(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    answered(&oauth, origin, &headers, Parameters::parse(query.as_bytes()).ok(), &query, false).await
}

/// The same, posted by the application's page, or by the one here that asked.
pub async fn posted(State(oauth): State<Oauth>, origin: RequestOrigin, headers: HeaderMap, form: Form) -> Response {
    // Whoever confirms was shown the page by this server.
    if sign_in::is_ours(&oauth, &headers, &form) {
        let query = form.0.get("continue").unwrap_or_default();
        return answered(&oauth, origin, &headers, Parameters::parse(query.as_bytes()).ok(), query, true).await;
    }
    // A form of another site comes without the person's cookie; where it leads to, the browser comes with it.
    sign_in::lead(LOGOUT, &form.0.encoded()).unwrap_or_else(IntoResponse::into_response)
}

async fn answered(
    oauth: &Oauth,
    origin: RequestOrigin,
    headers: &HeaderMap,
    parameters: Option<Parameters>,
    query: &str,
    is_confirmed: bool,
) -> Response {
    let outcome = match parameters {
        Some(parameters) => end(oauth, origin, headers, &parameters, query, is_confirmed).await,
        None => Err(Refusal::Page(ErrorCode::OauthInvalidRequest)),
    };
    outcome.unwrap_or_else(|refusal| super::refused(oauth, headers, refusal))
}

async fn end(
    oauth: &Oauth,
    origin: RequestOrigin,
    headers: &HeaderMap,
    parameters: &Parameters,
    query: &str,
    is_confirmed: bool,
) -> Result<Response, Refusal> {
    let hint = match parameters.get("id_token_hint") {
        Some(token) => Some(id_token::read(oauth, token).await?.ok_or(Refusal::Page(ErrorCode::OauthInvalidRequest))?),
        None => None,
    };
    let client_id = parameters.get("client_id").or(hint.as_ref().map(|hint| hint.aud.as_str()));
    if hint.as_ref().is_some_and(|hint| Some(hint.aud.as_str()) != client_id) {
        return Err(Refusal::Page(ErrorCode::OauthInvalidClient));
    }
    let application = match client_id {
        Some(id) => Some(client(oauth, id).await?),
        None => None,
    };
    let back = back(application.as_deref(), parameters)?;
    let caller = sign_in::caller(oauth, headers, origin.ip).await?;
    let is_somebody = caller.is_some();
    if let Some(caller) = caller {
        let is_theirs = hint.as_ref().is_some_and(|hint| hint.sub == caller.user_id.to_string());
        if !is_theirs && !is_confirmed {
            let name = application.as_ref().map(|client| client.row.name.as_str());
            return Ok(sign_in::ask_to_sign_out(oauth, headers, query, name, &caller.email)?);
        }
        let identity = oauth.tenancy.identity.clone();
        rivergen_identity::logout::logout(State(identity), SignedIn(caller), origin).await?;
    }
    let mut response = match back {
        Some(location) => {
            let location = HeaderValue::from_str(&location).map_err(Error::internal)?;
            (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
        }
        None => page::notice(None, "You are signed out", "You can close this page.")?,
    };
    page::keep_private(response.headers_mut());
    if is_somebody {
        response.headers_mut().append(header::SET_COOKIE, sign_in::no_session(oauth)?);
    }
    Ok(response)
}

/// Where the browser goes, with the application's state.
fn back(application: Option<&Client>, parameters: &Parameters) -> Result<Option<String>, Refusal> {
    let Some(asked) = parameters.get("post_logout_redirect_uri") else { return Ok(None) };
    let registered =
        application.is_some_and(|client| client.row.post_logout_redirect_uris().iter().any(|uri| uri == asked));
    if !registered {
        return Err(Refusal::Page(ErrorCode::OauthInvalidRedirectUri));
    }
    let mut url = url::Url::parse(asked).map_err(Error::internal)?;
    if let Some(state) = parameters.get("state") {
        url.query_pairs_mut().append_pair("state", state);
    }
    Ok(Some(url.into()))
}
