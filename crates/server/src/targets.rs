//! What policies may be bound to, answered from the rooms that hold it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rivergen_federation::{
    provider::identity,
    scim::{
        group::{self, member as group_member},
        user as pushed_user,
    },
};
use rivergen_identity::user::User;
use rivergen_kernel::{DataSourceId, DatasetId, Error, Result, RoleId, Tenant, UserId, WorkspaceId};
use rivergen_platform::{Clock, Database, db::TenantScope};
use rivergen_policies::{
    rule::{ConfigError, RuleConfig},
    store::assignment::BoundTable,
    targets::{Member, Places, Target, Targets},
};
use rivergen_sources::{source, table};
use rivergen_tenancy::{member, role, standing::Standings, workspace};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, prelude::Json};

/// The organization's objects, read from the database.
pub struct OrganizationTargets {
    db: Database,
    clock: Clock,
    standings: Standings,
}

impl OrganizationTargets {
    pub fn new(db: Database, clock: Clock, standings: Standings) -> Self {
        Self { db, clock, standings }
    }
}

#[async_trait]
impl Targets for OrganizationTargets {
    async fn existing(&self, tenant: Tenant, targets: &BTreeSet<Target>) -> Result<BTreeSet<Target>> {
        let db = self.db.read();
        let (mut sources, mut roles, mut users, mut workspaces) = (vec![], vec![], vec![], vec![]);
        let mut datasets = BTreeSet::new();
        for target in targets {
            match *target {
                Target::DataSource(id) => sources.push(id),
                Target::Dataset(id) => {
                    datasets.insert(id);
                }
                Target::Role(id) => roles.push(id),
                Target::User(id) => users.push(id),
                Target::Workspace(id) => workspaces.push(id),
            }
        }
        let mut existing = BTreeSet::new();
        if !sources.is_empty() {
            let found = tenant
                .find::<source::Entity>()
                .filter(source::Column::Id.is_in(sources))
                .filter(source::Column::DeletedAt.is_null())
                .all(db)
                .await?;
            existing.extend(found.into_iter().map(|row| Target::DataSource(row.id)));
        }
        if !datasets.is_empty() {
            existing.extend(self.datasets(tenant, &datasets).await?.into_keys().map(Target::Dataset));
        }
        if !roles.is_empty() {
            let found = tenant.find::<role::Entity>().filter(role::Column::Id.is_in(roles)).all(db).await?;
            existing.extend(found.into_iter().map(|row| Target::Role(row.id)));
        }
        if !users.is_empty() {
            let found = tenant
                .find::<member::Entity>()
                .filter(member::Column::UserId.is_in(users))
                .filter(member::Column::Status.eq(member::Status::Active))
                .all(db)
                .await?;
            existing.extend(found.into_iter().map(|row| Target::User(row.user_id)));
        }
        if !workspaces.is_empty() {
            let found = tenant
                .find::<workspace::Entity>()
                .filter(workspace::Column::Id.is_in(workspaces))
                .filter(workspace::Column::DeletedAt.is_null())
                .all(db)
                .await?;
            existing.extend(found.into_iter().map(|row| Target::Workspace(row.id)));
        }
        Ok(existing)
    }

    async fn role_names(&self, tenant: Tenant, roles: &BTreeSet<RoleId>) -> Result<BTreeMap<RoleId, String>> {
        let wanted = roles.iter().copied();
        let found = tenant.find::<role::Entity>().filter(role::Column::Id.is_in(wanted)).all(self.db.read()).await?;
        Ok(found.into_iter().map(|row| (row.id, row.name)).collect())
    }

    async fn workspaces_of(
        &self,
        tenant: Tenant,
        sources: &BTreeSet<DataSourceId>,
    ) -> Result<BTreeMap<DataSourceId, Option<WorkspaceId>>> {
        let wanted = sources.iter().copied();
        let found =
            tenant.find::<source::Entity>().filter(source::Column::Id.is_in(wanted)).all(self.db.read()).await?;
        Ok(found.into_iter().map(|row| (row.id, row.workspace_id)).collect())
    }

    async fn datasets(
        &self,
        tenant: Tenant,
        datasets: &BTreeSet<DatasetId>,
    ) -> Result<BTreeMap<DatasetId, BoundTable>> {
        let db = self.db.read();
        let wanted = datasets.iter().map(|dataset| dataset.0);
        let tables = tenant.find::<table::Entity>().filter(table::Column::Id.is_in(wanted)).all(db).await?;
        let sources = tenant
            .find::<source::Entity>()
            .filter(source::Column::Id.is_in(tables.iter().map(|table| table.data_source_id)))
            .filter(source::Column::DeletedAt.is_null())
            .all(db)
            .await?;
        let sources: BTreeSet<DataSourceId> = sources.into_iter().map(|source| source.id).collect();
        let bound = |row: table::Model| {
            let dataset_id = DatasetId(row.id);
            let data_source_id = row.data_source_id;
            (dataset_id, BoundTable { dataset_id, data_source_id, schema: row.schema_name, name: row.table_name })
        };
        Ok(tables.into_iter().filter(|row| sources.contains(&row.data_source_id)).map(bound).collect())
    }

    async fn misfits(
        &self,
        tenant: Tenant,
        places: &Places,
        rules: &[RuleConfig],
    ) -> Result<Vec<(usize, ConfigError)>> {
        rivergen_runs::fit::misfits(&self.db, tenant, places, rules).await
    }

    /// Those that a provider named at the last sign-in, and those that one pushed.
    async fn groups_of(&self, tenant: Tenant, user: UserId) -> Result<Vec<String>> {
        let db = self.db.read();
        // Index: sso_identities(user_id, organization_id).
        let named = tenant.find::<identity::Entity>().filter(identity::Column::UserId.eq(user));
        let named = named.select_only().column(identity::Column::Groups).into_tuple::<Json>().all(db).await?;
        let mut groups = BTreeSet::new();
        for named in named {
            groups.extend(serde_json::from_value::<Vec<String>>(named).map_err(Error::internal)?);
        }
        // Indexes: scim_users(organization_id, user_id), scim_group_members(scim_user_id, group_id).
        let pushed = group_member::Entity::find()
            .join(JoinType::InnerJoin, group_member::to_user())
            .join(JoinType::InnerJoin, group_member::to_group())
            .filter(pushed_user::Column::OrganizationId.eq(tenant.organization_id()))
            .filter(pushed_user::Column::UserId.eq(user))
            .select_only()
            .column(group::Column::DisplayName);
        groups.extend(pushed.into_tuple::<String>().all(db).await?);
        Ok(groups.into_iter().collect())
    }

    async fn member(&self, tenant: Tenant, user: UserId, workspace: Option<WorkspaceId>) -> Result<Option<Member>> {
        let standing = self.standings.of(tenant.organization_id(), user).await?;
        let membership = standing.and_then(|standing| standing.membership(workspace, self.clock.now()));
        let account = User::find(self.db.read(), user).await?;
        let proved_email = account.filter(User::is_verified).map(|account| account.email.email);
        Ok(membership.map(|membership| Member { membership, proved_email }))
    }
}
