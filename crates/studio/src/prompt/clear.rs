//! `DELETE /api/v1/prompts/history/clear`: deletes saved questions, one's own unless one may change others' and read the
//! audit log. Each can be restored.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Permission, Result, UserId, WorkspaceId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::Expr};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity, TimePeriod};
use crate::Studio;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct ClearFilter {
    pub workspace_id: Option<WorkspaceId>,
    /// Last run in this time.
    #[param(default = "all")]
    pub time_period: Option<TimePeriod>,
    /// Of this person; without it, your own. Those of others need the permissions `prompt.write` and `audit.read`.
    pub user_id: Option<UserId>,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClearedHistory {
    #[schema(examples(12))]
    pub deleted_count: u64,
    pub filters_applied: FiltersApplied,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FiltersApplied {
    pub workspace_id: Option<WorkspaceId>,
    pub time_period: TimePeriod,
    pub user_id: UserId,
}

errors! { pub ClearErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError; }

/// Delete your own questions and saved questions
#[utoipa::path(delete, path = "/api/v1/prompts/history/clear", tag = "prompt_studio", params(ClearFilter),
    responses((status = 200, description = "How many questions were deleted", body = Envelope<ClearedHistory>), ClearErrors))]
pub async fn clear_history(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Query(filter): Query<ClearFilter>,
) -> Result<Reply<ClearedHistory>> {
    let (tenant, prompts) = super::reached(&caller)?;
    let user_id = filter.user_id.unwrap_or(caller.user_id);
    match user_id == caller.user_id {
        true => super::check_may_change_own(&caller)?,
        false => {
            caller.require(Permission::PromptWrite)?;
            caller.require(Permission::AuditRead)?;
        }
    }
    let platform = &studio.engine.platform;
    let now = platform.clock.now();
    let time_period = filter.time_period.unwrap_or(TimePeriod::All);
    // Index: prompts(created_by_user_id, id).
    let mut prompts = prompts.filter(Column::CreatedByUserId.eq(user_id)).filter(Column::DeletedAt.is_null());
    if let Some(workspace) = filter.workspace_id {
        prompts = prompts.filter(Column::WorkspaceId.eq(workspace));
    }
    if let Some(begins) = time_period.begins(now) {
        prompts = prompts.filter(Column::LastRunAt.gte(begins));
    }
    let those = prompts.select_only().column(Column::Id).into_query();
    let filters_applied = FiltersApplied { workspace_id: filter.workspace_id, time_period, user_id };
    let tx = platform.db.begin().await?;
    let deleted = Entity::update_many()
        .col_expr(Column::DeletedAt, Expr::value(now))
        .filter(Column::Id.in_subquery(those))
        .exec(tx.conn())
        .await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "prompt.clear_history")
        .target("user", user_id)
        .details(serde_json::json!({"deleted": deleted.rows_affected, "filters": filters_applied}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let cleared = ClearedHistory { deleted_count: deleted.rows_affected, filters_applied };
    Ok(Reply::ok(cleared, "The history was cleared; the questions can be restored."))
}
