//! The record of queries: each run, and what each policy did to it.
//!
//! ```text
//!   start ──▶ running ──finish──▶ succeeded | denied | failed | cancelled     + one evaluation per policy and source
//!                └──server killed, found at the next start──▶ interrupted
//! ```
//!
//! A run is written before its query begins, so that no query leaves no trace: not one that a policy denied,
//! not one that took the server with it. It ends once; a second end changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{
    DataSourceId, Error, ErrorCode, OrganizationId, PolicyId, PolicyRuleId, QueryId, Result, Tenant, UserId,
};
use rivergen_platform::{
    Platform, Transaction,
    db::{TenantOwned, TenantScope},
};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DbBackend, FromQueryResult, PaginatorTrait, QuerySelect, entity::prelude::*,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    daily,
    decision::{ActionTaken, AppliedPolicy, EvaluationResult},
    store::{self, name_of, named},
};

/// Runs of queries.
pub mod run {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "query_runs")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: QueryId,
        pub organization_id: OrganizationId,
        pub user_id: UserId,
        pub kind: RunKind,
        pub sql_text: String,
        /// Ids, as a JSON array.
        pub data_source_ids: Json,
        pub status: RunStatus,
        /// The code that the caller was answered.
        pub error_code: Option<String>,
        pub row_count: Option<i64>,
        pub started_at: DateTime<Utc>,
        pub duration_ms: Option<i64>,
        pub ip: Option<String>,
        /// How far a run is that somebody follows; null once it has ended.
        pub stage: Option<RunStage>,
        /// Of its answer so far, in memory.
        pub byte_count: Option<i64>,
        /// The error that the caller got, if it failed.
        pub error_message: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }
}

/// Evaluations: what one policy did to one run.
pub mod entry {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "policy_evaluations")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub organization_id: OrganizationId,
        pub policy_id: PolicyId,
        pub policy_rule_id: Option<PolicyRuleId>,
        pub user_id: UserId,
        pub query_id: Option<QueryId>,
        pub data_source_id: Option<DataSourceId>,
        /// The contract's name of an [`EvaluationResult`].
        pub evaluation_result: String,
        /// The contract's name of an [`ActionTaken`].
        pub action_taken: String,
        pub rows_returned: Option<i64>,
        pub evaluated_at: DateTime<Utc>,
        pub ip_address: Option<String>,
        pub metadata: Json,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }

    impl Model {
        pub fn result(&self) -> Result<EvaluationResult> {
            named(&self.evaluation_result)
        }

        pub fn action(&self) -> Result<ActionTaken> {
            named(&self.action_taken)
        }
    }
}

/// Where a query came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = QueryRunKind)]
pub enum RunKind {
    /// Somebody wrote SQL.
    #[sea_orm(string_value = "sql")]
    Sql,
    /// A question in words.
    #[sea_orm(string_value = "prompt")]
    Prompt,
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = QueryRunStatus)]
pub enum RunStatus {
    #[sea_orm(string_value = "running")]
    Running,
    #[sea_orm(string_value = "succeeded")]
    Succeeded,
    /// A policy did not let it run.
    #[sea_orm(string_value = "denied")]
    Denied,
    #[sea_orm(string_value = "failed")]
    Failed,
    /// The client went away, or somebody cancelled it.
    #[sea_orm(string_value = "cancelled")]
    Cancelled,
    /// The server was killed while it ran.
    #[sea_orm(string_value = "interrupted")]
    Interrupted,
}

/// How far a run is that goes on after its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = QueryRunStage)]
pub enum RunStage {
    /// In the line before its organization's places.
    #[sea_orm(string_value = "waiting")]
    Waiting,
    /// Its tables are opened and its plan is made.
    #[sea_orm(string_value = "planning")]
    Planning,
    /// Rows are computed and kept.
    #[sea_orm(string_value = "reading")]
    Reading,
}

/// A query that is about to run.
#[derive(Debug)]
pub struct NewRun<'a> {
    pub tenant: Tenant,
    pub user_id: UserId,
    pub kind: RunKind,
    pub sql: &'a str,
    pub data_source_ids: &'a [DataSourceId],
    pub ip: Option<IpAddr>,
    /// Of a run that somebody follows.
    pub stage: Option<RunStage>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    status: RunStatus,
    error: Option<ErrorCode>,
    message: Option<String>,
    bytes: Option<u64>,
    rows_returned: Option<u64>,
}

impl Outcome {
    pub fn succeeded(rows_returned: u64) -> Self {
        Self { rows_returned: Some(rows_returned), ..Self::of(RunStatus::Succeeded) }
    }

    /// By the code that the caller is answered: `POLICY_DENIED` is a denial, `QUERY_CANCELLED` somebody's wish, all others
    /// are failures.
    pub fn failed(error: ErrorCode) -> Self {
        let status = match error {
            ErrorCode::PolicyDenied => RunStatus::Denied,
            ErrorCode::QueryCancelled => RunStatus::Cancelled,
            _ => RunStatus::Failed,
        };
        Self { error: Some(error), ..Self::of(status) }
    }

    /// The client went away after so many rows.
    pub fn cancelled(rows_returned: u64) -> Self {
        Self { rows_returned: Some(rows_returned), ..Self::of(RunStatus::Cancelled) }
    }

    fn of(status: RunStatus) -> Self {
        Self { status, error: None, message: None, bytes: None, rows_returned: None }
    }

    /// With the words that the caller was answered.
    pub fn saying(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    /// Its answer had so many bytes, in memory.
    pub fn of_bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }
}

/// What a policy did to a source that was read.
#[derive(Debug, Clone)]
pub struct Applied {
    pub data_source_id: DataSourceId,
    pub policy: AppliedPolicy,
}

/// Writes down that a query begins.
pub async fn start(platform: &Platform, new: NewRun<'_>) -> Result<QueryId> {
    let tx = platform.db.begin().await?;
    let row = run::ActiveModel {
        organization_id: Set(new.tenant.organization_id()),
        user_id: Set(new.user_id),
        kind: Set(new.kind),
        sql_text: Set(without_zero_bytes(new.sql)),
        data_source_ids: Set(serde_json::to_value(new.data_source_ids).map_err(Error::internal)?),
        status: Set(RunStatus::Running),
        error_code: Set(None),
        row_count: Set(None),
        started_at: Set(platform.clock.now()),
        duration_ms: Set(None),
        ip: Set(new.ip.map(|ip| ip.to_string())),
        stage: Set(new.stage),
        byte_count: Set(None),
        error_message: Set(None),
        ..Default::default()
    };
    let id = row.insert(tx.conn()).await?.id;
    tx.commit().await?;
    Ok(id)
}

/// Writes down how far a run is; nothing changes where it has ended.
pub async fn progress(platform: &Platform, id: QueryId, stage: RunStage, rows: u64, bytes: u64) -> Result<()> {
    let tx = platform.db.begin().await?;
    run::Entity::update_many()
        .col_expr(run::Column::Stage, Expr::value(stage))
        .col_expr(run::Column::RowCount, Expr::value(count(rows)))
        .col_expr(run::Column::ByteCount, Expr::value(count(bytes)))
        .filter(run::Column::Id.eq(id))
        .filter(run::Column::Status.eq(RunStatus::Running))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}

/// Writes down how a query ended and what each policy did, once for each policy and source: where a policy
/// did several things to a source, the strongest of them. Nothing changes where the run has ended before.
pub async fn finish(platform: &Platform, id: QueryId, outcome: Outcome, applied: &[Applied]) -> Result<()> {
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let found = run::Entity::find_by_id(id).one(tx.conn()).await?;
    let run = found.ok_or_else(|| Error::internal(format!("there is no query run {id}")))?;
    let ended = run::Entity::update_many()
        .col_expr(run::Column::Status, Expr::value(outcome.status))
        .col_expr(run::Column::ErrorCode, Expr::value(outcome.error.map(|code| code.as_str().to_owned())))
        .col_expr(run::Column::ErrorMessage, Expr::value(outcome.message.clone()))
        .col_expr(run::Column::Stage, Expr::value(None::<RunStage>))
        .col_expr(run::Column::ByteCount, Expr::value(outcome.bytes.map(count)))
        .col_expr(run::Column::RowCount, Expr::value(outcome.rows_returned.map(count)))
        .col_expr(run::Column::DurationMs, Expr::value((now - run.started_at).num_milliseconds().max(0)))
        .filter(run::Column::Id.eq(id))
        .filter(run::Column::Status.eq(RunStatus::Running))
        .exec(tx.conn())
        .await?;
    if ended.rows_affected == 1 {
        record(&tx, &run, outcome, applied, now).await?;
    }
    tx.commit().await
}

async fn record(
    tx: &Transaction,
    run: &run::Model,
    outcome: Outcome,
    applied: &[Applied],
    now: DateTime<Utc>,
) -> Result<()> {
    let mut strongest: BTreeMap<(PolicyId, DataSourceId), (EvaluationResult, ActionTaken)> = BTreeMap::new();
    for Applied { data_source_id, policy } in applied {
        let did = (policy.evaluation_result, policy.action_taken);
        let held = strongest.entry((policy.policy_id, *data_source_id)).or_insert(did);
        *held = did.max(*held);
    }
    // A policy may be gone for good since the query began.
    let alive = existing(tx.conn(), strongest.keys().map(|(policy, _)| *policy)).await?;
    strongest.retain(|(policy, _), _| alive.contains(policy));
    if strongest.is_empty() {
        return Ok(());
    }
    let evaluated = strongest.iter().map(|((policy, _), (result, _))| (*policy, *result));
    daily::count(tx, run.organization_id, evaluated, now).await?;
    let rules = only_rules(tx.conn(), strongest.keys().map(|(policy, _)| *policy)).await?;
    let metadata = serde_json::json!({
        "query_kind": run.kind.to_value(),
        "query_status": outcome.status.to_value(),
        "error_code": outcome.error.map(ErrorCode::as_str),
    });
    let rows = strongest
        .into_iter()
        .map(|((policy_id, data_source_id), (result, action))| {
            Ok(entry::ActiveModel {
                organization_id: Set(run.organization_id),
                policy_id: Set(policy_id),
                policy_rule_id: Set(rules.get(&policy_id).copied()),
                user_id: Set(run.user_id),
                query_id: Set(Some(run.id)),
                data_source_id: Set(Some(data_source_id)),
                evaluation_result: Set(name_of(&result)?),
                action_taken: Set(name_of(&action)?),
                rows_returned: Set(outcome.rows_returned.map(count)),
                evaluated_at: Set(now),
                ip_address: Set(run.ip.clone()),
                metadata: Set(metadata.clone()),
                ..Default::default()
            })
        })
        .collect::<Result<Vec<_>>>()?;
    entry::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}

async fn existing(db: &impl ConnectionTrait, policies: impl Iterator<Item = PolicyId>) -> Result<BTreeSet<PolicyId>> {
    let wanted: BTreeSet<PolicyId> = policies.collect();
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let found = store::Entity::find()
        .select_only()
        .column(store::Column::Id)
        .filter(store::Column::Id.is_in(wanted))
        .into_tuple::<PolicyId>()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}

/// The rule of each policy that has exactly one: of those with more, the engine says what the policy did as
/// a whole.
async fn only_rules(
    db: &impl ConnectionTrait,
    policies: impl Iterator<Item = PolicyId>,
) -> Result<BTreeMap<PolicyId, PolicyRuleId>> {
    #[derive(FromQueryResult)]
    struct OnlyRule {
        policy_id: PolicyId,
        rule_id: PolicyRuleId,
    }
    use store::rule::{Column, Entity};
    // Index: policy_rules(policy_id, …).
    let found = Entity::find()
        .select_only()
        .column(Column::PolicyId)
        .column_as(Column::Id.min(), "rule_id")
        .filter(Column::PolicyId.is_in(policies))
        .group_by(Column::PolicyId)
        .having(sea_orm::sea_query::ExprTrait::eq(Column::Id.count(), 1))
        .into_model::<OnlyRule>()
        .all(db)
        .await?;
    Ok(found.into_iter().map(|row| (row.policy_id, row.rule_id)).collect())
}

/// How many queries a person has started since then, running ones included: what `max_queries_per_hour` looks at.
/// Index: query_runs(organization_id, user_id, started_at).
pub async fn started_since(platform: &Platform, tenant: Tenant, user_id: UserId, since: DateTime<Utc>) -> Result<u64> {
    let runs =
        tenant.find::<run::Entity>().filter(run::Column::UserId.eq(user_id)).filter(run::Column::StartedAt.gt(since));
    Ok(runs.count(platform.db.read()).await?)
}

/// Marks the runs that a killed server left behind; to be called at start, before the first query. On
/// PostgreSQL other nodes may be running queries, so that only runs older than `longest`, the longest that a
/// query may take, and a minute for what is done around it are taken for dead. Answers how many there were.
pub async fn mark_interrupted(platform: &Platform, longest: Duration) -> Result<u64> {
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    // Index: query_runs(started_at) where status = 'running'.
    let mut dead = run::Entity::update_many()
        .col_expr(run::Column::Status, Expr::value(RunStatus::Interrupted))
        .col_expr(run::Column::Stage, Expr::value(None::<RunStage>))
        .filter(run::Column::Status.eq(RunStatus::Running));
    if platform.db.backend() == DbBackend::Postgres {
        dead = dead.filter(run::Column::StartedAt.lt(now - longest - Duration::minutes(1)));
    }
    let marked = dead.exec(tx.conn()).await?.rows_affected;
    tx.commit().await?;
    Ok(marked)
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// PostgreSQL's text holds no zero byte, and no SQL that runs has one.
fn without_zero_bytes(sql: &str) -> String {
    sql.replace('\0', "\u{fffd}")
}
