//! What an address without passkeys is answered: credentials that do not exist, always the same for one address, so
//! that nobody learns from the answer who has an account.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use rivergen_kernel::{Error, Result};
use rivergen_platform::{
    Platform,
    vault::{Owner, Sealed},
};
use sea_orm::{ActiveValue::Set, entity::prelude::*};
use sha2::Sha256;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The server's key for decoys: one row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webauthn_decoy_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub sealed_key: Sealed,
    pub created_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

const CONTEXT: &str = "webauthn.decoy_key";
const THE_ROW: i64 = 1;

/// Makes decoys; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Decoys(Arc<OnceCell<[u8; 32]>>);

impl Decoys {
    /// The credential that the address seems to have.
    pub async fn of(&self, platform: &Platform, email: &str) -> Result<String> {
        let key = self.0.get_or_try_init(|| find_or_make(platform)).await?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(Error::internal)?;
        mac.update(email.as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}

/// The same key on every node, from the first time on.
async fn find_or_make(platform: &Platform) -> Result<[u8; 32]> {
    let Platform { db, vault, clock, .. } = platform;
    if Entity::find_by_id(THE_ROW).one(db.read()).await?.is_none() {
        let key: [u8; 32] = rand::random();
        let tx = db.begin().await?;
        let sealed_key = vault.seal(&tx, Owner::System, CONTEXT, &key).await?;
        let row = ActiveModel { id: Set(THE_ROW), sealed_key: Set(sealed_key), created_at: Set(clock.now()) };
        // Of two nodes that make one at once, the first wins.
        Entity::insert(row).on_conflict_do_nothing_on([Column::Id]).exec(tx.conn()).await?;
        tx.commit().await?;
    }
    let row = Entity::find_by_id(THE_ROW).one(db.read()).await?;
    let row = row.ok_or_else(|| Error::internal("the key of the decoys was not kept"))?;
    let key = vault.open(Owner::System, CONTEXT, &row.sealed_key).await?;
    key.as_slice().try_into().map_err(|_| Error::internal("the key of the decoys has another length"))
}
