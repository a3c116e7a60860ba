//! `GET /api/v1/prompts/semantic-layer`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Page, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Column, Kind, SemanticEntry, Status};
use crate::Studio;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct SemanticFilter {
    #[param(inline)]
    pub kind: Option<Kind>,
    pub status: Option<Status>,
}

errors! { pub ListSemanticsErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError; }

/// List the semantic layer of the session's workspace
#[utoipa::path(get, path = "/api/v1/prompts/semantic-layer", tag = "prompt_studio", params(PageQuery, SemanticFilter),
    responses((status = 200, description = "Joins, metrics, descriptions and synonyms of tables and columns that you may see", body = Envelope<Page<SemanticEntry>>),
        ListSemanticsErrors))]
pub async fn list_semantics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<SemanticFilter>,
) -> Result<Reply<Page<SemanticEntry>>> {
    let tenant = caller.require(Permission::PromptRead)?;
    let page = page.request()?;
    let mut found = super::here(tenant, &caller)?;
    if let Some(kind) = filter.kind {
        found = found.filter(Column::Kind.eq(kind));
    }
    if let Some(status) = filter.status {
        found = found.filter(Column::Status.eq(status));
    }
    let rows = found.all(studio.engine.platform.db.read()).await?;
    // Which exist for the caller is no question that a database answers.
    let rows = super::existing(&studio, &caller, tenant, rows).await?;
    let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let items = page.of(rows).into_iter().map(SemanticEntry::new).collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "The semantic layer."))
}
