//! What a member holds: roles in the whole organization and in its workspaces, each with where it comes from.
//!
//! One evaluation for everything: the permissions of every request, the answer to "may they?", and the list that says
//! through which role. Kept in memory until somebody changes it; a role on loan stops counting by the clock alone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Attributes, BuiltInRole, OrganizationId, Permission, PermissionSet, Result, RoleId, UserId, WorkspaceId,
    caller::Membership,
};
use rivergen_platform::{Database, Event, Kept};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    member::{self, Status, assignment},
    organization, role,
};

/// A member of a live organization, whatever their status.
#[derive(Debug, Clone)]
pub struct Standing {
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    pub status: Status,
    pub attributes: Attributes,
    /// The oldest first.
    pub roles: Vec<HeldRole>,
}

/// A role that somebody was given.
#[derive(Debug, Clone)]
pub struct HeldRole {
    pub assignment: assignment::Model,
    pub name: String,
    pub built_in: Option<BuiltInRole>,
    pub permissions: PermissionSet,
}

impl HeldRole {
    /// Whether it counts in the place: everywhere, if it was given in the whole organization.
    fn counts(&self, workspace: Option<WorkspaceId>, now: DateTime<Utc>) -> bool {
        let here = self.assignment.workspace_id.is_none() || self.assignment.workspace_id == workspace;
        here && self.assignment.expires_at.is_none_or(|end| now < end)
    }
}

impl Standing {
    /// `None` for who is no member, and for the members of an organization that is deleted. Indexes:
    /// memberships(organization_id, user_id), unique; role_assignments(user_id, organization_id).
    pub async fn load(
        db: &impl ConnectionTrait,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Option<Standing>> {
        let mut found = Self::load_where(db, user, Some(organization)).await?;
        Ok(found.pop())
    }

    /// In every live organization of the person. Indexes: memberships(user_id, status), role_assignments(user_id,
    /// organization_id).
    pub async fn load_all(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Standing>> {
        Self::load_where(db, user, None).await
    }

    async fn load_where(
        db: &impl ConnectionTrait,
        user: UserId,
        organization: Option<OrganizationId>,
    ) -> Result<Vec<Standing>> {
        let live = member::Entity::belongs_to(organization::Entity)
            .from(member::Column::OrganizationId)
            .to(organization::Column::Id);
        let mut memberships = member::Entity::find()
            .join(JoinType::InnerJoin, live.into())
            .filter(member::Column::UserId.eq(user))
            .filter(organization::Column::DeletedAt.is_null());
        let of_role =
            assignment::Entity::belongs_to(role::Entity).from(assignment::Column::RoleId).to(role::Column::Id);
        let mut assigned = assignment::Entity::find()
            .join(JoinType::InnerJoin, of_role.into())
            .select_also(role::Entity)
            .filter(assignment::Column::UserId.eq(user))
            .order_by_asc(assignment::Column::Id);
        if let Some(organization) = organization {
            memberships = memberships.filter(member::Column::OrganizationId.eq(organization));
            assigned = assigned.filter(assignment::Column::OrganizationId.eq(organization));
        }
        let memberships = memberships.all(db).await?;
        if memberships.is_empty() {
            return Ok(Vec::new());
        }
        let mut roles: BTreeMap<OrganizationId, Vec<HeldRole>> = BTreeMap::new();
        for (assignment, role) in assigned.all(db).await? {
            let Some(role) = role else { continue };
            let (built_in, permissions) = (role.built_in(), role.permissions());
            let held = HeldRole { built_in, permissions, name: role.name, assignment };
            roles.entry(held.assignment.organization_id).or_default().push(held);
        }
        let standing = |found: member::Model| Self {
            organization_id: found.organization_id,
            user_id: user,
            status: found.status,
            attributes: found.attributes(),
            roles: roles.remove(&found.organization_id).unwrap_or_default(),
        };
        Ok(memberships.into_iter().map(standing).collect())
    }

    /// The roles that count: those in the whole organization, and those in the workspace.
    pub fn held(&self, workspace: Option<WorkspaceId>, now: DateTime<Utc>) -> impl Iterator<Item = &HeldRole> {
        self.roles.iter().filter(move |role| self.status == Status::Active && role.counts(workspace, now))
    }

    /// What the member may do in the workspace, or in the organization as a whole.
    pub fn permissions(&self, workspace: Option<WorkspaceId>, now: DateTime<Utc>) -> PermissionSet {
        self.held(workspace, now).flat_map(|role| role.permissions.iter().copied()).collect()
    }

    /// What a session may do that stands in the workspace: a role there reaches no further than what is of a workspace.
    pub fn membership(&self, workspace: Option<WorkspaceId>, now: DateTime<Utc>) -> Option<Membership> {
        if self.status != Status::Active {
            return None;
        }
        let held: Vec<&HeldRole> = self.held(workspace, now).collect();
        let permissions = held.iter().flat_map(|role| {
            let everywhere = role.assignment.workspace_id.is_none();
            role.permissions.iter().copied().filter(move |permission| everywhere || permission.is_of_workspace())
        });
        let roles: BTreeMap<RoleId, &str> =
            held.iter().map(|role| (role.assignment.role_id, role.name.as_str())).collect();
        Some(Membership {
            organization_id: self.organization_id,
            workspace_id: workspace,
            permissions: permissions.collect(),
            role_ids: roles.keys().copied().collect(),
            role_names: roles.values().map(|name| (*name).to_owned()).collect(),
            attributes: self.attributes.clone(),
            valid_until: held.iter().filter_map(|role| role.assignment.expires_at).min(),
        })
    }

    /// What a member may do to whom: everything that they hold in the whole workspace, where the workspace itself is
    /// acted on.
    pub fn membership_of_workspace(&self, workspace: WorkspaceId, now: DateTime<Utc>) -> Option<Membership> {
        let permissions = self.permissions(Some(workspace), now);
        self.membership(Some(workspace), now).map(|membership| Membership { permissions, ..membership })
    }

    /// What the member may give and take in a scope of roles: one workspace, or the whole organization.
    pub fn authority(&self, scope: Option<WorkspaceId>, now: DateTime<Utc>) -> Option<Membership> {
        match scope {
            Some(workspace) => self.membership_of_workspace(workspace, now),
            None => self.membership(None, now),
        }
    }

    /// The roles through which the member has a permission.
    pub fn sources(
        &self,
        permission: Permission,
        workspace: Option<WorkspaceId>,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = &HeldRole> {
        self.held(workspace, now).filter(move |role| role.permissions.contains(&permission))
    }
}

/// The standings of all members that were asked for lately; cheap to clone.
#[derive(Clone)]
pub struct Standings {
    db: Database,
    kept: Kept<(OrganizationId, UserId), Option<Arc<Standing>>>,
}

impl Standings {
    pub fn new(db: Database) -> Self {
        let ten_minutes = Duration::from_secs(600);
        let kept = Kept::new(db.bus(), 100_000, ten_minutes, |(organization, user): &(OrganizationId, UserId), _| {
            vec![Event::UserChanged(*user), Event::OrganizationChanged(*organization)]
        });
        Self { db, kept }
    }

    pub async fn of(&self, organization: OrganizationId, user: UserId) -> Result<Option<Arc<Standing>>> {
        let load = async { Ok(Standing::load(self.db.read(), organization, user).await?.map(Arc::new)) };
        self.kept.get_or_load((organization, user), load).await
    }
}
