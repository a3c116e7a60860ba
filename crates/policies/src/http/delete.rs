//! `DELETE /api/v1/policies/{policy_id}` and `POST /api/v1/policies/{policy_id}/restore`.
//!
//! A deleted policy governs nothing from the next query on. For thirty days it can be restored, with its rules,
//! assignments and versions, and what it did stays readable; then, or at once with `force`, it is gone for good.

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Permission, PolicyId, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, IntoActiveModel, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{Policy, role_names};
use crate::{
    Policies,
    store::{Column, Entity, Model, Whole},
};

/// How long a deleted policy can be restored.
const RESTORABLE: Duration = Duration::days(30);

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Options {
    /// Permanently: it cannot be restored, and the record of its activity is deleted too. Also works for a policy that
    /// is deleted already.
    #[param(default = false)]
    pub force: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedPolicy {
    pub policy_id: PolicyId,
    pub deleted_at: DateTime<Utc>,
    /// Null if it is permanently deleted.
    pub restorable_until: Option<DateTime<Utc>>,
}

errors! {
    pub DeleteErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError;
    pub RestoreErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, InternalError;
}

/// Delete a policy, for thirty days or for good
#[utoipa::path(delete, path = "/api/v1/policies/{policy_id}", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy"), Options),
    responses((status = 200, description = "Deleted; it no longer applies from the next query", body = Envelope<DeletedPolicy>), DeleteErrors))]
pub async fn delete_policy(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(policy_id): Path<PolicyId>,
    Query(options): Query<Options>,
) -> Result<Reply<DeletedPolicy>> {
    let tenant = caller.require(Permission::PolicyDelete)?;
    let for_good = options.force.unwrap_or(false);
    let platform = &policies.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let found = tenant.find::<Entity>().filter(Column::Id.eq(policy_id)).lock_exclusive().one(tx.conn()).await?;
    let row = found.filter(|row| row.deleted_at.is_none() || (for_good && restorable(row, now)));
    let row = row.ok_or(ErrorCode::NotFound)?;

    let name = row.name.clone();
    let deleted_at = row.deleted_at.unwrap_or(now);
    let purge_at = if for_good { now } else { now + RESTORABLE };
    let mut row = row.into_active_model();
    row.deleted_at = Set(Some(deleted_at));
    row.purge_at = Set(Some(purge_at));
    row.update(tx.conn()).await?;
    tx.publish(Event::PoliciesChanged(tenant.id())).await?;
    let record = AuditRecord::new(Some(tenant.id()), origin.actor(caller.user_id), "policy.delete")
        .target("policy", policy_id.0)
        .details(json!({"name": name, "for_good": for_good}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let restorable_until = (!for_good).then_some(purge_at);
    let message = if for_good { "The policy was deleted for good." } else { "The policy was deleted." };
    Ok(Reply::ok(DeletedPolicy { policy_id, deleted_at, restorable_until }, message))
}

/// Restore a deleted policy
#[utoipa::path(post, path = "/api/v1/policies/{policy_id}/restore", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "A policy that was deleted less than thirty days ago")),
    responses((status = 200, description = "As it was; if it is active and assigned, it applies from the next query", body = Envelope<Policy>), RestoreErrors))]
pub async fn restore_policy(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(policy_id): Path<PolicyId>,
) -> Result<Reply<Policy>> {
    let tenant = caller.require(Permission::PolicyWrite)?;
    let platform = &policies.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let found = tenant.find::<Entity>().filter(Column::Id.eq(policy_id)).lock_exclusive().one(tx.conn()).await?;
    let row = found.ok_or(ErrorCode::NotFound)?;
    if row.deleted_at.is_none() {
        return Err(Error::new(ErrorCode::Conflict).with_message("The policy is not deleted."));
    }
    if !restorable(&row, now) {
        return Err(ErrorCode::NotFound.into());
    }
    let mut row = row.into_active_model();
    row.deleted_at = Set(None);
    row.purge_at = Set(None);
    let row = row.update(tx.conn()).await?;
    let whole = Whole::of(tx.conn(), row).await?;
    tx.publish(Event::PoliciesChanged(tenant.id())).await?;
    let record = AuditRecord::new(Some(tenant.id()), origin.actor(caller.user_id), "policy.restore")
        .target("policy", policy_id.0)
        .details(json!({"name": whole.policy.name}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let names = role_names(&policies, tenant, &whole.assignments).await?;
    Ok(Reply::ok(Policy::new(whole, &names)?, "The policy was restored."))
}

/// Whether a deleted policy can still be restored.
fn restorable(row: &Model, now: DateTime<Utc>) -> bool {
    row.purge_at.is_none_or(|end| now < end)
}
