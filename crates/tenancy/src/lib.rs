//! Organizations, their workspaces, their members, and the roles that say what a member may do.
//!
//! [`organization`], [`domain`], [`workspace`], [`role`], [`member`], [`invitation`] and [`user`] hold the operations;
//! [`standing`] is what a member may do and why; [`directory`] answers what `identity`, the room below, asks at login and at every request;
//! [`provision`] makes an organization with its people in one go.

pub mod directory;
pub mod domain;
pub mod invitation;
pub mod member;
pub mod migrations;
pub mod organization;
pub mod personal_data;
pub mod provision;
pub mod role;
pub mod standing;
pub mod user;
pub mod workspace;

use std::sync::Arc;

use member::page::Lists;
use rivergen_identity::Identity;
use rivergen_kernel::{Caller, ErrorCode, OrganizationId, Permission, Result, WorkspaceId};
use rivergen_platform::personal_data::{Owned, Records};
use role::usage::Usages;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use standing::{Standing, Standings};
use utoipa_axum::router::OpenApiRouter;

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Tenancy {
    pub identity: Identity,
    pub standings: Standings,
    pub(crate) lists: Lists,
    pub(crate) usages: Usages,
    /// What all rooms keep about people.
    records: Arc<[Box<dyn Records>]>,
    /// What members own in the rooms above.
    pub(crate) possessions: Arc<[Box<dyn Owned>]>,
}

impl Tenancy {
    pub fn new(
        identity: Identity,
        standings: Standings,
        records: Vec<Box<dyn Records>>,
        possessions: Vec<Box<dyn Owned>>,
    ) -> Self {
        let lists = Lists::new(&identity.platform.db);
        let usages = Usages::new(&identity.platform.db);
        let (records, possessions) = (records.into(), possessions.into());
        Self { identity, standings, lists, usages, records, possessions }
    }

    /// The caller, standing in the organization that a path names, with what they hold in the whole of it alone: a session
    /// that stands in a workspace has what its roles there give, too, and that must not be carried out of the workspace.
    /// `ORG_NOT_FOUND` unless they are an active member.
    pub async fn enter(&self, caller: &Caller, organization: OrganizationId) -> Result<Caller> {
        if caller.bound_to().is_some_and(|bound| bound != organization) {
            return Err(ErrorCode::OrgNotFound.into());
        }
        let now = self.identity.platform.clock.now();
        let standing = self.standings.of(organization, caller.user_id).await?;
        let membership = standing.and_then(|standing| standing.membership(None, now)).ok_or(ErrorCode::OrgNotFound)?;
        let closed = self.identity.directory.security(caller.user_id).await?.closes(organization, caller.proofs, now);
        Ok(caller.within(&membership, closed))
    }

    /// The caller, acting on a workspace: what they may do is what their roles in the organization and in the workspace
    /// give together. `ORG_NOT_FOUND` or `WORKSPACE_NOT_FOUND` unless they are an active member of its organization, which
    /// a path may name. A member without any role in it and without `workspace.read` passes: the operation's own check
    /// refuses them.
    pub(crate) async fn enter_workspace(
        &self,
        caller: &Caller,
        organization: Option<OrganizationId>,
        workspace: WorkspaceId,
    ) -> Result<(Caller, workspace::Model)> {
        if let Some(organization) = organization {
            self.enter(caller, organization).await?;
        }
        let mut found = workspace::Entity::find_by_id(workspace).filter(workspace::Column::DeletedAt.is_null());
        if let Some(organization) = organization {
            found = found.filter(workspace::Column::OrganizationId.eq(organization));
        }
        let found = found.one(self.identity.platform.db.read()).await?.ok_or(ErrorCode::WorkspaceNotFound)?;
        let organization = found.organization_id;
        if caller.bound_to().is_some_and(|bound| bound != organization) {
            return Err(ErrorCode::WorkspaceNotFound.into());
        }
        let now = self.identity.platform.clock.now();
        let standing = self.standings.of(organization, caller.user_id).await?;
        let membership = standing.and_then(|standing| standing.membership_of_workspace(workspace, now));
        let membership = membership.ok_or(ErrorCode::WorkspaceNotFound)?;
        let closed = self.identity.directory.security(caller.user_id).await?.closes(organization, caller.proofs, now);
        Ok((caller.within(&membership, closed), found))
    }

    /// The caller, acting in a scope of roles: one workspace, or the whole organization.
    pub(crate) async fn enter_scope(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        workspace: Option<WorkspaceId>,
    ) -> Result<Caller> {
        match workspace {
            Some(workspace) => Ok(self.enter_workspace(caller, Some(organization), workspace).await?.0),
            None => self.enter(caller, organization).await,
        }
    }

    /// The organizations in which the caller has the permission.
    pub(crate) async fn organizations_where(
        &self,
        caller: &Caller,
        permission: Permission,
    ) -> Result<Vec<OrganizationId>> {
        let now = self.identity.platform.clock.now();
        let security = self.identity.directory.security(caller.user_id).await?;
        let mut standings = Standing::load_all(self.identity.platform.db.read(), caller.user_id).await?;
        for standing in &mut standings {
            standing.policies = self.standings.policies_of(standing.organization_id, caller.user_id).await?;
        }
        let may = |standing: &Standing| {
            let id = standing.organization_id;
            let is_bound_elsewhere = caller.bound_to().is_some_and(|bound| bound != id);
            let membership = standing.membership(None, now).filter(|_| !is_bound_elsewhere);
            membership.is_some_and(|it| caller.within(&it, security.closes(id, caller.proofs, now)).may(permission))
        };
        Ok(standings.iter().filter(|standing| may(standing)).map(|standing| standing.organization_id).collect())
    }

    /// The caller, standing in the organization that a query names, or where they stand.
    pub async fn enter_or_stay(&self, caller: &Caller, organization: Option<OrganizationId>) -> Result<Caller> {
        match organization {
            Some(organization) => self.enter(caller, organization).await,
            None => self.enter(caller, caller.membership()?.organization_id).await,
        }
    }
}

/// What this room does in the background. To be called once, before the jobs start.
pub fn register_jobs(tenancy: &Tenancy) {
    workspace::delete::Purge::register(tenancy);
    user::import::register(tenancy);
    invitation::forget::register(tenancy);
    domain::lapse::register(tenancy);
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .merge(organization::operations())
        .merge(domain::operations())
        .merge(workspace::operations())
        .merge(role::operations())
        .merge(member::operations())
        .merge(invitation::operations())
        .merge(user::operations())
}
