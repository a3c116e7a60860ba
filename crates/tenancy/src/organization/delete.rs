//! `DELETE /api/v1/organizations/{org_id}`: closes an organization at once; what it holds is erased thirty days later
//! ([`super::erase`]), until when the operator can open it again.

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_identity::{personal_token, session, session::EndReason};
use rivergen_kernel::{ErrorCode, OrganizationId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Column, Entity};
use crate::Tenancy;

/// How long a deleted organization can be restored.
pub const RESTORE: Duration = Duration::days(30);

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"confirm_name": "Acme"}))]
pub struct DeleteOrganizationRequest {
    /// The exact name of the organization.
    #[garde(skip)]
    pub confirm_name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedOrganization {
    pub organization_id: OrganizationId,
    pub deleted_at: DateTime<Utc>,
    /// When everything in it is erased.
    pub purge_at: DateTime<Utc>,
    pub message: &'static str,
}

errors! { pub DeleteErrors: InvalidRequest, ConfirmationMismatch, Unauthorized, ReauthenticationRequired, Forbidden, EmailNotVerified, OrgNotFound, PersonalOrg, ValidationError; }

/// Delete an organization after a confirmation
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}", tag = "organizations", request_body = DeleteOrganizationRequest,
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "Closed to everyone; erased at `purge_at`", body = Envelope<DeletedOrganization>), DeleteErrors))]
pub async fn delete(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<DeleteOrganizationRequest>,
) -> Result<Reply<DeletedOrganization>> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationDelete)?;
    caller.recently_proved(now)?;
    let id = tenant.organization_id();
    let tx = platform.db.begin().await?;
    let found = Entity::find_by_id(id).filter(Column::DeletedAt.is_null()).lock_exclusive().one(tx.conn()).await?;
    let row = found.ok_or(ErrorCode::OrgNotFound)?;
    if row.is_personal {
        return Err(ErrorCode::PersonalOrg.into());
    }
    if row.name != request.confirm_name {
        return Err(ErrorCode::ConfirmationMismatch.into());
    }
    let mut row = row.into_active_model();
    row.deleted_at = Set(Some(now));
    row.updated_at = Set(now);
    row.update(tx.conn()).await?;
    session::end_of_organization(&tx, id, EndReason::OrganizationDeleted, now).await?;
    personal_token::revoke_of_organization(&tx, id, now).await?;
    tx.publish(Event::OrganizationChanged(id)).await?;
    let record =
        AuditRecord::new(Some(id), origin.actor(caller.user_id), "organization.delete").target("organization", id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The organization was deleted.";
    let deleted = DeletedOrganization { organization_id: id, deleted_at: now, purge_at: now + RESTORE, message };
    Ok(Reply::ok(deleted, message))
}
