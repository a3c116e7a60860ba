//! `GET /api/v1/prompts/{prompt_id}/executions`: the runs of a saved question. Everybody sees their own; whoever may read
//! the organization's audit log sees all.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::user::account;
use rivergen_kernel::{ExecutionId, Page, Pagination, Permission, PromptId, Result, UserId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, SignedIn},
};
use rivergen_runs::http::require_audit;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Status;
use crate::{
    Studio,
    execution::{Column, Entity},
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct ExecutionFilter {
    pub status: Option<Status>,
}

/// The runs of one question.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExecutionHistory {
    pub prompt_id: PromptId,
    pub items: Vec<ExecutionSummary>,
    pub pagination: Pagination,
}

/// A run of a saved question.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExecutionSummary {
    pub id: ExecutionId,
    pub status: Status,
    pub started_at: DateTime<Utc>,
    /// Null while it runs.
    pub completed_at: Option<DateTime<Utc>>,
    #[schema(examples(42))]
    pub total_duration_ms: Option<i64>,
    #[schema(examples(4))]
    pub rows_returned: Option<i64>,
    pub user_id: UserId,
    /// The person's current name; empty if the account no longer exists.
    #[schema(examples("Ada Lovelace"))]
    pub user_name: String,
}

errors! { pub ExecutionsErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// List the runs of a saved question
#[utoipa::path(get, path = "/api/v1/prompts/{prompt_id}/executions", tag = "prompt_studio",
    params(("prompt_id" = PromptId, Path, description = "The saved question"), PageQuery, ExecutionFilter),
    responses((status = 200, description = "The newest first", body = Envelope<ExecutionHistory>), ExecutionsErrors))]
pub async fn get_execution_history(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Path(id): Path<PromptId>,
    Query(page): Query<PageQuery>,
    Query(filter): Query<ExecutionFilter>,
) -> Result<Reply<ExecutionHistory>> {
    let tenant = caller.require(Permission::PromptRead)?;
    let page = page.request()?;
    super::find(&studio, &caller, id).await?;
    let db = studio.engine.platform.db.read();
    // Index: prompt_executions(organization_id, prompt_id).
    let mut runs = tenant.find::<Entity>().filter(Column::PromptId.eq(id));
    if require_audit(&caller).is_err() {
        runs = runs.filter(Column::UserId.eq(caller.user_id));
    }
    if let Some(status) = filter.status {
        runs = runs.filter(Column::Status.eq(status));
    }
    let total = runs.clone().count(db).await?;
    let rows = runs.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let people = rows.iter().map(|row| row.user_id);
    let names: BTreeMap<UserId, String> = account::Entity::find()
        .select_only()
        .columns([account::Column::Id, account::Column::DisplayName])
        .filter(account::Column::Id.is_in(people))
        .into_tuple::<(UserId, String)>()
        .all(db)
        .await?
        .into_iter()
        .collect();
    let items = rows
        .into_iter()
        .map(|row| ExecutionSummary {
            id: row.id,
            status: row.status,
            started_at: row.started_at,
            completed_at: row.completed_at,
            total_duration_ms: row.total_duration_ms,
            rows_returned: row.rows_returned,
            user_name: names.get(&row.user_id).cloned().unwrap_or_default(),
            user_id: row.user_id,
        })
        .collect();
    let Page { items, pagination } = Page::new(items, page, total);
    Ok(Reply::ok(ExecutionHistory { prompt_id: id, items, pagination }, "The runs of the question."))
}
