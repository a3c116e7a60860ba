//! The table of access policies.

use sea_orm_migration::{prelude::*, schema::*};

use crate::migrations::{belongs_to, index};

pub(crate) struct Policies;

impl MigrationName for Policies {
    fn name(&self) -> &str {
        "m0084_abac_policies"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Policies {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("abac_policies")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("name"))
                .col(text("name_key"))
                .col(text_null("description"))
                .col(text("effect"))
                .col(text("resource_type"))
                .col(json("actions"))
                .col(json_null("conditions"))
                .col(text_null("cedar"))
                .col(integer("priority"))
                .col(boolean("is_active"))
                .col(big_integer("created_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("abac_policies", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        let of_name = ["organization_id", "name_key"];
        m.create_index(index("abac_policies", "abac_policies_name", &of_name).unique().to_owned()).await?;
        // Lists, in their order; and all of an organization, to compile them.
        m.create_index(index("abac_policies", "abac_policies_priority", &["organization_id", "priority", "id"])).await
    }
}
