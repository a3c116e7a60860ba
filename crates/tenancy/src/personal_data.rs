//! What this room keeps about a person, for an access request: where they belong, and what they may do there.

use async_trait::async_trait;
use rivergen_identity::user::address;
use rivergen_kernel::Result;
use rivergen_platform::personal_data::{PAGE, Records, Rows, Subject};
use sea_orm::{
    ActiveEnum, ColumnTrait, Condition, DatabaseConnection, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use serde_json::{Value, json};

use crate::{
    invitation,
    member::{self, assignment},
    organization, role,
};

pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        Box::new(Memberships),
        Box::new(RoleAssignments),
        // Index: invitations(email, id).
        Box::new(Rows::<invitation::Entity> {
            name: "invitations",
            id: invitation::Column::Id,
            of: |subject| Some(to_addresses_of(subject)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "email": row.email,
                    "status": row.status.to_value(), "message": row.message, "created_at": row.created_at,
                    "expires_at": row.expires_at, "ended_at": row.ended_at})
            },
        }),
    ]
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

struct Memberships;

#[async_trait]
impl Records for Memberships {
    fn name(&self) -> &'static str {
        "memberships"
    }

    async fn page(&self, db: &DatabaseConnection, subject: Subject, after: i64) -> Result<Vec<Value>> {
        use member::{Column, Entity};
        let organization =
            Entity::belongs_to(organization::Entity).from(Column::OrganizationId).to(organization::Column::Id);
        // Index: memberships(user_id, status).
        let rows = Entity::find()
            .join(JoinType::InnerJoin, organization.into())
            .select_also(organization::Entity)
            .filter(subject.shared(Column::UserId, Column::OrganizationId))
            .filter(Column::Id.gt(after))
            .order_by_asc(Column::Id)
            .limit(PAGE)
            .all(db)
            .await?;
        let shown = |(row, organization): (member::Model, Option<organization::Model>)| {
            json!({"id": row.id, "organization_id": row.organization_id,
                "organization_name": organization.map(|organization| organization.name),
                "status": row.status.to_value(), "source": row.source.to_value(), "attributes": row.attributes,
                "joined_at": row.joined_at})
        };
        Ok(rows.into_iter().map(shown).collect())
    }
}

struct RoleAssignments;

#[async_trait]
impl Records for RoleAssignments {
    fn name(&self) -> &'static str {
        "role_assignments"
    }

    async fn page(&self, db: &DatabaseConnection, subject: Subject, after: i64) -> Result<Vec<Value>> {
        use assignment::{Column, Entity};
        let role = Entity::belongs_to(role::Entity).from(Column::RoleId).to(role::Column::Id);
        // Index: role_assignments(user_id, organization_id).
        let rows = Entity::find()
            .join(JoinType::InnerJoin, role.into())
            .select_also(role::Entity)
            .filter(subject.shared(Column::UserId, Column::OrganizationId))
            .filter(Column::Id.gt(after))
            .order_by_asc(Column::Id)
            .limit(PAGE)
            .all(db)
            .await?;
        let shown = |(row, role): (assignment::Model, Option<role::Model>)| {
            json!({"id": row.id, "organization_id": row.organization_id, "workspace_id": row.workspace_id,
                "role_id": row.role_id, "role_name": role.map(|role| role.name), "assigned_at": row.assigned_at})
        };
        Ok(rows.into_iter().map(shown).collect())
    }
}
