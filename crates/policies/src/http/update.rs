//! `PATCH /api/v1/policies/{policy_id}`: changes a policy and, where rules are sent, puts them in the place of all that it
//! has. The earlier version is kept, and the next query is governed by what stands now.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, Permission, PolicyId, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given, not_blank},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    Policy, role_names,
    rules::{self, PolicyRuleRequest},
};
use crate::{
    Policies,
    diff::changes,
    store::{
        self, Whole,
        version::{self, Change, Definition},
    },
    targets::{NamedTargets, Places},
};

/// Anything absent stays as it is. What a policy is about (`type`, `workspace_id`) is fixed; who it governs is changed
/// through its assignments.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"is_active": false, "version": 3}))]
pub struct UpdatePolicyRequest {
    #[garde(inner(length(chars, min = 1, max = 255), custom(not_blank)))]
    pub name: Option<String>,
    /// `null` removes it.
    #[garde(inner(inner(length(chars, max = 10_000))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    pub is_active: Option<bool>,
    #[garde(inner(range(min = 0)))]
    #[schema(minimum = 0)]
    pub priority: Option<i64>,
    /// Takes the place of what there is.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// All rules of the policy from now on.
    #[garde(length(max = rules::MAX_RULES), dive)]
    pub rules: Option<Vec<PolicyRuleRequest>>,
    /// The version that is changed: `CONFLICT` if someone else has changed it in the meantime.
    pub version: Option<i64>,
}

errors! { pub UpdateErrors: BadRequest, InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, ValidationError, InternalError; }

/// Change a policy and its rules
#[utoipa::path(patch, path = "/api/v1/policies/{policy_id}", tag = "policies", request_body = UpdatePolicyRequest,
    params(("policy_id" = PolicyId, Path, description = "The policy")),
    responses((status = 200, description = "The policy as it applies to the next query", body = Envelope<Policy>), UpdateErrors))]
pub async fn update_policy(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(policy_id): Path<PolicyId>,
    Json(request): Json<UpdatePolicyRequest>,
) -> Result<Reply<Policy>> {
    caller.require(Permission::PolicyWrite)?;
    let expected = request.version;
    let change = |before: &Definition| request.applied_to(before);
    let whole = change_policy(&policies, &caller, &origin, policy_id, expected, Change::Updated, change).await?;
    let names = role_names(&policies, caller.tenant()?, &whole.assignments).await?;
    Ok(Reply::ok(Policy::new(whole, &names)?, "The policy was changed."))
}

impl UpdatePolicyRequest {
    fn applied_to(self, before: &Definition) -> Definition {
        Definition {
            name: self.name.map_or_else(|| before.name.clone(), |name| name.trim().to_owned()),
            description: self.description.unwrap_or_else(|| before.description.clone()),
            is_active: self.is_active.unwrap_or(before.is_active),
            priority: self.priority.unwrap_or(before.priority),
            metadata: self.metadata.map_or_else(|| before.metadata.clone(), Value::Object),
            rules: self.rules.map_or_else(|| before.rules.clone(), rules::definitions),
        }
    }
}

/// Makes the next version of a policy. Rules that differ are checked as new ones are.
pub(super) async fn change_policy(
    policies: &Policies,
    caller: &Caller,
    origin: &RequestOrigin,
    policy_id: PolicyId,
    expected_version: Option<i64>,
    change: Change,
    to: impl FnOnce(&Definition) -> Definition,
) -> Result<Whole> {
    let tenant = caller.require(Permission::PolicyWrite)?;
    let platform = &policies.platform;
    // Read and checked outside the transaction, which then only finds out whether it is still that version.
    let seen = store::find(platform.db.read(), tenant, policy_id).await?;
    let whole = Whole::of(platform.db.read(), seen).await?;
    if expected_version.is_some_and(|expected| expected != whole.policy.version) {
        return Err(changed_meanwhile(whole.policy.version));
    }
    let before = whole.definition()?;
    let after = to(&before);
    if after == before {
        return Ok(whole);
    }
    if after.rules != before.rules {
        let configs = rules::read_again(whole.policy.policy_type()?, &after.rules)?;
        let mut targets = NamedTargets::default();
        rules::name_roles(&mut targets, &configs);
        targets.check(&*policies.targets, tenant).await?;
        rules::fit(&*policies.targets, tenant, &Places::of(&whole.assignments), &configs).await?;
    }
    let tx = platform.db.begin().await?;
    let policy = store::lock(&tx, tenant, policy_id).await?;
    if policy.version != whole.policy.version {
        return Err(changed_meanwhile(policy.version));
    }
    let changed = changes(&before, &after);
    let now = platform.clock.now();
    let policy = version::advance(&tx, policy, &before, after, change, caller.user_id, now).await?;
    let whole = Whole::of(tx.conn(), policy).await?;
    tx.publish(Event::PoliciesChanged(tenant.organization_id())).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "policy.update")
        .target("policy", policy_id.0)
        .details(json!({"name": whole.policy.name, "version": whole.policy.version, "change": change,
            "changed": changed.iter().map(|change| &change.field).collect::<Vec<_>>()}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(whole)
}

fn changed_meanwhile(version: i64) -> Error {
    Error::new(ErrorCode::Conflict).with_message(format!(
        "Someone has changed the policy in the meantime: it is now version {version}. Read it again."
    ))
}
