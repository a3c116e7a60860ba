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
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};
use serde_json::json;

use super::{config, group, user};
use crate::sign_in::roles::may_be_given;

/// Rows of one statement.
const BATCH: usize = 500;
/// People of one statement that reads all their groups.
const PEOPLE: usize = 200;
/// People who change one by one; of more, the whole organization does.
const MOST_EVENTS: usize = 100;

/// What the groups of a configuration are mapped to.
#[derive(Debug, Default)]
struct Mapping {
    /// By the name in lower case.
    by_name: BTreeMap<String, BTreeSet<RoleId>>,
    by_external_id: BTreeMap<String, RoleId>,
}

impl Mapping {
    fn of(config: &config::Model) -> Self {
        let by_external_id = config.mapping();
        let mut by_name: BTreeMap<String, BTreeSet<RoleId>> = BTreeMap::new();
        for (name, role) in &by_external_id {
            by_name.entry(name.to_lowercase()).or_default().insert(*role);
        }
        Self { by_name, by_external_id }
    }

    /// What a group of this name and this external id gives.
    fn given(&self, name_key: &str, external_id: Option<&str>) -> BTreeSet<RoleId> {
        let mut given = self.by_name.get(name_key).cloned().unwrap_or_default();
        given.extend(external_id.and_then(|id| self.by_external_id.get(id)).copied());
        given
    }
}

/// The roles that a group of this configuration is mapped to, under this name and external id.
pub async fn mapped_to(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    config_id: i64,
    name_key: &str,
    external_id: Option<&str>,
) -> Result<BTreeSet<RoleId>> {
    // Index: the primary key.
    let config = tenant.find::<config::Entity>().filter(config::Column::Id.eq(config_id)).one(db).await?;
    Ok(config.map(|config| Mapping::of(&config).given(name_key, external_id)).unwrap_or_default())
}

/// The mappings of the organization that say something, by configuration; also of one that is switched off: what its groups
/// gave stays.
async fn mappings(db: &impl ConnectionTrait, tenant: Tenant) -> Result<BTreeMap<i64, Mapping>> {
    // Index: scim_configs(organization_id, id).
    let configs = tenant.find::<config::Entity>().all(db).await?;
    let mappings = configs.iter().map(|config| (config.id, Mapping::of(config)));
    Ok(mappings.filter(|(_, mapping)| !mapping.by_external_id.is_empty()).collect())
}

/// Those of the roles that the organization has, and that do not run it.
pub async fn givable(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    roles: impl IntoIterator<Item = RoleId>,
) -> Result<BTreeSet<RoleId>> {
    let wanted: BTreeSet<RoleId> = roles.into_iter().collect();
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let found = tenant.find::<role::Entity>().filter(role::Column::Id.is_in(wanted)).all(db).await?;
    Ok(found.iter().filter(|role| may_be_given(role)).map(|role| role.id).collect())
}

/// Whether the user of the query around is in a group of the configuration that gives one of these roles, and does not hold it,
/// because somebody took it; `None` where no group gives any. Indexes: scim_group_members(scim_user_id, group_id),
/// role_assignments(user_id, organization_id).
pub fn lacks_a_role(config: &config::Model, given: &BTreeSet<RoleId>) -> Option<Condition> {
    let mut groups: BTreeMap<RoleId, Vec<String>> = BTreeMap::new();
    for (name, role) in config.mapping().into_iter().filter(|(_, role)| given.contains(role)) {
        groups.entry(role).or_default().push(name);
    }
    let mut lacks = Condition::any();
    for (role, names) in groups {
        let called_so = Condition::any()
            .add(group::Column::DisplayNameKey.is_in(names.iter().map(|name| name.to_lowercase())))
            .add(group::Column::ExternalId.is_in(names));
        let is_in = group::member::Entity::find()
            .select_only()
            .column(group::member::Column::GroupId)
            .join(sea_orm::JoinType::InnerJoin, group::member::to_group())
            .filter(
                Expr::col((group::member::Entity, group::member::Column::ScimUserId))
                    .equals((user::Entity, user::Column::Id)),
            )
            .filter(group::Column::ConfigId.eq(config.id))
            .filter(called_so)
            .into_query();
        let holds = assignment::Entity::find()
            .select_only()
            .column(assignment::Column::Id)
            .filter(
                Expr::col((assignment::Entity, assignment::Column::UserId))
                    .equals((user::Entity, user::Column::UserId)),
            )
            .filter(assignment::Column::OrganizationId.eq(config.organization_id))
            .filter(assignment::Column::RoleId.eq(role))
            .filter(assignment::Column::WorkspaceId.is_null())
            .into_query();
        lacks = lacks.add(Condition::all().add(Expr::exists(is_in)).add(Expr::exists(holds).not()));
    }
    (!lacks.is_empty()).then_some(lacks)
}

/// Gives and takes what the groups of these people say; answers the records of it, which the caller writes last. It reads
/// of these people alone, however many others are in their groups. The organization is locked.
pub async fn settle(
    tx: &Transaction,
    tenant: Tenant,
    people: &[UserId],
    by: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<AuditRecord>> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let by_groups = wanted(tx, tenant, people).await?;
    let mut changes = Vec::new();
    for people in people.chunks(PEOPLE) {
        let mut wanted = BTreeSet::new();
        for person in people {
            wanted.extend(by_groups.get(person).into_iter().flatten().map(|role| (*person, *role)));
        }
        // Index: role_assignments(user_id, organization_id).
        let held = tenant
            .find::<assignment::Entity>()
            .filter(assignment::Column::UserId.is_in(people.iter().copied()))
            .filter(assignment::Column::WorkspaceId.is_null())
            .all(tx.conn())
            .await?;
        changes.extend(exchange(tx, tenant, wanted, held, now).await?);
    }
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let organization_id = tenant.organization_id();
    let changed: BTreeSet<UserId> = changes.iter().map(|change| change.person).collect();
    if changed.len() > MOST_EVENTS {
        tx.publish(Event::OrganizationChanged(organization_id)).await?;
    } else {
        for person in &changed {
            tx.publish(Event::UserChanged(*person)).await?;
        }
    }
    tx.publish(Event::MembersChanged(organization_id)).await?;
    let record = |Change { person, role, action }| {
        let details = json!({"user_id": person, "workspace_id": null, "by_group": true});
        AuditRecord::new(Some(organization_id), by.clone(), action).target("role", role.0).details(details)
    };
    Ok(changes.into_iter().map(record).collect())
}

/// What each of the people should hold by their groups.
async fn wanted(tx: &Transaction, tenant: Tenant, people: &[UserId]) -> Result<BTreeMap<UserId, BTreeSet<RoleId>>> {
    let mappings = mappings(tx.conn(), tenant).await?;
    let mut wanted: BTreeMap<UserId, BTreeSet<RoleId>> = BTreeMap::new();
    if mappings.is_empty() {
        return Ok(wanted);
    }
    for people in people.chunks(PEOPLE) {
        // Indexes: scim_users(organization_id, user_id), scim_group_members(scim_user_id, group_id).
        let rows: Vec<(UserId, i64, String, Option<String>)> = group::member::Entity::find()
            .select_only()
            .column(user::Column::UserId)
            .column(group::Column::ConfigId)
            .column(group::Column::DisplayNameKey)
            .column(group::Column::ExternalId)
            .join(sea_orm::JoinType::InnerJoin, group::member::to_user())
            .join(sea_orm::JoinType::InnerJoin, group::member::to_group())
            .filter(user::Column::OrganizationId.eq(tenant.organization_id()))
            .filter(user::Column::UserId.is_in(people.iter().copied()))
            .filter(group::Column::ConfigId.is_in(mappings.keys().copied()))
            .into_tuple()
            .all(tx.conn())
            .await?;
        for (person, config, name_key, external_id) in rows {
            let given = mappings.get(&config).map(|mapping| mapping.given(&name_key, external_id.as_deref()));
            wanted.entry(person).or_default().extend(given.into_iter().flatten());
        }
    }
    let good = givable(tx.conn(), tenant, wanted.values().flatten().copied()).await?;
    wanted.values_mut().for_each(|roles| roles.retain(|role| good.contains(role)));
    Ok(wanted)
}

/// A role that somebody got or lost, as the log calls it.
struct Change {
    person: UserId,
    role: RoleId,
    action: &'static str,
}

/// From what is held to what is wanted; answers what that changed.
async fn exchange(
    tx: &Transaction,
    tenant: Tenant,
    wanted: BTreeSet<(UserId, RoleId)>,
    held: Vec<assignment::Model>,
    now: DateTime<Utc>,
) -> Result<Vec<Change>> {
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
    let taken = gone.iter().map(|row| Change { person: row.user_id, role: row.role_id, action: "role.revoke" });
    let given = missing.iter().map(|(person, role)| Change { person: *person, role: *role, action: "role.assign" });
    Ok(taken.chain(given).collect())
}
