//! `PATCH /api/v1/prompt-templates/{template_id}`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{DataSourceId, Permission, Result, TemplateId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
};
use rivergen_sources::access::Access;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{PromptTemplate, Status, TemplateParameter, check_icon, parameter};
use crate::{Studio, execution::ask::distinct, prompt::read};

/// What is not named stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"status": "published", "is_public": true}))]
pub struct UpdateTemplateRequest {
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub name: Option<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(chars, max = 500))))]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    #[garde(inner(length(chars, min = 1, max = 4000)))]
    pub template_text: Option<String>,
    #[garde(custom(super::parameter::few), dive)]
    pub parameters: Option<Vec<TemplateParameter>>,
    #[garde(inner(length(chars, min = 1, max = 100)))]
    pub category: Option<String>,
    #[garde(inner(length(max = 50), inner(length(chars, min = 1, max = 100))))]
    pub tags: Option<Vec<String>>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(chars, min = 1, max = 512))))]
    #[schema(value_type = Option<String>)]
    pub icon_url: Option<Option<String>>,
    #[garde(inner(length(min = 1, max = 20)))]
    pub compatible_data_source_ids: Option<Vec<DataSourceId>>,
    pub status: Option<Status>,
    pub is_public: Option<bool>,
}

errors! { pub UpdateTemplateErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// Change a template, or publish it
#[utoipa::path(patch, path = "/api/v1/prompt-templates/{template_id}", tag = "prompt_studio",
    request_body = UpdateTemplateRequest, params(("template_id" = TemplateId, Path, description = "The template")),
    responses((status = 200, description = "The template", body = Envelope<PromptTemplate>), UpdateTemplateErrors))]
pub async fn update_template(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<TemplateId>,
    Json(request): Json<UpdateTemplateRequest>,
) -> Result<Reply<PromptTemplate>> {
    caller.require(Permission::PromptWrite)?;
    let (tenant, row) = super::find(&studio, &caller, id).await?;
    let clean = |text: String| text.replace('\0', "");
    let text = request.template_text.map(clean);
    // The one has to fit the other, whichever is changed.
    if text.is_some() || request.parameters.is_some() {
        let kept: Vec<TemplateParameter>;
        let parameters = match &request.parameters {
            Some(parameters) => parameters,
            None => {
                kept = read(&row.parameters)?;
                &kept
            }
        };
        parameter::check(text.as_deref().unwrap_or(&row.template_text), parameters)?;
    }
    let platform = &studio.engine.platform;
    let mut row = row.into_active_model();
    if let Some(text) = text {
        row.template_text = Set(text);
    }
    if let Some(parameters) = request.parameters {
        row.parameters = Set(serde_json::json!(parameters));
    }
    if let Some(name) = request.name {
        row.name = Set(clean(name));
    }
    if let Some(description) = request.description {
        row.description = Set(description.map(clean));
    }
    if let Some(category) = request.category {
        row.category = Set(clean(category));
    }
    if let Some(tags) = request.tags {
        row.tags = Set(serde_json::json!(tags));
    }
    if let Some(icon) = request.icon_url {
        check_icon(icon.as_deref())?;
        row.icon_url = Set(icon.map(clean));
    }
    if let Some(ids) = request.compatible_data_source_ids {
        let ids = distinct(ids);
        studio.engine.sources.find_all(&Access::of(&caller, Permission::DataSourceQuery)?, &ids).await?;
        row.compatible_data_source_ids = Set(serde_json::json!(ids));
    }
    if let Some(status) = request.status {
        row.status = Set(status);
    }
    if let Some(is_public) = request.is_public {
        row.is_public = Set(is_public);
    }
    row.updated_at = Set(platform.clock.now());
    let tx = platform.db.begin().await?;
    let row = row.update(tx.conn()).await?;
    let actor = origin.actor(caller.user_id);
    let record =
        AuditRecord::new(Some(tenant.organization_id()), actor, "prompt_template.update").target("prompt_template", id);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(PromptTemplate::new(row)?, "The template was changed."))
}
