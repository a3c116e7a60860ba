//! `GET /api/v1/storage/objects/{object_name}`: the file itself, for whoever is signed in and may have it.

use axum::{
    extract::State,
    http::{HeaderMap, Method},
    response::Response,
};
use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    errors,
    http::{RequestOrigin, SignedIn},
};

use crate::{Storage, access::ObjectName, serve::Delivery, sight::Reader};

errors! { pub DownloadErrors: Unauthorized, Forbidden, PolicyDenied, EmailNotVerified, NotFound, RangeNotSatisfiable, InternalError, FileDamaged; }

/// Download a file
///
/// Supports `Range` (one range), `If-None-Match` and `If-Range`. The file always comes as an attachment, so that no
/// browser runs what someone uploaded.
#[utoipa::path(get, path = "/api/v1/storage/objects/{object_name}", tag = "storage",
    params(("object_name" = String, Path, description = "The whole path of the file, with its slashes",
        example = "organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet")),
    responses((status = 200, description = "The bytes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The part that was asked for", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "Unchanged: the caller already has it"), DownloadErrors))]
pub async fn download(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    name: ObjectName,
    origin: RequestOrigin,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let tenant = caller.require(Permission::StorageRead)?;
    let (file, reach) = storage.reach(&caller, &name).await?;
    storage.check_bytes(Reader::of(&caller)?, &file, reach).await?;
    let actor = origin.actor(caller.user_id);
    Delivery { storage: &storage, tenant, file: &file, actor, link: None }.respond(&method, &headers).await
}
