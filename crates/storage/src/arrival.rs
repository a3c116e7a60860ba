//! How a file comes in, whatever it comes by: a row in the state *arriving* before the first byte, and *stored* after the
//! last one. What was cut off leaves nothing visible, and the sweep takes away what it left.

use rivergen_kernel::{Error, FileId, Result, Tenant, UserId, WorkspaceId};
use rivergen_platform::{Transaction, db::TenantScope};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    BUCKET, Storage, access, content,
    file::{self, Category},
};

/// A file that is about to arrive.
pub(crate) struct NewFile<'a> {
    pub tenant: Tenant,
    pub owner: UserId,
    pub workspace_id: Option<WorkspaceId>,
    /// As its uploader named it, without folders.
    pub file_name: &'a str,
    /// In the uploader's own.
    pub folder: Option<&'a str>,
    pub category: Category,
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

impl From<file::Model> for Uploaded {
    fn from(row: file::Model) -> Self {
        Self {
            s3_uri: format!("s3://{BUCKET}/{}", row.object_name),
            unique_file_name: row.object_name.rsplit('/').next().unwrap_or_default().to_owned(),
            file_path: row.object_name,
            file_name: row.file_name,
            size: row.size_bytes,
            content_type: row.content_type,
            storage_file_id: row.id,
        }
    }
}

impl Storage {
    /// Gives the file its place, where nothing else is or will be.
    pub(crate) async fn announce(&self, new: NewFile<'_>) -> Result<file::Model> {
        let now = self.platform.clock.now();
        let folder = new.folder.map(|folder| format!("{folder}/")).unwrap_or_default();
        let object_name =
            format!("{}{folder}{}", access::folder_of(new.tenant, new.owner), unique_name(new.file_name, now));
        let tx = self.platform.db.begin().await?;
        let row = file::ActiveModel {
            organization_id: Set(new.tenant.organization_id()),
            workspace_id: Set(new.workspace_id),
            uploaded_by_user_id: Set(new.owner),
            file_name: Set(new.file_name.to_owned()),
            object_name: Set(object_name),
            // Not known before its bytes are.
            content_type: Set("application/octet-stream".to_owned()),
            category: Set(new.category),
            size_bytes: Set(0),
            state: Set(file::State::Arriving),
            created_at: Set(now),
            ..Default::default()
        };
        let row = row.insert(tx.conn()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Makes the file one that is stored, as what its first bytes say that it is. The caller takes the quota and writes the
    /// audit record.
    pub(crate) async fn settle(
        &self,
        tx: &Transaction,
        row: file::Model,
        size: i64,
        head: &[u8],
    ) -> Result<file::Model> {
        let content_type = content::type_of(&row.file_name, head);
        let mut stored = row.into_active_model();
        stored.size_bytes = Set(size);
        stored.content_type = Set(content_type);
        stored.state = Set(file::State::Stored);
        Ok(stored.update(tx.conn()).await?)
    }

    /// Reserves so much more of the quota for a file that arrives; `false` where it does not fit. The file's row is locked before
    /// the sums are, as everywhere.
    pub(crate) async fn reserve_arriving(&self, tenant: Tenant, id: FileId, more: i64) -> Result<bool> {
        let tx = self.platform.db.begin().await?;
        let grown = file::Entity::update_many()
            .col_expr(file::Column::SizeBytes, Expr::col(file::Column::SizeBytes).add(more))
            .filter(file::Column::Id.eq(id))
            .filter(file::Column::State.eq(file::State::Arriving));
        if grown.exec(tx.conn()).await?.rows_affected == 0 {
            return Err(Error::internal("a file was swept while it arrived"));
        }
        if !self.reserve(&tx, tenant, more).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Takes back what arrived of a file that is not wanted, with what is reserved for it.
    pub(crate) async fn discard(&self, tenant: Tenant, row: &file::Model) -> Result<()> {
        self.remove_object(tenant, &row.object_name).await?;
        let tx = self.platform.db.begin().await?;
        let arriving = tenant.find::<file::Entity>().filter(file::Column::Id.eq(row.id));
        let arriving = arriving.filter(file::Column::State.eq(file::State::Arriving)).lock_exclusive();
        // None where somebody else has taken it back.
        if let Some(row) = arriving.one(tx.conn()).await? {
            file::usage::add(&tx, tenant, 0, 0, -row.size_bytes).await?;
            file::Entity::delete_by_id(row.id).exec(tx.conn()).await?;
        }
        tx.commit().await
    }
}

/// 422 for what cannot be what it is for.
pub(crate) fn check_content(category: Category, head: &[u8]) -> Result<()> {
    match category == Category::ProfileImage && !content::is_picture(head) {
        true => Err(Error::invalid_field("file", "must be a PNG, JPEG, GIF, WebP or AVIF picture")),
        false => Ok(()),
    }
}

pub(crate) fn category_of(field: &str, text: &str) -> Result<Category> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| Error::invalid_field(field, "must be data_source, profile_image or general"))
}

/// A folder inside the uploader's own: plain names between slashes, no dot segments.
pub(crate) fn folder_named(field: &str, text: &str) -> Result<String> {
    let folder = text.trim().trim_matches('/');
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().any(|c| c != '.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if folder.is_empty() {
        return Err(Error::invalid_field(field, "must name a folder; leave it out for none"));
    }
    if folder.len() > 200 || !folder.split('/').all(plain) {
        return Err(Error::invalid_field(
            field,
            "may have letters, digits, '.', '_' and '-' between slashes, at most 200 characters",
        ));
    }
    Ok(folder.to_owned())
}

/// The name without any folders that the client put before it.
pub(crate) fn display_name(name: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stay_inside() {
        assert_eq!(folder_named("path", "/reports/2026/").unwrap(), "reports/2026");
        for bad in ["..", "a/../b", ".", "", "a//b", "a/ b", "ä", "a\\b"] {
            assert!(folder_named("path", bad).is_err(), "{bad:?}");
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
