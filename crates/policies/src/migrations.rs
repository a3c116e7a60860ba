//! The tables of this room.

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Policies),
        Box::new(QueryRuns),
        Box::new(RunsOfAPerson),
        Box::new(Versions),
        Box::new(EvaluationDays),
        Box::new(ColumnTags),
        Box::new(Progress),
        Box::new(RunsOfAnOrganization),
        Box::new(OfAPerson),
        Box::new(NoRowsFiltered),
        Box::new(BoundTables),
    ]
}

fn belongs_to(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(parent, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}

struct Policies;

impl MigrationName for Policies {
    fn name(&self) -> &str {
        "m0040_policies_policies"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Policies {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("policies")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(text("name"))
                .col(text_null("description"))
                .col(text("policy_type"))
                .col(boolean("is_active"))
                .col(big_integer("priority"))
                .col(json("metadata"))
                .col(big_integer("created_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(big_integer_null("updated_by_user_id"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .foreign_key(&mut belongs_to("policies", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        // The list, in its order, and the load of all active policies of an organization.
        m.create_index(
            Index::create()
                .name("policies_organization")
                .table("policies")
                .col("organization_id")
                .col("priority")
                .col("id")
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("policy_rules")
                .col(big_pk_auto("id"))
                .col(big_integer("policy_id"))
                .col(text("rule_name"))
                .col(text("rule_type"))
                .col(json("rule_config"))
                .col(big_integer("rule_order"))
                .col(boolean("is_active"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("policy_rules", "policy_id", "policies"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("policy_rules_policy")
                .table("policy_rules")
                .col("policy_id")
                .col("rule_order")
                .to_owned(),
        )
        .await?;
        // A source has no foreign key: its table belongs to a room above. Where a role or a person goes,
        // their assignments go; a workspace is only marked as deleted.
        m.create_table(
            Table::create()
                .table("policy_assignments")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("policy_id"))
                .col(big_integer_null("data_source_id"))
                .col(big_integer_null("workspace_id"))
                .col(big_integer_null("role_id"))
                .col(big_integer_null("user_id"))
                .col(boolean("is_active"))
                .col(json("metadata"))
                .col(timestamp_with_time_zone("applied_at"))
                .col(big_integer("applied_by_user_id"))
                .foreign_key(&mut belongs_to("policy_assignments", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("policy_assignments", "policy_id", "policies"))
                .foreign_key(&mut belongs_to("policy_assignments", "role_id", "roles"))
                .foreign_key(&mut belongs_to("policy_assignments", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("policy_assignments_organization")
                .table("policy_assignments")
                .col("organization_id")
                .to_owned(),
        )
        .await?;
        // The same targets once in a policy; COALESCE, because NULLs are distinct in a unique index.
        m.get_connection()
            .execute_unprepared(
                "CREATE UNIQUE INDEX policy_assignments_targets ON policy_assignments (policy_id, \
                 COALESCE(data_source_id, 0), COALESCE(workspace_id, 0), COALESCE(role_id, 0), COALESCE(user_id, 0))",
            )
            .await
            .map(drop)
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct QueryRuns;

impl MigrationName for QueryRuns {
    fn name(&self) -> &str {
        "m0041_policies_query_runs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for QueryRuns {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("query_runs")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("user_id"))
                .col(text("kind"))
                .col(text("sql_text"))
                .col(json("data_source_ids"))
                .col(text("status"))
                .col(text_null("error_code"))
                .col(big_integer_null("row_count"))
                .col(timestamp_with_time_zone("started_at"))
                .col(big_integer_null("duration_ms"))
                .col(text_null("ip"))
                .foreign_key(&mut belongs_to("query_runs", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        // How many queries a person ran in the last hour.
        m.create_index(
            Index::create()
                .name("query_runs_user")
                .table("query_runs")
                .col("organization_id")
                .col("user_id")
                .col("started_at")
                .to_owned(),
        )
        .await?;
        m.get_connection()
            // What a killed server left behind; finished runs are not in it, so it stays small.
            .execute_unprepared("CREATE INDEX query_runs_running ON query_runs (started_at) WHERE status = 'running'")
            .await?;
        // People and rules have no foreign key: the record outlives them.
        m.create_table(
            Table::create()
                .table("policy_evaluations")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("policy_id"))
                .col(big_integer_null("policy_rule_id"))
                .col(big_integer("user_id"))
                .col(big_integer_null("query_id"))
                .col(big_integer_null("data_source_id"))
                .col(text("evaluation_result"))
                .col(text("action_taken"))
                .col(big_integer_null("rows_filtered"))
                .col(big_integer_null("rows_returned"))
                .col(timestamp_with_time_zone("evaluated_at"))
                .col(text_null("ip_address"))
                .col(json("metadata"))
                .foreign_key(&mut belongs_to("policy_evaluations", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("policy_evaluations", "policy_id", "policies"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("policy_evaluations_policy")
                .table("policy_evaluations")
                .col("policy_id")
                .col("id")
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("policy_evaluations_query").table("policy_evaluations").col("query_id").to_owned(),
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The queries of one person, whatever the organization.
struct RunsOfAPerson;

impl MigrationName for RunsOfAPerson {
    fn name(&self) -> &str {
        "m0042_policies_query_runs_of_a_person"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for RunsOfAPerson {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(
            Index::create().name("query_runs_person").table("query_runs").col("user_id").col("id").to_owned(),
        )
        .await?;
        Ok(())
    }
}

/// Versions of policies, and the end of those that are deleted.
struct Versions;

impl MigrationName for Versions {
    fn name(&self) -> &str {
        "m0043_policies_versions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Versions {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in [big_integer("version").default(1).take(), timestamp_with_time_zone_null("purge_at").take()] {
            m.alter_table(Table::alter().table("policies").add_column(column).to_owned()).await?;
        }
        m.get_connection()
            // The few that are deleted.
            .execute_unprepared("CREATE INDEX policies_purge ON policies (purge_at) WHERE purge_at IS NOT NULL")
            .await?;
        // The author has no foreign key: the versions outlive people.
        m.create_table(
            Table::create()
                .table("policy_versions")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("policy_id"))
                .col(big_integer("version"))
                .col(text("change"))
                .col(json("definition"))
                .col(timestamp_with_time_zone("changed_at"))
                .col(big_integer("changed_by_user_id"))
                .foreign_key(&mut belongs_to("policy_versions", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("policy_versions", "policy_id", "policies"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("policy_versions_policy")
                .table("policy_versions")
                .col("policy_id")
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

/// The evaluations of each day, counted; those that there are already, too.
struct EvaluationDays;

impl MigrationName for EvaluationDays {
    fn name(&self) -> &str {
        "m0044_policies_evaluation_days"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for EvaluationDays {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("policy_evaluation_days")
                .col(big_integer("policy_id"))
                .col(date("day"))
                .col(text("evaluation_result"))
                .col(big_integer("organization_id"))
                .col(big_integer("evaluations"))
                .col(timestamp_with_time_zone("last_evaluated_at"))
                .primary_key(Index::create().col("policy_id").col("day").col("evaluation_result"))
                .foreign_key(&mut belongs_to("policy_evaluation_days", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("policy_evaluation_days", "policy_id", "policies"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("policy_evaluation_days_organization")
                .table("policy_evaluation_days")
                .col("organization_id")
                .col("day")
                .to_owned(),
        )
        .await?;
        let connection = m.get_connection();
        let day = match connection.get_database_backend() {
            DbBackend::Postgres => "CAST(evaluated_at AT TIME ZONE 'UTC' AS date)",
            _ => "substr(evaluated_at, 1, 10)",
        };
        connection
            .execute_unprepared(&format!(
                "INSERT INTO policy_evaluation_days \
                 (policy_id, day, evaluation_result, organization_id, evaluations, last_evaluated_at) \
                 SELECT policy_id, {day}, evaluation_result, organization_id, count(*), max(evaluated_at) \
                 FROM policy_evaluations GROUP BY policy_id, {day}, evaluation_result, organization_id"
            ))
            .await
            .map(drop)
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What columns hold.
struct ColumnTags;

impl MigrationName for ColumnTags {
    fn name(&self) -> &str {
        "m0045_policies_column_tags"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ColumnTags {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // A source has no foreign key: its table belongs to a room above.
        m.create_table(
            Table::create()
                .table("column_tags")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("data_source_id"))
                .col(text("schema_name"))
                .col(text("table_name"))
                .col(text("column_name"))
                .col(text("tag"))
                .col(text("status"))
                .col(text_null("reason"))
                .col(timestamp_with_time_zone("changed_at"))
                .col(big_integer_null("changed_by_user_id"))
                .foreign_key(&mut belongs_to("column_tags", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("column_tags_column")
                .table("column_tags")
                .col("data_source_id")
                .col("schema_name")
                .col("table_name")
                .col("column_name")
                .col("tag")
                .unique()
                .to_owned(),
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// How far a run is, and what its caller was told.
struct Progress;

impl MigrationName for Progress {
    fn name(&self) -> &str {
        "m0046_policies_query_progress"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Progress {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let runs = |column: ColumnDef| Table::alter().table("query_runs").add_column(column).to_owned();
        m.alter_table(runs(text_null("stage"))).await?;
        m.alter_table(runs(big_integer_null("byte_count"))).await?;
        m.alter_table(runs(text_null("error_message"))).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The numbers of all queries of an organization in some time.
struct RunsOfAnOrganization;

impl MigrationName for RunsOfAnOrganization {
    fn name(&self) -> &str {
        "m0047_policies_query_runs_of_an_organization"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for RunsOfAnOrganization {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(
            Index::create()
                .name("query_runs_organization")
                .table("query_runs")
                .col("organization_id")
                .col("started_at")
                .to_owned(),
        )
        .await
    }
}

/// What somebody made, what governs them and what it did to their queries, for an access request.
struct OfAPerson;

impl MigrationName for OfAPerson {
    fn name(&self) -> &str {
        "m0048_policies_of_a_person"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OfAPerson {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for index in [
            "CREATE INDEX policies_person ON policies (created_by_user_id, id)",
            "CREATE INDEX policy_assignments_person ON policy_assignments (user_id, id) WHERE user_id IS NOT NULL",
            "CREATE INDEX policy_evaluations_person ON policy_evaluations (user_id, id)",
        ] {
            m.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }
}

/// A number that nobody ever had.
struct NoRowsFiltered;

impl MigrationName for NoRowsFiltered {
    fn name(&self) -> &str {
        "m0049_policies_no_rows_filtered"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for NoRowsFiltered {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.alter_table(Table::alter().table("policy_evaluations").drop_column("rows_filtered").to_owned()).await
    }
}

/// Assignments to single tables of a source.
struct BoundTables;

impl MigrationName for BoundTables {
    fn name(&self) -> &str {
        "m0112_policies_bound_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for BoundTables {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            big_integer_null("dataset_id"),
            big_integer_null("dataset_source_id"),
            text_null("dataset_schema"),
            text_null("dataset_table"),
        ] {
            m.alter_table(Table::alter().table("policy_assignments").add_column(column).to_owned()).await?;
        }
        for statement in [
            "DROP INDEX policy_assignments_targets",
            "CREATE UNIQUE INDEX policy_assignments_targets ON policy_assignments (policy_id, \
             COALESCE(data_source_id, 0), COALESCE(workspace_id, 0), COALESCE(role_id, 0), COALESCE(user_id, 0), \
             COALESCE(dataset_source_id, 0), COALESCE(dataset_schema, ''), COALESCE(dataset_table, ''))",
        ] {
            m.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
