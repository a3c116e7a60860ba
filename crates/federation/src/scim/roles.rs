//! Groups give roles: whoever is in a group that is mapped to a role holds it in the whole organization, for as long as they
//! are in one that is.
//!
//! What a group gave is marked on the assignment itself. What people gave is never taken, and what a person holds already is
//! not given once more. What a sign-in may not give ([`may_be_given`]), a group may not either.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{Result, RoleId, Tenant, UserId};
use rivergen_platform::{
    Event, Transaction,
    audit::{Actor, AuditRecord},
    db::TenantScope,
};
use rivergen_tenancy::{member::assignment, role};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::{config, group, user};
use crate::sign_in::roles::may_be_given;

/// Rows of one statement.
const BATCH: usize = 500;
/// People who change one by one; of more, the whole organization does.
const MOST_EVENTS: usize = 100;

/// The roles that groups of the organization are mapped to, group by group.
pub async fn mapped(db: &impl ConnectionTrait, tenant: Tenant) -> Result<BTreeMap<i64, BTreeSet<RoleId>>> {
    // Index: scim_configs(organization_id, id).
    // Also of one that is switched off: what its groups gave stays.
    let configs = tenant.find::<config::Entity>().all(db).await?;
    let mut mapped: BTreeMap<i64, BTreeSet<RoleId>> = BTreeMap::new();
    for config in configs {
        let mapping = config.mapping();
        if mapping.is_empty() {
            continue;
        }
        // Indexes: scim_groups(organization_id, display_name_key), scim_groups(organization_id, external_id).
        let named = Condition::any()
            .add(group::Column::DisplayNameKey.is_in(mapping.keys().map(|name| name.to_lowercase())))
            .add(group::Column::ExternalId.is_in(mapping.keys().cloned()));
        let groups = tenant.find::<group::Entity>().filter(group::Column::ConfigId.eq(config.id)).filter(named);
        for found in groups.all(db).await? {
            let given = mapping.iter().filter(|(name, _)| {
                name.to_lowercase() == found.display_name_key || found.external_id.as_ref() == Some(name)
            });
            mapped.entry(found.id).or_default().extend(given.map(|(_, role)| *role));
        }
    }
    let good = givable(db, tenant, mapped.values().flatten().copied()).await?;
    for roles in mapped.values_mut() {
        roles.retain(|role| good.contains(role));
    }
    mapped.retain(|_, roles| !roles.is_empty());
    Ok(mapped)
}

/// Those of the roles that the organization has, and that do not run it.
pub async fn givable(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    roles: impl IntoIterator<Item = RoleId>,
) -> Result<BTreeSet<RoleId>> {
    let wanted: BTreeSet<RoleId> = roles.into_iter().collect();
    let found = tenant.find::<role::Entity>().filter(role::Column::Id.is_in(wanted)).all(db).await?;
    Ok(found.iter().filter(|role| may_be_given(role)).map(|role| role.id).collect())
}

/// Gives and takes what the groups of these people say; answers the records of it, which the caller writes last. The
/// organization is locked.
pub async fn settle(
    tx: &Transaction,
    tenant: Tenant,
    people: &[UserId],
    by: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<AuditRecord>> {
    let mapped = mapped(tx.conn(), tenant).await?;
    let mut records = Vec::new();
    for people in people.chunks(BATCH) {
        let wanted = wanted(tx, tenant, people, &mapped).await?;
        // Index: role_assignments(user_id, organization_id).
        let held = tenant
            .find::<assignment::Entity>()
            .filter(assignment::Column::UserId.is_in(people.iter().copied()))
            .filter(assignment::Column::WorkspaceId.is_null())
            .all(tx.conn())
            .await?;
        records.extend(exchange(tx, tenant, wanted, held, by, now).await?);
    }
    Ok(records)
}

/// What each of the people should hold by their groups.
async fn wanted(
    tx: &Transaction,
    tenant: Tenant,
    people: &[UserId],
    mapped: &BTreeMap<i64, BTreeSet<RoleId>>,
) -> Result<BTreeSet<(UserId, RoleId)>> {
    if mapped.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<(UserId, i64)> = group::member::Entity::find()
        .select_only()
        .column(user::Column::UserId)
        .column(group::member::Column::GroupId)
        .join(sea_orm::JoinType::InnerJoin, group::member::to_user())
        .filter(user::Column::OrganizationId.eq(tenant.organization_id()))
        .filter(user::Column::UserId.is_in(people.iter().copied()))
        .filter(group::member::Column::GroupId.is_in(mapped.keys().copied()))
        .into_tuple()
        .all(tx.conn())
        .await?;
    let roles =
        |(person, group): (UserId, i64)| mapped.get(&group).into_iter().flatten().map(move |role| (person, *role));
    Ok(rows.into_iter().flat_map(roles).collect())
}

/// From what is held to what is wanted.
async fn exchange(
    tx: &Transaction,
    tenant: Tenant,
    wanted: BTreeSet<(UserId, RoleId)>,
    held: Vec<assignment::Model>,
    by: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<AuditRecord>> {
    let organization_id = tenant.organization_id();
    let mut missing = wanted.clone();
    let mut gone = Vec::new();
    for row in &held {
        let key = (row.user_id, row.role_id);
        // One that has run out makes room for the group's.
        let is_over = row.expires_at.is_some_and(|end| end <= now);
        if (row.given_by_group && !wanted.contains(&key)) || (is_over && wanted.contains(&key)) {
            gone.push(row);
        } else {
            missing.remove(&key);
        }
    }
    for rows in gone.chunks(BATCH) {
        let ids = rows.iter().map(|row| row.id);
        assignment::Entity::delete_many().filter(assignment::Column::Id.is_in(ids)).exec(tx.conn()).await?;
    }
    let new: Vec<assignment::ActiveModel> = missing
        .iter()
        .map(|(user_id, role_id)| assignment::ActiveModel {
            organization_id: Set(organization_id),
            user_id: Set(*user_id),
            role_id: Set(*role_id),
            workspace_id: Set(None),
            assigned_at: Set(now),
            assigned_by_user_id: Set(None),
            expires_at: Set(None),
            given_by_group: Set(true),
            ..Default::default()
        })
        .collect();
    for rows in new.chunks(BATCH) {
        assignment::Entity::insert_many(rows.to_vec()).exec_without_returning(tx.conn()).await?;
    }
    let changed: BTreeSet<UserId> =
        gone.iter().map(|row| row.user_id).chain(missing.iter().map(|(person, _)| *person)).collect();
    if changed.len() > MOST_EVENTS {
        tx.publish(Event::OrganizationChanged(organization_id)).await?;
    } else {
        for person in &changed {
            tx.publish(Event::UserChanged(*person)).await?;
        }
    }
    let taken = gone.iter().map(|row| (row.user_id, row.role_id, "role.revoke"));
    let given = missing.iter().map(|(person, role)| (*person, *role, "role.assign"));
    if !(gone.is_empty() && missing.is_empty()) {
        tx.publish(Event::MembersChanged(organization_id)).await?;
    }
    let mut records = Vec::new();
    for (person, role, action) in taken.chain(given) {
        let details = json!({"user_id": person, "workspace_id": null, "by_group": true});
        records
            .push(AuditRecord::new(Some(organization_id), by.clone(), action).target("role", role.0).details(details));
    }
    Ok(records)
}
