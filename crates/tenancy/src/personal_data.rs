//! What this room keeps about a person, for an access request: where they belong, what they may do there, and whom they
//! invited.

use rivergen_identity::user::address;
use rivergen_platform::personal_data::{Records, Rows, RowsWith, Subject};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use serde_json::{Value, json};

use crate::{
    invitation,
    member::{self, assignment},
    organization, role,
    user::import::run,
};

pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        // Index: memberships(user_id, status).
        Box::new(RowsWith::<member::Entity, organization::Entity> {
            name: "memberships",
            id: member::Column::Id,
            refers: || {
                member::Entity::belongs_to(organization::Entity)
                    .from(member::Column::OrganizationId)
                    .to(organization::Column::Id)
                    .into()
            },
            of: |subject| Some(subject.shared(member::Column::UserId, member::Column::OrganizationId)),
            shown: |row, organization| {
                json!({"id": row.id, "organization_id": row.organization_id, "organization_name": organization.name,
                    "status": row.status, "source": row.source, "attributes": row.attributes, "joined_at": row.joined_at})
            },
        }),
        // Index: role_assignments(user_id, organization_id).
        Box::new(RowsWith::<assignment::Entity, role::Entity> {
            name: "role_assignments",
            id: assignment::Column::Id,
            refers: || {
                assignment::Entity::belongs_to(role::Entity)
                    .from(assignment::Column::RoleId)
                    .to(role::Column::Id)
                    .into()
            },
            of: |subject| Some(subject.shared(assignment::Column::UserId, assignment::Column::OrganizationId)),
            shown: |row, role| {
                json!({"id": row.id, "organization_id": row.organization_id, "workspace_id": row.workspace_id,
                    "role_id": row.role_id, "role_name": role.name, "assigned_at": row.assigned_at,
                    "expires_at": row.expires_at})
            },
        }),
        // Index: invitations(email, id).
        Box::new(Rows::<invitation::Entity> {
            name: "invitations",
            id: invitation::Column::Id,
            of: |subject| Some(to_addresses_of(subject)),
            shown: invitation,
        }),
        // Index: invitations(invited_by_user_id, id).
        Box::new(Rows::<invitation::Entity> {
            name: "invitations_sent",
            id: invitation::Column::Id,
            of: |subject| Some(subject.shared(invitation::Column::InvitedByUserId, invitation::Column::OrganizationId)),
            shown: invitation,
        }),
        // Index: user_imports(started_by_user_id, id). The file is gone once it is worked off.
        Box::new(Rows::<run::Entity> {
            name: "imports",
            id: run::Column::Id,
            of: |subject| Some(subject.shared(run::Column::StartedByUserId, run::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "format": row.format,
                    "is_dry_run": row.is_dry_run, "status": row.status, "total_rows": row.total_rows,
                    "created": row.created, "failed": row.failed, "created_at": row.created_at,
                    "finished_at": row.finished_at})
            },
        }),
    ]
}

/// An invitation, whether it was sent or received.
fn invitation(row: &invitation::Model) -> Value {
    json!({"id": row.id, "organization_id": row.organization_id, "email": row.email,
        "status": row.status, "message": row.message, "created_at": row.created_at,
        "expires_at": row.expires_at, "ended_at": row.ended_at})
}

/// Invitations to the addresses that the person has proved.
fn to_addresses_of(subject: Subject) -> Condition {
    let addresses = address::Entity::find()
        .select_only()
        .column(address::Column::Email)
        .filter(address::Column::UserId.eq(subject.user_id))
        .filter(address::Column::VerifiedAt.is_not_null())
        .into_query();
    let theirs = Condition::all().add(invitation::Column::Email.in_subquery(addresses));
    match subject.within {
        Some(tenant) => theirs.add(invitation::Column::OrganizationId.eq(tenant.organization_id())),
        None => theirs,
    }
}
