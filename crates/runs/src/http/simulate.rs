//! `POST /api/v1/policies/simulate`: what somebody sees of a source, now and after a change of policies that nobody has made
//! yet.
//!
//! Nothing is written and nothing of the person's is used but what policies look at: their roles and attributes. A sample
//! of rows is run under the policies as they would govern the person, and shown where it tells the caller nothing that
//! they may not see themselves; it is on record like each query of the caller's.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, FieldError, Permission, PolicyId, Result, Tenant, UserId, WorkspaceId,
    caller::Membership,
};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use rivergen_policies::{
    decision::Subject,
    draft::PolicyDraft,
    evaluation::{NewRun, Outcome, RunKind},
    rule::{EffectivePolicy, TableName, TablePattern},
    targets::{Member, NamedTargets, Target},
};
use rivergen_query::{JsonAnswer, QueryColumn, statement::quoted_table};
use rivergen_sources::{access::Access, source};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    Engine,
    catalogue::{Catalogue, CatalogueTable, Rules},
    engine::{Form, Record, is_read},
    seen::{SeenTable, would_tell_more},
    told::{Told, answerable},
};

/// Tables of one answer.
const MAX_TABLES: usize = 100;
/// How long the queries of a sample may take, each.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"user_id": 7, "data_source_id": 3, "table": "orders",
    "changes": {"remove_policy_ids": [2], "drafts": [{"name": "EU only", "type": "row_level_security",
        "rules": [{"rule_name": "eu", "rule_type": "filter_rows", "rule_config": {"condition": "region = 'EU'"}}]}]},
    "sample_rows": 5}))]
pub struct SimulateRequest {
    /// Whose view is asked for: an active member.
    pub user_id: UserId,
    pub data_source_id: DataSourceId,
    /// Where the request would come from; without it, nothing is known about the network.
    #[schema(value_type = Option<String>, examples("10.1.2.3"))]
    pub ip: Option<IpAddr>,
    /// When it would come; now, without it.
    pub at: Option<DateTime<Utc>>,
    /// The workspace of the person's session: roles that they have there count as well.
    pub workspace_id: Option<WorkspaceId>,
    /// Only tables of this name: `orders`, `public.orders`, `crm.public.orders`.
    #[garde(inner(length(chars, min = 1, max = 500)))]
    pub table: Option<String>,
    #[garde(dive)]
    pub changes: Option<ProposedChanges>,
    /// Rows to show of the one table that `table` names, before and after.
    #[garde(inner(range(min = 1, max = 20)))]
    #[schema(minimum = 1, maximum = 20)]
    pub sample_rows: Option<u64>,
}

/// What would be otherwise.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposedChanges {
    /// Policies that would govern the person, as if they were active and assigned.
    #[garde(length(max = 20))]
    #[serde(default)]
    pub add_policy_ids: Vec<PolicyId>,
    /// Policies that would not govern the person.
    #[garde(length(max = 20))]
    #[serde(default)]
    pub remove_policy_ids: Vec<PolicyId>,
    /// Policies that are not there yet.
    #[garde(length(max = 20), dive)]
    #[serde(default)]
    pub drafts: Vec<PolicyDraft>,
}

/// What the person sees.
#[derive(Debug, Serialize, ToSchema)]
pub struct Simulation {
    pub user_id: UserId,
    pub data_source_id: DataSourceId,
    pub workspace_id: Option<WorkspaceId>,
    /// Whether the person may query sources at all.
    pub may_query: bool,
    /// At most a hundred; narrow them down by `table`.
    pub tables: Vec<SimulatedTable>,
    #[schema(examples(1))]
    pub total_tables: u64,
    pub sample: Option<SampleComparison>,
    /// Why there is no sample, if one was requested.
    #[schema(examples("the person sees columns that are masked for you"))]
    pub sample_refused_because: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SimulatedTable {
    #[schema(examples("crm.public.orders"))]
    pub table: String,
    pub before: SeenTable,
    pub after: SeenTable,
    /// Whether the change changes anything here.
    pub changed: bool,
}

/// The rows of one table, as the person gets them.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleComparison {
    #[schema(examples("crm.public.orders"))]
    pub table: String,
    /// None if the person may not read it.
    pub before: Option<Sample>,
    pub after: Option<Sample>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Sample {
    /// All rows that the person sees.
    #[schema(examples(4182))]
    pub row_count: u64,
    pub columns: Vec<QueryColumn>,
    /// Some of them.
    #[schema(value_type = Vec<Vec<Object>>, example = json!([[1, "EU"]]))]
    pub rows: Vec<Vec<serde_json::Value>>,
}

errors! { pub SimulateErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, DataSourceUnavailable,
ValidationError, QueryLimitExceeded, ConnectionError, QueryTimeout, InternalError; }

/// Simulate what a person sees, before and after a change of policies
#[utoipa::path(post, path = "/api/v1/policies/simulate", tag = "policies", request_body = SimulateRequest,
    responses((status = 200, description = "Table by table, with the policies responsible", body = Envelope<Simulation>), SimulateErrors))]
pub async fn simulate_policies(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<SimulateRequest>,
) -> Result<Reply<Simulation>> {
    let access = Access::of(&caller, Permission::PolicyWrite)?;
    let tenant = access.tenant();
    let source = engine.sources.find(&access, request.data_source_id).await?;
    let person = Person::find(&engine, tenant, &request).await?;
    let pattern = TablePattern::parse(request.table.as_deref())
        .map_err(|error| Error::invalid_field(error.field, error.reason))?;
    let changes = request.changes.unwrap_or_default();

    let sources = [source];
    let mut rows = engine.discovered(tenant, &sources).await?;
    let slug = &sources[0].slug;
    rows.retain(|row| {
        let name = TableName { catalog: slug.clone(), schema: row.schema_name.clone(), table: row.table_name.clone() };
        pattern.matches(&name)
    });
    if rows.is_empty() && pattern.is_named() {
        return Err(no_such_table());
    }
    let total_tables = rows.len() as u64;
    rows.truncate(MAX_TABLES);
    let governing = person.governing(&engine, tenant, request.data_source_id).await?;
    let changed = apply(&engine, tenant, &governing, &changes).await?;
    let view = async |policies: Vec<EffectivePolicy>| {
        let by_source = BTreeMap::from([(request.data_source_id, policies)]);
        let tags = engine.tags(tenant, &by_source).await?;
        Rules::new(by_source, tags, person.subject.clone()).decided(&rows, &sources)
    };
    let (before, after) = (view(governing).await?, view(changed).await?);

    let (mut sample, mut sample_refused_because) = (None, None);
    if let Some(wanted) = request.sample_rows {
        let compare = Comparison { engine: &engine, caller: &caller, origin: &origin, tenant, source: &sources[0] };
        match compare.sample(&person, &before, &after, wanted).await? {
            Ok(shown) => sample = Some(shown),
            Err(reason) => sample_refused_because = Some(reason.to_owned()),
        }
    }
    let tables = before.iter().zip(&after).map(|(before, after)| {
        let (seen, seen_after) = (SeenTable::of(&before.decision), SeenTable::of(&after.decision));
        SimulatedTable { table: before.name.to_string(), changed: seen != seen_after, before: seen, after: seen_after }
    });
    let simulation = Simulation {
        user_id: request.user_id,
        data_source_id: request.data_source_id,
        workspace_id: request.workspace_id,
        may_query: person.may_query,
        tables: tables.collect(),
        total_tables,
        sample,
        sample_refused_because,
    };
    Ok(Reply::ok(simulation, "What the person sees."))
}

/// The person whose view it is.
struct Person {
    user_id: UserId,
    membership: Membership,
    subject: Subject,
    may_query: bool,
}

impl Person {
    async fn find(engine: &Engine, tenant: Tenant, request: &SimulateRequest) -> Result<Self> {
        let SimulateRequest { user_id, workspace_id, .. } = *request;
        let mut named = NamedTargets::default();
        named
            .add_all([("user_id", Some(Target::User(user_id))), ("workspace_id", workspace_id.map(Target::Workspace))]);
        let targets = &*engine.policies.targets;
        named.check(targets, tenant).await?;
        let member = targets.member(tenant, user_id, workspace_id).await?.ok_or(ErrorCode::NotFound)?;
        let Member { membership, proved_email } = member;
        let may_query = membership.permissions.contains(&Permission::DataSourceQuery);
        let at = request.at.unwrap_or_else(|| engine.platform.clock.now());
        let groups = targets.groups_of(tenant, user_id).await?;
        let subject = Subject::new(&membership, user_id, proved_email.as_deref(), at, request.ip).with_groups(groups);
        Ok(Self { user_id, subject, may_query, membership })
    }

    async fn governing(&self, engine: &Engine, tenant: Tenant, source: DataSourceId) -> Result<Vec<EffectivePolicy>> {
        let found = engine.policies.effective_for(tenant, &self.membership, self.user_id, &[source]).await?;
        Ok(found.into_values().next().unwrap_or_default())
    }
}

/// The policies after the change.
async fn apply(
    engine: &Engine,
    tenant: Tenant,
    governing: &[EffectivePolicy],
    changes: &ProposedChanges,
) -> Result<Vec<EffectivePolicy>> {
    let policies = &engine.policies;
    let missing = |field: &'static str| {
        move |error: Error| match error.code {
            ErrorCode::NotFound => {
                error.with_details(vec![FieldError::new(field, "does not exist in your organization")])
            }
            _ => error,
        }
    };
    policies.as_if_governing(tenant, &changes.remove_policy_ids).await.map_err(missing("changes.remove_policy_ids"))?;
    let added =
        policies.as_if_governing(tenant, &changes.add_policy_ids).await.map_err(missing("changes.add_policy_ids"))?;
    // One that governs already is taken as added: it may be bound to some of the tables only.
    let replaced: BTreeSet<PolicyId> =
        changes.remove_policy_ids.iter().chain(&changes.add_policy_ids).copied().collect();
    let mut after: Vec<EffectivePolicy> =
        governing.iter().filter(|policy| !replaced.contains(&policy.id)).cloned().collect();
    after.extend(added);
    for (place, draft) in changes.drafts.iter().enumerate() {
        after.push(draft.read(place, &format!("changes.drafts[{place}]"))?);
    }
    Ok(after)
}

fn no_such_table() -> Error {
    Error::new(ErrorCode::NotFound)
        .with_message("The source has no such table; if it is new, discover the schema again.")
        .with_details(vec![FieldError::new("table", "is not a table of the source")])
}

/// A sample that is being taken.
struct Comparison<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    origin: &'a RequestOrigin,
    tenant: Tenant,
    source: &'a source::Model,
}

impl Comparison<'_> {
    /// The rows before and after, or why they may not be shown to the caller.
    async fn sample(
        &self,
        person: &Person,
        before: &[CatalogueTable],
        after: &[CatalogueTable],
        rows: u64,
    ) -> Result<Result<SampleComparison, &'static str>> {
        let ([before], [after]) = (before, after) else {
            return Ok(Err("a sample can only be taken of one table: name it in table"));
        };
        if !self.caller.may(Permission::DataSourceQuery) {
            return Ok(Err("you may not query data sources yourself"));
        }
        let catalogue = self.engine.catalogue(self.caller, self.tenant, vec![self.source.clone()]).await?;
        let Some(own) = catalogue.tables.iter().find(|table| table.name == before.name) else {
            return Ok(Err("the table no longer exists"));
        };
        for theirs in [before, after] {
            if theirs.decision.is_allowed()
                && let Some(reason) = would_tell_more(&own.decision, &theirs.decision)
            {
                return Ok(Err(reason));
            }
        }
        self.source.check_usable()?;
        self.write_down(person, &before.name).await?;
        let limits = own.decision.limits;
        let held_to = |table: &CatalogueTable| {
            let mut table = table.clone();
            table.decision.limits = table.decision.limits.tighten(limits);
            table
        };
        // For what row filters look up in them; the statement names none of them.
        let others: Vec<CatalogueTable> =
            catalogue.tables.iter().filter(|table| table.name != before.name).cloned().collect();
        Ok(Ok(SampleComparison {
            table: before.name.to_string(),
            before: self.rows_of(held_to(before), &others, rows).await?,
            after: self.rows_of(held_to(after), &others, rows).await?,
        }))
    }

    async fn rows_of(&self, table: CatalogueTable, others: &[CatalogueTable], rows: u64) -> Result<Option<Sample>> {
        if !table.decision.is_allowed() {
            return Ok(None);
        }
        let from = quoted_table(&table.name);
        let tables = others.iter().cloned().chain([table]).collect();
        // All is decided; no rule is asked again.
        let rules = Rules::default();
        let catalogue = Catalogue { tenant: self.tenant, sources: vec![self.source.clone()], tables, rules };
        let (_, counted) = self.run(&catalogue, &format!("SELECT count(*) FROM {from}"), 1).await?;
        let row_count = counted.rows.first().and_then(|row| row.first()).and_then(serde_json::Value::as_u64);
        let (columns, shown) = self.run(&catalogue, &format!("SELECT * FROM {from}"), rows).await?;
        Ok(Some(Sample { row_count: row_count.unwrap_or(0), columns, rows: shown.rows }))
    }

    /// A query of the caller's over somebody else's view, on record as the caller's.
    async fn run(&self, catalogue: &Catalogue, sql: &str, max_rows: u64) -> Result<(Vec<QueryColumn>, JsonAnswer)> {
        let new = NewRun {
            tenant: self.tenant,
            user_id: self.caller.user_id,
            kind: RunKind::Sql,
            sql,
            data_source_ids: &[self.source.id],
            ip: self.origin.ip,
            stage: None,
        };
        let record = Record::begin(&self.engine.platform, new).await?;
        let ran = async {
            let _place = self.engine.places.take(self.tenant.organization_id(), self.caller.user_id).await?;
            let limits = self.engine.limits(catalogue, Form::Page, Some(max_rows), Some(SAMPLE_TIMEOUT));
            let session = self.engine.session(catalogue, sql, None, limits).await?;
            let planned = session.plan(sql, &serde_json::Map::new()).await.map_err(answerable)?;
            self.engine.check_hourly(self.caller, self.tenant, &planned).await?;
            let columns = planned.columns().to_vec();
            let told = Told::of(catalogue.tables.iter().filter(|table| is_read(table, &planned)));
            let collected = planned.collect_json_rows().await.map_err(|error| told.answerable(error));
            Ok::<_, Error>((columns, collected?))
        };
        match ran.await {
            Ok((columns, answer)) => {
                record.end(Outcome::succeeded(answer.outcome.row_count)).await?;
                Ok((columns, answer))
            }
            Err(error) => {
                record.end(Outcome::failed(error.code)).await?;
                Err(error)
            }
        }
    }

    async fn write_down(&self, person: &Person, table: &TableName) -> Result<()> {
        let platform = &self.engine.platform;
        let tx = platform.db.begin().await?;
        let organization = Some(self.tenant.organization_id());
        let record = AuditRecord::new(organization, self.origin.actor(self.caller.user_id), "policy.sample_as")
            .target("user", person.user_id.0)
            .details(json!({"data_source_id": self.source.id, "table": table.to_string()}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await
    }
}
