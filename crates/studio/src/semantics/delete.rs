//! `DELETE /api/v1/prompts/semantic-layer/{semantic_entry_id}`.

use axum::extract::State;
use rivergen_kernel::{Result, SemanticEntryId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{NoContent, Path, RequestOrigin, SignedIn},
};
use sea_orm::ModelTrait;

use crate::Studio;

errors! { pub DeleteSemanticsErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Delete an entry of the semantic layer, or dismiss a proposal
#[utoipa::path(delete, path = "/api/v1/prompts/semantic-layer/{semantic_entry_id}", tag = "prompt_studio",
    params(("semantic_entry_id" = SemanticEntryId, Path, description = "The entry")),
    responses((status = 204, description = "It is deleted"), DeleteSemanticsErrors))]
pub async fn delete_semantics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<SemanticEntryId>,
) -> Result<NoContent> {
    let (tenant, row) = super::find(&studio, &caller, id).await?;
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    let actor = origin.actor(caller.user_id);
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.semantics_delete")
        .target("semantic_entry", id)
        .details(serde_json::json!({"definition": row.definition}));
    row.delete(tx.conn()).await?;
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
