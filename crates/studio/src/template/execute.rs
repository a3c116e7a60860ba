//! `POST /api/v1/prompt-templates/{template_id}/execute`: values make a question of a template, and it is asked.

use axum::{extract::State, http::HeaderMap, response::Response};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, Permission, Result, TemplateId, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, RequestOrigin, SignedIn},
};
use rivergen_runs::http::prefers_to_go_on;
use rivergen_sources::access::Access;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Column, Entity, TemplateParameter, parameter};
use crate::{
    Studio,
    execution::{
        Execution,
        ask::{self, distinct},
        course::{Asking, Keep},
    },
    prompt::read,
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"selected_data_source_ids": [1], "parameters": {"region": "EU"}}))]
pub struct ExecuteTemplateRequest {
    /// Must be the session's workspace, if given.
    pub workspace_id: Option<WorkspaceId>,
    /// Among those that the template is for.
    #[garde(length(min = 1, max = 20))]
    pub selected_data_source_ids: Vec<DataSourceId>,
    /// Only tables of these schemas.
    #[garde(inner(length(max = 50)))]
    pub selected_schema_names: Option<Vec<String>>,
    /// A value for each parameter that has no default.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<serde_json::Map<String, serde_json::Value>>,
    /// Keep the question.
    #[schema(default = false)]
    pub save_prompt: Option<bool>,
}

errors! { pub ExecuteTemplateErrors: InvalidRequest, BadRequest, QuestionNotUnderstood, QuestionAmbiguous, InvalidQuery, Unauthorized, Forbidden,
EmailNotVerified, PolicyDenied, NotFound, DataSourceUnavailable, QueryCancelled, ValidationError, RateLimited,
QueryLimitExceeded, InternalError, ConnectionError, PlannerUnavailable, QueryTimeout; }

/// Fill a template with values and ask the question
#[utoipa::path(post, path = "/api/v1/prompt-templates/{template_id}/execute", tag = "prompt_studio",
    request_body = ExecuteTemplateRequest,
    params(("template_id" = TemplateId, Path, description = "The template"),
        ("prefer" = Option<String>, Header, description = "As for `/api/v1/prompts/execute`", example = "respond-async")),
    responses((status = 200, description = "The run, finished; or started, if it continues in the background", body = Envelope<Execution>),
        ExecuteTemplateErrors))]
pub async fn execute_template(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path(id): Path<TemplateId>,
    Json(request): Json<ExecuteTemplateRequest>,
) -> Result<Response> {
    let tenant = caller.require(Permission::PromptExecute)?;
    let (_, template) = super::find(&studio, &caller, id).await?;
    ask::check_workspace(&caller, request.workspace_id)?;
    let ids = distinct(request.selected_data_source_ids);
    let sources = studio.engine.sources.find_all(&Access::of(&caller, Permission::DataSourceQuery)?, &ids).await?;
    let compatible: Vec<DataSourceId> = read(&template.compatible_data_source_ids)?;
    if let Some(other) = ids.iter().find(|id| !compatible.contains(id)) {
        let reason = format!("the template is not for the data source {other}");
        return Err(Error::invalid_field("selected_data_source_ids", reason));
    }
    let given = request.parameters.unwrap_or_default();
    let text =
        parameter::fill(&template.template_text, &read::<Vec<TemplateParameter>>(&template.parameters)?, &given)?;
    let keep = match request.save_prompt.unwrap_or(false) {
        true => Some(Keep { name: Some(template.name.clone()), tags: read(&template.tags)? }),
        false => None,
    };
    let tx = studio.engine.platform.db.begin().await?;
    Entity::update_many()
        .col_expr(Column::UsageCount, Expr::col(Column::UsageCount).add(1))
        .filter(Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    tx.commit().await?;
    let asking = Asking {
        planners: studio.planners.of(&studio.engine.platform, tenant, None).await?,
        caller,
        tenant,
        origin,
        text,
        sources,
        schemas: request.selected_schema_names.unwrap_or_default(),
        by_itself: prefers_to_go_on(&headers),
        keep,
        prompt_id: None,
        by_author: true,
        template_id: Some(id),
        asks: true,
        chosen: Vec::new(),
        thread: Vec::new(),
        follows: None,
    };
    ask::answer(studio, asking, ["Template execution started.", "Template execution completed."]).await
}
