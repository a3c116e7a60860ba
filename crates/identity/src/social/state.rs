//! A sign-in that is on its way through the provider: made by this server, good for ten minutes and for one return.
//!
//! The state is random and kept as its hash; what it stands for (the PKCE verifier, the nonce and who is asked anew, sealed;
//! where the browser goes in the end; who connects an account) never leaves this server. A cookie of the browser that it was made
//! for is bound to it, so a link that somebody else began signs nobody in.

use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{Error, ErrorCode, Result, Secret, Token, TokenHash, UserId};
use rivergen_platform::{
    Platform, Transaction,
    vault::{Owner, Sealed},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, entity::prelude::*};
use serde::{Deserialize, Serialize};

use super::provider::Provider;
use crate::{asked_anew::AskedAnew, cookies::SignInCookie, oidc::Secrets};

pub(super) const LIFETIME: Duration = Duration::minutes(10);
/// What the vault seals them for.
const SECRETS_CONTEXT: &str = "social_states.secrets";
const COOKIE: SignInCookie = SignInCookie { prefix: "rivergen_oauth_", path: "/api/v1/auth/oauth" };

/// A sign-in on its way; used up when it comes back.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "social_states")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub state_hash: TokenHash,
    pub provider: String,
    /// Of the cookie.
    pub browser_hash: TokenHash,
    /// JSON: the PKCE verifier, the nonce, and who is asked anew.
    pub sealed_secrets: Sealed,
    /// What the client wants back.
    pub client_state: Option<String>,
    /// Where the browser goes in the end.
    pub redirect_to: Option<String>,
    /// Whether the front end is given the provider's code, to finish the sign-in itself.
    pub delivers_code: bool,
    /// The version of the terms that the person accepted at the start.
    pub accepted_terms: Option<String>,
    /// Whom the account is to be connected to.
    pub user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What a client wants of a sign-in.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub client_state: Option<String>,
    pub redirect_to: Option<String>,
    pub delivers_code: bool,
    pub accepted_terms: Option<String>,
    pub user_id: Option<UserId>,
    /// Who is to prove anew who they are.
    pub asked_anew: Option<UserId>,
}

/// What is sealed with a state.
#[derive(Serialize, Deserialize)]
struct Sealing {
    #[serde(flatten)]
    secrets: Secrets,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_anew: Option<UserId>,
}

/// Keeps a sign-in that begins, and answers its state and the value of its cookie.
pub(super) async fn begin(
    platform: &Platform,
    tx: &Transaction,
    provider: &str,
    state: &Token,
    secrets: Secrets,
    wish: Wish,
) -> Result<Token> {
    let now = platform.clock.now();
    let browser = Token::random(&mut rand::rng());
    let sealing = Sealing { secrets, asked_anew: wish.asked_anew };
    let secrets = Secret::new(serde_json::to_string(&sealing).map_err(Error::internal)?);
    let sealed = platform.vault.seal(tx, Owner::System, SECRETS_CONTEXT, secrets.expose().as_bytes()).await?;
    ActiveModel {
        state_hash: Set(state.hash()),
        provider: Set(provider.to_owned()),
        browser_hash: Set(browser.hash()),
        sealed_secrets: Set(sealed),
        client_state: Set(wish.client_state),
        redirect_to: Set(wish.redirect_to),
        delivers_code: Set(wish.delivers_code),
        accepted_terms: Set(wish.accepted_terms),
        user_id: Set(wish.user_id),
        created_at: Set(now),
        expires_at: Set(now + LIFETIME),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    Ok(browser)
}

/// The sign-in of this state at this provider, while it is good. Index: social_states(state_hash), unique.
pub(super) async fn find(
    db: &impl ConnectionTrait,
    provider: &str,
    state: &str,
    now: DateTime<Utc>,
) -> Result<Option<Model>> {
    let found = Entity::find().filter(Column::StateHash.eq(TokenHash::of(state))).one(db).await?;
    Ok(found.filter(|row| row.provider == provider && now < row.expires_at))
}

/// Uses up the sign-in of this state, where it was begun by `user_id` (`None`: by nobody who was signed in).
pub(super) async fn take(platform: &Platform, provider: &str, state: &str, user_id: Option<UserId>) -> Result<Model> {
    let found = find(platform.db.read(), provider, state, platform.clock.now()).await?;
    found.filter(|row| row.user_id == user_id).ok_or(ErrorCode::InvalidState)?.spend(platform).await
}

impl Model {
    /// Uses it up before the provider is asked; of two requests at once only one goes on.
    pub(super) async fn spend(self, platform: &Platform) -> Result<Self> {
        let tx = platform.db.begin().await?;
        let deleted = Entity::delete_by_id(self.id).exec(tx.conn()).await?;
        tx.commit().await?;
        if deleted.rows_affected == 1 { Ok(self) } else { Err(ErrorCode::InvalidState.into()) }
    }

    async fn opened(&self, platform: &Platform) -> Result<Sealing> {
        let opened = platform.vault.open(Owner::System, SECRETS_CONTEXT, &self.sealed_secrets).await?;
        serde_json::from_slice(&opened).map_err(Error::internal)
    }

    pub(super) async fn secrets(&self, platform: &Platform) -> Result<Secrets> {
        Ok(self.opened(platform).await?.secrets)
    }

    /// Whom the provider was to ask anew.
    pub(super) async fn asked_anew(&self, platform: &Platform) -> Result<Option<AskedAnew>> {
        let person = self.opened(platform).await?.asked_anew;
        Ok(person.map(|person| AskedAnew { person, at: self.created_at }))
    }

    /// Whether the request comes from the browser that the sign-in was begun in.
    pub(super) fn is_of_browser(&self, headers: &HeaderMap) -> bool {
        COOKIE.is_of(headers, &self.state_hash, &self.browser_hash)
    }
}

/// The cookie of a sign-in. It comes back with the provider's redirect; where the provider's page posts its answer,
/// which is a request from another site, only a cookie for all sites does.
pub(super) fn cookie(provider: &Provider, state: &Token, browser: &Token, public_url: &str) -> Result<HeaderValue> {
    written(provider, &state.hash(), browser.expose(), LIFETIME.num_seconds(), public_url)
}

/// Takes the cookie away again.
pub(super) fn spent_cookie(provider: &Provider, state: &str, public_url: &str) -> Result<HeaderValue> {
    written(provider, &TokenHash::of(state), "", 0, public_url)
}

fn written(provider: &Provider, state: &TokenHash, value: &str, age: i64, public_url: &str) -> Result<HeaderValue> {
    let sites = match (provider.posts_its_answer(), public_url.starts_with("https://")) {
        (true, _) => "SameSite=None; Secure",
        (false, true) => "SameSite=Lax; Secure",
        (false, false) => "SameSite=Lax",
    };
    COOKIE.written(state, value, age, sites)
}
