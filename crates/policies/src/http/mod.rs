//! The operations of `/api/v1/policies`, one file each; the shapes that they share stand here.

pub mod assign;
pub mod assignments;
pub mod create;
pub mod dashboard;
pub mod delete;
pub mod evaluations;
pub mod get;
pub mod list;
pub(crate) mod rules;
pub mod update;
pub mod versions;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    DataSourceId, DatasetId, ErrorCode, OrganizationId, PolicyId, PolicyRuleId, QueryId, Result, RoleId, Tenant,
    UserId, WorkspaceId,
};
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use crate::{
    Policies,
    rule::{PolicyType, RuleType},
    store::{self, Whole, assignment::BoundTable},
};

/// A policy with its rules and assignments.
#[derive(Debug, Serialize, ToSchema)]
pub struct Policy {
    pub id: PolicyId,
    pub organization_id: OrganizationId,
    /// Set: governs the sources of this workspace, and those of none.
    pub workspace_id: Option<WorkspaceId>,
    #[schema(examples("Own region only"))]
    pub name: String,
    pub description: Option<String>,
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    pub is_active: bool,
    /// Higher ones come first.
    #[schema(examples(10))]
    pub priority: i64,
    pub rules: Vec<PolicyRule>,
    /// Without any, the policy governs nothing.
    pub assignments: Vec<PolicyAssignment>,
    #[schema(value_type = Object)]
    pub metadata: Json,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub updated_by_user_id: Option<UserId>,
    /// From 1; each change of the policy or its rules makes the next one.
    #[schema(examples(3))]
    pub version: i64,
}

/// A rule as it was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyRule {
    pub id: PolicyRuleId,
    pub policy_id: PolicyId,
    #[schema(examples("own region"))]
    pub rule_name: String,
    pub rule_type: RuleType,
    #[schema(value_type = Object)]
    pub rule_config: Json,
    #[schema(examples(0))]
    pub rule_order: i64,
    pub is_active: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a policy is bound to: all given ids must match.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyAssignment {
    #[schema(examples(7))]
    pub id: i64,
    pub policy_id: PolicyId,
    pub data_source_id: Option<DataSourceId>,
    /// A table or view of a source. It is referenced by its name there, and `dataset_id` was its id at that time.
    pub dataset_id: Option<DatasetId>,
    /// Its schema and its name.
    #[schema(examples("public.orders"))]
    pub dataset_name: Option<String>,
    /// The source that it belongs to.
    pub dataset_source_id: Option<DataSourceId>,
    /// Always null: see the request.
    pub query_id: Option<QueryId>,
    pub role_id: Option<RoleId>,
    #[schema(examples("Viewer"))]
    pub role_name: Option<String>,
    pub user_id: Option<UserId>,
    pub workspace_id: Option<WorkspaceId>,
    pub is_active: bool,
    pub applied_at: DateTime<Utc>,
    pub applied_by_user_id: UserId,
    #[schema(value_type = Object)]
    pub metadata: Json,
}

impl PolicyAssignment {
    fn new(row: store::assignment::Model, role_names: &BTreeMap<RoleId, String>) -> Self {
        let table = row.table();
        Self {
            id: row.id,
            policy_id: row.policy_id,
            data_source_id: row.data_source_id,
            dataset_id: row.dataset_id,
            dataset_name: table.as_ref().map(|table| format!("{}.{}", table.schema, table.name)),
            dataset_source_id: table.map(|table| table.data_source_id),
            query_id: None,
            role_id: row.role_id,
            role_name: row.role_id.and_then(|role| role_names.get(&role).cloned()),
            user_id: row.user_id,
            workspace_id: row.workspace_id,
            is_active: row.is_active,
            applied_at: row.applied_at,
            applied_by_user_id: row.applied_by_user_id,
            metadata: row.metadata,
        }
    }
}

impl TryFrom<store::rule::Model> for PolicyRule {
    type Error = rivergen_kernel::Error;

    fn try_from(row: store::rule::Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            policy_id: row.policy_id,
            rule_type: row.rule_type()?,
            rule_name: row.rule_name,
            rule_config: row.rule_config,
            rule_order: row.rule_order,
            is_active: row.is_active,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Policy {
    fn new(whole: Whole, role_names: &BTreeMap<RoleId, String>) -> Result<Self> {
        let Whole { policy: row, rules, assignments } = whole;
        Ok(Self {
            id: row.id,
            organization_id: row.organization_id,
            workspace_id: row.workspace_id,
            policy_type: row.policy_type()?,
            name: row.name,
            description: row.description,
            is_active: row.is_active,
            priority: row.priority,
            rules: rules.into_iter().map(PolicyRule::try_from).collect::<Result<_>>()?,
            assignments: assignments.into_iter().map(|row| PolicyAssignment::new(row, role_names)).collect(),
            metadata: row.metadata,
            created_by_user_id: row.created_by_user_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            updated_by_user_id: row.updated_by_user_id,
            version: row.version,
        })
    }
}

/// Why a query is nothing that a policy could be bound to.
const NOT_OF_A_QUERY: &str = "cannot be governed: the same question could be asked in other words. Assign the policy \
                              to the sources or datasets that it reads";

/// The tables that these datasets are; `NOT_FOUND` where one is none any more.
async fn tables_of(policies: &Policies, tenant: Tenant, datasets: &[DatasetId]) -> Result<Vec<BoundTable>> {
    let datasets: BTreeSet<DatasetId> = datasets.iter().copied().collect();
    if datasets.is_empty() {
        return Ok(Vec::new());
    }
    let tables = policies.targets.datasets(tenant, &datasets).await?;
    if tables.len() < datasets.len() {
        return Err(ErrorCode::NotFound.into());
    }
    Ok(tables.into_values().collect())
}

/// The names of the roles that assignments speak of.
async fn role_names(
    policies: &Policies,
    tenant: Tenant,
    assignments: &[store::assignment::Model],
) -> Result<BTreeMap<RoleId, String>> {
    let roles: BTreeSet<RoleId> = assignments.iter().filter_map(|row| row.role_id).collect();
    if roles.is_empty() { Ok(BTreeMap::new()) } else { policies.targets.role_names(tenant, &roles).await }
}
