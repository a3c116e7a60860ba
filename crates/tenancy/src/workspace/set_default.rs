//! `POST /api/v1/organizations/{org_id}/workspaces/{workspace_id}/default`: every member can stand in the default
//! workspace, and there is always exactly one.

use axum::extract::State;
use rivergen_kernel::{OrganizationId, Permission, Result, WorkspaceId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde_json::json;

use super::{
    Workspace, WorkspaceAnswer, default_of, hold,
    settings::{Settings, may_be_newcomers},
};
use crate::Tenancy;

errors! {
    pub SetDefaultErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound;
}

/// Make a workspace the default of its organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/workspaces/{workspace_id}/default", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("workspace_id" = WorkspaceId, Path, description = "The workspace")),
    responses((status = 200, description = "It is the default now, and no other is", body = Envelope<WorkspaceAnswer>), SetDefaultErrors))]
pub async fn set_default_workspace(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, workspace_id)): Path<(OrganizationId, WorkspaceId)>,
) -> Result<Reply<WorkspaceAnswer>> {
    // It is the organization's affair: a role in the workspace does not suffice.
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.require(Permission::WorkspaceWrite)?;
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let mut workspace = hold(&tx, tenant, workspace_id).await?;
    if !workspace.is_default {
        may_be_newcomers(tx.conn(), &caller, tenant, Settings::of(&workspace)).await?;
        let before = default_of(tx.conn(), tenant.id()).await?;
        let before_id = before.as_ref().map(|row| row.id);
        if let Some(before) = before {
            let mut row = before.into_active_model();
            row.is_default = Set(false);
            row.updated_at = Set(now);
            row.update(tx.conn()).await?;
        }
        let mut row = workspace.into_active_model();
        row.is_default = Set(true);
        row.updated_at = Set(now);
        workspace = row.update(tx.conn()).await?;
        tx.publish(Event::OrganizationChanged(tenant.id())).await?;
        let record = AuditRecord::new(Some(tenant.id()), origin.actor(caller.user_id), "workspace.set_default")
            .target("workspace", workspace_id.0)
            .details(json!({"before": before_id, "after": workspace_id}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
    }
    let message = "The workspace is now the default.";
    let workspace = Workspace::of(platform.db.read(), tenant, workspace).await?;
    Ok(Reply::ok(WorkspaceAnswer { workspace, message }, message))
}
