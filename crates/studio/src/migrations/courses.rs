//! How runs go: their steps, what is told of them, and what they go on from.

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

use super::belongs_to;

/// The steps of runs, what is told of them, and which saved question asks which sources.
pub struct Courses;

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

/// What a run asks, why it failed, and what it goes on from.
pub struct Conversations;

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
