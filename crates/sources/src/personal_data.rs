//! What this room keeps about a person, for an access request: the data sources that they registered; and what may become
//! another's when a member leaves.

use rivergen_platform::personal_data::{Owned, OwnedRows, Records, Rows};
use serde_json::json;

use crate::source::{Column, Entity};

pub fn records() -> Vec<Box<dyn Records>> {
    // Index: data_sources(created_by_user_id, id). Where it is and how it is entered is the organization's.
    vec![Box::new(Rows::<Entity> {
        name: "data_sources",
        id: Column::Id,
        of: |subject| Some(subject.shared(Column::CreatedByUserId, Column::OrganizationId)),
        shown: |row| {
            json!({"id": row.id, "organization_id": row.organization_id, "workspace_id": row.workspace_id,
                "name": row.name, "type": row.kind, "description": row.description, "tags": row.tags,
                "created_at": row.created_at, "updated_at": row.updated_at, "deleted_at": row.deleted_at})
        },
    })]
}

pub fn possessions() -> Vec<Box<dyn Owned>> {
    // Index: data_sources(organization_id, slug).
    vec![Box::new(OwnedRows::<Entity> { owner: Column::CreatedByUserId })]
}
