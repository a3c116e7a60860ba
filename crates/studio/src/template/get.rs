//! `GET /api/v1/prompt-templates/{template_id}`.

use axum::extract::State;
use rivergen_kernel::{Result, TemplateId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};

use super::PromptTemplate;
use crate::Studio;

errors! { pub GetTemplateErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Read a template
#[utoipa::path(get, path = "/api/v1/prompt-templates/{template_id}", tag = "prompt_studio",
    params(("template_id" = TemplateId, Path, description = "The template")),
    responses((status = 200, description = "The template", body = Envelope<PromptTemplate>), GetTemplateErrors))]
pub async fn get_template(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<TemplateId>,
) -> Result<Reply<PromptTemplate>> {
    let (_, row) = super::find(&studio, &caller, id).await?;
    let template = PromptTemplate::new(row)?.with_icon(&studio, &caller, &origin).await;
    Ok(Reply::ok(template, "The template."))
}
