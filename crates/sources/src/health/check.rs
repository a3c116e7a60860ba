//! Checking a source: connects, asks its version, and writes down how it went. New and changed sources are checked and
//! discovered by a job.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rivergen_connectors::{ConnectorError, TestOutcome};
use rivergen_kernel::{DataSourceId, Error, OrganizationId, Result, Tenant};
use rivergen_platform::{
    Event, Transaction,
    jobs::{Handler, JobContext, JobError, JobOptions},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DeriveActiveEnum, EnumIter, IntoActiveModel};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::history;
use crate::{
    Sources, discovery,
    source::{self, Status},
};

const JOB: &str = "data_source.first_check";
/// No scheduled check takes longer.
const LONGEST_SCHEDULED: Duration = Duration::from_secs(60);
/// The longest time between two checks of a source that fails.
const LONGEST_BACKOFF: Duration = Duration::from_secs(24 * 3600);

/// Why it was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = CheckOrigin)]
pub enum Origin {
    /// It was new, or changed.
    #[sea_orm(string_value = "first")]
    First,
    /// A person.
    #[sea_orm(string_value = "manual")]
    Manual,
    /// The clock.
    #[sea_orm(string_value = "scheduled")]
    Scheduled,
    /// A query found nothing known.
    #[sea_orm(string_value = "query")]
    Query,
}

/// What a check found, and when.
#[derive(Debug)]
pub struct Check {
    pub outcome: TestOutcome,
    pub status: Status,
    pub tested_at: DateTime<Utc>,
}

impl Sources {
    /// Connects anew, once, and records the outcome; a failure is an outcome, not an error.
    pub async fn test(&self, tenant: Tenant, source: &source::Model) -> Result<Check> {
        let mut context = self.context(tenant, source).await?;
        // Somebody waits to hear how it is now.
        context.config.max_retries = 0;
        let outcome = self.registry.connector(context.config.kind)?.test(&context).await;
        self.record_outcome(source, outcome, Origin::Manual).await
    }

    async fn first_check(&self, tenant: Tenant, source: &source::Model) -> Result<Check> {
        let context = self.context(tenant, source).await?;
        let outcome = self.registry.connector(context.config.kind)?.test(&context).await;
        self.record_outcome(source, outcome, Origin::First).await
    }

    /// Asks through the handle that queries use, so that a file that is open is not copied for it.
    pub(crate) async fn scheduled_check(&self, tenant: Tenant, source: &source::Model) -> Result<Check> {
        let started = Instant::now();
        let ask = async {
            let context = self.context(tenant, source).await?;
            let kept = self.opened.get(&source.id);
            let handle = if let Some(kept) = kept
                && kept.is_current().await
            {
                Ok(kept)
            } else {
                self.open(&context).await
            };
            Ok::<_, Error>(match handle {
                Ok(handle) => handle.probe().await,
                Err(error) => Err(error),
            })
        };
        let asked = tokio::time::timeout(LONGEST_SCHEDULED, ask).await;
        let result = asked.unwrap_or(Ok(Err(ConnectorError::Timeout(LONGEST_SCHEDULED))))?;
        self.record_outcome(source, TestOutcome::new(started.elapsed(), result), Origin::Scheduled).await
    }

    async fn record_outcome(&self, tested: &source::Model, outcome: TestOutcome, origin: Origin) -> Result<Check> {
        let tx = self.platform.db.begin().await?;
        // What was found out of an earlier configuration says nothing of this one.
        let current = source::hold_unchanged(&tx, tested).await?;
        let now = self.platform.clock.now();
        let status = record(self, &tx, &current, &outcome, origin, now).await?;
        // Where all is as it was, the open handle is good, too.
        if origin != Origin::Scheduled || !outcome.successful || status != current.status {
            tx.publish(Event::DataSourceChanged(current.id)).await?;
        }
        tx.commit().await?;
        Ok(Check { outcome, status, tested_at: now })
    }

    /// When a source is checked next that has failed so often in a row; spread, so that not all come at once.
    pub(crate) fn next_check(&self, now: DateTime<Utc>, failures: i32) -> Option<DateTime<Utc>> {
        let every = self.settings.check_every?;
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(16);
        let wait = every.saturating_mul(1 << doublings).min(LONGEST_BACKOFF.max(every));
        Some(now + wait.mul_f64(rand::random_range(0.9..=1.1)))
    }
}

/// Writes down how a check went, of a source whose row is held; answers the status that it has now. A source that is
/// switched off stays so.
pub(crate) async fn record(
    sources: &Sources,
    tx: &Transaction,
    current: &source::Model,
    outcome: &TestOutcome,
    origin: Origin,
    now: DateTime<Utc>,
) -> Result<Status> {
    let found = if outcome.successful { Status::Active } else { Status::Failed };
    let is_off = current.check_enabled().is_err();
    let status = if is_off { current.status } else { found };
    let failures = if outcome.successful { 0 } else { current.failure_count.saturating_add(1) };
    let mut row = current.clone().into_active_model();
    row.status = Set(status);
    row.last_tested_at = Set(Some(now));
    row.failure_count = Set(failures);
    row.next_check_at = Set(if is_off { None } else { sources.next_check(now, failures) });
    // Nobody has looked into it yet: its first check had failed.
    if origin == Origin::Scheduled && status == Status::Active && current.schema_discovered_at.is_none() {
        row.next_discovery_at = Set(current.schema_auto_refresh.then_some(now));
    }
    if outcome.successful {
        row.last_successful_connection_at = Set(Some(now));
        row.failure_reason = Set(None);
    } else {
        row.last_failed_connection_at = Set(Some(now));
        row.failure_reason = Set(outcome.error_message.clone());
    }
    row.update(tx.conn()).await?;
    history::add(tx, current, outcome, origin, now).await?;
    metrics::counter!("rivergen_source_checks_total", "outcome" => if outcome.successful { "passed" } else { "failed" })
        .increment(1);
    Ok(status)
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub organization_id: OrganizationId,
    pub data_source_id: DataSourceId,
}

/// Tests and discovers a new source as soon as its row is committed.
pub(crate) async fn enqueue(sources: &Sources, tx: &Transaction, row: &source::Model) -> Result<()> {
    let payload = Payload { organization_id: row.organization_id, data_source_id: row.id };
    let options = JobOptions { organization_id: Some(row.organization_id), ..JobOptions::default() };
    sources.platform.jobs.enqueue(tx, JOB, &payload, options).await.map(drop)
}

struct FirstCheck(Sources);

pub(crate) fn register(sources: &Sources) {
    sources.platform.jobs.register(JOB, Arc::new(FirstCheck(sources.clone())));
}

#[async_trait::async_trait]
impl Handler for FirstCheck {
    async fn run(&self, payload: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        let Self(sources) = self;
        let payload: Payload = serde_json::from_value(payload).map_err(JobError::fatal)?;
        let tenant = Tenant::on_behalf_of(payload.organization_id);
        let Some(source) = sources.live(tenant, payload.data_source_id).await? else { return Ok(()) };
        if source.check_enabled().is_err() {
            return Ok(());
        }
        let check = sources.first_check(tenant, &source).await?;
        if check.status == Status::Active
            && let Err(error) = discovery::discover(sources, tenant, &source, None, Origin::First).await
        {
            let outcome = TestOutcome {
                successful: false,
                response_time_ms: check.outcome.response_time_ms,
                version: None,
                error_code: Some(error.code.as_str()),
                error_message: Some(error.message.to_string()),
                failed_at: None,
            };
            sources.record_outcome(&source, outcome, Origin::First).await?;
        }
        Ok(())
    }

    fn takes_long(&self) -> bool {
        true
    }
}
