//! `POST /api/v1/organizations/{org_id}/invitations/{invitation_id}/resend`: the mail again, with another token and the
//! whole time. It is the invitation of whoever sends it again.

use std::time::Duration;

use axum::extract::State;
use rivergen_identity::user::User;
use rivergen_kernel::{ErrorCode, InvitationId, OrganizationId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::{TenantScope, duplicate_is},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
    mail,
};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Column, Entity, Invitation, Named, Status, TO_ADDRESS, mails::Letter, random_token};
use crate::{
    Tenancy, organization,
    role::{self, rules::Deed},
};

/// Mails of one invitation after the first.
const RESENDS: Rule = Rule::new("invitation_resends", 5, Duration::from_secs(24 * 3600));

#[derive(Debug, Serialize, ToSchema)]
pub struct ResentInvitation {
    pub invitation: Invitation,
    pub message: &'static str,
}

errors! { pub ResendErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, InvitationNotFound, InvitationNotPending, InvitationExists, InvitationStale, ValidationError, RateLimited; }

/// Resend an invitation
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/invitations/{invitation_id}/resend", tag = "organizations",
    params(
        ("org_id" = OrganizationId, Path, description = "The organization"),
        ("invitation_id" = InvitationId, Path, description = "One that is pending or expired")),
    responses((status = 200, description = "Sent with a new link; the previous one no longer works", body = Envelope<ResentInvitation>), ResendErrors))]
pub async fn resend(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, id)): Path<(OrganizationId, InvitationId)>,
) -> Result<Reply<ResentInvitation>> {
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.require(Permission::MemberInvite)?;
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    // Before the transaction, which holds a connection; so an id may be nobody's.
    let uses = platform.check_limits(&[(&RESENDS, &format!("{org_id}/{id}"))]).await?;

    let tx = platform.db.begin().await?;
    let found: Option<Named> =
        Named::of(tenant.find::<Entity>().filter(Column::Id.eq(id))).into_model().one(tx.conn()).await?;
    let mut found = found.ok_or(ErrorCode::InvitationNotFound)?;
    if matches!(found.invitation.status, Status::Accepted | Status::Revoked) {
        return Err(ErrorCode::InvitationNotPending.into());
    }
    let (Some(role), Some(_)) = (found.role(), found.workspace()) else {
        return Err(ErrorCode::InvitationStale.into());
    };
    // Nobody keeps an invitation alive that they could not make.
    Deed::BringIn(&role::find(tx.conn(), tenant, role.id).await?.permissions()).allow(&caller)?;
    let organization = organization::Entity::find_by_id(org_id).one(tx.conn()).await?.ok_or(ErrorCode::OrgNotFound)?;
    let rules = organization.intake()?;
    rules.allow(&found.invitation.email)?;
    let to_address = platform.limits.check_durably(tx.conn(), &[(&TO_ADDRESS, &found.invitation.email)]).await?;

    let token = random_token();
    found.invitation.status = Status::Pending;
    found.invitation.expires_at = rules.end(now);
    found.invitation.invited_by_user_id = caller.user_id;
    let renewed = Entity::update_many()
        .col_expr(Column::TokenHash, Expr::value(token.hash()))
        .col_expr(Column::ExpiresAt, Expr::value(found.invitation.expires_at))
        .col_expr(Column::Status, Expr::value(Status::Pending))
        .col_expr(Column::InvitedByUserId, Expr::value(caller.user_id))
        .col_expr(Column::EndedAt, Expr::value(Option::<chrono::DateTime<chrono::Utc>>::None))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.is_in([Status::Pending.to_value(), Status::Expired.to_value()]))
        .exec(tx.conn())
        .await
        // Meanwhile the address has another one.
        .map_err(duplicate_is(ErrorCode::InvitationExists))?;
    if renewed.rows_affected == 0 {
        return Err(ErrorCode::InvitationNotPending.into());
    }
    // After the invitation, as whoever invites the address at this moment does: so neither waits for the other in a circle.
    uses.keep(&tx).await?;
    to_address.keep(&tx).await?;
    let inviter = User::find(tx.conn(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    let letter = Letter { inviter: &inviter.account.display_name, organization: &organization.name, role: &role.name };
    mail::send(platform, &tx, letter.mail(platform, &found.invitation, &token)).await?;
    let record =
        AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "invitation.resend").target("invitation", id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The invitation is on its way again.";
    Ok(Reply::ok(ResentInvitation { invitation: found.shown(now), message }, message))
}
