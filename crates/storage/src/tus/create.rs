//! `POST /api/v1/storage/tus`: begins a resumable upload; `OPTIONS` tells what this server speaks.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rivergen_kernel::{Caller, Error, ErrorCode, Permission, Result, Tenant};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde_json::json;

use super::{ActiveModel, Model, PATIENCE, TUS_VERSION, UPLOAD_LENGTH, UPLOAD_METADATA, VERSION, append};
use crate::{
    Storage,
    arrival::{category_of, display_name, folder_named},
    file::{self, Category, Taking},
};

const METADATA: &str = "Upload-Metadata";

errors! { pub CreateErrors: BadRequest, Unauthorized, Forbidden, EmailNotVerified, PreconditionFailed, RequestEntityTooLarge, ValidationError, InternalError, ChecksumMismatch; }

/// Read which tus features the server supports
#[utoipa::path(options, path = "/api/v1/storage/tus", tag = "storage", security(()),
    responses((status = 204, description = "Version, extensions, the largest upload and the checksums, as headers")))]
pub async fn options(State(storage): State<Storage>) -> Response {
    let headers = [
        (TUS_VERSION, VERSION.to_owned()),
        (
            HeaderName::from_static("tus-extension"),
            "creation,creation-with-upload,termination,checksum,expiration".to_owned(),
        ),
        (HeaderName::from_static("tus-max-size"), storage.settings.max_upload_bytes.to_string()),
        (HeaderName::from_static("tus-checksum-algorithm"), "sha1,sha256".to_owned()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Start a resumable upload
///
/// By tus 1.0: the header `Upload-Length` says how long it is; `Upload-Metadata` must have a `filename`, and may have the
/// `path` of a folder and a `file_category`. The length is kept free in the quota until the upload ends or a day passes in
/// which nothing of it comes. A first piece may come along.
#[utoipa::path(post, path = "/api/v1/storage/tus", tag = "storage",
    params(("Tus-Resumable" = String, Header, description = "The version", example = "1.0.0"),
        ("Upload-Length" = i64, Header, description = "Bytes", example = 1024000),
        ("Upload-Metadata" = String, Header, description = "Keys, each with its value in Base64",
            example = "filename b3JkZXJzLnBhcnF1ZXQ=,file_category ZGF0YV9zb3VyY2U=")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream", description = "A first piece, or nothing"),
    responses((status = 201, description = "Started; `Location` is where to continue, `Upload-Offset` how much has arrived"), CreateErrors))]
pub async fn create(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let tenant = caller.require(Permission::StorageWrite)?;
    super::check_version(&headers)?;
    let size = super::number(&headers, &UPLOAD_LENGTH, "Upload-Length")?;
    let wanted = Wanted::parse(&headers)?;
    if size == 0 {
        return Err(Error::invalid_field("Upload-Length", "must be at least 1: there are no empty files"));
    }
    if u64::try_from(size).is_ok_and(|size| size > storage.settings.max_upload_bytes) {
        return Err(ErrorCode::RequestEntityTooLarge.into());
    }
    let mut upload = storage.begin_upload(&caller, tenant, &origin, size, wanted).await?;
    if super::is_piece(&headers) {
        upload = append::receive(&storage, upload, 0, &headers, &origin, body).await?;
    }
    let location = format!("{}/api/v1/storage/tus/{}", storage.platform.public_url, upload.id);
    let location = HeaderValue::try_from(location).map_err(Error::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], upload.headers()?).into_response())
}

/// What the metadata says of the file.
struct Wanted {
    file_name: String,
    folder: Option<String>,
    category: Category,
    metadata: String,
}

impl Wanted {
    fn parse(headers: &HeaderMap) -> Result<Self> {
        let fault = |reason: &str| Error::invalid_field(METADATA, reason);
        let text = headers.get(UPLOAD_METADATA).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if text.len() > 4096 {
            return Err(fault("must not be longer than 4096 characters"));
        }
        let mut values = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let value = STANDARD.decode(value.trim()).map_err(|_| fault("has a value that is not Base64"))?;
            let value = String::from_utf8(value).map_err(|_| fault("has a value that is not UTF-8"))?;
            values.insert(key, value);
        }
        let named = |key: &str| values.get(key).filter(|value| !value.is_empty());
        let file_name = named("filename").or(named("name")).map(|name| display_name(name));
        let file_name = file_name.filter(|name| !name.is_empty()).ok_or_else(|| fault("needs a filename"))?;
        Ok(Self {
            file_name,
            folder: named("path").map(|folder| folder_named(METADATA, folder)).transpose()?,
            category: named("file_category").map_or(Ok(Category::DataSource), |name| category_of(METADATA, name))?,
            metadata: text.to_owned(),
        })
    }
}

impl Storage {
    async fn begin_upload(
        &self,
        caller: &Caller,
        tenant: Tenant,
        origin: &RequestOrigin,
        size: i64,
        wanted: Wanted,
    ) -> Result<Model> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let tx = platform.db.begin().await?;
        if !file::take_quota(&tx, tenant, Taking::Reserved, size, self.settings.quota_bytes).await? {
            return Err(ErrorCode::RequestEntityTooLarge.into());
        }
        let upload = ActiveModel {
            organization_id: Set(tenant.organization_id()),
            workspace_id: Set(caller.membership()?.workspace_id),
            uploaded_by_user_id: Set(caller.user_id),
            file_name: Set(wanted.file_name),
            folder: Set(wanted.folder),
            category: Set(wanted.category),
            metadata: Set(wanted.metadata),
            size_bytes: Set(size),
            offset_bytes: Set(0),
            state: Set(super::State::Receiving),
            file_id: Set(None),
            created_at: Set(now),
            expires_at: Set(now + PATIENCE),
            ..Default::default()
        };
        let upload = upload.insert(tx.conn()).await?;
        let record = AuditRecord::new(Some(upload.organization_id), origin.actor(caller.user_id), "file.begin_upload")
            .target("upload", upload.id)
            .details(json!({"size": size}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        Ok(upload)
    }
}
