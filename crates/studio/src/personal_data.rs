//! What this room keeps about a person, for an access request: what they saved, and what they asked; and what
//! may become another's.

use rivergen_platform::personal_data::{Owned, OwnedRows, Records, Rows};
use sea_orm::ActiveEnum;
use serde_json::json;

use crate::{execution, prompt, semantics, template, verified};

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
    ]
}
