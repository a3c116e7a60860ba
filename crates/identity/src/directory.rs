//! What identity asks of tenancy, the room above it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivergen_kernel::{OrganizationId, Result, UserId, WorkspaceId, caller::Membership};
use rivergen_platform::{
    Transaction,
    audit::{Actor, AuditRecord},
};
use serde::Serialize;

use crate::{
    security::{OrganizationSecurity, SecurityPolicy},
    user::User,
};

/// Where people belong. Implemented by `tenancy`, handed in at assembly.
#[async_trait::async_trait]
pub trait Directory: Send + Sync {
    /// What the person is in the organization; `None` unless an active member of it. Who may not stand in the workspace any
    /// more stands in the default one.
    async fn membership(
        &self,
        user: UserId,
        organization: OrganizationId,
        workspace: Option<WorkspaceId>,
    ) -> Result<Option<Arc<Membership>>>;

    /// Where a fresh session stands: the wanted workspace where the person can reach it, else the default
    /// workspace of the organization that they joined first; `None` for somebody without an organization.
    async fn home(&self, user: UserId, wanted: Option<WorkspaceId>) -> Result<Option<Place>>;

    /// The default workspace of the organization; `None` unless the person is an active member of it.
    async fn home_in(&self, user: UserId, organization: OrganizationId) -> Result<Option<Place>>;

    /// Gives a new account an organization of its own, with a workspace, in the account's transaction.
    async fn create_personal_organization(&self, tx: &Transaction, user: UserId, name: &str) -> Result<Place>;

    /// The organization that takes in whoever proves the address, where there is one. It stays locked until the
    /// transaction ends, so this is asked before anything that the transaction changes.
    async fn welcoming(&self, tx: &Transaction, email: &str) -> Result<Option<OrganizationId>>;

    /// Lets the person, who has proved the address in this transaction, into the organization that
    /// [`Directory::welcoming`] answered, unless its rules say no. Writes the organization's audit log, so it comes before
    /// the transaction's own record and after all else.
    async fn join(
        &self,
        tx: &Transaction,
        organization: OrganizationId,
        user: &User,
        email: &str,
        by: &Actor,
    ) -> Result<()>;

    /// The organizations and workspaces that the person belongs to, at most 100 of each.
    async fn places(&self, user: UserId) -> Result<Places>;

    /// What the person's organizations ask of their sign-ins, all together.
    async fn security(&self, user: UserId) -> Result<Arc<SecurityPolicy>>;

    /// What one organization asks of its members' sign-ins.
    async fn security_of(&self, organization: OrganizationId) -> Result<OrganizationSecurity>;

    /// The person has come in without the single sign-on that the organization requires, which they are exempt from: its
    /// owners are told.
    async fn let_in_exempt(
        &self,
        tx: &Transaction,
        organization: OrganizationId,
        user: UserId,
        by: &Actor,
    ) -> Result<()>;

    /// The workspace's place, where the person can reach it.
    async fn reach(&self, user: UserId, workspace: WorkspaceId) -> Result<Option<Place>>;

    /// The person has a session that stands in the organization from now on.
    async fn signed_in(
        &self,
        tx: &Transaction,
        user: UserId,
        organization: OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// The name or the primary address of a person is another one now.
    async fn person_renamed(&self, tx: &Transaction, user: UserId) -> Result<()>;

    /// Whether each organization that requires single sign-on keeps an owner who can come in without it, whatever this person
    /// has given up in the transaction of what they sign in with.
    async fn keeps_ways_in(&self, tx: &Transaction, user: UserId) -> Result<bool>;

    /// Takes a person out of every organization because they close their account, and deletes those in which nobody else
    /// is. `LAST_ADMIN` where an organization with other members would be left without an owner. Answers the records of it,
    /// to be written after everything that the transaction locks.
    async fn close_account(&self, tx: &Transaction, user: UserId, now: DateTime<Utc>) -> Result<Vec<AuditRecord>>;

    /// Undoes [`Directory::close_account`] of that moment.
    async fn reopen_account(
        &self,
        tx: &Transaction,
        user: UserId,
        closed_at: DateTime<Utc>,
    ) -> Result<Vec<AuditRecord>>;

    /// A closed account is about to go for good, and what the person is in organizations goes with it. Holds these until the
    /// transaction ends, as everybody does who changes their members.
    async fn hold_organizations(&self, tx: &Transaction, user: UserId) -> Result<()>;
}

/// An organization, and a workspace in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
}

/// Where a person belongs.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub organizations: Vec<OrganizationOfUser>,
    pub workspaces: Vec<WorkspaceOfUser>,
}

/// An organization as its member sees it in `GET /api/v1/auth/me`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OrganizationOfUser {
    pub id: OrganizationId,
    #[schema(examples("Acme"))]
    pub name: String,
    #[schema(examples("acme.example"))]
    pub domain: Option<String>,
    #[schema(examples("enterprise"))]
    pub plan: String,
    pub is_admin: bool,
    pub joined_at: DateTime<Utc>,
    /// How the person came in: `signup`, `created`, `provisioned`, …
    #[schema(examples("signup"))]
    pub source: String,
}

/// A workspace as its member sees it in `GET /api/v1/auth/me`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WorkspaceOfUser {
    pub id: WorkspaceId,
    #[schema(examples("Main Workspace"))]
    pub name: String,
    #[schema(examples("main-workspace"))]
    pub slug: String,
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
}
