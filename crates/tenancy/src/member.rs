//! Memberships: who belongs to an organization, with which roles and attributes.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Attributes, Error, OrganizationId, Result, RoleId, UserId, WorkspaceId};
use rivergen_platform::{Event, Transaction, db::TenantOwned};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

/// Whether a membership counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    #[sea_orm(string_value = "active")]
    Active,
    #[sea_orm(string_value = "suspended")]
    Suspended,
}

/// How somebody came into an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Source {
    #[sea_orm(string_value = "signup")]
    Signup,
    #[sea_orm(string_value = "created")]
    Created,
    #[sea_orm(string_value = "provisioned")]
    Provisioned,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    pub status: Status,
    pub source: Source,
    /// Set by administrators; policies name them as `current_user_<key>`.
    pub attributes: Json,
    pub joined_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn attributes(&self) -> Attributes {
        serde_json::from_value(self.attributes.clone()).unwrap_or_default()
    }
}

/// The roles of a member: in the whole organization, or in one workspace of it.
pub mod assignment {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "role_assignments")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub organization_id: OrganizationId,
        pub user_id: UserId,
        pub role_id: RoleId,
        /// `None`: in the whole organization.
        pub workspace_id: Option<WorkspaceId>,
        pub assigned_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }
}

/// Adds somebody to an organization with one role in it.
pub async fn add(
    tx: &Transaction,
    organization_id: OrganizationId,
    user_id: UserId,
    role_id: RoleId,
    source: Source,
    attributes: &Attributes,
    now: DateTime<Utc>,
) -> Result<()> {
    ActiveModel {
        organization_id: Set(organization_id),
        user_id: Set(user_id),
        status: Set(Status::Active),
        source: Set(source),
        attributes: Set(serde_json::to_value(attributes).map_err(Error::internal)?),
        joined_at: Set(now),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    assign(tx, organization_id, user_id, role_id, None, now).await?;
    tx.publish(Event::UserChanged(user_id)).await
}

/// Gives a member a role, in one workspace or in the whole organization.
pub async fn assign(
    tx: &Transaction,
    organization_id: OrganizationId,
    user_id: UserId,
    role_id: RoleId,
    workspace_id: Option<WorkspaceId>,
    now: DateTime<Utc>,
) -> Result<()> {
    assignment::ActiveModel {
        organization_id: Set(organization_id),
        user_id: Set(user_id),
        role_id: Set(role_id),
        workspace_id: Set(workspace_id),
        assigned_at: Set(now),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    tx.publish(Event::UserChanged(user_id)).await
}
