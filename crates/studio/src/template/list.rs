//! `GET /api/v1/prompt-templates`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{ErrorCode, OrganizationId, Result};
use rivergen_platform::{
    db::contains,
    errors,
    http::{Envelope, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, PromptTemplate};
use crate::Studio;

/// Templates of a list, which has no pages.
const MOST: u64 = 1000;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct TemplateFilter {
    /// The session's organization; another answers 404.
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
}

errors! { pub ListTemplatesErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// List templates: one's own, and those that are published for everybody
#[utoipa::path(get, path = "/api/v1/prompt-templates", tag = "prompt_studio", params(TemplateFilter),
    responses((status = 200, description = "The newest 1000, by name", body = Envelope<TemplateList>), ListTemplatesErrors))]
pub async fn list_templates(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Query(filter): Query<TemplateFilter>,
) -> Result<Reply<TemplateList>> {
    let (tenant, mut templates) = super::reached(&caller)?;
    if filter.organization_id.is_some_and(|wanted| wanted != tenant.organization_id()) {
        return Err(ErrorCode::NotFound.into());
    }
    if filter.is_system_template == Some(true) {
        return Ok(Reply::ok(TemplateList { items: Vec::new() }, "The templates."));
    }
    if let Some(category) = filter.category {
        templates = templates.filter(Column::Category.eq(category));
    }
    if let Some(is_public) = filter.is_public {
        templates = templates.filter(Column::IsPublic.eq(is_public));
    }
    if let Some(text) = filter.search.as_deref().filter(|text| !text.trim().is_empty()) {
        templates = templates.filter(contains(text, [Column::Name, Column::Description]));
    }
    let db = studio.engine.platform.db.read();
    let mut rows = templates.order_by_desc(Column::Id).limit(MOST).all(db).await?;
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    let items = rows.into_iter().map(PromptTemplate::new).collect::<Result<_>>()?;
    Ok(Reply::ok(TemplateList { items }, "The templates."))
}
