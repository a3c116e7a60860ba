//! `POST /api/v1/storage/upload`: one file as a form, streamed into the sealed store.
//!
//! What arrives is reserved of the quota before it is written, step by step; the transaction that makes the file a stored one
//! takes its size in the place of that. However an upload ends, its reservation ends with it.

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
    /// A folder inside your own: `reports/2026`. Send it before the file.
    #[schema(example = "reports/2026")]
    path: Option<String>,
    /// `data_source` (the default), `profile_image` or `general`. Send it before the file.
    #[schema(example = "data_source")]
    file_category: Option<String>,
    /// The file itself, with its name.
    #[schema(value_type = String, format = Binary)]
    file: String,
}

/// Bytes of the quota that are reserved at a time.
const STEP: i64 = 8 * 1024 * 1024;
/// Bytes of a part that is no file.
const LONGEST_TEXT: usize = 1000;

errors! { pub UploadErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, RequestEntityTooLarge, UnsupportedMediaType, ValidationError, InternalError; }

/// Upload a file as a form
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
            Some("path") => folder = Some(folder_named("path", &text_of("path", field).await?)?),
            Some("file_category") => {
                category = category_of("file_category", &text_of("file_category", field).await?)?;
            }
            Some("file") => {
                let arrival = Arrival { storage: &storage, tenant, caller: &caller, folder, category };
                let written = arrival.receive(field).await?;
                // What comes after the file was not obeyed, so it is not passed over in silence either.
                match form.next_field().await {
                    Ok(None) => return arrival.finish(written, &origin).await,
                    Ok(Some(_)) => {
                        written.arriving.discard().await?;
                        return Err(wrong_order());
                    }
                    Err(error) => {
                        written.arriving.discard().await?;
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
    arriving: Arriving,
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
        let mut arriving = Arriving { storage: self.storage.clone(), tenant: self.tenant, row, is_over: false };
        let written = match self.write(field, &mut arriving).await {
            Ok((size, head)) => check_content(self.category, &head).map(|()| (size, head)),
            Err(error) => Err(error),
        };
        match written {
            Ok((size, head)) => Ok(Written { arriving, size, head }),
            Err(error) => {
                arriving.discard().await?;
                Err(error)
            }
        }
    }

    /// Streams the bytes; nothing is visible in the store before the last one.
    async fn write(&self, mut field: Field<'_>, arriving: &mut Arriving) -> Result<(i64, Vec<u8>)> {
        let store = self.storage.store(self.tenant).await?;
        let put = store.put_multipart(&Path::from(&*arriving.row.object_name)).await.map_err(Error::internal)?;
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
            let fits = match size <= self.storage.settings.max_upload_bytes {
                true => arriving.reserve(i64::try_from(size).map_err(Error::internal)?).await,
                false => Ok(false),
            };
            if !matches!(fits, Ok(true)) {
                writer.abort().await.map_err(Error::internal)?;
                return Err(fits.err().unwrap_or_else(|| ErrorCode::RequestEntityTooLarge.into()));
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
        let Written { mut arriving, size, head } = written;
        let platform = &self.storage.platform;
        let tx = platform.db.begin().await?;
        let stored = self.storage.settle(&tx, arriving.row.clone(), size, &head).await?;
        file::usage::add(&tx, self.tenant, 0, 0, -arriving.row.size_bytes).await?;
        let quota = self.storage.settings.quota_bytes;
        if !file::take_quota(&tx, self.tenant, Taking::Stored, size, quota).await? {
            drop(tx);
            arriving.discard().await?;
            return Err(ErrorCode::RequestEntityTooLarge.into());
        }
        let actor = origin.actor(self.caller.user_id);
        let record = AuditRecord::new(Some(stored.organization_id), actor, "file.upload")
            .target("file", stored.id)
            .details(serde_json::json!({"size": size, "category": self.category}));
        audit::record(&tx, &platform.clock, record).await?;
        // Whatever becomes of this, its bytes may be a stored file's from here on.
        arriving.is_over = true;
        tx.commit().await?;
        Ok(Reply::created(stored.into(), "The file was stored."))
    }
}

/// A file that arrives: its row says how much of the quota is reserved for it. Dropped before it is stored, it is discarded.
struct Arriving {
    storage: Storage,
    tenant: Tenant,
    row: file::Model,
    is_over: bool,
}

impl Arriving {
    /// Reserves what is needed for so many bytes in all; `false` where they do not fit.
    async fn reserve(&mut self, size: i64) -> Result<bool> {
        let missing = size - self.row.size_bytes;
        if missing <= 0 {
            return Ok(true);
        }
        // Where a whole step does not fit, what is here may.
        for more in [missing.max(STEP), missing] {
            if self.storage.reserve_arriving(self.tenant, self.row.id, more).await? {
                self.row.size_bytes += more;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn discard(mut self) -> Result<()> {
        self.storage.discard(self.tenant, &self.row).await?;
        self.is_over = true;
        Ok(())
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (storage, tenant, row) = (self.storage.clone(), self.tenant, self.row.clone());
        tokio::spawn(async move {
            if let Err(error) = storage.discard(tenant, &row).await {
                tracing::error!(%error, file = %row.id, "what arrived of a file whose upload was given up stays for the sweep");
            }
        });
    }
}

/// A part that is a word or two. It is held in memory and no limit of the body bounds it, so nothing longer is read: a
/// file may have been sent under its name.
async fn text_of(name: &'static str, mut field: Field<'_>) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.try_next().await.map_err(cut_off)? {
        if bytes.len() + chunk.len() > LONGEST_TEXT {
            return Err(Error::invalid_field(name, format!("must not be longer than {LONGEST_TEXT} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid_field(name, "must be UTF-8"))
}

fn wrong_order() -> Error {
    Error::invalid_field("form", "accepts the parts path, file_category and file, in this order, and no others")
}

fn cut_off(error: axum::extract::multipart::MultipartError) -> Error {
    if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        Error::new(ErrorCode::RequestEntityTooLarge).with_message("The upload is larger than this server accepts.")
    } else {
        Error::new(ErrorCode::InvalidRequest).with_message("The form is broken or was cut off.").with_source(error)
    }
}
