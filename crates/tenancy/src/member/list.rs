//! `GET /api/v1/organizations/{org_id}/members`: who belongs to the organization, by name.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{OrganizationId, Permission, Result, RoleId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::ColumnTrait;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Column, Status, assignment,
    page::{ListOrder, Wanted, page},
    view::{self, Member},
    word,
};
use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// Beginnings of words in the name or the address.
    #[garde(inner(length(max = 255)))]
    pub search: Option<String>,
    /// Who holds this role, in the whole organization or in a workspace.
    pub role_id: Option<RoleId>,
    #[param(inline)]
    pub status: Option<Status>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Members {
    pub members: Vec<Member>,
    #[schema(examples(4))]
    pub total_count: u64,
    pub message: &'static str,
}

errors! { pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ValidationError; }

/// List the members of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/members", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), SkipLimit, Filter),
    responses((status = 200, description = "Ordered by name", body = Envelope<Members>), ListErrors))]
pub async fn list(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
    Query(window): Query<SkipLimit>,
    Query(filter): Query<Filter>,
) -> Result<Reply<Members>> {
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.require(Permission::MemberRead)?;
    let platform = &tenancy.identity.platform;
    let message = "The members of the organization.";
    let Some(found) = word::meant_by(platform.db.read(), tenant, filter.search.as_deref()).await? else {
        return Ok(Reply::ok(Members { members: Vec::new(), total_count: 0, message }, message));
    };
    let holders = |role| assignment::holders(tenant, &[role], platform.clock.now());
    let sought = found
        .among(filter.role_id.map(holders), assignment::Column::UserId)
        .who(filter.status.map(|status| Column::Status.eq(status)));
    let wanted = Wanted { sought, known_as: format!("{filter:?}"), skip: window.skip(), limit: window.limit() };
    let page = page(&platform.db, &tenancy.lists, tenant, wanted, ListOrder::ByName).await?;
    let members = view::shown(&tenancy, &caller, page.members).await?;
    Ok(Reply::ok(Members { members, total_count: page.total, message }, message))
}
