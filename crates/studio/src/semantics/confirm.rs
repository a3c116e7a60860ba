//! `POST /api/v1/prompts/semantic-layer/{semantic_entry_id}/confirm`: what was proposed is in use.

use axum::extract::State;
use rivergen_kernel::{Result, SemanticEntryId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};

use super::{SemanticEntry, Status};
use crate::Studio;

errors! { pub ConfirmSemanticsErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Confirm a proposed entry of the semantic layer
#[utoipa::path(post, path = "/api/v1/prompts/semantic-layer/{semantic_entry_id}/confirm", tag = "prompt_studio",
    params(("semantic_entry_id" = SemanticEntryId, Path, description = "The entry")),
    responses((status = 200, description = "Planners use it from now on", body = Envelope<SemanticEntry>), ConfirmSemanticsErrors))]
pub async fn confirm_semantics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<SemanticEntryId>,
) -> Result<Reply<SemanticEntry>> {
    let (tenant, row) = super::find(&studio, &caller, id).await?;
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    let mut row = row.into_active_model();
    row.status = Set(Status::Confirmed);
    row.confirmed_by_user_id = Set(Some(caller.user_id));
    row.updated_at = Set(platform.clock.now());
    let row = row.update(tx.conn()).await?;
    let actor = origin.actor(caller.user_id);
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.semantics_confirm")
        .target("semantic_entry", id)
        .details(serde_json::json!({"definition": row.definition}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(SemanticEntry::new(row)?, "The entry was confirmed."))
}
