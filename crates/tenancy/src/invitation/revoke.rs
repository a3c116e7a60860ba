//! `DELETE /api/v1/invitations/{invitation}`: withdraws an invitation; its link is dead at once.

use axum::extract::State;
use rivergen_kernel::{ErrorCode, InvitationId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Column, Entity, Status};
use crate::Tenancy;

#[derive(Debug, Serialize, ToSchema)]
pub struct RevokedInvitation {
    pub invitation_id: InvitationId,
    pub message: &'static str,
}

errors! { pub RevokeErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, InvitationNotFound, InvitationNotPending; }

/// Cancel a pending invitation
#[utoipa::path(delete, path = "/api/v1/invitations/{invitation}", tag = "invitations",
    params(("invitation" = InvitationId, Path, description = "Its id, from the list of invitations")),
    responses((status = 200, description = "Revoked; its record stays", body = Envelope<RevokedInvitation>), RevokeErrors))]
pub async fn revoke(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<InvitationId>,
) -> Result<Reply<RevokedInvitation>> {
    let platform = &tenancy.identity.platform;
    let found = Entity::find_by_id(id).one(platform.db.read()).await?.ok_or(ErrorCode::InvitationNotFound)?;
    // Of an organization that is not theirs nobody learns that it invites.
    let caller = tenancy
        .enter(&caller, found.organization_id)
        .await
        .map_err(|error| error.renamed(ErrorCode::OrgNotFound, ErrorCode::InvitationNotFound))?;
    let tenant = caller.require(Permission::MemberInvite)?;

    let tx = platform.db.begin().await?;
    let revoked = Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Revoked))
        .col_expr(Column::EndedAt, Expr::value(platform.clock.now()))
        .filter(Column::Id.eq(id))
        .filter(Column::OrganizationId.eq(tenant.organization_id()))
        .filter(Column::Status.is_in([Status::Pending.to_value(), Status::Expired.to_value()]))
        .exec(tx.conn())
        .await?;
    if revoked.rows_affected == 0 {
        return Err(ErrorCode::InvitationNotPending.into());
    }
    let actor = origin.actor(caller.user_id);
    let record =
        AuditRecord::new(Some(tenant.organization_id()), actor, "invitation.revoke").target("invitation", id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The invitation was withdrawn.";
    Ok(Reply::ok(RevokedInvitation { invitation_id: id, message }, message))
}
