//! `GET /api/v1/prompt-templates`: all of them, as far as a list without pages goes, or a page where one is asked for.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{ErrorCode, OrganizationId, Pagination, Result};
use rivergen_platform::{
    db::searched,
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, PromptTemplate};
use crate::Studio;

/// Templates of a list of which no page is asked for.
const MOST: u64 = 1000;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct TemplateFilter {
    /// The session's organization; any other gives 404.
    pub organization_id: Option<OrganizationId>,
    #[garde(inner(length(chars, max = 100)))]
    #[param(example = "sales")]
    pub category: Option<String>,
    pub is_system_template: Option<bool>,
    pub is_public: Option<bool>,
    /// Part of the name or of the description.
    #[garde(inner(length(chars, max = 255)))]
    pub search: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateList {
    pub items: Vec<PromptTemplate>,
    /// Where a page was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

errors! { pub ListTemplatesErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// List your own templates and those published for everyone
#[utoipa::path(get, path = "/api/v1/prompt-templates", tag = "prompt_studio", params(PageQuery, TemplateFilter),
    responses((status = 200, description = "By name: the page, or the first 1000 if no page is asked for", body = Envelope<TemplateList>),
        ListTemplatesErrors))]
pub async fn list_templates(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<TemplateFilter>,
) -> Result<Reply<TemplateList>> {
    let (tenant, mut templates) = super::reached(&caller)?;
    if filter.organization_id.is_some_and(|wanted| wanted != tenant.organization_id()) {
        return Err(ErrorCode::NotFound.into());
    }
    let asked = match (page.page, page.page_size) {
        (None, None) => None,
        _ => Some(page.request()?),
    };
    // There are none of the system's.
    if filter.is_system_template == Some(true) {
        templates = templates.filter(Column::Id.is_null());
    }
    if let Some(category) = filter.category {
        templates = templates.filter(Column::Category.eq(category));
    }
    if let Some(is_public) = filter.is_public {
        templates = templates.filter(Column::IsPublic.eq(is_public));
    }
    templates = searched(templates, filter.search.as_deref(), [Column::Name, Column::Description]);
    let db = studio.engine.platform.db.read();
    let pagination = match asked {
        Some(asked) => Some(Pagination::new(asked, templates.clone().count(db).await?)),
        None => None,
    };
    let (offset, limit) = asked.map_or((0, MOST), |asked| (asked.offset(), asked.limit()));
    let found = templates.order_by_asc(Column::Name).order_by_asc(Column::Id).offset(offset).limit(limit);
    let items = found.all(db).await?.into_iter().map(PromptTemplate::new).collect::<Result<_>>()?;
    Ok(Reply::ok(TemplateList { items, pagination }, "The templates."))
}
