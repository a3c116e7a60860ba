//! `PUT /api/v1/sso/abac/policies/{policy_id}`: changes the fields that are given.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{AbacPolicyId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given, not_blank},
};
use rivergen_tenancy::organization;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    Effect, Model, guard,
    view::{AbacPolicy, AbacPolicyAnswer},
};
use crate::Federation;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpdateAbacPolicyRequest, example = json!({"is_active": false}))]
pub struct UpdatePolicyRequest {
    #[garde(inner(length(chars, min = 1, max = 255), custom(not_blank)))]
    pub name: Option<String>,
    /// `null` removes it.
    #[garde(inner(inner(length(chars, max = 2000))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    #[garde(skip)]
    #[schema(inline)]
    pub effect: Option<Effect>,
    #[garde(inner(length(max = 100)))]
    pub resource_type: Option<String>,
    #[garde(inner(length(min = 1, max = 100), inner(length(max = 100))))]
    pub actions: Option<Vec<String>>,
    /// `null` removes them, so that it always applies. Replaces a policy in Cedar, which is removed.
    #[garde(skip)]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub conditions: Option<Option<Value>>,
    /// Replaces conditions, which are removed.
    #[garde(inner(inner(length(min = 1, max = 20_000))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub cedar: Option<Option<String>>,
    #[garde(inner(range(min = 0, max = 1000)))]
    pub priority: Option<i32>,
    #[garde(skip)]
    pub is_active: Option<bool>,
}

impl UpdatePolicyRequest {
    /// The policy as it is after the change.
    fn applied(self, before: &Model) -> Model {
        let name = self.name.map_or_else(|| before.name.clone(), |name| name.trim().to_owned());
        // One of the two ways to write a policy drives the other out, unless both are sent, which is refused when it is read.
        let (conditions, cedar) = match (self.conditions, self.cedar) {
            (Some(conditions), Some(cedar)) => (conditions, cedar),
            (Some(conditions), None) => (conditions, None),
            (None, Some(None)) => (before.conditions.clone(), None),
            (None, Some(cedar)) => (None, cedar),
            (None, None) => (before.conditions.clone(), before.cedar.clone()),
        };
        Model {
            name_key: name.to_lowercase(),
            name,
            description: self.description.unwrap_or_else(|| before.description.clone()),
            effect: self.effect.unwrap_or(before.effect),
            resource_type: self.resource_type.unwrap_or_else(|| before.resource_type.clone()),
            actions: self.actions.map_or_else(|| before.actions.clone(), |actions| json!(actions)),
            conditions,
            cedar,
            priority: self.priority.unwrap_or(before.priority),
            is_active: self.is_active.unwrap_or(before.is_active),
            ..before.clone()
        }
    }
}

errors! { pub UpdateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, AbacPolicyNotFound, AbacPolicyExists, ValidationError; }

/// Change an attribute-based policy
#[utoipa::path(put, path = "/api/v1/sso/abac/policies/{policy_id}", tag = "sso", request_body = UpdatePolicyRequest,
    params(("policy_id" = AbacPolicyId, Path, description = "A policy of the session's organization")),
    responses((status = 200, description = "It applies from the next decision", body = Envelope<AbacPolicyAnswer>), UpdateErrors))]
pub async fn update_policy(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<AbacPolicyId>,
    Json(request): Json<UpdatePolicyRequest>,
) -> Result<Reply<AbacPolicyAnswer>> {
    let tenant = caller.require(Permission::SsoManage)?;
    let platform = federation.platform();
    let entered = federation.tenancy.enter(&caller, tenant.organization_id()).await?;
    let tx = platform.db.begin().await?;
    // Of two who change it at once, the second changes what the first left.
    organization::lock(&tx, tenant).await?;
    let before = super::find(tx.conn(), tenant, id).await?;
    let after = request.applied(&before);
    let rule = after.rule()?;
    // An inactive one too: whoever makes it active later must not be led by its name alone.
    guard::check(&federation, &tx, &entered, tenant, &rule).await?;
    let shown_before = AbacPolicy::of(before.clone())?;
    let mut row = before.into_active_model();
    row.name = Set(after.name);
    row.name_key = Set(after.name_key);
    row.description = Set(after.description);
    row.effect = Set(after.effect);
    row.resource_type = Set(after.resource_type);
    row.actions = Set(after.actions);
    row.conditions = Set(after.conditions);
    row.cedar = Set(after.cedar);
    row.priority = Set(after.priority);
    row.is_active = Set(after.is_active);
    row.updated_at = Set(platform.clock.now());
    let policy = AbacPolicy::of(row.update(tx.conn()).await.map_err(super::name_taken)?)?;
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "abac_policy.update")
        .target("abac_policy", id.0)
        .details(json!({"before": shown_before, "after": policy}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The policy was changed.";
    Ok(Reply::ok(AbacPolicyAnswer { policy, message }, message))
}
