//! The tables of this room.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::ConnectionTrait};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(DataSources),
        Box::new(Lifecycle),
        Box::new(Tunnels),
        Box::new(SourcesOfAPerson),
        Box::new(OrderOfTexts),
    ]
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

/// Where a source's tunnel leads, when it is looked after next, how it was, and how what it holds changed.
struct Lifecycle;

impl MigrationName for Lifecycle {
    fn name(&self) -> &str {
        "m0051_sources_lifecycle"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Lifecycle {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let sources = |column: ColumnDef| Table::alter().table("data_sources").add_column(column).to_owned();
        m.alter_table(sources(text_null("ssh_host"))).await?;
        m.alter_table(sources(integer_null("ssh_port"))).await?;
        m.alter_table(sources(text_null("ssh_username"))).await?;
        m.alter_table(sources(integer_null("ssh_local_port"))).await?;
        m.alter_table(sources(timestamp_with_time_zone_null("credentials_updated_at"))).await?;
        m.alter_table(sources(timestamp_with_time_zone_null("next_check_at"))).await?;
        m.alter_table(sources(timestamp_with_time_zone_null("next_discovery_at"))).await?;
        // Sources that were there before are due at once; the monitor takes them by and by.
        m.get_connection()
            .execute_unprepared("UPDATE data_sources SET next_check_at = created_at, next_discovery_at = created_at")
            .await?;
        m.create_index(index("data_sources", "data_sources_deleted", &["deleted_at"])).await?;
        m.create_index(index("data_sources", "data_sources_next_check", &["next_check_at"])).await?;
        m.create_index(index("data_sources", "data_sources_next_discovery", &["next_discovery_at"])).await?;

        m.create_table(
            of_source("data_source_checks")
                .col(text("origin"))
                .col(text("status"))
                .col(big_integer_null("response_time_ms"))
                .col(text_null("error_code"))
                .col(text_null("error_message"))
                .col(timestamp_with_time_zone("checked_at"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("data_source_checks", "data_source_checks_source", &["data_source_id", "id"])).await?;
        m.create_index(index("data_source_checks", "data_source_checks_age", &["checked_at"])).await?;

        m.create_table(
            of_source("data_source_discoveries")
                .col(text("origin"))
                .col(text("state"))
                .col(integer("progress_percentage"))
                .col(timestamp_with_time_zone("started_at"))
                .col(timestamp_with_time_zone_null("finished_at"))
                .col(big_integer_null("total_tables"))
                .col(big_integer_null("total_columns"))
                .col(big_integer_null("changes"))
                .col(text_null("error_code"))
                .col(text_null("error_message"))
                .to_owned(),
        )
        .await?;
        let of_its_source = ["data_source_id", "id"];
        m.create_index(index("data_source_discoveries", "data_source_discoveries_source", &of_its_source)).await?;
        m.create_index(index("data_source_discoveries", "data_source_discoveries_age", &["started_at"])).await?;

        m.create_table(
            of_source("data_source_changes")
                .col(text("change"))
                .col(text("schema_name"))
                .col(text("table_name"))
                .col(text_null("column_name"))
                .col(text_null("was"))
                .col(text_null("became"))
                .col(json("vanished"))
                .col(timestamp_with_time_zone("detected_at"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("data_source_changes", "data_source_changes_source", &of_its_source)).await?;
        m.create_index(index("data_source_changes", "data_source_changes_age", &["detected_at"])).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Whether a source is reached through its SSH server.
struct Tunnels;

impl MigrationName for Tunnels {
    fn name(&self) -> &str {
        "m0052_sources_tunnels"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Tunnels {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean("use_ssh_tunnel").default(false).to_owned();
        m.alter_table(Table::alter().table("data_sources").add_column(column).to_owned()).await
    }
}

/// The sources that somebody registered, for an access request.
struct SourcesOfAPerson;

impl MigrationName for SourcesOfAPerson {
    fn name(&self) -> &str {
        "m0053_sources_of_a_person"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SourcesOfAPerson {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(index("data_sources", "data_sources_person", &["created_by_user_id", "id"])).await
    }
}

/// Where a database compares texts or fractions otherwise than the engine is known since, and remembered by a discovery: the
/// sources of these kinds are due for one.
struct OrderOfTexts;

impl MigrationName for OrderOfTexts {
    fn name(&self) -> &str {
        "m0129_sources_order_of_texts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OrderOfTexts {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.get_connection()
            .execute_unprepared(
                "UPDATE data_sources SET next_discovery_at = created_at WHERE status = 'active' AND deleted_at IS NULL \
                 AND kind IN ('sqlite', 'postgresql', 'timescaledb', 'cockroachdb')",
            )
            .await?;
        Ok(())
    }
}

/// A table of what is kept of a source; it goes with the source.
fn of_source(name: &'static str) -> TableCreateStatement {
    Table::create()
        .table(name)
        .col(big_pk_auto("id"))
        .col(big_integer("organization_id"))
        .col(big_integer("data_source_id"))
        .foreign_key(&mut belongs_to(name, "data_source_id", "data_sources"))
        .to_owned()
}

fn index(table: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

fn belongs_to(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(parent, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}
