//! Questions and their runs, and what saved ones were.

use sea_orm_migration::{prelude::*, schema::*};

use super::belongs_to;

pub struct Prompts;

impl MigrationName for Prompts {
    fn name(&self) -> &str {
        "m0070_studio_prompts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Prompts {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("prompts")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(text_null("name"))
                .col(text("prompt_text"))
                .col(json("selected_data_source_ids"))
                .col(json("selected_schema_names"))
                .col(big_integer_null("generated_query_id"))
                .col(text_null("generated_query_text"))
                .col(text("status"))
                .col(json("tags"))
                .col(text_null("ai_model_used"))
                .col(json("ai_response_metadata"))
                .col(text_null("error_message"))
                .col(big_integer("created_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .foreign_key(&mut belongs_to("prompts"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("prompts_organization").table("prompts").col("organization_id").col("id").to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("prompt_executions")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("user_id"))
                .col(big_integer_null("prompt_id"))
                .col(text("prompt_text"))
                .col(text("status"))
                .col(text("ai_processing_status"))
                .col(text_null("query_execution_status"))
                .col(big_integer_null("query_id"))
                .col(text_null("generated_query_text"))
                .col(big_integer_null("rows_returned"))
                .col(text_null("error_code"))
                .col(text_null("error_message"))
                .col(timestamp_with_time_zone("started_at"))
                .col(timestamp_with_time_zone_null("completed_at"))
                .col(big_integer_null("total_duration_ms"))
                .foreign_key(&mut belongs_to("prompt_executions"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("prompt_executions_prompt")
                .table("prompt_executions")
                .col("organization_id")
                .col("prompt_id")
                .to_owned(),
        )
        .await
    }
}

/// What one person saved and asked, whatever the organization.
pub struct PromptsOfAPerson;

impl MigrationName for PromptsOfAPerson {
    fn name(&self) -> &str {
        "m0071_studio_prompts_of_a_person"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PromptsOfAPerson {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(
            Index::create().name("prompts_person").table("prompts").col("created_by_user_id").col("id").to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("prompt_executions_person")
                .table("prompt_executions")
                .col("user_id")
                .col("id")
                .to_owned(),
        )
        .await?;
        Ok(())
    }
}

/// What saved questions were.
pub struct PromptVersions;

impl MigrationName for PromptVersions {
    fn name(&self) -> &str {
        "m0078_studio_prompt_versions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PromptVersions {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("prompt_versions")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("prompt_id"))
                .col(big_integer("version"))
                .col(text("change"))
                .col(json("definition"))
                .col(timestamp_with_time_zone("changed_at"))
                .col(big_integer("changed_by_user_id"))
                .foreign_key(&mut belongs_to("prompt_versions"))
                .foreign_key(
                    ForeignKey::create()
                        .from("prompt_versions", "prompt_id")
                        .to("prompts", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("prompt_versions_prompt")
                .table("prompt_versions")
                .col("prompt_id")
                .col("version")
                .unique()
                .to_owned(),
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
