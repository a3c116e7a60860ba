//! `POST /api/v1/storage/upload`: one file as a form, streamed into the sealed store.
//!
//! The quota is looked at before the first byte, and taken in the transaction that makes the file a stored one.

use axum::extract::{Multipart, State, multipart::Field};
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, WriteMultipart, path::Path};
use rivergen_kernel::{Caller, Error, ErrorCode, Permission, Result, Tenant};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Reply, RequestOrigin, SignedIn},
};
use utoipa::ToSchema;

use crate::{
    Storage,
    arrival::{NewFile, Uploaded, category_of, check_content, display_name, folder_named},
    content,
    file::{self, Category, Taking},
};

/// The form.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct UploadForm {
    /// A folder inside one's own: `reports/2026`. Send it before the file.
    #[schema(example = "reports/2026")]
    path: Option<String>,
    /// `data_source` (the default), `profile_image` or `general`. Send it before the file.
    #[schema(example = "data_source")]
    file_category: Option<String>,
    /// The file itself, with its name.
    #[schema(value_type = String, format = Binary)]
    file: String,
}

errors! { pub UploadErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, RequestEntityTooLarge, UnsupportedMediaType, ValidationError, InternalError; }

/// Upload one file as a form
#[utoipa::path(post, path = "/api/v1/storage/upload", tag = "storage",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Stored", body = Envelope<Uploaded>), UploadErrors))]
pub async fn upload(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<Reply<Uploaded>> {
    let tenant = caller.require(Permission::StorageWrite)?;
    let mut form = form.map_err(|rejection| {
        Error::new(ErrorCode::UnsupportedMediaType)
            .with_message("Send the file as multipart/form-data.")
            .with_source(rejection)
    })?;
    let (mut folder, mut category) = (None, Category::DataSource);
    while let Some(field) = form.next_field().await.map_err(cut_off)? {
        match field.name() {
            Some("path") => folder = Some(folder_named("path", &field.text().await.map_err(cut_off)?)?),
            Some("file_category") => category = category_of("file_category", &field.text().await.map_err(cut_off)?)?,
            Some("file") => {
                let arrival = Arrival { storage: &storage, tenant, caller: &caller, folder, category };
                let written = arrival.receive(field).await?;
                // What comes after the file was not obeyed, so it is not passed over in silence either.
                match form.next_field().await {
                    Ok(None) => return arrival.finish(written, &origin).await,
                    Ok(Some(_)) => {
                        arrival.discard(&written.row).await?;
                        return Err(wrong_order());
                    }
                    Err(error) => {
                        arrival.discard(&written.row).await?;
                        return Err(cut_off(error));
                    }
                }
            }
            _ => return Err(wrong_order()),
        }
    }
    Err(Error::invalid_field("file", "is required: send the file as a part with a file name"))
}

struct Arrival<'a> {
    storage: &'a Storage,
    tenant: Tenant,
    caller: &'a Caller,
    folder: Option<String>,
    category: Category,
}

/// A file whose bytes are all in the store, and whose row still says that it arrives.
struct Written {
    row: file::Model,
    size: i64,
    /// Its first bytes.
    head: Vec<u8>,
}

impl Arrival<'_> {
    async fn receive(&self, field: Field<'_>) -> Result<Written> {
        let file_name = field.file_name().map(display_name).filter(|name| !name.is_empty());
        let file_name = file_name.ok_or_else(|| Error::invalid_field("file", "needs a file name"))?;
        let new = NewFile {
            tenant: self.tenant,
            owner: self.caller.user_id,
            workspace_id: self.caller.membership()?.workspace_id,
            file_name: &file_name,
            folder: self.folder.as_deref(),
            category: self.category,
        };
        let row = self.storage.announce(new).await?;
        let left = self.storage.remaining(self.storage.platform.db.read(), self.tenant).await?;
        let limit = left.min(self.storage.settings.max_upload_bytes);
        let written = match self.write(field, &row.object_name, limit).await {
            Ok((size, head)) => check_content(self.category, &head).map(|()| (size, head)),
            Err(error) => Err(error),
        };
        match written {
            Ok((size, head)) => Ok(Written { row, size, head }),
            Err(error) => {
                self.discard(&row).await?;
                Err(error)
            }
        }
    }

    async fn discard(&self, row: &file::Model) -> Result<()> {
        self.storage.discard(self.tenant, row).await
    }

    /// Streams the bytes; nothing is visible in the store before the last one.
    async fn write(&self, mut field: Field<'_>, object_name: &str, limit: u64) -> Result<(i64, Vec<u8>)> {
        let store = self.storage.store(self.tenant).await?;
        let put = store.put_multipart(&Path::from(object_name)).await.map_err(Error::internal)?;
        let mut writer = WriteMultipart::new_with_chunk_size(put, 5 * 1024 * 1024);
        let mut size = 0u64;
        let mut head = Vec::new();
        loop {
            let chunk = match field.try_next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    writer.abort().await.map_err(Error::internal)?;
                    return Err(cut_off(error));
                }
            };
            size += chunk.len() as u64;
            if size > limit {
                writer.abort().await.map_err(Error::internal)?;
                return Err(ErrorCode::RequestEntityTooLarge.into());
            }
            content::look(&mut head, &chunk);
            writer.wait_for_capacity(2).await.map_err(Error::internal)?;
            writer.put(chunk);
        }
        if size == 0 {
            writer.abort().await.map_err(Error::internal)?;
            return Err(Error::invalid_field("file", "is empty"));
        }
        writer.finish().await.map_err(Error::internal)?;
        Ok((i64::try_from(size).map_err(Error::internal)?, head))
    }

    async fn finish(&self, written: Written, origin: &RequestOrigin) -> Result<Reply<Uploaded>> {
        let Written { row, size, head } = written;
        let platform = &self.storage.platform;
        let tx = platform.db.begin().await?;
        let quota = self.storage.settings.quota_bytes;
        if !file::take_quota(&tx, self.tenant, Taking::Stored, size, quota).await? {
            drop(tx);
            self.discard(&row).await?;
            return Err(ErrorCode::RequestEntityTooLarge.into());
        }
        let stored = self.storage.settle(&tx, row, size, &head).await?;
        let actor = origin.actor(self.caller.user_id);
        let record = AuditRecord::new(Some(stored.organization_id), actor, "file.upload")
            .target("file", stored.id)
            .details(serde_json::json!({"size": size, "category": self.category}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        Ok(Reply::created(stored.into(), "The file is stored."))
    }
}

fn wrong_order() -> Error {
    Error::invalid_field("form", "takes the parts path, file_category and file, in this order, and no others")
}

fn cut_off(error: axum::extract::multipart::MultipartError) -> Error {
    if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        Error::new(ErrorCode::RequestEntityTooLarge).with_message("The upload is larger than this server takes.")
    } else {
        Error::new(ErrorCode::InvalidRequest).with_message("The form is broken or was cut off.").with_source(error)
    }
}
