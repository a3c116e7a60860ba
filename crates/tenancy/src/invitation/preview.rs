//! `GET /api/v1/invitations/{invitation}`: what the link in the mail is about. Public, and uses nothing up.

use std::time::Duration;

use axum::{
    extract::State,
    http::header,
    response::{AppendHeaders, IntoResponse},
};
use chrono::{DateTime, Utc};
use rivergen_kernel::{Caller, ErrorCode, InvitationId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, MaybeSignedIn, Path, Reply, RequestOrigin},
    limits::Rule,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Named, OrganizationRef, Status, WorkspaceRef, is_of, is_vouched_for, not_vouched_for};
use crate::{Tenancy, organization::branding::Branding, role::RoleRef};

/// Links that are tried from one address.
const PREVIEWS: Rule = Rule::new("invitation_previews", 60, Duration::from_secs(600));

#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewAnswer {
    pub invitation: InvitationPreview,
    pub message: &'static str,
}

/// An invitation as the holder of its link sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationPreview {
    pub id: InvitationId,
    /// In full only for someone who is signed in with it.
    #[schema(examples("a•••@acme.example"))]
    pub email: String,
    pub organization: OrganizationRef,
    /// How the pages of the organization look.
    pub branding: Branding,
    pub workspace: WorkspaceRef,
    pub role: RoleRef,
    pub status: Status,
    pub expires_at: DateTime<Utc>,
}

errors! { pub PreviewErrors: Unauthorized, TokenExpired, InvitationNotFound, InvitationStale, InvitationExpired, InvitationGone, RateLimited; }

/// Preview an invitation from its link
#[utoipa::path(get, path = "/api/v1/invitations/{invitation}", tag = "invitations", security((), ("bearer" = [])),
    params(("invitation" = String, Path, description = "The token from the e-mail")),
    responses((status = 200, description = "What the invitation is for", body = Envelope<PreviewAnswer>), PreviewErrors))]
pub async fn preview(
    State(tenancy): State<Tenancy>,
    MaybeSignedIn(caller): MaybeSignedIn,
    origin: RequestOrigin,
    Path(token): Path<String>,
) -> impl IntoResponse {
    // The address of this page is a secret, also where it answers an error.
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "no-referrer")];
    (AppendHeaders(headers), find(&tenancy, caller.as_deref(), &origin, &token).await)
}

async fn find(
    tenancy: &Tenancy,
    caller: Option<&Caller>,
    origin: &RequestOrigin,
    token: &str,
) -> Result<Reply<PreviewAnswer>> {
    let platform = &tenancy.identity.platform;
    platform.limits.check(&PREVIEWS, &origin.limit_key())?;
    let (db, now) = (platform.db.read(), platform.clock.now());
    let found = Named::by_token(db, token).await?.ok_or(ErrorCode::InvitationNotFound)?;
    let status = found.invitation.status_at(now);
    match status {
        Status::Pending => {}
        Status::Expired => return Err(ErrorCode::InvitationExpired.into()),
        Status::Accepted | Status::Revoked => return Err(ErrorCode::InvitationGone.into()),
    }
    let (Some(workspace), Some(role)) = (found.workspace(), found.role()) else {
        return Err(ErrorCode::InvitationStale.into());
    };
    if !is_vouched_for(db, &found, now).await? {
        return Err(not_vouched_for());
    }
    let address = &found.invitation.email;
    let is_theirs = match caller {
        Some(caller) => is_of(db, caller.user_id, address).await?,
        None => false,
    };
    let branding = Branding::named(db, found.invitation.organization_id).await?;
    let invitation = InvitationPreview {
        id: found.invitation.id,
        email: if is_theirs { address.clone() } else { masked(address) },
        organization: found.organization(),
        branding,
        workspace,
        role,
        status,
        expires_at: found.invitation.expires_at,
    };
    let message = "You are invited.";
    Ok(Reply::ok(PreviewAnswer { invitation, message }, message))
}

/// `ada@acme.example` → `a•••@acme.example`: enough to know one's own by.
fn masked(email: &str) -> String {
    let (name, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    format!("{}•••@{domain}", name.chars().next().unwrap_or('•'))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn an_address_is_masked() {
        assert_eq!(masked("ada@acme.example"), "a•••@acme.example");
        assert_eq!(masked("é@acme.example"), "é•••@acme.example");
        assert_eq!(masked("\"a@b\"@acme.example"), "\"•••@acme.example");
    }
}
