//! `GET /api/v1/organizations/{org_id}/workspaces/{workspace_id}` and `GET /api/v1/workspaces/{workspace_id}`.

use axum::extract::State;
use rivergen_kernel::{Caller, OrganizationId, Result, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};

use super::{Workspace, WorkspaceAnswer};
use crate::Tenancy;

errors! {
    pub GetInOrganizationErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound;
    pub GetErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, WorkspaceNotFound;
}

/// Read one workspace of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/workspaces/{workspace_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("workspace_id" = WorkspaceId, Path, description = "The workspace")),
    responses((status = 200, description = "The workspace", body = Envelope<WorkspaceAnswer>), GetInOrganizationErrors))]
pub async fn get_workspace_in_organization(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path((org_id, workspace_id)): Path<(OrganizationId, WorkspaceId)>,
) -> Result<Reply<WorkspaceAnswer>> {
    get_for(&tenancy, &caller, Some(org_id), workspace_id).await
}

/// Read one workspace
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}", tag = "workspaces",
    params(("workspace_id" = WorkspaceId, Path, description = "The workspace")),
    responses((status = 200, description = "The workspace", body = Envelope<WorkspaceAnswer>), GetErrors))]
pub async fn get_workspace(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(workspace_id): Path<WorkspaceId>,
) -> Result<Reply<WorkspaceAnswer>> {
    get_for(&tenancy, &caller, None, workspace_id).await
}

async fn get_for(
    tenancy: &Tenancy,
    caller: &Caller,
    organization: Option<OrganizationId>,
    workspace: WorkspaceId,
) -> Result<Reply<WorkspaceAnswer>> {
    let (tenant, found) = tenancy.see_workspace(caller, organization, workspace).await?;
    let message = "The workspace.";
    let workspace = Workspace::of(tenancy.identity.platform.db.read(), tenant, found).await?;
    Ok(Reply::ok(WorkspaceAnswer { workspace, message }, message))
}
