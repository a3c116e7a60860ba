//! `POST /api/v1/organizations/{org_id}/members/invite/bulk`: invites up to a hundred people, each judged for themselves.

use std::time::Duration;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{InvitationId, OrganizationId, Result, RoleId, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::invite::{Call, Wanted};
use crate::Tenancy;

/// Calls for one organization, of up to a hundred invitations each.
const BULK_INVITATIONS: Rule = Rule::new("bulk_invitations", 10, Duration::from_secs(3600));

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"invitations": [{"email": "ada@acme.example", "workspace_id": 7, "role_id": 4},
    {"email": "grace@acme.example", "workspace_id": 7, "role_id": 3}], "message": "Welcome aboard."}))]
pub struct BulkInviteRequest {
    #[garde(length(min = 1, max = 100))]
    pub invitations: Vec<InvitationInput>,
    /// Goes into each mail, as plain text.
    #[garde(inner(length(chars, max = 1000)))]
    pub message: Option<String>,
}

/// One person to be invited.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example", "workspace_id": 7, "role_id": 4}))]
pub struct InvitationInput {
    pub email: String,
    pub workspace_id: WorkspaceId,
    pub role_id: RoleId,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BulkInvited {
    /// In the order of the request.
    pub results: Vec<InvitationResult>,
    #[schema(examples(2))]
    pub invited_count: usize,
    #[schema(examples(0))]
    pub failed_count: usize,
    pub message: &'static str,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationResult {
    /// As it was sent.
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(inline)]
    pub status: InvitationOutcome,
    pub invitation_id: Option<InvitationId>,
    /// As the operation for a single invitation would answer.
    #[schema(examples("INVITATION_EXISTS"))]
    pub error_code: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitationOutcome {
    Invited,
    Failed,
}

errors! { pub BulkErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ValidationError, RateLimited; }

/// Invite several people to an organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/members/invite/bulk", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")), request_body = BulkInviteRequest,
    responses((status = 200, description = "What became of each", body = Envelope<BulkInvited>), BulkErrors))]
pub async fn invite_all(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<BulkInviteRequest>,
) -> Result<Reply<BulkInvited>> {
    let wanted: Vec<Wanted> = request
        .invitations
        .into_iter()
        .map(|InvitationInput { email, workspace_id, role_id }| Wanted { email, workspace_id, role_id })
        .collect();
    let call = Call { tenancy: &tenancy, caller: &caller, origin: &origin, message: request.message.as_deref() };
    let outcomes = call.invite(org_id, &BULK_INVITATIONS, &wanted).await?;
    let results: Vec<InvitationResult> = wanted
        .into_iter()
        .zip(outcomes)
        .map(|(wanted, outcome)| {
            let (status, invitation_id, error_code) = match outcome {
                Ok(made) => (InvitationOutcome::Invited, Some(made.id), None),
                Err(error) => (InvitationOutcome::Failed, None, Some(error.code.as_str())),
            };
            InvitationResult { email: wanted.email, status, invitation_id, error_code }
        })
        .collect();
    let invited_count = results.iter().filter(|result| result.status == InvitationOutcome::Invited).count();
    let failed_count = results.len() - invited_count;
    let message = "Each invitation was judged for itself.";
    Ok(Reply::ok(BulkInvited { results, invited_count, failed_count, message }, message))
}
