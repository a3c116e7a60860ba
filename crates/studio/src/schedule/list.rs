//! `GET /api/v1/prompts/schedules`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Page, PromptId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Column, PromptSchedule, Status};
use crate::Studio;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct ScheduleFilter {
    /// Those of this saved question.
    pub prompt_id: Option<PromptId>,
    pub status: Option<Status>,
    /// Only your own.
    #[param(default = false)]
    pub own: Option<bool>,
}

errors! { pub ListSchedulesErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError; }

/// List your own schedules and those of saved questions that you can see
#[utoipa::path(get, path = "/api/v1/prompts/schedules", tag = "prompt_studio", params(PageQuery, ScheduleFilter),
    responses((status = 200, description = "The newest first", body = Envelope<Page<PromptSchedule>>), ListSchedulesErrors))]
pub async fn list_schedules(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
    Query(filter): Query<ScheduleFilter>,
) -> Result<Reply<Page<PromptSchedule>>> {
    let (_, mut schedules) = super::reached(&caller)?;
    let page = page.request()?;
    if let Some(prompt) = filter.prompt_id {
        schedules = schedules.filter(Column::PromptId.eq(prompt));
    }
    if let Some(status) = filter.status {
        schedules = schedules.filter(Column::Status.eq(status));
    }
    if filter.own.unwrap_or(false) {
        schedules = schedules.filter(Column::OwnerUserId.eq(caller.user_id));
    }
    let db = studio.engine.platform.db.read();
    let total = schedules.clone().count(db).await?;
    let rows = schedules.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let items = rows.into_iter().map(PromptSchedule::new).collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "The schedules."))
}
