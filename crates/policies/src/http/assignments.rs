//! `GET /api/v1/policies/{policy_id}/assignments` and `DELETE …/assignments/{policy_assignment_id}`: whom and what a policy
//! governs, and its end.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{
    DataSourceId, DatasetId, ErrorCode, Page, Permission, PolicyId, Result, RoleId, UserId, WorkspaceId,
};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, ModelTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{PolicyAssignment, role_names};
use crate::{
    Policies,
    store::{
        self,
        assignment::{Column, Entity},
    },
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// Only assignments to this source.
    pub data_source_id: Option<DataSourceId>,
    /// Only assignments to this table of a source.
    pub dataset_id: Option<DatasetId>,
    /// Only assignments to this role.
    pub role_id: Option<RoleId>,
    /// Only assignments to this person.
    pub user_id: Option<UserId>,
    /// Only assignments to this workspace.
    pub workspace_id: Option<WorkspaceId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedAssignment {
    pub policy_id: PolicyId,
    #[schema(examples(7))]
    pub assignment_id: i64,
    pub removed_at: DateTime<Utc>,
}

errors! {
    pub ListAssignmentsErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError;
    pub RemoveAssignmentErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, AssignmentNotFound, InternalError;
}

/// List the assignments of a policy
#[utoipa::path(get, path = "/api/v1/policies/{policy_id}/assignments", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy"), Filter, PageQuery),
    responses((status = 200, description = "The oldest first", body = Envelope<Page<PolicyAssignment>>), ListAssignmentsErrors))]
pub async fn list_policy_assignments(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    Path(policy_id): Path<PolicyId>,
    Query(filter): Query<Filter>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<PolicyAssignment>>> {
    let tenant = caller.require(Permission::PolicyRead)?;
    let page = page.request()?;
    let db = policies.platform.db.read();
    store::find(db, tenant, policy_id).await?;
    // Index: policy_assignments(policy_id, …).
    let mut query = tenant.find::<Entity>().filter(Column::PolicyId.eq(policy_id));
    if let Some(id) = filter.data_source_id {
        query = query.filter(Column::DataSourceId.eq(id));
    }
    if let Some(id) = filter.dataset_id {
        query = query.filter(Column::DatasetId.eq(id));
    }
    if let Some(id) = filter.role_id {
        query = query.filter(Column::RoleId.eq(id));
    }
    if let Some(id) = filter.user_id {
        query = query.filter(Column::UserId.eq(id));
    }
    if let Some(id) = filter.workspace_id {
        query = query.filter(Column::WorkspaceId.eq(id));
    }
    let total = query.clone().count(db).await?;
    let rows = query.order_by_asc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let names = role_names(&policies, tenant, &rows).await?;
    let items = rows.into_iter().map(|row| PolicyAssignment::new(row, &names)).collect();
    Ok(Reply::ok(Page::new(items, page, total), "The assignments."))
}

/// Remove an assignment from a policy
#[utoipa::path(delete, path = "/api/v1/policies/{policy_id}/assignments/{policy_assignment_id}", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy"),
        ("policy_assignment_id" = i64, Path, description = "An assignment of it")),
    responses((status = 200, description = "Removed; it no longer applies from the next query", body = Envelope<RemovedAssignment>), RemoveAssignmentErrors))]
pub async fn remove_policy_assignment(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((policy_id, assignment_id)): Path<(PolicyId, i64)>,
) -> Result<Reply<RemovedAssignment>> {
    let tenant = caller.require(Permission::PolicyWrite)?;
    let platform = &policies.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    store::lock(&tx, tenant, policy_id).await?;
    let found = tenant
        .find::<Entity>()
        .filter(Column::Id.eq(assignment_id))
        .filter(Column::PolicyId.eq(policy_id))
        .one(tx.conn())
        .await?;
    let row = found.ok_or(ErrorCode::AssignmentNotFound)?;
    let details = json!({"assignment_id": row.id, "data_source_id": row.data_source_id,
        "dataset_id": row.dataset_id, "workspace_id": row.workspace_id, "role_id": row.role_id, "user_id": row.user_id, "is_active": row.is_active});
    row.delete(tx.conn()).await?;
    tx.publish(Event::PoliciesChanged(tenant.id())).await?;
    let record = AuditRecord::new(Some(tenant.id()), origin.actor(caller.user_id), "policy.unassign")
        .target("policy", policy_id.0)
        .details(details);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(RemovedAssignment { policy_id, assignment_id, removed_at: now }, "The assignment was removed."))
}
