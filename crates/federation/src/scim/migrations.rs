//! The tables of SCIM, and what it leaves on memberships and roles.

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

use crate::migrations::{belongs_to, index};

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Managed),
        Box::new(Configs),
        Box::new(Resources),
        Box::new(Syncs),
        Box::new(Versions),
        Box::new(Vouchers),
        Box::new(MemberNames),
        Box::new(NameOrders),
        Box::new(ActiveUsers),
        Box::new(ActivePages),
    ]
}

struct Managed;

impl MigrationName for Managed {
    fn name(&self) -> &str {
        "m0082_scim_managed"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Managed {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let active = boolean_null("scim_active");
        m.alter_table(Table::alter().table("memberships").add_column(active).to_owned()).await?;
        let given = boolean("given_by_group").default(false).to_owned();
        m.alter_table(Table::alter().table("role_assignments").add_column(given).to_owned()).await
    }
}

struct Configs;

impl MigrationName for Configs {
    fn name(&self) -> &str {
        "m0082_scim_configs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Configs {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("scim_configs")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_uniq("provider_id"))
                .col(boolean("enabled"))
                .col(big_integer_null("default_role_id"))
                .col(json("group_role_mapping"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("scim_configs", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("scim_configs", "provider_id", "sso_providers"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("scim_configs", "scim_configs_organization", &["organization_id", "id"])).await?;

        m.create_table(
            Table::create()
                .table("scim_tokens")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("config_id"))
                .col(text("prefix"))
                .col(binary_uniq("token_hash"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .foreign_key(&mut belongs_to("scim_tokens", "config_id", "scim_configs"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("scim_tokens", "scim_tokens_config", &["config_id", "id"])).await?;

        m.create_table(
            Table::create()
                .table("scim_errors")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("config_id"))
                .col(timestamp_with_time_zone("occurred_at"))
                .col(text("request"))
                .col(integer("status"))
                .col(text_null("scim_type"))
                .col(text("detail"))
                .foreign_key(&mut belongs_to("scim_errors", "config_id", "scim_configs"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("scim_errors", "scim_errors_config", &["config_id", "id"])).await
    }
}

struct Resources;

impl MigrationName for Resources {
    fn name(&self) -> &str {
        "m0082_scim_resources"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Resources {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("scim_users")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("config_id"))
                .col(big_integer("membership_id"))
                .col(big_integer("user_id"))
                .col(text("user_name_key"))
                .col(text_null("external_id"))
                .col(boolean("active"))
                .col(json_binary("attributes"))
                .col(json_binary("folded"))
                .col(big_integer("version"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("scim_users", "config_id", "scim_configs"))
                // Who leaves the organization, whoever took them out, is no user any more.
                .foreign_key(&mut belongs_to("scim_users", "membership_id", "memberships"))
                .to_owned(),
        )
        .await?;
        for (name, columns) in [
            // A list, and one user.
            ("scim_users_user", ["organization_id", "user_id"]),
            ("scim_users_name", ["organization_id", "user_name_key"]),
            ("scim_users_external", ["organization_id", "external_id"]),
        ] {
            m.create_index(index("scim_users", name, &columns).unique().to_owned()).await?;
        }
        m.create_index(index("scim_users", "scim_users_updated", &["organization_id", "updated_at"])).await?;
        // Of one provider: for a reconciliation, and how many there are.
        m.create_index(index("scim_users", "scim_users_config", &["config_id", "id"])).await?;
        m.create_index(index("scim_users", "scim_users_membership", &["membership_id"])).await?;
        // What is kept about a person.
        m.create_index(index("scim_users", "scim_users_person", &["user_id", "id"])).await?;

        m.create_table(
            Table::create()
                .table("scim_groups")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("config_id"))
                .col(text("display_name"))
                .col(text("display_name_key"))
                .col(text_null("external_id"))
                .col(big_integer("version"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("scim_groups", "config_id", "scim_configs"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("scim_groups", "scim_groups_organization", &["organization_id", "id"])).await?;
        m.create_index(index("scim_groups", "scim_groups_name", &["organization_id", "display_name_key"])).await?;
        let external = ["organization_id", "external_id"];
        m.create_index(index("scim_groups", "scim_groups_external", &external).unique().to_owned()).await?;
        m.create_index(index("scim_groups", "scim_groups_config", &["config_id", "id"])).await?;

        m.create_table(
            Table::create()
                .table("scim_group_members")
                .col(big_integer("group_id"))
                .col(big_integer("scim_user_id"))
                .col(timestamp_with_time_zone("added_at"))
                .primary_key(Index::create().col("group_id").col("scim_user_id"))
                .foreign_key(&mut belongs_to("scim_group_members", "group_id", "scim_groups"))
                .foreign_key(&mut belongs_to("scim_group_members", "scim_user_id", "scim_users"))
                .to_owned(),
        )
        .await?;
        // The groups of a user.
        m.create_index(index("scim_group_members", "scim_group_members_user", &["scim_user_id", "group_id"])).await
    }
}

struct Syncs;

impl MigrationName for Syncs {
    fn name(&self) -> &str {
        "m0082_scim_syncs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Syncs {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("scim_syncs")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("config_id"))
                .col(text("sync_type"))
                .col(text("status"))
                .col(big_integer("after_id"))
                .col(timestamp_with_time_zone_null("changed_since"))
                .col(big_integer("users_changed"))
                .col(json("conflicts"))
                .col(timestamp_with_time_zone("started_at"))
                .col(timestamp_with_time_zone_null("finished_at"))
                .foreign_key(&mut belongs_to("scim_syncs", "config_id", "scim_configs"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("scim_syncs", "scim_syncs_config", &["config_id", "id"])).await
    }
}

struct Vouchers;

impl MigrationName for Vouchers {
    fn name(&self) -> &str {
        "m0120_scim_vouchers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Vouchers {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // Of what was set up before, nobody is known who was given the token: it is rotated once.
        let voucher = big_integer_null("vouched_by_user_id");
        m.alter_table(Table::alter().table("scim_configs").add_column(voucher).to_owned()).await
    }
}

struct MemberNames;

impl MigrationName for MemberNames {
    fn name(&self) -> &str {
        "m0123_scim_member_names"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for MemberNames {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // SQLite looks members up by their ids alone, whatever index there is beside these.
        if m.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        m.get_connection().execute_unprepared(MEMBER_NAMES_POSTGRES).await?;
        m.create_index(index("scim_users", "scim_users_member", &["id", "user_id", "member_name"])).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What a group calls a member, so that who is in a large group is read from indexes and no document. No longer than an index
/// takes.
const MEMBER_NAMES_POSTGRES: &str = "ALTER TABLE scim_users ADD COLUMN member_name text GENERATED ALWAYS AS \
     (left(COALESCE(attributes ->> 'displayName', attributes ->> 'userName'), 255)) STORED";

struct NameOrders;

impl MigrationName for NameOrders {
    fn name(&self) -> &str {
        "m0127_scim_name_orders"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for NameOrders {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // Lists are ordered by code points, as SQLite compares texts anyway. So does PostgreSQL in these columns from
        // now on, and the indexes by which names are looked up, scim_users_name and scim_groups_name, have the order of
        // the lists.
        if m.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        for (table, column) in [("scim_users", "user_name_key"), ("scim_groups", "display_name_key")] {
            let sql = format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE \"C\"");
            m.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct ActiveUsers;

impl MigrationName for ActiveUsers {
    fn name(&self) -> &str {
        "m0127_scim_active_users"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ActiveUsers {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // Those of one provider whom it lets in are counted without their documents.
        m.get_connection().execute_unprepared("DROP INDEX scim_users_config").await?;
        m.create_index(index("scim_users", "scim_users_config", &["config_id", "id", "active"])).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

struct ActivePages;

impl MigrationName for ActivePages {
    fn name(&self) -> &str {
        "m0132_scim_active_pages"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ActivePages {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // Those of an organization who are let in, and those who are not: counted without their documents, and listed without
        // a look at the others.
        m.create_index(index("scim_users", "scim_users_active", &["organization_id", "active", "user_id"])).await
    }
}

struct Versions;

impl MigrationName for Versions {
    fn name(&self) -> &str {
        "m0082_scim_group_versions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Versions {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let statements = match m.get_database_backend() {
            DbBackend::Postgres => LOST_MEMBERS_POSTGRES,
            _ => LOST_MEMBERS_SQLITE,
        };
        for statement in statements {
            m.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Who leaves the organization leaves its groups, by the foreign keys and whoever took them out; the entity tags of these
/// groups say so. Once for a statement, however many it takes out.
const LOST_MEMBERS_POSTGRES: &[&str] = &[
    "CREATE FUNCTION scim_groups_lose_members() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN UPDATE scim_groups SET version = version + 1, updated_at = now() \
     WHERE id IN (SELECT group_id FROM gone); RETURN NULL; END $$",
    "CREATE TRIGGER scim_group_members_gone AFTER DELETE ON scim_group_members REFERENCING OLD TABLE AS gone \
     FOR EACH STATEMENT EXECUTE FUNCTION scim_groups_lose_members()",
];

/// The same once for a row, as SQLite has no other triggers: ten thousand members who go take some 25 ms longer. A
/// statement for all of them would have to stand wherever somebody goes, which is in rooms that know nothing of groups:
/// memberships, accounts and organizations are deleted there, and the foreign keys do the rest. Where a group itself is
/// changed, it counts its version after its members went, and where it is deleted there is nothing left to count.
const LOST_MEMBERS_SQLITE: &[&str] = &["CREATE TRIGGER scim_group_members_gone AFTER DELETE ON scim_group_members \
     BEGIN UPDATE scim_groups SET version = version + 1, \
     updated_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now') WHERE id = OLD.group_id; END"];
