//! Testing a source: connects, asks its version, and writes down how it went. New sources are tested and
//! discovered by a job.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivergen_connectors::TestOutcome;
use rivergen_kernel::{DataSourceId, Error, OrganizationId, Result, Tenant};
use rivergen_platform::{
    Event, Transaction,
    jobs::{Handler, JobContext, JobError, JobOptions},
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use serde::{Deserialize, Serialize};

use crate::{Sources, discover, source, source::Status};

const JOB: &str = "data_source.first_check";

/// What a test found, and when.
#[derive(Debug)]
pub struct Check {
    pub outcome: TestOutcome,
    pub status: Status,
    pub tested_at: DateTime<Utc>,
}

impl Sources {
    /// Connects now and records the outcome; a failure is an outcome, not an error.
    pub async fn test(&self, tenant: Tenant, source: &source::Model) -> Result<Check> {
        let context = self.context(tenant, source).await?;
        let outcome = self.registry.connector(context.config.kind)?.test(&context).await;
        self.record_outcome(source.id, outcome).await
    }

    async fn record_outcome(&self, id: DataSourceId, outcome: TestOutcome) -> Result<Check> {
        let now = self.platform.clock.now();
        let status = if outcome.successful { Status::Active } else { Status::Failed };
        let tx = self.platform.db.begin().await?;
        let mut update = source::Entity::update_many()
            .col_expr(source::Column::Status, Expr::value(status))
            .col_expr(source::Column::LastTestedAt, Expr::value(now))
            .filter(source::Column::Id.eq(id));
        if outcome.successful {
            update = update
                .col_expr(source::Column::LastSuccessfulConnectionAt, Expr::value(now))
                .col_expr(source::Column::FailureCount, Expr::value(0))
                .col_expr(source::Column::FailureReason, Expr::value(Option::<String>::None));
        } else {
            update = update
                .col_expr(source::Column::LastFailedConnectionAt, Expr::value(now))
                .col_expr(source::Column::FailureCount, Expr::col(source::Column::FailureCount).add(1))
                .col_expr(source::Column::FailureReason, Expr::value(outcome.error_message.clone()));
        }
        update.exec(tx.conn()).await?;
        tx.publish(Event::DataSourceChanged(id)).await?;
        tx.commit().await?;
        Ok(Check { outcome, status, tested_at: now })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    organization_id: OrganizationId,
    data_source_id: DataSourceId,
}

/// Tests and discovers a new source as soon as its row is committed.
pub(crate) async fn enqueue(sources: &Sources, tx: &Transaction, row: &source::Model) -> Result<()> {
    let payload = Payload { organization_id: row.organization_id, data_source_id: row.id };
    let options = JobOptions { organization_id: Some(row.organization_id), ..JobOptions::default() };
    sources.platform.jobs.enqueue(tx, JOB, &payload, options).await.map(drop)
}

struct FirstCheck(Sources);

/// Registers the job.
pub fn register(sources: &Sources) {
    sources.platform.jobs.register(JOB, Arc::new(FirstCheck(sources.clone())));
}

#[async_trait::async_trait]
impl Handler for FirstCheck {
    async fn run(&self, payload: serde_json::Value, _: JobContext) -> std::result::Result<(), JobError> {
        let Self(sources) = self;
        let payload: Payload = serde_json::from_value(payload).map_err(JobError::fatal)?;
        let tenant = Tenant::on_behalf_of(payload.organization_id);
        let Ok(source) = sources.find(tenant, payload.data_source_id).await else { return Ok(()) };
        let check = sources.test(tenant, &source).await.map_err(JobError::retry)?;
        if check.status == Status::Active
            && let Err(error) = discover::discover(sources, tenant, &source, None).await
        {
            let outcome = TestOutcome {
                successful: false,
                response_time_ms: 0,
                version: None,
                error_code: Some(error.code.as_str()),
                error_message: Some(Error::to_string(&error)),
            };
            sources.record_outcome(source.id, outcome).await.map_err(JobError::retry)?;
        }
        Ok(())
    }
}
