//! What policies are bound to, or ask of people, lies in other rooms: roles, people, groups and workspaces below, data
//! sources above.
//! [`Targets`] is how this room asks after them; it is handed in at assembly.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rivergen_kernel::{
    DataSourceId, DatasetId, Error, ErrorCode, FieldError, Result, RoleId, Tenant, UserId, WorkspaceId,
    caller::Membership,
};

use crate::{
    rule::{ConfigError, RuleConfig},
    store::assignment::{self, BoundTable},
};

/// Something that a policy can be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    DataSource(DataSourceId),
    Dataset(DatasetId),
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

    /// The tables that these datasets are, of sources that are not deleted.
    async fn datasets(&self, tenant: Tenant, datasets: &BTreeSet<DatasetId>)
    -> Result<BTreeMap<DatasetId, BoundTable>>;

    /// Rules that cannot be applied to what discovery found in these places, each by its place in the list, with what
    /// is wrong. A source that was never discovered says nothing.
    async fn misfits(&self, tenant: Tenant, places: &Places, rules: &[RuleConfig])
    -> Result<Vec<(usize, ConfigError)>>;

    /// The groups of a person at the organization's identity providers, by their names.
    async fn groups_of(&self, tenant: Tenant, user: UserId) -> Result<Vec<String>>;

    /// An active member, standing in the workspace if one is given; nothing for everybody else.
    async fn member(&self, tenant: Tenant, user: UserId, workspace: Option<WorkspaceId>) -> Result<Option<Member>>;
}

/// What a policy is bound to by id: whole sources, and single tables of sources.
#[derive(Debug, Clone, Default)]
pub struct Places {
    whole: BTreeSet<DataSourceId>,
    /// Each with its schema and its name.
    tables: BTreeSet<(DataSourceId, String, String)>,
}

impl Places {
    /// Those of stored assignments.
    pub fn of(assignments: &[assignment::Model]) -> Self {
        let mut places = Self::default();
        for row in assignments {
            places.add(row.data_source_id, row.table().as_ref());
        }
        places
    }

    /// A table of a source is the narrower of the two, where both are given.
    pub fn add(&mut self, source: Option<DataSourceId>, table: Option<&BoundTable>) {
        if let Some(table) = table {
            self.tables.insert((table.data_source_id, table.schema.clone(), table.name.clone()));
        } else if let Some(source) = source {
            self.whole.insert(source);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.tables.is_empty()
    }

    /// All sources that they lie in.
    pub fn sources(&self) -> BTreeSet<DataSourceId> {
        self.whole.iter().copied().chain(self.tables.iter().map(|(source, ..)| *source)).collect()
    }

    pub fn has(&self, source: DataSourceId, schema: &str, table: &str) -> bool {
        let is_it = |(of, in_schema, name): &(DataSourceId, String, String)| {
            (*of, in_schema.as_str(), name.as_str()) == (source, schema, table)
        };
        self.whole.contains(&source) || self.tables.iter().any(is_it)
    }
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
}

impl NamedTargets {
    pub fn add(&mut self, field: impl Into<String>, target: Target) {
        self.named.push((field.into(), target));
    }

    pub fn add_all(&mut self, given: impl IntoIterator<Item = (&'static str, Option<Target>)>) {
        self.named.extend(given.into_iter().filter_map(|(field, target)| Some((field.to_owned(), target?))));
    }

    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// `NOT_FOUND` with the fields whose target the organization does not have.
    pub async fn check(self, targets: &dyn Targets, tenant: Tenant) -> Result<()> {
        let Self { named } = self;
        if named.is_empty() {
            return Ok(());
        }
        let asked: BTreeSet<Target> = named.iter().map(|(_, target)| *target).collect();
        let existing = targets.existing(tenant, &asked).await?;
        let missing: Vec<FieldError> = named
            .into_iter()
            .filter(|(_, target)| !existing.contains(target))
            .map(|(field, _)| FieldError::new(field, "does not exist in your organization"))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(Error::new(ErrorCode::NotFound).with_details(missing)) }
    }
}
