//! What a member holds: roles in the whole organization and in its workspaces, each with where it comes from.
//!
//! One evaluation for everything: the permissions of every request, the answer to "may they?", and the list that says
//! through which role. Kept in memory until somebody changes it; a role on loan stops counting by the clock alone.
//!
//! Besides the roles that somebody was given, every member has what the public workspaces of the organization give
//! ([`PublicWorkspace`]). That is the same for all members and kept once for each organization.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Attributes, BuiltInRole, Error, OrganizationId, Permission, PermissionSet, Result, RoleId, UserId, WorkspaceId,
    access::AccessPolicies, caller::Membership,
};
use rivergen_platform::{Database, Event, Kept};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    member::{self, Status, assignment},
    organization, role,
    workspace::{self, settings::Settings},
};

/// A member of a live organization, whatever their status.
#[derive(Debug, Clone)]
pub struct Standing {
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    pub status: Status,
    pub attributes: Attributes,
    /// The oldest first.
    pub roles: Arc<[HeldRole]>,
    /// What every active member has beside them.
    pub public: Arc<PublicWorkspaces>,
    /// What the organization's access policies say of the member; `None` where it has none.
    pub policies: Option<Arc<dyn AccessPolicies>>,
}

/// Where the access policies of organizations come from: the room above, handed in at assembly.
#[async_trait]
pub trait PolicySource: Send + Sync {
    /// Those of the organization, as they hold for the person; answered from memory, and `None` where it has none.
    async fn of(&self, organization: OrganizationId, user: UserId) -> Result<Option<Arc<dyn AccessPolicies>>>;
}

/// The public workspaces of an organization.
pub type PublicWorkspaces = BTreeMap<WorkspaceId, PublicWorkspace>;

/// What a workspace that is public gives every member who stands in it: of its default role (of a Viewer, where there is
/// none) that which is about sources, files and questions. It makes nobody somebody who runs the workspace.
#[derive(Debug, Clone)]
pub struct PublicWorkspace {
    pub name: String,
    pub role_id: RoleId,
    pub role_name: String,
    permissions: PermissionSet,
}

impl PublicWorkspace {
    /// One with the default role.
    pub fn new(name: String, role: &role::Model) -> Self {
        let permissions = role.permissions().into_iter().filter(|permission| permission.is_of_workspace());
        Self { name, role_id: role.id, role_name: role.name.clone(), permissions: permissions.collect() }
    }

    /// What it gives.
    pub fn permissions(&self) -> &PermissionSet {
        &self.permissions
    }

    /// Those of each of the organizations that has some, and lets them be. Index: workspaces_public(organization_id, id), of
    /// those that are public.
    async fn load(
        db: &impl ConnectionTrait,
        organizations: impl IntoIterator<Item = OrganizationId>,
    ) -> Result<BTreeMap<OrganizationId, PublicWorkspaces>> {
        let rows = workspace::Entity::find()
            .filter(workspace::Column::OrganizationId.is_in(organizations))
            .filter(workspace::is_open())
            .filter(workspace::Column::DeletedAt.is_null())
            .all(db)
            .await?;
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let defaults = rows.iter().filter_map(|row| Settings::of(row).default_role_id);
        // Index: roles(organization_id, name_key), unique.
        let viewers = role::Column::NameKey.eq(BuiltInRole::Viewer.name().to_lowercase());
        let roles = role::Entity::find()
            .filter(role::Column::OrganizationId.is_in(rows.iter().map(|row| row.organization_id)))
            .filter(Condition::any().add(role::Column::Id.is_in(defaults)).add(viewers))
            .all(db)
            .await?;
        let mut public: BTreeMap<OrganizationId, PublicWorkspaces> = BTreeMap::new();
        for row in rows {
            let own = || roles.iter().filter(|role| role.organization_id == row.organization_id);
            let default = Settings::of(&row).default_role_id;
            // A default that is no role any more is passed over.
            let role = own().find(|role| Some(role.id) == default);
            let role = role.or_else(|| own().find(|role| role.built_in() == Some(BuiltInRole::Viewer)));
            let role = role.ok_or_else(|| Error::internal("an organization without its built-in roles"))?;
            let workspaces = public.entry(row.organization_id).or_default();
            workspaces.insert(row.id, Self::new(row.name.clone(), role));
        }
        Ok(public)
    }
}

/// A role that someone was given.
#[derive(Debug, Clone)]
pub struct HeldRole {
    pub assignment: assignment::Model,
    pub name: String,
    pub built_in: Option<BuiltInRole>,
    pub permissions: PermissionSet,
}

impl HeldRole {
    /// Not on loan, or the loan goes on.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.assignment.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it counts in the place: everywhere, if it was given in the whole organization.
    fn counts(&self, workspace: Option<WorkspaceId>, now: DateTime<Utc>) -> bool {
        let here = self.assignment.workspace_id.is_none() || self.assignment.workspace_id == workspace;
        here && self.is_live(now)
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
        let found = Self::load_members(db, user, Some(organization)).await?;
        Ok(Self::with_public(db, found).await?.pop())
    }

    /// In every live organization of the person. Indexes: memberships(user_id, status), role_assignments(user_id,
    /// organization_id).
    pub async fn load_all(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Standing>> {
        let found = Self::load_members(db, user, None).await?;
        Self::with_public(db, found).await
    }

    /// Adds what the public workspaces give.
    async fn with_public(db: &impl ConnectionTrait, mut members: Vec<Standing>) -> Result<Vec<Standing>> {
        let mut public = PublicWorkspace::load(db, members.iter().map(|standing| standing.organization_id)).await?;
        for standing in &mut members {
            standing.public = Arc::new(public.remove(&standing.organization_id).unwrap_or_default());
        }
        Ok(members)
    }

    /// With what each member was given alone.
    async fn load_members(
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
            roles: roles.remove(&found.organization_id).unwrap_or_default().into(),
            public: Arc::default(),
            policies: None,
        };
        Ok(memberships.into_iter().map(standing).collect())
    }

    /// The roles that count: those that they were given in the whole organization, and those in the workspace.
    pub fn held(&self, workspace: Option<WorkspaceId>, now: DateTime<Utc>) -> impl Iterator<Item = &HeldRole> {
        self.roles.iter().filter(move |role| self.status == Status::Active && role.counts(workspace, now))
    }

    /// The workspace, where it is public: what the member has in it without having been given it.
    pub fn public_at(&self, workspace: Option<WorkspaceId>) -> Option<&PublicWorkspace> {
        self.public.get(&workspace?).filter(|_| self.status == Status::Active)
    }

    /// Whether a role in the workspace lets them into it, or the workspace itself every member.
    pub fn is_let_into(&self, workspace: WorkspaceId, now: DateTime<Utc>) -> bool {
        let workspace = Some(workspace);
        let is_of_it = self.held(workspace, now).any(|role| role.assignment.workspace_id == workspace);
        is_of_it || self.public_at(workspace).is_some()
    }

    /// What the member may do in the workspace, or in the organization as a whole.
    pub fn permissions(&self, workspace: Option<WorkspaceId>, now: DateTime<Utc>) -> PermissionSet {
        let held = self.held(workspace, now).flat_map(|role| &role.permissions);
        held.chain(self.public_at(workspace).into_iter().flat_map(|public| &public.permissions)).copied().collect()
    }

    /// What a session may do that stands in the workspace: a role there reaches no further than what is of a workspace.
    pub fn membership(&self, workspace: Option<WorkspaceId>, now: DateTime<Utc>) -> Option<Membership> {
        if self.status != Status::Active {
            return None;
        }
        let held: Vec<&HeldRole> = self.held(workspace, now).collect();
        let public = self.public_at(workspace);
        let (everywhere, here): (Vec<_>, Vec<_>) =
            held.iter().copied().partition(|role| role.assignment.workspace_id.is_none());
        let organization_permissions: PermissionSet =
            everywhere.iter().flat_map(|role| &role.permissions).copied().collect();
        let here = here.iter().flat_map(|role| &role.permissions).filter(|permission| permission.is_of_workspace());
        let permissions = organization_permissions.iter().chain(here);
        let permissions = permissions.chain(public.into_iter().flat_map(|public| &public.permissions));
        // Policies that are bound to the role of a public workspace hold for whoever has it there.
        let roles = held.iter().map(|role| (role.assignment.role_id, role.name.as_str()));
        let roles: BTreeMap<RoleId, &str> =
            roles.chain(public.map(|public| (public.role_id, public.role_name.as_str()))).collect();
        let elsewhere = self.roles.iter().filter(|role| role.is_live(now)).filter_map(|role| {
            let of = role.assignment.workspace_id.filter(|of| Some(*of) != workspace)?;
            Some((of, role.assignment.role_id))
        });
        Some(Membership {
            organization_id: self.organization_id,
            workspace_id: workspace,
            permissions: permissions.copied().collect(),
            organization_permissions,
            role_ids: roles.keys().copied().collect(),
            role_names: roles.values().map(|name| (*name).to_owned()).collect(),
            roles_elsewhere: elsewhere.collect(),
            attributes: self.attributes.clone(),
            valid_until: held.iter().filter_map(|role| role.assignment.expires_at).min(),
            policies: self.policies.clone(),
        })
    }

    /// What a member may do to whom: everything that they hold in the whole workspace, where the workspace itself is
    /// acted on.
    pub fn membership_of_workspace(&self, workspace: WorkspaceId, now: DateTime<Utc>) -> Option<Membership> {
        let permissions = self.permissions(Some(workspace), now);
        self.membership(Some(workspace), now).map(|membership| Membership { permissions, ..membership })
    }

    /// The roles that the member was given, through which they have a permission.
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
    policies: Arc<dyn PolicySource>,
    /// Without what public workspaces give.
    kept: Kept<(OrganizationId, UserId), Option<Arc<Standing>>>,
    public: Kept<OrganizationId, Arc<PublicWorkspaces>>,
    defaults: Kept<OrganizationId, Option<WorkspaceId>>,
}

impl Standings {
    pub fn new(db: Database, policies: Arc<dyn PolicySource>) -> Self {
        let ten_minutes = Duration::from_secs(600);
        let kept = Kept::new(db.bus(), 100_000, ten_minutes, |(organization, user): &(OrganizationId, UserId), _| {
            vec![Event::UserChanged(*user), Event::OrganizationChanged(*organization)]
        });
        let public = Kept::new(db.bus(), 10_000, ten_minutes, |organization: &OrganizationId, _| {
            vec![Event::OrganizationChanged(*organization)]
        });
        let defaults = Kept::new(db.bus(), 10_000, ten_minutes, |organization: &OrganizationId, _| {
            vec![Event::OrganizationChanged(*organization)]
        });
        Self { db, policies, kept, public, defaults }
    }

    /// What the member may do who once stood in the workspace: in the default one, where they are not let into that one any
    /// more. `None` for who is no active member.
    pub async fn membership(
        &self,
        organization: OrganizationId,
        user: UserId,
        workspace: Option<WorkspaceId>,
        now: DateTime<Utc>,
    ) -> Result<Option<Membership>> {
        let Some(standing) = self.of(organization, user).await? else { return Ok(None) };
        let place = match workspace {
            Some(workspace) if !standing.is_let_into(workspace, now) => self.default_of(organization).await?,
            place => place,
        };
        Ok(standing.membership(place, now))
    }

    /// The workspace in which every member may stand.
    async fn default_of(&self, organization: OrganizationId) -> Result<Option<WorkspaceId>> {
        let load = async { Ok(workspace::default_of(self.db.read(), organization).await?.map(|row| row.id)) };
        self.defaults.get_or_load(organization, load).await
    }

    /// The public workspaces of an organization.
    pub async fn public(&self, organization: OrganizationId) -> Result<Arc<PublicWorkspaces>> {
        let load = async {
            let public = PublicWorkspace::load(self.db.read(), [organization]).await?.remove(&organization);
            Ok(Arc::new(public.unwrap_or_default()))
        };
        self.public.get_or_load(organization, load).await
    }

    /// What the organization's access policies say of one who was loaded without.
    pub(crate) async fn policies_of(
        &self,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Option<Arc<dyn AccessPolicies>>> {
        self.policies.of(organization, user).await
    }

    pub async fn of(&self, organization: OrganizationId, user: UserId) -> Result<Option<Arc<Standing>>> {
        let load = async {
            let found = Standing::load_members(self.db.read(), user, Some(organization)).await?.pop();
            Ok(found.map(Arc::new))
        };
        let Some(standing) = self.kept.get_or_load((organization, user), load).await? else { return Ok(None) };
        // Put together at each question and not kept together: so each part is forgotten by itself, whatever comes first.
        let public = self.public(organization).await?;
        let policies = self.policies.of(organization, user).await?;
        match public.is_empty() && policies.is_none() {
            true => Ok(Some(standing)),
            false => Ok(Some(Arc::new(Standing { public, policies, ..Standing::clone(&standing) }))),
        }
    }
}
