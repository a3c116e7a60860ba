//! Signing in with an account of another provider: Google, GitHub, Microsoft, Apple, or any OpenID provider of the
//! configuration.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Result, TokenHash, UserId};
use rivergen_platform::vault::Sealed;
use sea_orm::{ConnectionTrait, QueryOrder, entity::prelude::*};
use utoipa_axum::router::OpenApiRouter;

use crate::Identity;

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
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub sealed_tokens: Option<Sealed>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// A sign-in that is on its way through the provider; used up when it comes back.
pub mod state {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "social_states")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub state_hash: TokenHash,
        pub provider: String,
        /// PKCE verifier and nonce.
        pub sealed_secrets: Sealed,
        /// What the client wants back.
        pub client_state: Option<String>,
        /// Where the browser goes in the end.
        pub redirect_to: Option<String>,
        /// Whom the account is to be connected to.
        pub user_id: Option<UserId>,
        pub created_at: DateTime<Utc>,
        pub expires_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The providers that a person has connected. Index: social_accounts(user_id, provider), unique.
pub async fn providers_of(db: &impl ConnectionTrait, user_id: UserId) -> Result<Vec<String>> {
    let rows = Entity::find().filter(Column::UserId.eq(user_id)).order_by_asc(Column::Provider).all(db).await?;
    Ok(rows.into_iter().map(|row| row.provider).collect())
}

/// The operations of social login.
pub(crate) fn operations() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
}
