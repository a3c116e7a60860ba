//! `GET /api/v1/prompts`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Page, Result, WorkspaceId};
use rivergen_platform::{
    db::searched,
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn, SortOrder},
};
use sea_orm::{ColumnTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{Column, PromptSummary, Status};
use crate::Studio;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    pub workspace_id: Option<WorkspaceId>,
    pub status: Option<Status>,
    /// Part of the name or of the question.
    #[garde(inner(length(chars, max = 255)))]
    pub search: Option<String>,
    /// Deleted ones that can be restored, instead of the others.
    #[param(default = false)]
    pub deleted: Option<bool>,
    #[param(inline, default = "created_at")]
    pub sort_by: Option<SortBy>,
    #[param(inline, default = "desc")]
    pub sort_order: Option<SortOrder>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PromptSortBy)]
pub enum SortBy {
    CreatedAt,
    UpdatedAt,
    Name,
    Status,
}

errors! { pub ListErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError; }

/// List saved questions
#[utoipa::path(get, path = "/api/v1/prompts", tag = "prompt_studio", params(PageQuery, Filter),
    responses((status = 200, description = "The page", body = Envelope<Page<PromptSummary>>), ListErrors))]
pub async fn list_prompts(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<Filter>,
) -> Result<Reply<Page<PromptSummary>>> {
    let (_, mut prompts) = super::reached(&caller)?;
    let page = page.request()?;
    prompts = match filter.deleted.unwrap_or(false) {
        true => {
            let now = studio.engine.platform.clock.now();
            prompts.filter(Column::DeletedAt.is_not_null()).filter(super::restorable(now))
        }
        false => prompts.filter(Column::DeletedAt.is_null()),
    };
    if let Some(workspace) = filter.workspace_id {
        prompts = prompts.filter(Column::WorkspaceId.eq(workspace));
    }
    if let Some(status) = filter.status {
        prompts = prompts.filter(Column::Status.eq(status));
    }
    prompts = searched(prompts, filter.search.as_deref(), [Column::Name, Column::PromptText]);
    let column = match filter.sort_by.unwrap_or(SortBy::CreatedAt) {
        SortBy::CreatedAt => Column::CreatedAt,
        SortBy::UpdatedAt => Column::UpdatedAt,
        SortBy::Name => Column::Name,
        SortBy::Status => Column::Status,
    };
    let order = Order::from(filter.sort_order.unwrap_or(SortOrder::Desc));
    let db = studio.engine.platform.db.read();
    let total = prompts.clone().count(db).await?;
    let rows = prompts
        .order_by(column, order.clone())
        .order_by(Column::Id, order)
        .offset(page.offset())
        .limit(page.limit())
        .all(db)
        .await?;
    let items = rows.iter().map(PromptSummary::new).collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "The saved questions."))
}
