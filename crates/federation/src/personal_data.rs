//! What this room keeps about people, for an access request: who they are at identity providers, their sign-ins there,
//! and what they were asked to do for them.

use async_trait::async_trait;
use rivergen_kernel::{Result, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    personal_data::{Owned, Records, Rows},
};
use rivergen_tenancy::member::assignment;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::Expr};
use serde_json::json;

use crate::{
    enforcement::notice,
    provider::identity,
    scim,
    sign_in::{login, roles},
};

/// What goes with a member whom another account takes the place of.
pub fn possessions() -> Vec<Box<dyn Owned>> {
    vec![Box::new(RolesOfGroups)]
}

/// Which roles a provider's groups gave: it goes with the roles, so that the groups can take them away again. Nothing that
/// anybody owns, and nothing where the roles stay.
struct RolesOfGroups;

#[async_trait]
impl Owned for RolesOfGroups {
    async fn transfer(&self, tx: &Transaction, tenant: Tenant, from: UserId, to: UserId) -> Result<u64> {
        // Index: role_assignments(user_id, organization_id).
        let theirs = assignment::Entity::find()
            .select_only()
            .column(assignment::Column::Id)
            .filter(assignment::Column::OrganizationId.eq(tenant.organization_id()))
            .filter(assignment::Column::UserId.eq(to))
            .into_query();
        // Index: sso_role_grants(user_id, provider_id).
        roles::Entity::update_many()
            .col_expr(roles::Column::UserId, Expr::value(to))
            .filter(roles::Column::UserId.eq(from))
            .filter(roles::Column::OrganizationId.eq(tenant.organization_id()))
            .filter(roles::Column::AssignmentId.in_subquery(theirs))
            .exec(tx.conn())
            .await?;
        Ok(0)
    }
}

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
                    "subject": row.subject, "second_factor": row.second_factor, "created_at": row.created_at,
                    "authenticated_at": row.authenticated_at})
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
