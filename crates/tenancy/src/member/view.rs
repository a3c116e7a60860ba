//! A member as the API shows them. What goes with the members of a page is read at once, never member by member.

use std::{cmp::Ordering, collections::BTreeMap};

use chrono::{DateTime, Utc};
use rivergen_identity::{mfa, user::account};
use rivergen_kernel::{BuiltInRole, Caller, Permission, Result, RoleId, Tenant, UserId, WorkspaceId};
use rivergen_platform::db::TenantScope;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect,
    SelectTwo,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Column, Entity, Model, Status, assignment};
use crate::{
    Tenancy,
    role::{self, RoleRef},
    workspace,
};

/// Someone who belongs to the organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub display_name: Option<String>,
    pub status: Status,
    /// The strongest role in the whole organization; null for a member who only has roles in workspaces.
    pub role: Option<RoleRef>,
    /// Those in which the member holds a role of their own, each with the strongest one.
    pub workspaces: Vec<WorkspaceMembershipRef>,
    pub joined_at: DateTime<Utc>,
    /// To this organization. Shown to those who may assign roles.
    pub last_login_at: Option<DateTime<Utc>>,
    /// Whether a second factor or a passkey is set up. Shown to those who may assign roles.
    pub mfa_enabled: Option<bool>,
    /// Whether an identity provider manages the member.
    pub managed_by_scim: bool,
}

/// A workspace of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkspaceMembershipRef {
    pub workspace_id: WorkspaceId,
    #[schema(examples("Main Workspace"))]
    pub workspace_name: String,
    pub role: RoleRef,
}

/// A change to a member.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberAnswer {
    pub member: Member,
    pub message: &'static str,
}

/// Memberships with their accounts.
pub(super) fn rows(tenant: Tenant) -> SelectTwo<Entity, account::Entity> {
    let account = Entity::belongs_to(account::Entity).from(Column::UserId).to(account::Column::Id);
    tenant.find::<Entity>().join(JoinType::InnerJoin, account.into()).select_also(account::Entity)
}

/// The members as the caller may see them.
pub(super) async fn shown(
    tenancy: &Tenancy,
    caller: &Caller,
    rows: Vec<(Model, account::Model)>,
) -> Result<Vec<Member>> {
    let platform = &tenancy.identity.platform;
    let (db, tenant) = (platform.db.read(), caller.tenant()?);
    let people: Vec<UserId> = rows.iter().map(|(row, _)| row.user_id).collect();
    let mut held = held_by(db, tenant, &people, platform.clock.now()).await?;
    let protected = match caller.may(Permission::RoleAssign) {
        true => Some(mfa::protected(db, &people).await?),
        false => None,
    };
    let member = |(row, account): (Model, account::Model)| {
        let (role, workspaces) = summed_up(held.remove(&row.user_id).unwrap_or_default());
        Member {
            user_id: row.user_id,
            email: row.email,
            display_name: Some(account.display_name),
            status: row.status,
            role,
            workspaces,
            joined_at: row.joined_at,
            last_login_at: row.last_login_at.filter(|_| protected.is_some()),
            mfa_enabled: protected.as_ref().map(|protected| protected.contains(&row.user_id)),
            managed_by_scim: row.scim_active.is_some(),
        }
    };
    Ok(rows.into_iter().map(member).collect())
}

/// A role of a member, with the workspace that it is held in.
#[derive(Debug, Clone, FromQueryResult)]
struct Held {
    user_id: UserId,
    role_id: RoleId,
    role_name: String,
    is_built_in: bool,
    workspace_id: Option<WorkspaceId>,
    workspace_name: Option<String>,
}

impl Held {
    /// Owner, Admin, Developer, Viewer, then the organization's own roles, the oldest first.
    fn by_strength(&self, other: &Self) -> Ordering {
        let rank = |held: &Self| {
            let built_in = held.role_name.parse::<BuiltInRole>().ok().filter(|_| held.is_built_in);
            (built_in.is_none(), built_in, held.role_id)
        };
        rank(self).cmp(&rank(other))
    }

    fn role(&self) -> RoleRef {
        RoleRef { id: self.role_id, name: self.role_name.clone() }
    }
}

/// The roles of each of the people that count now. Index: role_assignments(user_id, organization_id).
async fn held_by(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    people: &[UserId],
    now: DateTime<Utc>,
) -> Result<BTreeMap<UserId, Vec<Held>>> {
    if people.is_empty() {
        return Ok(BTreeMap::new());
    }
    let of_role = assignment::Entity::belongs_to(role::Entity).from(assignment::Column::RoleId).to(role::Column::Id);
    let of_workspace = assignment::Entity::belongs_to(workspace::Entity)
        .from(assignment::Column::WorkspaceId)
        .to(workspace::Column::Id);
    let rows = tenant
        .find::<assignment::Entity>()
        .select_only()
        .columns([assignment::Column::UserId, assignment::Column::RoleId, assignment::Column::WorkspaceId])
        .column_as(role::Column::Name, "role_name")
        .column_as(role::Column::IsBuiltIn, "is_built_in")
        .column_as(workspace::Column::Name, "workspace_name")
        .join(JoinType::InnerJoin, of_role.into())
        .join(JoinType::LeftJoin, of_workspace.into())
        .filter(assignment::Column::UserId.is_in(people.iter().copied()))
        .filter(assignment::live(now))
        .filter(workspace::Column::DeletedAt.is_null())
        .order_by_asc(workspace::Column::NameKey)
        .order_by_asc(assignment::Column::Id)
        .into_model::<Held>()
        .all(db)
        .await?;
    let mut held: BTreeMap<UserId, Vec<Held>> = BTreeMap::new();
    for row in rows {
        held.entry(row.user_id).or_default().push(row);
    }
    Ok(held)
}

/// The strongest role of each of the people in the whole organization.
pub(crate) async fn strongest_roles(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    people: &[UserId],
    now: DateTime<Utc>,
) -> Result<BTreeMap<UserId, RoleRef>> {
    let held = held_by(db, tenant, people, now).await?;
    Ok(held.into_iter().filter_map(|(user, held)| Some((user, summed_up(held).0?))).collect())
}

/// The strongest role in the whole organization, and in each workspace.
fn summed_up(mut held: Vec<Held>) -> (Option<RoleRef>, Vec<WorkspaceMembershipRef>) {
    let mut workspaces: Vec<WorkspaceMembershipRef> = Vec::new();
    // In the order of the rows, which is that of the names.
    let names: Vec<(WorkspaceId, String)> =
        held.iter().filter_map(|held| Some((held.workspace_id?, held.workspace_name.clone()?))).collect();
    held.sort_by(Held::by_strength);
    for (workspace_id, workspace_name) in names {
        let strongest = held.iter().find(|held| held.workspace_id == Some(workspace_id));
        let is_new = workspaces.iter().all(|known| known.workspace_id != workspace_id);
        if let Some(strongest) = strongest.filter(|_| is_new) {
            workspaces.push(WorkspaceMembershipRef { workspace_id, workspace_name, role: strongest.role() });
        }
    }
    let everywhere = held.iter().find(|held| held.workspace_id.is_none());
    (everywhere.map(Held::role), workspaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(role_id: i64, role_name: &str, is_built_in: bool, workspace_id: Option<i64>) -> Held {
        Held {
            user_id: UserId(1),
            role_id: RoleId(role_id),
            role_name: role_name.to_owned(),
            is_built_in,
            workspace_id: workspace_id.map(WorkspaceId),
            workspace_name: workspace_id.map(|id| format!("workspace {id}")),
        }
    }

    #[test]
    fn the_strongest_role_is_shown() {
        let (role, workspaces) = summed_up(vec![
            // An organization may call a role of its own like a built-in one of another language, never stronger.
            held(9, "Owner", false, None),
            held(4, "Viewer", true, None),
            held(3, "Developer", true, None),
            held(8, "Auditor", false, Some(7)),
            held(4, "Viewer", true, Some(7)),
            held(1, "Owner", true, Some(5)),
        ]);
        assert_eq!(role.map(|role| role.name).as_deref(), Some("Developer"));
        let workspaces: Vec<_> = workspaces.iter().map(|it| (it.workspace_id.0, it.role.name.as_str())).collect();
        assert_eq!(workspaces, [(7, "Viewer"), (5, "Owner")]);
    }

    #[test]
    fn of_ones_own_roles_the_oldest_is_shown() {
        let (role, workspaces) = summed_up(vec![held(9, "B", false, None), held(8, "A", false, None)]);
        assert_eq!((role.map(|role| role.id), workspaces.len()), (Some(RoleId(8)), 0));
        assert_eq!(summed_up(Vec::new()), (None, Vec::new()));
    }
}
