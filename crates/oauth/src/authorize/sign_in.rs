//! Who sits at the browser: a cookie says it, or they sign in on a page here.
//!
//! The page is one more client of the operations `login` and `mfa/verify`: the same checks, limits, records and mails. The
//! cookie holds the access token that they give, so it lives as long, and dies at once with its session.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rivergen_identity::{
    cookies,
    login::{self, LoginAnswer, LoginRequest, TokenSet},
    mfa::{
        Kind,
        login::{MfaChooseRequest, MfaVerifyRequest, mfa_otp_generate, mfa_verify},
    },
};
use rivergen_kernel::{Caller, Error, ErrorCode, Result, Secret, Token};
use rivergen_platform::http::{Json, RequestOrigin};
use subtle::ConstantTimeEq;

use super::{
    Place, arrival,
    page::{self, Back, SignIn},
};
use crate::{
    Oauth,
    form::{Form, Parameters},
};

pub(super) const SESSION: &str = "rivergen_oauth";
const FORM: &str = "rivergen_oauth_form";

/// The pages that a sign-in comes back to.
pub(crate) const AUTHORIZE: &str = "/oauth/authorize";
pub(crate) const DEVICE: &str = "/oauth/device";
pub(crate) const LOGOUT: &str = "/oauth/logout";

/// The person whose cookie the browser has; nobody where it is not good any more.
pub(crate) async fn caller(oauth: &Oauth, headers: &HeaderMap, ip: Option<IpAddr>) -> Result<Option<Arc<Caller>>> {
    let Some(token) = cookies::read(headers, SESSION).filter(|token| !token.is_empty()) else { return Ok(None) };
    match oauth.authenticator.authenticate(token, ip).await {
        // No token but a session's was ever put there by this server.
        Ok(caller) => Ok(Some(caller).filter(|caller| caller.session().is_ok())),
        Err(error) if matches!(error.code.status(), 401 | 403) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sent with what the person opens, from wherever they come; never to a script, and to these pages alone.
pub(super) fn cookie(oauth: &Oauth, name: &str, value: &str, age: i64) -> Result<HeaderValue> {
    let secure = if oauth.issuer().starts_with("https://") { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/oauth; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(Error::internal)
}

/// The page that asks who is there. It leads back to the request.
pub(crate) async fn page(
    oauth: &Oauth,
    headers: &HeaderMap,
    back: Back<'_>,
    email: &str,
    fault: Option<&str>,
) -> Result<Response> {
    let elsewhere = oauth.access.settings().console.then(|| arrival::address(&back));
    let place = Place::of_request(oauth, &back).await?;
    with_form_token(oauth, headers, |token| {
        let page = SignIn { form: page::Form { back, token }, place: place.as_ref(), fault };
        page.password(email, elsewhere.as_deref())
    })
}

/// The page, with the token of its form in it and in a cookie: a form of another site knows neither.
pub(crate) fn with_form_token(
    oauth: &Oauth,
    headers: &HeaderMap,
    page: impl FnOnce(&str) -> Result<Response>,
) -> Result<Response> {
    let known = cookies::read(headers, FORM).filter(|value| value.len() == 43);
    let token = known.map_or_else(|| Token::random(&mut rand::rng()).expose().to_owned(), str::to_owned);
    let mut response = page(&token)?;
    response.headers_mut().append(header::SET_COOKIE, cookie(oauth, FORM, &token, 3600)?);
    Ok(response)
}

/// The page that asks whether the person wants to be signed out.
pub(crate) fn ask_to_sign_out(
    oauth: &Oauth,
    headers: &HeaderMap,
    query: &str,
    application: Option<&str>,
    email: &str,
) -> Result<Response> {
    with_form_token(oauth, headers, |form_token| {
        let form = page::Form { back: Back { to: LOGOUT, query, since: None }, token: form_token };
        SignIn { form, place: None, fault: None }.sign_out(application, email)
    })
}

/// Takes the browser's person away.
pub(crate) fn no_session(oauth: &Oauth) -> Result<HeaderValue> {
    cookie(oauth, SESSION, "", 0)
}

/// Whether a browser says that another site posted the form. From the pages here it says `null`: they tell nobody where it
/// comes from.
pub(crate) fn is_foreign(oauth: &Oauth, headers: &HeaderMap) -> bool {
    let is_elsewhere = |origin: &HeaderValue| {
        let own = url::Url::parse(oauth.issuer()).map(|url| url.origin().ascii_serialization());
        origin != "null" && !own.is_ok_and(|own| origin == own.as_str())
    };
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
        || headers.get(header::ORIGIN).is_some_and(is_elsewhere)
}

/// Whether the form is of a page that this browser was shown.
pub(crate) fn is_ours(oauth: &Oauth, headers: &HeaderMap, form: &Form) -> bool {
    if is_foreign(oauth, headers) {
        return false;
    }
    let (Some(cookie), Some(field)) = (cookies::read(headers, FORM), form.0.get("form_token")) else { return false };
    cookie.len() == 43 && bool::from(cookie.as_bytes().ct_eq(field.as_bytes()))
}

/// The query of a request without its wish for a new sign-in, which is done.
pub(super) fn fulfilled(query: &str) -> String {
    let kept = url::form_urlencoded::parse(query.as_bytes());
    let mut again = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in kept {
        let prompts = value.split(' ').filter(|one| *one != "login" && *one != "select_account");
        match name.as_ref() {
            "max_age" => continue,
            "prompt" => again.append_pair("prompt", &prompts.collect::<Vec<_>>().join(" ")),
            name => again.append_pair(name, &value),
        };
    }
    again.finish()
}

/// The query of a request that is to ask who is there, whoever is.
fn asking_anew(query: &str) -> String {
    let mut again = url::form_urlencoded::Serializer::new(String::new());
    let mut wishes = "select_account".to_owned();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "prompt" => wishes = format!("{value} {wishes}"),
            name => {
                again.append_pair(name, &value);
            }
        }
    }
    again.append_pair("prompt", &wishes);
    again.finish()
}

/// Whether somebody is to say anew who they are: the application wants it, or the person that sat there is another one's.
pub(crate) fn is_asked_anew(query: &str) -> bool {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.any(|(name, value)| name == "prompt" && value.split(' ').any(|one| one == "select_account"))
}

/// A page here, with a query.
pub(super) fn address(to: &str, query: &str) -> String {
    // Written anew: what came with a form is not always a query.
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{to}?{query}")
}

/// To a page here, with a query.
pub(crate) fn lead(to: &str, query: &str) -> Result<Response> {
    let location = HeaderValue::from_str(&address(to, query)).map_err(Error::internal)?;
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    page::keep_private(response.headers_mut());
    Ok(response)
}

fn signed_in(oauth: &Oauth, tokens: &TokenSet, form: &Form) -> Result<Response> {
    let back = came_from(&form.0);
    let mut response = lead(back.to, &fulfilled(back.query))?;
    let cookie = cookie(oauth, SESSION, &tokens.access_token, tokens.expires_in)?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// The page that a form leads back to.
pub(super) fn came_from(form: &Parameters) -> Back<'_> {
    // One of the two, whatever the form says.
    let to = if form.get("to") == Some(DEVICE) { DEVICE } else { AUTHORIZE };
    let since = form.get("since").and_then(|since| since.parse().ok());
    Back { to, query: form.get("continue").unwrap_or_default(), since }
}

/// What went wrong, where the person can do something about it.
fn fault(error: Error) -> Result<String> {
    let is_theirs = error.code.status() < 500 && error.code != ErrorCode::InvalidRequest;
    if is_theirs { Ok(error.message.into_owned()) } else { Err(error) }
}

/// The form with the password.
pub async fn password(State(oauth): State<Oauth>, origin: RequestOrigin, headers: HeaderMap, form: Form) -> Response {
    let back = came_from(&form.0);
    let email = form.0.get("email").unwrap_or_default();
    let outcome = match is_ours(&oauth, &headers, &form) {
        true => try_password(&oauth, origin, &headers, email, &form).await,
        false => page(&oauth, &headers, back, email, Some("The page has expired; sign in again.")).await,
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}

async fn try_password(
    oauth: &Oauth,
    origin: RequestOrigin,
    headers: &HeaderMap,
    email: &str,
    form: &Form,
) -> Result<Response> {
    let back = came_from(&form.0);
    let identity = &oauth.tenancy.identity;
    let request = LoginRequest {
        email: email.chars().take(254).collect(),
        password: form.0.secret("password").unwrap_or_else(|| Secret::new("")),
        workspace_id: None,
        remember_me: None,
        ask_second_factor: None,
    };
    let answer = login::login(State(identity.clone()), origin.clone(), headers.clone(), Json(request)).await;
    let answer = match answer {
        Ok(reply) => reply.into_data(),
        Err(error) => return page(oauth, headers, back, email, Some(&fault(error)?)).await,
    };
    match answer {
        LoginAnswer::SignedIn(answer) => signed_in(oauth, &answer.tokens, form),
        LoginAnswer::VerificationRequired(answer) => page(oauth, headers, back, email, Some(answer.message)).await,
        LoginAnswer::FactorRequired(required) => {
            let method = match required.mfa_methods.contains(&"totp") {
                true => Kind::Totp,
                false => Kind::EmailOtp,
            };
            let choice = MfaChooseRequest { temporary_token: required.temporary_token, method };
            match mfa_otp_generate(State(identity.clone()), origin, Json(choice)).await {
                Ok(reply) => {
                    let chosen = reply.into_data();
                    let place = Place::of_request(oauth, &back).await?;
                    with_form_token(oauth, headers, |token| {
                        let page = SignIn { form: page::Form { back, token }, place: place.as_ref(), fault: None };
                        page.code(&chosen.temporary_token, chosen.message)
                    })
                }
                Err(error) => page(oauth, headers, back, email, Some(&fault(error)?)).await,
            }
        }
    }
}

/// The form with the second factor.
pub async fn code(State(oauth): State<Oauth>, origin: RequestOrigin, headers: HeaderMap, form: Form) -> Response {
    let back = came_from(&form.0);
    let outcome = match is_ours(&oauth, &headers, &form) {
        true => try_code(&oauth, origin, &headers, &form).await,
        false => page(&oauth, &headers, back, "", Some("The page has expired; sign in again.")).await,
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}

async fn try_code(oauth: &Oauth, origin: RequestOrigin, headers: &HeaderMap, form: &Form) -> Result<Response> {
    let back = came_from(&form.0);
    let temporary_token: String = form.0.get("temporary_token").unwrap_or_default().chars().take(200).collect();
    let given: String = form.0.get("code").unwrap_or_default().trim().chars().take(20).collect();
    let is_code = given.len() == 6 && given.bytes().all(|byte| byte.is_ascii_digit());
    let (code, backup_code) = if is_code { (Some(given), None) } else { (None, Some(given)) };
    let request = MfaVerifyRequest { temporary_token: temporary_token.clone(), code, backup_code };
    let identity = oauth.tenancy.identity.clone();
    // Without what a device says of itself: these pages make none trusted.
    match mfa_verify(State(identity), origin, HeaderMap::new(), Json(request)).await {
        Ok(reply) => signed_in(oauth, &reply.into_data().tokens, form),
        Err(error) if error.code == ErrorCode::InvalidMfaCode => {
            let place = Place::of_request(oauth, &back).await?;
            with_form_token(oauth, headers, |token| {
                let fault = Some(ErrorCode::InvalidMfaCode.message());
                let page = SignIn { form: page::Form { back, token }, place: place.as_ref(), fault };
                page.code(&temporary_token, "Try again.")
            })
        }
        Err(error) => page(oauth, headers, back, "", Some(&fault(error)?)).await,
    }
}

/// Forgets the browser's person, and begins the request again. The session itself goes on. Another site's form makes nobody
/// forgotten.
pub async fn forget(State(oauth): State<Oauth>, headers: HeaderMap, form: Form) -> Response {
    let back = came_from(&form.0);
    let outcome = match is_ours(&oauth, &headers, &form) {
        // Who is signed in at the console is not to be taken for whoever sits there now.
        true => lead(back.to, &asking_anew(back.query)).and_then(|mut response| {
            response.headers_mut().append(header::SET_COOKIE, no_session(&oauth)?);
            Ok(response)
        }),
        false => lead(back.to, back.query),
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}
