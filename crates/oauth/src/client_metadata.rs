//! What a program says of itself, in the words of RFC 7591: when it registers itself ([`crate::registration`]), and in a document
//! of its own ([`crate::client_document`]).
//!
//! Nobody has looked at it, so it is taken only as far as it harms nobody: a person has to agree to whatever such a program
//! does. Grants in which it would act without one are an administrator's to register.

use std::collections::BTreeSet;

use rivergen_kernel::{Error, OrganizationId, Scope, Scopes, UserId};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use utoipa::ToSchema;

use crate::{
    Oauth,
    application::{AccessLevel, ActiveModel, ClientType, GrantType, Model, Origin, Status, redirect},
    assertion,
    error::{Code, OauthError, Result},
    keys::TokenAlgorithm,
    policy::Policy,
    scope::{Item, ScopeSet},
};

const LONGEST_NAME: usize = 100;
const MOST_ADDRESSES: usize = 20;

/// The metadata of a client (RFC 7591, section 2); anything not listed here is ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({"client_name": "Notes", "redirect_uris": ["https://notes.example/callback"],
    "token_endpoint_auth_method": "none", "scope": "read"}))]
pub struct ClientMetadata {
    /// Only sent with a change; it is assigned by this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// https, a loopback address, or a scheme of its own; matched exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// `authorization_code`, `refresh_token`, `urn:ietf:params:oauth:grant-type:device_code`; without it, the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_types: Option<Vec<String>>,
    /// `code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_types: Option<Vec<String>>,
    /// `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`; without it, the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<String>,
    /// Space-separated; it is granted those that it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Its public keys, for `private_key_jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<Value>,
    /// Where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// It only accepts tokens that are bound to a key (RFC 9449, section 5.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_bound_access_tokens: Option<bool>,
    /// The algorithm that its ID tokens are signed with: one of `id_token_signing_alg_values_supported`; without it,
    /// the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("RS256"))]
    pub id_token_signed_response_alg: Option<String>,
}

/// How a program proves who it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Proof {
    /// It cannot.
    None,
    Secret,
    Keys(Value),
    /// Keys at an address.
    KeysAt(String),
}

/// Metadata that can be taken.
#[derive(Debug)]
pub struct Checked {
    name: String,
    grant_types: Vec<GrantType>,
    redirect_uris: Vec<String>,
    after_logout: Vec<String>,
    scopes: Scopes,
    pub proof: Proof,
    is_bound: bool,
    algorithm: Option<TokenAlgorithm>,
}

fn invalid(reason: impl Into<String>) -> OauthError {
    OauthError::new(Code::InvalidClientMetadata, reason)
}

impl ClientMetadata {
    /// Checks it for an organization of that policy.
    pub fn check(&self, oauth: &Oauth, policy: &Policy) -> Result<Checked> {
        let grant_types = self.grants()?;
        let redirect_uris = self.redirect_uris.clone().unwrap_or_default();
        let after_logout = self.post_logout_redirect_uris.clone().unwrap_or_default();
        if grant_types.contains(&GrantType::AuthorizationCode) && redirect_uris.is_empty() {
            return Err(OauthError::new(
                Code::InvalidRedirectUri,
                "Give at least one address to send people back to in redirect_uris.",
            ));
        }
        if redirect_uris.len() > MOST_ADDRESSES || after_logout.len() > MOST_ADDRESSES {
            return Err(OauthError::new(Code::InvalidRedirectUri, "At most twenty addresses are allowed."));
        }
        let addresses = redirect::check("redirect_uris", &redirect_uris)
            .and_then(|()| redirect::check("post_logout_redirect_uris", &after_logout));
        addresses.map_err(|error| OauthError::new(Code::InvalidRedirectUri, reason_of(&error)))?;
        if self.response_types.iter().flatten().any(|kind| kind != "code") {
            return Err(invalid("The only supported response type is code."));
        }
        Ok(Checked {
            name: self.name(&redirect_uris)?,
            grant_types,
            after_logout,
            scopes: self.scopes(policy)?,
            proof: self.proof(oauth)?,
            is_bound: self.dpop_bound_access_tokens.unwrap_or_default(),
            algorithm: self.algorithm(oauth)?,
            redirect_uris,
        })
    }

    fn grants(&self) -> Result<Vec<GrantType>> {
        let Some(named) = &self.grant_types else { return Ok(vec![GrantType::AuthorizationCode]) };
        let mut grants = Vec::new();
        for name in named {
            let grant = match name.as_str() {
                "authorization_code" => GrantType::AuthorizationCode,
                crate::device::GRANT_TYPE => GrantType::DeviceCode,
                // It goes with the others.
                "refresh_token" => continue,
                _ => return Err(invalid(format!("Only an administrator can register the grant {name}."))),
            };
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        if grants.is_empty() { Err(invalid("Give a grant type in which a person agrees.")) } else { Ok(grants) }
    }

    /// Its name, or where it sends people to. People read it: it must not write over what stands beside it.
    fn name(&self, redirect_uris: &[String]) -> Result<String> {
        let turns = |letter: char| matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let Some(name) = self.client_name.as_deref().map(str::trim).filter(|name| !name.is_empty()) else {
            let host = redirect_uris.iter().find_map(|uri| Url::parse(uri).ok()?.host_str().map(str::to_owned));
            return Ok(host.unwrap_or_else(|| "Unnamed program".to_owned()));
        };
        if name.chars().count() > LONGEST_NAME || name.chars().any(|letter| letter.is_control() || turns(letter)) {
            return Err(invalid("The client_name must be one line of at most 100 characters."));
        }
        Ok(name.to_owned())
    }

    /// What it may ask people for: what the organization lets them allow, and never the organization's affairs.
    fn scopes(&self, policy: &Policy) -> Result<Scopes> {
        let asked = match &self.scope {
            Some(text) => known_of(text)?,
            None => ScopeSet([Item::Api(Scope::Read)].into()),
        };
        let most = Scopes([Scope::Write].into());
        Ok(asked.limited_to(&most).limited_to(policy.scopes.as_ref().unwrap_or(&most)).api())
    }

    fn proof(&self, oauth: &Oauth) -> Result<Proof> {
        let method = self.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
        let has_keys = self.jwks.is_some() || self.jwks_uri.is_some();
        match method {
            "private_key_jwt" => {}
            _ if has_keys => return Err(invalid("Keys are only for private_key_jwt.")),
            "none" => return Ok(Proof::None),
            "client_secret_basic" | "client_secret_post" => return Ok(Proof::Secret),
            _ => return Err(invalid("This server does not support the token_endpoint_auth_method.")),
        }
        match (&self.jwks, &self.jwks_uri) {
            (Some(keys), None) => {
                assertion::check(keys).map_err(|error| invalid(reason_of(&error)))?;
                Ok(Proof::Keys(keys.clone()))
            }
            (None, Some(uri)) if uri.len() <= 2000 && is_open(oauth, uri) => Ok(Proof::KeysAt(uri.clone())),
            (None, Some(_)) => Err(invalid("The jwks_uri must be an https address.")),
            _ => Err(invalid("For private_key_jwt, send either jwks or jwks_uri.")),
        }
    }

    fn algorithm(&self, oauth: &Oauth) -> Result<Option<TokenAlgorithm>> {
        let Some(name) = &self.id_token_signed_response_alg else { return Ok(None) };
        let offered = oauth.access.keys().of_id_tokens();
        let asked = TokenAlgorithm::from_name(name).filter(|asked| offered.contains(asked));
        asked
            .map(Some)
            .ok_or_else(|| invalid("The id_token_signed_response_alg is not one that this server signs with."))
    }

    /// The same of an application that is registered.
    pub fn of(row: &Model) -> Self {
        let grants = row.grant_types().into_iter().map(|grant| match grant {
            GrantType::AuthorizationCode => "authorization_code".to_owned(),
            GrantType::ClientCredentials => "client_credentials".to_owned(),
            GrantType::DeviceCode => crate::device::GRANT_TYPE.to_owned(),
            GrantType::TokenExchange => crate::token::TOKEN_EXCHANGE.to_owned(),
        });
        let method = match row.client_type {
            ClientType::Public => "none",
            ClientType::Confidential if row.has_secrets() => "client_secret_basic",
            ClientType::Confidential => "private_key_jwt",
        };
        let has_code = row.grant_types().contains(&GrantType::AuthorizationCode);
        Self {
            client_id: Some(row.client_id.clone()),
            client_name: Some(row.name.clone()),
            redirect_uris: Some(row.redirect_uris()),
            grant_types: Some(grants.chain(["refresh_token".to_owned()]).collect()),
            response_types: Some(if has_code { vec!["code".to_owned()] } else { Vec::new() }),
            token_endpoint_auth_method: Some(method.to_owned()),
            scope: Some(row.scopes().0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            jwks: row.jwks.clone(),
            jwks_uri: row.jwks_uri.clone(),
            post_logout_redirect_uris: Some(row.post_logout_redirect_uris()),
            dpop_bound_access_tokens: Some(row.dpop_bound_access_tokens),
            id_token_signed_response_alg: row.id_token_signed_response_alg.map(|algorithm| algorithm.to_string()),
        }
    }
}

impl Checked {
    /// What it says, as columns.
    pub fn columns(&self) -> ActiveModel {
        let (jwks, jwks_uri) = match &self.proof {
            Proof::Keys(keys) => (Some(keys.clone()), None),
            Proof::KeysAt(uri) => (None, Some(uri.clone())),
            Proof::None | Proof::Secret => (None, None),
        };
        let client_type = if self.proof == Proof::None { ClientType::Public } else { ClientType::Confidential };
        ActiveModel {
            name: Set(self.name.clone()),
            client_type: Set(client_type),
            grant_types: Set(json!(self.grant_types)),
            redirect_uris: Set(json!(self.redirect_uris)),
            post_logout_redirect_uris: Set(json!(self.after_logout)),
            scopes: Set(json!(self.scopes)),
            jwks: Set(jwks),
            jwks_uri: Set(jwks_uri),
            dpop_bound_access_tokens: Set(self.is_bound),
            id_token_signed_response_alg: Set(self.algorithm),
            ..Default::default()
        }
    }

    /// The application that it becomes. Its name may be another one's too: programs share them, and its id is what is its own.
    pub fn application(
        &self,
        organization: OrganizationId,
        client_id: String,
        origin: Origin,
        responsible: UserId,
        now: chrono::DateTime<chrono::Utc>,
    ) -> ActiveModel {
        ActiveModel {
            organization_id: Set(organization),
            name_key: Set(client_id.clone()),
            client_id: Set(client_id),
            description: Set(None),
            resources: Set(json!([])),
            access_level: Set(AccessLevel::default()),
            status: Set(Status::Active),
            origin: Set(origin),
            registration_token_hash: Set(None),
            verified_at: Set(None),
            preapproved: Set(false),
            token_generation: Set(0),
            responsible_user_id: Set(responsible),
            responsible_since: Set(now),
            created_at: Set(now),
            updated_at: Set(now),
            last_used_at: Set(None),
            ..self.columns()
        }
    }
}

/// The scopes of this server among those that a program names: its words are for others too, most of all those of a document.
fn known_of(text: &str) -> Result<ScopeSet> {
    let names = || text.split(' ').filter(|name| !name.is_empty());
    let known: BTreeSet<Item> = names().filter_map(|name| name.parse().ok()).collect();
    match known.is_empty() && names().next().is_some() {
        true => Err(invalid("None of the scopes exist.")),
        false => Ok(ScopeSet(known)),
    }
}

/// Whether this server may fetch from an address that a program names: https, or http where it may reach private addresses.
pub fn is_open(oauth: &Oauth, address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_plain = url.scheme() == "http" && oauth.platform().outbound.policy().allow_private;
    url.has_host() && (url.scheme() == "https" || is_plain)
}

/// What is wrong with a field, as a sentence.
fn reason_of(error: &Error) -> String {
    let field = error.details.first().map(|fault| format!("{} {}.", fault.field, fault.reason));
    field.unwrap_or_else(|| error.message.to_string())
}
