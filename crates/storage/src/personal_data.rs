//! What this room keeps about a person, for an access request, and what of it may become another's.

use async_trait::async_trait;
use rivergen_kernel::{Result, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    db::TenantScope,
    personal_data::{Owned, OwnedRows, Records, Rows},
};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use crate::{
    file::{Column, Entity},
    link, share,
};

pub fn records() -> Vec<Box<dyn Records>> {
    // Index: storage_files(uploaded_by_user_id, id).
    vec![
        Box::new(Rows::<Entity> {
            name: "files",
            id: Column::Id,
            of: |subject| Some(subject.shared(Column::UploadedByUserId, Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "file_name": row.file_name,
                "content_type": row.content_type, "category": row.category.to_value(), "size_bytes": row.size_bytes,
                "state": row.state.to_value(), "created_at": row.created_at})
            },
        }),
        // Index: storage_links(created_by_user_id, id). Without the hash of the link.
        Box::new(Rows::<link::Entity> {
            name: "file_links",
            id: link::Column::Id,
            of: |subject| Some(subject.shared(link::Column::CreatedByUserId, link::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "file_id": row.file_id,
                    "created_at": row.created_at, "expires_at": row.expires_at, "revoked_at": row.revoked_at,
                    "use_count": row.use_count, "last_used_at": row.last_used_at})
            },
        }),
        // Index: storage_shares(owner_user_id, id).
        Box::new(Rows::<share::Entity> {
            name: "shared_folders",
            id: share::Column::Id,
            of: |subject| Some(subject.shared(share::Column::OwnerUserId, share::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "workspace_id": row.workspace_id,
                    "prefix": row.prefix, "created_at": row.created_at})
            },
        }),
    ]
}

/// Files keep their path, which still names who uploaded them; whose they are says the row alone.
pub fn possessions() -> Vec<Box<dyn Owned>> {
    vec![
        // Index: storage_files(organization_id, uploaded_by_user_id, state).
        Box::new(OwnedRows::<Entity> { owner: Column::UploadedByUserId }),
        Box::new(Shares),
    ]
}

/// Folders go with the files in them.
struct Shares;

#[async_trait]
impl Owned for Shares {
    async fn transfer(&self, tx: &Transaction, tenant: Tenant, from: UserId, to: UserId) -> Result<u64> {
        // Index: storage_shares(organization_id, owner_user_id, …); a person shares a few hundred folders at most.
        let of = |person: UserId| tenant.find::<share::Entity>().filter(share::Column::OwnerUserId.eq(person));
        let heirs = of(to).all(tx.conn()).await?;
        let given = of(from).all(tx.conn()).await?;
        // Whoever left before and came back may have shared again what the heir has from the first time.
        let is_heirs = |row: &share::Model| {
            heirs.iter().any(|own| (own.workspace_id, &own.prefix) == (row.workspace_id, &row.prefix))
        };
        let twice = given.into_iter().filter(is_heirs).map(|row| row.id);
        share::Entity::delete_many().filter(share::Column::Id.is_in(twice)).exec(tx.conn()).await?;
        OwnedRows::<share::Entity> { owner: share::Column::OwnerUserId }.transfer(tx, tenant, from, to).await
    }
}
