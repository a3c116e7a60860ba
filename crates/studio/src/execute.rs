//! `POST /api/v1/prompts/execute`: a question in words, planned and run under the caller's policies.
//!
//! ```text
//! question ─ catalogue of the caller ─ planner ─ SQL ─ the same governed run that typed SQL takes ─ rows
//! ```
//!
//! What the planner writes is trusted as little as what a user types. A question that is not understood is
//! answered so, with the nearest ones that are; each run stays on record, whatever becomes of it.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, ExecutionId, FieldError, Permission, PromptId, QueryId, Result, Tenant,
    WorkspaceId,
};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use rivergen_policies::evaluation::RunKind;
use rivergen_query::QueryColumn;
use rivergen_runs::{Form, Run, RunAnswer, http::PolicyOfQuery};
use rivergen_sources::access::Access;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, IntoActiveModel};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Studio, context,
    planner::{Plan, PlanError, Planner, Understanding},
    prompt::{self, Status, StepStatus, execution},
};

/// Rows that an answer shows.
const PREVIEW_ROWS: u64 = 1000;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"prompt_text": "How many orders per region in 2025?", "selected_data_source_ids": [1, 2, 3]}))]
pub struct ExecuteRequest {
    #[garde(length(chars, min = 1, max = 4000))]
    pub prompt_text: String,
    /// Must be the session's workspace where it is given.
    pub workspace_id: Option<WorkspaceId>,
    #[garde(length(min = 1, max = 20))]
    pub selected_data_source_ids: Vec<DataSourceId>,
    /// Only tables of these schemas.
    #[garde(inner(length(max = 50)))]
    pub selected_schema_names: Option<Vec<String>>,
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub name: Option<String>,
    /// Keep the question.
    #[schema(default = false)]
    pub save_prompt: Option<bool>,
    /// `embedded`, or the model that the operator has configured; the operator's default without it.
    #[garde(inner(length(min = 1, max = 100)))]
    pub ai_model: Option<String>,
    #[garde(inner(length(max = 50), inner(length(min = 1, max = 100))))]
    pub tags: Option<Vec<String>>,
}

/// A finished run.
#[derive(Debug, Serialize, ToSchema)]
pub struct Execution {
    pub execution_id: ExecutionId,
    pub prompt_id: Option<PromptId>,
    pub status: Status,
    pub ai_processing_status: StepStatus,
    pub query_execution_status: Option<StepStatus>,
    pub started_at: DateTime<Utc>,
    #[schema(examples(100))]
    pub progress_percentage: u8,
    /// The SQL that the question became.
    #[schema(examples("SELECT region, count(*) FROM orders.files.orders GROUP BY region"))]
    pub generated_query_text: Option<String>,
    #[schema(examples(4))]
    pub rows_returned: Option<u64>,
    /// The rows as objects, by the names of the columns.
    #[schema(value_type = Option<Vec<Object>>, example = json!([{"region": "EU", "orders": 333412}]))]
    pub result_preview: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
    /// There are more rows than are shown.
    pub truncated: bool,
    pub columns: Vec<QueryColumn>,
    /// What was understood, in plain words.
    #[schema(examples("Counting orders, for each region, where ordered at is in 2025."))]
    pub explanation: String,
    #[schema(value_type = Vec<Object>, example = json!([{"phrase": "per region", "meaning": "grouped by orders.region"}]))]
    pub understood: Vec<Understanding>,
    /// From 0 (a guess) to 1 (every word was matched).
    #[schema(examples(0.98))]
    pub confidence: f64,
    #[schema(examples("embedded"))]
    pub ai_model: String,
    pub query_id: QueryId,
    pub policies_applied: Vec<PolicyOfQuery>,
    #[schema(examples(42))]
    pub total_duration_ms: u64,
}

errors! { pub ExecuteErrors: InvalidRequest, BadRequest, QuestionNotUnderstood, InvalidQuery, Unauthorized, Forbidden, EmailNotVerified,
PolicyDenied, NotFound, DataSourceUnavailable, ValidationError, QueryLimitExceeded, InternalError, ConnectionError,
PlannerUnavailable, QueryTimeout; }

/// Turn a question in words into SQL and run it
#[utoipa::path(post, path = "/api/v1/prompts/execute", tag = "prompt_studio", request_body = ExecuteRequest,
    responses((status = 200, description = "The run, finished", body = Envelope<Execution>), ExecuteErrors))]
pub async fn execute_prompt(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ExecuteRequest>,
) -> Result<Reply<Execution>> {
    let tenant = caller.require(Permission::PromptExecute)?;
    if let Some(wanted) = request.workspace_id
        && caller.membership()?.workspace_id != Some(wanted)
    {
        return Err(ErrorCode::WorkspaceNotFound.into());
    }
    let planner = studio.planner(request.ai_model.as_deref())?;
    let started = begin(&studio, &caller, tenant, &request).await?;
    let mut attempt = Attempt { plan: None, answer: None };
    let given_up = GivenUp { studio: Some(studio.clone()), id: started.id };
    let outcome = attempt.make(&studio, &caller, tenant, &origin, &request, planner).await;
    given_up.disarm();
    let ended = end(&studio, &caller, &origin, &request, started, &attempt, outcome.as_ref().err()).await?;
    outcome?;
    Ok(Reply::ok(attempt.into_execution(ended)?, "Prompt execution completed."))
}

/// As far as a run has come.
struct Attempt {
    plan: Option<Plan>,
    answer: Option<RunAnswer>,
}

impl Attempt {
    async fn make(
        &mut self,
        studio: &Studio,
        caller: &Caller,
        tenant: Tenant,
        origin: &RequestOrigin,
        request: &ExecuteRequest,
        planner: Arc<dyn Planner>,
    ) -> Result<()> {
        let engine = &studio.engine;
        let access = Access::of(caller, Permission::DataSourceQuery)?;
        let mut ids = request.selected_data_source_ids.clone();
        ids.sort_unstable();
        ids.dedup();
        let sources = engine.sources.find_all(&access, &ids).await?;
        for source in &sources {
            source.check_usable()?;
        }
        let catalogue = engine.catalogue(caller, tenant, sources.clone()).await?;
        let schemas = request.selected_schema_names.as_deref().unwrap_or_default();
        let context = context::build(engine, &studio.samples, &catalogue, schemas).await?;
        let plan = planner.plan(&request.prompt_text, &context).await.map_err(answerable)?;
        let sql = self.plan.insert(plan).sql.clone();
        let run = Run {
            kind: RunKind::Prompt,
            sources,
            sql: &sql,
            parameters: &serde_json::Map::new(),
            default_schema: None,
            form: Form::Page,
            max_rows: Some(PREVIEW_ROWS),
            timeout: None,
            max_age: None,
        };
        self.answer = Some(engine.run(caller, origin, run).await?);
        Ok(())
    }

    fn into_execution(self, row: execution::Model) -> Result<Execution> {
        let (Some(plan), Some(answer)) = (self.plan, self.answer) else {
            return Err(Error::internal("a finished run without its plan or its answer"));
        };
        let names: Vec<String> = answer.columns.iter().map(|column| column.name.clone()).collect();
        let preview = answer.rows.into_iter().map(|row| names.iter().cloned().zip(row).collect()).collect();
        Ok(Execution {
            execution_id: row.id,
            prompt_id: row.prompt_id,
            status: row.status,
            ai_processing_status: row.ai_processing_status,
            query_execution_status: row.query_execution_status,
            started_at: row.started_at,
            progress_percentage: 100,
            generated_query_text: Some(plan.sql),
            rows_returned: Some(answer.row_count),
            result_preview: Some(preview),
            truncated: answer.truncated,
            columns: answer.columns,
            explanation: plan.explanation,
            understood: plan.understood,
            confidence: plan.confidence,
            ai_model: plan.model,
            query_id: answer.query_id,
            policies_applied: answer.policies.into_iter().map(PolicyOfQuery::from).collect(),
            total_duration_ms: row.total_duration_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default(),
        })
    }
}

/// Dropped in the middle of a run, because the client went away, it ends the run on record.
struct GivenUp {
    studio: Option<Studio>,
    id: ExecutionId,
}

impl GivenUp {
    fn disarm(mut self) {
        self.studio = None;
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        let (Some(studio), id) = (self.studio.take(), self.id) else { return };
        tokio::spawn(async move {
            let reason = "The client went away while this ran.";
            if let Err(error) = crate::fail(&studio.engine.platform, execution::Column::Id.eq(id), reason).await {
                tracing::error!(%error, %id, "the end of a run could not be recorded");
            }
        });
    }
}

/// The run is on record before anything is read.
async fn begin(studio: &Studio, caller: &Caller, tenant: Tenant, request: &ExecuteRequest) -> Result<execution::Model> {
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    let row = execution::ActiveModel {
        organization_id: Set(tenant.organization_id()),
        user_id: Set(caller.user_id),
        prompt_id: Set(None),
        prompt_text: Set(request.prompt_text.replace('\0', "")),
        status: Set(Status::Processing),
        ai_processing_status: Set(StepStatus::InProgress),
        query_execution_status: Set(None),
        query_id: Set(None),
        generated_query_text: Set(None),
        rows_returned: Set(None),
        error_code: Set(None),
        error_message: Set(None),
        started_at: Set(platform.clock.now()),
        completed_at: Set(None),
        total_duration_ms: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(row)
}

/// Writes down how the run ended and, where it was asked for, keeps the question; in one transaction.
async fn end(
    studio: &Studio,
    caller: &Caller,
    origin: &RequestOrigin,
    request: &ExecuteRequest,
    started: execution::Model,
    attempt: &Attempt,
    error: Option<&Error>,
) -> Result<execution::Model> {
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let status = if error.is_none() { Status::Completed } else { Status::Failed };
    let tx = platform.db.begin().await?;
    let prompt_id = if request.save_prompt.unwrap_or(false) {
        let kept = keep(caller, request, attempt, error, status, now)?.insert(tx.conn()).await?;
        let actor = origin.actor(caller.user_id);
        let record = AuditRecord::new(Some(kept.organization_id), actor, "prompt.save").target("prompt", kept.id);
        audit::record(&tx, &platform.clock, record).await?;
        Some(kept.id)
    } else {
        None
    };
    let took = (now - started.started_at).num_milliseconds().max(0);
    let mut row = started.into_active_model();
    row.prompt_id = Set(prompt_id);
    row.status = Set(status);
    row.ai_processing_status = Set(step(attempt.plan.is_some()));
    row.query_execution_status = Set(attempt.plan.as_ref().map(|_| step(attempt.answer.is_some())));
    row.query_id = Set(attempt.answer.as_ref().map(|answer| answer.query_id));
    row.generated_query_text = Set(attempt.plan.as_ref().map(|plan| plan.sql.clone()));
    row.rows_returned = Set(attempt.answer.as_ref().and_then(|answer| i64::try_from(answer.row_count).ok()));
    row.error_code = Set(error.map(|error| error.code.as_str().to_owned()));
    row.error_message = Set(error.map(|error| error.message.to_string()));
    row.completed_at = Set(Some(now));
    row.total_duration_ms = Set(Some(took));
    let row = row.update(tx.conn()).await?;
    tx.commit().await?;
    Ok(row)
}

fn step(done: bool) -> StepStatus {
    if done { StepStatus::Completed } else { StepStatus::Failed }
}

fn keep(
    caller: &Caller,
    request: &ExecuteRequest,
    attempt: &Attempt,
    error: Option<&Error>,
    status: Status,
    now: DateTime<Utc>,
) -> Result<prompt::ActiveModel> {
    let membership = caller.membership()?;
    let plan = attempt.plan.as_ref();
    let metadata = plan.map(|plan| {
        serde_json::json!({"model": plan.model, "confidence": plan.confidence, "tokens_used": plan.tokens_used,
            "explanation": plan.explanation})
    });
    Ok(prompt::ActiveModel {
        organization_id: Set(membership.organization_id),
        workspace_id: Set(membership.workspace_id),
        name: Set(request.name.clone()),
        prompt_text: Set(request.prompt_text.replace('\0', "")),
        selected_data_source_ids: Set(serde_json::json!(request.selected_data_source_ids)),
        selected_schema_names: Set(serde_json::json!(request.selected_schema_names.clone().unwrap_or_default())),
        generated_query_id: Set(attempt.answer.as_ref().map(|answer| answer.query_id)),
        generated_query_text: Set(plan.map(|plan| plan.sql.clone())),
        status: Set(status),
        tags: Set(serde_json::json!(request.tags.clone().unwrap_or_default())),
        ai_model_used: Set(plan.map(|plan| plan.model.clone())),
        ai_response_metadata: Set(metadata.unwrap_or_else(|| serde_json::json!({}))),
        error_message: Set(error.map(|error| error.message.to_string())),
        created_by_user_id: Set(caller.user_id),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        ..Default::default()
    })
}

fn answerable(error: PlanError) -> Error {
    let message = error.to_string();
    match error {
        PlanError::NotUnderstood { unknown_words, suggestions, .. } => {
            let words = unknown_words.into_iter().map(|word| FieldError::new("unknown_word", word));
            let suggestions = suggestions.into_iter().map(|question| FieldError::new("suggestion", question));
            Error::new(ErrorCode::QuestionNotUnderstood)
                .with_message(message)
                .with_details(words.chain(suggestions).collect())
        }
        PlanError::Withheld { names, .. } => Error::new(ErrorCode::PolicyDenied)
            .with_message(message)
            .with_details(names.into_iter().map(|name| FieldError::new("withheld", name)).collect()),
        PlanError::Unavailable { retryable, .. } => {
            let error = Error::new(ErrorCode::PlannerUnavailable).with_message(message);
            if retryable { error.with_retry_after(Duration::from_secs(10)) } else { error }
        }
        PlanError::InvalidAnswer { .. } => Error::new(ErrorCode::PlannerUnavailable).with_message(message),
    }
}
