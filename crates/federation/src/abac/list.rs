//! `GET /api/v1/sso/abac/policies`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{AbacPolicyId, Permission, Result};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity, view::AbacPolicy};
use crate::Federation;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PoliciesQuery {
    /// Only this one.
    #[garde(skip)]
    policy_id: Option<AbacPolicyId>,
    #[garde(inner(length(max = 100)))]
    #[param(example = "datasource")]
    resource_type: Option<String>,
    #[garde(skip)]
    is_active: Option<bool>,
    /// From 1 to 100.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100, default = 50, example = 50)]
    limit: Option<u64>,
    /// How many to skip.
    #[garde(inner(range(max = 1_000_000)))]
    #[param(minimum = 0, default = 0, example = 0)]
    offset: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AbacPolicies {
    pub policies: Vec<AbacPolicy>,
    #[schema(examples(1))]
    pub total: u64,
    pub message: &'static str,
}

errors! { pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, ValidationError; }

/// List the organization's attribute-based policies
#[utoipa::path(get, path = "/api/v1/sso/abac/policies", tag = "sso", params(PoliciesQuery),
    responses((status = 200, description = "By priority, the highest first", body = Envelope<AbacPolicies>), ListErrors))]
pub async fn list_policies(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Query(query): Query<PoliciesQuery>,
) -> Result<Reply<AbacPolicies>> {
    let tenant = caller.require(Permission::SsoRead)?;
    let db = federation.platform().db.read();
    // Index: abac_policies(organization_id, priority, id).
    let mut found = tenant.find::<Entity>();
    if let Some(id) = query.policy_id {
        found = found.filter(Column::Id.eq(id));
    }
    if let Some(resource_type) = query.resource_type {
        found = found.filter(Column::ResourceType.eq(resource_type));
    }
    if let Some(is_active) = query.is_active {
        found = found.filter(Column::IsActive.eq(is_active));
    }
    let total = found.clone().count(db).await?;
    let window = found.order_by_desc(Column::Priority).order_by_asc(Column::Id);
    let window = window.offset(query.offset.unwrap_or(0)).limit(query.limit.unwrap_or(50)).all(db).await?;
    let policies = window.into_iter().map(AbacPolicy::of).collect::<Result<_>>()?;
    let message = "The access policies of the organization.";
    Ok(Reply::ok(AbacPolicies { policies, total, message }, message))
}
