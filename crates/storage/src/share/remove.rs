//! `DELETE /api/v1/storage/shares/{share_id}`: takes a share back.

use axum::extract::State;
use rivergen_kernel::{ErrorCode, FolderShareId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{NoContent, Path, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, ModelTrait, QueryFilter};
use serde_json::json;

use super::{Column, Entity};
use crate::Storage;

errors! { pub UnshareErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Stop sharing a folder
///
/// Your own with `storage.write`; those of others with `storage.manage`. Links that others created to files in it no
/// longer work.
#[utoipa::path(delete, path = "/api/v1/storage/shares/{share_id}", tag = "storage",
    params(("share_id" = FolderShareId, Path, description = "The share")),
    responses((status = 204, description = "It is no longer shared"), UnshareErrors))]
pub async fn remove(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<FolderShareId>,
) -> Result<NoContent> {
    let tenant = caller.require(Permission::StorageWrite)?;
    let platform = &storage.platform;
    let tx = platform.db.begin().await?;
    let mut found = tenant.find::<Entity>().filter(Column::Id.eq(id));
    if !caller.may(Permission::StorageManage) {
        found = found.filter(Column::OwnerUserId.eq(caller.user_id));
    }
    let share = found.one(tx.conn()).await?.ok_or(ErrorCode::NotFound)?;
    let record = AuditRecord::new(Some(share.organization_id), origin.actor(caller.user_id), "folder.unshare")
        .target("folder_share", share.id)
        .details(json!({"prefix": share.prefix, "workspace_id": share.workspace_id, "owner": share.owner_user_id}));
    share.delete(tx.conn()).await?;
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
