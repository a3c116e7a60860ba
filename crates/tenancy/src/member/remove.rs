//! `DELETE /api/v1/organizations/{org_id}/members/{user_id}`: takes somebody out of the organization.

use axum::extract::State;
use garde::Validate;
use rivergen_identity::session::EndReason;
use rivergen_kernel::{ErrorCode, OrganizationId, Permission, Result, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity};
use crate::{Tenancy, organization, standing::Standing};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Removal {
    /// The active member who takes over the removed member's data sources, questions, policies and files; without one,
    /// they stay with the organization as they are.
    pub transfer_to: Option<UserId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedMember {
    #[schema(examples(true))]
    pub removed: bool,
    pub message: &'static str,
}

errors! { pub RemoveErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, MemberNotFound, LastOwner, CannotChangeSelf, ValidationError; }

/// Remove a member from an organization
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}/members/{user_id}", tag = "organizations",
    params(
        ("org_id" = OrganizationId, Path, description = "The organization"),
        ("user_id" = UserId, Path, description = "The member; not yourself"), Removal),
    responses((status = 200, description = "Removed; the account and its other organizations stay", body = Envelope<RemovedMember>), RemoveErrors))]
pub async fn remove(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, user_id)): Path<(OrganizationId, UserId)>,
    Query(removal): Query<Removal>,
) -> Result<Reply<RemovedMember>> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.require(Permission::MemberRemove)?;
    if user_id == caller.user_id {
        return Err(ErrorCode::CannotChangeSelf.into());
    }

    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let standing = Standing::load(tx.conn(), org_id, user_id).await?.ok_or(ErrorCode::MemberNotFound)?;
    super::refuse_above(&caller, &standing, now)?;
    if let Some(heir) = removal.transfer_to {
        bequeath(&tenancy, &tx, tenant, user_id, heir).await?;
    }
    super::remove(&tx, tenant, user_id, EndReason::RevokedByAdministrator, now).await?;
    let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "member.remove")
        .target("user", user_id.0)
        .details(serde_json::json!({"transfer_to": removal.transfer_to}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The member was removed.";
    Ok(Reply::ok(RemovedMember { removed: true, message }, message))
}

/// Makes what one member owns another's, who must be an active one whose account is open: else `MEMBER_NOT_FOUND`.
pub(crate) async fn bequeath(
    tenancy: &Tenancy,
    tx: &Transaction,
    tenant: Tenant,
    from: UserId,
    heir: UserId,
) -> Result<()> {
    // Index: memberships(organization_id, user_id), unique.
    let heirs = tenant.find::<Entity>().filter(Column::UserId.eq(heir));
    let heir = heirs.filter(Column::UserId.in_subquery(super::active(tenant))).one(tx.conn()).await?;
    let heir = heir.filter(|heir| heir.user_id != from).ok_or(ErrorCode::MemberNotFound)?;
    for owned in tenancy.possessions.iter() {
        owned.transfer(tx, tenant, from, heir.user_id).await?;
    }
    Ok(())
}
