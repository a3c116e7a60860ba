//! `PATCH /api/v1/organizations/{org_id}/members/{user_id}`: another role in the whole organization, or another status.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Permission, PermissionSet, Result, RoleId, UserId};
use rivergen_platform::{
    Clock, Transaction,
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Status, assignment::Grant, get, view::MemberAnswer};
use crate::{
    Tenancy, organization,
    role::{self, rules::Deed},
    standing::{HeldRole, Standing},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role_id": 3}))]
#[garde(allow_unvalidated)]
pub struct UpdateMemberRequest {
    /// Takes the place of the roles that the member holds in the whole organization; those in workspaces stay.
    pub role_id: Option<RoleId>,
    #[schema(inline)]
    pub status: Option<WantedStatus>,
}

/// What an administrator may make of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedStatus {
    Active,
    /// Locked out of this organization at once; the roles are kept.
    Suspended,
}

errors! { pub UpdateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, MemberNotFound, RoleNotFound, LastOwner, CannotChangeSelf, Conflict, ValidationError; }

/// Change the role or the status of a member
#[utoipa::path(patch, path = "/api/v1/organizations/{org_id}/members/{user_id}", tag = "organizations",
    params(
        ("org_id" = OrganizationId, Path, description = "The organization"),
        ("user_id" = UserId, Path, description = "The member")),
    request_body = UpdateMemberRequest,
    responses((status = 200, description = "The member as they are now", body = Envelope<MemberAnswer>), UpdateErrors))]
pub async fn update(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, user_id)): Path<(OrganizationId, UserId)>,
    Json(request): Json<UpdateMemberRequest>,
) -> Result<Reply<MemberAnswer>> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.tenant()?;
    if request.role_id.is_none() && request.status.is_none() {
        return Err(Error::invalid_field("body", "names nothing to change: send role_id, status or both"));
    }
    if request.role_id.is_some() {
        caller.require(Permission::RoleAssign)?;
    }
    if request.status.is_some() {
        caller.require(Permission::UserSuspend)?;
        if user_id == caller.user_id {
            return Err(ErrorCode::CannotChangeSelf.into());
        }
    }

    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let member = super::find(tx.conn(), tenant, user_id).await?;
    let standing = Standing::load(tx.conn(), org_id, user_id).await?.ok_or(ErrorCode::MemberNotFound)?;
    super::refuse_above(&caller, &standing, now)?;
    let actor = origin.actor(caller.user_id);
    let mut changed = false;
    if let Some(role_id) = request.role_id {
        changed |= give_instead(&tx, &caller, &standing, role_id, &actor, &platform.clock).await?;
        super::require_owner(&tx, tenant, user_id).await?;
    }
    if let Some(status) = request.status {
        let status = match status {
            WantedStatus::Active => Status::Active,
            WantedStatus::Suspended => Status::Suspended,
        };
        changed |= super::administer_status(&tx, tenant, &member, status, now).await?;
    }
    if changed {
        let record = AuditRecord::new(Some(org_id), actor, "member.update")
            .target("user", user_id.0)
            .details(serde_json::json!({"role_id": request.role_id, "status": request.status}));
        audit::record(&tx, &platform.clock, record).await?;
    }
    tx.commit().await?;
    let message = "The member was changed.";
    Ok(Reply::ok(MemberAnswer { member: get::one(&tenancy, &caller, user_id).await?, message }, message))
}

/// Puts one role in the place of all that the member holds in the whole organization; answers whether that changes
/// anything.
async fn give_instead(
    tx: &Transaction,
    caller: &Caller,
    member: &Standing,
    role_id: RoleId,
    by: &Actor,
    clock: &Clock,
) -> Result<bool> {
    let tenant = caller.tenant()?;
    let wanted = role::find(tx.conn(), tenant, role_id).await?;
    let everywhere = member.roles.iter().filter(|held| held.assignment.workspace_id.is_none());
    // What is held on loan is not held for good.
    let is_kept = |held: &&HeldRole| held.assignment.role_id == role_id && held.assignment.expires_at.is_none();
    let (kept, taken): (Vec<&HeldRole>, Vec<&HeldRole>) = everywhere.partition(is_kept);
    let now = clock.now();
    let lost = taken.iter().copied().filter(|held| held.is_live(now)).flat_map(|held| &held.permissions);
    let lost: PermissionSet = lost.copied().collect();
    Deed::Instead { taken: &lost, given: &wanted.permissions() }.allow(caller)?;
    for held in &taken {
        held.assignment.take(tx, by, clock).await?;
    }
    if kept.is_empty() {
        let grant = Grant { tenant, user_id: member.user_id, role_id, workspace_id: None, expires_at: None };
        grant.give(tx, by, clock).await?;
    }
    Ok(kept.is_empty() || !taken.is_empty())
}
