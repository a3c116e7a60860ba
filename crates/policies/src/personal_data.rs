//! What this room keeps about a person, for an access request: the queries that they ran; and what may become
//! another's.

use rivergen_platform::personal_data::{Owned, OwnedRows, Records, Rows};
use sea_orm::ActiveEnum;
use serde_json::json;

use crate::{
    evaluation::run::{Column, Entity},
    store,
};

pub fn records() -> Vec<Box<dyn Records>> {
    // Index: query_runs(user_id, id).
    vec![Box::new(Rows::<Entity> {
        name: "queries",
        id: Column::Id,
        of: |subject| Some(subject.shared(Column::UserId, Column::OrganizationId)),
        shown: |row| {
            json!({"id": row.id, "organization_id": row.organization_id, "sql": row.sql_text,
                "status": row.status.to_value(), "row_count": row.row_count, "started_at": row.started_at,
                "duration_ms": row.duration_ms, "ip_address": row.ip})
        },
    })]
}

pub fn possessions() -> Vec<Box<dyn Owned>> {
    // Index: policies(organization_id, priority, id).
    vec![Box::new(OwnedRows::<store::Entity> { owner: store::Column::CreatedByUserId })]
}
