//! `POST /api/v1/sso/abac/policies`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn, not_blank},
};
use rivergen_tenancy::organization;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, PaginatorTrait};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    ActiveModel, Effect, Entity,
    compiled::Written,
    guard,
    view::{AbacPolicy, AbacPolicyAnswer},
};
use crate::Federation;

/// Policies of one organization: each is evaluated at every check of the permissions that it is about.
const MOST_POLICIES: u64 = 500;

/// Where it stands in lists, unless it is said otherwise.
const USUAL_PRIORITY: i32 = 100;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateAbacPolicyRequest, example = json!({"name": "No queries from outside", "effect": "deny", "resource_type": "datasource",
    "actions": ["datasource.query"],
    "conditions": {"not": {"attribute": "environment.ip", "operator": "ip_in_range", "value": "10.0.0.0/8"}}}))]
pub struct CreatePolicyRequest {
    #[garde(length(chars, min = 1, max = 255), custom(not_blank))]
    pub name: String,
    #[garde(inner(length(chars, max = 2000)))]
    pub description: Option<String>,
    #[garde(skip)]
    #[schema(inline)]
    pub effect: Effect,
    /// The part of a permission before the dot (`datasource`), or `*`.
    #[garde(length(max = 100))]
    pub resource_type: String,
    /// Permissions of that type (`datasource.query`), or `*` for all of them.
    #[garde(length(min = 1, max = 100), inner(length(max = 100)))]
    pub actions: Vec<String>,
    /// One of `{"all": […]}`, `{"any": […]}`, `{"not": …}` and `{"attribute", "operator", "value"}`, at most 8 deep and with at
    /// most 100 comparisons; without it, always.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    pub conditions: Option<Value>,
    /// Instead of conditions: one policy in Cedar, `permit` or `forbid` as `effect` says.
    #[garde(inner(length(min = 1, max = 20_000)))]
    pub cedar: Option<String>,
    /// The order in lists, highest first. It does not affect decisions: a denial always wins.
    #[garde(inner(range(min = 0, max = 1000)))]
    #[schema(default = 100)]
    pub priority: Option<i32>,
    #[garde(skip)]
    #[schema(default = true)]
    pub is_active: Option<bool>,
}

errors! { pub CreateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, Conflict, AbacPolicyExists, ValidationError; }

/// Add an attribute-based access policy
///
/// A policy that allows can grant no more than the person who saves it has in the whole organization.
#[utoipa::path(post, path = "/api/v1/sso/abac/policies", tag = "sso", request_body = CreatePolicyRequest,
    responses((status = 201, description = "It applies from the next decision", body = Envelope<AbacPolicyAnswer>), CreateErrors))]
pub async fn create_policy(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreatePolicyRequest>,
) -> Result<Reply<AbacPolicyAnswer>> {
    let tenant = caller.require(Permission::SsoManage)?;
    let written = Written {
        effect: request.effect,
        resource_type: &request.resource_type,
        actions: &request.actions,
        conditions: request.conditions.as_ref(),
        cedar: request.cedar.as_deref(),
    };
    let rule = written.read()?;
    let platform = federation.platform();
    let now = platform.clock.now();
    let entered = federation.tenancy.enter(&caller, tenant.organization_id()).await?;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    guard::check(&federation, &tx, &entered, tenant, &rule).await?;
    // Index: abac_policies(organization_id, priority, id).
    if tenant.find::<Entity>().count(tx.conn()).await? >= MOST_POLICIES {
        return Err(Error::new(ErrorCode::Conflict).with_message(format!(
            "An organization can have at most {MOST_POLICIES} access policies; delete one first."
        )));
    }
    let name = request.name.trim().to_owned();
    let row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        name_key: Set(name.to_lowercase()),
        name: Set(name),
        description: Set(request.description),
        effect: Set(request.effect),
        resource_type: Set(request.resource_type),
        actions: Set(json!(request.actions)),
        conditions: Set(request.conditions),
        cedar: Set(request.cedar),
        priority: Set(request.priority.unwrap_or(USUAL_PRIORITY)),
        is_active: Set(request.is_active.unwrap_or(true)),
        created_by_user_id: Set(caller.user_id),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let policy = AbacPolicy::of(row.insert(tx.conn()).await.map_err(super::name_taken)?)?;
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "abac_policy.create")
        .target("abac_policy", policy.id.0)
        .details(json!({"policy": policy}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The policy was added.";
    Ok(Reply::created(AbacPolicyAnswer { policy, message }, message))
}
