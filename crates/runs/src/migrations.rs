//! The tables of this room.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(MaskHashKeys), Box::new(QueryResults), Box::new(ResultBatches)]
}

struct MaskHashKeys;

impl MigrationName for MaskHashKeys {
    fn name(&self) -> &str {
        "m0060_query_mask_hash_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for MaskHashKeys {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("mask_hash_keys")
                .col(big_integer("organization_id").primary_key())
                .col(binary("sealed_key"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(
                    ForeignKey::create()
                        .from("mask_hash_keys", "organization_id")
                        .to("organizations", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await
    }
}

struct QueryResults;

impl MigrationName for QueryResults {
    fn name(&self) -> &str {
        "m0061_query_results"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for QueryResults {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let belongs_to = |column: &'static str, parent: &'static str| {
            ForeignKey::create()
                .from("query_results", column)
                .to(parent, "id")
                .on_delete(ForeignKeyAction::Cascade)
                .to_owned()
        };
        m.create_table(
            Table::create()
                .table("query_results")
                .col(big_integer("query_id").primary_key())
                .col(big_integer("organization_id"))
                .col(text("object_name"))
                .col(binary("governance"))
                .col(json("tables"))
                .col(json("columns"))
                .col(json("policies"))
                .col(boolean("truncated"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(&mut belongs_to("query_id", "query_runs"))
                .foreign_key(&mut belongs_to("organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        let index = Index::create().name("query_results_expiry").table("query_results").col("expires_at").to_owned();
        m.create_index(index).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Where the batches of a result lie; null of one that is not there yet.
struct ResultBatches;

impl MigrationName for ResultBatches {
    fn name(&self) -> &str {
        "m0062_query_result_batches"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ResultBatches {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.alter_table(Table::alter().table("query_results").add_column(json_null("batches")).to_owned()).await
    }
}
