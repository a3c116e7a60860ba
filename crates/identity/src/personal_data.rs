//! What this room keeps about a person, for an access request; hashes, keys and codes are no part of it.

use rivergen_platform::personal_data::{Records, Rows};
use serde_json::json;

use crate::{device, mfa, personal_token, session, social, user::address, webauthn};

pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        // Index: user_emails(user_id).
        Box::new(Rows::<address::Entity> {
            name: "email_addresses",
            id: address::Column::Id,
            of: |subject| subject.own(address::Column::UserId),
            shown: |row| {
                json!({"id": row.id, "email": row.email, "is_primary": row.is_primary, "verified_at": row.verified_at,
                    "created_at": row.created_at})
            },
        }),
        // Index: sessions(user_id, ended_at).
        Box::new(Rows::<session::Entity> {
            name: "sessions",
            id: session::Column::Id,
            of: |subject| Some(subject.shared(session::Column::UserId, session::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "workspace_id": row.workspace_id,
                    "methods": row.amr, "ip_address": row.ip, "user_agent": row.user_agent, "created_at": row.created_at,
                    "last_used_at": row.last_used_at, "expires_at": row.expires_at, "ended_at": row.ended_at,
                    "end_reason": row.end_reason.as_ref().map(sea_orm::ActiveEnum::to_value)})
            },
        }),
        // Index: trusted_devices(user_id, activated_at).
        Box::new(Rows::<device::Entity> {
            name: "devices",
            id: device::Column::Id,
            of: |subject| Some(subject.shared(device::Column::UserId, device::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "device_name": row.device_name,
                    "ip_address": row.ip, "user_agent": row.user_agent, "created_at": row.created_at,
                    "activated_at": row.activated_at, "trusted_until": row.trusted_until,
                    "last_used_at": row.last_used_at})
            },
        }),
        // Index: personal_access_tokens(user_id, revoked_at).
        Box::new(Rows::<personal_token::Entity> {
            name: "tokens",
            id: personal_token::Column::Id,
            of: |subject| Some(subject.shared(personal_token::Column::UserId, personal_token::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "name": row.name, "prefix": row.prefix,
                    "scopes": row.scopes, "created_at": row.created_at, "expires_at": row.expires_at,
                    "last_used_at": row.last_used_at, "revoked_at": row.revoked_at})
            },
        }),
        // Index: mfa_methods(user_id, kind).
        Box::new(Rows::<mfa::Entity> {
            name: "second_factors",
            id: mfa::Column::Id,
            of: |subject| subject.own(mfa::Column::UserId),
            shown: |row| {
                json!({"id": row.id, "kind": row.kind.as_str(), "device_name": row.device_name,
                    "created_at": row.created_at, "verified_at": row.verified_at, "last_used_at": row.last_used_at})
            },
        }),
        // Index: webauthn_credentials(user_id).
        Box::new(Rows::<webauthn::Entity> {
            name: "passkeys",
            id: webauthn::Column::Id,
            of: |subject| subject.own(webauthn::Column::UserId),
            shown: |row| {
                json!({"id": row.id, "device_name": row.device_name, "credential_id": row.credential_id,
                    "transports": row.transports, "usage_count": row.usage_count, "created_at": row.created_at,
                    "last_used_at": row.last_used_at})
            },
        }),
        // Index: social_accounts(user_id, provider).
        Box::new(Rows::<social::Entity> {
            name: "linked_accounts",
            id: social::Column::Id,
            of: |subject| subject.own(social::Column::UserId),
            shown: |row| {
                json!({"id": row.id, "provider": row.provider, "subject": row.subject, "email": row.email,
                    "display_name": row.display_name, "created_at": row.created_at, "last_used_at": row.last_used_at})
            },
        }),
    ]
}
