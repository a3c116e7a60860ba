//! Organizations, their workspaces, their members, and the roles that say what a member may do.
//!
//! [`organization`], [`workspace`] and [`user`] hold the operations; [`member`] and [`role`] what they stand on;
//! [`standing`] is what a member may do and why; [`directory`] answers what `identity`, the room below, asks at login and at every request;
//! [`provision`] makes an organization with its people in one go.

pub mod directory;
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

use rivergen_identity::Identity;
use rivergen_kernel::{Caller, ErrorCode, OrganizationId, Result, WorkspaceId};
use rivergen_platform::personal_data::Records;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use standing::Standings;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Tenancy {
    pub identity: Identity,
    pub(crate) standings: Standings,
    /// What all rooms keep about people.
    records: Arc<[Box<dyn Records>]>,
}

impl Tenancy {
    pub fn new(identity: Identity, standings: Standings, records: Vec<Box<dyn Records>>) -> Self {
        Self { identity, standings, records: records.into() }
    }

    /// The caller, standing in the organization that a path names; 404 unless an active member of it.
    pub(crate) async fn enter(&self, caller: &Caller, organization: OrganizationId) -> Result<Caller> {
        if caller.bound_to().is_some_and(|bound| bound != organization) {
            return Err(ErrorCode::OrgNotFound.into());
        }
        if caller.membership.as_ref().is_some_and(|membership| membership.organization_id == organization) {
            return Ok(caller.clone());
        }
        let directory = &self.identity.directory;
        let membership = directory.membership(caller.user_id, organization, None).await?;
        let membership = membership.ok_or(ErrorCode::OrgNotFound)?;
        let now = self.identity.platform.clock.now();
        let demands = directory.security(caller.user_id).await?.demands_mfa(organization, now);
        Ok(caller.within(&membership, demands))
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
        let demands = self.identity.directory.security(caller.user_id).await?.demands_mfa(organization, now);
        Ok((caller.within(&membership, demands), found))
    }

    /// The caller, standing in the organization that a query names, or where they stand.
    pub(crate) async fn enter_or_stay(&self, caller: &Caller, organization: Option<OrganizationId>) -> Result<Caller> {
        match organization {
            Some(organization) => self.enter(caller, organization).await,
            None => Ok(caller.clone()),
        }
    }
}

/// What this room does in the background. To be called once, before the jobs start.
pub fn register_jobs(tenancy: &Tenancy) {
    workspace::delete::Purge::register(tenancy);
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(organization::create::create, organization::list::list))
        .routes(routes!(organization::get::get))
        .routes(routes!(user::export::export))
        .merge(workspace::operations())
}
