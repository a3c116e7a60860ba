//! `GET /api/v1/prompts/analytics/query-analytics`: the numbers of all queries, typed as SQL or asked in words.
//!
//! Everybody sees their own, and whoever may read the organization's audit log those of all.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Duration, NaiveDate, Utc};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, OrganizationId, Permission, Result, UserId};
use rivergen_platform::{
    Platform,
    db::TenantScope,
    errors,
    http::{Envelope, Query, Reply, SignedIn},
};
use rivergen_policies::evaluation::{RunStatus, run};
use rivergen_runs::http::require_audit;
use rivergen_sources::source;
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{MOST_USED, fraction, known_sources, mean, moment, rounded};
use crate::Studio;

/// Of a query's text.
const PREVIEW_CHARACTERS: usize = 200;
/// A custom period's days at most.
const LONGEST_PERIOD_DAYS: i64 = 366;

/// The period of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnalyticsPeriod {
    #[serde(rename = "last_7_days")]
    Last7Days,
    #[serde(rename = "last_30_days")]
    Last30Days,
    Custom,
}

/// What the series counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnalyticsMetric {
    /// Seconds of a query, on average.
    ExecutionTime,
    QueryCount,
    SuccessRate,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct AnalyticsFilter {
    #[param(default = "last_7_days")]
    pub period: Option<AnalyticsPeriod>,
    /// Of a custom period, inclusive; ISO 8601.
    #[param(example = "2026-01-01T00:00:00Z")]
    pub start_date: Option<String>,
    /// Of a custom period, exclusive; ISO 8601.
    #[param(example = "2026-02-01T00:00:00Z")]
    pub end_date: Option<String>,
    #[param(inline, default = "execution_time")]
    pub metric_type: Option<AnalyticsMetric>,
}

/// The numbers of all queries, typed as SQL or asked in words.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryAnalytics {
    pub kpis: Kpis,
    /// A point for each day (UTC) that has a query.
    pub time_series: Vec<TimePoint>,
    pub most_used_queries: Vec<QueryUsage>,
    pub status_distribution: StatusDistribution,
    /// Queries by hour of the day (UTC), 24 numbers.
    pub peak_usage_times: Vec<u64>,
    pub data_source_performance: Vec<DataSourcePerformance>,
    pub period: PeriodOfAnalytics,
    /// Whose queries they are.
    pub scope: AnalyticsScope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnalyticsScope {
    Organization,
    Own,
}

/// Changes are signed fractions against the period of the same length before: 0.15 is 15 % more.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kpis {
    pub total_queries: u64,
    #[schema(examples(0.15))]
    pub total_queries_trend: f64,
    #[schema(examples(0.42))]
    pub avg_execution_time_seconds: f64,
    pub avg_execution_time_trend: f64,
    /// From 0 to 1, of the queries that ended.
    pub success_rate: f64,
    pub successful_queries: u64,
    pub total_queries_count: u64,
    pub data_sources_used: u64,
    #[schema(examples(json!(["postgresql"])))]
    pub data_source_types: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TimePoint {
    pub date: NaiveDate,
    pub value: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct QueryUsage {
    /// The first 200 characters.
    #[schema(examples("SELECT region, count(*) FROM orders GROUP BY region"))]
    pub query_preview: String,
    pub executions: u64,
    pub avg_time_seconds: f64,
    pub last_run: DateTime<Utc>,
}

/// Fractions that add up to 1; all 0 if there was no query.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusDistribution {
    pub success: f64,
    pub failed: f64,
    pub running: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DataSourcePerformance {
    pub data_source_id: DataSourceId,
    pub data_source_name: String,
    pub queries: u64,
    pub avg_latency_ms: i64,
    /// `healthy`, or what is wrong.
    #[schema(examples("healthy"))]
    pub status: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PeriodOfAnalytics {
    pub start_date: DateTime<Utc>,
    pub end_date: DateTime<Utc>,
    pub period: AnalyticsPeriod,
}

errors! { pub QueryAnalyticsErrors: BadRequest, Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError; }

/// Read statistics of all queries
#[utoipa::path(get, path = "/api/v1/prompts/analytics/query-analytics", tag = "prompt_studio", params(AnalyticsFilter),
    responses((status = 200, description = "The numbers", body = Envelope<QueryAnalytics>), QueryAnalyticsErrors))]
pub async fn get_query_analytics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Query(filter): Query<AnalyticsFilter>,
) -> Result<Reply<QueryAnalytics>> {
    let tenant = caller.require(Permission::PromptRead)?;
    let platform = &studio.engine.platform;
    let period = filter.period.unwrap_or(AnalyticsPeriod::Last7Days);
    let now = platform.clock.now();
    let (start, end) = match period {
        AnalyticsPeriod::Last7Days => (now - Duration::days(7), now),
        AnalyticsPeriod::Last30Days => (now - Duration::days(30), now),
        AnalyticsPeriod::Custom => custom(&filter)?,
    };
    let scope = match require_audit(&caller) {
        Ok(()) => AnalyticsScope::Organization,
        Err(_) => AnalyticsScope::Own,
    };
    let user = (scope == AnalyticsScope::Own).then_some(caller.user_id);
    let runs = Runs { platform, organization: tenant.id(), user, start, end };
    let before = Runs { start: start - (end - start), end: start, ..runs };
    let (totals, earlier) = (runs.totals().await?, before.totals().await?);
    let days = runs.by(Slot::Day).await?;
    let hours = runs.by(Slot::Hour).await?;
    let by_sources = runs.by_sources().await?;
    let known = known_sources(&studio, &caller).await?;
    let mut kinds: Vec<String> =
        by_sources.keys().filter_map(|id| known.get(id)).map(|source| source.kind.clone()).collect();
    kinds.sort();
    kinds.dedup();
    let mut peak_usage_times = vec![0; 24];
    for (hour, totals) in &hours {
        if let Some(count) = hour.parse().ok().and_then(|hour: usize| peak_usage_times.get_mut(hour)) {
            *count = totals.all();
        }
    }
    let metric = filter.metric_type.unwrap_or(AnalyticsMetric::ExecutionTime);
    let point =
        |(day, totals): &(String, Totals)| Some(TimePoint { date: day.parse().ok()?, value: totals.metric(metric) });
    let performance = |(id, used): (&DataSourceId, &Used)| {
        let source = known.get(id)?;
        Some(DataSourcePerformance {
            data_source_id: *id,
            data_source_name: source.name.clone(),
            queries: used.queries,
            avg_latency_ms: mean(used.milliseconds, used.ended),
            status: condition(source.status).to_owned(),
        })
    };
    let analytics = QueryAnalytics {
        kpis: Kpis {
            total_queries: totals.all(),
            total_queries_trend: trend(totals.all() as f64, earlier.all() as f64),
            avg_execution_time_seconds: totals.seconds(),
            avg_execution_time_trend: trend(totals.seconds(), earlier.seconds()),
            success_rate: totals.success_rate(),
            successful_queries: totals.succeeded,
            total_queries_count: totals.all(),
            data_sources_used: by_sources.len() as u64,
            data_source_types: kinds,
        },
        time_series: days.iter().filter_map(point).collect(),
        most_used_queries: runs.most_used().await?,
        status_distribution: StatusDistribution {
            success: fraction(totals.succeeded, totals.all()),
            failed: fraction(totals.failed, totals.all()),
            running: fraction(totals.running, totals.all()),
        },
        peak_usage_times,
        data_source_performance: by_sources.iter().filter_map(performance).collect(),
        period: PeriodOfAnalytics { start_date: start, end_date: end, period },
        scope,
    };
    Ok(Reply::ok(analytics, "The numbers of the queries."))
}

fn custom(filter: &AnalyticsFilter) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
    let needed = |name: &'static str, text: &Option<String>| {
        moment(name, text.as_deref())?
            .ok_or_else(|| Error::new(ErrorCode::BadRequest).with_message(format!("A custom period needs {name}.")))
    };
    let (start, end) = (needed("start_date", &filter.start_date)?, needed("end_date", &filter.end_date)?);
    if end <= start || end - start > Duration::days(LONGEST_PERIOD_DAYS) {
        return Err(Error::new(ErrorCode::BadRequest)
            .with_message(format!("end_date must be after start_date, by at most {LONGEST_PERIOD_DAYS} days.")));
    }
    Ok((start, end))
}

/// The queries of some time.
#[derive(Clone, Copy)]
struct Runs<'a> {
    platform: &'a Platform,
    organization: OrganizationId,
    /// Of one person only.
    user: Option<UserId>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// How many queries ended how, and how long those took that succeeded.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    succeeded: u64,
    failed: u64,
    running: u64,
    /// Of those that succeeded.
    milliseconds: f64,
}

impl Totals {
    fn add(&mut self, status: RunStatus, count: i64, milliseconds: Option<f64>) {
        let count = u64::try_from(count).unwrap_or_default();
        match status {
            RunStatus::Succeeded => {
                self.succeeded += count;
                self.milliseconds += milliseconds.unwrap_or_default();
            }
            RunStatus::Running => self.running += count,
            RunStatus::Denied | RunStatus::Failed | RunStatus::Cancelled | RunStatus::Interrupted => {
                self.failed += count
            }
        }
    }

    fn all(self) -> u64 {
        self.succeeded + self.failed + self.running
    }

    fn seconds(self) -> f64 {
        if self.succeeded == 0 { 0.0 } else { rounded(self.milliseconds / self.succeeded as f64 / 1000.0) }
    }

    fn success_rate(self) -> f64 {
        fraction(self.succeeded, self.succeeded + self.failed)
    }

    fn metric(self, metric: AnalyticsMetric) -> f64 {
        match metric {
            AnalyticsMetric::ExecutionTime => self.seconds(),
            AnalyticsMetric::QueryCount => self.all() as f64,
            AnalyticsMetric::SuccessRate => self.success_rate(),
        }
    }
}

/// The pieces of time that queries are counted in, in UTC.
#[derive(Clone, Copy)]
enum Slot {
    Day,
    Hour,
}

#[derive(Default)]
struct Used {
    queries: u64,
    /// Of them; how long the others take nobody knows yet.
    ended: u64,
    milliseconds: i64,
}

/// Both databases add integers up to something else; as a float they agree.
const MILLISECONDS: &str = "CAST(SUM(duration_ms) AS DOUBLE PRECISION)";

impl Runs<'_> {
    /// Index: query_runs(organization_id, started_at), or (organization_id, user_id, started_at) for one person.
    fn find(&self) -> sea_orm::Select<run::Entity> {
        let mut these = Condition::all()
            .add(run::Column::OrganizationId.eq(self.organization))
            .add(run::Column::StartedAt.gte(self.start))
            .add(run::Column::StartedAt.lt(self.end));
        if let Some(user) = self.user {
            these = these.add(run::Column::UserId.eq(user));
        }
        run::Entity::find().select_only().filter(these)
    }

    async fn totals(&self) -> Result<Totals> {
        let rows: Vec<(RunStatus, i64, Option<f64>)> = self
            .find()
            .column(run::Column::Status)
            .column_as(run::Column::Id.count(), "n")
            .column_as(Expr::cust(MILLISECONDS), "ms")
            .group_by(run::Column::Status)
            .into_tuple()
            .all(self.platform.db.read())
            .await?;
        let mut totals = Totals::default();
        for (status, count, milliseconds) in rows {
            totals.add(status, count, milliseconds);
        }
        Ok(totals)
    }

    async fn by(&self, slot: Slot) -> Result<Vec<(String, Totals)>> {
        let text = match (self.platform.db.backend(), slot) {
            (DbBackend::Postgres, Slot::Day) => "to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
            (DbBackend::Postgres, Slot::Hour) => "to_char(started_at AT TIME ZONE 'UTC', 'HH24')",
            // It keeps moments as text, in UTC.
            (_, Slot::Day) => "substr(started_at, 1, 10)",
            (_, Slot::Hour) => "substr(started_at, 12, 2)",
        };
        let rows: Vec<(String, RunStatus, i64, Option<f64>)> = self
            .find()
            .column_as(Expr::cust(text), "slot")
            .column(run::Column::Status)
            .column_as(run::Column::Id.count(), "n")
            .column_as(Expr::cust(MILLISECONDS), "ms")
            .group_by(Expr::cust(text))
            .group_by(run::Column::Status)
            .into_tuple()
            .all(self.platform.db.read())
            .await?;
        let mut slots: BTreeMap<String, Totals> = BTreeMap::new();
        for (slot, status, count, milliseconds) in rows {
            slots.entry(slot).or_default().add(status, count, milliseconds);
        }
        Ok(slots.into_iter().collect())
    }

    async fn most_used(&self) -> Result<Vec<QueryUsage>> {
        let rows: Vec<(String, i64, Option<f64>, DateTime<Utc>)> = self
            .find()
            .column(run::Column::SqlText)
            .column_as(run::Column::Id.count(), "n")
            .column_as(Expr::cust("CAST(AVG(duration_ms) AS DOUBLE PRECISION)"), "ms")
            .column_as(run::Column::StartedAt.max(), "last_run")
            .group_by(run::Column::SqlText)
            .order_by(Expr::cust("COUNT(*)"), Order::Desc)
            .order_by(run::Column::StartedAt.max(), Order::Desc)
            .limit(MOST_USED as u64)
            .into_tuple()
            .all(self.platform.db.read())
            .await?;
        let usage = |(sql, count, milliseconds, last_run): (String, i64, Option<f64>, DateTime<Utc>)| QueryUsage {
            query_preview: sql.chars().take(PREVIEW_CHARACTERS).collect(),
            executions: u64::try_from(count).unwrap_or_default(),
            avg_time_seconds: rounded(milliseconds.unwrap_or_default() / 1000.0),
            last_run,
        };
        Ok(rows.into_iter().map(usage).collect())
    }

    /// A query over several sources counts for each of them.
    async fn by_sources(&self) -> Result<BTreeMap<DataSourceId, Used>> {
        let ids = "CAST(data_source_ids AS TEXT)";
        let rows: Vec<(String, i64, i64, Option<f64>)> = self
            .find()
            .column_as(Expr::cust(ids), "ids")
            .column_as(run::Column::Id.count(), "n")
            .column_as(run::Column::DurationMs.count(), "ended")
            .column_as(Expr::cust(MILLISECONDS), "ms")
            .group_by(Expr::cust(ids))
            .into_tuple()
            .all(self.platform.db.read())
            .await?;
        let mut sources: BTreeMap<DataSourceId, Used> = BTreeMap::new();
        for (ids, count, ended, milliseconds) in rows {
            let ids: Vec<DataSourceId> = serde_json::from_str(&ids).map_err(Error::internal)?;
            for id in ids {
                let used = sources.entry(id).or_default();
                used.queries += u64::try_from(count).unwrap_or_default();
                used.ended += u64::try_from(ended).unwrap_or_default();
                used.milliseconds += milliseconds.unwrap_or_default() as i64;
            }
        }
        Ok(sources)
    }
}

fn condition(status: source::Status) -> &'static str {
    match status {
        source::Status::Active => "healthy",
        source::Status::Inactive => "inactive",
        source::Status::Testing => "testing",
        source::Status::Failed => "failed",
        source::Status::Maintenance => "maintenance",
    }
}

/// 0 where there was nothing before to compare with.
fn trend(now: f64, before: f64) -> f64 {
    if before == 0.0 { 0.0 } else { rounded((now - before) / before) }
}
