//! Who is asking.
//!
//! A [`Caller`] is made in one place (the extractor of `platform`) from a verified token; nothing else
//! makes one from outside. A [`Tenant`] is the proof that an organization is the caller's own: each query
//! on an organization's rows takes one, so the scope is an argument that cannot be forgotten.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    Error, ErrorCode, OrganizationId, Permission, PermissionSet, Result, RoleId, SessionId, UserId, WorkspaceId,
};

/// What is known of a person inside an organization and may be named in policies as `current_user_<key>`.
/// Set by administrators, never by the person.
pub type Attributes = BTreeMap<String, serde_json::Value>;

/// A verified person, in the organization and workspace that their session stands in.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub email: Arc<str>,
    pub email_verified: bool,
    /// When the person last gave a proof (password or factor).
    pub authenticated_at: DateTime<Utc>,
    /// `None` for a person who belongs to no organization any more.
    pub membership: Option<Arc<Membership>>,
}

/// What a caller is in one organization.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub role_ids: Vec<RoleId>,
    pub role_names: Vec<String>,
    pub permissions: PermissionSet,
    pub attributes: Attributes,
}

impl Caller {
    /// The organization that the session stands in; 403 for somebody without one.
    pub fn membership(&self) -> Result<&Membership> {
        self.membership
            .as_deref()
            .ok_or_else(|| Error::new(ErrorCode::Forbidden).with_message("You do not belong to any organization."))
    }

    /// Checks the permission in the session's organization and hands out its scope.
    pub fn require(&self, permission: Permission) -> Result<Tenant> {
        let membership = self.membership()?;
        if membership.permissions.contains(&permission) {
            Ok(Tenant { organization_id: membership.organization_id })
        } else {
            Err(Error::new(ErrorCode::Forbidden)
                .with_message(format!("You need the permission {permission} ({})", permission.sentence())))
        }
    }

    /// The session's organization, where membership alone suffices.
    pub fn tenant(&self) -> Result<Tenant> {
        Ok(Tenant { organization_id: self.membership()?.organization_id })
    }

    pub fn may(&self, permission: Permission) -> bool {
        self.membership.as_ref().is_some_and(|m| m.permissions.contains(&permission))
    }

    /// The same person, standing in another of their organizations.
    pub fn within(&self, membership: Membership) -> Caller {
        Caller { membership: Some(Arc::new(membership)), ..self.clone() }
    }
}

/// The scope of one organization. Only a membership gives one, or a job that acts for the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenant {
    organization_id: OrganizationId,
}

impl Tenant {
    /// For what the server does on an organization's behalf with no caller at hand: jobs, provisioning.
    /// Never for an id that came with a request.
    pub fn on_behalf_of(organization_id: OrganizationId) -> Self {
        Self { organization_id }
    }

    pub fn organization_id(&self) -> OrganizationId {
        self.organization_id
    }
}
