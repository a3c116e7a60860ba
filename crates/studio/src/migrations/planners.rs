//! Whom an organization puts its questions to.

use sea_orm_migration::{prelude::*, schema::*};

use super::belongs_to;

/// Whom an organization's questions are put to, and what it spent on them.
pub struct OrganizationPlanners;

impl MigrationName for OrganizationPlanners {
    fn name(&self) -> &str {
        "m0115_studio_planners"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OrganizationPlanners {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("prompt_planners")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(integer("position"))
                .col(text("name"))
                .col(text("kind"))
                .col(text_null("base_url"))
                .col(text_null("model_name"))
                .col(binary_null("sealed_api_key"))
                .col(integer("timeout_seconds"))
                .col(boolean("share_values"))
                .col(big_integer_null("monthly_tokens"))
                .foreign_key(&mut belongs_to("prompt_planners"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("prompt_planners_position")
                .table("prompt_planners")
                .col("organization_id")
                .col("position")
                .unique()
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("prompt_planner_months")
                .col(big_integer("organization_id"))
                .col(text("planner"))
                .col(date("month"))
                .col(big_integer("tokens"))
                .col(big_integer("requests"))
                .primary_key(Index::create().col("organization_id").col("planner").col("month"))
                .foreign_key(&mut belongs_to("prompt_planner_months"))
                .to_owned(),
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
