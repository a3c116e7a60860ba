//! `POST /api/v1/prompts/executions/{execution_id}/cancel`.

use axum::extract::State;
use rivergen_kernel::{Error, ErrorCode, ExecutionId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Studio, prompt::Status};

/// What was asked for; the run ends as soon as its node hears of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CancelledExecution {
    pub execution_id: ExecutionId,
}

errors! { pub CancelErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict; }

/// Cancel a run at whatever step it is, down to the sources
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
    if row.status != Status::Processing {
        return Err(Error::new(ErrorCode::Conflict).with_message("The run has ended already."));
    }
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    tx.publish(Event::ExecutionCancelled(id)).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "prompt.cancel")
        .target("execution", id)
        .details(serde_json::json!({"user_id": row.user_id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(CancelledExecution { execution_id: id }, "The run is being cancelled."))
}
