//! `GET /api/v1/policies/dashboard`: how many policies of each type there are, and what they did lately.
//!
//! What they did is read from [`crate::daily`], never from the evaluations themselves: it costs one range of an index,
//! whose length is that of policies times days times results, however many queries ran.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_kernel::{Permission, Result, Tenant, WorkspaceId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, ConnectionTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Policies, daily,
    decision::EvaluationResult,
    rule::PolicyType,
    store::{self, named},
    targets::{NamedTargets, Target},
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only policies of this workspace.
    #[garde(skip)]
    pub workspace_id: Option<WorkspaceId>,
    /// The number of days over which evaluations are counted, including today.
    #[garde(inner(range(min = 1, max = 366)))]
    #[param(minimum = 1, maximum = 366, default = 30)]
    pub days: Option<u16>,
}

/// The policies of each type.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyDashboard {
    pub row_level_security: PolicyTypeSummary,
    pub data_masking: PolicyTypeSummary,
    pub query_limits: PolicyTypeSummary,
    pub access_control: PolicyTypeSummary,
}

/// What there is of one type, and what it did.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyTypeSummary {
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    #[schema(examples("Row-level security"))]
    pub name: &'static str,
    #[schema(examples("Which rows people see."))]
    pub description: &'static str,
    #[schema(examples(4))]
    pub total_policies: i64,
    #[schema(examples(3))]
    pub active_policies: i64,
    /// Whether at least one of them is active.
    pub is_active: bool,
    pub evaluations: EvaluationCounts,
}

/// How often policies were met by a query, and what came of it. One query counts once for each policy and source.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct EvaluationCounts {
    #[schema(examples(1204))]
    pub total: i64,
    #[schema(examples(0))]
    pub allowed: i64,
    /// Rows were filtered, columns masked or the query limited.
    #[schema(examples(1180))]
    pub modified: i64,
    #[schema(examples(24))]
    pub denied: i64,
    /// Null if nothing was evaluated in these days.
    pub last_evaluated_at: Option<DateTime<Utc>>,
}

errors! { pub DashboardErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// Read the number of policies of each type, and their activity
#[utoipa::path(get, path = "/api/v1/policies/dashboard", tag = "policies", params(Filter),
    responses((status = 200, description = "A summary for each type", body = Envelope<PolicyDashboard>), DashboardErrors))]
pub async fn get_policy_dashboard(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    Query(filter): Query<Filter>,
) -> Result<Reply<PolicyDashboard>> {
    let tenant = caller.require(Permission::PolicyRead)?;
    let mut targets = NamedTargets::default();
    targets.add_all([("workspace_id", filter.workspace_id.map(Target::Workspace))]);
    targets.check(&*policies.targets, tenant).await?;
    let today = policies.platform.clock.now().date_naive();
    let since = today - Duration::days(i64::from(filter.days.unwrap_or(30)) - 1);
    let db = policies.platform.db.read();
    let mut policies = counted(db, tenant, filter.workspace_id).await?;
    let mut evaluations = evaluated(db, tenant, filter.workspace_id, since).await?;
    let mut summary = |policy_type| {
        let (total_policies, active_policies) = policies.remove(&policy_type).unwrap_or_default();
        let (name, description) = about(policy_type);
        PolicyTypeSummary {
            policy_type,
            name,
            description,
            total_policies,
            active_policies,
            is_active: active_policies > 0,
            evaluations: evaluations.remove(&policy_type).unwrap_or_default(),
        }
    };
    let dashboard = PolicyDashboard {
        row_level_security: summary(PolicyType::RowLevelSecurity),
        data_masking: summary(PolicyType::DataMasking),
        query_limits: summary(PolicyType::QueryLimit),
        access_control: summary(PolicyType::AccessControl),
    };
    Ok(Reply::ok(dashboard, "The policies, by type."))
}

const fn about(policy_type: PolicyType) -> (&'static str, &'static str) {
    match policy_type {
        PolicyType::RowLevelSecurity => ("Row-level security", "Which rows people see."),
        PolicyType::DataMasking => ("Data masking", "What replaces values that people may not see."),
        PolicyType::QueryLimit => ("Query limits", "How many rows, how long and how often people may query."),
        PolicyType::AccessControl => ("Access control", "Which tables and columns people may read at all."),
    }
}

/// All and active policies of each type. Index: policies(organization_id, priority, id).
async fn counted(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    workspace: Option<WorkspaceId>,
) -> Result<BTreeMap<PolicyType, (i64, i64)>> {
    #[derive(FromQueryResult)]
    struct Row {
        policy_type: String,
        is_active: bool,
        policies: i64,
    }
    use store::{Column, Entity};
    let mut query = tenant.find::<Entity>().filter(Column::DeletedAt.is_null());
    if let Some(workspace) = workspace {
        query = query.filter(Column::WorkspaceId.eq(workspace));
    }
    let rows = query
        .select_only()
        .column(Column::PolicyType)
        .column(Column::IsActive)
        .column_as(Column::Id.count(), "policies")
        .group_by(Column::PolicyType)
        .group_by(Column::IsActive)
        .into_model::<Row>()
        .all(db)
        .await?;
    let mut counts: BTreeMap<PolicyType, (i64, i64)> = BTreeMap::new();
    for row in rows {
        let (total, active) = counts.entry(named(&row.policy_type)?).or_default();
        *total += row.policies;
        *active += if row.is_active { row.policies } else { 0 };
    }
    Ok(counts)
}

/// What the policies of each type did since that day. Indexes: policy_evaluation_days(organization_id, day), policies(id).
async fn evaluated(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    workspace: Option<WorkspaceId>,
    since: chrono::NaiveDate,
) -> Result<BTreeMap<PolicyType, EvaluationCounts>> {
    #[derive(FromQueryResult)]
    struct Row {
        policy_type: String,
        evaluation_result: String,
        evaluations: i64,
        last_evaluated_at: DateTime<Utc>,
    }
    use daily::{Column, Entity};
    use sea_orm::EntityTrait;
    let of_policy = Entity::belongs_to(store::Entity).from(Column::PolicyId).to(store::Column::Id);
    let mut query = tenant
        .find::<Entity>()
        .join(JoinType::InnerJoin, of_policy.into())
        .filter(Column::Day.gte(since))
        .filter(store::Column::DeletedAt.is_null());
    if let Some(workspace) = workspace {
        query = query.filter(store::Column::WorkspaceId.eq(workspace));
    }
    let sum = sea_orm::sea_query::ExprTrait::cast_as(Column::Evaluations.sum(), "bigint");
    let rows = query
        .select_only()
        .column(store::Column::PolicyType)
        .column(Column::EvaluationResult)
        .column_as(sum, "evaluations")
        .column_as(Column::LastEvaluatedAt.max(), "last_evaluated_at")
        .group_by(store::Column::PolicyType)
        .group_by(Column::EvaluationResult)
        .into_model::<Row>()
        .all(db)
        .await?;
    let mut found: BTreeMap<PolicyType, EvaluationCounts> = BTreeMap::new();
    for row in rows {
        let counts = found.entry(named(&row.policy_type)?).or_default();
        counts.total += row.evaluations;
        counts.last_evaluated_at = counts.last_evaluated_at.max(Some(row.last_evaluated_at));
        match named(&row.evaluation_result)? {
            EvaluationResult::Allowed => counts.allowed += row.evaluations,
            EvaluationResult::Modified => counts.modified += row.evaluations,
            EvaluationResult::Denied => counts.denied += row.evaluations,
        }
    }
    Ok(found)
}
