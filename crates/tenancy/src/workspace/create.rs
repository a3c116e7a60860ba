//! `POST /api/v1/organizations/{org_id}/workspaces` and `POST /api/v1/workspaces`: a new workspace, whose maker is its
//! Admin.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, OrganizationId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    NewWorkspace, Workspace, WorkspaceAnswer, make_admin,
    settings::{Settings, WorkspaceSettingsChange},
};
use crate::{Tenancy, organization};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Development Workspace"}))]
pub struct CreateInOrganizationRequest {
    /// Unique in the organization.
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Development Workspace", "organization_id": 42, "settings": {"allow_public_access": false}}))]
pub struct CreateWorkspaceRequest {
    /// Unique in the organization.
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
    #[garde(skip)]
    pub organization_id: OrganizationId,
    #[garde(skip)]
    pub settings: Option<WorkspaceSettingsChange>,
}

errors! {
    pub CreateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, PlanLimitReached, OrgNotFound, RoleNotFound, WorkspaceExists, PublicAccessForbidden, ValidationError;
}

/// Create a workspace in an organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/workspaces", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")), request_body = CreateInOrganizationRequest,
    responses((status = 201, description = "Created; the caller is its Admin", body = Envelope<WorkspaceAnswer>), CreateErrors))]
pub async fn create_workspace_in_organization(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<CreateInOrganizationRequest>,
) -> Result<Reply<WorkspaceAnswer>> {
    create_for(&tenancy, &caller, &origin, org_id, &request.name, WorkspaceSettingsChange::default()).await
}

/// Create a workspace in the organization that the body names
#[utoipa::path(post, path = "/api/v1/workspaces", tag = "workspaces", request_body = CreateWorkspaceRequest,
    responses((status = 201, description = "Created; the caller is its Admin", body = Envelope<WorkspaceAnswer>), CreateErrors))]
pub async fn create_workspace(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateWorkspaceRequest>,
) -> Result<Reply<WorkspaceAnswer>> {
    let settings = request.settings.unwrap_or_default();
    create_for(&tenancy, &caller, &origin, request.organization_id, &request.name, settings).await
}

async fn create_for(
    tenancy: &Tenancy,
    caller: &Caller,
    origin: &RequestOrigin,
    organization_id: OrganizationId,
    name: &str,
    settings: WorkspaceSettingsChange,
) -> Result<Reply<WorkspaceAnswer>> {
    let caller = tenancy.enter(caller, organization_id).await?;
    let tenant = caller.require(Permission::WorkspaceCreate)?;
    let platform = &tenancy.identity.platform;
    let actor = origin.actor(caller.user_id);
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    settings.check(tx.conn(), &caller, tenant, Settings::default()).await?;
    let new = NewWorkspace {
        settings: Settings::default().changed_by(&settings),
        ..NewWorkspace::of(tenant.organization_id(), name)
    };
    let workspace = new.insert(&tx, platform.clock.now()).await?;
    make_admin(&tx, tenant, workspace.id, caller.user_id, &actor, &platform.clock).await?;
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let record =
        AuditRecord::new(Some(tenant.organization_id()), actor, "workspace.create").target("workspace", workspace.id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The workspace was created.";
    let workspace = Workspace::of(platform.db.read(), tenant, workspace).await?;
    Ok(Reply::created(WorkspaceAnswer { workspace, message }, message))
}
