//! Runs of questions: how one goes, what is kept of it, and how to follow it.
//!
//! ```text
//! ask ─ on record: started ─┬─ course ─ policy check ─ context ─ plan ─ check, repair ─ governed run ─ on record: ended
//!                           │     └ each step an event ─▶ stored ─▶ stream: WebSocket or server-sent events
//!                           ├ the request waits for it, and leaving it cancels it
//!                           └ or, with `Prefer: respond-async`, the run goes on by itself, and its result is kept
//! ```
//!
//! A run is its person's: others do not find it. Whoever may read the organization's audit log sees how it stands, never its
//! rows.

pub mod ask;
pub mod cancel;
pub mod clarify;
pub(crate) mod course;
pub mod event;
pub mod feedback;
pub(crate) mod live;
pub mod save;
pub mod stream;

pub(crate) use course::{abandon, without_life};

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Caller, Error, ErrorCode, ExecutionId, FieldError, OrganizationId, Permission, PromptId, QueryId, Result,
    TemplateId, Tenant, UserId, WorkspaceId,
};
use rivergen_platform::{
    db::{TenantOwned, TenantScope},
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};
use rivergen_policies::{decision::AppliedPolicy, evaluation::run};
use rivergen_query::{QueryColumn, bytes_of, json};
use rivergen_runs::http::{PolicyOfQuery, require_audit};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Studio, chart,
    planner::{Choice, Plan, Understanding},
    prompt::{Status, StepStatus},
    semantics::definition::SynonymDefinition,
};

/// Whether a run answered its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ExecutionFeedback)]
pub enum Feedback {
    #[sea_orm(string_value = "right")]
    Right,
    #[sea_orm(string_value = "wrong")]
    Wrong,
}

/// Rows that an answer shows.
pub(crate) const PREVIEW_ROWS: u64 = 1000;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_executions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ExecutionId,
    pub organization_id: OrganizationId,
    /// Where the person stood.
    pub workspace_id: Option<WorkspaceId>,
    pub user_id: UserId,
    pub prompt_id: Option<PromptId>,
    pub template_id: Option<TemplateId>,
    pub prompt_text: String,
    /// Ids, as a JSON array; null in runs of old.
    pub data_source_ids: Option<Json>,
    /// Names, as a JSON array.
    pub schema_names: Option<Json>,
    pub follows_execution_id: Option<ExecutionId>,
    /// What the question goes on from: [`crate::planner::Turn`]s, as a JSON array.
    pub thread: Option<Json>,
    pub status: Status,
    pub ai_processing_status: StepStatus,
    pub query_execution_status: Option<StepStatus>,
    pub progress_percentage: i16,
    pub query_id: Option<QueryId>,
    pub generated_query_text: Option<String>,
    /// What the planner said beside the SQL: [`Told`].
    pub told: Option<Json>,
    pub rows_returned: Option<i64>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    /// `{field, reason}`, as a JSON array.
    pub error_details: Option<Json>,
    /// What its person is asked: [`Clarification`].
    pub clarification: Option<Json>,
    pub started_at: DateTime<Utc>,
    pub completed_at: Option<DateTime<Utc>>,
    pub total_duration_ms: Option<i64>,
    pub ai_duration_ms: Option<i64>,
    pub query_duration_ms: Option<i64>,
    /// When its node last gave a sign of life of it.
    pub heartbeat_at: Option<DateTime<Utc>>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// What its person says of it.
    pub feedback: Option<Feedback>,
    pub feedback_comment: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// What a planner says of its plan beside the SQL.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    pub explanation: String,
    pub understood: Vec<Understanding>,
    pub confidence: f64,
    pub model: String,
    pub tokens_used: u64,
    #[serde(default)]
    pub follow_ups: Vec<String>,
}

impl Told {
    pub fn of(plan: &Plan, follow_ups: Vec<String>) -> Self {
        Self {
            explanation: plan.explanation.clone(),
            understood: plan.understood.clone(),
            confidence: plan.confidence,
            model: plan.model.clone(),
            tokens_used: plan.tokens_used,
            follow_ups,
        }
    }

    /// As a saved question keeps it.
    pub fn metadata(&self) -> serde_json::Value {
        serde_json::json!({"model": self.model, "confidence": self.confidence, "tokens_used": self.tokens_used,
            "explanation": self.explanation})
    }
}

/// Of questions back, the kind that there is.
pub(crate) const CLARIFICATION: &str = "clarification";

/// What a run that could not go on asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Clarification {
    pub question: String,
    /// That can be read in several ways.
    pub word: String,
    pub choices: Vec<Choice>,
    /// What was answered on the way here.
    pub chosen: Vec<SynonymDefinition>,
}

impl Clarification {
    pub fn options(&self) -> Vec<String> {
        self.choices.iter().map(|choice| choice.label.clone()).collect()
    }
}

/// A question back: which of several readings is meant.
#[derive(Debug, Serialize, ToSchema)]
pub struct InputRequest {
    /// The run that asks.
    #[schema(examples("42"))]
    pub request_id: String,
    #[schema(examples("clarification"))]
    pub kind: String,
    #[schema(examples("\"region\" can mean orders.region or customers.region; which one do you mean?"))]
    pub question: String,
    #[schema(examples(json!(["orders.region", "customers.region"])))]
    pub options: Vec<String>,
}

/// A run and its progress so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct Execution {
    pub execution_id: ExecutionId,
    /// If the question is saved.
    pub prompt_id: Option<PromptId>,
    /// The run that the question follows up on.
    pub follows_execution_id: Option<ExecutionId>,
    pub status: Status,
    pub ai_processing_status: StepStatus,
    pub query_execution_status: Option<StepStatus>,
    #[schema(examples(100))]
    pub progress_percentage: i16,
    pub started_at: DateTime<Utc>,
    /// Null while it runs.
    pub completed_at: Option<DateTime<Utc>>,
    #[schema(examples(42))]
    pub total_duration_ms: Option<i64>,
    /// The SQL for the question.
    #[schema(examples("SELECT region, count(*) FROM orders.files.orders GROUP BY region"))]
    pub generated_query_text: Option<String>,
    #[schema(examples(4))]
    pub rows_returned: Option<i64>,
    /// The first rows as objects, by column name; at most 1000. When read later, they are only there if the run was
    /// requested with `Prefer: respond-async`, for a while, and as long as you may see the same.
    #[schema(value_type = Option<Vec<Object>>, example = json!([{"region": "EU", "orders": 333412}]))]
    pub result_preview: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
    /// Whether there are more rows than are shown.
    pub truncated: Option<bool>,
    pub columns: Option<Vec<QueryColumn>>,
    /// A Vega-Lite specification over the data set `result`, the rows; null if a table is better.
    #[schema(value_type = Option<Object>, example = json!({"mark": "bar", "encoding": {}}))]
    pub chart: Option<serde_json::Value>,
    /// How the question was understood, in plain words, with each choice that had to be made.
    #[schema(examples("Counting orders, for each region, where ordered at is in 2025."))]
    pub explanation: Option<String>,
    #[schema(value_type = Vec<Object>, example = json!([{"phrase": "per region", "meaning": "grouped by orders.region"}]))]
    pub understood: Vec<Understanding>,
    /// From 0 (a guess) to 1 (every word was matched).
    #[schema(examples(0.98))]
    pub confidence: Option<f64>,
    /// Possible follow-up questions.
    #[schema(examples(json!(["number of orders by month"])))]
    pub follow_up_questions: Vec<String>,
    #[schema(examples("embedded"))]
    pub ai_model: Option<String>,
    pub query_id: Option<QueryId>,
    pub policies_applied: Vec<PolicyOfQuery>,
    #[schema(examples("QUESTION_NOT_UNDERSTOOD"))]
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    /// Details of the error: words that were not understood, and similar questions that are.
    #[schema(value_type = Vec<FieldError>)]
    pub error_details: serde_json::Value,
    /// If the run ended with a question back; the answer goes to `…/clarify`.
    pub input_required: Option<InputRequest>,
}

/// What a run read, for the one who asked.
pub(crate) struct Preview {
    pub columns: Vec<QueryColumn>,
    pub rows: Vec<Vec<serde_json::Value>>,
    pub truncated: bool,
    pub policies: Vec<AppliedPolicy>,
}

impl Execution {
    pub(crate) fn new(row: Model, preview: Option<Preview>) -> Result<Self> {
        let asked: Option<Clarification> =
            row.clarification.map(serde_json::from_value).transpose().map_err(Error::internal)?;
        let input_required = asked.map(|asked| InputRequest {
            request_id: row.id.to_string(),
            kind: CLARIFICATION.to_owned(),
            options: asked.options(),
            question: asked.question,
        });
        let told: Option<Told> = row.told.map(serde_json::from_value).transpose().map_err(Error::internal)?;
        let (mut columns, mut rows, mut truncated, mut policies, mut chart) = (None, None, None, Vec::new(), None);
        if let Some(preview) = preview {
            let names: Vec<&String> = preview.columns.iter().map(|column| &column.name).collect();
            let objects = |row: Vec<serde_json::Value>| names.iter().map(|name| (*name).clone()).zip(row).collect();
            let objects: Vec<serde_json::Map<_, _>> = preview.rows.into_iter().map(objects).collect();
            chart = chart::propose(&preview.columns, &objects);
            truncated = Some(preview.truncated);
            policies = preview.policies;
            rows = Some(objects);
            columns = Some(preview.columns);
        }
        let (explanation, confidence, ai_model) = match &told {
            Some(told) => (Some(told.explanation.clone()), Some(told.confidence), Some(told.model.clone())),
            None => (None, None, None),
        };
        let (understood, follow_up_questions) = told.map(|told| (told.understood, told.follow_ups)).unwrap_or_default();
        Ok(Self {
            execution_id: row.id,
            prompt_id: row.prompt_id,
            follows_execution_id: row.follows_execution_id,
            status: row.status,
            ai_processing_status: row.ai_processing_status,
            query_execution_status: row.query_execution_status,
            progress_percentage: row.progress_percentage,
            started_at: row.started_at,
            completed_at: row.completed_at,
            total_duration_ms: row.total_duration_ms,
            generated_query_text: row.generated_query_text,
            rows_returned: row.rows_returned,
            result_preview: rows,
            truncated,
            columns,
            chart,
            explanation,
            understood,
            confidence,
            follow_up_questions,
            ai_model,
            query_id: row.query_id,
            policies_applied: policies.into_iter().map(PolicyOfQuery::from).collect(),
            error_code: row.error_code,
            error_message: row.error_message,
            error_details: row.error_details.unwrap_or_else(|| serde_json::json!([])),
            input_required,
        })
    }
}

errors! { pub StatusErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Read a run's status and answer
#[utoipa::path(get, path = "/api/v1/prompts/executions/{execution_id}", tag = "prompt_studio",
    params(("execution_id" = ExecutionId, Path, description = "The run")),
    responses((status = 200, description = "The run", body = Envelope<Execution>), StatusErrors))]
pub async fn get_execution_status(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Path(id): Path<ExecutionId>,
) -> Result<Reply<Execution>> {
    let tenant = caller.require(Permission::PromptRead)?;
    let row = find(&studio, &caller, tenant, id).await?;
    let preview = preview(&studio, &caller, tenant, &row).await?;
    let is_own = row.user_id == caller.user_id;
    let mut execution = Execution::new(row, preview)?;
    if !is_own {
        // They are made of what its person may see.
        execution.follow_up_questions.clear();
        execution.error_details = serde_json::json!([]);
        execution.input_required = None;
    }
    Ok(Reply::ok(execution, "The run of the question."))
}

/// A run that the caller may see.
pub(crate) async fn find(studio: &Studio, caller: &Caller, tenant: Tenant, id: ExecutionId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).one(studio.engine.platform.db.read()).await?;
    let seen = found.filter(|row| row.user_id == caller.user_id || require_audit(caller).is_ok());
    seen.ok_or_else(|| ErrorCode::NotFound.into())
}

/// A run of the caller's own. What was meant, how it answered and what follows is for whoever asked to say: its answer
/// was made of what they may see.
pub(crate) async fn find_own(studio: &Studio, caller: &Caller, tenant: Tenant, id: ExecutionId) -> Result<Model> {
    let run = find(studio, caller, tenant, id).await?;
    if run.user_id == caller.user_id { Ok(run) } else { Err(ErrorCode::NotFound.into()) }
}

/// What is kept of a run's answer, where the caller asked for it and may still see the same.
pub(crate) async fn preview(studio: &Studio, caller: &Caller, tenant: Tenant, row: &Model) -> Result<Option<Preview>> {
    let own = row.user_id == caller.user_id && caller.may(Permission::DataSourceQuery);
    let Some(query_id) = row.query_id.filter(|_| own && row.status == Status::Completed) else { return Ok(None) };
    let engine = &studio.engine;
    let run = tenant.find::<run::Entity>().filter(run::Column::Id.eq(query_id)).one(engine.platform.db.read()).await?;
    let Some(run) = run else { return Ok(None) };
    let mut kept = match engine.result(caller, &run).await {
        Ok(kept) => kept,
        // Nothing is kept, or not for these eyes any more, or nobody can tell now: the rest of the run is told all the
        // same.
        Err(error)
            if error.code.status() < 500
                || matches!(error.code, ErrorCode::ConnectionError | ErrorCode::QueryTimeout) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let page = engine.settings.page;
    let most = usize::try_from(std::cmp::min(PREVIEW_ROWS, page.rows)).unwrap_or(usize::MAX);
    let (mut rows, mut room) = (Vec::new(), page.bytes);
    while rows.len() < most
        && let Some(batch) = kept.reader.next().await?
    {
        let batch = batch.slice(0, std::cmp::min(batch.num_rows(), most - rows.len()));
        let Some(left) = room.checked_sub(bytes_of(&batch)) else { break };
        room = left;
        json::append_rows(&batch, &mut rows)?;
    }
    let shown = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let truncated = kept.truncated || run.row_count.is_some_and(|all| all > shown);
    Ok(Some(Preview { columns: kept.columns, rows, truncated, policies: kept.policies }))
}
