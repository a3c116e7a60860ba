//! Asking a person: `GET` and `POST /oauth/authorize`, and the same for a front end of its own under `/api/v1/oauth`.
//!
//! ```text
//! GET /oauth/authorize ─┬─ nobody is there ─▶ page: sign in ─▶ back to the beginning
//!                       ├─ agreed before ───▶ redirect with a code
//!                       └─ else ────────────▶ page: consent, with a ticket ─▶ POST /oauth/authorize ─▶ redirect
//! ```
//!
//! The consent form carries a ticket and nothing else of the request: single use, ten minutes, good in the session alone for
//! which it was made. So no other site can post it, and nothing of the request can be changed on the way.

mod api;
mod arrival;
pub(crate) mod decision;
mod logout;
pub(crate) mod page;
pub(crate) mod sign_in;
pub(crate) mod ticket;

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use rivergen_kernel::{Caller, Credential, ErrorCode, Scope, Scopes, SessionId, Tenant, WorkspaceId};
use rivergen_platform::http::RequestOrigin;
use rivergen_tenancy::{
    member,
    organization::{self, branding::Branding},
    workspace,
};
use sea_orm::EntityTrait;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    application::{known::Client, logo, redirect},
    client_document, consent,
    error::{Code, OauthError, OauthErrorBody},
    form::Parameters,
    id_token,
    policy::Policy,
    request::{Refusal, Request},
    scope::ScopeSet,
};

pub(crate) fn operations() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new()
        .routes(routes!(api::authorize))
        .routes(routes!(api::app_info))
        .routes(routes!(api::sign_in_look))
}

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new()
        .routes(routes!(authorize, decision::decide))
        .routes(routes!(logout::logout))
        .route("/oauth/logout", axum::routing::post(logout::posted))
        // The pages' own forms; no operations of the API.
        .route("/oauth/sign-in", axum::routing::post(sign_in::password))
        .route("/oauth/sign-in/code", axum::routing::post(sign_in::code))
        .route("/oauth/sign-in/session", axum::routing::post(arrival::arrive))
        .route("/oauth/sign-out", axum::routing::post(sign_in::forget))
}

/// Who decides, and for which organization.
pub(crate) struct Decider {
    pub caller: Arc<Caller>,
    pub session: SessionId,
    /// Where they stand in the application's organization.
    pub workspace_id: Option<WorkspaceId>,
    /// Since when they have been its member.
    pub joined_at: DateTime<Utc>,
}

impl Decider {
    /// The person, as a member of the application's organization; `access_denied` for who may not let it.
    pub async fn find(
        oauth: &Oauth,
        caller: Arc<Caller>,
        client: &Client,
        scope: &ScopeSet,
    ) -> Result<Self, OauthError> {
        let denied = |text: &str| OauthError::new(Code::AccessDenied, text);
        let Credential::Session(session) = caller.credential else {
            return Err(denied("Only the person themselves can allow an application to act for them."));
        };
        if !caller.email_verified {
            return Err(denied("The person has not verified their e-mail address."));
        }
        let organization = client.row.organization_id;
        let entered = oauth.tenancy.enter(&caller, organization).await;
        let entered = entered.map_err(|error| match error.code {
            ErrorCode::OrgNotFound => denied("The person is not a member of the application's organization."),
            _ => error.into(),
        })?;
        if entered.closed.is_some() {
            return Err(denied("The organization requires a different way to sign in."));
        }
        let (db, tenant) = (oauth.platform().db.read(), Tenant::on_behalf_of(organization));
        let joined_at = member::find(db, tenant, caller.user_id).await?.joined_at;
        let policy = Policy::of(db, tenant).await?;
        policy.check(&client.row, scope)?;
        let stands = caller.membership.as_ref().filter(|membership| membership.organization_id == organization);
        let workspace_id = match stands {
            Some(membership) => membership.workspace_id,
            None => {
                let home = oauth.tenancy.identity.directory.home_in(caller.user_id, organization).await?;
                home.and_then(|place| place.workspace_id)
            }
        };
        Ok(Self { caller, session, workspace_id, joined_at })
    }
}

/// What the pages say of an application's organization, how it wants them to look, and where the person stands in it.
pub(crate) struct Place {
    pub organization: String,
    pub branding: Branding,
    pub workspace: Option<String>,
}

impl Place {
    pub async fn find(oauth: &Oauth, tenant: Tenant, workspace: Option<WorkspaceId>) -> rivergen_kernel::Result<Self> {
        let db = oauth.platform().db.read();
        let organization = organization::Entity::find_by_id(tenant.organization_id()).one(db).await?;
        let organization = organization.ok_or(ErrorCode::OrgNotFound)?;
        let branding = Branding::of(db, &organization).await?;
        let workspace = match workspace {
            Some(id) => workspace::Entity::find_by_id(id).one(db).await?.map(|found| found.name),
            None => None,
        };
        Ok(Self { organization: organization.name, branding, workspace })
    }

    /// The organization that somebody who is signed in stands in.
    pub async fn of_caller(oauth: &Oauth, caller: &Caller) -> rivergen_kernel::Result<Option<Self>> {
        let Ok(membership) = caller.membership() else { return Ok(None) };
        Self::find(oauth, Tenant::on_behalf_of(membership.organization_id), None).await.map(Some)
    }

    /// That of the application which leads somebody here, where the page to come back to is its request. Whoever has the
    /// number of an application may know whose it is.
    pub async fn of_request(oauth: &Oauth, back: &page::Back<'_>) -> rivergen_kernel::Result<Option<Self>> {
        let parameters = Parameters::parse(back.query.as_bytes()).unwrap_or_default();
        let Some(client_id) = parameters.get("client_id").filter(|_| back.to == sign_in::AUTHORIZE) else {
            return Ok(None);
        };
        match oauth.access.clients.find(client_id).await {
            Ok(client) => Self::find(oauth, Tenant::on_behalf_of(client.row.organization_id), None).await.map(Some),
            Err(error) if error.code == ErrorCode::ApplicationNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same where the page to come back to would ask somebody: of a request that is good, and of no other. So nobody shows
    /// how an organization looks to a person whom no application of it waits for.
    pub async fn of_pending(oauth: &Oauth, back: &page::Back<'_>) -> rivergen_kernel::Result<Option<Self>> {
        let parameters = Parameters::parse(back.query.as_bytes()).unwrap_or_default();
        match Request::read(oauth, &parameters).await {
            Ok(_) => Self::of_request(oauth, back).await,
            Err(Refusal::Failed(error)) => Err(error),
            Err(Refusal::Page(_) | Refusal::Redirect { .. }) => Ok(None),
        }
    }
}

/// Ask a person to let an application sign them in
#[utoipa::path(get, path = "/oauth/authorize", tag = "oauth2", security(()),
    params(
        ("response_type" = String, Query, description = "`code`"),
        ("client_id" = String, Query, description = "The application's"),
        ("redirect_uri" = String, Query, description = "One of the registered ones, exactly"),
        ("scope" = Option<String>, Query, description = "Space-separated; without it, everything that the application is registered with"),
        ("state" = Option<String>, Query, description = "Returned unchanged"),
        ("code_challenge" = String, Query, description = "PKCE: SHA-256 of the verifier, in base64url"),
        ("code_challenge_method" = String, Query, description = "`S256`"),
        ("nonce" = Option<String>, Query, description = "Comes back in the ID token"),
        ("response_mode" = Option<String>, Query, description = "`query`, or `form_post`: the answer is a form that the browser posts"),
        ("prompt" = Option<String>, Query, description = "`none`, `login`, `consent`, `select_account`"),
        ("max_age" = Option<i64>, Query, description = "The maximum age of the sign-in, in seconds"),
        ("id_token_hint" = Option<String>, Query, description = "An ID token of the person who must be signed in; nobody else's sign-in is accepted"),
        ("acr_values" = Option<String>, Query, description = "How strongly the person must have authenticated, by preference: of `acr_values_supported`; the ID token says in `acr` what was reached"),
        ("dpop_jkt" = Option<String>, Query, description = "The thumbprint of the key that the code is to be bound to (RFC 9449)"),
        ("resource" = Option<String>, Query, description = "The server that the tokens are for; without it, this one")),
    responses((status = 200, description = "A page: sign in, consent, or a form for the application", content_type = "text/html", body = String),
        (status = 302, description = "To the application, with `code`, `state` and `iss`, or with `error`"),
        (status = 400, description = "A page, or `invalid_request`: the application or its address is not known", body = OauthErrorBody)))]
pub async fn authorize(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    match ask(&oauth, &origin, &headers, &query).await {
        Ok(response) => response,
        Err(refusal) => refused(&oauth, &headers, refusal),
    }
}

async fn ask(oauth: &Oauth, origin: &RequestOrigin, headers: &HeaderMap, query: &str) -> Result<Response, Refusal> {
    let unreadable = |_| Refusal::Page(ErrorCode::OauthInvalidRequest);
    let parameters = Parameters::parse(query.as_bytes()).map_err(unreadable)?;
    let (request, client) = Request::read(oauth, &parameters).await?;
    let to = request.destination();
    let tell = |error: OauthError| Refusal::Redirect { to: Box::new(to.clone()), error };
    let is_silent = request.prompts("none");
    let now = oauth.platform().clock.now();
    let hint = match &request.id_token_hint {
        Some(token) => id_token::read(oauth, token).await?.map(|hint| hint.sub),
        None => None,
    };
    // A hint of which nothing can be read any more is none, where the person can be asked.
    let is_meant = |caller: &Caller| match (&request.id_token_hint, &hint) {
        (None, _) => true,
        (Some(_), None) => !is_silent,
        (Some(_), Some(sub)) => *sub == caller.user_id.to_string(),
    };
    let caller = sign_in::caller(oauth, headers, origin.ip).await?;
    let began_at = match (&caller, request.pushed) {
        (Some(caller), Some(_)) => Some(arrival::began_at(oauth, caller).await?),
        _ => None,
    };
    let is_good = |caller: &Arc<Caller>| request.takes(caller.authenticated_at, began_at, now) && is_meant(caller);
    let is_another = caller.as_ref().is_some_and(|caller| !is_meant(caller));
    let Some(caller) = caller.filter(is_good) else {
        if is_silent {
            return Err(tell(OauthError::new(Code::LoginRequired, "Nobody is signed in, or someone else is.")));
        }
        let is_anew = is_another || request.wants_a_sign_in() || sign_in::is_asked_anew(query);
        let fault = is_another.then_some("The application expects someone else: sign in as that person.");
        let since = is_anew.then(|| now.timestamp());
        let back = page::Back { to: sign_in::AUTHORIZE, query, since };
        let email = request.login_hint.as_deref().unwrap_or_default();
        return Ok(sign_in::page(oauth, headers, back, email, fault).await?);
    };
    let decider = Decider::find(oauth, caller, &client, &request.scope()).await.map_err(tell)?;
    let client = client_document::kept(oauth, client, origin.actor(decider.caller.user_id)).await?;
    if !request.prompts("consent") && is_agreed(oauth, &decider, &client, &request).await? {
        return Ok(decision::grant(oauth, &decider, &client, &request, origin, None).await?);
    }
    if is_silent {
        return Err(tell(OauthError::new(Code::ConsentRequired, "The person has not agreed to this yet.")));
    }
    let asked_by = page::AskedBy::Browser { redirect_uri: &request.redirect_uri };
    let back = page::Back { to: sign_in::AUTHORIZE, query, since: None };
    Ok(ask_for_consent(oauth, headers, &decider, &client, &request, asked_by, back).await?)
}

/// The page on which the person decides, with a ticket that stands for this request in their session. From there they
/// come back to the beginning as somebody else.
pub(crate) async fn ask_for_consent(
    oauth: &Oauth,
    headers: &HeaderMap,
    decider: &Decider,
    client: &Client,
    request: &Request,
    asked_by: page::AskedBy<'_>,
    back: page::Back<'_>,
) -> rivergen_kernel::Result<Response> {
    let ticket = ticket::keep(oauth, client, Some(decider.session), request).await?;
    let tenant = Tenant::on_behalf_of(client.row.organization_id);
    let place = Place::find(oauth, tenant, decider.workspace_id).await?;
    let logo = logo::find(oauth.platform().db.read(), client.row.id).await?;
    sign_in::with_form_token(oauth, headers, |form_token| {
        let consent = page::Consent {
            application: &client.row,
            logo: logo.as_deref(),
            place: &place,
            email: &decider.caller.email,
            scope: request.scope(),
            asked_by,
            ticket: ticket.expose(),
            begin_again: page::Form { back, token: form_token },
        };
        consent.response()
    })
}

/// Whether the person need not be asked: they agreed to all of it before, or an administrator did for everybody. Where
/// another program could answer in the application's place they always are.
async fn is_agreed(
    oauth: &Oauth,
    decider: &Decider,
    client: &Client,
    request: &Request,
) -> rivergen_kernel::Result<bool> {
    use crate::application::ClientType;

    if client.row.client_type == ClientType::Public && !redirect::is_owned(&request.redirect_uri) {
        return Ok(false);
    }
    // An administrator agrees for everybody to what shows things and changes none: who may do more than they must not find
    // it used unasked.
    if client.row.preapproved && request.scope().api().within(&Scopes([Scope::Read].into())) {
        return Ok(true);
    }
    let (db, user) = (oauth.platform().db.read(), decider.caller.user_id);
    let known = consent::of_member(db, user, client.row.id, decider.joined_at).await?;
    Ok(known.is_some_and(|known| request.scope().is_subset(&known.scope())))
}

/// Tells the person, or the application, why it goes no further.
fn refused(oauth: &Oauth, headers: &HeaderMap, refusal: Refusal) -> Response {
    let outcome = match refusal {
        Refusal::Redirect { to, error } => {
            if let Some(cause) = &error.cause {
                tracing::error!(?cause, "an authorization request failed");
            }
            let answer = [("error", error.code.as_str()), ("error_description", error.description.as_str())];
            decision::tell(oauth, &to, &answer)
        }
        Refusal::Page(code) => Ok(page::refusal(headers, code)),
        Refusal::Failed(error) => Err(error),
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}
