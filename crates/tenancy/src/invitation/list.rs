//! `GET /api/v1/organizations/{org_id}/invitations`, and `GET /api/v1/invitations` over all organizations in which one may
//! invite. The newest first.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{OrganizationId, Permission, Result};
use rivergen_platform::{
    db::page_by,
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity, Invitation, Named, Status};
use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct OfOrganization {
    #[param(inline, default = "pending")]
    pub status: Option<Status>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct OfAll {
    #[param(inline)]
    pub status: Option<Status>,
    /// Those of one organization.
    pub organization_id: Option<OrganizationId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Invitations {
    pub invitations: Vec<Invitation>,
    #[schema(examples(1))]
    pub total_count: u64,
    pub message: &'static str,
}

errors! {
    pub OfOrganizationErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ValidationError;
    pub OfAllErrors: Unauthorized, TokenExpired, EmailNotVerified, OrgNotFound, ValidationError;
}

/// List the invitations of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/invitations", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), SkipLimit, OfOrganization),
    responses((status = 200, description = "The newest first", body = Envelope<Invitations>), OfOrganizationErrors))]
pub async fn list_of_organization(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
    Query(window): Query<SkipLimit>,
    Query(filter): Query<OfOrganization>,
) -> Result<Reply<Invitations>> {
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::MemberInvite)?;
    let status = filter.status.unwrap_or(Status::Pending);
    page_of(&tenancy, vec![tenant.organization_id()], Some(status), window).await
}

/// List the invitations that the caller may see
#[utoipa::path(get, path = "/api/v1/invitations", tag = "invitations", params(SkipLimit, OfAll),
    responses((status = 200, description = "Those of the organizations where the caller may invite, the newest first", body = Envelope<Invitations>), OfAllErrors))]
pub async fn list(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Query(window): Query<SkipLimit>,
    Query(filter): Query<OfAll>,
) -> Result<Reply<Invitations>> {
    let organizations = match filter.organization_id {
        Some(id) => {
            let caller = tenancy.enter(&caller, id).await?;
            Vec::from_iter(caller.may(Permission::MemberInvite).then_some(id))
        }
        None => tenancy.organizations_where(&caller, Permission::MemberInvite).await?,
    };
    page_of(&tenancy, organizations, filter.status, window).await
}

async fn page_of(
    tenancy: &Tenancy,
    organizations: Vec<OrganizationId>,
    status: Option<Status>,
    window: SkipLimit,
) -> Result<Reply<Invitations>> {
    let platform = &tenancy.identity.platform;
    let (db, now) = (platform.db.read(), platform.clock.now());
    let message = "The invitations.";
    // Indexes: invitations(organization_id, status, id, expires_at) and invitations(organization_id, id, status,
    // expires_at).
    let mut wanted = Entity::find().filter(Column::OrganizationId.is_in(organizations));
    if let Some(status) = status {
        wanted = wanted.filter(status.condition(now));
    }
    let total_count = wanted.clone().count(db).await?;
    let newest = wanted.order_by_desc(Column::Id);
    let page = page_by(newest, Column::Id.into_expr(), window.skip(), window.limit());
    let rows: Vec<Named> = Named::of(page).into_model().all(db).await?;
    let invitations = rows.iter().map(|row| row.shown(now)).collect();
    Ok(Reply::ok(Invitations { invitations, total_count, message }, message))
}
