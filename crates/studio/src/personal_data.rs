//! What this room keeps about a person, for an access request: what they saved, what they asked, and what was sent to them;
//! and what may become another's.

use chrono::{DateTime, Utc};
use rivergen_kernel::{PromptScheduleId, Result, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    db::TenantScope,
    personal_data::{Owned, OwnedRows, Records, Rows},
};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use serde_json::json;

use crate::{
    execution, prompt,
    schedule::{self, PausedReason, run::sent},
    semantics, template, verified,
};

pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        // Index: prompts(created_by_user_id, id).
        Box::new(Rows::<prompt::Entity> {
            name: "prompts",
            id: prompt::Column::Id,
            of: |subject| Some(subject.shared(prompt::Column::CreatedByUserId, prompt::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "name": row.name, "text": row.prompt_text,
                    "tags": row.tags, "metadata": row.metadata, "status": row.status.to_value(),
                    "created_at": row.created_at, "updated_at": row.updated_at, "deleted_at": row.deleted_at})
            },
        }),
        // Index: prompt_executions(user_id, id).
        Box::new(Rows::<execution::Entity> {
            name: "prompt_executions",
            id: execution::Column::Id,
            of: |subject| Some(subject.shared(execution::Column::UserId, execution::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "prompt_id": row.prompt_id,
                    "text": row.prompt_text, "status": row.status.to_value(), "rows_returned": row.rows_returned,
                    "started_at": row.started_at, "completed_at": row.completed_at, "feedback": row.feedback,
                    "feedback_comment": row.feedback_comment})
            },
        }),
        // Index: prompt_templates(created_by_user_id, id).
        Box::new(Rows::<template::Entity> {
            name: "prompt_templates",
            id: template::Column::Id,
            of: |subject| Some(subject.shared(template::Column::CreatedByUserId, template::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "name": row.name,
                    "description": row.description, "text": row.template_text, "category": row.category,
                    "created_at": row.created_at, "updated_at": row.updated_at, "deleted_at": row.deleted_at})
            },
        }),
        // Index: prompt_verified_pairs(created_by_user_id, id).
        Box::new(Rows::<verified::Entity> {
            name: "prompt_verified_pairs",
            id: verified::Column::Id,
            of: |subject| Some(subject.shared(verified::Column::CreatedByUserId, verified::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "question": row.question,
                    "query": row.query_text, "created_at": row.created_at, "verified_at": row.verified_at})
            },
        }),
        // Index: prompt_semantics(created_by_user_id, id).
        Box::new(Rows::<semantics::Entity> {
            name: "prompt_semantics",
            id: semantics::Column::Id,
            of: |subject| Some(subject.shared(semantics::Column::CreatedByUserId, semantics::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "definition": row.definition,
                    "is_own": row.user_id.is_some(), "created_at": row.created_at, "updated_at": row.updated_at})
            },
        }),
        // Index: prompt_schedules(owner_user_id, id).
        Box::new(Rows::<schedule::Entity> {
            name: "prompt_schedules",
            id: schedule::Column::Id,
            of: |subject| Some(subject.shared(schedule::Column::OwnerUserId, schedule::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "prompt_id": row.prompt_id, "name": row.name,
                    "timing": row.timing, "mail_to_user_ids": row.mail_to_user_ids, "webhook": row.webhook_origin,
                    "status": row.status.to_value(), "created_at": row.created_at, "updated_at": row.updated_at})
            },
        }),
        // Index: prompt_schedule_deliveries(user_id, id).
        Box::new(Rows::<sent::Entity> {
            name: "prompt_schedule_deliveries",
            id: sent::Column::Id,
            of: |subject| Some(subject.shared(sent::Column::UserId, sent::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "run_id": row.run_id,
                    "status": row.status.to_value(), "at": row.at})
            },
        }),
    ]
}

pub fn possessions() -> Vec<Box<dyn Owned>> {
    vec![
        // Index: prompts(created_by_user_id, id).
        Box::new(OwnedRows::<prompt::Entity> { owner: prompt::Column::CreatedByUserId }),
        // Index: prompt_templates(created_by_user_id, id).
        Box::new(OwnedRows::<template::Entity> { owner: template::Column::CreatedByUserId }),
        // Index: prompt_verified_pairs(created_by_user_id, id).
        Box::new(OwnedRows::<verified::Entity> { owner: verified::Column::CreatedByUserId }),
        // Index: prompt_semantics(created_by_user_id, id).
        Box::new(OwnedRows::<semantics::Entity> { owner: semantics::Column::CreatedByUserId }),
        Box::new(Schedules),
    ]
}

/// They run as their owner: an heir has them paused, until they want them as theirs, and without a webhook that another chose.
/// A run that is under way, or about to be, is nobody's any more.
struct Schedules;

#[async_trait::async_trait]
impl Owned for Schedules {
    async fn transfer(&self, tx: &Transaction, tenant: Tenant, from: UserId, to: UserId) -> Result<u64> {
        use schedule::{Column, run};
        // Index: prompt_schedules(owner_user_id, id).
        let theirs = tenant
            .find::<schedule::Entity>()
            .select_only()
            .column(Column::Id)
            .filter(Column::OwnerUserId.eq(from))
            .lock_exclusive()
            .into_tuple::<PromptScheduleId>()
            .all(tx.conn())
            .await?;
        // Index: prompt_schedule_runs(schedule_id, due_at), unique.
        run::Entity::delete_many()
            .filter(run::Column::ScheduleId.is_in(theirs))
            .filter(run::Column::Status.is_in(run::Status::UNDER_WAY))
            .exec(tx.conn())
            .await?;
        // Index: prompt_schedules(owner_user_id, id).
        let moved = schedule::Entity::update_many()
            .col_expr(Column::OwnerUserId, Expr::value(to))
            .col_expr(Column::Status, Expr::value(schedule::Status::Paused))
            .col_expr(Column::PausedReason, Expr::value(Some(PausedReason::HandedOver)))
            .col_expr(Column::NextRunAt, Expr::value(None::<DateTime<Utc>>))
            .col_expr(Column::Webhook, Expr::value(None::<Vec<u8>>))
            .col_expr(Column::WebhookOrigin, Expr::value(None::<String>))
            .filter(Column::OrganizationId.eq(tenant.organization_id()))
            .filter(Column::OwnerUserId.eq(from))
            .exec(tx.conn())
            .await?;
        Ok(moved.rows_affected)
    }
}
