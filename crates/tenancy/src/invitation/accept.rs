//! `POST /api/v1/invitations/{invitation_token}/accept`: the invited person, signed in, becomes a member. Once, whatever
//! comes at the same time.
//!
//! Whoever invited gives the role, so they must still be able to give it at this moment ([`is_vouched_for`]); an invitation
//! of somebody who is not ends.

use std::time::Duration;

use axum::extract::State;
use rivergen_kernel::{BuiltInRole, ErrorCode, Result, Tenant, UserId};
use rivergen_platform::{
    Clock, Transaction,
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Column, Entity, Named, OrganizationRef, Reason, Status, WorkspaceRef, end, is_of, is_vouched_for, not_vouched_for,
};
use crate::{
    Tenancy,
    member::{self, NewMember, Source, assignment::Grant},
    organization,
    role::{self, RoleRef},
};

/// Tries of one person.
const TRIES: Rule = Rule::new("invitation_accepts", 20, Duration::from_secs(600));

#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedInvitation {
    pub organization: OrganizationRef,
    pub workspace: WorkspaceRef,
    pub role: RoleRef,
    pub message: &'static str,
}

errors! { pub AcceptErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, EmailMismatch, InvitationNotFound, AlreadyMember, InvitationStale, InvitationExpired, InvitationGone, RateLimited; }

/// Accept an invitation
#[utoipa::path(post, path = "/api/v1/invitations/{invitation_token}/accept", tag = "invitations",
    params(("invitation_token" = String, Path, description = "The token from the e-mail")),
    responses((status = 200, description = "Now a member; repeating the request gives the same answer", body = Envelope<AcceptedInvitation>), AcceptErrors))]
pub async fn accept(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(token): Path<String>,
) -> Result<Reply<AcceptedInvitation>> {
    caller.session()?;
    let platform = &tenancy.identity.platform;
    platform.limits.check(&TRIES, &caller.user_id.to_string())?;
    let now = platform.clock.now();
    let me = caller.user_id;

    let db = platform.db.read();
    let found = Named::by_token(db, &token).await?.ok_or(ErrorCode::InvitationNotFound)?;
    if !is_of(db, me, &found.invitation.email).await? {
        return Err(ErrorCode::EmailMismatch.into());
    }
    if found.invitation.status_at(now) != Status::Pending {
        return repeated(db, &found, me).await;
    }

    let tenant = Tenant::on_behalf_of(found.invitation.organization_id);
    let tx = platform.db.begin().await?;
    // Whoever takes the inviter's right away at this moment is waited for, or waits.
    organization::lock(&tx, tenant).await?;
    // One statement decides: of all who come at once, one finds it pending.
    let taken = Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Accepted))
        .col_expr(Column::EndedAt, Expr::value(now))
        .col_expr(Column::AcceptedByUserId, Expr::value(me))
        .filter(Column::Id.eq(found.invitation.id))
        .filter(Column::TokenHash.eq(found.invitation.token_hash))
        .filter(Column::Status.eq(Status::Pending))
        .filter(Column::ExpiresAt.gt(now))
        .exec(tx.conn())
        .await?;
    // As it is now, after whoever was before us.
    let found = Named::by_token(tx.conn(), &token).await?.ok_or(ErrorCode::InvitationNotFound)?;
    if taken.rows_affected == 0 {
        return repeated(tx.conn(), &found, me).await;
    }
    let refused = match is_member(tx.conn(), tenant, me).await? {
        true => Some((Reason::Joined, ErrorCode::AlreadyMember.into())),
        false if is_vouched_for(tx.conn(), &found, now).await? => None,
        false => Some((Reason::InviterMayNot, not_vouched_for())),
    };
    if let Some((reason, why)) = refused {
        let records = end(&tx, vec![found.invitation], reason, now).await?;
        audit::record_all(&tx, &platform.clock, records).await?;
        tx.commit().await?;
        return Err(why);
    }
    let actor = origin.actor(me);
    let mut records = join(&tx, &found, me, &actor, &platform.clock).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "invitation.accept")
        .target("invitation", found.invitation.id.0);
    records.push(record);
    audit::record_all(&tx, &platform.clock, records).await?;
    tx.commit().await?;
    answer(&found)
}

/// Makes the person a member. The role counts in the whole organization where the workspace is the default one; else it
/// counts in the workspace, and beside it stands the least that a member has.
async fn join(tx: &Transaction, found: &Named, user_id: UserId, by: &Actor, clock: &Clock) -> Result<Vec<AuditRecord>> {
    let invitation = &found.invitation;
    let tenant = Tenant::on_behalf_of(invitation.organization_id);
    let (Some(role), Some(workspace)) = (found.role(), found.workspace()) else {
        return Err(ErrorCode::InvitationStale.into());
    };
    let is_everywhere = found.workspace_is_default == Some(true);
    let everywhere = match is_everywhere {
        true => role.id,
        false => role::built_in(tx.conn(), tenant, BuiltInRole::Viewer).await?.id,
    };
    let new = NewMember {
        organization_id: tenant.organization_id(),
        user_id,
        role_id: everywhere,
        source: Source::Invitation,
        attributes: &Default::default(),
        by: Some(invitation.invited_by_user_id),
    };
    let records = new.add(tx, by, clock.now()).await?;
    if !is_everywhere {
        let workspace_id = Some(workspace.id);
        Grant { tenant, user_id, role_id: role.id, workspace_id, expires_at: None }.give(tx, by, clock).await?;
    }
    Ok(records)
}

/// What is answered where the invitation was not pending any more: the same again to whom it made a member.
async fn repeated(db: &impl ConnectionTrait, found: &Named, me: UserId) -> Result<Reply<AcceptedInvitation>> {
    let invitation = &found.invitation;
    let is_mine = invitation.accepted_by_user_id == Some(me);
    match invitation.status {
        Status::Accepted if is_mine => {
            match is_member(db, Tenant::on_behalf_of(invitation.organization_id), me).await? {
                true => answer(found),
                // They have left since.
                false => Err(ErrorCode::InvitationGone.into()),
            }
        }
        Status::Accepted | Status::Revoked => {
            match is_member(db, Tenant::on_behalf_of(invitation.organization_id), me).await? {
                // They have come in otherwise.
                true => Err(ErrorCode::AlreadyMember.into()),
                false => Err(ErrorCode::InvitationGone.into()),
            }
        }
        Status::Pending | Status::Expired => Err(ErrorCode::InvitationExpired.into()),
    }
}

async fn is_member(db: &impl ConnectionTrait, tenant: Tenant, user_id: UserId) -> Result<bool> {
    match member::find(db, tenant, user_id).await {
        Ok(_) => Ok(true),
        Err(error) if error.code == ErrorCode::MemberNotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn answer(found: &Named) -> Result<Reply<AcceptedInvitation>> {
    let (Some(role), Some(workspace)) = (found.role(), found.workspace()) else {
        return Err(ErrorCode::InvitationStale.into());
    };
    let message = "You are now a member.";
    Ok(Reply::ok(AcceptedInvitation { organization: found.organization(), workspace, role, message }, message))
}
