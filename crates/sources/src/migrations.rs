//! The tables of this room.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(DataSources)]
}

struct DataSources;

impl MigrationName for DataSources {
    fn name(&self) -> &str {
        "m0050_sources_data_sources"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for DataSources {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("data_sources")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(text("name"))
                .col(text("slug"))
                .col(text("kind"))
                .col(text_null("description"))
                .col(text_null("host"))
                .col(integer_null("port"))
                .col(text_null("database_name"))
                .col(text_null("schema_name"))
                .col(text_null("file_path"))
                .col(integer("connection_pool_size"))
                .col(integer("connection_timeout"))
                .col(integer("query_timeout"))
                .col(integer("max_retries"))
                .col(boolean("schema_auto_refresh"))
                .col(integer("schema_refresh_interval"))
                .col(json("metadata"))
                .col(json("tags"))
                .col(binary_null("credentials"))
                .col(text("status"))
                .col(timestamp_with_time_zone_null("last_tested_at"))
                .col(timestamp_with_time_zone_null("last_successful_connection_at"))
                .col(timestamp_with_time_zone_null("last_failed_connection_at"))
                .col(integer("failure_count"))
                .col(text_null("failure_reason"))
                .col(timestamp_with_time_zone_null("schema_discovered_at"))
                .col(big_integer("created_by_user_id"))
                .col(big_integer_null("updated_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .foreign_key(&mut belongs_to("data_sources", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .unique()
                .name("data_sources_slug")
                .table("data_sources")
                .col("organization_id")
                .col("slug")
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("data_source_tables")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("data_source_id"))
                .col(text("schema_name"))
                .col(text("table_name"))
                .col(text("table_type"))
                .col(json("columns"))
                .col(big_integer_null("row_count"))
                .col(text_null("comment"))
                .col(timestamp_with_time_zone("discovered_at"))
                .foreign_key(&mut belongs_to("data_source_tables", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("data_source_tables", "data_source_id", "data_sources"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .unique()
                .name("data_source_tables_name")
                .table("data_source_tables")
                .col("data_source_id")
                .col("schema_name")
                .col("table_name")
                .to_owned(),
        )
        .await
    }
}

fn belongs_to(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(parent, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}
