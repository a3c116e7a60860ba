//! `/api/v1/queries`: the runs of queries, and the end of one that still runs.
//!
//! Everybody sees their own. Whoever may read the organization's audit log sees those of all, and may cancel them.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, Extent, Page, Permission, QueryId, Result, Tenant, UserId,
};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::{TenantScope, count_up},
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, RequestOrigin, SignedIn},
};
use rivergen_policies::evaluation::{
    RunKind, RunStage, RunStatus,
    run::{Column, Entity, Model},
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Engine;

/// A run of a query.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryRun {
    pub query_id: QueryId,
    pub user_id: UserId,
    /// Whether it was typed as SQL or came from a question in words.
    pub kind: RunKind,
    pub status: RunStatus,
    #[schema(examples("SELECT region, count(*) FROM orders GROUP BY region"))]
    pub query: String,
    pub data_source_ids: Vec<DataSourceId>,
    /// The error that the caller got, if it failed.
    #[schema(examples("QUERY_TIMEOUT"))]
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    /// The progress of a query that was sent with `Prefer: respond-async`.
    pub stage: Option<RunStage>,
    /// Of its answer; so far, while it runs.
    #[schema(examples(4))]
    pub row_count: Option<i64>,
    /// Of its answer, in memory; so far, while it runs.
    #[schema(examples(512))]
    pub byte_count: Option<i64>,
    /// Until then, `…/result` returns its result; null if nothing is kept.
    pub result_expires_at: Option<DateTime<Utc>>,
    pub started_at: DateTime<Utc>,
    /// Null while it runs.
    #[schema(examples(42))]
    pub duration_ms: Option<i64>,
}

impl QueryRun {
    fn new(result_expires_at: Option<DateTime<Utc>>, row: Model) -> Result<Self> {
        Ok(Self {
            query_id: row.id,
            user_id: row.user_id,
            kind: row.kind,
            status: row.status,
            query: row.sql_text,
            data_source_ids: serde_json::from_value(row.data_source_ids).map_err(Error::internal)?,
            error_code: row.error_code,
            error_message: row.error_message,
            stage: row.stage,
            row_count: row.row_count,
            byte_count: row.byte_count,
            result_expires_at: result_expires_at.filter(|_| row.status == RunStatus::Succeeded),
            started_at: row.started_at,
            duration_ms: row.duration_ms,
        })
    }
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// Of this person; without it, your own. Those of others need the permission `audit.read` in the whole
    /// organization.
    pub user_id: Option<UserId>,
    pub status: Option<RunStatus>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
}

errors! {
    pub ListErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError;
    pub OneErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound;
    pub CancelErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict;
}

/// List past queries
#[utoipa::path(get, path = "/api/v1/queries", tag = "data_sources", params(Filter, PageQuery),
    responses((status = 200, description = "The newest first; `total_items` counts to 10000", body = Envelope<Page<QueryRun>>), ListErrors))]
pub async fn list_queries(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    Query(filter): Query<Filter>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<QueryRun>>> {
    let tenant = caller.require(Permission::DataSourceQuery)?;
    let user = filter.user_id.unwrap_or(caller.user_id);
    if user != caller.user_id {
        require_audit(&caller)?;
    }
    let page = page.request()?;
    // Index: query_runs(organization_id, user_id, started_at).
    let mut runs = tenant.find::<Entity>().filter(Column::UserId.eq(user));
    if let Some(status) = filter.status {
        runs = runs.filter(Column::Status.eq(status));
    }
    if let Some(from) = filter.from {
        runs = runs.filter(Column::StartedAt.gte(from));
    }
    if let Some(to) = filter.to {
        runs = runs.filter(Column::StartedAt.lt(to));
    }
    let db = engine.platform.db.read();
    let total = count_up(db, runs.clone(), page).await?;
    let rows = runs
        .order_by_desc(Column::StartedAt)
        .order_by_desc(Column::Id)
        .offset(page.offset())
        .limit(page.limit())
        .all(db)
        .await?;
    let own = rows.iter().map(|row| row.id).filter(|_| user == caller.user_id);
    let kept = engine.kept_until(tenant, own).await?;
    let expires_at = |row: &Model| kept.get(&row.id).copied();
    let items = rows.into_iter().map(|row| QueryRun::new(expires_at(&row), row)).collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "The queries that were run."))
}

/// Read the status of a query
#[utoipa::path(get, path = "/api/v1/queries/{query_id}", tag = "data_sources",
    params(("query_id" = QueryId, Path, description = "The run")),
    responses((status = 200, description = "The run", body = Envelope<QueryRun>), OneErrors))]
pub async fn get_query(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    Path(id): Path<QueryId>,
) -> Result<Reply<QueryRun>> {
    let tenant = caller.require(Permission::DataSourceQuery)?;
    Ok(Reply::ok(read(&engine, &caller, tenant, id).await?, "The run of the query."))
}

/// What was asked for; the run ends as soon as its node hears of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cancelled {
    pub query_id: QueryId,
}

/// Cancel a running query
#[utoipa::path(post, path = "/api/v1/queries/{query_id}/cancel", tag = "data_sources",
    params(("query_id" = QueryId, Path, description = "The run")),
    responses((status = 200, description = "Whoever is waiting for it gets QUERY_CANCELLED", body = Envelope<Cancelled>), CancelErrors))]
pub async fn cancel_query(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<QueryId>,
) -> Result<Reply<Cancelled>> {
    let tenant = caller.require(Permission::DataSourceQuery)?;
    let run = find(&engine, &caller, tenant, id).await?;
    if run.status != RunStatus::Running {
        return Err(Error::new(ErrorCode::Conflict).with_message("The query has already ended."));
    }
    let tx = engine.platform.db.begin().await?;
    tx.publish(Event::QueryCancelled(id)).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "query.cancel")
        .target("query", id)
        .details(serde_json::json!({"user_id": run.user_id}));
    audit::record(&tx, &engine.platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(Cancelled { query_id: id }, "The query is being cancelled."))
}

/// A run that the caller may see, as it stands.
pub(super) async fn read(engine: &Engine, caller: &Caller, tenant: Tenant, id: QueryId) -> Result<QueryRun> {
    let run = find(engine, caller, tenant, id).await?;
    let kept = engine.kept_until(tenant, Some(id).filter(|_| run.user_id == caller.user_id)).await?;
    QueryRun::new(kept.get(&id).copied(), run)
}

/// A run that the caller may see.
pub(super) async fn find(engine: &Engine, caller: &Caller, tenant: Tenant, id: QueryId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).one(engine.platform.db.read()).await?;
    let seen = found.filter(|run| run.user_id == caller.user_id || require_audit(caller).is_ok());
    seen.ok_or_else(|| ErrorCode::NotFound.into())
}

/// 403 for somebody who may not see what others ran. Runs are of the whole organization, so a role of one workspace does not
/// open them.
pub fn require_audit(caller: &Caller) -> Result<()> {
    match caller.require_extent(Permission::AuditRead)? {
        (_, Extent::Organization) => Ok(()),
        (_, Extent::Workspace(_)) => Err(Error::new(ErrorCode::Forbidden).with_message(format!(
            "You need the permission {} in the organization, not in one workspace.",
            Permission::AuditRead
        ))),
    }
}
