//! Signs of life of a run, and the end of those that give none.
//!
//! A node writes one for each of its runs now and then. Where none came for long, the node is gone, and any other one ends the
//! run on record; should the first come back, it finds the end there, and stops.

use std::{convert::Infallible, time::Duration};

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, ExecutionId, Result};
use rivergen_platform::{Platform, Transaction};
use sea_orm::{Condition, QuerySelect, UpdateMany, entity::prelude::*};
use tokio_util::sync::CancellationToken;

use crate::{
    execution::{
        self,
        event::{self, Happening},
    },
    prompt::{Status, StepStatus},
};

/// Between two signs of life of a run.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A run without a sign of life for so long has no node any more.
const LIFELESS: chrono::Duration = chrono::Duration::minutes(2);

/// Gives signs of life for as long as it is polled, and hears what a lost message of the bus did not tell.
pub(super) async fn beat(platform: &Platform, id: ExecutionId, cancelled: &CancellationToken) -> Infallible {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match sign_of_life(platform, id).await {
            Ok(()) => {}
            Err(error) if matches!(error.code, ErrorCode::QueryCancelled | ErrorCode::Conflict) => cancelled.cancel(),
            // The database may be back before the run is taken for left behind.
            Err(error) => tracing::warn!(%error, "a run could give no sign of life"),
        }
    }
}

async fn sign_of_life(platform: &Platform, id: ExecutionId) -> Result<()> {
    let tx = platform.db.begin().await?;
    touch(&tx, platform, id, execution::Entity::update_many()).await?;
    tx.commit().await
}

/// Writes down the changes with a sign of life. `QUERY_CANCELLED` where somebody asked for the run's end, and `CONFLICT`
/// where it has one.
pub(super) async fn touch(
    tx: &Transaction,
    platform: &Platform,
    id: ExecutionId,
    changes: UpdateMany<execution::Entity>,
) -> Result<()> {
    use execution::Column;
    let at_work = changes
        .col_expr(Column::HeartbeatAt, Expr::value(platform.clock.now()))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.eq(Status::Processing))
        .exec(tx.conn())
        .await?;
    if at_work.rows_affected == 0 {
        return Err(given_up());
    }
    let cancelled = execution::Entity::find_by_id(id)
        .select_only()
        .column(Column::Id)
        .filter(Column::CancelRequestedAt.is_not_null())
        .into_tuple::<ExecutionId>()
        .one(tx.conn())
        .await?;
    cancelled.map_or(Ok(()), |_| Err(was_cancelled()))
}

pub(in crate::execution) fn was_cancelled() -> Error {
    Error::new(ErrorCode::QueryCancelled).with_message("The run was cancelled.")
}

/// The run has an end on record already.
pub(super) fn given_up() -> Error {
    Error::new(ErrorCode::Conflict).with_message("The run was abandoned and has been ended.")
}

/// The runs whose node has given no sign of life of them for long.
pub(crate) fn without_life(now: DateTime<Utc>) -> Condition {
    use execution::Column;
    Condition::any().add(Column::HeartbeatAt.is_null()).add(Column::HeartbeatAt.lt(now - LIFELESS))
}

/// Ends those runs that are under way, for the reason; answers how many there were.
/// Index: prompt_executions(user_id) where processing, of which there are few.
pub(crate) async fn abandon(platform: &Platform, which: Condition, reason: &Error) -> Result<u64> {
    use execution::Column;
    let left = execution::Entity::find().filter(Column::Status.eq(Status::Processing)).filter(which.clone());
    let mut count = 0;
    for row in left.all(platform.db.read()).await? {
        let now = platform.clock.now();
        let took = now - row.started_at;
        let tx = platform.db.begin().await?;
        let ended = execution::Entity::update_many()
            .col_expr(Column::Status, Expr::value(Status::Failed))
            .col_expr(Column::AiProcessingStatus, Expr::value(settled(row.ai_processing_status)))
            .col_expr(Column::QueryExecutionStatus, Expr::value(row.query_execution_status.map(settled)))
            .col_expr(Column::ProgressPercentage, Expr::value(100_i16))
            .col_expr(Column::ErrorCode, Expr::value(reason.code.as_str()))
            .col_expr(Column::ErrorMessage, Expr::value(reason.message.to_string()))
            .col_expr(Column::CompletedAt, Expr::value(now))
            .col_expr(Column::TotalDurationMs, Expr::value(std::cmp::max(0, took.num_milliseconds())))
            .filter(Column::Id.eq(row.id))
            .filter(Column::Status.eq(Status::Processing))
            .filter(which.clone())
            .exec(tx.conn())
            .await?;
        if ended.rows_affected == 0 {
            continue;
        }
        let seq = event::last_seq(tx.conn(), row.id).await? + 1;
        event::append(&tx, platform, (row.organization_id, row.id), seq, &Happening::of_error(reason)).await?;
        tx.commit().await?;
        count += 1;
    }
    Ok(count)
}

/// How a step of a run stands that goes no further.
fn settled(step: StepStatus) -> StepStatus {
    match step {
        StepStatus::Completed => StepStatus::Completed,
        StepStatus::InProgress | StepStatus::Failed => StepStatus::Failed,
    }
}
