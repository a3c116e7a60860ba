//! `DELETE /api/v1/prompt-templates/{template_id}`. Questions that were made from it stay.

use axum::extract::State;
use rivergen_kernel::{Permission, Result, TemplateId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{NoContent, Path, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};

use crate::Studio;

errors! { pub DeleteTemplateErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Delete a template
#[utoipa::path(delete, path = "/api/v1/prompt-templates/{template_id}", tag = "prompt_studio",
    params(("template_id" = TemplateId, Path, description = "The template")),
    responses((status = 204, description = "It is deleted"), DeleteTemplateErrors))]
pub async fn delete_template(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<TemplateId>,
) -> Result<NoContent> {
    caller.require(Permission::PromptWrite)?;
    let (tenant, row) = super::find(&studio, &caller, id).await?;
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    let mut row = row.into_active_model();
    row.deleted_at = Set(Some(platform.clock.now()));
    row.update(tx.conn()).await?;
    let actor = origin.actor(caller.user_id);
    let record =
        AuditRecord::new(Some(tenant.organization_id()), actor, "prompt_template.delete").target("prompt_template", id);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
