//! `POST /api/v1/policies`: a policy with its rules and, where ids are given, its assignments.

use std::collections::BTreeSet;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{
    DataSourceId, DatasetId, Error, Permission, PolicyId, QueryId, Result, RoleId, Tenant, UserId, WorkspaceId,
};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn, not_blank},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    EntityTrait,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    NOT_OF_A_QUERY, Policy, role_names,
    rules::{self, PolicyRuleRequest},
    tables_of,
};
use crate::{
    Policies,
    rule::{PolicyType, RuleConfig},
    store::{
        self, Whole,
        assignment::{self, BoundTable, Reach},
        rule,
        version::{self, Change},
    },
    targets::{NamedTargets, Places, Target},
};

/// Ids of one list.
const MAX_IDS: usize = 100;
/// Assignments that one call makes.
const MAX_ASSIGNMENTS: usize = 1_000;

/// A policy, its rules, and what it governs. The ids are combined: each of the sources, datasets and workspaces with
/// each of the roles and people.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Own region only", "type": "row_level_security", "priority": 10,
    "rules": [{"rule_name": "own region", "rule_type": "filter_rows", "rule_order": 0,
        "rule_config": {"table": "orders", "condition": "region = current_user_region"}}],
    "data_source_ids": [3], "role_ids": [12]}))]
pub struct CreatePolicyRequest {
    /// Governs the sources of this workspace, and those of no workspace; absent: all sources of the organization.
    #[garde(skip)]
    pub workspace_id: Option<WorkspaceId>,
    #[garde(length(chars, min = 1, max = 255), custom(not_blank))]
    pub name: String,
    #[garde(inner(length(chars, max = 10_000)))]
    pub description: Option<String>,
    #[garde(skip)]
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    #[garde(skip)]
    #[schema(default = true)]
    pub is_active: Option<bool>,
    /// Higher ones come first.
    #[garde(inner(range(min = 0)))]
    #[schema(default = 0, minimum = 0)]
    pub priority: Option<i64>,
    #[garde(length(max = rules::MAX_RULES), dive)]
    pub rules: Option<Vec<PolicyRuleRequest>>,
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    #[garde(inner(length(max = MAX_IDS)))]
    pub data_source_ids: Option<Vec<DataSourceId>>,
    #[garde(inner(length(max = MAX_IDS)))]
    pub role_ids: Option<Vec<RoleId>>,
    #[garde(inner(length(max = MAX_IDS)))]
    pub user_ids: Option<Vec<UserId>>,
    /// Tables and views of sources, by the `dataset_id` that they have in the source's schemas.
    #[garde(inner(length(max = MAX_IDS)))]
    pub dataset_ids: Option<Vec<DatasetId>>,
    /// Refused with `VALIDATION_ERROR`: the same question could be asked in other words.
    #[garde(inner(length(max = MAX_IDS)))]
    pub query_ids: Option<Vec<QueryId>>,
    #[garde(inner(length(max = MAX_IDS)))]
    pub workspace_ids: Option<Vec<WorkspaceId>>,
}

errors! { pub CreateErrors: BadRequest, InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// Create a policy with its rules and, if wanted, its assignments
#[utoipa::path(post, path = "/api/v1/policies", tag = "policies", request_body = CreatePolicyRequest,
    responses((status = 201, description = "Created; if it is assigned, it applies from the next query", body = Envelope<Policy>), CreateErrors))]
pub async fn create_policy(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreatePolicyRequest>,
) -> Result<Reply<Policy>> {
    let tenant = caller.require(Permission::PolicyWrite)?;
    let rules = rules::read(request.policy_type, request.rules.as_deref().unwrap_or_default())?;
    if request.query_ids.iter().flatten().next().is_some() {
        return Err(Error::invalid_field("query_ids", NOT_OF_A_QUERY));
    }
    request.targets(&rules).check(&*policies.targets, tenant).await?;
    let tables = tables_of(&policies, tenant, request.dataset_ids.as_deref().unwrap_or_default()).await?;
    let reaches = request.reaches(tables)?;
    let mut places = Places::default();
    for reach in &reaches {
        places.add(reach.data_source_id, reach.table.as_ref());
    }
    rules::fit(&*policies.targets, tenant, &places, &rules).await?;

    let platform = &policies.platform;
    let tx = platform.db.begin().await?;
    let whole = insert(&policies, &tx, tenant, caller.user_id, request, reaches).await?;
    tx.publish(Event::PoliciesChanged(tenant.organization_id())).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "policy.create")
        .target("policy", whole.policy.id.0)
        .details(
            json!({"name": whole.policy.name, "type": whole.policy.policy_type, "is_active": whole.policy.is_active}),
        );
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let names = role_names(&policies, tenant, &whole.assignments).await?;
    Ok(Reply::created(Policy::new(whole, &names)?, "The policy was created."))
}

impl CreatePolicyRequest {
    /// Each of what is governed with each of who is; a side without ids narrows nothing.
    fn reaches(&self, tables: Vec<BoundTable>) -> Result<BTreeSet<Reach>> {
        let sources = self.data_source_ids.iter().flatten();
        let workspaces = self.workspace_ids.iter().flatten();
        let roles = self.role_ids.iter().flatten();
        let users = self.user_ids.iter().flatten();
        let what: BTreeSet<Reach> = sources
            .map(|id| Reach { data_source_id: Some(*id), ..Reach::default() })
            .chain(tables.into_iter().map(|table| Reach { table: Some(table), ..Reach::default() }))
            .chain(workspaces.map(|id| Reach { workspace_id: Some(*id), ..Reach::default() }))
            .collect();
        let who: BTreeSet<Reach> = roles
            .map(|id| Reach { role_id: Some(*id), ..Reach::default() })
            .chain(users.map(|id| Reach { user_id: Some(*id), ..Reach::default() }))
            .collect();
        if what.is_empty() || who.is_empty() {
            return Ok(what.into_iter().chain(who).collect());
        }
        if what.len() * who.len() > MAX_ASSIGNMENTS {
            let reason = format!("the ids combine to more than {MAX_ASSIGNMENTS} assignments; create several policies");
            return Err(Error::invalid_field("data_source_ids", reason));
        }
        let both = |what: &Reach, who: &Reach| Reach { role_id: who.role_id, user_id: who.user_id, ..what.clone() };
        Ok(what.iter().flat_map(|what| who.iter().map(move |who| both(what, who))).collect())
    }

    /// All ids that the request speaks of, with their fields.
    fn targets(&self, rules: &[RuleConfig]) -> NamedTargets {
        fn ids<T: Copy>(targets: &mut NamedTargets, field: &str, ids: &Option<Vec<T>>, kind: fn(T) -> Target) {
            for (index, id) in ids.iter().flatten().enumerate() {
                targets.add(format!("{field}[{index}]"), kind(*id));
            }
        }
        let mut targets = NamedTargets::default();
        targets.add_all([("workspace_id", self.workspace_id.map(Target::Workspace))]);
        ids(&mut targets, "data_source_ids", &self.data_source_ids, Target::DataSource);
        ids(&mut targets, "dataset_ids", &self.dataset_ids, Target::Dataset);
        ids(&mut targets, "role_ids", &self.role_ids, Target::Role);
        ids(&mut targets, "user_ids", &self.user_ids, Target::User);
        ids(&mut targets, "workspace_ids", &self.workspace_ids, Target::Workspace);
        rules::name_roles(&mut targets, rules);
        targets
    }
}

async fn insert(
    policies: &Policies,
    tx: &Transaction,
    tenant: Tenant,
    user_id: UserId,
    request: CreatePolicyRequest,
    reaches: BTreeSet<Reach>,
) -> Result<Whole> {
    let now = policies.platform.clock.now();
    let organization_id = tenant.organization_id();
    let policy = store::ActiveModel {
        id: NotSet,
        organization_id: Set(organization_id),
        workspace_id: Set(request.workspace_id),
        name: Set(request.name.trim().to_owned()),
        description: Set(request.description),
        policy_type: Set(request.policy_type.as_str().to_owned()),
        is_active: Set(request.is_active.unwrap_or(true)),
        priority: Set(request.priority.unwrap_or(0)),
        metadata: Set(Value::Object(request.metadata.unwrap_or_default())),
        created_by_user_id: Set(user_id),
        created_at: Set(now),
        updated_at: Set(now),
        updated_by_user_id: Set(None),
        deleted_at: Set(None),
        purge_at: Set(None),
        version: Set(1),
    };
    let policy_id: PolicyId = store::Entity::insert(policy).exec(tx.conn()).await?.last_insert_id;
    rule::insert_all(tx, policy_id, rules::definitions(request.rules.unwrap_or_default()), now).await?;
    let assignments: Vec<assignment::ActiveModel> = reaches
        .into_iter()
        .map(|reach| {
            let metadata = Value::Object(Map::new());
            let new =
                assignment::New { organization_id, policy_id, reach, is_active: true, metadata, applied_by: user_id };
            new.row(now)
        })
        .collect();
    if !assignments.is_empty() {
        assignment::Entity::insert_many(assignments).exec_without_returning(tx.conn()).await?;
    }
    let policy = store::find(tx.conn(), tenant, policy_id).await?;
    let whole = Whole::of(tx.conn(), policy).await?;
    version::keep(tx, &whole.policy, &whole.definition()?, Change::Created, user_id, now).await?;
    Ok(whole)
}
