//! `GET /api/v1/roles` and `GET /api/v1/organizations/{org_id}/roles`: the roles of an organization.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{OrganizationId, Permission, PermissionSet, Result, RoleId, Tenant};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{PaginatorTrait, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity, Model, Role, Usage};
use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RolesQuery {
    /// The session's organization, if absent.
    #[garde(skip)]
    organization_id: Option<OrganizationId>,
}

/// A role in the list of them all.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleSummary {
    pub id: RoleId,
    #[schema(examples("Admin"))]
    pub name: String,
    #[schema(value_type = Vec<String>, examples(json!(["datasource.read", "datasource.query"])))]
    pub permissions: PermissionSet,
    /// The number of places where someone has it: the whole organization is one, each workspace another.
    pub usage_count: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleSummaries {
    pub roles: Vec<RoleSummary>,
    #[schema(examples(4))]
    pub total_count: u64,
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Roles {
    pub roles: Vec<Role>,
    #[schema(examples(4))]
    pub total_count: u64,
    pub message: &'static str,
}

errors! { pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, ValidationError; }

const LISTED: &str = "Roles listed successfully";

/// List the roles of the organization
#[utoipa::path(get, path = "/api/v1/roles", tag = "roles", params(RolesQuery, SkipLimit),
    responses((status = 200, description = "The built-in ones first, then by name", body = Envelope<RoleSummaries>), ListErrors))]
pub async fn list_roles(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Query(query): Query<RolesQuery>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<RoleSummaries>> {
    let tenant = tenancy.enter_or_stay(&caller, query.organization_id).await?.tenant()?;
    let (rows, total_count) = page_of(&tenancy, tenant, window).await?;
    let roles = rows.into_iter().map(|(row, usage)| RoleSummary {
        permissions: row.permissions(),
        id: row.id,
        name: row.name,
        usage_count: usage.assignments,
    });
    Ok(Reply::ok(RoleSummaries { roles: roles.collect(), total_count, message: LISTED }, LISTED))
}

/// List the roles of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/roles", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), SkipLimit),
    responses((status = 200, description = "The built-in ones first, then by name", body = Envelope<Roles>), ListErrors))]
pub async fn list_organization_roles(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<Roles>> {
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::RoleRead)?;
    let (rows, total_count) = page_of(&tenancy, tenant, window).await?;
    let roles = rows.into_iter().map(|(row, usage)| Role::new(row, usage)).collect();
    Ok(Reply::ok(Roles { roles, total_count, message: LISTED }, LISTED))
}

/// Index: roles(organization_id, name_key), unique.
async fn page_of(tenancy: &Tenancy, tenant: Tenant, window: SkipLimit) -> Result<(Vec<(Model, Usage)>, u64)> {
    let platform = &tenancy.identity.platform;
    let db = platform.db.read();
    let total_count = tenant.find::<Entity>().count(db).await?;
    let rows = tenant
        .find::<Entity>()
        .order_by_desc(Column::IsBuiltIn)
        .order_by_asc(Column::NameKey)
        .offset(window.skip())
        .limit(window.limit())
        .all(db)
        .await?;
    let usages = tenancy.usages.of(db, tenant, rows.iter().map(|row| row.id), platform.clock.now()).await?;
    let counted = rows.into_iter().map(|row| {
        let usage = usages.get(&row.id).cloned().unwrap_or_default();
        (row, usage)
    });
    Ok((counted.collect(), total_count))
}
