//! A token that a service was shown, against one with which it acts for the same person elsewhere (RFC 8693).
//!
//! A service gets a token that is meant for it: its `aud` names one of the service's registered resources. With it and its
//! own proof it asks for a token for this server, of which nothing is more than in the first: not the scope, not the time.
//! `act` names the service, and in it whichever acted before. The token lives and dies with the grant of the first one.

use chrono::Duration;
use rivergen_kernel::ErrorCode;

use super::{Asking, TokenAnswer};
use crate::{
    access_token::{Actor, Subject},
    application::{ClientType, GrantType},
    error::{Code, OauthError, Result},
    form::Parameters,
    grant,
    request::{asked_resources, is_same_resource},
    scope::ScopeSet,
};

/// What `grant_type` says.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub async fn exchange(asking: &Asking<'_>, form: &Parameters) -> Result<TokenAnswer> {
    let client = asking.client;
    if !client.may(GrantType::TokenExchange) || client.row.client_type == ClientType::Public {
        return Err(OauthError::new(Code::UnauthorizedClient, "The application may not use this grant."));
    }
    if form.require("subject_token_type")? != ACCESS_TOKEN {
        return Err(OauthError::new(Code::InvalidRequest, "The subject must be an access token."));
    }
    if !matches!(form.get("requested_token_type"), None | Some(ACCESS_TOKEN)) {
        return Err(OauthError::new(Code::InvalidRequest, "Only access tokens are issued."));
    }
    if form.get("actor_token").is_some() {
        return Err(OauthError::new(Code::InvalidRequest, "The service itself acts; send no actor_token."));
    }
    let invalid =
        || OauthError::new(Code::InvalidRequest, "The subject token is not valid, or not meant for this service.");
    let platform = asking.oauth.platform();
    let now = platform.clock.now();
    let subject = asking.oauth.access.inspect(form.require("subject_token")?, now).await;
    let subject = subject.map_err(|error| match error.code {
        ErrorCode::Unauthorized | ErrorCode::TokenExpired | ErrorCode::UserDisabled => invalid(),
        _ => error.into(),
    })?;
    let is_of_client = |audience: &String| client.resources.iter().any(|own| is_same_resource(own, audience));
    let is_meant = subject.claims.aud.iter().any(is_of_client);
    let is_near = subject.claims.org == client.row.organization_id;
    // Only of a person: what a service does for itself it does with its own proof.
    let (Some(grant), true) = (subject.claims.grant, is_meant && is_near) else { return Err(invalid()) };
    // What was bound to a key does not come out as what everybody can use who has it.
    if subject.claims.cnf.is_some() && asking.key.is_none() {
        let reason = "The subject token is bound to a key: send a proof of your own as DPoP.";
        return Err(OauthError::new(Code::InvalidDpopProof, reason));
    }
    let grant = grant::Model::find(platform.db.read(), grant).await?.ok_or_else(invalid)?;
    let scope = narrowed(&subject.scope, form.get("scope"))?.limited_to(&client.scopes);
    if scope.api().0.is_empty() {
        return Err(OauthError::new(Code::InvalidScope, "None of the scope is available to this service."));
    }
    // The one is an address and the other may be a name (section 2.1); here resources are known by their addresses.
    let asked: Vec<String> = form.all("resource").iter().chain(form.all("audience")).cloned().collect();
    let resources = asked_resources(asking.oauth, client, &asked)?;
    let before = subject.claims.act.clone().map(Box::new);
    let access = asking
        .oauth
        .access
        .issue(Subject {
            client,
            sub: subject.claims.sub.clone(),
            scope: &scope,
            resources: &resources,
            workspace_id: grant.workspace_id,
            grant: Some(&grant),
            act: Some(Actor { sub: client.row.client_id.clone(), act: before }),
            key: asking.key,
            at_most: Some(subject.expires_at - now),
        })
        .await?;
    Ok(TokenAnswer {
        access_token: access.text,
        token_type: asking.token_type(),
        expires_in: access.lifetime.max(Duration::zero()).num_seconds(),
        refresh_token: None,
        scope: scope.to_string(),
        id_token: None,
        issued_token_type: Some(ACCESS_TOKEN),
    })
}

fn narrowed(held: &ScopeSet, asked: Option<&str>) -> Result<ScopeSet> {
    let api = |scope: &ScopeSet| ScopeSet(scope.api().0.into_iter().map(crate::scope::Item::Api).collect());
    // Who the person is was told to another application.
    let held = api(held);
    let Some(asked) = asked else { return Ok(held) };
    let asked: Option<ScopeSet> = asked.parse().ok();
    let permitted = asked.filter(|asked| asked.is_subset(&held));
    permitted.ok_or_else(|| OauthError::new(Code::InvalidScope, "The scope exceeds that of the subject token."))
}
