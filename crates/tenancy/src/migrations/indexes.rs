//! Indexes that came after their tables, each for the lists and checks that it says.

use sea_orm_migration::{prelude::*, sea_orm::ConnectionTrait};

/// What keeps questions short in an organization of a hundred thousand people.
pub(super) struct Lookups;

impl MigrationName for Lookups {
    fn name(&self) -> &str {
        "m0025_tenancy_lookups"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Lookups {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            // The words of one member: to look for a second one among those who have the first, and to take them away.
            "CREATE INDEX member_words_member ON member_words (user_id, organization_id, word)",
            // The holders of a role are counted and found without a look at the table.
            "CREATE INDEX role_assignments_holders ON role_assignments (role_id, user_id, expires_at, organization_id)",
        ] {
            m.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// Which invitations are long over.
pub(super) struct InvitationExpiry;

impl MigrationName for InvitationExpiry {
    fn name(&self) -> &str {
        "m0029_tenancy_invitation_expiry"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for InvitationExpiry {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let index = "CREATE INDEX invitations_expiry ON invitations (expires_at)";
        m.get_connection().execute_unprepared(index).await.map(drop)
    }
}

/// What somebody sent: access requests ask for it.
pub(super) struct SentByPeople;

impl MigrationName for SentByPeople {
    fn name(&self) -> &str {
        "m0029_tenancy_sent_by_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SentByPeople {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for index in [
            "CREATE INDEX invitations_inviter ON invitations (invited_by_user_id, id)",
            "CREATE INDEX user_imports_starter ON user_imports (started_by_user_id, id)",
        ] {
            m.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }
}

/// Who holds a role in a workspace, told by indexes alone.
pub(super) struct WorkspacePeople;

impl MigrationName for WorkspacePeople {
    fn name(&self) -> &str {
        "m0127_tenancy_workspace_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for WorkspacePeople {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            // Pages of a workspace's people pass over those before them without a look at the table.
            "DROP INDEX role_assignments_workspace",
            "CREATE INDEX role_assignments_workspace ON role_assignments \
             (workspace_id, id, user_id, expires_at, organization_id)",
            // Whether somebody was given another role there before.
            "DROP INDEX role_assignments_people",
            "CREATE INDEX role_assignments_people ON role_assignments \
             (organization_id, workspace_id, user_id, expires_at, id) WHERE workspace_id IS NOT NULL",
        ] {
            m.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Invitations, listed and counted without a look at those that are not shown.
pub(super) struct InvitationPages;

impl MigrationName for InvitationPages {
    fn name(&self) -> &str {
        "m0127_tenancy_invitation_pages"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for InvitationPages {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            "DROP INDEX invitations_organization",
            "CREATE INDEX invitations_organization ON invitations (organization_id, status, id, expires_at)",
            "DROP INDEX invitations_newest",
            "CREATE INDEX invitations_newest ON invitations (organization_id, id, status, expires_at)",
        ] {
            m.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Whose status changed lately.
pub(super) struct StatusChanges;

impl MigrationName for StatusChanges {
    fn name(&self) -> &str {
        "m0127_tenancy_status_changes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for StatusChanges {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let index = "CREATE INDEX memberships_changed ON memberships (organization_id, status_updated_at) \
                     WHERE status_updated_at IS NOT NULL";
        m.get_connection().execute_unprepared(index).await.map(drop)
    }
}
