//! `DELETE /api/v1/prompts/{prompt_id}`: out of sight; it can be restored.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{PromptId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Studio;

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedPrompt {
    pub prompt_id: PromptId,
    pub deleted_at: DateTime<Utc>,
}

errors! { pub DeleteErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Delete a saved question, which can be restored
#[utoipa::path(delete, path = "/api/v1/prompts/{prompt_id}", tag = "prompt_studio",
    params(("prompt_id" = PromptId, Path, description = "The saved question")),
    responses((status = 200, description = "It is deleted", body = Envelope<DeletedPrompt>), DeleteErrors))]
pub async fn delete_prompt(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<PromptId>,
) -> Result<Reply<DeletedPrompt>> {
    let prompt = super::find(&studio, &caller, id).await?;
    super::check_may_change(&caller, &prompt)?;
    let platform = &studio.engine.platform;
    let deleted_at = platform.clock.now();
    let organization_id = prompt.organization_id;
    let tx = platform.db.begin().await?;
    let mut row = prompt.into_active_model();
    row.deleted_at = Set(Some(deleted_at));
    row.update(tx.conn()).await?;
    let record =
        AuditRecord::new(Some(organization_id), origin.actor(caller.user_id), "prompt.delete").target("prompt", id);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(DeletedPrompt { prompt_id: id, deleted_at }, "The question was deleted."))
}
