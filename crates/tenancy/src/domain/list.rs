//! `GET /api/v1/organizations/{org_id}/domains`.

use axum::extract::State;
use rivergen_kernel::{OrganizationId, Permission, Result};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{PaginatorTrait, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Column, Domain, Entity};
use crate::Tenancy;

#[derive(Debug, Serialize, ToSchema)]
pub struct Domains {
    pub domains: Vec<Domain>,
    #[schema(examples(1))]
    pub total_count: u64,
    pub message: &'static str,
}

errors! { pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ValidationError; }

/// List the mail domains of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/domains", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), SkipLimit),
    responses((status = 200, description = "By name, each with the record that verifies it", body = Envelope<Domains>), ListErrors))]
pub async fn list(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<Domains>> {
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationRead)?;
    let db = tenancy.identity.platform.db.read();
    // Index: organization_domains(organization_id, domain), unique.
    let all = tenant.find::<Entity>();
    let total_count = all.clone().count(db).await?;
    let rows = all.order_by_asc(Column::Domain).offset(window.skip()).limit(window.limit()).all(db).await?;
    let message = "The domains of the organization.";
    let domains = rows.into_iter().map(Domain::from).collect();
    Ok(Reply::ok(Domains { domains, total_count, message }, message))
}
