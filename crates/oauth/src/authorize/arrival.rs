//! `POST /oauth/sign-in/session`: somebody who signed in at the console comes back to the page here that asked who is there.
//!
//! The pages here know passwords and codes. The console knows passkeys, an organization's identity provider and other providers
//! too, so the page leads there; the console shows its session's token once, and the browser has it from then on for these
//! pages. No other site can: it knows no token, and is not let ask.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rivergen_identity::session;
use rivergen_kernel::Caller;
use rivergen_platform::http::{RequestOrigin, Shown};
use serde::Serialize;

use super::{
    page::{self, Back},
    sign_in,
};
use crate::{
    Oauth,
    error::{Code, OauthError, Result},
    form::{Form, Parameters},
};

/// The console's page, with what it hands on here.
pub(super) fn address(back: &Back<'_>) -> String {
    let mut said = url::form_urlencoded::Serializer::new(String::new());
    said.append_pair("to", back.to).append_pair("continue", back.query);
    if let Some(since) = back.since {
        said.append_pair("since", &since.to_string());
    }
    format!("/connect?request={}", URL_SAFE_NO_PAD.encode(said.finish()))
}

/// What the page handed on, as [`address`] wrote it.
pub(super) fn handed_on(request: &str) -> Result<Parameters> {
    let unreadable = |_| OauthError::new(Code::InvalidRequest, "The request cannot be read.");
    Parameters::parse(&URL_SAFE_NO_PAD.decode(request).map_err(unreadable)?)
}

/// Where the browser goes on.
#[derive(Debug, Serialize)]
struct Arrived {
    location: String,
}

pub(super) async fn arrive(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    headers: HeaderMap,
    form: Form,
) -> Result<impl IntoResponse> {
    let unknown = || OauthError::new(Code::InvalidToken, "Send the access token of a person's session.");
    if sign_in::is_foreign(&oauth, &headers) {
        return Err(OauthError::new(Code::InvalidRequest, "Only the console can do this."));
    }
    let Some(Shown::Bearer(token)) = Shown::of(&headers) else { return Err(unknown()) };
    let caller = oauth.authenticator.authenticate(token, origin.ip).await?;
    caller.session().map_err(|_| unknown())?;
    let said = handed_on(form.0.require("request")?)?;
    let back = sign_in::came_from(&said);
    let location = match back.since {
        None => sign_in::address(back.to, back.query),
        Some(since) => {
            if began_at(&oauth, &caller).await?.timestamp() < since {
                return Err(OauthError::new(Code::LoginRequired, "The application asks you to sign in again."));
            }
            sign_in::address(back.to, &sign_in::fulfilled(back.query))
        }
    };
    let lives = oauth.access.settings().access_token_lifetime.num_seconds();
    let mut response = Json(Arrived { location }).into_response();
    page::keep_private(response.headers_mut());
    response.headers_mut().append(header::SET_COOKIE, sign_in::cookie(&oauth, sign_in::SESSION, token, lives)?);
    Ok(response)
}

/// When the person signed in last, in whichever way.
pub(super) async fn began_at(oauth: &Oauth, caller: &Caller) -> rivergen_kernel::Result<DateTime<Utc>> {
    let found = session::Model::find(oauth.platform().db.read(), caller.session()?).await?;
    Ok(found.map_or(caller.authenticated_at, |session| session.began_at()))
}
