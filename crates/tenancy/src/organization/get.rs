//! `GET /api/v1/organizations/{org_id}`.

use axum::extract::State;
use rivergen_kernel::{ErrorCode, OrganizationId, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::Organization;
use crate::Tenancy;

#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationAnswer {
    pub organization: Organization,
    pub message: &'static str,
}

errors! { pub GetErrors: Unauthorized, Forbidden, EmailNotVerified, OrgNotFound; }

/// Read one organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "The organization", body = Envelope<OrganizationAnswer>), GetErrors))]
pub async fn get(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
) -> Result<Reply<OrganizationAnswer>> {
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationRead)?;
    let db = tenancy.identity.platform.db.read();
    let row = super::Entity::find_by_id(tenant.organization_id())
        .filter(super::Column::DeletedAt.is_null())
        .one(db)
        .await?
        .ok_or(ErrorCode::OrgNotFound)?;
    let shown = Organization::of(db, vec![row]).await?.pop();
    let organization = shown.ok_or(ErrorCode::OrgNotFound)?;
    let message = "The organization.";
    Ok(Reply::ok(OrganizationAnswer { organization, message }, message))
}
