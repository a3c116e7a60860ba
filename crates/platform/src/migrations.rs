//! The tables of this crate: jobs, keys, the audit log and its streams, idempotency keys, rate limits.
//!
//! Migrations are written once for both databases: what the schema builder cannot say (partial indexes,
//! triggers) is plain SQL that both understand, or stands beside its twin. Each runs in a transaction of
//! its own, so that a server that is killed half-way starts again where it was.

#![allow(elided_lifetimes_in_paths, reason = "the trait's own signature elides it, and an impl must match")]

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, big_pk_auto, binary, integer, string, string_null, text, text_null},
    schema::{timestamp_with_time_zone, timestamp_with_time_zone_null},
    sea_orm::{ConnectionTrait, DbBackend},
};

/// In the order in which they were written; a published one is never changed.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Jobs),
        Box::new(Keys),
        Box::new(AuditLog),
        Box::new(IdempotencyKeys),
        Box::new(RateLimits),
        Box::new(AuditStreams),
        Box::new(SigningPurposes),
        Box::new(AuditLookups),
        Box::new(NextSigningKeys),
        Box::new(AuditHolders),
        Box::new(SigningKeysByAlgorithm),
        Box::new(JobsDueOfKind),
    ]
}

struct Jobs;

impl MigrationName for Jobs {
    fn name(&self) -> &str {
        "m0001_platform_jobs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Jobs {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("jobs")
                    .col(big_pk_auto("id"))
                    .col(string("kind"))
                    .col(text("payload"))
                    .col(big_integer_null("organization_id"))
                    .col(string("state"))
                    .col(timestamp_with_time_zone("due_at"))
                    .col(integer("attempts"))
                    .col(integer("max_attempts"))
                    .col(string_null("unique_key"))
                    .col(string_null("claim"))
                    .col(text_null("last_error"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("finished_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("periodic_jobs")
                    .col(string("kind").primary_key())
                    .col(timestamp_with_time_zone("next_run_at"))
                    .to_owned(),
            )
            .await?;
        let sql = manager.get_connection();
        // The claim: what is unfinished and due, oldest first. Finished jobs are not in it, so it stays small.
        sql.execute_unprepared("CREATE INDEX jobs_due ON jobs (due_at, id) WHERE finished_at IS NULL").await?;
        sql.execute_unprepared(
            "CREATE UNIQUE INDEX jobs_unique_key ON jobs (kind, unique_key) \
             WHERE finished_at IS NULL AND unique_key IS NOT NULL",
        )
        .await?;
        // The purge.
        sql.execute_unprepared("CREATE INDEX jobs_finished ON jobs (state, finished_at) WHERE finished_at IS NOT NULL")
            .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct Keys;

impl MigrationName for Keys {
    fn name(&self) -> &str {
        "m0002_platform_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Keys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("data_keys")
                    .col(big_pk_auto("id"))
                    .col(big_integer_null("organization_id"))
                    .col(integer("version"))
                    .col(binary("sealed_key"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("retired_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("signing_keys")
                    .col(string("kid").primary_key())
                    .col(string("algorithm"))
                    .col(binary("private_key"))
                    .col(text("public_jwk"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("retired_at"))
                    .to_owned(),
            )
            .await?;
        let sql = manager.get_connection();
        // COALESCE, because NULLs are distinct in a unique index and the system has one key of each version too.
        sql.execute_unprepared(
            "CREATE UNIQUE INDEX data_keys_owner_version ON data_keys (COALESCE(organization_id, 0), version)",
        )
        .await?;
        // At most one current signing key: two nodes that both find none end with one.
        sql.execute_unprepared(
            "CREATE UNIQUE INDEX signing_keys_current ON signing_keys ((1)) WHERE retired_at IS NULL",
        )
        .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct AuditLog;

impl MigrationName for AuditLog {
    fn name(&self) -> &str {
        "m0003_platform_audit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AuditLog {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("audit_log")
                    .col(big_pk_auto("id"))
                    .col(big_integer("chain"))
                    .col(big_integer("sequence"))
                    .col(big_integer_null("organization_id"))
                    .col(timestamp_with_time_zone("occurred_at"))
                    .col(string("actor_kind"))
                    .col(big_integer_null("actor_user_id"))
                    .col(string_null("ip"))
                    .col(text_null("user_agent"))
                    .col(string("action"))
                    .col(string_null("target_kind"))
                    .col(string_null("target_id"))
                    .col(string("outcome"))
                    .col(text("details"))
                    .col(binary("previous_hash"))
                    .col(binary("hash"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("audit_heads")
                    .col(big_integer("chain").primary_key())
                    .col(big_integer("sequence"))
                    .col(binary("hash"))
                    .to_owned(),
            )
            .await?;
        let sql = manager.get_connection();
        for index in [
            "CREATE UNIQUE INDEX audit_log_chain ON audit_log (chain, sequence)",
            "CREATE INDEX audit_log_organization ON audit_log (organization_id, id)",
            "CREATE INDEX audit_log_actor ON audit_log (actor_user_id, id)",
            "CREATE INDEX audit_log_action ON audit_log (action, id)",
            "CREATE INDEX audit_log_target ON audit_log (target_kind, target_id, id)",
        ] {
            sql.execute_unprepared(index).await?;
        }
        let append_only = match manager.get_database_backend() {
            DbBackend::Postgres => APPEND_ONLY_POSTGRES,
            _ => APPEND_ONLY_SQLITE,
        };
        for statement in append_only {
            sql.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct IdempotencyKeys;

impl MigrationName for IdempotencyKeys {
    fn name(&self) -> &str {
        "m0004_platform_idempotency_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for IdempotencyKeys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("idempotency_keys")
                    .col(big_pk_auto("id"))
                    .col(string("scope"))
                    .col(binary("key_hash"))
                    .col(binary("request_hash"))
                    .col(big_integer("object_id"))
                    .col(timestamp_with_time_zone("created_at"))
                    .to_owned(),
            )
            .await?;
        let sql = manager.get_connection();
        sql.execute_unprepared("CREATE UNIQUE INDEX idempotency_keys_key ON idempotency_keys (scope, key_hash)")
            .await?;
        // Old keys are deleted by age.
        sql.execute_unprepared("CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at)").await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const APPEND_ONLY_POSTGRES: &[&str] = &[
    "CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE EXCEPTION 'audit_log is append-only'; END $$",
    "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE ON audit_log \
     FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only()",
    "CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log \
     FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()",
];

const APPEND_ONLY_SQLITE: &[&str] = &[
    "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log \
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
    "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log \
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
    // INSERT OR REPLACE deletes without asking the trigger above.
    "CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log \
     WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id OR (chain = NEW.chain AND sequence = NEW.sequence)) \
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
];

struct RateLimits;

impl MigrationName for RateLimits {
    fn name(&self) -> &str {
        "m0005_platform_rate_limits"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for RateLimits {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("rate_limits")
                    .col(string("rule"))
                    .col(string("key_hash"))
                    .col(big_integer("full_at"))
                    .primary_key(Index::create().col("rule").col("key_hash"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(Index::create().name("rate_limits_full_at").table("rate_limits").col("full_at").to_owned())
            .await
    }
}

struct AuditStreams;

impl MigrationName for AuditStreams {
    fn name(&self) -> &str {
        "m0006_platform_audit_streams"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AuditStreams {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("audit_streams")
                    .col(string("name").primary_key())
                    .col(timestamp_with_time_zone("begun_at"))
                    .col(integer("failures"))
                    .col(timestamp_with_time_zone_null("last_success_at"))
                    .col(timestamp_with_time_zone_null("last_failure_at"))
                    .col(text_null("last_error"))
                    .col(timestamp_with_time_zone_null("next_attempt_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("audit_stream_positions")
                    .col(string("stream"))
                    .col(big_integer("chain"))
                    .col(big_integer("sequence"))
                    .primary_key(Index::create().col("stream").col("chain"))
                    .to_owned(),
            )
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct SigningPurposes;

impl MigrationName for SigningPurposes {
    fn name(&self) -> &str {
        "m0007_platform_signing_purposes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SigningPurposes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = string("purpose").default("sessions").to_owned();
        manager.alter_table(Table::alter().table("signing_keys").add_column(column).to_owned()).await?;
        let sql = manager.get_connection();
        sql.execute_unprepared("DROP INDEX signing_keys_current").await?;
        // At most one current key of each purpose: two nodes that both find none end with one.
        sql.execute_unprepared(
            "CREATE UNIQUE INDEX signing_keys_current ON signing_keys (purpose) WHERE retired_at IS NULL",
        )
        .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The log of a large organization, by what was done and by when.
struct AuditLookups;

impl MigrationName for AuditLookups {
    fn name(&self) -> &str {
        "m0008_platform_audit_lookups"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AuditLookups {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Under PostgreSQL's other operator classes the beginning of a text takes no index.
        let class = match manager.get_database_backend() {
            DbBackend::Postgres => " text_pattern_ops",
            _ => "",
        };
        let sql = manager.get_connection();
        for statement in [
            "DROP INDEX audit_log_action".to_owned(),
            format!("CREATE INDEX audit_log_action ON audit_log (organization_id, action{class}, id)"),
            "CREATE INDEX audit_log_time ON audit_log (organization_id, occurred_at, id)".to_owned(),
        ] {
            sql.execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct NextSigningKeys;

impl MigrationName for NextSigningKeys {
    fn name(&self) -> &str {
        "m0009_platform_next_signing_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for NextSigningKeys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = timestamp_with_time_zone_null("signs_since");
        manager.alter_table(Table::alter().table("signing_keys").add_column(column).to_owned()).await?;
        let sql = manager.get_connection();
        sql.execute_unprepared("UPDATE signing_keys SET signs_since = created_at").await?;
        sql.execute_unprepared("DROP INDEX signing_keys_current").await?;
        // At most one that signs and one that does next, of each purpose.
        sql.execute_unprepared(
            "CREATE UNIQUE INDEX signing_keys_current ON signing_keys (purpose) \
             WHERE retired_at IS NULL AND signs_since IS NOT NULL",
        )
        .await?;
        sql.execute_unprepared(
            "CREATE UNIQUE INDEX signing_keys_next ON signing_keys (purpose) WHERE signs_since IS NULL",
        )
        .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Whose role a record tells of, which stands in its details: it was given to them, or taken.
struct AuditHolders;

impl MigrationName for AuditHolders {
    fn name(&self) -> &str {
        "m0110_platform_audit_holders"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AuditHolders {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let holder = match manager.get_database_backend() {
            DbBackend::Postgres => "(CAST(details AS json) ->> 'user_id')",
            _ => "json_extract(details, '$.user_id')",
        };
        let index = format!(
            "CREATE INDEX audit_log_holder ON audit_log ({holder}, id) WHERE action IN ('role.assign', 'role.revoke')"
        );
        manager.get_connection().execute_unprepared(&index).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Applications have a key of each algorithm that signs, and one that does next.
struct SigningKeysByAlgorithm;

impl MigrationName for SigningKeysByAlgorithm {
    fn name(&self) -> &str {
        "m0116_platform_signing_keys_by_algorithm"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SigningKeysByAlgorithm {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = manager.get_connection();
        let of = "(purpose, (CASE WHEN purpose = 'applications' THEN algorithm ELSE '' END))";
        for (name, which) in [
            ("signing_keys_current", "retired_at IS NULL AND signs_since IS NOT NULL"),
            ("signing_keys_next", "signs_since IS NULL"),
        ] {
            sql.execute_unprepared(&format!("DROP INDEX {name}")).await?;
            sql.execute_unprepared(&format!("CREATE UNIQUE INDEX {name} ON signing_keys {of} WHERE {which}")).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What is due of one kind is found whatever is due of others.
struct JobsDueOfKind;

impl MigrationName for JobsDueOfKind {
    fn name(&self) -> &str {
        "m0130_platform_jobs_due_of_kind"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for JobsDueOfKind {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = manager.get_connection();
        sql.execute_unprepared("DROP INDEX jobs_due").await?;
        sql.execute_unprepared("CREATE INDEX jobs_due ON jobs (kind, due_at, id) WHERE finished_at IS NULL").await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
