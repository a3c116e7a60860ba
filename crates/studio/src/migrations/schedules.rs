//! When saved questions are asked by themselves.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::ConnectionTrait};

use super::belongs_to;

/// When saved questions are asked by themselves, what became of it, and who heard of it.
pub struct Schedules;

impl MigrationName for Schedules {
    fn name(&self) -> &str {
        "m0114_studio_schedules"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Schedules {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let hangs_on = |table: &'static str, column: &'static str, of: &'static str| {
            ForeignKey::create().from(table, column).to(of, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
        };
        m.create_table(
            Table::create()
                .table("prompt_schedules")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(big_integer("prompt_id"))
                .col(big_integer("owner_user_id"))
                .col(text("name"))
                .col(json("timing"))
                .col(json("mail_to_user_ids"))
                .col(binary_null("webhook"))
                .col(text_null("webhook_origin"))
                .col(boolean("include_rows"))
                .col(text("status"))
                .col(text_null("paused_reason"))
                .col(integer("failures"))
                .col(timestamp_with_time_zone_null("next_run_at"))
                .col(timestamp_with_time_zone_null("last_run_at"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("prompt_schedules"))
                .foreign_key(&mut hangs_on("prompt_schedules", "prompt_id", "prompts"))
                .foreign_key(&mut hangs_on("prompt_schedules", "owner_user_id", "users"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("prompt_schedule_runs")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("schedule_id"))
                .col(timestamp_with_time_zone("due_at"))
                .col(boolean("by_hand"))
                .col(text("status"))
                .col(big_integer_null("execution_id"))
                .col(big_integer_null("rows_returned"))
                .col(text_null("error_code"))
                .col(text_null("error_message"))
                .col(timestamp_with_time_zone_null("completed_at"))
                .foreign_key(&mut belongs_to("prompt_schedule_runs"))
                .foreign_key(&mut hangs_on("prompt_schedule_runs", "schedule_id", "prompt_schedules"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("prompt_schedule_deliveries")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("run_id"))
                .col(text("channel"))
                .col(big_integer_null("user_id"))
                .col(text("status"))
                .col(integer("attempts"))
                .col(text_null("error"))
                .col(timestamp_with_time_zone("at"))
                .foreign_key(&mut belongs_to("prompt_schedule_deliveries"))
                .foreign_key(&mut hangs_on("prompt_schedule_deliveries", "run_id", "prompt_schedule_runs"))
                .foreign_key(&mut hangs_on("prompt_schedule_deliveries", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        for (name, table, columns) in [
            ("prompt_schedules_organization", "prompt_schedules", vec!["organization_id", "id"]),
            ("prompt_schedules_person", "prompt_schedules", vec!["owner_user_id", "id"]),
            ("prompt_schedules_prompt", "prompt_schedules", vec!["prompt_id"]),
            ("prompt_schedule_runs_at", "prompt_schedule_runs", vec!["due_at"]),
            ("prompt_schedule_deliveries_run", "prompt_schedule_deliveries", vec!["run_id", "id"]),
            ("prompt_schedule_deliveries_person", "prompt_schedule_deliveries", vec!["user_id", "id"]),
        ] {
            let mut index = Index::create().name(name).table(table).to_owned();
            for column in columns {
                index.col(column);
            }
            m.create_index(index).await?;
        }
        m.create_index(
            Index::create()
                .name("prompt_schedule_runs_schedule")
                .table("prompt_schedule_runs")
                .col("schedule_id")
                .col("due_at")
                .unique()
                .to_owned(),
        )
        .await?;
        // Those that will run.
        m.get_connection()
            .execute_unprepared(
                "CREATE INDEX prompt_schedules_due ON prompt_schedules (next_run_at) WHERE next_run_at IS NOT NULL",
            )
            .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
