//! `POST /api/v1/data-sources/{data_source_id}/test`: connects now and records how it went.
//!
//! A statement of the caller's is run as every query is: read-only, bounded and under the policies, so a
//! test is no way round a mask.

use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_policies::evaluation::RunKind;
use rivergen_sources::{
    access::Access,
    health::steps::{self, TestStep},
    source::Status,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Engine, Form, Run};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"test_query": "SELECT 1", "timeout_seconds": 10}))]
pub struct TestRequest {
    /// A statement to run after the built-in test, under the caller's policies.
    #[garde(inner(length(chars, min = 1, max = 100_000)))]
    pub test_query: Option<String>,
    #[garde(inner(range(min = 1, max = 600)))]
    pub timeout_seconds: Option<u64>,
}

/// How the test went. A failed connection is an outcome, not an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestAnswer {
    pub data_source_id: DataSourceId,
    pub status: Status,
    pub connection_successful: bool,
    #[schema(examples(12))]
    pub response_time_ms: Option<u64>,
    /// The first row of the test query, as JSON.
    pub test_query_result: Option<String>,
    pub tested_at: DateTime<Utc>,
    pub ssh_tunnel_established: bool,
    #[schema(examples("PostgreSQL 15.8"))]
    pub database_version: Option<String>,
    #[schema(examples(
        "the data source cannot be reached; check host, port and whether it accepts connections from here"
    ))]
    pub error_message: Option<String>,
    #[schema(examples("CONNECTION_ERROR"))]
    pub error_code: Option<&'static str>,
    /// What the test went through, in its order.
    pub steps: Vec<TestStep>,
}

errors! { pub TestErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, ValidationError, QueryTimeout; }

/// Connect to a source now and record the outcome
#[utoipa::path(post, path = "/api/v1/data-sources/{data_source_id}/test", tag = "data_sources", request_body = TestRequest,
    params(("data_source_id" = DataSourceId, Path, description = "The source")),
    responses((status = 200, description = "How it went", body = Envelope<TestAnswer>), TestErrors))]
pub async fn test_connection(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Json(request): Json<TestRequest>,
) -> Result<Reply<TestAnswer>> {
    let access = Access::of(&caller, Permission::DataSourceWrite)?;
    let source = engine.sources.find(&access, id).await?;
    let limit = request.timeout_seconds.map(Duration::from_secs);
    let longest = limit.unwrap_or(Duration::from_secs(600));
    let check = tokio::time::timeout(longest, engine.sources.test(access.tenant(), &source)).await;
    let check = check.map_err(|_| Error::new(ErrorCode::QueryTimeout))??;
    let tx = engine.platform.db.begin().await?;
    let record = AuditRecord::new(Some(source.organization_id), origin.actor(caller.user_id), "data_source.test")
        .target("data_source", id)
        .details(serde_json::json!({"successful": check.outcome.successful}));
    audit::record(&tx, &engine.platform.clock, record).await?;
    tx.commit().await?;

    let steps = steps::of(source.kind()?, source.use_ssh_tunnel, &check.outcome);
    let mut answer = TestAnswer {
        data_source_id: id,
        status: check.status,
        connection_successful: check.outcome.successful,
        response_time_ms: Some(check.outcome.response_time_ms),
        test_query_result: None,
        tested_at: check.tested_at,
        ssh_tunnel_established: steps::tunnel_stands(&steps),
        steps,
        database_version: check.outcome.version,
        error_message: check.outcome.error_message,
        error_code: check.outcome.error_code,
    };
    if let (true, Some(sql)) = (answer.connection_successful, request.test_query) {
        let run = Run {
            kind: RunKind::Sql,
            sources: vec![engine.sources.find(&access, id).await?],
            sql: &sql,
            parameters: &serde_json::Map::new(),
            default_schema: None,
            form: Form::Page,
            max_rows: Some(1),
            timeout: limit,
            max_age: None,
        };
        match engine.run(&caller, &origin, run).await {
            Ok(ran) => {
                answer.test_query_result = ran.rows.first().map(|row| serde_json::Value::from(row.clone()).to_string())
            }
            Err(error) => {
                answer.error_code = Some(error.code.as_str());
                answer.error_message = Some(error.message.into_owned());
            }
        }
    }
    let message = if answer.connection_successful { "The connection works." } else { "The connection failed." };
    Ok(Reply::ok(answer, message))
}
