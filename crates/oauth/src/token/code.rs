//! A code against tokens: once, by the application that it was given to, with the verifier that only it knows.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rivergen_platform::audit::{self, AuditRecord, Outcome};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Asking, TokenAnswer};
use crate::{
    application::GrantType,
    error::{Code, OauthError, Result},
    form::Parameters,
    grant,
};

pub async fn exchange(asking: &Asking<'_>, form: &Parameters) -> Result<TokenAnswer> {
    let invalid = || OauthError::new(Code::InvalidGrant, "The code is unknown, already used, expired, or not yours.");
    if !asking.client.may(GrantType::AuthorizationCode) {
        return Err(OauthError::new(Code::UnauthorizedClient, "The application may not use this grant."));
    }
    let (code, verifier) = (form.require("code")?, form.require("code_verifier")?);
    // OAuth 2.1 knows it no more here, where the verifier says whose code it is; whoever sends it is held to it.
    let redirect_uri = form.get("redirect_uri");
    let platform = asking.oauth.platform();
    let now = platform.clock.now();
    let grant = grant::Model::of_code(platform.db.read(), code).await?;
    let grant = grant.filter(|grant| grant.application_id == asking.client.row.id && !grant.is_of_device());
    let grant = grant.ok_or_else(invalid)?;
    if grant.exchanged_at.is_some() {
        replayed(asking, &grant).await?;
        return Err(invalid());
    }
    let is_good = grant.ended_at.is_none()
        && now < grant.code_expires_at
        && redirect_uri.is_none_or(|uri| uri == grant.redirect_uri)
        && asking.client.sends_to(&grant.redirect_uri)
        && fits(verifier, &grant.code_challenge)
        && grant.is_for(asking.key);
    if !is_good {
        return Err(invalid());
    }
    let Some(answer) = asking.first_tokens(&grant, form).await? else {
        // Another request at the same time got the tokens: this one ends them.
        replayed(asking, &grant).await?;
        return Err(invalid());
    };
    Ok(answer)
}

/// Whether the challenge was made from the verifier (RFC 7636, section 4.6).
fn fits(verifier: &str, challenge: &str) -> bool {
    let is_one = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    is_one && bool::from(made.as_bytes().ct_eq(challenge.as_bytes()))
}

/// Somebody shows a code again: the tokens that it gave are void (RFC 6749, section 4.1.2).
async fn replayed(asking: &Asking<'_>, grant: &grant::Model) -> Result<()> {
    let platform = asking.oauth.platform();
    let tx = platform.db.begin().await?;
    if !grant.end(&tx, "code_replayed", platform.clock.now()).await? {
        return Ok(());
    }
    let record = AuditRecord::new(Some(grant.organization_id), asking.origin.anonymous(), "oauth.code_replay")
        .target("oauth_application", grant.application_id.0)
        .details(serde_json::json!({"grant_id": grant.id, "user_id": grant.user_id}))
        .outcome(Outcome::Failure);
    audit::record(&tx, &platform.clock, record).await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn the_example_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(fits(verifier, challenge));
        // A challenge that is its own verifier would be `plain`.
        assert!(!fits(challenge, challenge) && !fits(&verifier[1..], challenge) && !fits("", challenge));
    }
}
