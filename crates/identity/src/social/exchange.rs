//! From the code that a browser brought back to the person's profile at the provider.
//!
//! An id_token is checked for its signature, issuer, audience, expiry and nonce before a word of it is read; where it
//! has no address, the provider's userinfo is asked, whose subject must be the same. GitHub, which issues none, is
//! asked through its API. The provider's tokens are dropped here.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use openidconnect::{
    AccessToken, EndUserName, LocalizedClaim, OAuth2TokenResponse,
    core::{CoreTokenResponse, CoreUserInfoClaims},
};
use rivergen_platform::Platform;
use serde::{Deserialize, de::DeserializeOwned};

use super::{config::ProviderKind, provider::Provider};
use crate::{
    email_address,
    oidc::{self, Client, Discovered, Failure, GuardedHttp, IdToken, Secrets},
};

/// Who somebody is at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub subject: String,
    /// Lower-cased.
    pub email: Option<String>,
    /// Whether the provider has verified the address; if not, it is used for nothing.
    pub email_verified: bool,
    pub display_name: Option<String>,
    /// When the provider asked them who they are, where it says so.
    pub authenticated_at: Option<DateTime<Utc>>,
}

impl Profile {
    fn new(subject: String, email: Option<&str>, verified: Option<bool>, name: Option<&str>) -> Result<Self, Failure> {
        if subject.is_empty() || subject.len() > 255 || subject.contains('\0') {
            return Err(Failure::of("the subject is empty or too long"));
        }
        let email = email.and_then(|email| email_address::normalise(email, "email").ok());
        let email_verified = email.is_some() && verified == Some(true);
        Ok(Self { subject, email, email_verified, display_name: name.and_then(presentable), authenticated_at: None })
    }

    /// A name that came beside the code, where the provider itself gave none.
    pub fn or_named(mut self, name: Option<&str>) -> Self {
        self.display_name = self.display_name.or_else(|| name.and_then(presentable));
        self
    }
}

/// The name without control characters, as long as accounts have them.
fn presentable(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Exchanges the code, once, and reads who the person is.
pub(super) async fn profile(
    platform: &Platform,
    provider: &Provider,
    code: String,
    secrets: Secrets,
) -> Result<Profile, Failure> {
    let http = GuardedHttp::new(&platform.outbound);
    let (client, discovered) = provider.client(platform).await?;
    let tokens = oidc::exchange(&http, &client, code, secrets.pkce_verifier).await?;
    match provider.config.kind {
        ProviderKind::Github => of_github(&http, provider, tokens.access_token()).await,
        _ => of_id_token(platform, &http, provider, (client, discovered), &tokens, secrets.nonce).await,
    }
}

async fn of_id_token(
    platform: &Platform,
    http: &GuardedHttp,
    provider: &Provider,
    client: (Client, Arc<Discovered>),
    tokens: &CoreTokenResponse,
    nonce: String,
) -> Result<Profile, Failure> {
    let renew = || provider.client(platform);
    let IdToken { claims, client, .. } =
        IdToken::check(platform, &provider.discovery, tokens, nonce, client, renew).await?;
    let subject = claims.subject().to_string();
    let authenticated_at = claims.auth_time();
    let dated = |profile: Profile| Profile { authenticated_at, ..profile };
    if let Some(email) = claims.email() {
        return Profile::new(subject, Some(email), claims.email_verified(), first_name(claims.name())).map(dated);
    }
    let Ok(request) = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())) else {
        return Profile::new(subject, None, None, first_name(claims.name())).map(dated);
    };
    let info: CoreUserInfoClaims = request.request_async(http).await?;
    let name = first_name(info.name()).or(first_name(claims.name()));
    Profile::new(subject, info.email().map(|email| email.as_str()), info.email_verified(), name).map(dated)
}

fn first_name(name: Option<&LocalizedClaim<EndUserName>>) -> Option<&str> {
    let name = name?;
    name.get(None).or_else(|| name.iter().next().map(|(_, name)| name)).map(|name| name.as_str())
}

/// `GET /user`.
#[derive(Deserialize)]
struct GithubUser {
    id: i64,
    login: String,
    name: Option<String>,
    email: Option<String>,
}

/// `GET /user/emails`.
#[derive(Deserialize)]
struct GithubEmail {
    email: String,
    primary: bool,
    verified: bool,
}

async fn of_github(http: &GuardedHttp, provider: &Provider, token: &AccessToken) -> Result<Profile, Failure> {
    let user: GithubUser = ask_github(http, &provider.api("/user"), token).await?;
    let emails: Vec<GithubEmail> = ask_github(http, &provider.api("/user/emails"), token).await?;
    // The address of the profile is what its owner wrote there; those of the list are the account's own.
    let primary = emails.iter().find(|email| email.primary);
    let email = primary.map(|email| email.email.as_str()).or(user.email.as_deref());
    let verified = primary.map(|email| email.verified);
    Profile::new(user.id.to_string(), email, verified, user.name.as_deref().or(Some(&user.login)))
}

async fn ask_github<T: DeserializeOwned>(http: &GuardedHttp, url: &str, token: &AccessToken) -> Result<T, Failure> {
    let request = axum::http::Request::get(url)
        .header("accept", "application/vnd.github+json")
        .header("authorization", format!("Bearer {}", token.secret()))
        .body(Vec::new())?;
    let answer = http.send(request).await?;
    if !answer.status().is_success() {
        return Err(Failure::of(&format!("{url} answered {}", answer.status())));
    }
    Ok(serde_json::from_slice(answer.body())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_only_where_it_is_said_to_be_verified() {
        let profile = |verified| Profile::new("1".to_owned(), Some("Ada@Acme.example"), verified, None).unwrap();
        assert!(profile(Some(true)).email_verified);
        assert_eq!(profile(Some(true)).email.as_deref(), Some("ada@acme.example"));
        assert!(!profile(Some(false)).email_verified && !profile(None).email_verified);
        let none = Profile::new("1".to_owned(), Some("no address"), Some(true), None).unwrap();
        assert!(none.email.is_none() && !none.email_verified);
        assert!(Profile::new(String::new(), None, None, None).is_err());
    }

    #[test]
    fn names_are_made_presentable() {
        assert_eq!(presentable(" Ada\u{0}\n Lovelace "), Some("Ada Lovelace".to_owned()));
        assert_eq!(presentable("\u{7}\t"), None);
        assert_eq!(presentable(&"x".repeat(300)).map(|name| name.len()), Some(255));
    }
}
