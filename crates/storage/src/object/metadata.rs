//! `GET /api/v1/storage/objects/{object_name}/metadata`: what is known of a file without reading it.

use axum::extract::State;
use chrono::{DateTime, Utc};
use object_store::ObjectStoreExt;
use rivergen_kernel::{Permission, Result, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Reply, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Storage,
    access::ObjectName,
    file::{self, Category},
    serve,
};

#[derive(Debug, Serialize, ToSchema)]
pub struct FileMetadata {
    #[schema(examples("organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"))]
    pub name: String,
    /// The name it was uploaded with.
    #[schema(examples("orders.parquet"))]
    pub file_name: String,
    #[schema(examples(1024000))]
    pub size: i64,
    #[schema(examples("application/vnd.apache.parquet"))]
    pub content_type: String,
    pub last_modified: DateTime<Utc>,
    /// With its quotes. Files never change, so neither does this.
    #[schema(examples("\"2a-19fd1a7b3c2\""))]
    pub etag: String,
    pub file_category: Category,
    pub workspace_id: Option<WorkspaceId>,
}

impl From<file::Model> for FileMetadata {
    fn from(row: file::Model) -> Self {
        Self {
            etag: serve::etag(&row),
            name: row.object_name,
            file_name: row.file_name,
            size: row.size_bytes,
            content_type: row.content_type,
            last_modified: row.created_at,
            file_category: row.category,
            workspace_id: row.workspace_id,
        }
    }
}

errors! { pub MetadataErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, InternalError, FileDamaged; }

/// Read size, type, date and entity tag of a file
///
/// The key of the file is opened and its end is checked: an answer says that the file is there and was not cut.
#[utoipa::path(get, path = "/api/v1/storage/objects/{object_name}/metadata", tag = "storage",
    params(("object_name" = String, Path, description = "The whole path of the file, with its slashes",
        example = "organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet")),
    responses((status = 200, description = "What is known of it", body = Envelope<FileMetadata>), MetadataErrors))]
pub async fn metadata(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    name: ObjectName,
) -> Result<Reply<FileMetadata>> {
    let tenant = caller.require(Permission::StorageRead)?;
    let (file, _) = storage.reach(&caller, &name).await?;
    let stored = storage.store(tenant).await?.head(&file.object_name.as_str().into()).await;
    stored.map_err(|error| serve::unreadable(&file, error))?;
    Ok(Reply::ok(file.into(), "What is known of the file."))
}
