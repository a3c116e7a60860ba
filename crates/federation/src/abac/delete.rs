//! `DELETE /api/v1/sso/abac/policies/{policy_id}`.

use axum::extract::State;
use rivergen_kernel::{AbacPolicyId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::EntityTrait;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Entity, view::AbacPolicy};
use crate::Federation;

#[derive(Debug, Serialize, ToSchema)]
pub struct AbacPolicyDeleted {
    pub message: &'static str,
}

errors! { pub DeleteErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, AbacPolicyNotFound; }

/// Remove an attribute-based policy
#[utoipa::path(delete, path = "/api/v1/sso/abac/policies/{policy_id}", tag = "sso",
    params(("policy_id" = AbacPolicyId, Path, description = "A policy of the session's organization")),
    responses((status = 200, description = "Removed; the audit log keeps it", body = Envelope<AbacPolicyDeleted>), DeleteErrors))]
pub async fn delete_policy(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<AbacPolicyId>,
) -> Result<Reply<AbacPolicyDeleted>> {
    let tenant = caller.require(Permission::SsoManage)?;
    let platform = federation.platform();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let row = super::find(tx.conn(), tenant, id).await?;
    Entity::delete_by_id(id).exec(tx.conn()).await?;
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "abac_policy.delete")
        .target("abac_policy", id.0)
        .details(json!({"policy": AbacPolicy::of(row)?}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The policy was removed.";
    Ok(Reply::ok(AbacPolicyDeleted { message }, message))
}
