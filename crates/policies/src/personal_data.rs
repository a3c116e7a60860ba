//! What this room keeps about a person, for an access request: the queries that they ran, what governed them, and the
//! policies that they made; and what may become another's.

use async_trait::async_trait;
use rivergen_kernel::{Result, Tenant, UserId};
use rivergen_platform::{
    Event, Transaction,
    db::TenantScope,
    personal_data::{Owned, OwnedRows, Records, Rows},
};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use crate::{
    evaluation::{
        entry,
        run::{Column, Entity},
    },
    store::{self, assignment},
};

pub fn records() -> Vec<Box<dyn Records>> {
    vec![
        // Index: query_runs(user_id, id).
        Box::new(Rows::<Entity> {
            name: "queries",
            id: Column::Id,
            of: |subject| Some(subject.shared(Column::UserId, Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "sql": row.sql_text,
                    "status": row.status.to_value(), "row_count": row.row_count, "started_at": row.started_at,
                    "duration_ms": row.duration_ms, "ip_address": row.ip})
            },
        }),
        // Index: policies(created_by_user_id, id).
        Box::new(Rows::<store::Entity> {
            name: "policies",
            id: store::Column::Id,
            of: |subject| Some(subject.shared(store::Column::CreatedByUserId, store::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "name": row.name,
                    "description": row.description, "policy_type": row.policy_type, "is_active": row.is_active,
                    "created_at": row.created_at, "updated_at": row.updated_at, "deleted_at": row.deleted_at})
            },
        }),
        // Index: policy_assignments(user_id, id).
        Box::new(Rows::<assignment::Entity> {
            name: "policy_assignments",
            id: assignment::Column::Id,
            of: |subject| Some(subject.shared(assignment::Column::UserId, assignment::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "policy_id": row.policy_id,
                    "data_source_id": row.data_source_id, "dataset_id": row.dataset_id, "is_active": row.is_active, "applied_at": row.applied_at})
            },
        }),
        // Index: policy_evaluations(user_id, id).
        Box::new(Rows::<entry::Entity> {
            name: "policy_evaluations",
            id: entry::Column::Id,
            of: |subject| Some(subject.shared(entry::Column::UserId, entry::Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "policy_id": row.policy_id,
                    "query_id": row.query_id, "data_source_id": row.data_source_id, "result": row.evaluation_result,
                    "action_taken": row.action_taken, "evaluated_at": row.evaluated_at, "ip_address": row.ip_address})
            },
        }),
    ]
}

pub fn possessions() -> Vec<Box<dyn Owned>> {
    vec![
        // Index: policies(organization_id, priority, id).
        Box::new(OwnedRows::<store::Entity> { owner: store::Column::CreatedByUserId }),
        Box::new(BoundToPeople),
    ]
}

/// What governs a member by themselves: they do not get rid of it by another account that takes their place.
struct BoundToPeople;

#[async_trait]
impl Owned for BoundToPeople {
    /// An heir is not whom it governs.
    async fn transfer(&self, _: &Transaction, _: Tenant, _: UserId, _: UserId) -> Result<u64> {
        Ok(0)
    }

    async fn become_one(&self, tx: &Transaction, tenant: Tenant, from: UserId, to: UserId) -> Result<()> {
        use assignment::{Column, Entity, Model};
        // Index: policy_assignments(user_id, id).
        let of = |person: UserId| tenant.find::<Entity>().filter(Column::UserId.eq(person));
        let (own, theirs) = (of(to).all(tx.conn()).await?, of(from).all(tx.conn()).await?);
        let same = |one: &Model, other: &Model| {
            let targets = |row: &Model| (row.policy_id, row.data_source_id, row.workspace_id, row.role_id);
            let table = |row: &Model| row.table().map(|table| (table.data_source_id, table.schema, table.name));
            targets(one) == targets(other) && table(one) == table(other)
        };
        // The same targets are once in a policy.
        let (mut twice, mut in_force) = (Vec::new(), Vec::new());
        for row in &theirs {
            let Some(twin) = own.iter().find(|twin| same(twin, row)) else { continue };
            twice.push(row.id);
            in_force.extend(row.is_active.then_some(twin.id));
        }
        Entity::delete_many().filter(Column::Id.is_in(twice)).exec(tx.conn()).await?;
        let active = Entity::update_many().col_expr(Column::IsActive, Expr::value(true));
        active.filter(Column::Id.is_in(in_force)).exec(tx.conn()).await?;
        // Index: policy_assignments(user_id, id).
        Entity::update_many()
            .col_expr(Column::UserId, Expr::value(to))
            .filter(Column::OrganizationId.eq(tenant.organization_id()))
            .filter(Column::UserId.eq(from))
            .exec(tx.conn())
            .await?;
        tx.publish(Event::PoliciesChanged(tenant.organization_id())).await
    }
}
