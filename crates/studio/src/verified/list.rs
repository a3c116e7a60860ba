//! `GET /api/v1/prompts/verified-pairs`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Page, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Column, Status, VerifiedPair};
use crate::Studio;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct PairFilter {
    pub status: Option<Status>,
}

errors! { pub ListPairsErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError; }

/// List questions with confirmed SQL, and those waiting to be confirmed
#[utoipa::path(get, path = "/api/v1/prompts/verified-pairs", tag = "prompt_studio", params(PageQuery, PairFilter),
    responses((status = 200, description = "The newest first; for those with prompt.write, over sources that they may query. Literals, and the question of SQL that has some, are only shown to those who see everything that the SQL reads, and to the person who found it", body = Envelope<Page<VerifiedPair>>),
        ListPairsErrors))]
pub async fn list_verified_pairs(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<PairFilter>,
) -> Result<Reply<Page<VerifiedPair>>> {
    let (tenant, mut pairs) = super::reached(&studio, &caller).await?;
    let page = page.request()?;
    if let Some(status) = filter.status {
        pairs = pairs.filter(Column::Status.eq(status));
    }
    let db = studio.engine.platform.db.read();
    let total = pairs.clone().count(db).await?;
    let rows = pairs.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let items = super::told(&studio, &caller, tenant, rows).await?;
    Ok(Reply::ok(Page::new(items, page, total), "The verified pairs."))
}
