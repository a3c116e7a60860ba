//! `GET /api/v1/prompts/{prompt_id}/analytics`: the numbers of one saved question, over the runs of everybody.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Permission, PromptId, Result};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{MOST_USED, fraction, known_sources, mean, moment};
use crate::{
    Studio, execution,
    prompt::{self, Status},
};

/// Runs of one question that are looked at, the newest first.
const MOST_RUNS: u64 = 10_000;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct PeriodFilter {
    /// Inclusive; ISO 8601. Without it, from its first run on.
    #[param(example = "2026-01-01T00:00:00Z")]
    pub period_start: Option<String>,
    /// Exclusive; ISO 8601. Without it, now.
    #[param(example = "2026-02-01T00:00:00Z")]
    pub period_end: Option<String>,
}

/// Statistics of one saved question, over everyone's runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromptAnalytics {
    pub prompt_id: PromptId,
    #[schema(examples(12))]
    pub execution_count: u64,
    pub success_count: u64,
    pub failure_count: u64,
    /// From 0 to 1, of the runs that ended.
    #[schema(examples(0.92))]
    pub success_rate: f64,
    #[schema(examples(140))]
    pub avg_total_duration_ms: i64,
    /// Of the planner.
    pub avg_ai_response_time_ms: i64,
    pub avg_query_execution_time_ms: i64,
    pub most_used_data_sources: Vec<DataSourceCount>,
    pub most_used_schemas: Vec<SchemaCount>,
    pub period_start: DateTime<Utc>,
    pub period_end: DateTime<Utc>,
    /// Now: they are added up when they are asked for.
    pub last_calculated_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DataSourceCount {
    pub data_source_id: DataSourceId,
    /// Empty if you cannot access it.
    pub data_source_name: String,
    pub count: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaCount {
    #[schema(examples("public"))]
    pub schema_name: String,
    pub count: u64,
}

errors! {
    pub PromptAnalyticsErrors: BadRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError;
}

/// Read statistics of a saved question
#[utoipa::path(get, path = "/api/v1/prompts/{prompt_id}/analytics", tag = "prompt_studio",
    params(("prompt_id" = PromptId, Path, description = "The saved question"), PeriodFilter),
    responses((status = 200, description = "The numbers, of at most its newest 10000 runs", body = Envelope<PromptAnalytics>),
        PromptAnalyticsErrors))]
pub async fn get_prompt_analytics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Path(id): Path<PromptId>,
    Query(filter): Query<PeriodFilter>,
) -> Result<Reply<PromptAnalytics>> {
    use execution::{Column, Entity};
    let tenant = caller.require(Permission::PromptRead)?;
    let prompt = prompt::find(&studio, &caller, id).await?;
    let now = studio.engine.platform.clock.now();
    let start = moment("period_start", filter.period_start.as_deref())?;
    let end = moment("period_end", filter.period_end.as_deref())?.unwrap_or(now);
    // Index: prompt_executions(organization_id, prompt_id).
    let mut runs = tenant.find::<Entity>().filter(Column::PromptId.eq(id)).filter(Column::StartedAt.lt(end));
    if let Some(start) = start {
        runs = runs.filter(Column::StartedAt.gte(start));
    }
    let runs: Vec<RunOfPrompt> = runs
        .select_only()
        .columns([
            Column::StartedAt,
            Column::Status,
            Column::TotalDurationMs,
            Column::AiDurationMs,
            Column::QueryDurationMs,
            Column::DataSourceIds,
            Column::SchemaNames,
        ])
        .order_by(Column::Id, Order::Desc)
        .limit(MOST_RUNS)
        .into_model()
        .all(studio.engine.platform.db.read())
        .await?;
    let count = |status: Status| runs.iter().filter(|run| run.status == status).count() as u64;
    let (success_count, failure_count) = (count(Status::Completed), count(Status::Failed));
    let mut sources: BTreeMap<DataSourceId, u64> = BTreeMap::new();
    let mut schemas: BTreeMap<String, u64> = BTreeMap::new();
    for run in &runs {
        for source in run.data_source_ids.as_ref().map(prompt::read::<Vec<_>>).transpose()?.unwrap_or_default() {
            *sources.entry(source).or_default() += 1;
        }
        for schema in run.schema_names.as_ref().map(prompt::read::<Vec<_>>).transpose()?.unwrap_or_default() {
            *schemas.entry(schema).or_default() += 1;
        }
    }
    let known = known_sources(&studio, &caller).await?;
    let analytics = PromptAnalytics {
        prompt_id: id,
        execution_count: runs.len() as u64,
        success_count,
        failure_count,
        success_rate: fraction(success_count, success_count + failure_count),
        avg_total_duration_ms: average(runs.iter().map(|run| run.total_duration_ms)),
        avg_ai_response_time_ms: average(runs.iter().map(|run| run.ai_duration_ms)),
        avg_query_execution_time_ms: average(runs.iter().map(|run| run.query_duration_ms)),
        most_used_data_sources: most_used(sources)
            .map(|(data_source_id, count)| DataSourceCount {
                data_source_name: known.get(&data_source_id).map(|source| source.name.clone()).unwrap_or_default(),
                data_source_id,
                count,
            })
            .collect(),
        most_used_schemas: most_used(schemas).map(|(schema_name, count)| SchemaCount { schema_name, count }).collect(),
        // Its first run began before it was saved.
        period_start: start.or_else(|| runs.iter().map(|run| run.started_at).min()).unwrap_or(prompt.created_at),
        period_end: end,
        last_calculated_at: now,
    };
    Ok(Reply::ok(analytics, "The numbers of the question."))
}

#[derive(Debug, FromQueryResult)]
struct RunOfPrompt {
    started_at: DateTime<Utc>,
    status: Status,
    total_duration_ms: Option<i64>,
    ai_duration_ms: Option<i64>,
    query_duration_ms: Option<i64>,
    data_source_ids: Option<serde_json::Value>,
    schema_names: Option<serde_json::Value>,
}

fn most_used<K: Ord>(counts: BTreeMap<K, u64>) -> impl Iterator<Item = (K, u64)> {
    let mut counts: Vec<(K, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().take(MOST_USED)
}

fn average(values: impl Iterator<Item = Option<i64>>) -> i64 {
    let known: Vec<i64> = values.flatten().collect();
    mean(known.iter().sum(), known.len() as u64)
}
