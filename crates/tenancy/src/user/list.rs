//! `GET /api/v1/users`: the members of an organization, by name.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{OrganizationId, Permission, Result, RoleId};
use rivergen_platform::{
    errors,
    http::{Envelope, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::ColumnTrait;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Users, page};
use crate::{
    Tenancy,
    member::{
        self, Status, assignment,
        page::{ListOrder, Wanted},
        word,
    },
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct ListUsersQuery {
    /// The session's organization, if absent.
    pub organization_id: Option<OrganizationId>,
    /// Beginnings of words in the name or the address.
    #[garde(inner(length(max = 255)))]
    pub search: Option<String>,
    #[param(inline)]
    pub status: Option<Status>,
    /// Holders of the role, anywhere in the organization.
    pub role_id: Option<RoleId>,
}

errors! { pub ListUsersErrors: Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError; }

/// List the users of an organization
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(ListUsersQuery, SkipLimit),
    responses((status = 200, description = "Ordered by name", body = Envelope<Users>), ListUsersErrors))]
pub async fn list_users(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Query(query): Query<ListUsersQuery>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<Users>> {
    let caller = tenancy.enter_or_stay(&caller, query.organization_id).await?;
    let tenant = caller.require(Permission::UserRead)?;
    let now = tenancy.identity.platform.clock.now();
    let message = "The users of the organization.";
    let db = tenancy.identity.platform.db.read();
    let Some(found) = word::meant_by(db, tenant, query.search.as_deref()).await? else {
        return Ok(Reply::ok(Users::none(message), message));
    };
    let holders = |role| assignment::holders(tenant, &[role], now);
    let sought = found
        .among(query.role_id.map(holders), assignment::Column::UserId)
        .who(query.status.map(|status| member::Column::Status.eq(status)));
    let wanted = Wanted { sought, known_as: format!("{query:?}"), skip: window.skip(), limit: window.limit() };
    let (users, total_count) = page(&tenancy, tenant, wanted, ListOrder::ByName).await?;
    Ok(Reply::ok(Users { users, total_count, message }, message))
}
