//! `DELETE /api/v1/storage/links/{link_id}`: ends a link now.

use axum::extract::State;
use rivergen_kernel::{ErrorCode, FileLinkId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{NoContent, Path, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, IntoActiveModel, QueryFilter, QuerySelect};

use super::{Column, Entity};
use crate::{Storage, file};

errors! { pub RevokeLinkErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Revoke a link
///
/// Your own, those to your own files, and with `storage.manage` all.
#[utoipa::path(delete, path = "/api/v1/storage/links/{link_id}", tag = "storage",
    params(("link_id" = FileLinkId, Path, description = "The link")),
    responses((status = 204, description = "Revoked: it no longer works"), RevokeLinkErrors))]
pub async fn revoke(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<FileLinkId>,
) -> Result<NoContent> {
    let tenant = caller.require(Permission::StorageRead)?;
    let platform = &storage.platform;
    let tx = platform.db.begin().await?;
    let link = tenant.find::<Entity>().filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    let link = link.ok_or(ErrorCode::NotFound)?;
    let mut is_theirs = link.created_by_user_id == caller.user_id || caller.may(Permission::StorageManage);
    if !is_theirs {
        let file = tenant.find::<file::Entity>().filter(file::Column::Id.eq(link.file_id)).one(tx.conn()).await?;
        is_theirs = file.is_some_and(|file| file.uploaded_by_user_id == caller.user_id);
    }
    if !is_theirs || link.revoked_at.is_some() {
        return Err(ErrorCode::NotFound.into());
    }
    let file_id = link.file_id;
    let mut link = link.into_active_model();
    link.revoked_at = Set(Some(platform.clock.now()));
    link.update(tx.conn()).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "file.revoke_link")
        .target("file", file_id)
        .details(serde_json::json!({"link_id": id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
