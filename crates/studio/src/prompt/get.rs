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
use crate::{Studio, sight::Reader};

/// A saved question, with its latest SQL.
#[derive(Debug, Serialize, ToSchema)]
pub struct Prompt {
    #[serde(flatten)]
    pub summary: PromptSummary,
    /// Null where it never became one, and where it names what does not exist for who reads it.
    pub generated_query: Option<GeneratedQuery>,
    #[schema(examples("embedded"))]
    pub ai_model_used: Option<String>,
    /// What a provider calls its answer; the run, where the planner is this server's own.
    pub ai_request_id: Option<String>,
    /// `model`, `confidence` from 0 to 1, `tokens_used` and, for whoever reads the SQL as it is, `explanation`; empty
    /// where nothing was understood.
    #[schema(value_type = Object, example = json!({"model": "embedded", "confidence": 0.98, "tokens_used": 0,
        "explanation": "Number of orders for each orders.region."}))]
    pub ai_response_metadata: serde_json::Value,
    /// For whoever reads the SQL as it is.
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
    /// `?` stands for each literal where one sees a part only of what it reads, unless one asked it oneself.
    #[schema(examples("SELECT region, count(*) FROM orders.files.orders GROUP BY region"))]
    pub query_text: String,
}

impl Prompt {
    /// As the reader reads it: words that explain the SQL, or why there is none, may say what the SQL says.
    fn new(row: super::Model, reader: &Reader) -> Result<Self> {
        let summary = PromptSummary::new(&row)?;
        let sql = row.generated_query_text.as_deref();
        let reads_all = reader.reads_all(sql);
        let told = sql.and_then(|sql| reader.told(sql));
        let mut ai_response_metadata = row.ai_response_metadata;
        if !reads_all && let Some(said) = ai_response_metadata.as_object_mut() {
            said.remove("explanation");
        }
        Ok(Self {
            summary,
            generated_query: told.map(|query_text| GeneratedQuery { id: row.generated_query_id, query_text }),
            ai_request_id: row.ai_model_used.as_ref().and(row.generated_query_id).map(|id| format!("query-{id}")),
            ai_model_used: row.ai_model_used,
            ai_response_metadata,
            error_message: row.error_message.filter(|_| reads_all),
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
    let row = super::find(&studio, &caller, id).await?;
    let reader = Reader::of(&studio, &caller, &row).await?;
    Ok(Reply::ok(Prompt::new(row, &reader)?, "The saved question."))
}
