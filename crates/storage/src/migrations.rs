//! The tables of this room.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Files), Box::new(FilesOfAPerson)]
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
