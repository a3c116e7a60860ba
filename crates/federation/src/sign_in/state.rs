//! A sign-in that is on its way through the provider: made by this server, good for ten minutes and for one return.
//!
//! The state is random and kept as its hash; what it stands for (the secrets of the protocol, sealed; where the browser goes
//! in the end) never leaves this server. A cookie of the browser that it was made for is bound to it, so a link that somebody
//! else began signs nobody in.

use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, Duration, Utc};
use rivergen_identity::{asked_anew::AskedAnew, cookies::SignInCookie};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Result, Secret, SsoProviderId, Token, TokenHash, UserId};
use rivergen_platform::{Transaction, db::gone_is, vault::Sealed};
use sea_orm::{ActiveValue::Set, entity::prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Federation, provider};

pub const LIFETIME: Duration = Duration::minutes(10);
/// What the vault seals the secrets for.
const SECRETS_CONTEXT: &str = "sso_states.secrets";
const COOKIE: SignInCookie = SignInCookie { prefix: "rivergen_sso_", path: "/api/v1/sso" };

/// A sign-in on its way; used up when it comes back.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sso_states")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub provider_id: SsoProviderId,
    pub state_hash: TokenHash,
    /// Of the cookie.
    pub browser_hash: TokenHash,
    /// JSON: what the protocol must find again, and who is asked anew.
    pub sealed_secrets: Sealed,
    /// Where the browser goes in the end.
    pub redirect_uri: String,
    /// What the client wants back.
    pub client_state: Option<String>,
    /// The administrator who tries the provider out: nobody is signed in.
    pub tested_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What a client wants of a sign-in.
#[derive(Debug, Clone)]
pub struct Wish {
    pub redirect_uri: String,
    pub client_state: Option<String>,
    pub tested_by: Option<UserId>,
    /// Who is to prove anew who they are.
    pub asked_anew: Option<UserId>,
}

/// What is sealed with a state.
#[derive(Serialize, Deserialize)]
struct Sealing {
    /// The protocol's: an object.
    #[serde(flatten)]
    secrets: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_anew: Option<UserId>,
}

/// Keeps a sign-in that begins under this state, and answers the value of its cookie.
pub async fn begin(
    federation: &Federation,
    tx: &Transaction,
    provider: &provider::Model,
    state: &Token,
    secrets: &Value,
    wish: Wish,
) -> Result<Token> {
    let platform = federation.platform();
    let now = platform.clock.now();
    // Of a provider that was removed since it was found.
    let gone = match wish.tested_by {
        Some(_) => ErrorCode::ProviderNotFound,
        None => ErrorCode::SsoNotConfigured,
    };
    let browser = Token::random(&mut rand::rng());
    let secrets = secrets.as_object().cloned().unwrap_or_default();
    let sealing = Sealing { secrets, asked_anew: wish.asked_anew };
    let secrets = Secret::new(serde_json::to_string(&sealing).map_err(Error::internal)?);
    let owner = provider.organization_id.into();
    let sealed = platform.vault.seal(tx, owner, SECRETS_CONTEXT, secrets.expose().as_bytes()).await?;
    ActiveModel {
        organization_id: Set(provider.organization_id),
        provider_id: Set(provider.id),
        state_hash: Set(state.hash()),
        browser_hash: Set(browser.hash()),
        sealed_secrets: Set(sealed),
        redirect_uri: Set(wish.redirect_uri),
        client_state: Set(wish.client_state),
        tested_by_user_id: Set(wish.tested_by),
        created_at: Set(now),
        expires_at: Set(now + LIFETIME),
        ..Default::default()
    }
    .insert(tx.conn())
    .await
    .map_err(gone_is(gone))?;
    Ok(browser)
}

/// Uses up the sign-in of this state, where it is good and the request comes from the browser that it was begun in;
/// `SSO_STATE_INVALID` for every other. Index: sso_states(state_hash), unique.
pub async fn take(federation: &Federation, state: &str, headers: &HeaderMap) -> Result<Model> {
    let platform = federation.platform();
    let found = Entity::find().filter(Column::StateHash.eq(TokenHash::of(state))).one(platform.db.read()).await?;
    let live = found.filter(|row| platform.clock.now() < row.expires_at && row.is_of_browser(headers));
    let row = live.ok_or(ErrorCode::SsoStateInvalid)?;
    // Before the provider is asked: of two requests at once only one goes on.
    let tx = platform.db.begin().await?;
    let deleted = Entity::delete_by_id(row.id).exec(tx.conn()).await?;
    tx.commit().await?;
    if deleted.rows_affected == 1 { Ok(row) } else { Err(ErrorCode::SsoStateInvalid.into()) }
}

impl Model {
    /// Whether it only shows what would happen.
    pub fn is_test(&self) -> bool {
        self.tested_by_user_id.is_some()
    }

    async fn opened(&self, federation: &Federation) -> Result<Sealing> {
        let owner = self.organization_id.into();
        let opened = federation.platform().vault.open(owner, SECRETS_CONTEXT, &self.sealed_secrets).await?;
        serde_json::from_slice(&opened).map_err(Error::internal)
    }

    /// What was given to [`begin`].
    pub async fn secrets(&self, federation: &Federation) -> Result<Value> {
        Ok(Value::Object(self.opened(federation).await?.secrets))
    }

    /// Whom the provider was to ask anew.
    pub async fn asked_anew(&self, federation: &Federation) -> Result<Option<AskedAnew>> {
        let person = self.opened(federation).await?.asked_anew;
        Ok(person.map(|person| AskedAnew { person, at: self.created_at }))
    }

    fn is_of_browser(&self, headers: &HeaderMap) -> bool {
        COOKIE.is_of(headers, &self.state_hash, &self.browser_hash)
    }
}

/// The cookie of a sign-in. SAML's answer is posted from another site, with which only a cookie for all sites comes along;
/// browsers take one only over https.
pub(crate) fn cookie(federation: &Federation, state: &Token, browser: &Token) -> Result<HeaderValue> {
    written(federation, &state.hash(), browser.expose(), LIFETIME.num_seconds())
}

/// Takes the cookie of a sign-in away again.
pub(crate) fn spent_cookie(federation: &Federation, state: &Model) -> Result<HeaderValue> {
    written(federation, &state.state_hash, "", 0)
}

fn written(federation: &Federation, state: &TokenHash, value: &str, age: i64) -> Result<HeaderValue> {
    let sites = match federation.platform().public_url.starts_with("https://") {
        true => "SameSite=None; Secure",
        false => "SameSite=Lax",
    };
    COOKIE.written(state, value, age, sites)
}
