//! `POST /api/v1/policies/{policy_id}/assignments`: binds a policy to what and to whom it governs.
//!
//! Where that is a source, the policy's rules are held against its tables, as they are when a policy is made for sources.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{
    DataSourceId, Error, ErrorCode, FieldError, Permission, PolicyId, QueryId, Result, RoleId, Tenant, UserId,
    WorkspaceId,
};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{PolicyAssignment, role_names};
use crate::{
    Policies,
    rule::{ConfigError, RuleConfig},
    store::{
        self, Whole,
        assignment::{New, Reach},
        rule,
    },
    targets::{NamedTargets, Target},
};

/// All given ids must match. At least one is needed.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"data_source_id": 3, "role_id": 12}))]
pub struct AssignPolicyRequest {
    /// Governs this source.
    pub data_source_id: Option<DataSourceId>,
    /// No organization has datasets yet: `NOT_FOUND`.
    pub dataset_id: Option<i64>,
    /// No organization has stored queries yet: `NOT_FOUND`.
    pub query_id: Option<QueryId>,
    /// Governs people who hold this role.
    pub role_id: Option<RoleId>,
    /// Governs this person.
    pub user_id: Option<UserId>,
    /// Governs the sources of this workspace, and those of none.
    pub workspace_id: Option<WorkspaceId>,
    #[schema(default = true)]
    pub is_active: Option<bool>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

errors! { pub AssignErrors: BadRequest, InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, AssignmentExists, ValidationError, InternalError; }

/// Bind a policy to a resource or to people
#[utoipa::path(post, path = "/api/v1/policies/{policy_id}/assignments", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy")), request_body = AssignPolicyRequest,
    responses((status = 201, description = "Bound; the next query is governed", body = Envelope<PolicyAssignment>), AssignErrors))]
pub async fn assign_policy(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(policy_id): Path<PolicyId>,
    Json(request): Json<AssignPolicyRequest>,
) -> Result<Reply<PolicyAssignment>> {
    let tenant = caller.require(Permission::PolicyWrite)?;
    let platform = &policies.platform;
    let policy = store::find(platform.db.read(), tenant, policy_id).await?;
    let reach = request.reach();
    let mut targets = NamedTargets::default();
    targets.add_all([
        ("data_source_id", reach.data_source_id.map(Target::DataSource)),
        ("role_id", reach.role_id.map(Target::Role)),
        ("user_id", reach.user_id.map(Target::User)),
        ("workspace_id", reach.workspace_id.map(Target::Workspace)),
    ]);
    if request.dataset_id.is_some() {
        targets.add_missing("dataset_id");
    }
    if request.query_id.is_some() {
        targets.add_missing("query_id");
    }
    if targets.is_empty() {
        return Err(Error::new(ErrorCode::BadRequest).with_message(
            "Give at least one of data_source_id, dataset_id, query_id, role_id, user_id and workspace_id.",
        ));
    }
    targets.check(&*policies.targets, tenant).await?;
    if let Some(source) = reach.data_source_id {
        check_fit(&policies, tenant, policy, source).await?;
    }

    let tx = platform.db.begin().await?;
    let policy = store::find(tx.conn(), tenant, policy_id).await?;
    let new = New {
        organization_id: policy.organization_id,
        policy_id,
        reach,
        is_active: request.is_active.unwrap_or(true),
        metadata: Value::Object(request.metadata.unwrap_or_default()),
        applied_by: caller.user_id,
    };
    let row = new.insert(&tx, platform.clock.now()).await?;
    tx.publish(Event::PoliciesChanged(policy.organization_id)).await?;
    let record = AuditRecord::new(Some(policy.organization_id), origin.actor(caller.user_id), "policy.assign")
        .target("policy", policy_id.0)
        .details(json!({
            "assignment_id": row.id, "data_source_id": row.data_source_id, "workspace_id": row.workspace_id,
            "role_id": row.role_id, "user_id": row.user_id, "is_active": row.is_active}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let names = role_names(&policies, tenant, std::slice::from_ref(&row)).await?;
    Ok(Reply::created(PolicyAssignment::new(row, &names), "The policy is assigned."))
}

impl AssignPolicyRequest {
    fn reach(&self) -> Reach {
        Reach {
            data_source_id: self.data_source_id,
            workspace_id: self.workspace_id,
            role_id: self.role_id,
            user_id: self.user_id,
        }
    }
}

/// `VALIDATION_ERROR` with every rule that cannot be applied to the tables of the policy's sources, this one among them: it
/// would close its table. That a rule's table is in none of them is a fault only where none has any of the tables that the
/// rules name: a policy for several sources is bound to one after the other.
async fn check_fit(policies: &Policies, tenant: Tenant, policy: store::Model, source: DataSourceId) -> Result<()> {
    let whole = Whole::of(policies.platform.db.read(), policy).await?;
    let rules: Vec<RuleConfig> = whole.rules.iter().map(rule::Model::effect).collect();
    let sources = whole.assignments.iter().filter_map(|row| row.data_source_id).chain([source]).collect();
    let mut misfits = policies.targets.misfits(tenant, &sources, &rules).await?;
    let has_no_table = |(_, error): &(usize, ConfigError)| error.field == "table";
    if misfits.iter().filter(|misfit| has_no_table(misfit)).count() < rules.len() {
        misfits.retain(|misfit| !has_no_table(misfit));
    }
    if misfits.is_empty() {
        return Ok(());
    }
    let fault = |(index, error): (usize, ConfigError)| {
        let name = whole.rules.get(index).map_or("", |rule| rule.rule_name.as_str());
        FieldError::new("data_source_id", format!("the rule “{name}” does not fit it: {error}"))
    };
    Err(Error::new(ErrorCode::ValidationError).with_details(misfits.into_iter().map(fault).collect()))
}
