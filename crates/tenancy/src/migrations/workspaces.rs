//! Workspaces that are open to every member, and the changes of their settings.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::ConnectionTrait};

/// Which workspaces are open to every member of their organization, where lists can ask for it.
pub(super) struct PublicWorkspaces;

impl MigrationName for PublicWorkspaces {
    fn name(&self) -> &str {
        "m0024_tenancy_public_workspaces"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PublicWorkspaces {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean("is_public").default(false).to_owned();
        m.alter_table(Table::alter().table("workspaces").add_column(column).to_owned()).await?;
        let db = m.get_connection();
        let is_set = match db.get_database_backend() {
            sea_orm_migration::sea_orm::DbBackend::Postgres => "settings ->> 'allow_public_access' = 'true'",
            _ => "json_extract(settings, '$.allow_public_access') = 1",
        };
        db.execute_unprepared(&format!("UPDATE workspaces SET is_public = TRUE WHERE {is_set}")).await?;
        let index = "CREATE INDEX workspaces_public ON workspaces (organization_id, id) WHERE is_public = TRUE";
        db.execute_unprepared(index).await.map(drop)
    }
}

/// Whether an organization lets workspaces be open to all of its members.
pub(super) struct PublicAccess;

impl MigrationName for PublicAccess {
    fn name(&self) -> &str {
        "m0027_tenancy_public_access"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PublicAccess {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean("allows_public_workspaces").default(true).to_owned();
        m.alter_table(Table::alter().table("organizations").add_column(column).to_owned()).await
    }
}

/// How often the settings of a workspace were changed, and by whom the last time.
pub(super) struct WorkspaceSettingsChanges;

impl MigrationName for WorkspaceSettingsChanges {
    fn name(&self) -> &str {
        "m0128_tenancy_workspace_settings_changes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for WorkspaceSettingsChanges {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            big_integer("settings_version").default(0).to_owned(),
            timestamp_with_time_zone_null("settings_updated_at"),
            big_integer_null("settings_updated_by"),
        ] {
            m.alter_table(Table::alter().table("workspaces").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
