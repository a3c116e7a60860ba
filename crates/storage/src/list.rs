//! `GET /api/v1/storage/files`: the caller's own files, those that are shared with them, or everybody's; newest first.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{DataSourceId, FileId, Permission, Result, UserId, WorkspaceId};
use rivergen_platform::{
    db::{TenantScope, searched},
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Storage,
    file::{self, Category},
    share,
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    pub file_category: Option<Category>,
    /// Whose.
    #[param(inline, default = "own")]
    pub scope: Option<Scope>,
    /// Only those that this person owns.
    pub uploaded_by_user_id: Option<UserId>,
    /// A part of the name, ignoring case.
    #[garde(inner(length(max = 255)))]
    #[param(example = "orders")]
    pub search: Option<String>,
}

/// Whose files are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One's own.
    #[default]
    Own,
    /// Those in folders that others share with the workspace one stands in.
    Shared,
    /// All of the organization, with `storage.manage`.
    All,
}

/// A stored file.
#[derive(Debug, Serialize, ToSchema)]
pub struct StorageFile {
    pub storage_file_id: FileId,
    #[schema(examples("orders.parquet"))]
    pub file_name: String,
    #[schema(examples("organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"))]
    pub object_name: String,
    #[schema(examples(1024000))]
    pub size_bytes: i64,
    /// Binary megabytes, to two places.
    #[schema(examples(0.98))]
    pub size_mb: f64,
    pub content_type: String,
    pub file_category: Category,
    pub uploaded_at: DateTime<Utc>,
    /// Made on demand by the operation for links, never by a listing.
    pub presigned_url: Option<String>,
    /// The data source that reads it; the oldest of those that the caller may see, if there are several.
    pub data_source_id: Option<DataSourceId>,
    pub workspace_id: Option<WorkspaceId>,
    pub uploaded_by_user_id: UserId,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageFiles {
    pub items: Vec<StorageFile>,
    pub pagination: StoragePagination,
}

/// Where the page stands; `total_count` is this list's documented name for `total_items`.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoragePagination {
    #[serde(flatten)]
    pub pagination: rivergen_kernel::Pagination,
    #[schema(examples(42))]
    pub total_count: u64,
}

errors! { pub ListErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError; }

/// List files: your own, shared ones, or all
#[utoipa::path(get, path = "/api/v1/storage/files", tag = "storage", params(PageQuery, Filter),
    responses((status = 200, description = "Newest first", body = Envelope<StorageFiles>), ListErrors))]
pub async fn list(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<Filter>,
) -> Result<Reply<StorageFiles>> {
    let tenant = caller.require(Permission::StorageRead)?;
    let page = page.request()?;
    let db = storage.platform.db.read();
    let mut query = tenant.find::<file::Entity>().filter(file::Column::State.eq(file::State::Stored));
    query = match filter.scope.unwrap_or_default() {
        // Index: storage_files(organization_id, uploaded_by_user_id, state).
        Scope::Own => query.filter(file::Column::UploadedByUserId.eq(caller.user_id)),
        Scope::Shared => match caller.membership()?.workspace_id {
            Some(workspace) => {
                query.filter(file::Column::UploadedByUserId.ne(caller.user_id)).filter(share::is_shared_with(workspace))
            }
            None => query.filter(file::Column::Id.is_null()),
        },
        // Index: storage_files(organization_id, state, …).
        Scope::All => {
            caller.require(Permission::StorageManage)?;
            query
        }
    };
    if let Some(category) = filter.file_category {
        query = query.filter(file::Column::Category.eq(category));
    }
    if let Some(owner) = filter.uploaded_by_user_id {
        query = query.filter(file::Column::UploadedByUserId.eq(owner));
    }
    query = searched(query, filter.search.as_deref(), [file::Column::FileName]);
    let total_count = query.clone().count(db).await?;
    let rows = query.order_by_desc(file::Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let paths = rows.iter().map(|row| row.object_name.clone()).collect();
    let sources = storage.sight.sources_shown(&caller, &paths).await?;
    let read_by = |path: &str| sources.get(path).and_then(|ids| ids.iter().min().copied());
    let items = rows.into_iter().map(|row| StorageFile { data_source_id: read_by(&row.object_name), ..row.into() });
    let items = items.collect();
    let pagination = StoragePagination { pagination: rivergen_kernel::Pagination::new(page, total_count), total_count };
    Ok(Reply::ok(StorageFiles { items, pagination }, "The files."))
}

impl From<file::Model> for StorageFile {
    fn from(row: file::Model) -> Self {
        Self {
            storage_file_id: row.id,
            file_name: row.file_name,
            object_name: row.object_name,
            size_bytes: row.size_bytes,
            size_mb: (row.size_bytes as f64 / 1_048_576.0 * 100.0).round() / 100.0,
            content_type: row.content_type,
            file_category: row.category,
            uploaded_at: row.created_at,
            presigned_url: None,
            data_source_id: None,
            workspace_id: row.workspace_id,
            uploaded_by_user_id: row.uploaded_by_user_id,
        }
    }
}
