//! `POST /api/v1/prompt-templates`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{DataSourceId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use rivergen_sources::access::Access;
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ActiveModel, PromptTemplate, Status, TemplateParameter, check_icon, parameter};
use crate::{Studio, execution::ask::distinct};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "Orders of a region", "template_text": "How many orders in {{region}}?",
    "parameters": [{"name": "region", "type": "string"}], "category": "sales", "compatible_data_source_ids": [1]}))]
pub struct CreateTemplateRequest {
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
    #[garde(inner(length(chars, max = 500)))]
    pub description: Option<String>,
    /// A question with `{{name}}` where values go.
    #[garde(length(chars, min = 1, max = 4000))]
    pub template_text: String,
    /// One for each placeholder.
    #[garde(custom(super::parameter::few), dive)]
    pub parameters: Option<Vec<TemplateParameter>>,
    #[garde(length(chars, min = 1, max = 100))]
    pub category: String,
    #[garde(inner(length(max = 50), inner(length(chars, min = 1, max = 100))))]
    pub tags: Option<Vec<String>>,
    /// An address, or the path of a stored file.
    #[garde(inner(length(chars, min = 1, max = 512)))]
    pub icon_url: Option<String>,
    #[garde(length(min = 1, max = 20))]
    pub compatible_data_source_ids: Vec<DataSourceId>,
    #[schema(default = "draft")]
    pub status: Option<Status>,
    /// Every member of the organization can see it once it is published.
    #[schema(default = false)]
    pub is_public: Option<bool>,
}

errors! { pub CreateTemplateErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// Create a template
#[utoipa::path(post, path = "/api/v1/prompt-templates", tag = "prompt_studio", request_body = CreateTemplateRequest,
    responses((status = 201, description = "The template", body = Envelope<PromptTemplate>), CreateTemplateErrors))]
pub async fn create_template(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateTemplateRequest>,
) -> Result<Reply<PromptTemplate>> {
    let tenant = caller.require(Permission::PromptWrite)?;
    let parameters = request.parameters.unwrap_or_default();
    parameter::check(&request.template_text, &parameters)?;
    check_icon(request.icon_url.as_deref())?;
    let ids = distinct(request.compatible_data_source_ids);
    studio.engine.sources.find_all(&Access::of(&caller, Permission::DataSourceQuery)?, &ids).await?;
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let clean = |text: String| text.replace('\0', "");
    let tx = platform.db.begin().await?;
    let row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        name: Set(clean(request.name)),
        description: Set(request.description.map(clean)),
        template_text: Set(clean(request.template_text)),
        parameters: Set(serde_json::json!(parameters)),
        category: Set(clean(request.category)),
        tags: Set(serde_json::json!(request.tags.unwrap_or_default())),
        icon_url: Set(request.icon_url.map(clean)),
        status: Set(request.status.unwrap_or(Status::Draft)),
        compatible_data_source_ids: Set(serde_json::json!(ids)),
        is_public: Set(request.is_public.unwrap_or(false)),
        usage_count: Set(0),
        created_by_user_id: Set(caller.user_id),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    let actor = origin.actor(caller.user_id);
    let record =
        AuditRecord::new(Some(row.organization_id), actor, "prompt_template.create").target("prompt_template", row.id);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::created(PromptTemplate::new(row)?, "The template was made."))
}
