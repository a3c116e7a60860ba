//! `GET /api/v1/auth/oauth/providers` and `GET /api/v1/auth/oauth/{provider}/url`: what there is to sign in with, and
//! the address at the provider that a sign-in begins at.
//!
//! Called with a token, the sign-in that begins connects the provider to the caller's account and does nothing else; or, with
//! `anew`, it proves that the caller is who they are, and signs in nobody else.

use axum::{
    extract::State,
    http::header,
    response::{AppendHeaders, IntoResponse},
};
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, Result, Token, UserId};
use rivergen_platform::{
    errors,
    http::{Envelope, MaybeSignedIn, Path, Query, Reply, RequestOrigin},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    START_BY_IP,
    config::ProviderKind,
    provider::Provider,
    state::{self, Wish},
};
use crate::{
    Identity,
    oidc::{self, Failure},
};

/// A provider that people may sign in with.
#[derive(Debug, Serialize, ToSchema)]
pub struct OauthProvider {
    /// Its name in the paths.
    #[schema(examples("google"))]
    pub provider: String,
    #[schema(examples("Google"))]
    pub display_name: String,
    pub kind: ProviderKind,
}

impl From<&Provider> for OauthProvider {
    fn from(provider: &Provider) -> Self {
        Self {
            provider: provider.name.clone(),
            display_name: provider.display_name().to_owned(),
            kind: provider.config.kind,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OauthProviders {
    pub providers: Vec<OauthProvider>,
    pub total: usize,
}

errors! {
    pub ProvidersErrors: RateLimited;
    pub UrlErrors: InvalidProvider, ProviderNotConfigured, Unauthorized, TokenExpired, Forbidden, ValidationError, RateLimited, ServiceUnavailable;
}

/// List the providers that people may sign in with
#[utoipa::path(get, path = "/api/v1/auth/oauth/providers", tag = "authentication", security(()),
    responses((status = 200, description = "Those that this server has credentials for", body = Envelope<OauthProviders>), ProvidersErrors))]
pub async fn list_oauth_providers(State(identity): State<Identity>) -> Result<Reply<OauthProviders>> {
    let providers: Vec<_> = identity.social.all().map(OauthProvider::from).collect();
    let total = providers.len();
    Ok(Reply::ok(OauthProviders { providers, total }, "Providers."))
}

#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UrlQuery {
    /// Comes back in the answer of the sign-in; the state that goes to the provider is the server's own.
    #[garde(inner(length(max = 500)))]
    state: Option<String>,
    /// Where the browser goes when it is back: one of the addresses that the operator allows, or one below it.
    #[garde(inner(length(max = 2000)))]
    redirect_to: Option<String>,
    /// What `redirect_to` gets in its query.
    #[garde(skip)]
    #[param(inline)]
    deliver: Option<Deliver>,
    /// Must be `true` if the server has terms and the sign-in may create a new account.
    #[garde(skip)]
    agree_to_terms: Option<bool>,
    #[garde(inner(length(max = 50)))]
    terms_version: Option<String>,
    /// For someone who is signed in: the provider asks them to sign in again, even if it knows them, and says when it
    /// did; the person who comes back must be the same, by the account that they have connected. The resulting session
    /// counts as a fresh proof.
    #[garde(skip)]
    #[serde(default)]
    anew: bool,
}

/// What a front end is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Deliver {
    /// `handover_code`, which `/api/v1/auth/oauth/handover` exchanges for the tokens. The default.
    Handover,
    /// The provider's `code` and the server's `state`, for `oauth/login`, `oauth/signup` or `social-accounts`; so it
    /// is always for a caller who connects an account.
    Code,
}

/// Where a sign-in starts.
#[derive(Debug, Serialize, ToSchema)]
pub struct OauthUrl {
    /// To be opened in the browser that made this request: it has a cookie that the callback needs.
    #[schema(examples("https://accounts.google.com/o/oauth2/v2/auth?client_id=…"))]
    pub oauth_url: String,
    #[schema(examples("google"))]
    pub provider: String,
    /// The server's own, as it appears in the address. Valid for ten minutes and one sign-in.
    pub state: String,
    pub expires_at: DateTime<Utc>,
}

/// Get the address at a provider where a sign-in starts
#[utoipa::path(get, path = "/api/v1/auth/oauth/{provider}/url", tag = "authentication", security((), ("bearer" = [])),
    params(("provider" = String, Path, description = "From the list of providers"), UrlQuery),
    responses((status = 200, description = "The address, and a cookie for the way back", body = Envelope<OauthUrl>), UrlErrors))]
pub async fn get_oauth_url(
    State(identity): State<Identity>,
    MaybeSignedIn(caller): MaybeSignedIn,
    origin: RequestOrigin,
    Path(name): Path<String>,
    Query(query): Query<UrlQuery>,
) -> Result<impl IntoResponse> {
    let platform = &identity.platform;
    let provider = identity.social.get(&name)?;
    platform.limits.check(&START_BY_IP, &origin.limit_key())?;
    if let Some(caller) = &caller {
        caller.session()?;
    }
    let asked_anew = query.anew.then(|| may_ask_anew(provider, caller.as_deref())).transpose()?;
    let connects = caller.filter(|_| asked_anew.is_none()).map(|caller| caller.user_id);
    let wish = Wish { asked_anew, ..wish(&identity, query, connects)? };
    let unreachable = |failure: Failure| {
        failure.coded(ErrorCode::ServiceUnavailable).with_message("The provider cannot be reached; try again later.")
    };
    let (client, _) = provider.client(platform).await.map_err(unreachable)?;
    let state = Token::random(&mut rand::rng());
    // Apple sends name and address in no other way.
    let posted = provider.posts_its_answer().then(|| ("response_mode", "form_post".to_owned()));
    let anew = wish.asked_anew.map(|_| oidc::asking_anew());
    let extra: Vec<_> = posted.into_iter().chain(anew.into_iter().flatten()).collect();
    let (oauth_url, secrets) = oidc::authorize(&client, &state, provider.scopes(), &extra);

    let tx = platform.db.begin().await?;
    let browser = state::begin(platform, &tx, &name, &state, secrets, wish).await?;
    tx.commit().await?;
    let cookie = state::cookie(provider, &state, &browser, &platform.public_url)?;
    let expires_at = platform.clock.now() + state::LIFETIME;
    let answer = OauthUrl { oauth_url, provider: name, state: state.expose().to_owned(), expires_at };
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Reply::ok(answer, "Open the address to sign in.")))
}

/// The caller, where this provider can show that it has just asked them.
fn may_ask_anew(provider: &Provider, caller: Option<&Caller>) -> Result<UserId> {
    let caller = caller.ok_or(ErrorCode::Unauthorized)?;
    match provider.config.kind.says_when_it_asked() {
        true => Ok(caller.user_id),
        false => Err(Error::invalid_field("anew", "this provider does not report when somebody signed in to it")),
    }
}

fn wish(identity: &Identity, query: UrlQuery, user_id: Option<UserId>) -> Result<Wish> {
    let target = |address: String| {
        let refused = || Error::invalid_field("redirect_to", "is not an address that this server redirects to");
        identity.social.config.target(&address).map(String::from).ok_or_else(refused)
    };
    let redirect_to = query.redirect_to.map(target).transpose()?;
    let in_force = || identity.settings.terms_version.clone();
    let accepted_terms = match query.agree_to_terms {
        Some(true) => query.terms_version.or_else(in_force),
        _ => None,
    };
    Ok(Wish {
        client_state: query.state,
        redirect_to,
        // A callback has no token, so it cannot connect an account: the front end does.
        delivers_code: query.deliver == Some(Deliver::Code) || user_id.is_some(),
        accepted_terms,
        user_id,
        asked_anew: None,
    })
}
