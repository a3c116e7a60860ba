//! `POST /api/v1/organizations/{org_id}/leave`: gives the own membership up. The session ends with it, where it stands in
//! the organization.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_identity::session::EndReason;
use rivergen_kernel::{ErrorCode, OrganizationId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::EntityTrait;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Tenancy, organization};

#[derive(Debug, Serialize, ToSchema)]
pub struct LeftOrganization {
    pub organization_id: OrganizationId,
    pub left_at: DateTime<Utc>,
    pub message: &'static str,
}

errors! { pub LeaveErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, LastOwner, PersonalOrg; }

/// Leave an organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/leave", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "No longer a member; what they created there stays", body = Envelope<LeftOrganization>), LeaveErrors))]
pub async fn leave(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
) -> Result<Reply<LeftOrganization>> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    caller.session()?;
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.tenant()?;

    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let found = organization::Entity::find_by_id(org_id).one(tx.conn()).await?.ok_or(ErrorCode::OrgNotFound)?;
    if found.is_personal && found.created_by_user_id == caller.user_id {
        return Err(ErrorCode::PersonalOrg.into());
    }
    // Of two calls at once the second finds nobody.
    super::find(tx.conn(), tenant, caller.user_id).await.map_err(|_| ErrorCode::OrgNotFound)?;
    super::remove(&tx, tenant, caller.user_id, EndReason::LeftOrganization, now).await?;
    let record =
        AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "member.leave").target("user", caller.user_id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "You have left the organization.";
    Ok(Reply::ok(LeftOrganization { organization_id: org_id, left_at: now, message }, message))
}
