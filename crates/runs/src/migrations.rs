//! The table of this room.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(MaskHashKeys)]
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
