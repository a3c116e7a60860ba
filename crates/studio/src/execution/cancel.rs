//! `POST /api/v1/prompts/executions/{execution_id}/cancel`.

use axum::extract::State;
use rivergen_kernel::{Error, ErrorCode, ExecutionId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Column, Entity, abandon, course, without_life};
use crate::{Studio, prompt::Status};

/// What was asked for; the run ends as soon as its node hears of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CancelledExecution {
    pub execution_id: ExecutionId,
}

errors! { pub CancelErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict; }

/// Cancel a run at any step, including in the data sources
#[utoipa::path(post, path = "/api/v1/prompts/executions/{execution_id}/cancel", tag = "prompt_studio",
    params(("execution_id" = ExecutionId, Path, description = "The run")),
    responses((status = 200, description = "It ends with the event execution.cancelled", body = Envelope<CancelledExecution>),
        CancelErrors))]
pub async fn cancel_execution(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<ExecutionId>,
) -> Result<Reply<CancelledExecution>> {
    let tenant = caller.require(Permission::PromptExecute)?;
    let row = super::find(&studio, &caller, tenant, id).await?;
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    // The message may be lost on its way to the run's node; it looks here too.
    let asked = Entity::update_many()
        .col_expr(Column::CancelRequestedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.eq(Status::Processing))
        .exec(tx.conn())
        .await?;
    if asked.rows_affected == 0 {
        return Err(Error::new(ErrorCode::Conflict).with_message("The run has already ended."));
    }
    tx.publish(Event::ExecutionCancelled(id)).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "prompt.cancel")
        .target("execution", id)
        .details(serde_json::json!({"user_id": row.user_id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    // Of a run without a node nobody will hear.
    let lifeless = Condition::all().add(Column::Id.eq(id)).add(without_life(now));
    abandon(platform, lifeless, &course::was_cancelled()).await?;
    Ok(Reply::ok(CancelledExecution { execution_id: id }, "The run is being cancelled."))
}
