//! Organizations: what they are, what they ask of their members, and how they look.

use sea_orm_migration::{prelude::*, schema::*};

use super::belongs_to;

/// Organizations, and what was in them from the first day.
pub(super) struct Organizations;

impl MigrationName for Organizations {
    fn name(&self) -> &str {
        "m0020_tenancy_organizations"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Organizations {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("organizations")
                .col(big_pk_auto("id"))
                .col(text("name"))
                .col(text_uniq("name_key"))
                .col(text_null("domain"))
                .col(text("plan"))
                .col(boolean("is_personal"))
                .col(big_integer("created_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("workspaces")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("name"))
                .col(text("name_key"))
                .col(text("slug"))
                .col(boolean("is_default"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .foreign_key(&mut belongs_to("workspaces", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        for (name, column) in [("workspaces_name", "name_key"), ("workspaces_slug", "slug")] {
            m.create_index(
                Index::create().unique().name(name).table("workspaces").col("organization_id").col(column).to_owned(),
            )
            .await?;
        }
        m.create_table(
            Table::create()
                .table("roles")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("name"))
                .col(text("description"))
                .col(boolean("is_built_in"))
                .col(json("permissions"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(&mut belongs_to("roles", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().unique().name("roles_name").table("roles").col("organization_id").col("name").to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("memberships")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("user_id"))
                .col(text("status"))
                .col(text("source"))
                .col(json("attributes"))
                .col(timestamp_with_time_zone("joined_at"))
                .foreign_key(&mut belongs_to("memberships", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("memberships", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .unique()
                .name("memberships_member")
                .table("memberships")
                .col("organization_id")
                .col("user_id")
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("memberships_user").table("memberships").col("user_id").col("status").to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("role_assignments")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("user_id"))
                .col(big_integer("role_id"))
                .col(big_integer_null("workspace_id"))
                .col(timestamp_with_time_zone("assigned_at"))
                .foreign_key(&mut belongs_to("role_assignments", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("role_assignments", "user_id", "users"))
                .foreign_key(&mut belongs_to("role_assignments", "role_id", "roles"))
                .foreign_key(&mut belongs_to("role_assignments", "workspace_id", "workspaces"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("role_assignments_user")
                .table("role_assignments")
                .col("user_id")
                .col("organization_id")
                .to_owned(),
        )
        .await
    }
}

/// What organizations ask of their members' sign-ins.
pub(super) struct Security;

impl MigrationName for Security {
    fn name(&self) -> &str {
        "m0021_tenancy_security"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Security {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.alter_table(Table::alter().table("organizations").add_column(json_null("security")).to_owned()).await
    }
}

/// What organizations enforce of single sign-on.
pub(super) struct Enforcements;

impl MigrationName for Enforcements {
    fn name(&self) -> &str {
        "m0084_tenancy_enforcement"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Enforcements {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = json_null("enforcement");
        m.alter_table(Table::alter().table("organizations").add_column(column).to_owned()).await
    }
}

/// Pictures of organizations.
pub(super) struct Logos;

impl MigrationName for Logos {
    fn name(&self) -> &str {
        "m0125_tenancy_logos"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Logos {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("organization_logos")
                .col(big_integer("organization_id").primary_key())
                .col(text("data_url"))
                .foreign_key(&mut belongs_to("organization_logos", "organization_id", "organizations"))
                .to_owned(),
        )
        .await
    }
}
