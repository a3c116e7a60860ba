//! Passkeys and security keys (WebAuthn level 2): registration, sign-in with and without an address, one's own list.

use chrono::{DateTime, Utc};
use rivergen_kernel::{CredentialId, Result, UserId};
use sea_orm::{ConnectionTrait, PaginatorTrait, entity::prelude::*};
use utoipa_axum::router::OpenApiRouter;

use crate::Identity;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webauthn_credentials")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: CredentialId,
    pub user_id: UserId,
    pub device_name: String,
    /// What the authenticator calls it, in base64url; unique.
    pub credential_id: String,
    /// The public key and what goes with it, as the library keeps it.
    pub passkey: Json,
    pub aaguid: Option<String>,
    pub transports: Json,
    pub backup_eligible: bool,
    pub backed_up: bool,
    pub sign_count: i64,
    pub usage_count: i64,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What waits for the answer of an authenticator; used up by the first answer.
pub mod challenge {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webauthn_challenges")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub challenge_hash: rivergen_kernel::TokenHash,
        /// `registration`, `authentication`, `discoverable`.
        pub purpose: String,
        pub user_id: Option<UserId>,
        pub device_name: Option<String>,
        pub state: Json,
        pub created_at: DateTime<Utc>,
        pub expires_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How many passkeys a person has. Index: webauthn_credentials(user_id).
pub async fn count(db: &impl ConnectionTrait, user_id: UserId) -> Result<u64> {
    Ok(Entity::find().filter(Column::UserId.eq(user_id)).count(db).await?)
}

/// The operations of passkeys.
pub(crate) fn operations() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
}
