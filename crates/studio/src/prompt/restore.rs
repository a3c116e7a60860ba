//! `POST /api/v1/prompts/{prompt_id}/restore`: a question that was deleted in the last 30 days is back.

use axum::extract::State;
use rivergen_kernel::{ErrorCode, PromptId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, IntoActiveModel, QueryFilter};

use super::{Column, PromptSummary};
use crate::Studio;

errors! { pub RestoreErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Restore a deleted question
#[utoipa::path(post, path = "/api/v1/prompts/{prompt_id}/restore", tag = "prompt_studio",
    params(("prompt_id" = PromptId, Path, description = "The question, deleted in the last 30 days; one that is not deleted stays unchanged")),
    responses((status = 200, description = "The question", body = Envelope<PromptSummary>), RestoreErrors))]
pub async fn restore_prompt(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<PromptId>,
) -> Result<Reply<PromptSummary>> {
    let platform = &studio.engine.platform;
    let (tenant, prompts) = super::reached(&caller)?;
    let found = prompts.filter(Column::Id.eq(id)).filter(super::restorable(platform.clock.now()));
    let found = found.one(platform.db.read()).await?;
    let mut prompt = found.ok_or(ErrorCode::NotFound)?;
    super::check_may_change(&caller, &prompt)?;
    if prompt.deleted_at.is_some() {
        let tx = platform.db.begin().await?;
        let mut row = prompt.into_active_model();
        row.deleted_at = Set(None);
        prompt = row.update(tx.conn()).await?;
        let actor = origin.actor(caller.user_id);
        let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.restore").target("prompt", id);
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
    }
    Ok(Reply::ok(PromptSummary::new(&prompt)?, "The question was restored."))
}
