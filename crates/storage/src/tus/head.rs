//! `HEAD /api/v1/storage/tus/{upload_id}`: how much of an upload is there.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rivergen_kernel::{Error, Permission, Result, UploadId};
use rivergen_platform::{
    errors,
    http::{Path, RequestOrigin, SignedIn},
};
use sea_orm::EntityTrait;

use super::{UPLOAD_LENGTH, UPLOAD_METADATA};
use crate::{Storage, file};

const FILE_ID: HeaderName = HeaderName::from_static("storage-file-id");
const OBJECT_NAME: HeaderName = HeaderName::from_static("storage-object-name");

errors! { pub HeadErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, UploadExpired, InternalError; }

/// Read how much of an upload has arrived
///
/// Of one that has ended it names the file: `Storage-File-Id` and `Storage-Object-Name`.
#[utoipa::path(head, path = "/api/v1/storage/tus/{upload_id}", tag = "storage",
    params(("upload_id" = UploadId, Path, description = "The upload")),
    responses((status = 200, description = "`Upload-Offset`, `Upload-Length`, `Upload-Expires` and what was sent as metadata, as headers"), HeadErrors))]
pub async fn head(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<UploadId>,
) -> Result<Response> {
    let tenant = caller.require(Permission::StorageWrite)?;
    let mut upload = storage.upload_of(&caller, tenant, id).await?;
    if upload.is_complete() {
        // A client that hears so sends nothing more: were its file not made yet, nobody would ask for it.
        let _turn = storage.turns.after(id).await;
        upload = storage.complete(storage.upload_now(&upload).await?, origin.actor(caller.user_id)).await?;
    }
    let mut headers = upload.headers()?;
    let value = |text: &str| HeaderValue::try_from(text).map_err(Error::internal);
    headers.insert(UPLOAD_LENGTH, upload.size_bytes.into());
    headers.insert(UPLOAD_METADATA, value(&upload.metadata)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(id) = upload.file_id {
        let file = file::Entity::find_by_id(id).one(storage.platform.db.read()).await?;
        headers.insert(FILE_ID, id.0.into());
        headers.insert(OBJECT_NAME, value(&file.map(|file| file.object_name).unwrap_or_default())?);
    }
    Ok((StatusCode::OK, headers).into_response())
}
