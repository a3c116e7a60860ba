//! A refresh token, good for one use, against new tokens of the same grant.

use rivergen_kernel::Token;
use rivergen_platform::audit::{self, AuditRecord, Outcome};

use super::{Asking, TokenAnswer};
use crate::{
    application::ClientType,
    error::{Code, OauthError, Result},
    form::Parameters,
    grant::{self, refresh_token},
    scope::ScopeSet,
};

pub async fn exchange(asking: &Asking<'_>, form: &Parameters) -> Result<TokenAnswer> {
    let invalid =
        || OauthError::new(Code::InvalidGrant, "The refresh token is unknown, already used, expired, or not yours.");
    let text = form.require("refresh_token")?;
    let platform = asking.oauth.platform();
    let (db, now) = (platform.db.read(), platform.clock.now());
    let shown = refresh_token::find(db, text).await?.ok_or_else(invalid)?;
    let grant = grant::Model::find(db, shown.grant_id).await?;
    let grant = grant.filter(|grant| grant.application_id == asking.client.row.id).ok_or_else(invalid)?;
    if !asking.client.may(grant.grant_type()) {
        return Err(OauthError::new(Code::UnauthorizedClient, "The application may not use this grant."));
    }
    if grant.ended_at.is_some() || now >= shown.expires_at {
        return Err(invalid());
    }
    // Whoever has the token of a public client and not its key has nothing, not even the power to end it.
    if asking.client.row.client_type == ClientType::Public && !grant.is_for(asking.key) {
        return Err(invalid());
    }
    if shown.spent_at.is_some() {
        reused(asking, &grant).await?;
        return Err(invalid());
    }
    let user = asking.person(&grant).await?;
    let scope = narrowed(&grant, form.get("scope"))?.limited_to(&asking.client.scopes);
    let resources = asking.narrowed_resources(&grant, form.all("resource"))?;
    let next = Token::random(&mut rand::rng());
    let answer = asking.tokens(&grant, &user, &scope, &resources, &next).await?;
    let tx = platform.db.begin().await?;
    if !refresh_token::spend(&tx, &shown, now).await? {
        drop(tx);
        reused(asking, &grant).await?;
        return Err(invalid());
    }
    refresh_token::store(&tx, grant.id, &next, now).await?;
    tx.commit().await?;
    Ok(answer)
}

/// What is asked for of what was granted. The next refresh may ask for all of it again.
fn narrowed(grant: &grant::Model, asked: Option<&str>) -> Result<ScopeSet> {
    let granted = grant.scope();
    let Some(asked) = asked else { return Ok(granted) };
    let asked: Option<ScopeSet> = asked.parse().ok();
    let permitted = asked.filter(|asked| !asked.0.is_empty() && asked.is_subset(&granted));
    permitted.ok_or_else(|| OauthError::new(Code::InvalidScope, "The scope exceeds what was granted."))
}

/// Somebody shows a token that was spent: there is a copy that should not exist, so the grant ends (RFC 9700, section 4.14.2).
async fn reused(asking: &Asking<'_>, grant: &grant::Model) -> Result<()> {
    let platform = asking.oauth.platform();
    let tx = platform.db.begin().await?;
    if !grant.end(&tx, "refresh_token_reuse", platform.clock.now()).await? {
        return Ok(());
    }
    let record = AuditRecord::new(Some(grant.organization_id), asking.origin.anonymous(), "oauth.refresh_token_reuse")
        .target("oauth_application", grant.application_id.0)
        .details(serde_json::json!({"grant_id": grant.id, "user_id": grant.user_id}))
        .outcome(Outcome::Failure);
    audit::record(&tx, &platform.clock, record).await?;
    Ok(tx.commit().await?)
}
