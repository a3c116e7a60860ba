//! `POST /oauth/token`: a code, a refresh token, or the application's own proof, against tokens.

mod client_credentials;
mod code;
mod device_code;
mod exchange;
mod refresh;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use rivergen_identity::user::User;
use rivergen_kernel::Token;
use rivergen_platform::{Transaction, http::RequestOrigin};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    access_token::{Since, Subject},
    application::{ClientType, known::Client},
    client_authentication::authenticate,
    dpop,
    error::{Code, OauthError, OauthErrorBody, Result},
    form::{Form, Parameters},
    grant, id_token,
    scope::{Item, ScopeSet},
};

pub use exchange::GRANT_TYPE as TOKEN_EXCHANGE;

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new().routes(routes!(token))
}

/// The parameters of a token request, for the document: the handler reads them by name.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"grant_type": "authorization_code", "code": "…", "redirect_uri": "https://app.example/callback",
    "code_verifier": "…", "client_id": "6f1c2c3e-4a7e-4f64-9d0b-5b0f0c1d2e3f"}))]
#[allow(dead_code, reason = "it describes the form")]
pub struct TokenRequest {
    /// `authorization_code`, `refresh_token`, `client_credentials`,
    /// `urn:ietf:params:oauth:grant-type:device_code` or `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// For `authorization_code`.
    code: Option<String>,
    /// For `authorization_code`: the one of the authorization request; OAuth 2.1 does without.
    redirect_uri: Option<String>,
    /// For `authorization_code`: what the challenge was made from.
    code_verifier: Option<String>,
    /// For `urn:ietf:params:oauth:grant-type:device_code`.
    device_code: Option<String>,
    /// For `refresh_token`.
    refresh_token: Option<String>,
    /// For `urn:ietf:params:oauth:grant-type:token-exchange`.
    subject_token: Option<String>,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    subject_token_type: Option<String>,
    /// No more than was granted.
    scope: Option<String>,
    /// The servers that the token is for; without it, this one.
    resource: Option<String>,
    /// For `urn:ietf:params:oauth:grant-type:token-exchange`: the same as `resource`.
    audience: Option<String>,
    /// Here, or in the header with HTTP Basic.
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// What an application is given (RFC 6749, section 5.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenAnswer {
    pub access_token: String,
    /// `Bearer`, or `DPoP` for one that is bound to a key: each use comes with a proof of it.
    #[schema(examples("Bearer"))]
    pub token_type: &'static str,
    /// Seconds that the access token lives.
    #[schema(examples(3600))]
    pub expires_in: i64,
    /// Valid for one use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    #[schema(examples("openid read"))]
    pub scope: String,
    /// Where `openid` was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// Of a token exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
}

/// Who asks, and from where.
struct Asking<'a> {
    oauth: &'a Oauth,
    client: &'a Client,
    origin: &'a RequestOrigin,
    /// The key that the request proves (RFC 9449), by its thumbprint.
    key: Option<&'a str>,
}

/// Issue tokens to an application
#[utoipa::path(post, path = "/oauth/token", tag = "oauth2", security(()),
    params(("dpop" = Option<String>, Header, description = "A proof of the key that the tokens are to be bound to (RFC 9449)")),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The tokens", body = TokenAnswer),
        (status = 400, description = "`invalid_request`, `invalid_grant`, `invalid_scope`, `invalid_target`, `unauthorized_client`, `unsupported_grant_type`, `invalid_dpop_proof`, `use_dpop_nonce`", body = OauthErrorBody),
        (status = 401, description = "`invalid_client`", body = OauthErrorBody)))]
pub async fn token(
    State(oauth): State<Oauth>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<impl IntoResponse> {
    let grant_type = form.require("grant_type")?;
    let client = authenticate(&oauth, &headers, &form).await?;
    let key = dpop::shown(&oauth.access, &headers, "/oauth/token").await?;
    if key.is_none() && client.row.dpop_bound_access_tokens {
        let reason = "The application is registered for tokens that are bound to a key: send a proof of one as DPoP.";
        return Err(OauthError::new(Code::InvalidDpopProof, reason));
    }
    let asking = Asking { oauth: &oauth, client: &client, origin: &origin, key: key.as_deref() };
    let answer = match grant_type {
        "authorization_code" => code::exchange(&asking, &form).await?,
        crate::device::GRANT_TYPE => device_code::exchange(&asking, &form).await?,
        "refresh_token" => refresh::exchange(&asking, &form).await?,
        "client_credentials" => client_credentials::exchange(&asking, &form).await?,
        exchange::GRANT_TYPE => exchange::exchange(&asking, &form).await?,
        _ => return Err(OauthError::new(Code::UnsupportedGrantType, "This grant type is not supported.")),
    };
    // Given already: a count that cannot be written down waits.
    if let Err(error) = oauth.access.tally.count(oauth.platform(), client.row.id).await {
        tracing::warn!(%error, "the tokens that were given could not be counted");
    }
    Ok(([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], Json(answer)))
}

impl Asking<'_> {
    fn token_type(&self) -> &'static str {
        if self.key.is_some() { "DPoP" } else { "Bearer" }
    }

    /// The first tokens of a grant, which is exchanged with that; `None` where it has been by now, or has ended.
    async fn first_tokens(&self, grant: &grant::Model, form: &Parameters) -> Result<Option<TokenAnswer>> {
        let platform = self.oauth.platform();
        let now = platform.clock.now();
        let user = self.person(grant).await?;
        let scope = grant.scope().limited_to(&self.client.scopes);
        let resources = self.narrowed_resources(grant, form.all("resource"))?;
        let refresh_token = Token::random(&mut rand::rng());
        // Signed before the transaction, which holds SQLite's one writing connection.
        let answer = self.tokens(grant, &user, &scope, &resources, &refresh_token).await?;
        let tx = platform.db.begin().await?;
        // Of two requests at the same time one gets the tokens.
        if !grant.exchange(&tx, now).await? {
            return Ok(None);
        }
        self.keep_first(&tx, grant, &refresh_token, now).await?;
        tx.commit().await?;
        Ok(Some(answer))
    }

    /// Keeps the first refresh token of a grant. Those of a public client are bound to the key that it proves: they have no
    /// other owner (RFC 9449, section 5). Never later: whoever stole one would bind the others to a key of their own.
    async fn keep_first(
        &self,
        tx: &Transaction,
        grant: &grant::Model,
        token: &Token,
        now: DateTime<Utc>,
    ) -> Result<()> {
        if let (Some(key), ClientType::Public) = (self.key, self.client.row.client_type) {
            grant.bind(tx, key).await?;
        }
        Ok(grant::refresh_token::store(tx, grant.id, token, now).await?)
    }

    /// The person of a grant; `invalid_grant` where they have left since, or must prove more than they did.
    async fn person(&self, grant: &grant::Model) -> Result<User> {
        let gone = || OauthError::new(Code::InvalidGrant, "The person no longer exists.");
        let (user, organization, since) = (grant.user_id, grant.organization_id, Since::Agreed(grant.created_at));
        if !self.oauth.access.has_person(user, organization, since, grant.proofs()).await? {
            return Err(gone());
        }
        User::find(self.oauth.platform().db.read(), grant.user_id).await?.ok_or_else(gone)
    }

    /// Tokens of a grant, with a refresh token that the caller keeps.
    async fn tokens(
        &self,
        grant: &grant::Model,
        user: &User,
        scope: &ScopeSet,
        resources: &[String],
        refresh_token: &Token,
    ) -> Result<TokenAnswer> {
        let subject = Subject {
            client: self.client,
            sub: grant.user_id.to_string(),
            scope,
            resources,
            workspace_id: grant.workspace_id,
            grant: Some(grant),
            act: None,
            key: self.key,
            at_most: None,
        };
        let access = self.oauth.access.issue(subject).await?;
        let now = self.oauth.platform().clock.now();
        let id_token = match scope.holds(Item::OpenId) {
            true => {
                let said = id_token::Said { client: self.client, grant, user, scope, access_token: &access.text };
                Some(id_token::issue(self.oauth, &said, now)?)
            }
            false => None,
        };
        Ok(TokenAnswer {
            access_token: access.text,
            token_type: self.token_type(),
            expires_in: access.lifetime.num_seconds(),
            refresh_token: Some(refresh_token.expose().to_owned()),
            scope: scope.to_string(),
            id_token,
            issued_token_type: None,
        })
    }

    /// For which of the servers of the grant the token is asked.
    fn narrowed_resources(&self, grant: &grant::Model, asked: &[String]) -> Result<Vec<String>> {
        let granted = grant.resources();
        if asked.is_empty() {
            // What was taken from the application since, it does not get for what was granted before.
            return crate::request::asked_resources(self.oauth, self.client, &granted);
        }
        let resources = crate::request::asked_resources(self.oauth, self.client, asked)?;
        let own = [self.oauth.issuer().to_owned()];
        let granted = if granted.is_empty() { own.as_slice() } else { granted.as_slice() };
        match resources.iter().all(|one| granted.contains(one)) {
            true => Ok(resources),
            false => Err(OauthError::new(Code::InvalidTarget, "The resource was not granted.")),
        }
    }
}
