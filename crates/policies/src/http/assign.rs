//! `POST /api/v1/policies/{policy_id}/assignments`: binds a policy to what and to whom it governs.
//!
//! Where that is a source or a table of one, the policy's rules are held against what is there, as they are when a policy is
//! made for sources.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{
    DataSourceId, DatasetId, Error, ErrorCode, FieldError, Permission, PolicyId, QueryId, Result, RoleId, Tenant,
    UserId, WorkspaceId,
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

use super::{NOT_OF_A_QUERY, PolicyAssignment, role_names, tables_of};
use crate::{
    Policies,
    rule::{ConfigError, RuleConfig},
    store::{
        self, Whole,
        assignment::{BoundTable, New, Reach},
        rule,
    },
    targets::{NamedTargets, Places, Target},
};

/// All given ids must match. At least one is needed.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"data_source_id": 3, "role_id": 12}))]
pub struct AssignPolicyRequest {
    /// Governs this source.
    pub data_source_id: Option<DataSourceId>,
    /// Governs this table or view of a source; `dataset_id` in the source's schemas.
    pub dataset_id: Option<DatasetId>,
    /// Refused with `VALIDATION_ERROR`: the same question could be asked in other words.
    pub query_id: Option<QueryId>,
    /// Governs people who hold this role.
    pub role_id: Option<RoleId>,
    /// Governs this person.
    pub user_id: Option<UserId>,
    /// Governs the sources of this workspace, and those of no workspace.
    pub workspace_id: Option<WorkspaceId>,
    #[schema(default = true)]
    pub is_active: Option<bool>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

errors! { pub AssignErrors: BadRequest, InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, AssignmentExists, ValidationError, InternalError; }

/// Assign a policy to resources or people
#[utoipa::path(post, path = "/api/v1/policies/{policy_id}/assignments", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy")), request_body = AssignPolicyRequest,
    responses((status = 201, description = "Assigned; it applies from the next query", body = Envelope<PolicyAssignment>), AssignErrors))]
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
    if request.query_id.is_some() {
        return Err(Error::invalid_field("query_id", NOT_OF_A_QUERY));
    }
    let mut targets = NamedTargets::default();
    targets.add_all([
        ("data_source_id", request.data_source_id.map(Target::DataSource)),
        ("dataset_id", request.dataset_id.map(Target::Dataset)),
        ("role_id", request.role_id.map(Target::Role)),
        ("user_id", request.user_id.map(Target::User)),
        ("workspace_id", request.workspace_id.map(Target::Workspace)),
    ]);
    if targets.is_empty() {
        return Err(Error::new(ErrorCode::BadRequest)
            .with_message("Give at least one of data_source_id, dataset_id, role_id, user_id and workspace_id."));
    }
    targets.check(&*policies.targets, tenant).await?;
    let reach = request.reach(tables_of(&policies, tenant, request.dataset_id.as_slice()).await?.pop());
    if let (Some(source), Some(table)) = (reach.data_source_id, &reach.table)
        && table.data_source_id != source
    {
        return Err(Error::invalid_field("dataset_id", "belongs to a different source than data_source_id"));
    }
    check_fit(&policies, tenant, policy, &reach).await?;

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
            "assignment_id": row.id, "data_source_id": row.data_source_id, "dataset_id": row.dataset_id,
            "workspace_id": row.workspace_id, "role_id": row.role_id, "user_id": row.user_id,
            "is_active": row.is_active}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let names = role_names(&policies, tenant, std::slice::from_ref(&row)).await?;
    Ok(Reply::created(PolicyAssignment::new(row, &names), "The policy was assigned."))
}

impl AssignPolicyRequest {
    fn reach(&self, table: Option<BoundTable>) -> Reach {
        Reach {
            data_source_id: self.data_source_id,
            table,
            workspace_id: self.workspace_id,
            role_id: self.role_id,
            user_id: self.user_id,
        }
    }
}

/// `VALIDATION_ERROR` with every rule that cannot be applied to the tables of the policy's places, this one among them: it
/// would close its table. That a rule's table is in none of them is a fault only where none has any of the tables that the
/// rules name: a policy for several sources is bound to one after the other.
async fn check_fit(policies: &Policies, tenant: Tenant, policy: store::Model, reach: &Reach) -> Result<()> {
    let field = match (&reach.table, reach.data_source_id) {
        (Some(_), _) => "dataset_id",
        (None, Some(_)) => "data_source_id",
        (None, None) => return Ok(()),
    };
    let whole = Whole::of(policies.platform.db.read(), policy).await?;
    let rules: Vec<RuleConfig> = whole.rules.iter().map(rule::Model::effect).collect();
    let mut places = Places::of(&whole.assignments);
    places.add(reach.data_source_id, reach.table.as_ref());
    let mut misfits = policies.targets.misfits(tenant, &places, &rules).await?;
    let has_no_table = |(_, error): &(usize, ConfigError)| error.field == "table";
    if misfits.iter().filter(|misfit| has_no_table(misfit)).count() < rules.len() {
        misfits.retain(|misfit| !has_no_table(misfit));
    }
    if misfits.is_empty() {
        return Ok(());
    }
    let fault = |(index, error): (usize, ConfigError)| {
        let name = whole.rules.get(index).map_or("", |rule| rule.rule_name.as_str());
        FieldError::new(field, format!("the rule “{name}” does not fit it: {error}"))
    };
    Err(Error::new(ErrorCode::ValidationError).with_details(misfits.into_iter().map(fault).collect()))
}
