//! Verified pairs: questions with SQL that people confirmed to answer them.
//!
//! ```text
//! a run ─ feedback: right, or with the SQL put right ─▶ candidate ─ confirmed with prompt.write ─▶ verified
//! ```
//!
//! The same question over the same sources takes the verified SQL; one like it is shown to the planner as an example. Either
//! way the SQL must run under the caller's own policies, and read nothing of which they see a part only: what stands in it
//! was written by somebody who may have seen more. SQL for "last month" that names the days of one month is no pair: it would
//! answer with them for ever.

pub mod decide;
mod key;
pub mod list;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Caller, DataSourceId, ExecutionId, OrganizationId, Permission, Result, Tenant, UserId, VerifiedPairId, WorkspaceId,
};
use rivergen_platform::{
    Platform,
    db::{TenantOwned, TenantScope},
};
use rivergen_policies::rule::TableName;
use rivergen_query::statement;
use rivergen_runs::catalogue::Catalogue;
use rivergen_sources::{access::Access, source};
use sea_orm::{Condition, FromQueryResult, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use key::key;
pub(crate) use sources::link;

use crate::{
    Studio,
    execution::{self, ask::distinct},
    planner::{self, Plan},
    prompt::read,
    sight,
};

/// Pairs that are looked through for questions like one, the newest first.
const LOOKED_THROUGH: u64 = 200;
/// Examples that a planner is shown at most.
const MOST_EXAMPLES: usize = 3;
/// Of the words of both questions, so many are in both.
const ALIKE: f64 = 0.4;
/// Words of SQL that stand for the moment at which it runs.
const CLOCK: [&str; 5] = ["now", "today", "current_date", "current_time", "current_timestamp"];

/// Whether someone confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = VerifiedPairStatus)]
pub enum Status {
    #[sea_orm(string_value = "candidate")]
    Candidate,
    #[sea_orm(string_value = "verified")]
    Verified,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_verified_pairs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: VerifiedPairId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub question: String,
    /// The question's [`key`].
    pub question_key: String,
    pub query_text: String,
    /// Ids, as a JSON array.
    pub data_source_ids: Json,
    pub status: Status,
    /// The run that it comes from.
    pub execution_id: Option<ExecutionId>,
    pub created_by_user_id: UserId,
    pub verified_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub verified_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A question with SQL that answers it.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerifiedPair {
    pub id: VerifiedPairId,
    pub workspace_id: Option<WorkspaceId>,
    /// Null if literals of the SQL are hidden: the question may contain the same values.
    #[schema(examples("How many orders per region?"))]
    pub question: Option<String>,
    /// `?` replaces each literal if you see only part of what it reads, and all of it if it names something that does not
    /// exist for you; unless it comes from your own run.
    #[schema(examples("SELECT region, count(*) FROM orders.files.orders GROUP BY region"))]
    pub query_text: String,
    pub data_source_ids: Vec<DataSourceId>,
    pub status: Status,
    pub created_by_user_id: UserId,
    pub verified_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub verified_at: Option<DateTime<Utc>>,
}

impl VerifiedPair {
    /// With as much of its SQL as is told. A question is free text, in which a value may stand in other words than in
    /// the SQL: it is told with all literals, or not at all.
    fn new(row: Model, told: String) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            question: Some(row.question).filter(|_| told == row.query_text),
            query_text: told,
            data_source_ids: read(&row.data_source_ids)?,
            status: row.status,
            created_by_user_id: row.created_by_user_id,
            verified_by_user_id: row.verified_by_user_id,
            created_at: row.created_at,
            verified_at: row.verified_at,
        })
    }
}

/// The pairs of an organization that the caller's permission reaches, over sources that they may query: the SQL tells of
/// what it reads.
async fn reached(studio: &Studio, caller: &Caller) -> Result<(Tenant, Select<Entity>)> {
    let (tenant, extent) = caller.require_extent(Permission::PromptWrite)?;
    let pairs = tenant.find_within::<Entity>(extent, Column::WorkspaceId);
    let access = Access::of(caller, Permission::DataSourceQuery)?;
    let queryable = access.shown(studio.engine.platform.db.read(), access.sources()).await?;
    let queryable = queryable.select_only().column(source::Column::Id).into_query();
    let of_tenant = tenant.find::<Entity>().select_only().column(Column::Id).into_query();
    // Index: prompt_verified_pair_sources(verified_pair_id, data_source_id).
    let closed = sources::Entity::find()
        .select_only()
        .column(sources::Column::VerifiedPairId)
        .filter(sources::Column::VerifiedPairId.in_subquery(of_tenant))
        .filter(sources::Column::DataSourceId.not_in_subquery(queryable))
        .into_query();
    Ok((tenant, pairs.filter(Column::Id.not_in_subquery(closed))))
}

/// The pairs as the caller may read them. The SQL was written by somebody who may have seen more, and its literals may be
/// values that are masked or filtered away for the caller, and so may words of its question: they are told to whoever found it, and to whom all is open that it
/// reads.
async fn told(studio: &Studio, caller: &Caller, tenant: Tenant, rows: Vec<Model>) -> Result<Vec<VerifiedPair>> {
    let authors = authors(&studio.engine.platform, tenant, &rows).await?;
    let mut read_by = Vec::with_capacity(rows.len());
    for row in &rows {
        read_by.push(read::<Vec<DataSourceId>>(&row.data_source_ids)?);
    }
    let access = Access::of(caller, Permission::DataSourceQuery)?;
    let catalogue = sight::seen(studio, caller, &access, &distinct(read_by.concat())).await?;
    let pairs = rows.into_iter().zip(read_by).map(|(row, sources)| {
        let author = row.execution_id.and_then(|run| authors.get(&run));
        let told = match author == Some(&caller.user_id) {
            true => row.query_text.clone(),
            false => sight::told(&catalogue, &sources, &row.query_text).unwrap_or_else(|| "?".to_owned()),
        };
        VerifiedPair::new(row, told)
    });
    pairs.collect()
}

/// Whether the SQL answers the question for a while only: the one says "last month", and the other which days that was then.
pub(crate) fn goes_stale(question: &str, sql: &str) -> bool {
    planner::says_relative_time(question) && !statement::words(sql).iter().any(|word| CLOCK.contains(&word.as_str()))
}

/// A verified pair that may help with a question.
pub(crate) struct Pair {
    pub question: String,
    pub query: String,
    /// It is for just this question over just these sources.
    pub is_same: bool,
    sources: Vec<DataSourceId>,
    /// The caller found it.
    is_own: bool,
}

impl Pair {
    pub fn plan(&self) -> Plan {
        Plan {
            sql: self.query.clone(),
            explanation: format!("The answer that people of your organization confirmed for “{}”.", self.question),
            understood: Vec::new(),
            confidence: 1.0,
            model: "verified".to_owned(),
            tokens_used: 0,
        }
    }

    /// Whether the caller is answered by it, where it reads these tables. Somebody else's SQL may have values in it that
    /// are masked or filtered away for the caller, and rows that answer it would tell them.
    pub fn answers(&self, catalogue: &Catalogue, tables: &[(TableName, DataSourceId)]) -> bool {
        self.is_own || are_open(catalogue, tables)
    }

    /// Whether a planner is shown it on the caller's behalf. Among more sources a name may mean another table: then it
    /// would teach what nobody confirmed.
    pub fn teaches(&self, catalogue: &Catalogue, tables: &[(TableName, DataSourceId)]) -> bool {
        are_open(catalogue, tables) && tables.iter().all(|(_, source)| self.sources.contains(source))
    }
}

/// Whether the caller sees every row and value of the tables.
fn are_open(catalogue: &Catalogue, tables: &[(TableName, DataSourceId)]) -> bool {
    let is_open = |(name, source): &(TableName, DataSourceId)| {
        let table = catalogue.tables.iter().find(|table| table.source_id == *source && table.name == *name);
        table.is_some_and(|table| table.decision.row_filters.is_empty() && table.decision.masks.is_empty())
    };
    !tables.is_empty() && tables.iter().all(is_open)
}

/// A pair without its SQL, which may be long.
#[derive(Debug, FromQueryResult)]
struct Known {
    id: VerifiedPairId,
    question_key: String,
    data_source_ids: Json,
}

/// Verified pairs over the selected sources: that for the question itself, then those for questions like it.
pub(crate) async fn about(
    platform: &Platform,
    tenant: Tenant,
    caller: &Caller,
    question: &str,
    catalogue: &Catalogue,
) -> Result<Vec<Pair>> {
    let key = key::key(question);
    if key.is_empty() {
        return Ok(Vec::new());
    }
    let workspace = caller.membership()?.workspace_id;
    let here = Condition::any().add(Column::WorkspaceId.is_null()).add(Column::WorkspaceId.eq(workspace));
    let verified = tenant.find::<Entity>().filter(Column::Status.eq(Status::Verified)).filter(here);
    let db = platform.db.read();
    let newest = |pairs: Select<Entity>| {
        let brief = pairs.select_only().columns([Column::Id, Column::QuestionKey, Column::DataSourceIds]);
        brief.order_by_desc(Column::Id).limit(LOOKED_THROUGH).into_model::<Known>().all(db)
    };
    // Index: prompt_verified_pairs(organization_id, question_key).
    let mut known = newest(verified.clone().filter(Column::QuestionKey.eq(&key))).await?;
    // Index: prompt_verified_pairs(organization_id, status, id).
    known.extend(newest(verified).await?);
    let selected = distinct(catalogue.sources.iter().map(|source| source.id).collect());
    let words = |key: &str| -> BTreeSet<String> { key.split(' ').map(str::to_owned).collect() };
    let asked = words(&key);
    let mut chosen: Vec<(bool, f64, Known)> = Vec::new();
    for pair in known {
        let sources = distinct(read(&pair.data_source_ids)?);
        let is_known = chosen.iter().any(|(.., other)| other.id == pair.id);
        if is_known || !sources.iter().all(|id| selected.contains(id)) {
            continue;
        }
        let is_same = pair.question_key == key && sources == selected;
        let other = words(&pair.question_key);
        let shared = asked.intersection(&other).count() as f64 / asked.union(&other).count().max(1) as f64;
        if is_same || shared >= ALIKE {
            chosen.push((is_same, shared, pair));
        }
    }
    chosen.sort_by(|(same, one, _), (other_same, other, _)| other_same.cmp(same).then(other.total_cmp(one)));
    chosen.truncate(MOST_EXAMPLES);
    let ids = chosen.iter().map(|(.., pair)| pair.id);
    let rows = tenant.find::<Entity>().filter(Column::Id.is_in(ids)).all(db).await?;
    let authors = authors(platform, tenant, &rows).await?;
    let mut rows: BTreeMap<VerifiedPairId, Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    let mut pairs = Vec::new();
    for (is_same, _, Known { id, data_source_ids, .. }) in chosen {
        // Some were confirmed before it was looked at.
        let lasting = rows.remove(&id).filter(|row| !goes_stale(&row.question, &row.query_text));
        let Some(row) = lasting else { continue };
        let author = row.execution_id.and_then(|run| authors.get(&run));
        pairs.push(Pair {
            question: row.question,
            query: row.query_text,
            is_same,
            sources: read(&data_source_ids)?,
            is_own: author == Some(&caller.user_id),
        });
    }
    Ok(pairs)
}

/// Whose runs the pairs come from: they saw what the SQL tells. A pair itself may have been handed on to somebody else.
async fn authors(platform: &Platform, tenant: Tenant, pairs: &[Model]) -> Result<BTreeMap<ExecutionId, UserId>> {
    let runs = pairs.iter().filter_map(|pair| pair.execution_id);
    let found = tenant
        .find::<execution::Entity>()
        .select_only()
        .columns([execution::Column::Id, execution::Column::UserId])
        .filter(execution::Column::Id.is_in(runs))
        .into_tuple::<(ExecutionId, UserId)>()
        .all(platform.db.read())
        .await?;
    Ok(found.into_iter().collect())
}
