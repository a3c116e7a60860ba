//! Resumable uploads by tus 1.0 (<https://tus.io/protocols/resumable-upload>), with the extensions creation,
//! creation-with-upload, termination, checksum and expiration.
//!
//! ```text
//! POST  a row, and the whole length taken from the quota           receiving
//! PATCH 8 MiB ─ sealed ─ an object of its own ─ offset in the row  receiving   (and so on: memory holds one piece)
//!       all of it there: the pieces become one file                stored
//! DELETE, or a day of silence: the pieces go, the quota comes back ended
//! ```
//!
//! A piece counts once its object is written and the offset is moved in a transaction, so what HEAD answers survives a
//! `kill -9`. Of two requests that continue one upload at once the newer goes on, and the other is told that the upload is
//! elsewhere by now; on two nodes it is the one that first moves the offset from where it was seen. What is received goes on when the client is cut off: what had come by then counts.
//!
//! Bodies and answers are those of the protocol, not of the rest of this API; errors have the usual body.

pub mod append;
mod assemble;
pub mod create;
pub mod head;
pub mod terminate;
mod turn;

pub(crate) use turn::Turns;

use axum::{
    extract::{Request, State as AppState},
    handler::Handler,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{
    Caller, Error, ErrorCode, FileId, OrganizationId, Result, Tenant, UploadId, UserId, WorkspaceId,
};
use rivergen_platform::db::{TenantOwned, TenantScope};
use sea_orm::entity::prelude::*;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Storage, file::Category};

/// The version of the protocol.
const VERSION: &str = "1.0.0";
/// How long an upload waits for its next piece.
const PATIENCE: Duration = Duration::hours(24);

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

pub(crate) fn operations() -> OpenApiRouter<Storage> {
    OpenApiRouter::new()
        .routes(routes!(create::create, create::options))
        .routes(routes!(head::head, append::append, terminate::terminate))
        .route("/api/v1/storage/tus/{upload_id}", post(overridden))
        .layer(middleware::from_fn(speak))
}

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum State {
    #[sea_orm(string_value = "receiving")]
    Receiving,
    /// It is a file.
    #[sea_orm(string_value = "stored")]
    Stored,
    /// Nobody wants it any more; its pieces go next.
    #[sea_orm(string_value = "ended")]
    Ended,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_uploads")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: UploadId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub uploaded_by_user_id: UserId,
    pub file_name: String,
    pub folder: Option<String>,
    pub category: Category,
    /// As the client sent it.
    pub metadata: String,
    pub size_bytes: i64,
    pub offset_bytes: i64,
    pub state: State,
    pub file_id: Option<FileId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    fn tenant(&self) -> Tenant {
        Tenant::on_behalf_of(self.organization_id)
    }

    /// Where the pieces lie.
    fn place(&self) -> String {
        format!("organizations/{}/uploads/{}", self.organization_id, self.id)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.offset_bytes == self.size_bytes
    }

    /// What every answer about it says.
    fn headers(&self) -> Result<HeaderMap> {
        let expires = self.expires_at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut headers = HeaderMap::new();
        headers.insert(UPLOAD_OFFSET, self.offset_bytes.into());
        headers.insert(UPLOAD_EXPIRES, HeaderValue::try_from(expires).map_err(Error::internal)?);
        Ok(headers)
    }
}

/// A piece of an upload: an object of its own.
pub mod piece {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "storage_upload_pieces")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub upload_id: UploadId,
        pub start_bytes: i64,
        pub size_bytes: i64,
        pub object_name: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

impl Storage {
    /// An upload of the caller's that can be asked about.
    async fn upload_of(&self, caller: &Caller, tenant: Tenant, id: UploadId) -> Result<Model> {
        let found = tenant
            .find::<Entity>()
            .filter(Column::Id.eq(id))
            .filter(Column::UploadedByUserId.eq(caller.user_id))
            .filter(Column::State.ne(State::Ended))
            .one(self.platform.db.read());
        let missing = || Error::new(ErrorCode::NotFound).with_message("There is no such upload.");
        let upload = found.await?.ok_or_else(missing)?;
        match upload.expires_at <= self.platform.clock.now() {
            true => Err(ErrorCode::UploadExpired.into()),
            false => Ok(upload),
        }
    }
}

/// 412 for a client that speaks another version, or none.
fn check_version(headers: &HeaderMap) -> Result<()> {
    match headers.get(TUS_RESUMABLE).is_some_and(|version| version == VERSION) {
        true => Ok(()),
        false => Err(ErrorCode::PreconditionFailed.into()),
    }
}

/// A header that is a whole number.
fn number(headers: &HeaderMap, name: &HeaderName, field: &'static str) -> Result<i64> {
    let text = headers.get(name).ok_or_else(|| Error::invalid_field(field, "is required"))?;
    let number = text.to_str().ok().and_then(|text| text.parse().ok()).filter(|number| *number >= 0);
    number.ok_or_else(|| Error::invalid_field(field, "must be a whole number of bytes"))
}

/// Whether the body is a piece.
fn is_piece(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/offset+octet-stream")
}

/// Every answer names the version that was spoken; a refused version learns which there are.
async fn speak(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let is_refused = response.status() == StatusCode::PRECONDITION_FAILED;
    let headers = response.headers_mut();
    headers.insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    if is_refused {
        headers.insert(TUS_VERSION, HeaderValue::from_static(VERSION));
    }
    response
}

/// For clients behind a proxy that lets neither PATCH nor DELETE through.
async fn overridden(AppState(storage): AppState<Storage>, mut request: Request) -> Response {
    let method = request.headers().get("x-http-method-override").map(|value| value.as_bytes().to_vec());
    match method.as_deref() {
        Some(b"PATCH") => {
            *request.method_mut() = Method::PATCH;
            append::append.call(request, storage).await
        }
        Some(b"DELETE") => {
            *request.method_mut() = Method::DELETE;
            terminate::terminate.call(request, storage).await
        }
        _ => Error::from(ErrorCode::MethodNotAllowed).into_response(),
    }
}
