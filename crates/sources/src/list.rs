//! `GET /api/v1/data-sources`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Page, Permission, Result, WorkspaceId};
use rivergen_platform::{
    db::searched,
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn, SortOrder},
};
use sea_orm::{ColumnTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Sources,
    access::Access,
    source::{Column, DataSourceListItem, Status},
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    pub workspace_id: Option<WorkspaceId>,
    /// A kind of source.
    #[serde(rename = "type")]
    #[param(rename = "type", example = "postgresql")]
    pub kind: Option<String>,
    pub status_filter: Option<Status>,
    /// Part of the name or of the description.
    #[garde(inner(length(max = 255)))]
    pub search: Option<String>,
    /// Deleted ones that can be restored, instead of the others.
    #[param(default = false)]
    pub deleted: Option<bool>,
    #[param(inline, default = "created_at")]
    pub sort_by: Option<SortBy>,
    #[param(inline, default = "desc")]
    pub sort_order: Option<SortOrder>,
}

/// What a list of sources can be sorted by; never a column that holds a secret.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    CreatedAt,
    UpdatedAt,
    Name,
    Type,
    Status,
}

errors! { pub ListErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError; }

/// List the data sources that you can access
#[utoipa::path(get, path = "/api/v1/data-sources", tag = "data_sources", params(PageQuery, Filter),
    responses((status = 200, description = "The page", body = Envelope<Page<DataSourceListItem>>), ListErrors))]
pub async fn list(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<Filter>,
) -> Result<Reply<Page<DataSourceListItem>>> {
    let access = Access::of(&caller, Permission::DataSourceRead)?;
    let page = page.request()?;
    let db = sources.platform.db.read();
    // Index: data_sources(organization_id, slug).
    let mut query = access.sources();
    query = match filter.deleted.unwrap_or(false) {
        true => query.filter(Column::DeletedAt.is_not_null()),
        false => query.filter(Column::DeletedAt.is_null()),
    };
    if let Some(workspace) = filter.workspace_id {
        query = query.filter(Column::WorkspaceId.eq(workspace));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(Column::Kind.eq(kind));
    }
    if let Some(status) = filter.status_filter {
        query = query.filter(Column::Status.eq(status));
    }
    query = searched(query, filter.search.as_deref(), [Column::Name, Column::Description]);
    let column = match filter.sort_by.unwrap_or(SortBy::CreatedAt) {
        SortBy::CreatedAt => Column::CreatedAt,
        SortBy::UpdatedAt => Column::UpdatedAt,
        SortBy::Name => Column::Name,
        SortBy::Type => Column::Kind,
        SortBy::Status => Column::Status,
    };
    let order = Order::from(filter.sort_order.unwrap_or(SortOrder::Desc));
    let query = access.shown(db, query).await?;
    let total = query.clone().count(db).await?;
    let rows = query
        .order_by(column, order.clone())
        .order_by(Column::Id, order)
        .offset(page.offset())
        .limit(page.limit())
        .all(db)
        .await?;
    Ok(Reply::ok(Page::new(rows, page, total).map(DataSourceListItem::from), "The data sources."))
}
