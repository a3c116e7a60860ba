//! `POST /api/v1/workspaces/{workspace_id}/clone`: a copy under a new name, in the same organization.
//!
//! What a copy takes over is what a workspace is set to and, where it is asked for, who is in it. Never that it is open to
//! the public, nor its invitations, nor what other rooms keep in it.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, Error, Permission, Result, RoleId, Tenant, UserId, WorkspaceId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{NewWorkspace, Workspace, WorkspaceAnswer, hold, make_admin, settings::Settings};
use crate::{
    Tenancy,
    member::{assignment, assignment::Grant},
    role,
};

/// Each member that is copied has a record in the audit log.
const MOST_MEMBERS: usize = 1000;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Development Workspace 2", "copy_members": true, "copy_settings": true}))]
pub struct CloneWorkspaceRequest {
    /// Unique in the organization.
    #[garde(length(chars, min = 1, max = 255), custom(super::has_a_letter))]
    pub name: String,
    /// Give everyone the role that they have in the original. At most 1,000 members can be copied, with roles that have
    /// no more permissions than your own.
    #[garde(skip)]
    #[serde(default)]
    pub copy_members: bool,
    /// Copy the description and the settings, except that the workspace is open to all members.
    #[garde(skip)]
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub copy_settings: bool,
}

fn yes() -> bool {
    true
}

errors! {
    pub CloneErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, PlanLimitReached, WorkspaceNotFound, WorkspaceExists, ValidationError;
}

/// Copy a workspace under a new name
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/clone", tag = "workspaces",
    params(("workspace_id" = WorkspaceId, Path, description = "The original")), request_body = CloneWorkspaceRequest,
    responses((status = 200, description = "The copy; the caller is its Admin", body = Envelope<WorkspaceAnswer>), CloneErrors))]
pub async fn clone_workspace(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(workspace_id): Path<WorkspaceId>,
    Json(request): Json<CloneWorkspaceRequest>,
) -> Result<Reply<WorkspaceAnswer>> {
    let (caller, _) = tenancy.enter_workspace(&caller, None, workspace_id).await?;
    let tenant = caller.require(Permission::WorkspaceCreate)?;
    if request.copy_members {
        caller.require(Permission::RoleAssign)?;
    }
    let platform = &tenancy.identity.platform;
    let clock = &platform.clock;
    let now = clock.now();
    let actor = origin.actor(caller.user_id);
    let tx = platform.db.begin().await?;
    let original = hold(&tx, tenant, workspace_id).await?;

    let mut new = NewWorkspace::of(tenant.id(), &request.name);
    new.source_workspace_id = Some(original.id);
    if request.copy_settings {
        new.description = original.description.clone();
        new.settings = Settings::in_force(tx.conn(), tenant, &original).await?.for_copy();
        if let Some(role_id) = new.settings.default_role_id {
            caller.may_grant(&role::find(tx.conn(), tenant, role_id).await?.permissions())?;
        }
    }
    let members = match request.copy_members {
        true => members(&tx, &caller, tenant, original.id, now).await?,
        false => BTreeMap::new(),
    };
    let copy = new.insert(&tx, now).await?;
    make_admin(&tx, tenant, copy.id, caller.user_id, &actor, clock).await?;
    for (user_id, held) in &members {
        let grant = Grant {
            tenant,
            user_id: *user_id,
            role_id: held.role_id,
            workspace_id: Some(copy.id),
            expires_at: held.expires_at,
        };
        grant.give(&tx, &actor, clock).await?;
    }
    tx.publish(Event::OrganizationChanged(tenant.id())).await?;
    let record = AuditRecord::new(Some(tenant.id()), actor, "workspace.clone").target("workspace", copy.id.0).details(
        json!({"source_workspace_id": original.id, "copy_settings": request.copy_settings, "members": members.len()}),
    );
    audit::record(&tx, clock, record).await?;
    tx.commit().await?;
    let message = "The workspace was copied.";
    let workspace = Workspace::of(platform.db.read(), tenant, copy).await?;
    Ok(Reply::ok(WorkspaceAnswer { workspace, message }, message))
}

/// The others who are in the workspace, each with the first role that they hold there. `FORBIDDEN` where one of the roles
/// is more than the caller holds.
async fn members(
    tx: &Transaction,
    caller: &Caller,
    tenant: Tenant,
    workspace: WorkspaceId,
    now: DateTime<Utc>,
) -> Result<BTreeMap<UserId, assignment::Model>> {
    // Index: role_assignments(workspace_id, id).
    let held = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::WorkspaceId.eq(workspace))
        .filter(assignment::Column::UserId.ne(caller.user_id))
        .filter(assignment::live(now))
        .order_by_asc(assignment::Column::Id)
        .limit(MOST_MEMBERS as u64 + 1)
        .all(tx.conn())
        .await?;
    if held.len() > MOST_MEMBERS {
        return Err(Error::invalid_field(
            "copy_members",
            "works for at most 1,000 members; add them to the copy instead",
        ));
    }
    let mut members = BTreeMap::new();
    for row in held {
        members.entry(row.user_id).or_insert(row);
    }
    // Held, so that none is deleted or given more meanwhile.
    let roles: BTreeSet<RoleId> = members.values().map(|row| row.role_id).collect();
    for role in tenant.find::<role::Entity>().filter(role::Column::Id.is_in(roles)).lock_shared().all(tx.conn()).await?
    {
        caller.may_grant(&role.permissions())?;
    }
    Ok(members)
}
