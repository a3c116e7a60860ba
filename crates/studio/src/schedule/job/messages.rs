//! Messages to a webhook: each is sent until it is taken, or too often was not.
//!
//! A run that is settled leaves the message behind as a job of its own. Rows are read when it is sent; a message whose owner
//! may not any more is withheld.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_kernel::{Caller, Error, ErrorCode, Result, Secret};
use rivergen_platform::{
    Platform, Transaction,
    jobs::{Handler, JobContext, JobError},
    webhook::{Key, Message, Webhook},
};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ending::{count_failure, hold, went_well},
    options,
    runs::answered_before,
};
use crate::{
    Studio, execution,
    schedule::{
        Entity, Model,
        delivery::Destination,
        owner,
        run::{self, sent},
    },
};

pub(super) const WEBHOOK: &str = "studio.schedule_webhook";
/// Of a message to a webhook: over some ten minutes.
const ATTEMPTS: u32 = 8;
/// Characters that are kept of why a message was not taken.
const LONGEST_ERROR: usize = 500;

#[derive(Serialize, Deserialize)]
struct ScheduledMessage {
    delivery_id: i64,
}

/// Has a message that waits sent.
pub(super) async fn enqueue(
    tx: &Transaction,
    platform: &Platform,
    schedule: &Model,
    message: &sent::Model,
) -> Result<()> {
    let payload = ScheduledMessage { delivery_id: message.id };
    platform.jobs.enqueue(tx, WEBHOOK, &payload, options(schedule, ATTEMPTS)).await?;
    Ok(())
}

pub(super) struct Messages(pub(super) Studio);

#[async_trait]
impl Handler for Messages {
    async fn run(&self, payload: Value, context: JobContext) -> Result<(), JobError> {
        let Self(studio) = self;
        let platform = &studio.engine.platform;
        let ScheduledMessage { delivery_id } = serde_json::from_value(payload).map_err(JobError::fatal)?;
        let Some((message, row, schedule)) = load_message(platform.db.read(), delivery_id).await? else {
            return Ok(());
        };
        let attempts = i32::try_from(context.attempt).unwrap_or(i32::MAX);
        let (Ok((caller, _)), Some(sealed)) = (owner::ready(studio, &schedule).await?, &schedule.webhook) else {
            return Ok(mark(platform, &message, sent::Status::Withheld, message.attempts, None).await?);
        };
        let Destination { url, secret } = Destination::open(studio, schedule.organization_id, sealed).await?;
        let key =
            Key::of(&Secret::new(secret)).ok_or_else(|| JobError::fatal("the secret of the webhook is not valid"))?;
        let body = told(studio, &caller, &row, &schedule).await?.to_string();
        let webhook = Webhook::new(platform.outbound.http_without_redirects().clone(), url, key);
        let id = format!("msg_schedule_{delivery_id}");
        let message_sent = Message { id, media_type: "application/json", body };
        match webhook.send(message_sent, platform.clock.now()).await {
            Ok(()) => {
                mark(platform, &message, sent::Status::Sent, attempts, None).await?;
                let tx = platform.db.begin().await?;
                went_well(&tx, &schedule).await?;
                Ok(tx.commit().await?)
            }
            Err(why) => {
                mark(platform, &message, sent::Status::Pending, attempts, Some(&why)).await?;
                Err(JobError::retry(why))
            }
        }
    }

    async fn given_up(&self, tx: &Transaction, payload: Value, why: &str) -> Result<()> {
        let ScheduledMessage { delivery_id } = serde_json::from_value(payload).map_err(Error::internal)?;
        let Some((message, row, schedule)) = load_message(tx.conn(), delivery_id).await? else { return Ok(()) };
        let now = self.0.engine.platform.clock.now();
        hold(tx, schedule.id).await?;
        write_mark(tx, &message, sent::Status::Failed, message.attempts, Some(why), now).await?;
        let told = format!("the webhook did not accept it: {why}");
        count_failure(tx, &self.0, &row, &schedule, ErrorCode::ConnectionError.as_str(), &told).await
    }

    fn takes_long(&self) -> bool {
        true
    }
}

/// A message that waits, with its run and its schedule.
async fn load_message(db: &impl ConnectionTrait, id: i64) -> Result<Option<(sent::Model, run::Model, Model)>> {
    let message = sent::Entity::find_by_id(id).filter(sent::Column::Status.eq(sent::Status::Pending)).one(db).await?;
    let Some(message) = message else { return Ok(None) };
    let Some(row) = run::Entity::find_by_id(message.run_id).one(db).await? else { return Ok(None) };
    let schedule = Entity::find_by_id(row.schedule_id).one(db).await?;
    Ok(schedule.map(|schedule| (message, row, schedule)))
}

/// What a webhook is told. Rows are read now, so that what the owner may not see any more is not sent.
async fn told(studio: &Studio, caller: &Caller, row: &run::Model, schedule: &Model) -> Result<Value> {
    let platform = &studio.engine.platform;
    let tenant = caller.tenant()?;
    let answered = answered_before(platform, tenant, row).await?;
    let rows = match (&answered, schedule.include_rows) {
        (Some(execution), true) => execution::preview(studio, caller, tenant, execution).await?,
        _ => None,
    };
    let columns = rows.as_ref().map(|rows| rows.columns.iter().map(|column| &column.name).collect::<Vec<_>>());
    let url = format!("{}/questions/{}", platform.public_url, schedule.prompt_id);
    Ok(serde_json::json!({"type": "prompt_schedule.answered", "timestamp": row.completed_at, "data": {
        "schedule_id": schedule.id, "name": schedule.name, "run_id": row.id, "prompt_id": schedule.prompt_id,
        "execution_id": row.execution_id, "due_at": row.due_at, "rows_returned": row.rows_returned, "url": url,
        "columns": columns, "rows": rows.as_ref().map(|rows| &rows.rows),
        "truncated": rows.as_ref().map(|rows| rows.truncated)}}))
}

async fn mark(
    platform: &Platform,
    message: &sent::Model,
    status: sent::Status,
    attempts: i32,
    why: Option<&str>,
) -> Result<()> {
    let tx = platform.db.begin().await?;
    write_mark(&tx, message, status, attempts, why, platform.clock.now()).await?;
    tx.commit().await
}

async fn write_mark(
    tx: &Transaction,
    message: &sent::Model,
    status: sent::Status,
    attempts: i32,
    why: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    let why = why.map(|text| text.chars().filter(|c| *c != '\0').take(LONGEST_ERROR).collect::<String>());
    sent::Entity::update_many()
        .col_expr(sent::Column::Status, Expr::value(status))
        .col_expr(sent::Column::Attempts, Expr::value(attempts))
        .col_expr(sent::Column::Error, Expr::value(why))
        .col_expr(sent::Column::At, Expr::value(now))
        .filter(sent::Column::Id.eq(message.id))
        .filter(sent::Column::Status.eq(sent::Status::Pending))
        .exec(tx.conn())
        .await?;
    Ok(())
}
