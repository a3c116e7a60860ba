//! An authorization request: what an application asks of a person, checked before the person sees it.
//!
//! An unknown application or an address that is not registered never sends a browser anywhere: the person reads of it. What
//! else is wrong is told to the application, at its registered address.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rivergen_kernel::ErrorCode;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    Oauth,
    application::{GrantType, known::Client},
    client_document, dpop,
    error::{Code, OauthError},
    form::Parameters,
    pushed,
    scope::ScopeSet,
};

/// What the request says, as it is kept while the person is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub client_id: String,
    pub redirect_uri: String,
    pub scope: String,
    pub state: Option<String>,
    pub code_challenge: String,
    pub nonce: Option<String>,
    pub resources: Vec<String>,
    /// Space-separated: `none`, `login`, `consent`, `select_account`.
    pub prompt: String,
    pub max_age: Option<i64>,
    pub login_hint: Option<String>,
    /// Who should be signed in, where nobody is to be asked.
    pub id_token_hint: Option<String>,
    /// How strongly the person is to have proved who they are, by preference; a wish (OpenID Connect Core, section 5.5.1.1).
    #[serde(default)]
    pub acr_values: String,
    /// The key that the code is to be bound to, by its thumbprint (RFC 9449, section 10).
    pub dpop_jkt: Option<String>,
    /// Where the application sent it itself, beforehand (RFC 9126).
    pub pushed: Option<Pushed>,
    /// Whether the answer is posted (OAuth 2.0 Form Post Response Mode).
    #[serde(default)]
    pub by_form: bool,
}

/// A request that was sent beforehand.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Pushed {
    pub id: i64,
    pub at: DateTime<Utc>,
}

/// Why a request goes no further.
#[derive(Debug)]
pub enum Refusal {
    /// The person is told; nobody is sent anywhere.
    Page(ErrorCode),
    /// The application is told, at its registered address.
    Redirect {
        to: Box<Destination>,
        error: OauthError,
    },
    Failed(rivergen_kernel::Error),
}

impl From<rivergen_kernel::Error> for Refusal {
    fn from(error: rivergen_kernel::Error) -> Self {
        match error.code {
            // Whoever clicks twice was not sent here by a program.
            ErrorCode::OauthInvalidRequest => Self::Page(error.code),
            _ => Self::Failed(error),
        }
    }
}

/// A registered address, and the state that the application wants back.
#[derive(Debug, Clone)]
pub struct Destination {
    pub redirect_uri: String,
    state: Option<String>,
    pub by_form: bool,
}

impl Destination {
    /// The answer, with the state and who answers (RFC 9207): an application that uses several servers must not be led to
    /// mistake one for another.
    pub fn parameters<'a>(&'a self, issuer: &'a str, answer: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let state = self.state.as_deref().map(|state| ("state", state));
        answer.iter().copied().chain(state).chain([("iss", issuer)]).collect()
    }

    /// Where the browser goes with it.
    pub fn with(&self, issuer: &str, answer: &[(&str, &str)]) -> rivergen_kernel::Result<String> {
        let mut url = Url::parse(&self.redirect_uri).map_err(rivergen_kernel::Error::internal)?;
        url.query_pairs_mut().extend_pairs(self.parameters(issuer, answer));
        Ok(url.into())
    }

    pub fn refuse(&self, issuer: &str, error: &OauthError) -> rivergen_kernel::Result<String> {
        self.with(issuer, &[("error", error.code.as_str()), ("error_description", &error.description)])
    }
}

impl Request {
    pub fn destination(&self) -> Destination {
        Destination { redirect_uri: self.redirect_uri.clone(), state: self.state.clone(), by_form: self.by_form }
    }

    pub fn scope(&self) -> ScopeSet {
        self.scope.parse().unwrap_or_default()
    }

    /// Whether a device began it ([`crate::device`]): it sends a browser nowhere.
    pub fn is_of_device(&self) -> bool {
        self.redirect_uri.is_empty()
    }

    pub fn prompts(&self, wanted: &str) -> bool {
        self.prompt.split(' ').any(|one| one == wanted)
    }

    /// Whether the person is to sign in though they may have before.
    pub fn wants_a_sign_in(&self) -> bool {
        self.max_age.is_some() || self.prompts("login") || self.prompts("select_account")
    }

    /// Whether a proof of that moment is fresh enough for it, in a session that began then.
    pub fn takes(&self, authenticated_at: DateTime<Utc>, began_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        let is_young = self.max_age.is_none_or(|most| (now - authenticated_at).num_seconds() <= most);
        // The page takes the wishes out of the query when they are done; it cannot take them out of what was sent beforehand.
        let began_at = began_at.unwrap_or(authenticated_at);
        let is_done = self.pushed.is_some_and(|pushed| began_at >= pushed.at);
        is_done || (is_young && !self.prompts("login") && !self.prompts("select_account"))
    }

    /// Reads and checks a request, of which only a reference may have come.
    pub async fn read(oauth: &Oauth, parameters: &Parameters) -> Result<(Self, Arc<Client>), Refusal> {
        match parameters.get("request_uri") {
            Some(uri) if pushed::is_reference(uri) => pushed::find(oauth, uri, parameters.get("client_id")).await,
            _ => Self::of(oauth, parameters).await,
        }
    }

    /// Reads and checks the parameters themselves.
    pub async fn of(oauth: &Oauth, parameters: &Parameters) -> Result<(Self, Arc<Client>), Refusal> {
        let client_id = parameters.get("client_id").ok_or(Refusal::Page(ErrorCode::OauthInvalidClient))?;
        let client = client(oauth, client_id).await?;
        let named = parameters.get("redirect_uri").filter(|uri| client.sends_to(uri));
        let redirect_uri = named.ok_or(Refusal::Page(ErrorCode::OauthInvalidRedirectUri))?.to_owned();
        let state = parameters.get("state").map(str::to_owned);
        // A program's own scheme takes no form.
        let by_form = parameters.get("response_mode") == Some("form_post") && redirect_uri.starts_with("http");
        let to = Destination { redirect_uri, state, by_form };
        match Self::checked(oauth, parameters, &client, &to) {
            Ok(request) => Ok((request, client)),
            Err(error) => Err(Refusal::Redirect { to: Box::new(to), error }),
        }
    }

    fn checked(oauth: &Oauth, parameters: &Parameters, client: &Client, to: &Destination) -> Result<Self, OauthError> {
        let invalid = |text: &str| OauthError::new(Code::InvalidRequest, text);
        if parameters.get("request").is_some() {
            return Err(OauthError::new(Code::RequestNotSupported, "Send the parameters themselves."));
        }
        // It would have been sent beforehand.
        if parameters.get("request_uri").is_some() {
            return Err(OauthError::new(
                Code::RequestUriNotSupported,
                "Send the parameters themselves, or to /oauth/par.",
            ));
        }
        match parameters.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(OauthError::new(Code::UnsupportedResponseType, "Ask for response_type=code.")),
            None => return Err(invalid("The parameter response_type is missing.")),
        }
        if !to.by_form && !matches!(parameters.get("response_mode"), None | Some("query")) {
            return Err(invalid("The answer comes in the query, or as a form to an address of the web."));
        }
        if !client.may(GrantType::AuthorizationCode) {
            return Err(OauthError::new(Code::UnauthorizedClient, "The application may not use this grant."));
        }
        let max_age = match parameters.get("max_age").map(str::parse::<i64>) {
            None => None,
            Some(Ok(seconds)) if seconds >= 0 => Some(seconds),
            Some(_) => return Err(invalid("max_age must be a number of seconds.")),
        };
        let text = |name: &str, longest: usize| match parameters.get(name) {
            Some(value) if value.len() > longest => Err(invalid(&format!("The parameter {name} is too long."))),
            value => Ok(value.map(str::to_owned)),
        };
        let prompt = text("prompt", 100)?.unwrap_or_default();
        if prompt.split(' ').any(|one| one == "none") && prompt.trim() != "none" {
            return Err(invalid("The prompt none cannot be combined with others."));
        }
        if to.state.as_ref().is_some_and(|state| state.len() > 2000) {
            return Err(invalid("The parameter state is too long."));
        }
        Ok(Self {
            client_id: client.row.client_id.clone(),
            redirect_uri: to.redirect_uri.clone(),
            state: to.state.clone(),
            scope: asked_scope(client, parameters.get("scope"))?.to_string(),
            code_challenge: challenge(parameters)?,
            nonce: text("nonce", 500)?,
            resources: asked_resources(oauth, client, parameters.all("resource"))?,
            prompt,
            max_age,
            login_hint: text("login_hint", 254)?,
            id_token_hint: text("id_token_hint", 5000)?,
            acr_values: text("acr_values", 500)?.unwrap_or_default(),
            dpop_jkt: bound_to(parameters)?,
            pushed: None,
            by_form: to.by_form,
        })
    }
}

/// The application of a request that comes through a browser.
pub async fn client(oauth: &Oauth, client_id: &str) -> Result<Arc<Client>, Refusal> {
    let found = match client_document::is_one(client_id) {
        true => client_document::client(oauth, client_id).await,
        false => oauth.access.clients.find(client_id).await,
    };
    match found {
        Err(error) if error.code == ErrorCode::ApplicationNotFound => Err(Refusal::Page(ErrorCode::OauthInvalidClient)),
        found => Ok(found?),
    }
}

/// PKCE with S256, whoever asks (RFC 9700, section 2.1.1): a request without it, or with `plain`, is refused, so that nobody
/// on the way can take it out.
fn challenge(parameters: &Parameters) -> Result<String, OauthError> {
    let invalid = |text: &str| OauthError::new(Code::InvalidRequest, text);
    let given = parameters.get("code_challenge").ok_or_else(|| invalid("PKCE is required: send a code_challenge."))?;
    if parameters.get("code_challenge_method") != Some("S256") {
        return Err(invalid("The code_challenge_method must be S256."));
    }
    match URL_SAFE_NO_PAD.decode(given) {
        Ok(bytes) if bytes.len() == 32 => Ok(given.to_owned()),
        _ => Err(invalid("The code_challenge is not a SHA-256 in base64url.")),
    }
}

/// The key that the code is to be bound to.
fn bound_to(parameters: &Parameters) -> Result<Option<String>, OauthError> {
    let Some(key) = parameters.get("dpop_jkt") else { return Ok(None) };
    match dpop::is_thumbprint(key) {
        true => Ok(Some(key.to_owned())),
        false => Err(OauthError::new(Code::InvalidRequest, "The dpop_jkt is not a SHA-256 thumbprint in base64url.")),
    }
}

/// What is asked for, or without it everything that the application is registered with.
pub fn asked_scope(client: &Client, asked: Option<&str>) -> Result<ScopeSet, OauthError> {
    let registered = || client.scopes.0.iter().map(|scope| crate::scope::Item::Api(*scope)).collect();
    let Some(text) = asked else { return Ok(ScopeSet(registered())) };
    let scope: Option<ScopeSet> = text.parse().ok();
    let permitted = scope.filter(|scope| !scope.0.is_empty() && scope.is_within(&client.scopes));
    permitted.ok_or_else(|| OauthError::new(Code::InvalidScope, "The application may not ask for this scope."))
}

/// For which servers tokens are asked: this one, or those that the application is registered with (RFC 8707).
pub fn asked_resources(oauth: &Oauth, client: &Client, asked: &[String]) -> Result<Vec<String>, OauthError> {
    let mut resources: Vec<String> = Vec::new();
    for one in asked {
        let registered = || client.resources.iter().find(|known| is_same_resource(known, one)).map(String::as_str);
        let known = if oauth.is_own(one) { Some(oauth.issuer()) } else { registered() };
        let unknown = || OauthError::new(Code::InvalidTarget, "The application may not ask for this resource.");
        let one = known.ok_or_else(unknown)?;
        if !resources.iter().any(|known| known == one) {
            resources.push(one.to_owned());
        }
    }
    Ok(resources)
}

/// Whether two addresses are one, however they are written: libraries write the root of a site with its slash, people without.
pub fn is_same_resource(one: &str, other: &str) -> bool {
    one == other || matches!((Url::parse(one), Url::parse(other)), (Ok(one), Ok(other)) if one == other)
}
