//! Which policies govern a caller on a source.
//!
//! ```text
//! policies of the organization ──active──▶ kept in memory ──assignments match?──▶ per source, by priority
//! ```
//!
//! All active policies of an organization are loaded with three queries and kept until one of them changes
//! (`Event::PoliciesChanged`); a query then costs no more than asking for the workspaces of its sources.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use rivergen_kernel::{
    DataSourceId, ErrorCode, OrganizationId, PolicyId, Result, RoleId, Tenant, UserId, WorkspaceId, caller::Membership,
};
use rivergen_platform::{
    Bus, Event, Kept,
    db::{Database, TenantScope},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use crate::{
    Policies,
    rule::{EffectivePolicy, RuleConfig},
    store::{
        self,
        assignment::{self, Access, Reach, workspace_covers},
        rule,
    },
};

/// Organizations whose policies a node keeps.
const KEPT_ORGANIZATIONS: u64 = 10_000;
const KEPT_FOR: Duration = Duration::from_secs(300);

/// The active policies of an organization.
pub(crate) type ActivePolicies = Arc<Vec<ActivePolicy>>;

/// A policy with what it governs.
#[derive(Debug)]
pub(crate) struct ActivePolicy {
    policy: EffectivePolicy,
    workspace_id: Option<WorkspaceId>,
    assignments: Vec<Reach>,
}

impl ActivePolicy {
    /// The policy as it governs a source by those of its assignments that are meant; nothing where none is.
    fn within(
        &self,
        source_workspace: Option<WorkspaceId>,
        is_meant: impl Fn(&Reach) -> bool,
    ) -> Option<EffectivePolicy> {
        if !workspace_covers(self.workspace_id, source_workspace) {
            return None;
        }
        let mut only = BTreeSet::new();
        for reach in self.assignments.iter().filter(|reach| is_meant(reach)) {
            match &reach.table {
                // What governs the source governs each of its tables.
                None => return Some(self.policy.clone()),
                Some(table) => only.insert((table.schema.clone(), table.name.clone())),
            };
        }
        (!only.is_empty()).then(|| EffectivePolicy { only: Some(only), ..self.policy.clone() })
    }

    /// Whether it matters which workspace a source belongs to.
    fn looks_at_workspaces(&self) -> bool {
        self.workspace_id.is_some() || self.assignments.iter().any(|reach| reach.workspace_id.is_some())
    }
}

pub(crate) fn kept(bus: &Bus) -> Kept<OrganizationId, ActivePolicies> {
    Kept::new(bus, KEPT_ORGANIZATIONS, KEPT_FOR, |organization, _| vec![Event::PoliciesChanged(*organization)])
}

impl Policies {
    /// The policies that govern this caller, for each of the sources, highest priority first. A source that
    /// nothing governs has an empty list.
    ///
    /// A policy of a workspace, and an assignment to one, governs the sources of that workspace and those
    /// of no workspace. A role that somebody holds in a workspace counts where they stand, and for the sources of that
    /// workspace wherever they stand. The sources are the organization's: whoever asks has looked them up in it. One that is
    /// gone by now, or was never there, is `NOT_FOUND` where its workspace would matter.
    pub async fn effective_for(
        &self,
        tenant: Tenant,
        membership: &Membership,
        user_id: UserId,
        data_source_ids: &[DataSourceId],
    ) -> Result<BTreeMap<DataSourceId, Vec<EffectivePolicy>>> {
        let organization = tenant.organization_id();
        let active = self.active.get_or_load(organization, load(&self.platform.db, tenant)).await?;
        let sources: BTreeSet<DataSourceId> = data_source_ids.iter().copied().collect();
        let has_roles_elsewhere = !active.is_empty() && !membership.roles_elsewhere.is_empty();
        let workspaces = if has_roles_elsewhere || active.iter().any(ActivePolicy::looks_at_workspaces) {
            self.targets.workspaces_of(tenant, &sources).await?
        } else {
            sources.iter().map(|source| (*source, None)).collect()
        };
        sources
            .into_iter()
            .map(|data_source_id| {
                let source_workspace_id = *workspaces.get(&data_source_id).ok_or(ErrorCode::NotFound)?;
                // A role in a workspace counts for the sources of that workspace, wherever its holder stands.
                let of_workspace =
                    membership.roles_elsewhere.iter().filter(|(workspace, _)| Some(*workspace) == source_workspace_id);
                let role_ids: BTreeSet<RoleId> =
                    membership.role_ids.iter().chain(of_workspace.map(|(_, role)| role)).copied().collect();
                let access = Access { user_id, role_ids: &role_ids, data_source_id, source_workspace_id };
                let governing = active
                    .iter()
                    .filter_map(|policy| policy.within(source_workspace_id, |reach| reach.covers(&access)))
                    .collect();
                Ok((data_source_id, governing))
            })
            .collect()
    }
}

impl Policies {
    /// The person's groups at the organization's identity providers; none are looked up where no policy may ask for them.
    pub async fn groups_for(
        &self,
        tenant: Tenant,
        user_id: UserId,
        policies: &BTreeMap<DataSourceId, Vec<EffectivePolicy>>,
    ) -> Result<Vec<String>> {
        let may_ask = |policy: &EffectivePolicy| policy.rules.iter().any(RuleConfig::may_ask_for_groups);
        match policies.values().flatten().any(may_ask) {
            true => self.targets.groups_of(tenant, user_id).await,
            false => Ok(Vec::new()),
        }
    }

    /// The active policies that govern somebody on the source, whoever that is, highest priority first.
    pub async fn governing(
        &self,
        tenant: Tenant,
        source: DataSourceId,
        source_workspace: Option<WorkspaceId>,
    ) -> Result<Vec<EffectivePolicy>> {
        let active = self.active.get_or_load(tenant.organization_id(), load(&self.platform.db, tenant)).await?;
        let lies_in = |reach: &Reach| reach.lies_in(source, source_workspace);
        Ok(active.iter().filter_map(|policy| policy.within(source_workspace, lies_in)).collect())
    }
}

async fn load(db: &Database, tenant: Tenant) -> Result<ActivePolicies> {
    // Index: policies(organization_id, priority, id); both sub-selects run on it again.
    let live = tenant
        .find::<store::Entity>()
        .filter(store::Column::IsActive.eq(true))
        .filter(store::Column::DeletedAt.is_null());
    let ids = || live.clone().select_only().column(store::Column::Id).into_query();
    let db = db.read();
    // Assignments first: a policy that is written meanwhile is then one without assignments, never one without rules.
    let mut assignments: HashMap<PolicyId, Vec<Reach>> = HashMap::new();
    for row in tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::IsActive.eq(true))
        .filter(assignment::Column::PolicyId.in_subquery(ids()))
        .all(db)
        .await?
    {
        assignments.entry(row.policy_id).or_default().push(Reach::from(&row));
    }
    let policies = live.clone().order_by_desc(store::Column::Priority).order_by_asc(store::Column::Id).all(db).await?;
    let mut rules: HashMap<PolicyId, Vec<rule::Model>> = HashMap::new();
    for row in rule::Entity::find()
        .filter(rule::Column::IsActive.eq(true))
        .filter(rule::Column::PolicyId.in_subquery(ids()))
        .order_by_asc(rule::Column::RuleOrder)
        .order_by_asc(rule::Column::Id)
        .all(db)
        .await?
    {
        rules.entry(row.policy_id).or_default().push(row);
    }
    let active = policies
        .into_iter()
        .filter_map(|row| {
            let assignments = assignments.remove(&row.id)?;
            let policy_type = row.policy_type();
            let rules = rules.remove(&row.id).unwrap_or_default();
            Some(policy_type.map(|policy_type| ActivePolicy {
                workspace_id: row.workspace_id,
                assignments,
                policy: EffectivePolicy {
                    id: row.id,
                    name: row.name,
                    policy_type,
                    priority: row.priority,
                    only: None,
                    rules: rules.iter().map(rule::Model::effect).collect(),
                },
            }))
        })
        .collect::<Result<_>>()?;
    Ok(Arc::new(active))
}
