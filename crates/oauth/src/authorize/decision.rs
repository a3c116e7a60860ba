//! `POST /oauth/authorize`: what the person decided on the consent page.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rivergen_identity::session;
use rivergen_kernel::{Error, ErrorCode, Result, Token, TokenHash};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord},
    http::RequestOrigin,
};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Decider, page, refused, sign_in, ticket};
use crate::{
    Oauth,
    application::known::Client,
    authentication_context, consent,
    error::{Code, OauthError, OauthErrorBody},
    form::Form,
    grant::{self, CODE_LIVES},
    request::{Destination, Refusal, Request, client},
};

/// The consent form, for the document: the handler reads it by name.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"ticket": "…", "approve": "true"}))]
#[allow(dead_code, reason = "it describes the form")]
pub struct DecisionForm {
    /// From the page that asked; it represents the whole request, including PKCE.
    ticket: String,
    /// `true` or `false`.
    approve: String,
}

/// Record a person's decision from the consent page
#[utoipa::path(post, path = "/oauth/authorize", tag = "oauth2", security(()),
    request_body(content = DecisionForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 302, description = "To the application, with `code`, `state` and `iss`, or with `error=access_denied`"),
        (status = 303, description = "To the same address, where the form is an application's request"),
        (status = 400, description = "A page, or `invalid_request`: the form is not this session's, used, or too old", body = OauthErrorBody)))]
pub async fn decide(State(oauth): State<Oauth>, origin: RequestOrigin, headers: HeaderMap, form: Form) -> Response {
    // An application may post its request too (OpenID Connect Core, section 3.1.2.1). It comes without the person's cookie;
    // where it leads to, the browser comes with it.
    if form.0.get("ticket").is_none() && form.0.get("client_id").is_some() {
        return sign_in::lead(sign_in::AUTHORIZE, &form.0.encoded()).unwrap_or_else(IntoResponse::into_response);
    }
    match decided(&oauth, &origin, &headers, &form).await {
        Ok(response) => response,
        Err(refusal) => refused(&oauth, &headers, refusal),
    }
}

async fn decided(oauth: &Oauth, origin: &RequestOrigin, headers: &HeaderMap, form: &Form) -> Result<Response, Refusal> {
    let lost = || Refusal::Page(ErrorCode::OauthInvalidRequest);
    if sign_in::is_foreign(oauth, headers) {
        return Err(lost());
    }
    let caller = sign_in::caller(oauth, headers, origin.ip).await?.ok_or_else(lost)?;
    let session = caller.session()?;
    let ticket = form.0.get("ticket").ok_or_else(lost)?;
    let approves = form.0.get("approve") == Some("true");
    let (kept, request) = ticket::find(oauth, ticket, Some(session)).await?.ok_or_else(lost)?;
    let to = request.destination();
    let tell = |error: OauthError| Refusal::Redirect { to: Box::new(to.clone()), error };
    // Both may have changed while the person read.
    let client = client(oauth, &request.client_id).await?;
    if !client.sends_to(&request.redirect_uri) {
        return Err(Refusal::Page(ErrorCode::OauthInvalidRedirectUri));
    }
    if !request.scope().is_within(&client.scopes) {
        return Err(tell(OauthError::new(Code::InvalidScope, "The application may no longer ask for this scope.")));
    }
    let decider = Decider::find(oauth, caller, &client, &request.scope()).await.map_err(tell)?;
    if !approves {
        let tx = oauth.platform().db.begin().await?;
        if !ticket::spend(&tx, kept.id).await? {
            return Err(lost());
        }
        deny(oauth, &tx, &decider, &client, origin).await?;
        tx.commit().await?;
        return Err(tell(OauthError::new(Code::AccessDenied, "The person did not agree.")));
    }
    Ok(grant(oauth, &decider, &client, &request, origin, Some(kept.id)).await?)
}

/// Writes down that the person said no.
pub(crate) async fn deny(
    oauth: &Oauth,
    tx: &Transaction,
    decider: &Decider,
    client: &Client,
    origin: &RequestOrigin,
) -> Result<()> {
    let actor = origin.actor(decider.caller.user_id);
    let record = AuditRecord::new(Some(client.row.organization_id), actor, "oauth.deny")
        .target("oauth_application", client.row.id.0)
        .details(json!({"name": client.row.name}));
    audit::record(tx, &oauth.platform().clock, record).await
}

/// Makes the grant of a yes, and sends the browser to the application with its code. A ticket is used up with it; without one
/// the person agreed before.
pub(super) async fn grant(
    oauth: &Oauth,
    decider: &Decider,
    client: &Client,
    request: &Request,
    origin: &RequestOrigin,
    ticket: Option<i64>,
) -> Result<Response> {
    let tx = oauth.platform().db.begin().await?;
    if let Some(id) = ticket
        && !ticket::spend(&tx, id).await?
    {
        return Err(ErrorCode::OauthInvalidRequest.into());
    }
    let (code, is_new) = (Token::random(&mut rand::rng()), ticket.is_some());
    granted(oauth, &tx, decider, client, request, (is_new, origin), code.hash()).await?;
    tx.commit().await?;
    tell(oauth, &request.destination(), &[("code", code.expose())])
}

/// Inserts the grant of a code and remembers the consent, in a transaction that the caller commits.
pub(crate) async fn granted(
    oauth: &Oauth,
    tx: &Transaction,
    decider: &Decider,
    client: &Client,
    request: &Request,
    (is_new, origin): (bool, &RequestOrigin),
    code_hash: TokenHash,
) -> Result<()> {
    let now = oauth.platform().clock.now();
    if let Some(pushed) = request.pushed
        && !ticket::spend(tx, pushed.id).await?
    {
        return Err(ErrorCode::OauthInvalidRequest.into());
    }
    let (organization, user) = (client.row.organization_id, decider.caller.user_id);
    let proofs = decider.caller.proofs;
    let session = session::Model::find(tx.conn(), decider.session).await?.ok_or(ErrorCode::Unauthorized)?;
    let acr = authentication_context::reached(&session.amr, &request.acr_values).map(str::to_owned);
    let row = grant::ActiveModel {
        organization_id: Set(organization),
        workspace_id: Set(decider.workspace_id),
        application_id: Set(client.row.id),
        user_id: Set(user),
        session_id: Set(decider.session),
        made_with_second_factor: Set(proofs.second_factor),
        made_with_passkey: Set(proofs.passkey),
        federated_by_organization_id: Set(proofs.federation.provider()),
        scope: Set(request.scope.clone()),
        resources: Set(json!(request.resources)),
        code_hash: Set(code_hash),
        redirect_uri: Set(request.redirect_uri.clone()),
        code_challenge: Set(request.code_challenge.clone()),
        nonce: Set(request.nonce.clone()),
        dpop_jkt: Set(request.dpop_jkt.clone()),
        // When they signed in, also where an identity provider vouched that is believed no further than here.
        authenticated_at: Set(session.began_at()),
        amr: Set(session.amr),
        acr: Set(acr),
        created_at: Set(now),
        code_expires_at: Set(now + CODE_LIVES),
        exchanged_at: Set(None),
        ended_at: Set(None),
        end_reason: Set(None),
        ..Default::default()
    };
    grant::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    // Of a device the person is asked each time: what another one may was not asked.
    if is_new && !request.is_of_device() {
        let member = (user, decider.joined_at);
        consent::remember(tx, organization, member, client.row.id, &request.scope(), now).await?;
    }
    let record = AuditRecord::new(Some(organization), origin.actor(user), "oauth.authorize")
        .target("oauth_application", client.row.id.0)
        .details(json!({"name": client.row.name, "scope": request.scope, "asked": is_new}));
    audit::record(tx, &oauth.platform().clock, record).await
}

/// To the application, as it wants its answers. Nothing of the way is kept, and nothing told to where it leads.
pub(super) fn tell(oauth: &Oauth, to: &Destination, answer: &[(&str, &str)]) -> Result<Response> {
    if to.by_form {
        return page::hand_over(&to.redirect_uri, &to.parameters(oauth.issuer(), answer));
    }
    let location = HeaderValue::from_str(&to.with(oauth.issuer(), answer)?).map_err(Error::internal)?;
    let mut response = (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
    page::keep_private(response.headers_mut());
    Ok(response)
}
