//! The roles of a member: in the whole organization, or in one workspace of it.

use chrono::{DateTime, Utc};
use rivergen_kernel::{ErrorCode, OrganizationId, Result, RoleId, Tenant, UserId, WorkspaceId};
use rivergen_platform::{
    Clock, Event, Transaction,
    audit::{self, Actor, AuditRecord},
    db::{TenantOwned, TenantScope, duplicate_is},
};
use sea_orm::{ActiveValue::Set, Condition, QuerySelect, QueryTrait, entity::prelude::*, sea_query::SelectStatement};

use crate::organization;

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
    /// `None`: the server, or somebody before it was written down.
    pub assigned_by_user_id: Option<UserId>,
    /// For a role on loan.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether a group of the identity provider gave it: it goes when the person leaves the group.
    pub given_by_group: bool,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// Those that count now.
pub fn live(now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now))
}

/// The ids of those who hold one of the roles, wherever in the organization. Index: role_assignments(role_id, user_id,
/// expires_at, organization_id).
pub fn holders(tenant: Tenant, roles: &[RoleId], now: DateTime<Utc>) -> SelectStatement {
    tenant
        .find::<Entity>()
        .select_only()
        .column(Column::UserId)
        .filter(Column::RoleId.is_in(roles.iter().copied()))
        .filter(live(now))
        .into_query()
}

/// Records that are written at once.
const RECORDS: usize = 500;

/// Tells of each of the roles, which were taken all together with the place that they counted in, for the history of the
/// roles and of the people.
pub(crate) async fn record_taken(tx: &Transaction, rows: &[Model], by: &Actor, clock: &Clock) -> Result<()> {
    for rows in rows.chunks(RECORDS) {
        let records = rows.iter().map(|row| row.told(by, "role.revoke")).collect();
        audit::record_all(tx, clock, records).await?;
    }
    Ok(())
}

/// A role that somebody is about to get. Whether they may is the caller's business.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    pub tenant: Tenant,
    pub user_id: UserId,
    pub role_id: RoleId,
    pub workspace_id: Option<WorkspaceId>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// `ROLE_ALREADY_ASSIGNED` where they hold it there. Written to the audit log, from which the history of the role
    /// is read.
    pub async fn give(self, tx: &Transaction, by: &Actor, clock: &Clock) -> Result<Model> {
        let now = clock.now();
        let organization_id = self.tenant.organization_id();
        organization::lock(tx, self.tenant).await?;
        // One that has run out makes room.
        Entity::delete_many()
            .filter(Column::OrganizationId.eq(organization_id))
            .filter(Column::UserId.eq(self.user_id))
            .filter(Column::RoleId.eq(self.role_id))
            .filter(Column::ExpiresAt.lte(now))
            .exec(tx.conn())
            .await?;
        let row = ActiveModel {
            organization_id: Set(organization_id),
            user_id: Set(self.user_id),
            role_id: Set(self.role_id),
            workspace_id: Set(self.workspace_id),
            assigned_at: Set(now),
            assigned_by_user_id: Set(by.user_id),
            expires_at: Set(self.expires_at),
            given_by_group: Set(false),
            ..Default::default()
        };
        let row = row.insert(tx.conn()).await.map_err(duplicate_is(ErrorCode::RoleAlreadyAssigned))?;
        tx.publish(Event::UserChanged(self.user_id)).await?;
        tx.publish(Event::MembersChanged(organization_id)).await?;
        row.record(tx, by, clock, "role.assign").await?;
        Ok(row)
    }
}

impl Model {
    /// Takes the role away. Whether it may be is the caller's business; the last owner's is guarded by
    /// [`require_owner`](super::require_owner).
    pub async fn take(&self, tx: &Transaction, by: &Actor, clock: &Clock) -> Result<()> {
        organization::lock(tx, Tenant::on_behalf_of(self.organization_id)).await?;
        Entity::delete_by_id(self.id).exec(tx.conn()).await?;
        tx.publish(Event::UserChanged(self.user_id)).await?;
        tx.publish(Event::MembersChanged(self.organization_id)).await?;
        self.record(tx, by, clock, "role.revoke").await
    }

    /// Makes it somebody else's, who holds nothing in the organization yet. Whether it may be is the caller's business,
    /// and so is it to write the records, after everything else that the transaction locks.
    pub(crate) async fn hand_over(&self, tx: &Transaction, to: UserId, by: &Actor) -> Result<[AuditRecord; 2]> {
        Entity::update_many()
            .col_expr(Column::UserId, Expr::value(to))
            .filter(Column::Id.eq(self.id))
            .exec(tx.conn())
            .await?;
        let given = Self { user_id: to, ..self.clone() };
        Ok([self.told(by, "role.revoke"), given.told(by, "role.assign")])
    }

    async fn record(&self, tx: &Transaction, by: &Actor, clock: &Clock, action: &'static str) -> Result<()> {
        audit::record(tx, clock, self.told(by, action)).await
    }

    fn told(&self, by: &Actor, action: &'static str) -> AuditRecord {
        AuditRecord::new(Some(self.organization_id), by.clone(), action)
            .target("role", self.role_id.0)
            .details(serde_json::json!({"user_id": self.user_id, "workspace_id": self.workspace_id}))
    }
}
