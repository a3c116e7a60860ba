//! The policies of organizations and the groups of their members, in memory until somebody changes them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_kernel::{Error, OrganizationId, Result, Tenant, UserId, access::AccessPolicies};
use rivergen_platform::{Clock, Database, Event, Kept, db::TenantScope};
use rivergen_tenancy::standing::PolicySource;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, prelude::Json,
};

use super::{
    Column, Entity,
    compiled::{Compiled, OfMember},
};
use crate::{
    provider::identity,
    scim::{
        group::{self, member},
        user,
    },
};

/// Answers what the policies of an organization are for a member; cheap to clone.
#[derive(Clone)]
pub struct AccessControl {
    db: Database,
    clock: Clock,
    policies: Kept<OrganizationId, Option<Arc<Compiled>>>,
    groups: Kept<(OrganizationId, UserId), Arc<[String]>>,
}

impl AccessControl {
    pub fn new(db: Database, clock: Clock) -> Self {
        let ten_minutes = Duration::from_secs(600);
        let policies = Kept::new(db.bus(), 10_000, ten_minutes, |organization: &OrganizationId, _| {
            vec![Event::OrganizationChanged(*organization)]
        });
        let groups = Kept::new(db.bus(), 100_000, ten_minutes, |(organization, user): &(OrganizationId, UserId), _| {
            vec![Event::UserChanged(*user), Event::OrganizationChanged(*organization)]
        });
        Self { db, clock, policies, groups }
    }

    /// The active policies; `None` where there are none.
    pub(super) async fn compiled(&self, organization: OrganizationId) -> Result<Option<Arc<Compiled>>> {
        let load = async {
            let tenant = Tenant::on_behalf_of(organization);
            // Index: abac_policies(organization_id, priority, id).
            let rows = tenant.find::<Entity>().filter(Column::IsActive.eq(true)).order_by_asc(Column::Id);
            let rows = rows.all(self.db.read()).await?;
            // Each policy is checked against the schema once more, which is work for no async thread.
            let compiled = tokio::task::spawn_blocking(move || Compiled::of(&rows).map(Arc::new)).await;
            compiled.map_err(Error::internal)
        };
        self.policies.get_or_load(organization, load).await
    }

    /// The groups of a member at the organization's identity providers.
    pub(super) async fn groups(&self, organization: OrganizationId, user: UserId) -> Result<Arc<[String]>> {
        let load = async { groups_of(self.db.read(), Tenant::on_behalf_of(organization), user).await };
        self.groups.get_or_load((organization, user), load).await
    }
}

#[async_trait]
impl PolicySource for AccessControl {
    async fn of(&self, organization: OrganizationId, user: UserId) -> Result<Option<Arc<dyn AccessPolicies>>> {
        let Some(compiled) = self.compiled(organization).await? else { return Ok(None) };
        let groups = self.groups(organization, user).await?;
        Ok(Some(Arc::new(OfMember { compiled, groups, clock: self.clock.clone() })))
    }
}

/// Those that a provider named at the last sign-in, and those that one pushed.
pub(super) async fn groups_of(db: &impl ConnectionTrait, tenant: Tenant, user: UserId) -> Result<Arc<[String]>> {
    // Index: sso_identities(user_id, organization_id).
    let named = tenant.find::<identity::Entity>().filter(identity::Column::UserId.eq(user));
    let named = named.select_only().column(identity::Column::Groups).into_tuple::<Json>().all(db).await?;
    let mut groups = BTreeSet::new();
    for named in named {
        groups.extend(serde_json::from_value::<Vec<String>>(named).map_err(Error::internal)?);
    }
    // Indexes: scim_users(organization_id, user_id), scim_group_members(scim_user_id, group_id).
    let pushed = member::Entity::find()
        .join(JoinType::InnerJoin, member::to_user())
        .join(JoinType::InnerJoin, member::to_group())
        .filter(user::Column::OrganizationId.eq(tenant.organization_id()))
        .filter(user::Column::UserId.eq(user))
        .select_only()
        .column(group::Column::DisplayName);
    groups.extend(pushed.into_tuple::<String>().all(db).await?);
    Ok(groups.into_iter().collect())
}
