//! `GET /api/v1/storage/buckets` and `…/buckets/{bucket_name}/objects`: the files as somebody sees them who knows S3.
//!
//! There is one bucket, whatever lies behind it, and in it one folder for each person. What is listed comes from the table
//! of files: a listing of the store itself would show what is arriving and what is on its way out.

use std::collections::BTreeSet;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Permission, Result};
use rivergen_platform::{
    db::{TenantScope, begins_with},
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{BUCKET, Storage, access, file, serve};

/// As many objects as one answer holds at most, as in S3.
const MOST: u64 = 1000;

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageBuckets {
    pub buckets: Vec<StorageBucket>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageBucket {
    #[schema(examples("rivergen"))]
    pub name: &'static str,
    /// Your own folder in it.
    #[schema(examples("organizations/1/files/7/"))]
    pub user_folder: String,
}

errors! {
    pub BucketsErrors: Unauthorized, Forbidden, EmailNotVerified, InternalError;
    pub ObjectsErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError;
}

/// List the buckets that can be listed
#[utoipa::path(get, path = "/api/v1/storage/buckets", tag = "storage",
    responses((status = 200, description = "The one bucket, with the caller's folder", body = Envelope<StorageBuckets>), BucketsErrors))]
pub async fn buckets(SignedIn(caller): SignedIn) -> Result<Reply<StorageBuckets>> {
    let tenant = caller.require(Permission::StorageRead)?;
    let bucket = StorageBucket { name: BUCKET, user_folder: access::folder_of(tenant, caller.user_id) };
    Ok(Reply::ok(StorageBuckets { buckets: vec![bucket] }, "The buckets."))
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// What the names begin with; inside your own folder, and everything in it without this.
    #[garde(inner(length(max = 600)))]
    #[param(example = "organizations/1/files/7/reports/")]
    pub prefix: Option<String>,
    /// Without it, only what is directly below the prefix, and the folders there.
    #[garde(skip)]
    #[param(default = true, example = true)]
    pub recursive: Option<bool>,
    /// Maximum number of objects.
    #[garde(inner(range(min = 1, max = 1000)))]
    #[param(minimum = 1, maximum = 1000, default = 1000, example = 1000)]
    pub limit: Option<u64>,
    /// Only names after this one: `next_start_after` of the previous answer.
    #[garde(inner(length(max = 600)))]
    pub start_after: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageObjects {
    pub objects: Vec<StorageObject>,
    /// Without `recursive`: the folders right below the prefix that hold the names looked at.
    pub folders: BTreeSet<String>,
    #[schema(examples("rivergen"))]
    pub bucket: &'static str,
    #[schema(examples("organizations/1/files/7/"))]
    pub prefix: String,
    #[schema(examples("organizations/1/files/7/"))]
    pub user_folder: String,
    /// Whether there is more.
    pub is_truncated: bool,
    /// To go on from.
    pub next_start_after: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageObject {
    #[schema(examples("organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"))]
    pub name: String,
    #[schema(examples(1024000))]
    pub size: i64,
    pub last_modified: DateTime<Utc>,
    /// With its quotes.
    #[schema(examples("\"2a-19fd1a7b3c2\""))]
    pub etag: String,
}

/// List the objects below the caller's folder
///
/// Ordered by name, a thousand at a time.
#[utoipa::path(get, path = "/api/v1/storage/buckets/{bucket_name}/objects", tag = "storage",
    params(("bucket_name" = String, Path, description = "The bucket", example = "rivergen"), Listing),
    responses((status = 200, description = "The objects", body = Envelope<StorageObjects>), ObjectsErrors))]
pub async fn objects(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    Path(bucket): Path<String>,
    Query(wanted): Query<Listing>,
) -> Result<Reply<StorageObjects>> {
    let tenant = caller.require(Permission::StorageRead)?;
    let user_folder = access::folder_of(tenant, caller.user_id);
    let prefix = wanted.prefix.unwrap_or_else(|| user_folder.clone());
    if bucket != BUCKET || !prefix.starts_with(&user_folder) || prefix.split('/').any(|part| part == "..") {
        return Err(Error::new(ErrorCode::Forbidden).with_message("This is outside your own folder."));
    }
    let limit = wanted.limit.unwrap_or(MOST);
    // Index: storage_files(object_name), unique; or by the owner, whichever is fewer.
    let mut query = tenant
        .find::<file::Entity>()
        .filter(file::Column::UploadedByUserId.eq(caller.user_id))
        .filter(file::Column::State.eq(file::State::Stored))
        .filter(begins_with(file::Column::ObjectName, &prefix));
    if let Some(start) = &wanted.start_after {
        query = query.filter(file::Column::ObjectName.gt(start.as_str()));
    }
    let query = query.order_by_asc(file::Column::ObjectName).limit(limit + 1);
    let mut rows = query.all(storage.platform.db.read()).await?;
    // A second look: patterns of one database do not tell capitals from small letters.
    rows.retain(|row| row.object_name.starts_with(&prefix));
    let is_truncated = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_start_after = rows.last().filter(|_| is_truncated).map(|row| row.object_name.clone());
    let mut folders = BTreeSet::new();
    if wanted.recursive == Some(false) {
        rows.retain(|row| match row.object_name[prefix.len()..].find('/') {
            Some(at) => {
                folders.insert(row.object_name[..=prefix.len() + at].to_owned());
                false
            }
            None => true,
        });
    }
    let objects = rows.into_iter().map(StorageObject::from).collect();
    let listed =
        StorageObjects { objects, folders, bucket: BUCKET, prefix, user_folder, is_truncated, next_start_after };
    Ok(Reply::ok(listed, "Your objects."))
}

impl From<file::Model> for StorageObject {
    fn from(row: file::Model) -> Self {
        Self { etag: serve::etag(&row), name: row.object_name, size: row.size_bytes, last_modified: row.created_at }
    }
}
