//! `GET /api/v1/prompts/history`: saved questions with their latest run; one's own, unless one may read the audit log.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Page, Permission, PromptId, Result, UserId, WorkspaceId};
use rivergen_platform::{
    db::searched,
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn, SortOrder},
};
use sea_orm::{
    ColumnTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::NullOrdering,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Status, TimePeriod, sources};
use crate::Studio;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct HistoryFilter {
    pub workspace_id: Option<WorkspaceId>,
    pub status: Option<Status>,
    /// Those that ask this source.
    pub data_source_id: Option<DataSourceId>,
    /// Last run in this time.
    #[param(default = "all")]
    pub time_period: Option<TimePeriod>,
    /// Part of the name or of the question.
    #[garde(inner(length(chars, max = 255)))]
    pub search: Option<String>,
    #[param(inline, default = "timestamp")]
    pub sort_by: Option<HistorySortBy>,
    #[param(inline, default = "desc")]
    pub sort_order: Option<SortOrder>,
    /// Of this person; without it, your own. Those of others need the permission `audit.read`.
    pub user_id: Option<UserId>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistorySortBy {
    Timestamp,
    Status,
    ExecutionTime,
}

/// A saved question and its latest run.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromptHistoryItem {
    pub id: PromptId,
    pub name: Option<String>,
    #[schema(examples("How many orders per region in 2025?"))]
    pub prompt_text: String,
    pub status: Status,
    /// Of the latest run.
    #[schema(examples(42))]
    pub execution_time_ms: Option<i64>,
    /// Of the latest run.
    pub timestamp: DateTime<Utc>,
    pub data_source_ids: Vec<DataSourceId>,
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
}

errors! { pub HistoryErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError; }

/// List your own questions and saved questions, latest run first
#[utoipa::path(get, path = "/api/v1/prompts/history", tag = "prompt_studio", params(PageQuery, HistoryFilter),
    responses((status = 200, description = "The page", body = Envelope<Page<PromptHistoryItem>>), HistoryErrors))]
pub async fn get_prompt_history(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<HistoryFilter>,
) -> Result<Reply<Page<PromptHistoryItem>>> {
    let (_, prompts) = super::reached(&caller)?;
    let user = filter.user_id.unwrap_or(caller.user_id);
    if user != caller.user_id {
        caller.require(Permission::AuditRead)?;
    }
    let page = page.request()?;
    // Index: prompts(created_by_user_id, id).
    let mut prompts = prompts.filter(Column::CreatedByUserId.eq(user)).filter(Column::DeletedAt.is_null());
    if let Some(workspace) = filter.workspace_id {
        prompts = prompts.filter(Column::WorkspaceId.eq(workspace));
    }
    if let Some(status) = filter.status {
        prompts = prompts.filter(Column::Status.eq(status));
    }
    if let Some(source) = filter.data_source_id {
        // Index: prompt_sources(data_source_id, prompt_id).
        let asking = sources::Entity::find()
            .select_only()
            .column(sources::Column::PromptId)
            .filter(sources::Column::DataSourceId.eq(source));
        prompts = prompts.filter(Column::Id.in_subquery(asking.into_query()));
    }
    let now = studio.engine.platform.clock.now();
    if let Some(begins) = filter.time_period.and_then(|period| period.begins(now)) {
        prompts = prompts.filter(Column::LastRunAt.gte(begins));
    }
    prompts = searched(prompts, filter.search.as_deref(), [Column::Name, Column::PromptText]);
    let column = match filter.sort_by.unwrap_or(HistorySortBy::Timestamp) {
        HistorySortBy::Timestamp => Column::LastRunAt,
        HistorySortBy::Status => Column::Status,
        HistorySortBy::ExecutionTime => Column::LastDurationMs,
    };
    let order = Order::from(filter.sort_order.unwrap_or(SortOrder::Desc));
    let db = studio.engine.platform.db.read();
    let total = prompts.clone().count(db).await?;
    let rows = prompts
        .order_by_with_nulls(column, order.clone(), NullOrdering::Last)
        .order_by(Column::Id, order)
        .offset(page.offset())
        .limit(page.limit())
        .all(db)
        .await?;
    let item = |row: super::Model| {
        Ok(PromptHistoryItem {
            id: row.id,
            name: row.name,
            prompt_text: row.prompt_text,
            status: row.status,
            execution_time_ms: row.last_duration_ms,
            timestamp: row.last_run_at.unwrap_or(row.created_at),
            data_source_ids: super::read(&row.selected_data_source_ids)?,
            user_id: row.created_by_user_id,
            workspace_id: row.workspace_id,
        })
    };
    let items = rows.into_iter().map(item).collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "The history."))
}
