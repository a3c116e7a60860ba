//! What this room keeps about a person, for an access request: the queries that they ran, what governed them, and the
//! policies that they made; and what may become another's.

use rivergen_platform::personal_data::{Owned, OwnedRows, Records, Rows};
use sea_orm::ActiveEnum;
use serde_json::json;

use crate::{
    evaluation::{
        entry,
        run::{Column, Entity},
    },
    store::{self, assignment},
};

pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        // Index: query_runs(user_id, id).
        Box::new(Rows::<Entity> {
            name: "queries",
            id: Column::Id,
            of: |subject| Some(subject.shared(Column::UserId, Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "sql": row.sql_text,
                    "status": row.status.to_value(), "row_count": row.row_count, "started_at": row.started_at,
                    "duration_ms": row.duration_ms, "ip_address": row.ip})
            },
        }),
        // Index: policies(created_by_user_id, id).
        Box::new(Rows::<store::Entity> {
            name: "policies",
            id: store::Column::Id,
            of: |subject| Some(subject.shared(store::Column::CreatedByUserId, store::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "name": row.name,
                    "description": row.description, "policy_type": row.policy_type, "is_active": row.is_active,
                    "created_at": row.created_at, "updated_at": row.updated_at, "deleted_at": row.deleted_at})
            },
        }),
        // Index: policy_assignments(user_id, id).
        Box::new(Rows::<assignment::Entity> {
            name: "policy_assignments",
            id: assignment::Column::Id,
            of: |subject| Some(subject.shared(assignment::Column::UserId, assignment::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "policy_id": row.policy_id,
                    "data_source_id": row.data_source_id, "dataset_id": row.dataset_id, "is_active": row.is_active, "applied_at": row.applied_at})
            },
        }),
        // Index: policy_evaluations(user_id, id).
        Box::new(Rows::<entry::Entity> {
            name: "policy_evaluations",
            id: entry::Column::Id,
            of: |subject| Some(subject.shared(entry::Column::UserId, entry::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "policy_id": row.policy_id,
                    "query_id": row.query_id, "data_source_id": row.data_source_id, "result": row.evaluation_result,
                    "action_taken": row.action_taken, "evaluated_at": row.evaluated_at, "ip_address": row.ip_address})
            },
        }),
    ]
}

pub fn possessions() -> Vec<Box<dyn Owned>> {
    // Index: policies(organization_id, priority, id).
    vec![Box::new(OwnedRows::<store::Entity> { owner: store::Column::CreatedByUserId })]
}
