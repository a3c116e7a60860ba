//! An application's own proof against an access token: no person is asked, and no refresh token is given.
//!
//! Such a token stands in no table: it is good while its application is, as [`crate::access_token`] checks at each use. It
//! acts for the person who answers for the application.

use rivergen_kernel::Proofs;

use super::{Asking, TokenAnswer};
use crate::{
    access_token::{Since, Subject},
    application::GrantType,
    error::{Code, OauthError, Result},
    form::Parameters,
    request::{asked_resources, asked_scope},
};

pub async fn exchange(asking: &Asking<'_>, form: &Parameters) -> Result<TokenAnswer> {
    let client = asking.client;
    // Only a confidential client is registered with it, so this one has proved itself.
    if !client.may(GrantType::ClientCredentials) {
        return Err(OauthError::new(Code::UnauthorizedClient, "The application may not use this grant."));
    }
    let scope = asked_scope(client, form.get("scope"))?;
    if scope.api().0.len() != scope.0.len() {
        return Err(OauthError::new(Code::InvalidScope, "There is no person to tell an application about."));
    }
    let resources = asked_resources(asking.oauth, client, form.all("resource"))?;
    let row = &client.row;
    let (user, organization) = (row.responsible_user_id, row.organization_id);
    let since = Since::Answers(row.responsible_since);
    if !asking.oauth.access.has_person(user, organization, since, Proofs::of_what_goes_on(None)).await? {
        let reason = "The person responsible for the application is no longer there: someone must take it over.";
        return Err(OauthError::new(Code::UnauthorizedClient, reason));
    }
    let sub = row.client_id.clone();
    let subject = Subject {
        client,
        sub,
        scope: &scope,
        resources: &resources,
        workspace_id: None,
        grant: None,
        act: None,
        key: asking.key,
        at_most: None,
    };
    let access = asking.oauth.access.issue(subject).await?;
    Ok(TokenAnswer {
        access_token: access.text,
        token_type: asking.token_type(),
        expires_in: access.lifetime.num_seconds(),
        refresh_token: None,
        scope: scope.to_string(),
        id_token: None,
        issued_token_type: None,
    })
}
