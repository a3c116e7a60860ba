//! What this room keeps about people.

use rivergen_platform::personal_data::{Records, Rows};
use serde_json::json;

use crate::scim;

/// The records of this room.
pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        // Index: scim_users(user_id, id).
        Box::new(Rows::<scim::user::Entity> {
            name: "scim_users",
            id: scim::user::Column::Id,
            of: |subject| Some(subject.shared(scim::user::Column::UserId, scim::user::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "active": row.active,
                    "attributes": row.attributes, "created_at": row.created_at, "updated_at": row.updated_at})
            },
        }),
    ]
}
