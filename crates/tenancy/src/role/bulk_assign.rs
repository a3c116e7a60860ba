//! `POST /api/v1/roles/bulk-assign`: gives and takes roles for many members in one call. Each operation goes by the rules of
//! [`assign`](super::assign) and [`revoke`](super::revoke), in a transaction of its own, and measured against what the
//! caller holds by then; one that fails stops no other.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, OrganizationId, Permission, Result, RoleId, UserId, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, Condition};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    assign::{ASSIGNED, Wish},
    revoke::{REVOKED, revoke},
};
use crate::{Tenancy, member::assignment};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"organization_id": 42, "operations": [
    {"action": "assign", "role_id": 3, "user_id": 12}, {"action": "revoke", "role_id": 4, "user_id": 12, "workspace_id": 7}]}))]
pub struct BulkAssignRequest {
    pub organization_id: OrganizationId,
    /// Done one after the other.
    #[garde(length(min = 1, max = 500))]
    pub operations: Vec<RoleOperation>,
}

/// A role to be given or taken.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RoleOperation {
    #[schema(inline)]
    pub action: RoleOperationAction,
    pub role_id: RoleId,
    pub user_id: UserId,
    /// In the whole organization, if absent.
    pub workspace_id: Option<WorkspaceId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleOperationAction {
    Assign,
    Revoke,
}

/// What became of one operation.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleOperationResult {
    /// Its place in the request, from 0.
    #[schema(examples(0))]
    pub index: usize,
    pub success: bool,
    /// From the catalogue of errors; absent if it succeeded.
    #[schema(examples("ROLE_ALREADY_ASSIGNED"))]
    pub code: Option<&'static str>,
    pub message: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BulkAssigned {
    /// In the order of the request.
    pub results: Vec<RoleOperationResult>,
    pub total_count: usize,
    pub succeeded: usize,
    pub failed: usize,
    pub message: &'static str,
}

errors! { pub BulkErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, ValidationError; }

/// Assign or revoke roles for many members at once
#[utoipa::path(post, path = "/api/v1/roles/bulk-assign", tag = "roles", request_body = BulkAssignRequest,
    responses((status = 200, description = "The result of each operation", body = Envelope<BulkAssigned>), BulkErrors))]
pub async fn bulk_assign_roles(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<BulkAssignRequest>,
) -> Result<Reply<BulkAssigned>> {
    let organization = request.organization_id;
    tenancy.enter(&caller, organization).await?.require(Permission::RoleAssign)?;
    let mut results = Vec::with_capacity(request.operations.len());
    for (index, operation) in request.operations.into_iter().enumerate() {
        let done = operation.run(&tenancy, &caller, &origin, organization).await;
        results.push(match done {
            Ok(message) => RoleOperationResult { index, success: true, code: None, message: message.to_owned() },
            Err(error) => {
                if error.code.status() >= 500 {
                    tracing::error!(?error, index, "an operation of a bulk assignment failed");
                }
                let (code, message) = (Some(error.code.as_str()), error.message.into_owned());
                RoleOperationResult { index, success: false, code, message }
            }
        });
    }
    let total_count = results.len();
    let succeeded = results.iter().filter(|result| result.success).count();
    let message = "Each operation was processed; see the results.";
    let assigned = BulkAssigned { results, total_count, succeeded, failed: total_count - succeeded, message };
    Ok(Reply::ok(assigned, message))
}

impl RoleOperation {
    /// Answers what was done.
    async fn run(
        self,
        tenancy: &Tenancy,
        caller: &Caller,
        origin: &RequestOrigin,
        organization: OrganizationId,
    ) -> Result<&'static str> {
        let Self { action, role_id, user_id, workspace_id } = self;
        let caller = tenancy.enter_scope(caller, organization, workspace_id).await?;
        match action {
            RoleOperationAction::Assign => {
                let wish = Wish { role_id, user_id, workspace_id, expires_at: None };
                wish.grant(tenancy, &caller, origin).await.map(|_| ASSIGNED)
            }
            RoleOperationAction::Revoke => {
                // Without a workspace, in the whole organization: nothing is compared by IS NULL.
                let place = assignment::Column::WorkspaceId.eq(workspace_id);
                let which = Condition::all().add(assignment::Column::UserId.eq(user_id)).add(place);
                revoke(tenancy, &caller, origin, role_id, which).await.map(|()| REVOKED)
            }
        }
    }
}
