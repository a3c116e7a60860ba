//! A provider as it is reached: its addresses and keys, and how this server proves to it who it is.
//!
//! What an OpenID provider says of itself is read by [`Discovery`]. GitHub has no such document: it is plain OAuth 2, whose
//! addresses are known.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openidconnect::{
    AuthType, AuthUrl, ClientId, ClientSecret, IssuerUrl, JsonWebKeySetUrl, RedirectUrl, TokenUrl, core::CoreClient,
};
use rivergen_kernel::{ErrorCode, Result, Secret};
use rivergen_platform::Platform;
use serde::Serialize;
use url::Url;

use super::config::{ProviderConfig, ProviderKind, SocialConfig};
use crate::oidc::{Client, Discovered, Discovery, Extensions, Failure, Metadata};

/// The providers of the configuration.
#[derive(Debug)]
pub struct Providers {
    pub(super) config: SocialConfig,
    configured: BTreeMap<String, Provider>,
}

impl Providers {
    pub fn new(config: SocialConfig) -> Self {
        let provider = |(name, config): (&String, &ProviderConfig)| (name.clone(), Provider::new(name, config));
        Self { configured: config.providers.iter().map(provider).collect(), config }
    }

    /// `PROVIDER_NOT_CONFIGURED` for one that everybody knows, else `INVALID_PROVIDER`.
    pub(super) fn get(&self, name: &str) -> Result<&Provider> {
        self.configured.get(name).ok_or_else(|| match ProviderKind::WELL_KNOWN.contains(&name) {
            true => ErrorCode::ProviderNotConfigured.into(),
            false => ErrorCode::InvalidProvider.into(),
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Provider> {
        self.configured.values()
    }

    /// Whether people can sign in with it today.
    pub(super) fn has(&self, name: &str) -> bool {
        self.configured.contains_key(name)
    }
}

/// One provider.
#[derive(Debug)]
pub(super) struct Provider {
    pub name: String,
    pub config: ProviderConfig,
    pub discovery: Discovery,
}

impl Provider {
    fn new(name: &str, config: &ProviderConfig) -> Self {
        Self { name: name.to_owned(), config: config.clone(), discovery: Discovery::default() }
    }

    pub fn display_name(&self) -> &str {
        let of_kind = match self.config.kind {
            ProviderKind::Google => "Google",
            ProviderKind::Github => "GitHub",
            ProviderKind::Microsoft => "Microsoft",
            ProviderKind::Apple => "Apple",
            ProviderKind::Oidc => &self.name,
        };
        self.config.display_name.as_deref().unwrap_or(of_kind)
    }

    /// Whether the answer comes as a form that the provider's page posts; Apple sends name and address in no other way.
    pub fn posts_its_answer(&self) -> bool {
        self.config.kind == ProviderKind::Apple
    }

    pub fn scopes(&self) -> Vec<String> {
        let usual: &[&str] = match self.config.kind {
            ProviderKind::Github => &["read:user", "user:email"],
            ProviderKind::Apple => &["name", "email"],
            _ => &["email", "profile"],
        };
        self.config.scopes.clone().unwrap_or_else(|| usual.iter().map(|scope| (*scope).to_owned()).collect())
    }

    /// The client, as it is to be used now: its secret may be one that is made anew each time.
    pub async fn client(&self, platform: &Platform) -> Result<(Client, Arc<Discovered>), Failure> {
        let discovered = self.discovered(platform).await?;
        let client = CoreClient::from_provider_metadata(
            discovered.metadata.clone(),
            ClientId::new(self.config.client_id.clone()),
            self.client_secret(platform.clock.now())?.map(|secret| ClientSecret::new(secret.expose().to_owned())),
        );
        let callback = format!("{}/api/v1/auth/oauth/{}/callback", platform.public_url, self.name);
        let client = client.set_redirect_uri(RedirectUrl::new(callback)?).set_auth_type(self.auth_type(&discovered));
        match self.config.kind {
            ProviderKind::Github => Ok((client.disable_openid_scope(), discovered)),
            _ => Ok((client, discovered)),
        }
    }

    async fn discovered(&self, platform: &Platform) -> Result<Arc<Discovered>, Failure> {
        match self.config.kind {
            ProviderKind::Github => {
                Ok(Arc::new(Discovered { metadata: self.metadata_of_github()?, read_at: platform.clock.now() }))
            }
            _ => self.discovery.of(platform, self.issuer()?.as_str()).await,
        }
    }

    fn issuer(&self) -> Result<IssuerUrl, Failure> {
        let tenant = self.config.tenant.as_deref().unwrap_or_default();
        let usual = match self.config.kind {
            ProviderKind::Google => "https://accounts.google.com".to_owned(),
            ProviderKind::Apple => APPLE.to_owned(),
            ProviderKind::Microsoft => format!("https://login.microsoftonline.com/{tenant}/v2.0"),
            ProviderKind::Github | ProviderKind::Oidc => String::new(),
        };
        Ok(IssuerUrl::new(self.config.issuer.clone().unwrap_or(usual))?)
    }

    fn metadata_of_github(&self) -> Result<Metadata, Failure> {
        let base = self.config.base_url.as_ref().map_or("https://github.com", Url::as_str).trim_end_matches('/');
        // It issues no id_token, so the issuer and the keys are asked for nothing.
        let metadata = Metadata::new(
            IssuerUrl::new(base.to_owned())?,
            AuthUrl::new(format!("{base}/login/oauth/authorize"))?,
            JsonWebKeySetUrl::new(base.to_owned())?,
            Vec::new(),
            Vec::new(),
            Vec::new(),
            Extensions::default(),
        );
        Ok(metadata.set_token_endpoint(Some(TokenUrl::new(format!("{base}/login/oauth/access_token"))?)))
    }

    /// An address of GitHub's API.
    pub fn api(&self, path: &str) -> String {
        let base = match (&self.config.api_url, &self.config.base_url) {
            (Some(url), _) => url.as_str().trim_end_matches('/').to_owned(),
            (None, Some(url)) => format!("{}/api/v3", url.as_str().trim_end_matches('/')),
            (None, None) => "https://api.github.com".to_owned(),
        };
        format!("{base}{path}")
    }

    fn auth_type(&self, discovered: &Discovered) -> AuthType {
        match self.config.kind {
            ProviderKind::Github | ProviderKind::Apple => AuthType::RequestBody,
            _ => discovered.auth_type(),
        }
    }

    fn client_secret(&self, now: DateTime<Utc>) -> Result<Option<Secret>, Failure> {
        match self.config.kind {
            ProviderKind::Apple => apple_secret(&self.config, &self.issuer()?, now).map(Some),
            _ => Ok(self.config.client_secret.clone().filter(|secret| !secret.is_empty())),
        }
    }
}

const APPLE: &str = "https://appleid.apple.com";

/// Apple takes no fixed secret, but a JWT that is signed with the team's key.
fn apple_secret(config: &ProviderConfig, audience: &IssuerUrl, now: DateTime<Utc>) -> Result<Secret, Failure> {
    #[derive(Serialize)]
    struct Claims<'a> {
        iss: &'a str,
        iat: i64,
        exp: i64,
        aud: &'a str,
        sub: &'a str,
    }

    let missing = || Failure::of("the key of Apple is not configured");
    let key = config.private_key.as_ref().ok_or_else(missing)?;
    let claims = Claims {
        iss: config.team_id.as_deref().ok_or_else(missing)?,
        iat: now.timestamp(),
        exp: now.timestamp() + 300,
        aud: audience,
        sub: &config.client_id,
    };
    let header = Header { kid: config.key_id.clone(), ..Header::new(Algorithm::ES256) };
    let key = EncodingKey::from_ec_pem(key.expose().as_bytes())?;
    Ok(Secret::new(jsonwebtoken::encode(&header, &claims, &key)?))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_secret_for_apple_is_a_token_of_the_teams_key() {
        // Made for this test: openssl ecparam -genkey -name prime256v1.
        let config: ProviderConfig = serde_json::from_value(json!({"kind": "apple", "client_id": "com.example.web",
            "team_id": "TEAM", "key_id": "KEY", "private_key": PRIVATE}))
        .unwrap();
        let now = Utc::now();
        let secret = apple_secret(&config, &IssuerUrl::new(APPLE.to_owned()).unwrap(), now).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[APPLE]);
        validation.set_issuer(&["TEAM"]);
        let key = DecodingKey::from_ec_pem(PUBLIC.as_bytes()).unwrap();
        let token = jsonwebtoken::decode::<Value>(secret.expose(), &key, &validation).unwrap();
        assert_eq!(token.header.kid.as_deref(), Some("KEY"));
        assert_eq!(token.claims["sub"], "com.example.web");
        assert_eq!(token.claims["exp"], now.timestamp() + 300);
    }

    #[test]
    fn a_github_of_ones_own_has_its_api_below_it() {
        let provider = |settings: Value| {
            let mut all = json!({"kind": "github", "client_id": "id", "client_secret": "s"});
            all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
            Provider::new("github", &serde_json::from_value(all).unwrap())
        };
        assert_eq!(provider(json!({})).api("/user"), "https://api.github.com/user");
        let own = provider(json!({"base_url": "https://git.example/"}));
        assert_eq!(own.api("/user"), "https://git.example/api/v3/user");
        let token = own.metadata_of_github().unwrap().token_endpoint().unwrap().to_string();
        assert_eq!(token, "https://git.example/login/oauth/access_token");
    }

    const PRIVATE: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8Iosl/DGgC8laa03\n\
D6XZ6u42IyfiLyjOL8zyBDHU+9ihRANCAASbf9Me5iihyV17WYV/NsbfGhg+J8xc\n\
/7ZmstEhmzaN18iACMV4A7qoZZlVMNSV6Zg0KpvMlfoj09QAk2wwkTkw\n\
-----END PRIVATE KEY-----\n";

    const PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEm3/THuYooclde1mFfzbG3xoYPifM\n\
XP+2ZrLRIZs2jdfIgAjFeAO6qGWZVTDUlemYNCqbzJX6I9PUAJNsMJE5MA==\n\
-----END PUBLIC KEY-----\n";
}
