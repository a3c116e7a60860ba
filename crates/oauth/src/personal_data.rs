//! What this room keeps about people, for an access request: what they let applications do, and which of them act for them.
//!
//! Who answers for an application is left as it is when they leave: it acts for nobody then, until somebody takes it over.

use rivergen_platform::personal_data::{Records, Rows};
use serde_json::json;

use crate::{application, consent, grant};

/// The records of this room.
pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        // Index: oauth_applications(responsible_user_id, organization_id, id).
        Box::new(Rows::<application::Entity> {
            name: "oauth_applications",
            id: application::Column::Id,
            of: |subject| {
                let (person, organization) =
                    (application::Column::ResponsibleUserId, application::Column::OrganizationId);
                Some(subject.shared(person, organization))
            },
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "name": row.name,
                    "responsible_since": row.responsible_since, "created_at": row.created_at})
            },
        }),
        // Index: oauth_consents(user_id, organization_id, id).
        Box::new(Rows::<consent::Entity> {
            name: "oauth_consents",
            id: consent::Column::Id,
            of: |subject| Some(subject.shared(consent::Column::UserId, consent::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "application_id": row.application_id,
                    "scope": row.scope, "created_at": row.created_at, "updated_at": row.updated_at})
            },
        }),
        // Index: oauth_grants(user_id, organization_id, id).
        Box::new(Rows::<grant::Entity> {
            name: "oauth_grants",
            id: grant::Column::Id,
            of: |subject| Some(subject.shared(grant::Column::UserId, grant::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "application_id": row.application_id,
                    "scope": row.scope, "methods": row.amr, "created_at": row.created_at, "ended_at": row.ended_at,
                    "end_reason": row.end_reason})
            },
        }),
    ]
}
