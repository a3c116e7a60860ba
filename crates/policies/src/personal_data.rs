//! What this room keeps about a person, for an access request: the queries that they ran.

use rivergen_platform::personal_data::{Records, Rows};
use sea_orm::ActiveEnum;
use serde_json::json;

use crate::evaluation::run::{Column, Entity};

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
