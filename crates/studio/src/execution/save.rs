//! `POST /api/v1/prompts/executions/{execution_id}/save`: a run that answered well becomes a saved question.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, ExecutionId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Column, Entity, Told};
use crate::{
    Studio,
    prompt::{self, PromptSummary, Status, read, read_or_empty, versions},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "Orders by region", "tags": ["sales"]}))]
pub struct SaveRequest {
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub name: Option<String>,
    #[garde(inner(length(max = 50), inner(length(chars, min = 1, max = 100))))]
    pub tags: Option<Vec<String>>,
}

errors! { pub SaveErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, ValidationError; }

/// Save the question of a completed run
#[utoipa::path(post, path = "/api/v1/prompts/executions/{execution_id}/save", tag = "prompt_studio",
    request_body = SaveRequest, params(("execution_id" = ExecutionId, Path, description = "Your own completed run of a question that is not saved")),
    responses((status = 201, description = "The saved question", body = Envelope<PromptSummary>), SaveErrors))]
pub async fn save_execution(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<ExecutionId>,
    Json(request): Json<SaveRequest>,
) -> Result<Reply<PromptSummary>> {
    let tenant = caller.require(Permission::PromptExecute)?;
    let run = super::find_own(&studio, &caller, tenant, id).await?;
    if run.status != Status::Completed {
        return Err(Error::new(ErrorCode::Conflict).with_message("The run has not been completed."));
    }
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let told: Option<Told> = run.told.as_ref().map(read).transpose()?;
    let ids: Vec<DataSourceId> = read_or_empty(run.data_source_ids.as_ref())?;
    let clean = |text: String| text.replace('\0', "");
    let row = prompt::ActiveModel {
        organization_id: Set(run.organization_id),
        workspace_id: Set(run.workspace_id),
        name: Set(request.name.map(clean)),
        prompt_text: Set(run.prompt_text),
        selected_data_source_ids: Set(serde_json::json!(ids)),
        selected_schema_names: Set(run.schema_names.unwrap_or_else(|| serde_json::json!([]))),
        generated_query_id: Set(run.query_id),
        generated_query_text: Set(run.generated_query_text),
        status: Set(Status::Completed),
        tags: Set(serde_json::json!(request.tags.unwrap_or_default())),
        metadata: Set(None),
        template_id: Set(run.template_id),
        thread: Set(run.thread),
        ai_model_used: Set(told.as_ref().map(|told| told.model.clone())),
        ai_response_metadata: Set(told.as_ref().map_or_else(|| serde_json::json!({}), Told::metadata)),
        error_message: Set(None),
        created_by_user_id: Set(caller.user_id),
        created_at: Set(now),
        updated_at: Set(now),
        last_run_at: Set(Some(run.completed_at.unwrap_or(now))),
        last_duration_ms: Set(run.total_duration_ms),
        deleted_at: Set(None),
        ..Default::default()
    };
    let tx = platform.db.begin().await?;
    let saved = row.insert(tx.conn()).await?;
    // Of two who save it at once, one does.
    let linked = Entity::update_many()
        .col_expr(Column::PromptId, Expr::value(Some(saved.id)))
        .filter(Column::Id.eq(id))
        .filter(Column::PromptId.is_null())
        .exec(tx.conn())
        .await?;
    if linked.rows_affected == 0 {
        return Err(Error::new(ErrorCode::Conflict).with_message("The question of this run is already saved."));
    }
    prompt::sources::link(&tx, saved.id, &ids).await?;
    versions::record(&tx, platform, None, &saved, versions::Change::Saved, caller.user_id).await?;
    let actor = origin.actor(caller.user_id);
    let record = AuditRecord::new(Some(saved.organization_id), actor, "prompt.save").target("prompt", saved.id);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::created(PromptSummary::new(&saved)?, "The question was saved."))
}
