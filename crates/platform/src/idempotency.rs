//! Idempotency keys: a repeated request finds what the first one made instead of making it again.
//!
//! The key is bound to a hash of the request and kept for 24 hours; the same key with another request is
//! refused. What is kept is the id of the made object, never its answer, so no secret lies in the table.

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{Error, ErrorCode, Result, TokenHash};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

use crate::db::{Transaction, duplicate_is};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The operation, so that keys of different operations do not meet.
    pub scope: String,
    pub key_hash: TokenHash,
    pub request_hash: TokenHash,
    pub object_id: i64,
    pub created_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// The first time: go on, then call [`remember`].
    New,
    /// A repeat: this object was made the first time.
    Repeat(i64),
}

/// Looks the key up; `IDEMPOTENCY_CONFLICT` where it came with another request.
pub async fn lookup(tx: &Transaction, scope: &str, key: &str, request: &str, now: DateTime<Utc>) -> Result<Seen> {
    // Index: (scope, key_hash), unique.
    let found = Entity::find()
        .filter(Column::Scope.eq(scope))
        .filter(Column::KeyHash.eq(TokenHash::of(key)))
        .one(tx.conn())
        .await?;
    match found {
        None => Ok(Seen::New),
        Some(row) if row.created_at < now - Duration::hours(24) => {
            Entity::delete_by_id(row.id).exec(tx.conn()).await?;
            Ok(Seen::New)
        }
        Some(row) if row.request_hash == TokenHash::of(request) => Ok(Seen::Repeat(row.object_id)),
        Some(_) => Err(ErrorCode::IdempotencyConflict.into()),
    }
}

/// Keeps what the key made, in the transaction that makes it. Of two requests at the same time one fails
/// on the unique index and answers `CONFLICT`; repeated, it finds the object.
pub async fn remember(
    tx: &Transaction,
    scope: &str,
    key: &str,
    request: &str,
    object_id: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    let row = ActiveModel {
        scope: Set(scope.to_owned()),
        key_hash: Set(TokenHash::of(key)),
        request_hash: Set(TokenHash::of(request)),
        object_id: Set(object_id),
        created_at: Set(now),
        ..Default::default()
    };
    let message = "The same request is still being handled; repeat it in a moment.";
    row.insert(tx.conn()).await.map(drop).map_err(duplicate_is(Error::new(ErrorCode::Conflict).with_message(message)))
}
