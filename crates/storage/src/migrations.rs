//! The tables of this room.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Files),
        Box::new(FilesOfAPerson),
        Box::new(LinksAndShares),
        Box::new(Quotas),
        Box::new(ResumableUploads),
        Box::new(UploadsOfAPerson),
    ]
}

struct Files;

impl MigrationName for Files {
    fn name(&self) -> &str {
        "m0030_storage_files"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Files {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("storage_files")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(big_integer("uploaded_by_user_id"))
                .col(text("file_name"))
                .col(text_uniq("object_name"))
                .col(text("content_type"))
                .col(text("category"))
                .col(big_integer("size_bytes"))
                .col(text("state"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(
                    ForeignKey::create()
                        .from("storage_files", "organization_id")
                        .to("organizations", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("storage_files_uploader")
                .table("storage_files")
                .col("organization_id")
                .col("uploaded_by_user_id")
                .col("state")
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("storage_files_state")
                .table("storage_files")
                .col("state")
                .col("created_at")
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("storage_usage")
                .col(big_integer("organization_id").primary_key())
                .col(big_integer("used_bytes"))
                .col(big_integer("file_count"))
                .foreign_key(
                    ForeignKey::create()
                        .from("storage_usage", "organization_id")
                        .to("organizations", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await
    }
}

/// The files of one person, whatever the organization.
struct FilesOfAPerson;

impl MigrationName for FilesOfAPerson {
    fn name(&self) -> &str {
        "m0031_storage_files_of_a_person"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for FilesOfAPerson {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(
            Index::create()
                .name("storage_files_person")
                .table("storage_files")
                .col("uploaded_by_user_id")
                .col("id")
                .to_owned(),
        )
        .await?;
        Ok(())
    }
}

/// Links to files, and folders that are shared with workspaces.
struct LinksAndShares;

impl MigrationName for LinksAndShares {
    fn name(&self) -> &str {
        "m0032_storage_links_and_shares"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for LinksAndShares {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("storage_links")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("file_id"))
                .col(big_integer("created_by_user_id"))
                .col(big_integer_null("workspace_id"))
                .col(big_integer_null("data_source_id"))
                .col(binary("token_hash"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("revoked_at"))
                .col(big_integer("use_count"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .foreign_key(&mut belongs_to("storage_links", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("storage_links", "file_id", "storage_files"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("storage_shares")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("workspace_id"))
                .col(big_integer("owner_user_id"))
                .col(text("prefix"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(&mut belongs_to("storage_shares", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("storage_shares", "workspace_id", "workspaces"))
                .to_owned(),
        )
        .await?;
        for (name, table, columns) in [
            ("storage_links_file", "storage_links", &["file_id"][..]),
            ("storage_links_maker", "storage_links", &["created_by_user_id", "id"]),
            ("storage_links_expiry", "storage_links", &["expires_at"]),
            ("storage_links_organization", "storage_links", &["organization_id", "id"]),
            ("storage_shares_workspace", "storage_shares", &["workspace_id"]),
            ("storage_shares_owner", "storage_shares", &["owner_user_id", "id"]),
        ] {
            m.create_index(index(name, table, columns)).await?;
        }
        m.create_index(index("storage_links_token", "storage_links", &["token_hash"]).unique().to_owned()).await?;
        let shared_once = ["organization_id", "owner_user_id", "workspace_id", "prefix"];
        m.create_index(index("storage_shares_once", "storage_shares", &shared_once).unique().to_owned()).await
    }
}

/// A quota of one organization, what is promised of it, and what each person takes of it.
struct Quotas;

impl MigrationName for Quotas {
    fn name(&self) -> &str {
        "m0033_storage_quotas"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Quotas {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for mut column in [big_integer("reserved_bytes").default(0).take(), big_integer_null("quota_bytes").take()] {
            m.alter_table(Table::alter().table("storage_usage").add_column(&mut column).to_owned()).await?;
        }
        let columns = ["organization_id", "state", "uploaded_by_user_id", "size_bytes"];
        m.create_index(index("storage_files_usage", "storage_files", &columns)).await
    }
}

/// Uploads that go on after a cut.
struct ResumableUploads;

impl MigrationName for ResumableUploads {
    fn name(&self) -> &str {
        "m0034_storage_uploads"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ResumableUploads {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("storage_uploads")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(big_integer("uploaded_by_user_id"))
                .col(text("file_name"))
                .col(text_null("folder"))
                .col(text("category"))
                .col(text("metadata"))
                .col(big_integer("size_bytes"))
                .col(big_integer("offset_bytes"))
                .col(text("state"))
                .col(big_integer_null("file_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(&mut belongs_to("storage_uploads", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("storage_upload_pieces")
                .col(big_pk_auto("id"))
                .col(big_integer("upload_id"))
                .col(big_integer("start_bytes"))
                .col(big_integer("size_bytes"))
                .col(text("object_name"))
                .foreign_key(&mut belongs_to("storage_upload_pieces", "upload_id", "storage_uploads"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("storage_uploads_expiry", "storage_uploads", &["expires_at"])).await?;
        m.create_index(index("storage_uploads_organization", "storage_uploads", &["organization_id"])).await?;
        let in_order = ["upload_id", "start_bytes"];
        let in_order = index("storage_upload_pieces_order", "storage_upload_pieces", &in_order).unique().to_owned();
        m.create_index(in_order).await
    }
}

/// What somebody uploads, for an access request.
struct UploadsOfAPerson;

impl MigrationName for UploadsOfAPerson {
    fn name(&self) -> &str {
        "m0035_storage_uploads_of_a_person"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for UploadsOfAPerson {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(index("storage_uploads_person", "storage_uploads", &["uploaded_by_user_id", "id"])).await
    }
}

fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

fn belongs_to(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(parent, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}
