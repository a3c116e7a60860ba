//! The key with which an organization's masks hash: one for all its sources, so that hashes join; random,
//! so that they cannot be guessed; sealed in the vault.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng;
use rivergen_kernel::{OrganizationId, Result, Tenant};
use rivergen_platform::{
    Kept, Platform,
    vault::{Owner, Sealed},
};
use rivergen_policies::mask::HashKey;
use sea_orm::{ActiveValue::Set, entity::prelude::*};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mask_hash_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    pub sealed_key: Sealed,
    pub created_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

const CONTEXT: &str = "query.mask_hash_key";

/// The keys of all organizations; cheap to clone.
#[derive(Clone)]
pub(crate) struct HashKeys {
    platform: Platform,
    kept: Kept<OrganizationId, HashKey>,
}

impl HashKeys {
    pub(crate) fn new(platform: Platform) -> Self {
        let kept = Kept::new(platform.db.bus(), 10_000, Duration::from_secs(600), |_, _| Vec::new());
        Self { platform, kept }
    }

    /// The organization's key; made at its first query.
    pub(crate) async fn of(&self, tenant: Tenant) -> Result<HashKey> {
        self.kept.get_or_load(tenant.organization_id(), self.find_or_make(tenant.organization_id())).await
    }

    async fn find_or_make(&self, id: OrganizationId) -> Result<HashKey> {
        let Platform { db, vault, clock, .. } = &self.platform;
        let owner = Owner::Organization(id);
        let found = Entity::find_by_id(id).one(db.read()).await?;
        let row = match found {
            Some(row) => row,
            None => {
                let mut key = [0u8; 32];
                rand::rng().fill_bytes(&mut key);
                let tx = db.begin().await?;
                let sealed_key = vault.seal(&tx, owner, CONTEXT, &key).await?;
                let new =
                    ActiveModel { organization_id: Set(id), sealed_key: Set(sealed_key), created_at: Set(clock.now()) };
                // Of two nodes that make one at once, the first wins and the other reads it.
                Entity::insert(new).on_conflict_do_nothing_on([Column::OrganizationId]).exec(tx.conn()).await?;
                tx.commit().await?;
                let row = Entity::find_by_id(id).one(db.read()).await?;
                row.ok_or_else(|| rivergen_kernel::Error::internal("the mask key was not kept"))?
            }
        };
        let opened = vault.open(owner, CONTEXT, &row.sealed_key).await?;
        Ok(HashKey::new(&opened))
    }
}
