//! How a source is and was. [`check`] connects and writes down how it went, [`history`] keeps it, [`statistics`] makes
//! numbers of it.
//!
//! `GET /api/v1/data-sources/{data_source_id}/health` tells; it does not connect.

pub mod check;
pub mod history;
mod statistics;
pub mod steps;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Sources,
    access::Access,
    source::Status,
    types::{SourceAbilities, SourceVerification},
};
use check::Origin;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Options {
    /// How many of the last checks to show.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100, default = 10)]
    pub limit: Option<u64>,
}

/// The current and past health of a source. The numbers cover the last thirty days, or the last thousand checks if
/// those are fewer; without any check they are null.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    pub data_source_id: DataSourceId,
    pub current_status: Status,
    pub last_health_check: Option<HealthCheck>,
    /// The newest first.
    pub health_history: Vec<HealthCheck>,
    /// Share of the time: what a check found counts until the next one.
    #[schema(examples(99.7))]
    pub uptime_percentage: Option<f64>,
    /// Of the successful checks.
    #[schema(examples(12.5))]
    pub avg_response_time_ms: Option<f64>,
    #[schema(examples(8))]
    pub min_response_time_ms: Option<i64>,
    #[schema(examples(41))]
    pub max_response_time_ms: Option<i64>,
    #[schema(examples(0))]
    pub failure_count_24h: u64,
    pub last_failure_at: Option<DateTime<Utc>>,
    /// Null if it is not checked automatically: it is switched off, or the operator has no periodic checks.
    pub next_check_at: Option<DateTime<Utc>>,
    /// What of a query is left to the source.
    pub abilities: Option<SourceAbilities>,
    /// What its kind has been tested with.
    pub verification: SourceVerification,
}

/// One check.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HealthCheck {
    /// `active` or `failed`.
    pub status: Status,
    #[schema(examples(12))]
    pub response_time_ms: Option<i64>,
    pub checked_at: DateTime<Utc>,
    pub origin: Origin,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

errors! { pub HealthErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// Read a data source's health, with its history and response times
#[utoipa::path(get, path = "/api/v1/data-sources/{data_source_id}/health", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), Options),
    responses((status = 200, description = "From the checks that are kept", body = Envelope<Health>), HealthErrors))]
pub async fn get_health(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    Path(id): Path<DataSourceId>,
    Query(options): Query<Options>,
) -> Result<Reply<Health>> {
    let access = Access::of(&caller, Permission::DataSourceRead)?;
    let source = sources.find(&access, id).await?;
    let now = sources.platform.clock.now();
    let checks = history::newest(sources.platform.db.read(), access.tenant(), id, now).await?;
    let numbers = statistics::of(&checks, now);
    let kind = source.kind()?;
    let limit = usize::try_from(options.limit.unwrap_or(10)).unwrap_or(10);
    let health_history: Vec<HealthCheck> = checks.into_iter().take(limit).map(HealthCheck::from).collect();
    let health = Health {
        data_source_id: id,
        current_status: source.status,
        last_health_check: health_history.first().cloned(),
        health_history,
        uptime_percentage: numbers.uptime_percentage,
        avg_response_time_ms: numbers.average_ms,
        min_response_time_ms: numbers.least_ms,
        max_response_time_ms: numbers.most_ms,
        failure_count_24h: numbers.failures_of_a_day,
        last_failure_at: numbers.last_failure_at,
        next_check_at: source.next_check_at,
        abilities: SourceAbilities::of(&sources, kind),
        verification: SourceVerification::of(kind),
    };
    Ok(Reply::ok(health, "The health of the data source."))
}

impl From<history::Model> for HealthCheck {
    fn from(row: history::Model) -> Self {
        Self {
            status: row.status,
            response_time_ms: row.response_time_ms,
            checked_at: row.checked_at,
            origin: row.origin,
            error_code: row.error_code,
            error_message: row.error_message,
        }
    }
}
