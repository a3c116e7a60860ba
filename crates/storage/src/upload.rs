//! `POST /api/v1/storage/upload`: one file as a form, streamed into the sealed store.
//!
//! A row in the state *arriving* stands before the first byte is written, and becomes *stored*, with the
//! quota taken and the audit record written, after the last one: a cut upload leaves nothing visible, and
//! what it left on disk is swept later.

use axum::extract::{Multipart, State, multipart::Field};
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, WriteMultipart, path::Path};
use rivergen_kernel::{Caller, Error, ErrorCode, FileId, Permission, Result, Tenant};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    BUCKET, Storage,
    file::{self, Category},
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

/// The stored file.
#[derive(Debug, Serialize, ToSchema)]
pub struct Uploaded {
    /// What a data source takes as its `file_path`.
    #[schema(examples("organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"))]
    pub file_path: String,
    #[schema(examples("orders.parquet"))]
    pub file_name: String,
    #[schema(examples("orders_20261124_101500_1f3a9c2e.parquet"))]
    pub unique_file_name: String,
    /// Bytes.
    #[schema(examples(1024000))]
    pub size: i64,
    #[schema(examples("application/vnd.apache.parquet"))]
    pub content_type: String,
    #[schema(examples("s3://rivergen/organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"))]
    pub s3_uri: String,
    pub storage_file_id: FileId,
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
            Some("path") => folder = Some(folder_of(&field.text().await.map_err(cut_off)?)?),
            Some("file_category") => category = category_of(&field.text().await.map_err(cut_off)?)?,
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
    unique_file_name: String,
}

impl Arrival<'_> {
    async fn receive(&self, field: Field<'_>) -> Result<Written> {
        let platform = &self.storage.platform;
        let file_name = field.file_name().map(display_name).filter(|name| !name.is_empty());
        let file_name = file_name.ok_or_else(|| Error::invalid_field("file", "needs a file name"))?;
        let unique_file_name = unique_name(&file_name, platform.clock.now());
        let object_name = self.object_name(&unique_file_name);
        let row = self.announce(&file_name, &object_name).await?;

        let left = file::remaining(platform.db.read(), self.tenant, self.storage.settings.quota_bytes).await?;
        let limit = left.min(self.storage.settings.max_upload_bytes);
        match self.write(field, &object_name, limit).await {
            Ok(size) => Ok(Written { row, size, unique_file_name }),
            Err(error) => {
                self.discard(&row).await?;
                Err(error)
            }
        }
    }

    async fn discard(&self, row: &file::Model) -> Result<()> {
        self.storage.remove_object(self.tenant, &row.object_name).await
    }

    fn object_name(&self, unique_file_name: &str) -> String {
        let folder = self.folder.as_ref().map(|folder| format!("{folder}/")).unwrap_or_default();
        format!(
            "organizations/{}/files/{}/{folder}{unique_file_name}",
            self.tenant.organization_id(),
            self.caller.user_id
        )
    }

    async fn announce(&self, file_name: &str, object_name: &str) -> Result<file::Model> {
        let platform = &self.storage.platform;
        let tx = platform.db.begin().await?;
        let row = file::ActiveModel {
            organization_id: Set(self.tenant.organization_id()),
            workspace_id: Set(self.caller.membership()?.workspace_id),
            uploaded_by_user_id: Set(self.caller.user_id),
            file_name: Set(file_name.to_owned()),
            object_name: Set(object_name.to_owned()),
            // From the name: what the client says of its content is not believed.
            content_type: Set(content_type_of(file_name)),
            category: Set(self.category),
            size_bytes: Set(0),
            state: Set(file::State::Arriving),
            created_at: Set(platform.clock.now()),
            ..Default::default()
        }
        .insert(tx.conn())
        .await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Streams the bytes; nothing is visible in the store before the last one.
    async fn write(&self, mut field: Field<'_>, object_name: &str, limit: u64) -> Result<i64> {
        let store = self.storage.store(self.tenant).await?;
        let put = store.put_multipart(&Path::from(object_name)).await.map_err(Error::internal)?;
        let mut writer = WriteMultipart::new_with_chunk_size(put, 5 * 1024 * 1024);
        let mut size = 0u64;
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
            writer.wait_for_capacity(2).await.map_err(Error::internal)?;
            writer.put(chunk);
        }
        if size == 0 {
            writer.abort().await.map_err(Error::internal)?;
            return Err(Error::invalid_field("file", "is empty"));
        }
        writer.finish().await.map_err(Error::internal)?;
        i64::try_from(size).map_err(Error::internal)
    }

    async fn finish(&self, written: Written, origin: &RequestOrigin) -> Result<Reply<Uploaded>> {
        let Written { row, size, unique_file_name } = written;
        let platform = &self.storage.platform;
        let tx = platform.db.begin().await?;
        let quota = i64::try_from(self.storage.settings.quota_bytes).unwrap_or(i64::MAX);
        if !file::take_quota(&tx, self.tenant, size, quota).await? {
            drop(tx);
            self.discard(&row).await?;
            return Err(ErrorCode::RequestEntityTooLarge.into());
        }
        let mut stored = row.into_active_model();
        stored.size_bytes = Set(size);
        stored.state = Set(file::State::Stored);
        let stored = stored.update(tx.conn()).await?;
        let actor = origin.actor(self.caller.user_id);
        let record = AuditRecord::new(Some(stored.organization_id), actor, "file.upload")
            .target("file", stored.id)
            .details(serde_json::json!({"size": size, "category": self.category}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        let uploaded = Uploaded {
            s3_uri: format!("s3://{BUCKET}/{}", stored.object_name),
            file_path: stored.object_name,
            file_name: stored.file_name,
            unique_file_name,
            size,
            content_type: stored.content_type,
            storage_file_id: stored.id,
        };
        Ok(Reply::created(uploaded, "The file is stored."))
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

fn category_of(text: &str) -> Result<Category> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| Error::invalid_field("file_category", "must be data_source, profile_image or general"))
}

/// A folder inside the uploader's own: plain names between slashes, no dot segments.
fn folder_of(text: &str) -> Result<String> {
    let folder = text.trim().trim_matches('/');
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().any(|c| c != '.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if folder.is_empty() {
        return Err(Error::invalid_field("path", "must name a folder; leave it out for none"));
    }
    if folder.len() > 200 || !folder.split('/').all(plain) {
        return Err(Error::invalid_field(
            "path",
            "takes letters, digits, '.', '_' and '-' between slashes, 200 at most",
        ));
    }
    Ok(folder.to_owned())
}

/// The name without any folders that the client put before it.
fn display_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    name.chars().filter(|c| !c.is_control()).take(255).collect::<String>().trim().to_owned()
}

/// `orders.parquet` → `orders_20261124_101500_1f3a9c2e.parquet`: nothing is ever overwritten.
fn unique_name(file_name: &str, now: chrono::DateTime<chrono::Utc>) -> String {
    let clean = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(80).collect()
    };
    let (stem, extension) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
    let (stem, extension) = if stem.is_empty() { (extension, "") } else { (stem, extension) };
    let suffix = format!("{}_{}", now.format("%Y%m%d_%H%M%S"), hex::encode(rand::random::<[u8; 4]>()));
    let extension = if extension.is_empty() { String::new() } else { format!(".{}", clean(extension).to_lowercase()) };
    format!("{}_{suffix}{extension}", clean(stem))
}

fn content_type_of(file_name: &str) -> String {
    let extension = file_name.rsplit_once('.').map(|(_, e)| e.to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "parquet" => "application/vnd.apache.parquet".to_owned(),
        "jsonl" | "ndjson" => "application/x-ndjson".to_owned(),
        "sqlite" | "sqlite3" | "db" => "application/vnd.sqlite3".to_owned(),
        _ => mime_guess::from_path(file_name).first_or_octet_stream().essence_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stay_inside() {
        assert_eq!(folder_of("/reports/2026/").unwrap(), "reports/2026");
        for bad in ["..", "a/../b", ".", "", "a//b", "a/ b", "ä", "a\\b"] {
            assert!(folder_of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_cleaned_and_unique() {
        let now = "2026-11-24T10:15:00Z".parse().unwrap();
        let name = unique_name("Orders (final).PARQUET", now);
        assert!(name.starts_with("Orders__final__20261124_101500_") && name.ends_with(".parquet"), "{name}");
        assert_ne!(name, unique_name("Orders (final).PARQUET", now));
        assert_eq!(display_name("C:\\tmp\\x.csv"), "x.csv");
        assert!(unique_name(".bashrc", now).starts_with("bashrc_"));
    }
}
