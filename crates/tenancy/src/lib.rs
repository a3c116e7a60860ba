//! Organizations, their workspaces, their members, and the roles that say what a member may do.
//!
//! [`organization`], [`workspace`] and [`user`] hold the operations; [`member`] and [`role`] what they stand on;
//! [`directory`] answers what `identity`, the room below, asks at login and at every request;
//! [`provision`] makes an organization with its people in one go.

pub mod directory;
pub mod member;
pub mod migrations;
pub mod organization;
pub mod personal_data;
pub mod provision;
pub mod role;
pub mod user;
pub mod workspace;

use std::sync::Arc;

use rivergen_identity::Identity;
use rivergen_kernel::{Caller, ErrorCode, OrganizationId, Result};
use rivergen_platform::personal_data::Records;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Tenancy {
    pub identity: Identity,
    /// What all rooms keep about people.
    records: Arc<[Box<dyn Records>]>,
}

impl Tenancy {
    pub fn new(identity: Identity, records: Vec<Box<dyn Records>>) -> Self {
        Self { identity, records: records.into() }
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

    /// The caller, standing in the organization that a query names, or where they stand.
    pub(crate) async fn enter_or_stay(&self, caller: &Caller, organization: Option<OrganizationId>) -> Result<Caller> {
        match organization {
            Some(organization) => self.enter(caller, organization).await,
            None => Ok(caller.clone()),
        }
    }
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(organization::create::create, organization::list::list))
        .routes(routes!(organization::get::get))
        .routes(routes!(workspace::create_in_organization, workspace::list_of_organization))
        .routes(routes!(workspace::create, workspace::list))
        .routes(routes!(user::export::export))
}
