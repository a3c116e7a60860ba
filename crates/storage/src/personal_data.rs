//! What this room keeps about a person, for an access request, and what of it may become another's.

use rivergen_platform::personal_data::{Owned, OwnedRows, Records, Rows};
use sea_orm::ActiveEnum;
use serde_json::json;

use crate::file::{Column, Entity};

pub fn records() -> Vec<Box<dyn Records>> {
    // Index: storage_files(uploaded_by_user_id, id).
    vec![Box::new(Rows::<Entity> {
        name: "files",
        id: Column::Id,
        of: |subject| Some(subject.shared(Column::UploadedByUserId, Column::OrganizationId)),
        shown: |row| {
            json!({"id": row.id, "organization_id": row.organization_id, "file_name": row.file_name,
                "content_type": row.content_type, "category": row.category.to_value(), "size_bytes": row.size_bytes,
                "state": row.state.to_value(), "created_at": row.created_at})
        },
    })]
}

/// Files keep their path, which still names who uploaded them; whose they are says the row alone.
pub fn possessions() -> Vec<Box<dyn Owned>> {
    // Index: storage_files(organization_id, uploaded_by_user_id, state).
    vec![Box::new(OwnedRows::<Entity> { owner: Column::UploadedByUserId })]
}
