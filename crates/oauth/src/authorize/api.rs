//! `POST /api/v1/oauth/authorize` and `GET /api/v1/oauth/app-info`: for a front end that asks the person itself and sends the
//! browser back itself. It is the person's own session that decides, never a token. `GET /api/v1/oauth/branding` is for the
//! console, to which the sign-in page of a request leads.

use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result, Tenant, Token};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Query, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization::branding::{
    Branding,
    read::{READS, SignInBranding},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Decider, Place, arrival, decision, sign_in};
use crate::{
    Oauth,
    application::{known::Client, logo},
    client_document,
    error::{Code, OauthError},
    form::Parameters,
    request::{Refusal, Request, asked_scope},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"client_id": "6f1c2c3e-4a7e-4f64-9d0b-5b0f0c1d2e3f", "redirect_uri": "https://app.example/callback",
    "scope": "openid read", "state": "af0ifjsldkj", "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256", "approve": true}))]
#[garde(allow_unvalidated)]
pub struct AuthorizeRequest {
    /// The application's.
    #[garde(length(max = 2000))]
    pub client_id: String,
    /// One of the registered ones, exactly.
    #[garde(length(max = 2000))]
    pub redirect_uri: String,
    /// Space-separated; without it, everything that the application is registered with.
    #[garde(inner(length(max = 2000)))]
    pub scope: Option<String>,
    /// Comes back as it is.
    #[garde(inner(length(max = 2000)))]
    pub state: Option<String>,
    /// PKCE: SHA-256 of the verifier, in base64url. Required, as everywhere.
    #[garde(inner(length(max = 200)))]
    pub code_challenge: Option<String>,
    /// `S256`.
    #[garde(inner(length(max = 20)))]
    pub code_challenge_method: Option<String>,
    /// Comes back in the ID token.
    #[garde(inner(length(max = 500)))]
    pub nonce: Option<String>,
    /// The server that the tokens are for; without it, this one.
    #[garde(inner(length(max = 2000)))]
    pub resource: Option<String>,
    /// The thumbprint of the key that the code is to be bound to (RFC 9449).
    #[garde(inner(length(max = 100)))]
    pub dpop_jkt: Option<String>,
    /// How strongly the person must have authenticated, by preference; the ID token says what was reached.
    #[garde(inner(length(max = 500)))]
    pub acr_values: Option<String>,
    /// What the person said.
    pub approve: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AuthorizeAnswer {
    /// Where the front end sends the browser.
    #[schema(examples("https://app.example/callback?code=…&state=af0ifjsldkj&iss=https%3A%2F%2Frivergen.example"))]
    pub redirect_url: String,
}

errors! {
    pub AuthorizeErrors: OauthInvalidClient, OauthInvalidRedirectUri, OauthInvalidScope, OauthInvalidRequest, InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError;
    pub InfoErrors: OauthInvalidClient, OauthInvalidRedirectUri, OauthInvalidScope, ValidationError, RateLimited;
    pub LookErrors: ValidationError, RateLimited;
}

/// In the envelope, and without an address to go to.
fn enveloped(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Page(code) => code.into(),
        Refusal::Redirect { error, .. } => plain(error),
        Refusal::Failed(error) => error,
    }
}

fn plain(error: OauthError) -> Error {
    let code = match error.code {
        Code::InvalidScope => ErrorCode::OauthInvalidScope,
        Code::AccessDenied => ErrorCode::Forbidden,
        Code::InvalidClient => ErrorCode::OauthInvalidClient,
        _ => ErrorCode::OauthInvalidRequest,
    };
    match error.cause {
        Some(cause) => *cause,
        None => Error::new(code).with_message(error.description),
    }
}

/// Record a person's decision from a front end
#[utoipa::path(post, path = "/api/v1/oauth/authorize", tag = "oauth2", request_body = AuthorizeRequest,
    responses((status = 200, description = "Where to send the browser, also when the person refused", body = Envelope<AuthorizeAnswer>), AuthorizeErrors))]
pub async fn authorize(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<AuthorizeRequest>,
) -> Result<Reply<AuthorizeAnswer>> {
    caller.session()?;
    let approve = request.approve;
    let parameters = parameters(request)?;
    let (request, client) = Request::read(&oauth, &parameters).await.map_err(enveloped)?;
    let decider = Decider::find(&oauth, caller, &client, &request.scope()).await.map_err(plain)?;
    let client = client_document::kept(&oauth, client, origin.actor(decider.caller.user_id)).await?;
    let platform = oauth.platform();
    let tx = platform.db.begin().await?;
    let (redirect_url, message) = if approve {
        let code = Token::random(&mut rand::rng());
        decision::granted(&oauth, &tx, &decider, &client, &request, (true, &origin), code.hash()).await?;
        let url = request.destination().with(oauth.issuer(), &[("code", code.expose())])?;
        (url, "Authorization successful")
    } else {
        decision::deny(&oauth, &tx, &decider, &client, &origin).await?;
        let error = OauthError::new(Code::AccessDenied, "The person did not agree.");
        (request.destination().refuse(oauth.issuer(), &error)?, "Authorization denied")
    };
    tx.commit().await?;
    Ok(Reply::ok(AuthorizeAnswer { redirect_url }, message))
}

/// The same as the parameters of an authorization request, which are read and checked in one place.
fn parameters(request: AuthorizeRequest) -> Result<Parameters> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("response_type", "code");
    let named = [
        ("client_id", Some(request.client_id)),
        ("redirect_uri", Some(request.redirect_uri)),
        ("scope", request.scope),
        ("state", request.state),
        ("code_challenge", request.code_challenge),
        ("code_challenge_method", request.code_challenge_method),
        ("nonce", request.nonce),
        ("resource", request.resource),
        ("dpop_jkt", request.dpop_jkt),
        ("acr_values", request.acr_values),
    ];
    for (name, value) in named {
        form.extend_pairs(value.map(|value| (name, value)));
    }
    Parameters::parse(form.finish().as_bytes()).map_err(plain)
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InfoQuery {
    /// The application's.
    #[garde(length(max = 2000))]
    client_id: String,
    /// One of the registered ones, exactly.
    #[garde(length(max = 2000))]
    redirect_uri: String,
    /// Space-separated.
    #[garde(inner(length(max = 2000)))]
    scope: Option<String>,
}

/// What a person should know before they decide.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppInfo {
    #[schema(examples("Reporting"))]
    pub app_name: String,
    pub description: Option<String>,
    /// Its picture, as a data URL.
    #[schema(examples("data:image/png;base64,…"))]
    pub logo: Option<String>,
    /// False if nobody has checked who made it, because it registered itself: tell the person.
    pub verified: bool,
    /// What the application is registered with.
    #[schema(examples(json!(["read"])))]
    pub scopes: Vec<String>,
    /// What it asks for.
    #[schema(examples(json!(["openid", "read"])))]
    pub requested_scopes: Vec<String>,
    /// The same in words, one for each.
    pub requested_sentences: Vec<String>,
    #[schema(examples("Acme"))]
    pub organization_name: String,
    /// How the pages of the organization look.
    pub branding: Branding,
}

/// Read about an application, for a consent page
#[utoipa::path(get, path = "/api/v1/oauth/app-info", tag = "oauth2", security(()), params(InfoQuery),
    responses((status = 200, description = "What a person should know before deciding", body = Envelope<AppInfo>), InfoErrors))]
pub async fn app_info(State(oauth): State<Oauth>, Query(query): Query<InfoQuery>) -> Result<Reply<AppInfo>> {
    let client: Arc<Client> = crate::request::client(&oauth, &query.client_id).await.map_err(enveloped)?;
    if !client.sends_to(&query.redirect_uri) {
        return Err(ErrorCode::OauthInvalidRedirectUri.into());
    }
    let asked = asked_scope(&client, query.scope.as_deref()).map_err(plain)?;
    let place = Place::find(&oauth, Tenant::on_behalf_of(client.row.organization_id), None).await?;
    let info = AppInfo {
        app_name: client.row.name.clone(),
        description: client.row.description.clone(),
        logo: logo::find(oauth.platform().db.read(), client.row.id).await?,
        verified: !client.row.is_unverified(),
        scopes: client.scopes.0.iter().map(ToString::to_string).collect(),
        requested_scopes: asked.0.iter().map(ToString::to_string).collect(),
        requested_sentences: asked.0.iter().map(|item| item.sentence()).collect(),
        organization_name: place.organization,
        branding: place.branding,
    };
    Ok(Reply::ok(info, "The application."))
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LookQuery {
    /// What the sign-in page of the request hands on to `/connect` of the console.
    #[garde(length(max = 32768))]
    #[param(example = "dG89JTJGb2F1dGgl…")]
    request: String,
}

/// Read the look of the sign-in page on the way to an application
#[utoipa::path(get, path = "/api/v1/oauth/branding", tag = "oauth2", security(()), params(LookQuery),
    responses((status = 200, description = "Name, colour and picture of the application's organization; all `null` if the request is not valid, or if the organization has set nothing", body = Envelope<SignInBranding>), LookErrors))]
pub async fn sign_in_look(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    Query(query): Query<LookQuery>,
) -> Result<Reply<SignInBranding>> {
    oauth.platform().limits.check(&READS, &origin.limit_key())?;
    let place = match arrival::handed_on(&query.request) {
        Ok(said) => Place::of_pending(&oauth, &sign_in::came_from(&said)).await?,
        Err(_) => None,
    };
    let look = place.filter(|place| !place.branding.is_plain());
    let look =
        look.map(|place| SignInBranding { organization_name: Some(place.organization), branding: place.branding });
    Ok(Reply::ok(look.unwrap_or_default(), "How the sign-in page looks."))
}
