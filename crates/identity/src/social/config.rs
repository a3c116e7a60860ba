//! What an operator sets: the providers, each under its name, and the addresses that a browser may be sent on to.

use std::collections::BTreeMap;

use jsonwebtoken::EncodingKey;
use rivergen_kernel::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

/// `[social]`. A provider called `redirect_targets` cannot be.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SocialConfig {
    /// Where a browser may go when it is back from a provider: each address itself, and what lies below its path.
    #[serde(default)]
    pub redirect_targets: Vec<Url>,
    #[serde(flatten)]
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// `[social.<name>]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    pub kind: ProviderKind,
    /// What people read on the button; without it, the name of the kind, or that of the section.
    pub display_name: Option<String>,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    /// Beside `openid`; without it, what is needed for name and address.
    pub scopes: Option<Vec<String>>,
    /// The issuer as the provider's discovery document spells it; for `oidc`.
    pub issuer: Option<String>,
    /// The directory whose people may sign in; for `microsoft`.
    pub tenant: Option<String>,
    /// For `apple`, with `key_id` and `private_key` in place of a secret.
    pub team_id: Option<String>,
    pub key_id: Option<String>,
    /// PEM.
    pub private_key: Option<Secret>,
    /// A GitHub of one's own, and where its API is, if not below it at `/api/v3`.
    pub base_url: Option<Url>,
    pub api_url: Option<Url>,
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    Google,
    Github,
    Microsoft,
    Apple,
    Oidc,
}

impl ProviderKind {
    /// Those that everybody knows: not to have credentials for one is another fault than a name that nobody has.
    pub const WELL_KNOWN: [&'static str; 4] = ["apple", "github", "google", "microsoft"];

    /// Whether it says when it asked somebody who they are (`auth_time`). Google does not, and GitHub says nothing of the kind.
    pub fn says_when_it_asked(self) -> bool {
        matches!(self, Self::Microsoft | Self::Apple | Self::Oidc)
    }
}

impl SocialConfig {
    /// What is wrong with the settings: the key below `social`, and why.
    pub fn check(&self) -> Result<(), (String, String)> {
        for target in &self.redirect_targets {
            let plain = target.query().is_none() && target.fragment().is_none() && target.username().is_empty();
            if !["http", "https"].contains(&target.scheme()) || target.host().is_none() || !plain {
                let reason = "must be http or https addresses without a query or a fragment";
                return Err(("redirect_targets".to_owned(), reason.to_owned()));
            }
        }
        for (name, provider) in &self.providers {
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            if name.is_empty() || name.len() > 50 || !name.chars().all(word) {
                return Err((name.clone(), "names have up to 50 of a-z, 0-9, - and _".to_owned()));
            }
            provider.check().map_err(|reason| (name.clone(), reason))?;
        }
        Ok(())
    }

    /// The address, where it is one that a browser may be sent to: that of a target, or one below its path at exactly
    /// its origin. Everything is compared as the parser understands it, so no spelling leads elsewhere.
    pub fn target(&self, address: &str) -> Option<Url> {
        let url = Url::parse(address).ok()?;
        let has_account = !url.username().is_empty() || url.password().is_some();
        let allowed = |target: &Url| {
            let below = url.path().strip_prefix(target.path().trim_end_matches('/'));
            url.scheme() == target.scheme()
                && url.host() == target.host()
                && url.port_or_known_default() == target.port_or_known_default()
                && (url.path() == target.path() || below.is_some_and(|rest| rest.starts_with('/')))
        };
        (!has_account && url.fragment().is_none() && self.redirect_targets.iter().any(allowed)).then_some(url)
    }
}

impl ProviderConfig {
    fn check(&self) -> Result<(), String> {
        if self.client_id.is_empty() {
            return Err("needs a client_id".to_owned());
        }
        let has_secret = self.client_secret.as_ref().is_some_and(|secret| !secret.is_empty());
        match self.kind {
            ProviderKind::Google | ProviderKind::Github if !has_secret => Err("needs a client_secret".to_owned()),
            ProviderKind::Microsoft if !has_secret => Err("needs a client_secret".to_owned()),
            // The issuer of the shared endpoints is none that an id_token names, so it could not be checked.
            ProviderKind::Microsoft if self.issuer.is_none() && !self.names_a_tenant() => {
                Err("needs the tenant whose people may sign in, by its id; \"common\" and \"organizations\" are none"
                    .to_owned())
            }
            ProviderKind::Oidc if self.issuer.is_none() => Err("needs an issuer".to_owned()),
            ProviderKind::Apple => match (&self.team_id, &self.key_id, &self.private_key) {
                (Some(_), Some(_), Some(key)) => EncodingKey::from_ec_pem(key.expose().as_bytes())
                    .map(drop)
                    .map_err(|_| "private_key is not a private key of P-256 as PEM (PKCS 8)".to_owned()),
                _ => Err("needs team_id, key_id and private_key".to_owned()),
            },
            _ => match self.issuer.as_deref().map(Url::parse) {
                Some(Ok(url)) if ["http", "https"].contains(&url.scheme()) => Ok(()),
                None => Ok(()),
                Some(_) => Err("issuer must be an http or https address".to_owned()),
            },
        }
    }

    fn names_a_tenant(&self) -> bool {
        let shared = ["", "common", "organizations", "consumers"];
        self.tenant.as_deref().is_some_and(|tenant| !shared.contains(&tenant) && !tenant.contains('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(targets: &[&str]) -> SocialConfig {
        let redirect_targets = targets.iter().map(|target| target.parse().unwrap()).collect();
        SocialConfig { redirect_targets, ..SocialConfig::default() }
    }

    #[test]
    fn a_browser_is_sent_to_the_targets_and_below_them_alone() {
        let config = targets(&["https://app.example/signed-in", "http://localhost:3000/"]);
        for good in [
            "https://app.example/signed-in",
            "https://app.example:443/signed-in",
            "https://APP.example/signed-in?from=google",
            "https://app.example/signed-in/again",
            "http://localhost:3000",
            "http://localhost:3000/anything/below",
        ] {
            assert!(config.target(good).is_some(), "{good}");
        }
        for bad in [
            "https://app.example/",
            "https://app.example/signed-inside",
            "https://app.example/signed-in/../admin",
            "https://app.example/signed-in/%2e%2e/admin",
            "https://app.example/signed-in#fragment",
            "http://app.example/signed-in",
            "https://app.example:8443/signed-in",
            "https://app.example.evil.example/signed-in",
            "https://app.example@evil.example/signed-in",
            "https://ada@app.example/signed-in",
            "https:\\\\evil.example\\signed-in",
            "//app.example/signed-in",
            "/signed-in",
            "javascript:alert(1)",
            "http://localhost:3001/",
            "",
        ] {
            assert!(config.target(bad).is_none(), "{bad}");
        }
        assert!(targets(&[]).target("https://app.example/").is_none());
    }

    #[test]
    fn a_provider_without_what_its_kind_needs_is_a_fault() {
        let read = |settings: serde_json::Value| {
            serde_json::from_value::<SocialConfig>(serde_json::json!({"corp": settings})).unwrap().check()
        };
        for good in [
            serde_json::json!({"kind": "github", "client_id": "id", "client_secret": "s"}),
            serde_json::json!({"kind": "oidc", "client_id": "id", "issuer": "https://id.example"}),
            serde_json::json!({"kind": "microsoft", "client_id": "id", "client_secret": "s", "tenant": "9188040d"}),
        ] {
            assert_eq!(read(good.clone()), Ok(()), "{good}");
        }
        for bad in [
            serde_json::json!({"kind": "github", "client_id": "id"}),
            serde_json::json!({"kind": "google", "client_id": "", "client_secret": "s"}),
            serde_json::json!({"kind": "oidc", "client_id": "id"}),
            serde_json::json!({"kind": "oidc", "client_id": "id", "issuer": "id.example"}),
            serde_json::json!({"kind": "microsoft", "client_id": "id", "client_secret": "s", "tenant": "common"}),
            serde_json::json!({"kind": "apple", "client_id": "id", "team_id": "t", "key_id": "k"}),
            serde_json::json!({"kind": "apple", "client_id": "id", "team_id": "t", "key_id": "k", "private_key": "x"}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
