//! `PUT /api/v1/users/{user_id}/status` and `POST /api/v1/users/bulk-status`: suspends members, or lets them in again.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Permission, Result, Tenant, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::acting_on;
use crate::{
    Tenancy,
    member::{self, Status},
    organization,
    standing::Standing,
};

/// What an administrator can set a member to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewStatus {
    Active,
    Suspended,
}

impl From<NewStatus> for Status {
    fn from(status: NewStatus) -> Self {
        match status {
            NewStatus::Active => Self::Active,
            NewStatus::Suspended => Self::Suspended,
        }
    }
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "suspended", "reason": "left the project"}))]
pub struct UpdateStatusRequest {
    #[garde(skip)]
    #[schema(inline)]
    pub status: NewStatus,
    /// For the audit log.
    #[garde(inner(length(chars, max = 500)))]
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UserStatusAnswer {
    pub user: UserWithStatus,
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UserWithStatus {
    pub id: UserId,
    #[schema(inline)]
    pub status: NewStatus,
    pub status_updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": 42, "user_ids": [7, 8], "status": "suspended"}))]
pub struct BulkStatusRequest {
    #[garde(skip)]
    pub organization_id: OrganizationId,
    /// Each once.
    #[garde(length(min = 1, max = 500))]
    pub user_ids: Vec<UserId>,
    #[garde(skip)]
    #[schema(inline)]
    pub status: NewStatus,
    /// For the audit log.
    #[garde(inner(length(chars, max = 500)))]
    pub reason: Option<String>,
}

/// The result for one of many.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkStatusResult {
    pub user_id: UserId,
    pub success: bool,
    /// Why not.
    #[schema(examples("USER_NOT_FOUND"))]
    pub code: Option<&'static str>,
    pub message: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BulkStatusAnswer {
    pub results: Vec<BulkStatusResult>,
    pub total_count: usize,
    pub succeeded: usize,
    pub failed: usize,
    pub message: &'static str,
}

errors! {
    pub UpdateStatusErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, UserNotFound, Conflict, LastOwner, CannotChangeSelf, ValidationError;
    pub BulkStatusErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError;
}

/// Suspend or reactivate a user
#[utoipa::path(put, path = "/api/v1/users/{user_id}/status", tag = "users", request_body = UpdateStatusRequest,
    params(("user_id" = UserId, Path, description = "A member of the session's organization")),
    responses((status = 200, description = "Changed; a suspended member's sessions there have ended", body = Envelope<UserStatusAnswer>), UpdateStatusErrors))]
pub async fn update_status(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(user_id): Path<UserId>,
    Json(request): Json<UpdateStatusRequest>,
) -> Result<Reply<UserStatusAnswer>> {
    let (caller, tenant, _) = acting_on(&tenancy, &caller, None, Permission::UserSuspend, user_id).await?;
    let change = Change { tenant, status: request.status, reason: request.reason.as_deref() };
    let status_updated_at = change.make(&tenancy, &caller, &origin, user_id).await?;
    let message = "User status updated successfully";
    let user = UserWithStatus { id: user_id, status: request.status, status_updated_at };
    Ok(Reply::ok(UserStatusAnswer { user, message }, message))
}

/// Suspend or reactivate many users at once
#[utoipa::path(post, path = "/api/v1/users/bulk-status", tag = "users", request_body = BulkStatusRequest,
    responses((status = 200, description = "The result for each; a failure does not stop the others", body = Envelope<BulkStatusAnswer>), BulkStatusErrors))]
pub async fn bulk_update_status(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<BulkStatusRequest>,
) -> Result<Reply<BulkStatusAnswer>> {
    let caller = tenancy.enter(&caller, request.organization_id).await?;
    let tenant = caller.require(Permission::UserSuspend)?;
    let mut seen = std::collections::BTreeSet::new();
    if let Some(index) = request.user_ids.iter().position(|id| !seen.insert(*id)) {
        return Err(Error::invalid_field(format!("user_ids[{index}]"), "appears twice"));
    }
    let change = Change { tenant, status: request.status, reason: request.reason.as_deref() };
    let mut results = Vec::new();
    for user_id in request.user_ids {
        let error = change.make(&tenancy, &caller, &origin, user_id).await.err();
        // What was made of the others stands, and is told: so is this.
        if let Some(error) = error.as_ref().filter(|error| error.code.status() >= 500) {
            tracing::error!(?error, user = user_id.0, "a status of a bulk change could not be set");
        }
        results.push(BulkStatusResult {
            user_id,
            success: error.is_none(),
            code: error.as_ref().map(|error| error.code.as_str()),
            message: error.map(|error| error.message.into_owned()),
        });
    }
    let succeeded = results.iter().filter(|result| result.success).count();
    let message = "The result for each user.";
    let (total_count, failed) = (results.len(), results.len() - succeeded);
    Ok(Reply::ok(BulkStatusAnswer { results, total_count, succeeded, failed, message }, message))
}

/// What is to become of a member.
struct Change<'a> {
    tenant: Tenant,
    status: NewStatus,
    reason: Option<&'a str>,
}

impl Change<'_> {
    /// In a transaction of its own; answers since when it is so.
    async fn make(
        &self,
        tenancy: &Tenancy,
        caller: &Caller,
        origin: &RequestOrigin,
        user_id: UserId,
    ) -> Result<DateTime<Utc>> {
        if user_id == caller.user_id {
            return Err(ErrorCode::CannotChangeSelf.into());
        }
        let platform = &tenancy.identity.platform;
        let now = platform.clock.now();
        let organization = self.tenant.organization_id();
        let tx = platform.db.begin().await?;
        organization::lock(&tx, self.tenant).await?;
        let standing = Standing::load(tx.conn(), organization, user_id).await?.ok_or(ErrorCode::UserNotFound)?;
        member::refuse_above(caller, &standing, now)?;
        let member = member::find(tx.conn(), self.tenant, user_id).await?;
        if !member::administer_status(&tx, self.tenant, &member, self.status.into(), now).await? {
            return Ok(member.status_updated_at.unwrap_or(member.joined_at));
        }
        let record = AuditRecord::new(Some(organization), origin.actor(caller.user_id), "user.update_status")
            .target("user", user_id.0)
            .details(json!({"status": self.status, "reason": self.reason}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        Ok(now)
    }
}
