//! What is known of the questions and the data: templates, pairs that people confirmed, words, meanings.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::ConnectionTrait};

use super::belongs_to;

/// Questions with places for values.
pub struct Templates;

impl MigrationName for Templates {
    fn name(&self) -> &str {
        "m0073_studio_templates"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Templates {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("prompt_templates")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("name"))
                .col(text_null("description"))
                .col(text("template_text"))
                .col(json("parameters"))
                .col(text("category"))
                .col(json("tags"))
                .col(text_null("icon_url"))
                .col(text("status"))
                .col(json("compatible_data_source_ids"))
                .col(boolean("is_public"))
                .col(big_integer("usage_count"))
                .col(big_integer("created_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .foreign_key(&mut belongs_to("prompt_templates"))
                .to_owned(),
        )
        .await?;
        for (name, columns) in [
            ("prompt_templates_organization", ["organization_id", "id"]),
            ("prompt_templates_person", ["created_by_user_id", "id"]),
        ] {
            let [first, second] = columns;
            m.create_index(Index::create().name(name).table("prompt_templates").col(first).col(second).to_owned())
                .await?;
        }
        m.get_connection()
            .execute_unprepared(
                "CREATE INDEX prompt_templates_deleted ON prompt_templates (deleted_at) WHERE deleted_at IS NOT NULL",
            )
            .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Questions with SQL that people confirmed, and what people say of runs.
pub struct VerifiedPairs;

impl MigrationName for VerifiedPairs {
    fn name(&self) -> &str {
        "m0074_studio_verified_pairs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for VerifiedPairs {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in [text_null("feedback"), text_null("feedback_comment")] {
            m.alter_table(Table::alter().table("prompt_executions").add_column(column).to_owned()).await?;
        }
        m.create_table(
            Table::create()
                .table("prompt_verified_pairs")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(text("question"))
                .col(text("question_key"))
                .col(text("query_text"))
                .col(json("data_source_ids"))
                .col(text("status"))
                .col(big_integer_null("execution_id"))
                .col(big_integer("created_by_user_id"))
                .col(big_integer_null("verified_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("verified_at"))
                .foreign_key(&mut belongs_to("prompt_verified_pairs"))
                .to_owned(),
        )
        .await?;
        for (name, columns) in [
            ("prompt_verified_pairs_question", vec!["organization_id", "question_key"]),
            ("prompt_verified_pairs_status", vec!["organization_id", "status", "id"]),
            ("prompt_verified_pairs_person", vec!["created_by_user_id", "id"]),
            ("prompt_verified_pairs_execution", vec!["execution_id"]),
        ] {
            let mut index = Index::create().name(name).table("prompt_verified_pairs").to_owned();
            for column in columns {
                index.col(column);
            }
            m.create_index(index).await?;
        }
        m.create_table(
            Table::create()
                .table("prompt_verified_pair_sources")
                .col(big_integer("verified_pair_id"))
                .col(big_integer("data_source_id"))
                .primary_key(Index::create().col("verified_pair_id").col("data_source_id"))
                .foreign_key(
                    ForeignKey::create()
                        .from("prompt_verified_pair_sources", "verified_pair_id")
                        .to("prompt_verified_pairs", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The words of workspaces.
pub struct Glossaries;

impl MigrationName for Glossaries {
    fn name(&self) -> &str {
        "m0075_studio_glossaries"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Glossaries {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("prompt_glossaries")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(json("terms"))
                .col(big_integer("updated_by_user_id"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("prompt_glossaries"))
                .to_owned(),
        )
        .await?;
        // One for those without a workspace too: two nulls are not the same to a unique index.
        m.get_connection()
            .execute_unprepared(
                "CREATE UNIQUE INDEX prompt_glossaries_workspace \
                 ON prompt_glossaries (organization_id, coalesce(workspace_id, 0))",
            )
            .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What people say of the data.
pub struct Semantics;

impl MigrationName for Semantics {
    fn name(&self) -> &str {
        "m0076_studio_semantics"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Semantics {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("prompt_semantics")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(big_integer_null("user_id"))
                .col(text("kind"))
                .col(text("name"))
                .col(json("definition"))
                .col(text("status"))
                .col(text("origin"))
                .col(big_integer("created_by_user_id"))
                .col(big_integer_null("confirmed_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("prompt_semantics"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("prompt_semantics_person")
                .table("prompt_semantics")
                .col("created_by_user_id")
                .col("id")
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("prompt_semantics_workspace")
                .table("prompt_semantics")
                .col("organization_id")
                .col("workspace_id")
                .col("id")
                .to_owned(),
        )
        .await?;
        // Two nulls are not the same to a unique index.
        m.get_connection()
            .execute_unprepared(
                "CREATE UNIQUE INDEX prompt_semantics_name ON prompt_semantics \
                 (organization_id, coalesce(workspace_id, 0), coalesce(user_id, 0), kind, name)",
            )
            .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
