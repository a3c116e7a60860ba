//! Messages of identity providers that were taken: each once. A unique index decides, so of two that come at once one is
//! refused, on whatever node. They are forgotten with what else sign-ins leave behind ([`sweep`](super::sweep)).

use chrono::{DateTime, Utc};
use rivergen_kernel::{ErrorCode, Result, SsoProviderId, TokenHash};
use rivergen_platform::{
    Transaction,
    db::{gone_is, is_unique_violation},
};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

/// Indexes: sso_messages_seen(provider_id, message_hash), unique; (expires_at).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sso_messages_seen")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub provider_id: SsoProviderId,
    /// Of its kind and its id, which may be of any length.
    pub message_hash: TokenHash,
    /// From then on it would be refused for its time.
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What is taken once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Of SAML, as is the next one.
    Assertion,
    LogoutRequest,
    /// Of OpenID Connect's back-channel logout.
    LogoutToken,
}

/// Writes down that a message is taken; answers whether it was not taken before. Where it was, the transaction is of no more
/// use: what stands in it is to be dropped. `PROVIDER_NOT_FOUND` where the provider was removed at this moment.
pub(crate) async fn is_first(
    tx: &Transaction,
    provider: SsoProviderId,
    kind: Kind,
    id: &str,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    let row = ActiveModel {
        provider_id: Set(provider),
        message_hash: Set(TokenHash::of(&format!("{kind:?} {id}"))),
        expires_at: Set(expires_at),
        ..Default::default()
    };
    match Entity::insert(row).exec_without_returning(tx.conn()).await {
        Ok(_) => Ok(true),
        Err(error) if is_unique_violation(&error) => Ok(false),
        Err(error) => Err(gone_is(ErrorCode::ProviderNotFound)(error)),
    }
}
