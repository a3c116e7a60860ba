//! `GET /api/v1/queries/{query_id}/result`: what a query answered that went on after its request.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use futures::stream;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, PageRequest, Pagination, Permission, QueryId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn},
};
use rivergen_query::{Encoder, Encoding, QueryColumn, QueryError, bytes_of, json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    history,
    query::{LONGEST_PAGE, PolicyOfQuery, encoding, head_of_download},
};
use crate::{Engine, results::Kept};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct ResultPageQuery {
    /// From 1.
    #[param(minimum = 1, default = 1)]
    pub page: Option<u64>,
    /// At most 10000. Fewer if rows are wide: a page also has a limit in bytes.
    #[param(minimum = 1, maximum = 10000, default = 1000)]
    pub page_size: Option<u64>,
}

/// Rows of a result, and what the policies did.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryResult {
    pub query_id: QueryId,
    pub columns: Vec<QueryColumn>,
    /// There were more rows than the limit lets through.
    pub truncated: bool,
    pub policies_applied: Vec<PolicyOfQuery>,
    /// The rows, each as the values of its columns, as a query answers them.
    #[schema(value_type = Vec<Vec<Object>>, example = json!([["EU", 4182], ["US", 3911]]))]
    pub items: Vec<Vec<serde_json::Value>>,
    pub pagination: Pagination,
}

errors! { pub ResultErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict,
DataSourceUnavailable, ValidationError, QueryLimitExceeded, ConnectionError, QueryTimeout; }

/// Read the result of a query that ran asynchronously
#[utoipa::path(get, path = "/api/v1/queries/{query_id}/result", tag = "data_sources",
    params(("query_id" = QueryId, Path, description = "The run"), ResultPageQuery),
    responses(
        (status = 200, description = "Its rows, page by page. With `Accept: text/csv`, `application/vnd.apache.arrow.stream` or `application/vnd.apache.parquet`, all of them in that format; `x-truncated` says whether there were more than the limit allows",
            content((Envelope<QueryResult> = "application/json"), (String = "text/csv"),
                (String = "application/vnd.apache.arrow.stream"), (String = "application/vnd.apache.parquet"))),
        ResultErrors))]
pub async fn get_query_result(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    headers: HeaderMap,
    Path(id): Path<QueryId>,
    Query(page): Query<ResultPageQuery>,
) -> Result<Response> {
    let tenant = caller.require(Permission::DataSourceQuery)?;
    let page = PageRequest::up_to(LONGEST_PAGE, page.page, page.page_size.unwrap_or(1000))?;
    let run = history::find(&engine, &caller, tenant, id).await?;
    // What the policies let somebody see is theirs, whoever reads the audit log.
    if run.user_id != caller.user_id {
        return Err(ErrorCode::NotFound.into());
    }
    match encoding(&headers) {
        Some(encoding) => download(&engine, id, engine.result(&caller, &run).await?, encoding).await,
        None => {
            let kept = engine.result_from(&caller, &run, page.offset()).await?;
            let total = run.row_count.and_then(|rows| u64::try_from(rows).ok()).unwrap_or_default();
            let (columns, truncated, policies) = (kept.columns.clone(), kept.truncated, kept.policies.clone());
            let policies_applied = policies.into_iter().map(PolicyOfQuery::from).collect();
            let pagination = Pagination::new(page, total);
            let items = rows(kept, page, engine.settings.page.bytes).await?;
            let answer = QueryResult { query_id: id, columns, truncated, policies_applied, items, pagination };
            Ok(Reply::ok(answer, "The result of the query.").into_response())
        }
    }
}

/// The rows of one page; those before it in its first batch are read over. A page is held in memory, and bounded as that of
/// a query which is answered at once.
async fn rows(mut kept: Kept, page: PageRequest, limit_bytes: u64) -> Result<Vec<Vec<serde_json::Value>>> {
    let (mut before, mut wanted) = (page.offset().saturating_sub(kept.first_row), page.limit());
    let (mut rows, mut room) = (Vec::new(), limit_bytes);
    while wanted > 0
        && let Some(batch) = kept.reader.next().await?
    {
        let length = batch.num_rows() as u64;
        let skipped = before.min(length);
        before -= skipped;
        let taken = wanted.min(length - skipped);
        wanted -= taken;
        let size = |rows: u64| usize::try_from(rows).map_err(Error::internal);
        let batch = batch.slice(size(skipped)?, size(taken)?);
        room = room.checked_sub(bytes_of(&batch)).ok_or(QueryError::TooLarge { limit_bytes })?;
        json::append_rows(&batch, &mut rows)?;
    }
    Ok(rows)
}

async fn download(engine: &Engine, id: QueryId, mut kept: Kept, encoding: Encoding) -> Result<Response> {
    let truncated = if kept.truncated { "true" } else { "false" };
    let encoder = Encoder::new(encoding, &kept.reader.schema().await?)?;
    let bytes = stream::try_unfold(Some((kept, encoder, engine.threads.clone())), |state| async {
        let Some((mut kept, mut encoder, threads)) = state else { return Ok(None) };
        loop {
            let batch: Option<RecordBatch> = kept.reader.next().await?;
            let Some(batch) = batch else {
                return Ok::<_, Error>(Some((encoder.end(&threads).await?, None)));
            };
            let bytes: Bytes;
            (encoder, bytes) = encoder.append(batch, &threads).await?;
            if !bytes.is_empty() {
                return Ok(Some((bytes, Some((kept, encoder, threads)))));
            }
        }
    });
    let mut response = Response::new(Body::from_stream(bytes));
    head_of_download(response.headers_mut(), id, encoding)?;
    response.headers_mut().insert("x-truncated", HeaderValue::from_static(truncated));
    Ok(response)
}
