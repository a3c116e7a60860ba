//! The tables of this room.

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Prompts),
        Box::new(PromptsOfAPerson),
        Box::new(Courses),
        Box::new(Templates),
        Box::new(VerifiedPairs),
        Box::new(Glossaries),
        Box::new(Semantics),
        Box::new(Conversations),
        Box::new(PromptVersions),
    ]
}

struct Prompts;

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

fn belongs_to(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "organization_id")
        .to("organizations", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

/// What one person saved and asked, whatever the organization.
struct PromptsOfAPerson;

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

/// The steps of runs, what is told of them, and which saved question asks which sources.
struct Courses;

impl MigrationName for Courses {
    fn name(&self) -> &str {
        "m0072_studio_courses"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Courses {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            json_null("metadata"),
            big_integer_null("template_id"),
            timestamp_with_time_zone_null("last_run_at"),
            big_integer_null("last_duration_ms"),
        ] {
            m.alter_table(Table::alter().table("prompts").add_column(column).to_owned()).await?;
        }
        for column in [
            big_integer_null("template_id"),
            json_null("data_source_ids"),
            json_null("schema_names"),
            small_integer("progress_percentage").default(100).take(),
            json_null("told"),
            big_integer_null("ai_duration_ms"),
            big_integer_null("query_duration_ms"),
            big_integer_null("workspace_id"),
            timestamp_with_time_zone_null("heartbeat_at"),
            timestamp_with_time_zone_null("cancel_requested_at"),
        ] {
            m.alter_table(Table::alter().table("prompt_executions").add_column(column).to_owned()).await?;
        }
        m.create_table(
            Table::create()
                .table("prompt_execution_events")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("execution_id"))
                .col(integer("seq"))
                .col(text("event"))
                .col(json("data"))
                .col(timestamp_with_time_zone("at"))
                .foreign_key(&mut belongs_to("prompt_execution_events"))
                .foreign_key(
                    ForeignKey::create()
                        .from("prompt_execution_events", "execution_id")
                        .to("prompt_executions", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("prompt_execution_events_seq")
                .table("prompt_execution_events")
                .col("execution_id")
                .col("seq")
                .unique()
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("prompt_execution_events_at").table("prompt_execution_events").col("at").to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("prompt_sources")
                .col(big_integer("prompt_id"))
                .col(big_integer("data_source_id"))
                .primary_key(Index::create().col("prompt_id").col("data_source_id"))
                .foreign_key(
                    ForeignKey::create()
                        .from("prompt_sources", "prompt_id")
                        .to("prompts", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("prompt_sources_source")
                .table("prompt_sources")
                .col("data_source_id")
                .col("prompt_id")
                .to_owned(),
        )
        .await?;
        let db = m.get_connection();
        let (ids, number) = match db.get_database_backend() {
            DbBackend::Postgres => {
                ("json_array_elements_text(p.selected_data_source_ids) AS s(value)", "s.value::bigint")
            }
            _ => ("json_each(p.selected_data_source_ids) AS s", "s.value"),
        };
        db.execute_unprepared(&format!(
            "INSERT INTO prompt_sources SELECT DISTINCT p.id, {number} FROM prompts p, {ids}"
        ))
        .await?;
        db.execute_unprepared("UPDATE prompts SET last_run_at = updated_at").await?;
        // The few that are under way.
        db.execute_unprepared(
            "CREATE INDEX prompt_executions_processing ON prompt_executions (user_id) WHERE status = 'processing'",
        )
        .await?;
        db.execute_unprepared("CREATE INDEX prompts_deleted ON prompts (deleted_at) WHERE deleted_at IS NOT NULL")
            .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Questions with places for values.
struct Templates;

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
struct VerifiedPairs;

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
struct Glossaries;

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
struct Semantics;

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

/// What a run asks, why it failed, and what it goes on from.
struct Conversations;

impl MigrationName for Conversations {
    fn name(&self) -> &str {
        "m0077_studio_conversations"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Conversations {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            json_null("error_details"),
            json_null("clarification"),
            big_integer_null("follows_execution_id"),
            json_null("thread"),
        ] {
            m.alter_table(Table::alter().table("prompt_executions").add_column(column).to_owned()).await?;
        }
        m.alter_table(Table::alter().table("prompts").add_column(json_null("thread")).to_owned()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What saved questions were.
struct PromptVersions;

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
