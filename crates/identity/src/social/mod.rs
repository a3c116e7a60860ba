//! Signing in with an account of another provider: Google, GitHub, Microsoft, Apple, or any OpenID provider of the
//! configuration.
//!
//! ```text
//! oauth/{provider}/url ─▶ a state (10 minutes, once) ─▶ the provider ─▶ oauth/{provider}/callback ─▶ tokens
//!                                                                    │      └▶ the front end, with a handover code
//!                                                                    └▶ the front end, with code and state
//!                                                                        └▶ oauth/login, oauth/signup, social-accounts
//! ```
//!
//! What a provider says is believed for what it is: the subject names the provider's account, and an address counts
//! only where the provider has verified it. Nothing is connected because two addresses are equal: whoever has an
//! account here connects the provider while signed in to it. The provider's own tokens are used once, to read who the
//! person is, and not kept.
//!
//! [`config`] is what an operator sets, [`provider`] a provider as it is reached; [`start`] sends a browser away under
//! a [`state`], [`exchange`] turns the code that it brings back into a profile, and [`arrival`] the profile into an
//! account that is signed in to. [`login`], [`callback`] and [`accounts`] are the operations.

mod accounts;
mod arrival;
mod callback;
pub mod config;
mod exchange;
mod login;
mod provider;
mod start;
pub mod state;

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivergen_kernel::{Result, UserId};
use rivergen_platform::{Transaction, limits::Rule};
use sea_orm::{ActiveValue::Set, ConnectionTrait, QueryOrder, entity::prelude::*, sea_query::Expr};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use config::SocialConfig;
pub use provider::Providers;
pub use start::OauthProvider;

use crate::Identity;
use exchange::Profile;
use provider::Provider;

/// Sign-ins with a provider that one address begins.
const START_BY_IP: Rule = Rule::new("oauth_start_by_ip", 60, Duration::from_secs(600));
/// Sign-ins with a provider that one address finishes: each one asks the provider.
const FINISH_BY_IP: Rule = Rule::new("oauth_finish_by_ip", 30, Duration::from_secs(600));

/// A person's account at a provider.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "social_accounts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: UserId,
    pub provider: String,
    /// What the provider calls the person; unique for the provider.
    pub subject: String,
    /// As the provider last gave it, verified or not: shown to its owner, and used for nothing.
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The accounts that a person has connected. Index: social_accounts(user_id, provider), unique.
async fn accounts_of(db: &impl ConnectionTrait, user_id: UserId) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::UserId.eq(user_id)).order_by_asc(Column::Provider).all(db).await?)
}

/// The providers that a person has connected.
pub async fn providers_of(db: &impl ConnectionTrait, user_id: UserId) -> Result<Vec<String>> {
    Ok(accounts_of(db, user_id).await?.into_iter().map(|row| row.provider).collect())
}

/// The connected providers that can ask the person anew who they are: those of today that say when they asked.
pub async fn that_ask_anew(identity: &Identity, user_id: UserId) -> Result<Vec<OauthProvider>> {
    let connected = providers_of(identity.platform.db.read(), user_id).await?;
    let can = |provider: &&Provider| connected.contains(&provider.name) && provider.config.kind.says_when_it_asked();
    Ok(identity.social.all().filter(can).map(OauthProvider::from).collect())
}

/// Whether the person can sign in with a provider: one that this server still has credentials for.
pub(crate) async fn signs_in(identity: &Identity, tx: &Transaction, user_id: UserId) -> Result<bool> {
    Ok(accounts_of(tx.conn(), user_id).await?.iter().any(|row| identity.social.has(&row.provider)))
}

/// Whose account at the provider it is. Index: social_accounts(provider, subject), unique.
async fn find(db: &impl ConnectionTrait, provider: &str, subject: &str) -> Result<Option<Model>> {
    let of_provider = Entity::find().filter(Column::Provider.eq(provider));
    Ok(of_provider.filter(Column::Subject.eq(subject)).one(db).await?)
}

/// Connects an account of a provider; one that is connected already, or a second one of the provider, fails on a
/// unique index.
async fn connect(
    tx: &Transaction,
    user_id: UserId,
    provider: &str,
    profile: &Profile,
    now: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
) -> Result<Model, DbErr> {
    ActiveModel {
        user_id: Set(user_id),
        provider: Set(provider.to_owned()),
        subject: Set(profile.subject.clone()),
        email: Set(profile.email.clone()),
        display_name: Set(profile.display_name.clone()),
        created_at: Set(now),
        last_used_at: Set(last_used_at),
        ..Default::default()
    }
    .insert(tx.conn())
    .await
}

impl Model {
    /// Writes down that it was used, and what the provider says today; whether it is connected still.
    async fn touch(&self, tx: &Transaction, profile: &Profile, now: DateTime<Utc>) -> Result<bool> {
        let mut touching = Entity::update_many().col_expr(Column::LastUsedAt, Expr::value(now));
        if profile.email.is_some() {
            touching = touching.col_expr(Column::Email, Expr::value(profile.email.clone()));
        }
        if profile.display_name.is_some() {
            touching = touching.col_expr(Column::DisplayName, Expr::value(profile.display_name.clone()));
        }
        Ok(touching.filter(Column::Id.eq(self.id)).exec(tx.conn()).await?.rows_affected == 1)
    }
}

/// The operations of social login.
pub(crate) fn operations() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(start::list_oauth_providers))
        .routes(routes!(start::get_oauth_url))
        .routes(routes!(login::oauth_login))
        .routes(routes!(login::oauth_signup))
        .routes(routes!(callback::oauth_callback, callback::oauth_callback_form))
        .routes(routes!(callback::oauth_handover))
        .routes(routes!(accounts::list_social_accounts))
        .routes(routes!(accounts::link_social_account, accounts::unlink_social_account))
}
