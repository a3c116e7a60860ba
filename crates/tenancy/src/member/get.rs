//! `GET /api/v1/organizations/{org_id}/members/{user_id}`.

use axum::extract::State;
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Permission, Result, UserId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter};

use super::{
    Column,
    view::{self, Member, MemberAnswer},
};
use crate::Tenancy;

errors! { pub GetErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, MemberNotFound; }

/// Read one member of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/members/{user_id}", tag = "organizations",
    params(
        ("org_id" = OrganizationId, Path, description = "The organization"),
        ("user_id" = UserId, Path, description = "The member; everyone may read themselves")),
    responses((status = 200, description = "With roles and workspaces", body = Envelope<MemberAnswer>), GetErrors))]
pub async fn get(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path((org_id, user_id)): Path<(OrganizationId, UserId)>,
) -> Result<Reply<MemberAnswer>> {
    let caller = tenancy.enter(&caller, org_id).await?;
    if user_id != caller.user_id {
        caller.require(Permission::MemberRead)?;
    }
    let message = "The member.";
    Ok(Reply::ok(MemberAnswer { member: one(&tenancy, &caller, user_id).await?, message }, message))
}

/// The member as they are now.
pub(super) async fn one(tenancy: &Tenancy, caller: &rivergen_kernel::Caller, user_id: UserId) -> Result<Member> {
    let db = tenancy.identity.platform.db.read();
    // Index: memberships(organization_id, user_id), unique.
    let found = view::rows(caller.tenant()?).filter(Column::UserId.eq(user_id)).one(db).await?;
    let found = found.and_then(|(member, account)| Some((member, account?)));
    let row = found.ok_or(ErrorCode::MemberNotFound)?;
    let member = view::shown(tenancy, caller, vec![row]).await?.pop();
    member.ok_or_else(|| Error::internal("a member was lost on the way"))
}
