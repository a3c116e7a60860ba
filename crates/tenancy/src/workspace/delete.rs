//! `DELETE /api/v1/organizations/{org_id}/workspaces/{workspace_id}` and `DELETE /api/v1/workspaces/{workspace_id}`.
//!
//! At once nobody belongs to it any more, its invitations are revoked, its name is free, and the sessions that stood in
//! it stand in the default workspace. The row is purged thirty days later; what other rooms keep of it (sources, files,
//! policies) stays with the organization.

use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_identity::{directory::Place, session};
use rivergen_kernel::{Caller, ErrorCode, OrganizationId, Permission, Result, WorkspaceId};
use rivergen_platform::{
    Event,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
    jobs::{CancellationToken, Handler, JobContext, JobError},
    removal,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    sea_query::Expr,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Column, Entity, default_of, hold};
use crate::{Tenancy, invitation, member::assignment};

/// How long the row of a deleted workspace is kept.
const KEPT_DAYS: i64 = 30;
const JOB: &str = "tenancy.purge_workspaces";

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedWorkspace {
    pub workspace_id: WorkspaceId,
    pub deleted_at: DateTime<Utc>,
    pub message: &'static str,
}

errors! {
    pub DeleteInOrganizationErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound, DefaultWorkspace;
    pub DeleteErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, WorkspaceNotFound, DefaultWorkspace;
}

/// Delete a workspace of an organization
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}/workspaces/{workspace_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("workspace_id" = WorkspaceId, Path, description = "The workspace")),
    responses((status = 200, description = "Deleted; purged after thirty days", body = Envelope<DeletedWorkspace>), DeleteInOrganizationErrors))]
pub async fn delete_workspace_in_organization(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, workspace_id)): Path<(OrganizationId, WorkspaceId)>,
) -> Result<Reply<DeletedWorkspace>> {
    delete_for(&tenancy, &caller, &origin, Some(org_id), workspace_id).await
}

/// Delete a workspace
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}", tag = "workspaces",
    params(("workspace_id" = WorkspaceId, Path, description = "The workspace")),
    responses((status = 200, description = "Deleted; purged after thirty days", body = Envelope<DeletedWorkspace>), DeleteErrors))]
pub async fn delete_workspace(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(workspace_id): Path<WorkspaceId>,
) -> Result<Reply<DeletedWorkspace>> {
    delete_for(&tenancy, &caller, &origin, None, workspace_id).await
}

async fn delete_for(
    tenancy: &Tenancy,
    caller: &Caller,
    origin: &RequestOrigin,
    organization: Option<OrganizationId>,
    workspace_id: WorkspaceId,
) -> Result<Reply<DeletedWorkspace>> {
    let (caller, _) = tenancy.enter_workspace(caller, organization, workspace_id).await?;
    let tenant = caller.require(Permission::WorkspaceDelete)?;
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let workspace = hold(&tx, tenant, workspace_id).await?;
    // The last one is the default, too: there is always one.
    let default = default_of(tx.conn(), tenant.id()).await?.filter(|default| default.id != workspace_id);
    let default = default.ok_or(ErrorCode::DefaultWorkspace)?;

    let name = workspace.name.clone();
    let mut row = workspace.into_active_model();
    // The key of a name is in lower case: so none stands in the way of this one.
    row.name_key = Set(format!("~DELETED:{workspace_id}"));
    row.slug = Set(format!("~deleted:{workspace_id}"));
    row.external_key = Set(None);
    row.updated_at = Set(now);
    row.deleted_at = Set(Some(now));
    row.update(tx.conn()).await?;
    // Index: role_assignments(workspace_id, id).
    let held = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::WorkspaceId.eq(workspace_id))
        .filter(assignment::live(now))
        .order_by_asc(assignment::Column::Id)
        .all(tx.conn())
        .await?;
    let roles = assignment::Entity::delete_many()
        .filter(assignment::Column::WorkspaceId.eq(workspace_id))
        .exec(tx.conn())
        .await?
        .rows_affected;
    // Index: invitations(workspace_id, status).
    let invitations = invitation::Entity::update_many()
        .col_expr(invitation::Column::Status, Expr::value(invitation::Status::Revoked))
        .col_expr(invitation::Column::EndedAt, Expr::value(now))
        .filter(invitation::Column::WorkspaceId.eq(workspace_id))
        .filter(invitation::Column::Status.eq(invitation::Status::Pending))
        .exec(tx.conn())
        .await?
        .rows_affected;
    let place = Place { organization_id: tenant.id(), workspace_id: Some(default.id) };
    let sessions = session::move_all(&tx, workspace_id, place).await?;
    // Ends what is kept of all members: their standings, and the callers whose sessions moved.
    tx.publish(Event::OrganizationChanged(tenant.id())).await?;
    let actor = origin.actor(caller.user_id);
    assignment::record_taken(&tx, &held, &actor, &platform.clock).await?;
    let record =
        AuditRecord::new(Some(tenant.id()), actor, "workspace.delete").target("workspace", workspace_id.0).details(
            json!({"name": name, "roles_taken": roles, "invitations_revoked": invitations, "sessions_moved": sessions}),
        );
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The workspace was deleted.";
    Ok(Reply::ok(DeletedWorkspace { workspace_id, deleted_at: now, message }, message))
}

/// Removes for good what was deleted long enough ago.
pub(crate) struct Purge(Tenancy);

impl Purge {
    pub fn register(tenancy: &Tenancy) {
        let every = Duration::from_secs(3600);
        tenancy.identity.platform.jobs.every(JOB, every, std::sync::Arc::new(Self(tenancy.clone())));
    }
}

#[async_trait]
impl Handler for Purge {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        purge(&self.0, &context.shutdown).await
    }
}

/// One run. Index: workspaces(deleted_at).
pub async fn purge(tenancy: &Tenancy, shutdown: &CancellationToken) -> Result<(), JobError> {
    let platform = &tenancy.identity.platform;
    let is_over = Column::DeletedAt.lte(platform.clock.now() - chrono::Duration::days(KEPT_DAYS));
    let due = Entity::find().filter(is_over.clone());
    removal::one_by_one(&platform.db, shutdown, Column::Id, due, |row| {
        let still_due = Entity::delete_many().filter(Column::Id.eq(row.id)).filter(is_over.clone());
        let record = AuditRecord::new(Some(row.organization_id), Actor::system(), "workspace.purge")
            .target("workspace", row.id.0)
            .details(json!({"name": row.name}));
        async move { removal::recorded(platform, platform.db.begin().await?, still_due, record).await }
    })
    .await
}
