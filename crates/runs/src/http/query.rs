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
use chrono::{DateTime, Utc};
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

use super::history::{self, QueryRun};
use crate::{Engine, Form, Run, RunAnswer, Started, engine::Estimate, results::Errand};

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
    /// At most 10000 for JSON. Other forms have all rows without it, or fail where a limit lets fewer through.
    #[garde(inner(range(min = 1)))]
    #[schema(default = 1000, minimum = 1)]
    pub max_rows: Option<u64>,
    /// At most the source's own `query_timeout`.
    #[garde(inner(range(min = 1, max = 86_400)))]
    pub timeout_seconds: Option<u64>,
    /// Plan and policies only: nothing runs.
    pub dry_run: Option<bool>,
    /// A page that was computed so many seconds ago at most does, if it is the same for the caller. Not for queries that ask for
    /// the time, or whose row filters look something up in a table.
    #[garde(inner(range(min = 1, max = 3_600)))]
    pub max_age_seconds: Option<u64>,
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
    /// What a dry run expects to be read; null if unknown, or if a row filter hides part of it.
    pub estimate: Option<Estimate>,
    /// When the rows were computed, where `max_age_seconds` let an earlier answer do.
    pub computed_at: Option<DateTime<Utc>>,
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
pub(super) const LONGEST_PAGE: u64 = 10_000;
pub const RESPOND_ASYNC: &str = "respond-async";
const JSON: &str = "application/json";

/// Run a read-only query on a data source, subject to the caller's policies
#[utoipa::path(post, path = "/api/v1/data-sources/{data_source_id}/query", tag = "data_sources", request_body = QueryRequest,
    params(("data_source_id" = DataSourceId, Path, description = "The source"),
        ("prefer" = Option<String>, Header, description = "`respond-async` (RFC 7240): the query continues in the background, and its result is kept for a while", example = "respond-async")),
    responses(
        (status = 202, description = "Running. `location` is the address of its status, and `…/result` that of its result",
            body = Envelope<QueryRun>, headers(("location" = String, description = "The run"))),
        (status = 200, description = "The rows that the caller may see. With `Accept: text/csv`, \
            `application/vnd.apache.arrow.stream` or `application/vnd.apache.parquet` they are streamed in that form; \
            `x-query-id` names the run; more rows than `x-max-rows` break the stream off, unless `max_rows` \
            asked for no more",
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
    let mut ids = vec![id];
    for further in request.additional_data_source_ids.unwrap_or_default() {
        if !ids.contains(&further) {
            ids.push(further);
        }
    }
    let sources = engine.sources.find_all(&access, &ids).await?;
    if !dry_run && prefers_to_go_on(&headers) {
        let errand = Errand {
            kind: RunKind::Sql,
            sources,
            sql: request.query,
            parameters: request.parameters.unwrap_or_default(),
            default_schema: request.schema_name,
            max_rows: request.max_rows,
            timeout: request.timeout_seconds.map(Duration::from_secs),
        };
        let query_id = engine.send(&caller, &origin, errand).await?;
        return Ok(sent(history::read(&engine, &caller, access.tenant(), query_id).await?));
    }
    if encoding.is_none() && request.max_rows.is_some_and(|rows| rows > LONGEST_PAGE) {
        return Err(Error::invalid_field("max_rows", "is greater than 10000; ask for CSV, Arrow or Parquet"));
    }
    let run = Run {
        kind: RunKind::Sql,
        sources,
        sql: &request.query,
        parameters: &request.parameters.unwrap_or_default(),
        default_schema: request.schema_name.as_deref(),
        form: if encoding.is_some() { Form::Download } else { Form::Page },
        max_rows: request.max_rows.or(encoding.is_none().then_some(1000)),
        timeout: request.timeout_seconds.map(Duration::from_secs),
        max_age: request.max_age_seconds.map(Duration::from_secs),
    };
    let started = engine.start(&caller, &origin, run).await?;
    match encoding {
        _ if dry_run => Ok(page(id, started.plan().await?)),
        None => Ok(page(id, started.rows().await?)),
        Some(encoding) => download(started, encoding).await,
    }
}

/// Whether the client wants to come back for the result (RFC 7240 section 4.1).
pub fn prefers_to_go_on(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|preference| preference.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

fn sent(run: QueryRun) -> Response {
    let location = format!("/api/v1/queries/{}", run.query_id);
    let mut response = Reply::accepted(run, "The query runs.").into_response();
    let headers = response.headers_mut();
    headers.insert("preference-applied", HeaderValue::from_static(RESPOND_ASYNC));
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// The encoding that the client asks for; none means a page of JSON.
pub(super) fn encoding(headers: &HeaderMap) -> Option<Encoding> {
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
        estimate: answer.estimate,
        computed_at: answer.computed_at,
    };
    Reply::ok(answer, message).into_response()
}

async fn download(started: Started, encoding: Encoding) -> Result<Response> {
    let (query_id, max_rows) = (started.query_id(), started.max_rows());
    let bytes = started.encoded(encoding).await?;
    let mut response = Response::new(Body::from_stream(bytes));
    head_of_download(response.headers_mut(), query_id, encoding)?;
    response.headers_mut().insert("x-max-rows", max_rows.into());
    Ok(response)
}

/// What a program that saves an answer wants to know of it.
pub(super) fn head_of_download(headers: &mut HeaderMap, query_id: QueryId, encoding: Encoding) -> Result<()> {
    let file = format!("attachment; filename=\"query-{query_id}.{}\"", encoding.file_extension());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(file).map_err(Error::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-query-id", query_id.0.into());
    Ok(())
}
