//! What policies are bound to, or ask of people, lies in other rooms: roles, people, groups and workspaces below, data
//! sources above.
//! [`Targets`] is how this room asks after them; it is handed in at assembly.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rivergen_kernel::{
    DataSourceId, Error, ErrorCode, FieldError, Result, RoleId, Tenant, UserId, WorkspaceId, caller::Membership,
};

use crate::rule::{ConfigError, RuleConfig};

/// Something that a policy can be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    DataSource(DataSourceId),
    Role(RoleId),
    User(UserId),
    Workspace(WorkspaceId),
}

/// The organization's objects, as policies need to know them. Each call costs a number of queries that does
/// not grow with what is asked for.
#[async_trait]
pub trait Targets: Send + Sync {
    /// Those of the targets that the organization has now. A user counts as long as they are a member.
    async fn existing(&self, tenant: Tenant, targets: &BTreeSet<Target>) -> Result<BTreeSet<Target>>;

    /// The names of the organization's roles among these.
    async fn role_names(&self, tenant: Tenant, roles: &BTreeSet<RoleId>) -> Result<BTreeMap<RoleId, String>>;

    /// The workspace of each of the organization's sources among these; `None` for a source of the whole
    /// organization.
    async fn workspaces_of(
        &self,
        tenant: Tenant,
        sources: &BTreeSet<DataSourceId>,
    ) -> Result<BTreeMap<DataSourceId, Option<WorkspaceId>>>;

    /// Rules that cannot be applied to what discovery found in these sources, each by its place in the list, with what
    /// is wrong. A source that was never discovered says nothing.
    async fn misfits(
        &self,
        tenant: Tenant,
        sources: &BTreeSet<DataSourceId>,
        rules: &[RuleConfig],
    ) -> Result<Vec<(usize, ConfigError)>>;

    /// The groups of a person at the organization's identity providers, by their names.
    async fn groups_of(&self, tenant: Tenant, user: UserId) -> Result<Vec<String>>;

    /// An active member, standing in the workspace if one is given; nothing for everybody else.
    async fn member(&self, tenant: Tenant, user: UserId, workspace: Option<WorkspaceId>) -> Result<Option<Member>>;
}

/// What a member is, as far as policies look at it.
#[derive(Debug, Clone)]
pub struct Member {
    pub membership: Membership,
    pub proved_email: Option<String>,
}

/// The targets that a request names, each with the field that names it.
#[derive(Debug, Default)]
pub struct NamedTargets {
    named: Vec<(String, Target)>,
    missing: Vec<FieldError>,
}

impl NamedTargets {
    pub fn add(&mut self, field: impl Into<String>, target: Target) {
        self.named.push((field.into(), target));
    }

    pub fn add_all(&mut self, given: impl IntoIterator<Item = (&'static str, Option<Target>)>) {
        self.named.extend(given.into_iter().filter_map(|(field, target)| Some((field.to_owned(), target?))));
    }

    /// A field whose ids can not name anything: there are no such objects.
    pub fn add_missing(&mut self, field: &str) {
        self.missing.push(not_here(field));
    }

    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.missing.is_empty()
    }

    /// `NOT_FOUND` with the fields whose target the organization does not have.
    pub async fn check(self, targets: &dyn Targets, tenant: Tenant) -> Result<()> {
        let Self { named, mut missing } = self;
        if !named.is_empty() {
            let asked: BTreeSet<Target> = named.iter().map(|(_, target)| *target).collect();
            let existing = targets.existing(tenant, &asked).await?;
            missing.extend(
                named.into_iter().filter(|(_, target)| !existing.contains(target)).map(|(field, _)| not_here(field)),
            );
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::new(ErrorCode::NotFound).with_details(missing)) }
    }
}

fn not_here(field: impl Into<String>) -> FieldError {
    FieldError::new(field, "names nothing in your organization")
}
