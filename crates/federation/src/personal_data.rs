//! What this room keeps about people, for an access request: who they are at identity providers, their sign-ins there,
//! and what they were asked to do for them.

use rivergen_platform::personal_data::{Records, Rows};
use serde_json::json;

use crate::{enforcement::notice, provider::identity, scim, sign_in::login};

/// The records of this room.
pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        // Index: sso_identities(user_id, organization_id).
        Box::new(Rows::<identity::Entity> {
            name: "sso_identities",
            id: identity::Column::Id,
            of: |subject| Some(subject.shared(identity::Column::UserId, identity::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "provider_id": row.provider_id,
                    "subject": row.subject, "email": row.email, "attributes": row.attributes, "groups": row.groups,
                    "created_at": row.created_at, "last_login_at": row.last_login_at})
            },
        }),
        // Index: sso_logins(user_id, organization_id).
        Box::new(Rows::<login::Entity> {
            name: "sso_logins",
            id: login::Column::Id,
            of: |subject| Some(subject.shared(login::Column::UserId, login::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "provider_id": row.provider_id,
                    "subject": row.subject, "second_factor": row.second_factor, "created_at": row.created_at})
            },
        }),
        // Index: sso_notices(user_id, organization_id).
        Box::new(Rows::<notice::Entity> {
            name: "sso_notices",
            id: notice::Column::Id,
            of: |subject| Some(subject.shared(notice::Column::UserId, notice::Column::OrganizationId)),
            shown: |row| json!({"id": row.id, "organization_id": row.organization_id, "kind": row.kind, "sent_at": row.sent_at}),
        }),
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
