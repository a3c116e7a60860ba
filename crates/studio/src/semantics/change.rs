//! `PUT /api/v1/prompts/semantic-layer/{semantic_entry_id}`: what an entry says from now on.

use axum::extract::State;
use rivergen_kernel::{Error, ErrorCode, Result, SemanticEntryId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};

use super::{SemanticEntry, create::SemanticRequest};
use crate::Studio;

errors! { pub ChangeSemanticsErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, ValidationError; }

/// Change an entry of the semantic layer
#[utoipa::path(put, path = "/api/v1/prompts/semantic-layer/{semantic_entry_id}", tag = "prompt_studio",
    request_body = SemanticRequest, params(("semantic_entry_id" = SemanticEntryId, Path, description = "The entry")),
    responses((status = 200, description = "The entry; its kind cannot change", body = Envelope<SemanticEntry>), ChangeSemanticsErrors))]
pub async fn change_semantics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<SemanticEntryId>,
    Json(request): Json<SemanticRequest>,
) -> Result<Reply<SemanticEntry>> {
    let (tenant, row) = super::find(&studio, &caller, id).await?;
    if row.kind != request.definition.kind() {
        return Err(Error::invalid_field("definition.kind", "cannot be changed; create another entry"));
    }
    super::check(&studio, &caller, tenant, &request.definition).await?;
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    let mut row = row.into_active_model();
    row.name = Set(request.definition.identity());
    row.definition = Set(serde_json::json!(request.definition));
    row.updated_at = Set(platform.clock.now());
    let row = row.update(tx.conn()).await.map_err(duplicate_is(
        Error::new(ErrorCode::Conflict).with_message("There is another entry with that name."),
    ))?;
    let actor = origin.actor(caller.user_id);
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.semantics_change")
        .target("semantic_entry", id)
        .details(serde_json::json!({"definition": request.definition}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(SemanticEntry::new(row)?, "The entry was changed."))
}
