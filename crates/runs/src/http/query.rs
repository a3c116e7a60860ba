//! `POST /api/v1/data-sources/{data_source_id}/query`: one read-only statement under the caller's policies.
//!
//! The answer is a page of JSON, or, where the client asks for it by `Accept`, a download: CSV, an Arrow IPC stream or
//! Parquet, streamed as it is computed.

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, Permission, QueryId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, preferred},
};
use rivergen_policies::{
    decision::{ActionTaken, AppliedPolicy, EvaluationResult},
    evaluation::RunKind,
    rule::PolicyType,
};
use rivergen_query::{Encoding, QueryColumn};
use rivergen_sources::access::Access;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Engine, Form, Run, RunAnswer, Started};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"query": "SELECT region, count(*) AS orders FROM orders WHERE amount > $least GROUP BY region",
    "parameters": {"least": 100}, "max_rows": 100}))]
pub struct QueryRequest {
    /// One `SELECT`, `WITH … SELECT` or `EXPLAIN` of one. Tables of the source need no prefix; those of further
    /// sources are `source.schema.table`.
    #[garde(length(chars, min = 1, max = 100_000))]
    pub query: String,
    /// Values for `$name` in the query. They are bound, never part of its text.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<serde_json::Map<String, serde_json::Value>>,
    /// Schema in which names without one are looked up.
    #[garde(inner(length(min = 1, max = 255)))]
    pub schema_name: Option<String>,
    /// At most 10000 for JSON. Other forms have all rows without it, up to the operator's limit.
    #[garde(inner(range(min = 1)))]
    #[schema(default = 1000, minimum = 1)]
    pub max_rows: Option<u64>,
    /// At most the source's own `query_timeout`.
    #[garde(inner(range(min = 1, max = 86_400)))]
    pub timeout_seconds: Option<u64>,
    /// Plan and policies only: nothing runs.
    pub dry_run: Option<bool>,
    /// Further sources that the query may join.
    #[garde(inner(length(max = 20)))]
    pub additional_data_source_ids: Option<Vec<DataSourceId>>,
}

/// The rows, and what the policies did.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryAnswer {
    pub query_id: QueryId,
    pub data_source_id: DataSourceId,
    pub columns: Vec<QueryColumn>,
    /// Values as JSON; decimals and integers beyond 2⁵³ as text, times as RFC 3339, bytes as base64.
    #[schema(value_type = Vec<Vec<Object>>, example = json!([["EU", 4182], ["US", 3911]]))]
    pub rows: Vec<Vec<serde_json::Value>>,
    #[schema(examples(2))]
    pub row_count: u64,
    /// There were more rows than the limit lets through.
    pub truncated: bool,
    #[schema(examples(42))]
    pub execution_time_ms: u64,
    pub policies_applied: Vec<PolicyOfQuery>,
    /// The governed plan of a dry run. Filters are named, not told.
    pub governed_plan: Option<String>,
}

/// What one policy did to the query.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyOfQuery {
    pub policy_id: rivergen_kernel::PolicyId,
    #[schema(examples("Orders by region"))]
    pub policy_name: String,
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    pub evaluation_result: EvaluationResult,
    pub action_taken: ActionTaken,
}

impl From<AppliedPolicy> for PolicyOfQuery {
    fn from(policy: AppliedPolicy) -> Self {
        Self {
            policy_id: policy.policy_id,
            policy_name: policy.policy_name,
            policy_type: policy.policy_type,
            evaluation_result: policy.evaluation_result,
            action_taken: policy.action_taken,
        }
    }
}

errors! { pub QueryErrors: InvalidRequest, InvalidQuery, Unauthorized, PolicyDenied, Forbidden, EmailNotVerified, NotFound,
DataSourceUnavailable, ValidationError, UnreadableFile, QueryLimitExceeded, ConnectionError, QueryTimeout; }

/// Rows of a page of JSON at most.
const LONGEST_PAGE: u64 = 10_000;
const JSON: &str = "application/json";

/// Run a read-only query on a source under the caller's policies
#[utoipa::path(post, path = "/api/v1/data-sources/{data_source_id}/query", tag = "data_sources", request_body = QueryRequest,
    params(("data_source_id" = DataSourceId, Path, description = "The source")),
    responses(
        (status = 200, description = "The rows that the caller may see. With `Accept: text/csv`, \
            `application/vnd.apache.arrow.stream` or `application/vnd.apache.parquet` they are streamed in that form; \
            `x-query-id` names the run and `x-max-rows` the number of rows after which the answer is cut",
            content((Envelope<QueryAnswer> = "application/json"), (String = "text/csv"),
                (String = "application/vnd.apache.arrow.stream"), (String = "application/vnd.apache.parquet"))),
        QueryErrors))]
pub async fn query_data_source(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path(id): Path<DataSourceId>,
    Json(request): Json<QueryRequest>,
) -> Result<Response> {
    let access = Access::of(&caller, Permission::DataSourceQuery)?;
    let encoding = encoding(&headers);
    let dry_run = request.dry_run.unwrap_or(false);
    if encoding.is_none() && request.max_rows.is_some_and(|rows| rows > LONGEST_PAGE) {
        return Err(Error::invalid_field("max_rows", "is greater than 10000; ask for CSV, Arrow or Parquet"));
    }
    let mut ids = vec![id];
    for further in request.additional_data_source_ids.unwrap_or_default() {
        if !ids.contains(&further) {
            ids.push(further);
        }
    }
    let run = Run {
        kind: RunKind::Sql,
        sources: engine.sources.find_all(&access, &ids).await?,
        sql: &request.query,
        parameters: &request.parameters.unwrap_or_default(),
        default_schema: request.schema_name.as_deref(),
        form: if encoding.is_some() { Form::Download } else { Form::Page },
        max_rows: request.max_rows.or(encoding.is_none().then_some(1000)),
        timeout: request.timeout_seconds.map(Duration::from_secs),
    };
    let started = engine.start(&caller, &origin, run).await?;
    match encoding {
        _ if dry_run => Ok(page(id, started.plan().await?)),
        None => Ok(page(id, started.rows().await?)),
        Some(encoding) => download(started, encoding).await,
    }
}

/// The encoding that the client asks for; none means a page of JSON.
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let offered: Vec<&str> = std::iter::once(JSON).chain(Encoding::ALL.map(Encoding::media_type)).collect();
    let preferred = preferred(headers, &offered)?;
    Encoding::ALL.into_iter().find(|encoding| encoding.media_type() == preferred)
}

fn page(id: DataSourceId, answer: RunAnswer) -> Response {
    let message = if answer.plan.is_some() { "Planned; nothing ran." } else { "The query ran." };
    let answer = QueryAnswer {
        query_id: answer.query_id,
        data_source_id: id,
        columns: answer.columns,
        rows: answer.rows,
        row_count: answer.row_count,
        truncated: answer.truncated,
        execution_time_ms: u64::try_from(answer.elapsed.as_millis()).unwrap_or(u64::MAX),
        policies_applied: answer.policies.into_iter().map(PolicyOfQuery::from).collect(),
        governed_plan: answer.plan,
    };
    Reply::ok(answer, message).into_response()
}

async fn download(started: Started, encoding: Encoding) -> Result<Response> {
    let (query_id, max_rows) = (started.query_id(), started.max_rows());
    let file = format!("attachment; filename=\"query-{query_id}.{}\"", encoding.file_extension());
    let bytes = started.encoded(encoding).await?;
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(file).map_err(Error::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-query-id", query_id.0.into());
    headers.insert("x-max-rows", max_rows.into());
    Ok(response)
}
