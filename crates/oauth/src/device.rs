//! Programs without a browser (RFC 8628): the device shows a short code, and its person types it somewhere else.
//!
//! ```text
//! device ─▶ POST /oauth/device_authorization ─▶ device_code, user_code
//! person ─▶ /oauth/device, the user_code ─▶ consent
//! device ─▶ POST /oauth/token, again and again ─▶ authorization_pending … the tokens
//! ```
//!
//! Whoever types a code that somebody sent them would let a stranger's device in: so the page says so, shows the code, and
//! asks each time. Its form carries a ticket, as that of a browser's request does.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::Duration;
use rand::seq::IndexedRandom;
use rivergen_kernel::{Error, ErrorCode, Token, TokenHash};
use rivergen_platform::{http::RequestOrigin, limits::Rule};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    application::{GrantType, known::Client},
    authorize::{
        Decider, Place, ask_for_consent, decision, page, sign_in,
        ticket::{self, Column, Entity, Kind, LIVES, Model},
    },
    client_authentication::authenticate,
    error::{Code, OauthError, OauthErrorBody, Result},
    form::{Form, Parameters},
    request::{Pushed, Request, asked_resources, asked_scope},
};

/// What `grant_type` says at the token endpoint.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Codes that are tried from one address: there are 25 thousand million of them, and few are waited for.
const USER_CODES_BY_IP: Rule = Rule::new("oauth_user_codes_by_ip", 20, std::time::Duration::from_secs(600));

/// How often a device may ask.
const INTERVAL: Duration = Duration::seconds(5);

/// No vowels, so that no words come out, and nothing that looks like another letter (RFC 8628, section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new()
        .routes(routes!(begin))
        // The page is no operation of the API.
        .route(sign_in::DEVICE, axum::routing::get(show).post(decide))
}

/// The parameters, for the document: the handler reads them by name.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"client_id": "6f1c2c3e-4a7e-4f64-9d0b-5b0f0c1d2e3f", "scope": "openid read"}))]
#[allow(dead_code, reason = "it describes the form")]
pub struct DeviceRequest {
    client_id: Option<String>,
    client_secret: Option<String>,
    /// Space-separated; without it, everything that the application is registered with.
    scope: Option<String>,
    /// The server that the tokens are for; without it, this one.
    resource: Option<String>,
}

/// What the device shows, and what it polls with.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceAnswer {
    /// For the token endpoint.
    pub device_code: String,
    /// What the person types.
    #[schema(examples("BDWP-HQPK"))]
    pub user_code: String,
    /// Where.
    #[schema(examples("https://rivergen.example/oauth/device"))]
    pub verification_uri: String,
    /// The same with the code in it, for a picture to scan.
    pub verification_uri_complete: String,
    /// How long the codes work, in seconds.
    #[schema(examples(600))]
    pub expires_in: i64,
    /// The minimum time between two polls, in seconds.
    #[schema(examples(5))]
    pub interval: i64,
}

/// Start the sign-in of a device
#[utoipa::path(post, path = "/oauth/device_authorization", tag = "oauth2", security(()),
    request_body(content = DeviceRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The codes", body = DeviceAnswer),
        (status = 400, description = "`invalid_request`, `invalid_scope`, `invalid_target`, `unauthorized_client`", body = OauthErrorBody),
        (status = 401, description = "`invalid_client`", body = OauthErrorBody)))]
pub async fn begin(State(oauth): State<Oauth>, headers: HeaderMap, Form(form): Form) -> Result<impl IntoResponse> {
    let client = authenticate(&oauth, &headers, &form).await?;
    if !client.may(GrantType::DeviceCode) {
        return Err(OauthError::new(Code::UnauthorizedClient, "The application may not use this grant."));
    }
    let request = Request {
        client_id: client.row.client_id.clone(),
        redirect_uri: String::new(),
        scope: asked_scope(&client, form.get("scope"))?.to_string(),
        state: None,
        code_challenge: String::new(),
        nonce: None,
        resources: asked_resources(&oauth, &client, form.all("resource"))?,
        prompt: String::new(),
        max_age: None,
        login_hint: None,
        id_token_hint: None,
        acr_values: String::new(),
        dpop_jkt: None,
        pushed: None,
        by_form: false,
    };
    let (device_code, user_code) = (Token::random(&mut rand::rng()), random_user_code());
    ticket::keep_as(&oauth, Kind::Device, &device_code, &client, None, Some(user_code.clone()), &request).await?;
    let verification_uri = format!("{}{}", oauth.issuer(), sign_in::DEVICE);
    let answer = DeviceAnswer {
        device_code: device_code.expose().to_owned(),
        verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
        user_code,
        verification_uri,
        expires_in: LIVES.num_seconds(),
        interval: INTERVAL.num_seconds(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

fn random_user_code() -> String {
    let mut rng = rand::rng();
    let letters: Vec<char> =
        (0..8).filter_map(|_| LETTERS.choose(&mut rng)).map(|letter| char::from(*letter)).collect();
    let (left, right) = letters.split_at(4);
    format!("{}-{}", left.iter().collect::<String>(), right.iter().collect::<String>())
}

/// A code as it is kept, however it was typed.
fn normalised(typed: &str) -> String {
    let letters: String =
        typed.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_uppercase()).take(8).collect();
    match letters.split_at_checked(4) {
        Some((left, right)) => format!("{left}-{right}"),
        None => letters,
    }
}

/// What a device's question finds.
pub enum Poll {
    /// Not decided, or decided otherwise: what the device is told.
    Wait(OauthError),
    /// Decided, or never begun: there is a grant of this code, or none.
    Decided,
}

/// Answers a device that asks.
pub async fn poll(oauth: &Oauth, client: &Client, device_code: &str) -> Result<Poll> {
    let platform = oauth.platform();
    let now = platform.clock.now();
    // Index: oauth_requests(handle_hash), unique.
    let found = Entity::find().filter(Column::HandleHash.eq(TokenHash::of(device_code)));
    let found = found.filter(Column::ApplicationId.eq(client.row.id)).one(platform.db.read()).await?;
    let Some(row) = found.filter(|row| matches!(row.kind, Kind::Device | Kind::Denied)) else {
        return Ok(Poll::Decided);
    };
    if row.kind == Kind::Denied {
        return Ok(Poll::Wait(OauthError::new(Code::AccessDenied, "The person did not agree.")));
    }
    if now >= row.expires_at {
        return Ok(Poll::Wait(OauthError::new(Code::ExpiredToken, "The code has expired; start again.")));
    }
    let tx = platform.db.begin().await?;
    Entity::update_many()
        .col_expr(Column::PolledAt, Expr::value(now))
        .filter(Column::Id.eq(row.id))
        .exec(tx.conn())
        .await?;
    tx.commit().await?;
    Ok(Poll::Wait(match row.polled_at {
        Some(last) if now - last < INTERVAL => OauthError::new(Code::SlowDown, "Ask less often."),
        _ => OauthError::new(Code::AuthorizationPending, "The person has not decided yet."),
    }))
}

/// The device that waits under a code, or as the row of that id.
async fn waiting(oauth: &Oauth, which: Expr) -> rivergen_kernel::Result<Option<Model>> {
    let platform = oauth.platform();
    let found = Entity::find().filter(which).filter(Column::Kind.eq(Kind::Device));
    Ok(found.filter(Column::ExpiresAt.gt(platform.clock.now())).one(platform.db.read()).await?)
}

const UNKNOWN: &str = "The code does not exist or has expired.";

/// The page on which a person types a code, and then decides.
async fn show(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    shown(&oauth, &origin, &headers, &query.unwrap_or_default()).await.unwrap_or_else(IntoResponse::into_response)
}

async fn shown(
    oauth: &Oauth,
    origin: &RequestOrigin,
    headers: &HeaderMap,
    query: &str,
) -> rivergen_kernel::Result<Response> {
    let Some(caller) = sign_in::caller(oauth, headers, origin.ip).await? else {
        let since = sign_in::is_asked_anew(query).then(|| oauth.platform().clock.now().timestamp());
        let back = page::Back { to: sign_in::DEVICE, query, since };
        return sign_in::page(oauth, headers, back, "", None).await;
    };
    let place = Place::of_caller(oauth, &caller).await?;
    let parameters = Parameters::parse(query.as_bytes()).unwrap_or_default();
    let Some(typed) = parameters.get("user_code") else { return page::user_code(place.as_ref(), "", None) };
    oauth.platform().limits.check(&USER_CODES_BY_IP, &origin.limit_key())?;
    let code = normalised(typed);
    // Index: oauth_requests(user_code), unique.
    let Some(row) = waiting(oauth, Column::UserCode.eq(code.as_str())).await? else {
        return page::user_code(place.as_ref(), typed, Some(UNKNOWN));
    };
    let mut request = Request::deserialize(&row.parameters).map_err(Error::internal)?;
    // The ticket is this device's alone, and the decision uses the device's request up.
    request.pushed = Some(Pushed { id: row.id, at: row.created_at });
    let client = match oauth.access.clients.find(&request.client_id).await {
        Err(error) if error.code == ErrorCode::ApplicationNotFound => {
            return page::user_code(place.as_ref(), typed, Some(UNKNOWN));
        }
        found => found?,
    };
    let decider = match Decider::find(oauth, caller, &client, &request.scope()).await {
        Ok(decider) => decider,
        Err(OauthError { cause: Some(cause), .. }) => return Err(*cause),
        Err(error) => return page::user_code(place.as_ref(), typed, Some(&error.description)),
    };
    let asked_by = page::AskedBy::Device { code: &code };
    let back = page::Back { to: sign_in::DEVICE, query, since: None };
    ask_for_consent(oauth, headers, &decider, &client, &request, asked_by, back).await
}

/// What the person decided.
async fn decide(State(oauth): State<Oauth>, origin: RequestOrigin, headers: HeaderMap, form: Form) -> Response {
    decided(&oauth, &origin, &headers, &form).await.unwrap_or_else(IntoResponse::into_response)
}

async fn decided(
    oauth: &Oauth,
    origin: &RequestOrigin,
    headers: &HeaderMap,
    form: &Form,
) -> rivergen_kernel::Result<Response> {
    let too_old = || page::user_code(None, "", Some("The page has expired; enter the code again."));
    let caller = sign_in::caller(oauth, headers, origin.ip).await?;
    let Some(caller) = caller.filter(|_| !sign_in::is_foreign(oauth, headers)) else { return too_old() };
    let place = Place::of_caller(oauth, &caller).await?;
    let ticket = form.0.get("ticket").unwrap_or_default();
    let found = ticket::find(oauth, ticket, Some(caller.session()?)).await?;
    let Some((kept, request)) = found.filter(|(_, request)| request.is_of_device()) else { return too_old() };
    let Some(pushed) = request.pushed else { return too_old() };
    let Some(row) = waiting(oauth, Column::Id.eq(pushed.id)).await? else {
        return page::user_code(place.as_ref(), "", Some(UNKNOWN));
    };
    let client = match oauth.access.clients.find(&request.client_id).await {
        Err(error) if error.code == ErrorCode::ApplicationNotFound => {
            return page::user_code(place.as_ref(), "", Some(UNKNOWN));
        }
        found => found?,
    };
    let decider = match Decider::find(oauth, caller, &client, &request.scope()).await {
        Ok(decider) => decider,
        Err(OauthError { cause: Some(cause), .. }) => return Err(*cause),
        Err(error) => return page::user_code(place.as_ref(), "", Some(&error.description)),
    };
    let approves = form.0.get("approve") == Some("true") && request.scope().is_within(&client.scopes);
    let tx = oauth.platform().db.begin().await?;
    if !ticket::spend(&tx, kept.id).await? {
        return too_old();
    }
    // Of two decisions at once one counts.
    let still = Entity::update_many()
        .col_expr(Column::Kind, Expr::value(Kind::Denied))
        .filter(Column::Id.eq(row.id))
        .filter(Column::Kind.eq(Kind::Device))
        .exec(tx.conn())
        .await?;
    if still.rows_affected == 0 {
        return page::user_code(place.as_ref(), "", Some(UNKNOWN));
    }
    let (title, text) = if approves {
        decision::granted(oauth, &tx, &decider, &client, &request, (true, origin), row.handle_hash).await?;
        ("The device is connected", "You can close this page; the device continues by itself.")
    } else {
        decision::deny(oauth, &tx, &decider, &client, origin).await?;
        ("Nothing was allowed", "You can close this page.")
    };
    tx.commit().await?;
    page::notice(place.as_ref(), title, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = random_user_code();
        assert_eq!(code.len(), 9);
        for typed in [code.to_lowercase(), code.replace('-', ""), code.replace('-', " "), format!(" {code} ")] {
            assert_eq!(normalised(&typed), code);
        }
        assert_eq!(normalised("abc"), "ABC");
        assert_eq!(normalised("ä-'; DROP"), "DROP-");
    }
}
