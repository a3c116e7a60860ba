//! `PATCH /api/v1/storage/tus/{upload_id}`: the next bytes of an upload.

use axum::{
    body::{Body, BodyDataStream},
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use rivergen_kernel::{Error, ErrorCode, Permission, Result, UploadId};
use rivergen_platform::{
    Transaction, errors,
    http::{Path, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Column, Entity, Model, PATIENCE, State as UploadState, UPLOAD_OFFSET, piece, turn::Turn};
use crate::Storage;

/// What is held in memory, sealed, and written at once.
const PIECE: usize = 8 * 1024 * 1024;
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");

errors! { pub AppendErrors: BadRequest, InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, UploadExpired, PreconditionFailed, RequestEntityTooLarge, UnsupportedMediaType, ValidationError, InternalError, ChecksumMismatch; }

/// Send the next bytes of an upload
///
/// By tus 1.0: `Upload-Offset` says where they begin, which must be the upload's current offset (409 otherwise). With
/// `Upload-Checksum` (`sha1` or `sha256`), a body that does not arrive as it was sent is discarded. The answer to the
/// last bytes comes once the file is stored.
#[utoipa::path(patch, path = "/api/v1/storage/tus/{upload_id}", tag = "storage",
    params(("upload_id" = UploadId, Path, description = "The upload"),
        ("Tus-Resumable" = String, Header, description = "The version", example = "1.0.0"),
        ("Upload-Offset" = i64, Header, description = "Where the bytes begin", example = 0),
        ("Upload-Checksum" = Option<String>, Header, description = "Algorithm and digest in Base64",
            example = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, description = "Received; `Upload-Offset` is the new offset"), AppendErrors))]
pub async fn append(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let tenant = caller.require(Permission::StorageWrite)?;
    super::check_version(&headers)?;
    if !super::is_piece(&headers) {
        return Err(ErrorCode::UnsupportedMediaType.into());
    }
    let offset = super::number(&headers, &UPLOAD_OFFSET, "Upload-Offset")?;
    let upload = storage.upload_of(&caller, tenant, id).await?;
    let upload = receive(&storage, upload, offset, &headers, &origin, body).await?;
    Ok((StatusCode::NO_CONTENT, upload.headers()?).into_response())
}

/// Takes a body in, in a task of its own: the request is dropped when its client goes away, and what had come by then shall
/// count.
pub(super) async fn receive(
    storage: &Storage,
    upload: Model,
    offset: i64,
    headers: &HeaderMap,
    origin: &RequestOrigin,
    body: Body,
) -> Result<Model> {
    // Whoever is elsewhere ends nobody's request.
    if offset != upload.offset_bytes {
        return Err(elsewhere());
    }
    let turn = storage.turns.take(upload.id).await;
    // What came of a request before this one counts.
    let upload = storage.upload_now(&upload).await?;
    if offset != upload.offset_bytes || upload.state != UploadState::Receiving {
        return Err(elsewhere());
    }
    let checksum = headers.get(UPLOAD_CHECKSUM).map(|value| Checksum::parse(value.as_bytes())).transpose()?;
    let actor = origin.actor(upload.uploaded_by_user_id);
    let unproved = Vec::new();
    let mut receiver = Receiver { storage: storage.clone(), upload, turn, end: offset, checksum, unproved };
    let receiving = async move {
        receiver.take(body.into_data_stream()).await?;
        let Receiver { storage, upload, turn: _turn, .. } = receiver;
        match upload.is_complete() {
            true => storage.complete(upload, actor).await,
            false => Ok(upload),
        }
    };
    tokio::spawn(receiving).await.map_err(Error::internal)?
}

struct Receiver {
    storage: Storage,
    upload: Model,
    turn: Turn,
    /// Where the pieces that are written end.
    end: i64,
    checksum: Option<Checksum>,
    /// Pieces that count only when the checksum is seen to be right.
    unproved: Vec<piece::ActiveModel>,
}

impl Receiver {
    async fn take(&mut self, mut body: BodyDataStream) -> Result<()> {
        let mut buffer = BytesMut::new();
        let received = self.take_pieces(&mut body, &mut buffer).await;
        if received.is_err() && self.checksum.is_some() {
            return self.give_up(received).await;
        }
        // What came before a client was cut off counts.
        self.put(buffer.freeze()).await?;
        received?;
        if let Some(checksum) = self.checksum.take() {
            if !checksum.matches() {
                return self.give_up(Err(ErrorCode::ChecksumMismatch.into())).await;
            }
            let pieces = std::mem::take(&mut self.unproved);
            self.count(pieces).await?;
        }
        Ok(())
    }

    async fn take_pieces(&mut self, body: &mut BodyDataStream, buffer: &mut BytesMut) -> Result<()> {
        loop {
            let chunk = tokio::select! {
                biased;
                () = self.turn.over() => return Err(elsewhere()),
                chunk = body.try_next() => chunk,
            };
            let chunk = chunk.map_err(|error| {
                Error::new(ErrorCode::InvalidRequest).with_message("The body was cut off.").with_source(error)
            })?;
            let Some(mut chunk) = chunk else { return Ok(()) };
            let room = u64::try_from(self.upload.size_bytes - self.end).map_err(Error::internal)?;
            if (buffer.len() + chunk.len()) as u64 > room {
                return Err(Error::new(ErrorCode::RequestEntityTooLarge)
                    .with_message("This is more than the Upload-Length that the upload started with."));
            }
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&chunk);
            }
            while !chunk.is_empty() {
                let taken = chunk.split_to(chunk.len().min(PIECE - buffer.len()));
                buffer.extend_from_slice(&taken);
                if buffer.len() == PIECE {
                    self.put(buffer.split().freeze()).await?;
                }
            }
        }
    }

    /// Seals a piece and lets it count, or waits with that for the checksum.
    async fn put(&mut self, bytes: Bytes) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let size = i64::try_from(bytes.len()).map_err(Error::internal)?;
        let nonce = hex::encode(rand::random::<[u8; 4]>());
        let object_name = format!("{}/{}_{nonce}", self.upload.place(), self.end);
        let store = self.storage.store(self.upload.tenant()).await?;
        store.put(&object_name.as_str().into(), bytes.into()).await.map_err(Error::internal)?;
        let piece = piece::ActiveModel {
            upload_id: Set(self.upload.id),
            start_bytes: Set(self.end),
            size_bytes: Set(size),
            object_name: Set(object_name),
            ..Default::default()
        };
        self.end += size;
        match self.checksum.is_some() {
            true => {
                self.unproved.push(piece);
                Ok(())
            }
            false => self.count(vec![piece]).await,
        }
    }

    /// Moves the offset over written pieces, from where it was seen.
    async fn count(&mut self, pieces: Vec<piece::ActiveModel>) -> Result<()> {
        let platform = &self.storage.platform;
        let expires_at = platform.clock.now() + PATIENCE;
        let tx = platform.db.begin().await?;
        if !self.move_offset(&tx, expires_at).await? {
            drop(tx);
            self.unproved = pieces;
            return self.give_up(Err(elsewhere())).await;
        }
        for piece in pieces {
            piece.insert(tx.conn()).await?;
        }
        tx.commit().await?;
        (self.upload.offset_bytes, self.upload.expires_at) = (self.end, expires_at);
        Ok(())
    }

    async fn move_offset(&self, tx: &Transaction, expires_at: chrono::DateTime<chrono::Utc>) -> Result<bool> {
        let moved = Entity::update_many()
            .col_expr(Column::OffsetBytes, Expr::value(self.end))
            .col_expr(Column::ExpiresAt, Expr::value(expires_at))
            .filter(Column::Id.eq(self.upload.id))
            .filter(Column::State.eq(UploadState::Receiving))
            .filter(Column::OffsetBytes.eq(self.upload.offset_bytes))
            .exec(tx.conn())
            .await?;
        Ok(moved.rows_affected == 1)
    }

    /// Takes away what was written and does not count.
    async fn give_up(&mut self, why: Result<()>) -> Result<()> {
        for piece in std::mem::take(&mut self.unproved) {
            if let Set(name) = piece.object_name {
                self.storage.remove_object(self.upload.tenant(), &name).await?;
            }
        }
        why
    }
}

fn elsewhere() -> Error {
    Error::new(ErrorCode::Conflict).with_message(
        "The upload is at a different offset; ask for its Upload-Offset with HEAD and continue from there.",
    )
}

/// What a client says that the bytes add up to.
enum Checksum {
    Sha1(Sha1, Vec<u8>),
    Sha256(Sha256, Vec<u8>),
}

impl Checksum {
    /// 400 for an algorithm that is not known, as the extension asks.
    fn parse(header: &[u8]) -> Result<Self> {
        let fault = || {
            Error::new(ErrorCode::BadRequest)
                .with_message("Upload-Checksum takes sha1 or sha256, a space, and the digest in Base64.")
        };
        let text = std::str::from_utf8(header).map_err(|_| fault())?;
        let (algorithm, digest) = text.split_once(' ').ok_or_else(fault)?;
        let digest = STANDARD.decode(digest.trim()).map_err(|_| fault())?;
        match algorithm {
            "sha1" => Ok(Self::Sha1(Sha1::new(), digest)),
            "sha256" => Ok(Self::Sha256(Sha256::new(), digest)),
            _ => Err(fault()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher, _) => hasher.update(bytes),
            Self::Sha256(hasher, _) => hasher.update(bytes),
        }
    }

    fn matches(self) -> bool {
        match self {
            Self::Sha1(hasher, digest) => hasher.finalize().as_slice() == digest,
            Self::Sha256(hasher, digest) => hasher.finalize().as_slice() == digest,
        }
    }
}
