//! The roles that a provider's groups give.
//!
//! They are worked out anew at each sign-in. What a group gave is remembered, and taken away when the person is not in the
//! group any more; a role that somebody was given by people is never touched, whatever the groups say. Neither groups nor a
//! first sign-in give a role that could be used to give oneself more: whoever runs the provider does not run the organization.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    BuiltInRole, ErrorCode, OrganizationId, Permission, Result, RoleId, SsoProviderId, Tenant, UserId,
};
use rivergen_platform::{
    Clock, Event, Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
};
use rivergen_tenancy::{
    member::assignment::{self, Grant},
    organization::{self, settings::Intake},
    role,
};
use sea_orm::{ActiveValue::Set, Condition, ConnectionTrait, QuerySelect, QueryTrait, entity::prelude::*};
use serde_json::json;

use crate::{provider, scim};

/// A role that a group gave.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sso_role_grants")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub provider_id: SsoProviderId,
    pub user_id: UserId,
    pub role_id: RoleId,
    /// Goes with it.
    pub assignment_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// Whether an identity provider may give the role: it is neither Owner nor Admin, and carries nothing that changes who may
/// what in the organization. What is not named here is not allowed.
pub fn may_be_given(role: &role::Model) -> bool {
    let is_above = matches!(role.built_in(), Some(BuiltInRole::Owner | BuiltInRole::Admin));
    !is_above && role.permissions().into_iter().all(is_harmless)
}

/// Whether it changes nothing of who may what in the organization.
pub(super) fn is_harmless(permission: Permission) -> bool {
    use Permission::*;
    permission.is_of_workspace()
        || matches!(
            permission,
            OrganizationRead
                | MemberRead
                | UserRead
                | RoleRead
                | WorkspaceRead
                | WorkspaceCreate
                | WorkspaceWrite
                | SsoRead
                | TokenRead
                | OauthAppRead
                | SessionRead
                | DeviceRead
                | StorageManage
                | PolicyRead
                | PolicyWrite
                | PolicyDelete
                | PolicyDetokenize
                | AuditRead
        )
}

/// What a sign-in changes of somebody's roles.
#[derive(Debug, Default)]
pub struct Plan {
    /// Each with the group that gives it.
    pub give: Vec<(role::Model, String)>,
    pub take: Vec<Model>,
    /// What groups give and the person has already.
    pub kept: Vec<role::Model>,
    /// Groups that give nothing.
    pub without_role: Vec<String>,
}

impl Plan {
    /// For somebody who has an account (`None`: nobody yet) and is in these groups.
    pub async fn of(
        db: &impl ConnectionTrait,
        provider: &provider::Model,
        user_id: Option<UserId>,
        groups: &[String],
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let tenant = Tenant::on_behalf_of(provider.organization_id);
        let mapping = provider.group_roles();
        let mut wanted: BTreeMap<RoleId, String> = BTreeMap::new();
        let mut without_role = Vec::new();
        for group in groups {
            let Some(role) = mapping.get(group) else {
                without_role.push(group.clone());
                continue;
            };
            wanted.entry(*role).or_insert_with(|| group.clone());
        }
        let roles = match wanted.is_empty() {
            true => Vec::new(),
            false => {
                tenant.find::<role::Entity>().filter(role::Column::Id.is_in(wanted.keys().copied())).all(db).await?
            }
        };
        let roles: Vec<role::Model> = roles.into_iter().filter(may_be_given).collect();
        let (mut held, mut remembered) = (BTreeSet::new(), Vec::new());
        if let Some(user_id) = user_id {
            // Index: role_assignments(user_id, organization_id).
            let assigned = tenant
                .find::<assignment::Entity>()
                .filter(assignment::Column::UserId.eq(user_id))
                .filter(assignment::Column::WorkspaceId.is_null())
                .filter(assignment::live(now));
            held = assigned.all(db).await?.into_iter().map(|row| row.role_id).collect();
            // Index: sso_role_grants(user_id, provider_id).
            let given = Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::ProviderId.eq(provider.id));
            remembered = given.all(db).await?;
        }
        let take = remembered.into_iter().filter(|grant| !roles.iter().any(|role| role.id == grant.role_id)).collect();
        let (kept, give): (Vec<_>, Vec<_>) = roles.into_iter().partition(|role| held.contains(&role.id));
        let give = give.into_iter().map(|role| (wanted.remove(&role.id).unwrap_or_default(), role));
        Ok(Self { give: give.map(|(group, role)| (role, group)).collect(), take, kept, without_role })
    }

    pub fn changes_nothing(&self) -> bool {
        self.give.is_empty() && self.take.is_empty()
    }

    /// Carries it out. The organization is locked.
    pub async fn apply(
        self,
        tx: &Transaction,
        provider: &provider::Model,
        user_id: UserId,
        clock: &Clock,
    ) -> Result<()> {
        let tenant = Tenant::on_behalf_of(provider.organization_id);
        let by = Actor::system();
        let takes = !self.take.is_empty();
        for grant in self.take {
            // What was given by the group alone; with it goes the row that remembers it.
            let assigned = tenant.find::<assignment::Entity>().filter(assignment::Column::Id.eq(grant.assignment_id));
            if let Some(assigned) = assigned.one(tx.conn()).await? {
                assigned.take(tx, &by, clock).await?;
            }
        }
        if takes {
            // What a group that was pushed gives as well stays.
            let pushed = scim::roles::settle(tx, tenant, &[user_id], &by, clock.now()).await;
            audit::record_all(tx, clock, pushed?).await?;
        }
        for (role, _) in self.give {
            let grant = Grant { tenant, user_id, role_id: role.id, workspace_id: None, expires_at: None };
            let given = match grant.give(tx, &by, clock).await {
                Ok(given) => given,
                Err(error) if error.code == ErrorCode::RoleAlreadyAssigned => continue,
                Err(error) => return Err(error),
            };
            let row = ActiveModel {
                organization_id: Set(provider.organization_id),
                provider_id: Set(provider.id),
                user_id: Set(user_id),
                role_id: Set(role.id),
                assignment_id: Set(given.id),
                ..Default::default()
            };
            Entity::insert(row).exec_without_returning(tx.conn()).await?;
        }
        Ok(())
    }
}

/// Takes every role away that the provider's groups gave, because the provider goes, or this person's link to it; answers how
/// many. The organization is locked.
pub async fn take_all(
    tx: &Transaction,
    provider: &provider::Model,
    of: Option<UserId>,
    clock: &Clock,
) -> Result<usize> {
    // Indexes: sso_role_grants(provider_id), sso_role_grants(user_id, provider_id).
    let mut theirs = Condition::all().add(Column::ProviderId.eq(provider.id));
    if let Some(user_id) = of {
        theirs = theirs.add(Column::UserId.eq(user_id));
    }
    let given = Entity::find().filter(theirs.clone()).all(tx.conn()).await?;
    if given.is_empty() {
        return Ok(0);
    }
    let of_provider = Entity::find().select_only().column(Column::AssignmentId).filter(theirs).into_query();
    assignment::Entity::delete_many()
        .filter(assignment::Column::OrganizationId.eq(provider.organization_id))
        .filter(assignment::Column::Id.in_subquery(of_provider))
        .exec(tx.conn())
        .await?;
    tx.publish(Event::OrganizationChanged(provider.organization_id)).await?;
    tx.publish(Event::MembersChanged(provider.organization_id)).await?;
    let records = given.iter().map(|grant| {
        AuditRecord::new(Some(provider.organization_id), Actor::system(), "role.revoke")
            .target("role", grant.role_id.0)
            .details(json!({"user_id": grant.user_id, "workspace_id": null}))
    });
    let mut records: Vec<AuditRecord> = records.collect();
    // What a group that was pushed gives as well stays.
    let people: BTreeSet<UserId> = given.iter().map(|grant| grant.user_id).collect();
    let people: Vec<UserId> = people.into_iter().collect();
    let tenant = Tenant::on_behalf_of(provider.organization_id);
    records.extend(scim::roles::settle(tx, tenant, &people, &Actor::system(), clock.now()).await?);
    audit::record_all(tx, clock, records).await?;
    Ok(given.len())
}

/// The role of whoever an identity provider makes a member, by a first sign-in or by pushing them: the one that is chosen for
/// it, or the organization's default, or Viewer where neither may be given so.
pub(crate) async fn of_newcomers(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    intake: &Intake,
    chosen: Option<RoleId>,
) -> Result<role::Model> {
    if let Some(id) = chosen
        && let Some(role) = role::existing(db, tenant, id).await?.filter(may_be_given)
    {
        return Ok(role);
    }
    let usual = organization::settings::default_role(db, tenant, intake).await?;
    match may_be_given(&usual) {
        true => Ok(usual),
        false => role::built_in(db, tenant, BuiltInRole::Viewer).await,
    }
}
