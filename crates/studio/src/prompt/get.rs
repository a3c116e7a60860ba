//! `GET /api/v1/prompts/{prompt_id}`.

use axum::extract::State;
use rivergen_kernel::{PromptId, QueryId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::PromptSummary;
use crate::Studio;

/// A saved question, with its latest SQL.
#[derive(Debug, Serialize, ToSchema)]
pub struct Prompt {
    #[serde(flatten)]
    pub summary: PromptSummary,
    /// Null where it never became one.
    pub generated_query: Option<GeneratedQuery>,
    #[schema(examples("embedded"))]
    pub ai_model_used: Option<String>,
    /// What a provider calls its answer; the run, where the planner is this server's own.
    pub ai_request_id: Option<String>,
    /// `model`, `confidence` from 0 to 1, `tokens_used` and `explanation`; empty where nothing was understood.
    #[schema(value_type = Object, example = json!({"model": "embedded", "confidence": 0.98, "tokens_used": 0,
        "explanation": "Number of orders for each orders.region."}))]
    pub ai_response_metadata: serde_json::Value,
    pub error_message: Option<String>,
    /// What clients keep with it.
    #[schema(value_type = Object, example = json!({"dashboard": "sales"}))]
    pub metadata: serde_json::Value,
}

/// The SQL for a question.
#[derive(Debug, Serialize, ToSchema)]
pub struct GeneratedQuery {
    /// Its run; null if it did not get that far.
    pub id: Option<QueryId>,
    #[schema(examples("SELECT region, count(*) FROM orders.files.orders GROUP BY region"))]
    pub query_text: String,
}

impl Prompt {
    fn new(row: super::Model) -> Result<Self> {
        Ok(Self {
            summary: PromptSummary::new(&row)?,
            generated_query: row
                .generated_query_text
                .map(|query_text| GeneratedQuery { id: row.generated_query_id, query_text }),
            ai_request_id: row.ai_model_used.as_ref().and(row.generated_query_id).map(|id| format!("query-{id}")),
            ai_model_used: row.ai_model_used,
            ai_response_metadata: row.ai_response_metadata,
            error_message: row.error_message,
            metadata: row.metadata.unwrap_or_else(|| serde_json::json!({})),
        })
    }
}

errors! { pub GetErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

/// Read a saved question
#[utoipa::path(get, path = "/api/v1/prompts/{prompt_id}", tag = "prompt_studio",
    params(("prompt_id" = PromptId, Path, description = "The saved question")),
    responses((status = 200, description = "The question", body = Envelope<Prompt>), GetErrors))]
pub async fn get_prompt(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Path(id): Path<PromptId>,
) -> Result<Reply<Prompt>> {
    Ok(Reply::ok(Prompt::new(super::find(&studio, &caller, id).await?)?, "The saved question."))
}
