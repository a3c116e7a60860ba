//! Who belongs to a workspace: whoever holds a role in it. One role each, as far as these operations give it; where somebody
//! was given several otherwise, the first is shown.

pub mod add;
pub mod list;
pub mod remove;
pub mod update;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivergen_identity::user::account;
use rivergen_kernel::{BuiltInRole, Caller, Error, ErrorCode, Result, RoleId, Tenant, UserId, WorkspaceId};
use rivergen_platform::{Transaction, db::TenantScope};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    member::{self, assignment},
    role::{self, RoleRef, rules::Deed},
    workspace::hold,
};

/// Someone in a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceMember {
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada Lovelace"))]
    pub display_name: Option<String>,
    pub role: RoleRef,
    /// When they were given the role.
    pub added_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceMemberAnswer {
    pub member: WorkspaceMember,
    pub message: &'static str,
}

impl WorkspaceMember {
    /// The people of some assignments, in their order. Three queries, however many they are.
    async fn all(db: &impl ConnectionTrait, tenant: Tenant, rows: Vec<assignment::Model>) -> Result<Vec<Self>> {
        let users = || rows.iter().map(|row| row.user_id);
        // Index: memberships(organization_id, user_id), unique.
        let memberships = tenant.find::<member::Entity>().filter(member::Column::UserId.is_in(users())).all(db).await?;
        let emails: BTreeMap<UserId, String> = memberships.into_iter().map(|row| (row.user_id, row.email)).collect();
        let accounts = account::Entity::find().filter(account::Column::Id.is_in(users())).all(db).await?;
        let names: BTreeMap<UserId, String> = accounts.into_iter().map(|row| (row.id, row.display_name)).collect();
        let roles = rows.iter().map(|row| row.role_id);
        let roles = tenant.find::<role::Entity>().filter(role::Column::Id.is_in(roles)).all(db).await?;
        let roles: BTreeMap<RoleId, RoleRef> =
            roles.into_iter().map(|row| (row.id, RoleRef { id: row.id, name: row.name })).collect();
        let shown = rows.into_iter().filter_map(|row| {
            Some(Self {
                user_id: row.user_id,
                email: emails.get(&row.user_id)?.clone(),
                display_name: names.get(&row.user_id).cloned(),
                role: roles.get(&row.role_id)?.clone(),
                added_at: row.assigned_at,
            })
        });
        Ok(shown.collect())
    }

    async fn of(db: &impl ConnectionTrait, tenant: Tenant, row: assignment::Model) -> Result<Self> {
        Self::all(db, tenant, vec![row]).await?.pop().ok_or_else(|| ErrorCode::MemberNotFound.into())
    }
}

/// What somebody holds in a workspace, the oldest first, each with its role. Index: role_assignments(user_id,
/// organization_id).
async fn held(
    tx: &Transaction,
    tenant: Tenant,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<(assignment::Model, role::Model)>> {
    let rows = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::UserId.eq(user))
        .filter(assignment::Column::WorkspaceId.eq(workspace))
        .order_by_asc(assignment::Column::Id)
        .all(tx.conn())
        .await?;
    let wanted = rows.iter().map(|row| row.role_id);
    let roles = tenant.find::<role::Entity>().filter(role::Column::Id.is_in(wanted)).all(tx.conn()).await?;
    let roles: BTreeMap<RoleId, role::Model> = roles.into_iter().map(|role| (role.id, role)).collect();
    let with_role = |row: assignment::Model| roles.get(&row.role_id).cloned().map(|role| (row, role));
    Ok(rows.into_iter().filter_map(with_role).collect())
}

/// As [`held`], by somebody who means to take it: `MEMBER_NOT_FOUND` where nothing counts any more, 403 where it is more
/// than the caller holds.
async fn to_be_taken(
    tx: &Transaction,
    caller: &Caller,
    workspace: WorkspaceId,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<Vec<(assignment::Model, role::Model)>> {
    let found = held(tx, caller.tenant()?, workspace, user).await?;
    if !found.iter().any(|(row, _)| is_live(row, now)) {
        return Err(ErrorCode::MemberNotFound.into());
    }
    for (_, role) in found.iter().filter(|(row, _)| is_live(row, now)) {
        refuse_above(caller, user, role)?;
    }
    Ok(found)
}

fn is_live(row: &assignment::Model, now: DateTime<Utc>) -> bool {
    row.expires_at.is_none_or(|end| now < end)
}

/// Nobody takes from others what is more than they hold themselves: 403.
fn refuse_above(caller: &Caller, user: UserId, role: &role::Model) -> Result<()> {
    match user == caller.user_id {
        true => Ok(()),
        false => Deed::Revoke(&role.permissions()).allow(caller).map(drop),
    }
}

/// Guards the last own Admin of a workspace, by whichever operation a role in it is taken: asked before the change and after
/// it. The organization is locked, so of two that take an Admin each the second sees what the first did.
pub(crate) struct OwnAdmin {
    tenant: Tenant,
    workspace: WorkspaceId,
    /// A workspace without one can lose none, nor one that is deleted.
    had_one: bool,
}

impl OwnAdmin {
    pub(crate) async fn before(tx: &Transaction, tenant: Tenant, workspace: WorkspaceId) -> Result<Self> {
        let had_one = match hold(tx, tenant, workspace).await {
            Ok(_) => has_admin(tx, tenant, workspace).await?,
            Err(error) if error.code == ErrorCode::WorkspaceNotFound => false,
            Err(error) => return Err(error),
        };
        Ok(Self { tenant, workspace, had_one })
    }

    /// `LAST_ADMIN` where the transaction would leave the workspace without one.
    pub(crate) async fn require_after(self, tx: &Transaction) -> Result<()> {
        match !self.had_one || has_admin(tx, self.tenant, self.workspace).await? {
            true => Ok(()),
            false => Err(Error::new(ErrorCode::LastAdmin)
                .with_message("The workspace would be left without an Admin; make someone else an Admin first.")),
        }
    }
}

/// Whether somebody runs the workspace: an active member who holds the role Admin or Owner in it, and not on loan.
async fn has_admin(tx: &Transaction, tenant: Tenant, workspace: WorkspaceId) -> Result<bool> {
    // Index: roles(organization_id, name_key), unique.
    let names = [BuiltInRole::Owner, BuiltInRole::Admin].map(|role| role.name().to_lowercase());
    let running = tenant
        .find::<role::Entity>()
        .select_only()
        .column(role::Column::Id)
        .filter(role::Column::NameKey.is_in(names))
        .filter(role::Column::IsBuiltIn.eq(true))
        .into_query();
    // Index: role_assignments(workspace_id, id).
    let found = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::WorkspaceId.eq(workspace))
        .filter(assignment::Column::RoleId.in_subquery(running))
        .filter(assignment::Column::ExpiresAt.is_null())
        .filter(assignment::Column::UserId.in_subquery(member::active(tenant)))
        .limit(1)
        .one(tx.conn())
        .await?;
    Ok(found.is_some())
}
