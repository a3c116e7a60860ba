//! `GET /api/v1/storage/shares`: the folders that one shares, and those that are shared with the workspace one stands in.

use axum::extract::State;
use rivergen_kernel::{Page, Permission, Result};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, Condition, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Column, Entity, FolderShare};
use crate::Storage;

errors! { pub ListSharesErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError; }

/// List shared folders
#[utoipa::path(get, path = "/api/v1/storage/shares", tag = "storage", params(PageQuery),
    responses((status = 200, description = "Your own, and those shared with the workspace of the session; newest first",
        body = Envelope<Page<FolderShare>>), ListSharesErrors))]
pub async fn list(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<FolderShare>>> {
    let tenant = caller.require(Permission::StorageRead)?;
    let page = page.request()?;
    let mut seen = Condition::any().add(Column::OwnerUserId.eq(caller.user_id));
    if let Some(workspace) = caller.membership()?.workspace_id {
        seen = seen.add(Column::WorkspaceId.eq(workspace));
    }
    // Indexes: storage_shares(organization_id, owner_user_id, …), storage_shares(workspace_id).
    let query = tenant.find::<Entity>().filter(seen);
    let db = storage.platform.db.read();
    let total = query.clone().count(db).await?;
    let rows = query.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let items = rows.into_iter().map(FolderShare::from).collect();
    Ok(Reply::ok(Page::new(items, page, total), "The shared folders."))
}
