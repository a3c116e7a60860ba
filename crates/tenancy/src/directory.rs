//! What identity asks: where a person belongs and what they may do there.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_identity::{
    directory::{Directory, OrganizationOfUser, Place, Places, WorkspaceOfUser},
    security::{OrganizationSecurity, SecurityPolicy},
    user::User,
};
use rivergen_kernel::{
    BuiltInRole, ErrorCode, OrganizationId, Result, Tenant, UserId, WorkspaceId, caller::Membership,
    permission::Permission,
};
use rivergen_platform::{
    Clock, Database, Event, Kept, Platform, Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
    jobs::JobOptions,
};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use serde::{Deserialize, Serialize};

use crate::{
    domain,
    member::{self, NewMember, Source, Status, assignment},
    organization::{self, NewOrganization},
    role,
    standing::Standings,
    workspace,
};

/// The job that tells of somebody who came in without the single sign-on that their organization requires. Its handler
/// writes the audit log of the organization and mails its owners: not in the transaction of the sign-in, which holds other
/// locks, but of nothing else than it.
pub const EXEMPT_SIGN_IN: &str = "federation.exempt_sign_in";

/// Its payload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExemptSignIn {
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub at: DateTime<Utc>,
}

/// Tenancy's answers, read from the database.
pub struct TenancyDirectory {
    platform: Platform,
    db: Database,
    clock: Clock,
    standings: Standings,
    /// Asked for at every sign-in and every fresh token.
    policies: Kept<UserId, Arc<SecurityPolicy>>,
}

impl TenancyDirectory {
    pub fn new(platform: Platform, standings: Standings) -> Self {
        let (db, clock) = (platform.db.clone(), platform.clock.clone());
        let ten_minutes = Duration::from_secs(600);
        let policies = Kept::new(db.bus(), 100_000, ten_minutes, |user, _| vec![Event::UserChanged(*user)])
            .clearing_on(|event| matches!(event, Event::OrganizationChanged(_)));
        Self { platform, db, clock, standings, policies }
    }
}

#[async_trait]
impl Directory for TenancyDirectory {
    async fn membership(
        &self,
        user: UserId,
        organization: OrganizationId,
        workspace: Option<WorkspaceId>,
    ) -> Result<Option<Arc<Membership>>> {
        Ok(self.standings.membership(organization, user, workspace, self.clock.now()).await?.map(Arc::new))
    }

    async fn home(&self, user: UserId, wanted: Option<WorkspaceId>) -> Result<Option<Place>> {
        let db = self.db.read();
        if let Some(wanted) = wanted
            && let Some(found) =
                workspace::reachable(user, self.clock.now()).filter(workspace::Column::Id.eq(wanted)).one(db).await?
        {
            return Ok(Some(Place { organization_id: found.organization_id, workspace_id: Some(found.id) }));
        }
        // Index: memberships(user_id, status).
        let open = member::Entity::belongs_to(organization::Entity)
            .from(member::Column::OrganizationId)
            .to(organization::Column::Id);
        let first = member::Entity::find()
            .join(JoinType::InnerJoin, open.into())
            .filter(member::Column::UserId.eq(user))
            .filter(member::Column::Status.eq(Status::Active))
            .filter(organization::Column::DeletedAt.is_null())
            .order_by_asc(member::Column::JoinedAt)
            .order_by_asc(member::Column::Id)
            .one(db)
            .await?;
        let Some(first) = first else { return Ok(None) };
        let default = workspace::default_of(db, first.organization_id).await?;
        Ok(default.map(|row| Place { organization_id: row.organization_id, workspace_id: Some(row.id) }))
    }

    async fn home_in(&self, user: UserId, organization: OrganizationId) -> Result<Option<Place>> {
        let standing = self.standings.of(organization, user).await?;
        if standing.is_none_or(|standing| standing.status != Status::Active) {
            return Ok(None);
        }
        let default = workspace::default_of(self.db.read(), organization).await?;
        Ok(default.map(|row| Place { organization_id: organization, workspace_id: Some(row.id) }))
    }

    async fn create_personal_organization(&self, tx: &Transaction, user: UserId, name: &str) -> Result<Place> {
        let now = self.clock.now();
        let new = NewOrganization {
            name,
            domain: None,
            workspace_name: "Main Workspace",
            is_personal: true,
            created_by: user,
        };
        let created = new.insert(tx, now).await?;
        let owner = created.roles[&BuiltInRole::Owner];
        let new = NewMember {
            organization_id: created.organization.id,
            user_id: user,
            role_id: owner,
            source: Source::Signup,
            attributes: &Default::default(),
            by: None,
        };
        // The log of an organization that nobody else knows yet.
        let joined = new.add(tx, &Actor::system(), now).await?;
        audit::record_all(tx, &self.clock, joined).await?;
        Ok(Place { organization_id: created.organization.id, workspace_id: Some(created.workspace.id) })
    }

    async fn welcoming(&self, tx: &Transaction, email: &str) -> Result<Option<OrganizationId>> {
        domain::join::welcoming(tx, email).await
    }

    async fn join(
        &self,
        tx: &Transaction,
        organization: OrganizationId,
        user: &User,
        email: &str,
        by: &Actor,
    ) -> Result<()> {
        domain::join::join(&self.platform, tx, organization, user, email, by).await
    }

    async fn security(&self, user: UserId) -> Result<Arc<SecurityPolicy>> {
        self.policies.get_or_load(user, async { self.load_security(user).await.map(Arc::new) }).await
    }

    async fn security_of(&self, organization: OrganizationId) -> Result<OrganizationSecurity> {
        let found = organization::Entity::find_by_id(organization).one(self.db.read()).await?;
        found.map_or_else(|| Ok(OrganizationSecurity::default()), |row| row.security())
    }

    async fn let_in_exempt(
        &self,
        tx: &Transaction,
        organization: OrganizationId,
        user: UserId,
        by: &Actor,
    ) -> Result<()> {
        let sign_in = ExemptSignIn {
            organization_id: organization,
            user_id: user,
            ip: by.ip,
            user_agent: by.user_agent.clone(),
            at: self.clock.now(),
        };
        let options = JobOptions { organization_id: Some(organization), ..JobOptions::default() };
        self.platform.jobs.enqueue(tx, EXEMPT_SIGN_IN, &sign_in, options).await.map(drop)
    }

    async fn reach(&self, user: UserId, workspace: WorkspaceId) -> Result<Option<Place>> {
        let found = workspace::reachable(user, self.clock.now())
            .filter(workspace::Column::Id.eq(workspace))
            .one(self.db.read())
            .await?;
        Ok(found.map(|row| Place { organization_id: row.organization_id, workspace_id: Some(row.id) }))
    }

    async fn signed_in(
        &self,
        tx: &Transaction,
        user: UserId,
        organization: OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        member::signed_in(tx, Tenant::on_behalf_of(organization), user, now).await
    }

    async fn person_renamed(&self, tx: &Transaction, user: UserId) -> Result<()> {
        let user = User::find(tx.conn(), user).await?.ok_or(ErrorCode::UserNotFound)?;
        member::rename(tx, &user).await
    }

    async fn keeps_ways_in(&self, tx: &Transaction, user: UserId) -> Result<bool> {
        // Of two owners who give up the last of it at once the second sees what the first has done.
        for id in live_organizations(tx, user).await? {
            let tenant = Tenant::on_behalf_of(id);
            organization::lock(tx, tenant).await?;
            if !member::keeps_a_way_in(tx, tenant, user, None).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn close_account(&self, tx: &Transaction, user: UserId, now: DateTime<Utc>) -> Result<Vec<AuditRecord>> {
        let mut records = Vec::new();
        for id in live_organizations(tx, user).await? {
            let tenant = Tenant::on_behalf_of(id);
            let is_owned = member::is_owned(tx, tenant, Some(user)).await?
                && member::keeps_a_way_in(tx, tenant, user, Some(user)).await?;
            let others = tenant
                .find::<member::Entity>()
                .filter(member::Column::UserId.in_subquery(member::active(tenant)))
                .filter(member::Column::UserId.ne(user))
                .limit(1)
                .one(tx.conn())
                .await?;
            match (is_owned, others) {
                (true, _) => {}
                (false, Some(_)) => return Err(ErrorCode::LastAdmin.into()),
                // Nobody else is there: it goes with its only member.
                (false, None) => {
                    organization::Entity::update_many()
                        .col_expr(organization::Column::DeletedAt, Expr::value(now))
                        .filter(organization::Column::Id.eq(id))
                        .exec(tx.conn())
                        .await?;
                    records.push(with_its_member(id, "organization.delete", user));
                }
            }
            tx.publish(Event::OrganizationChanged(id)).await?;
        }
        // The rows stay until the account is purged: restoring it brings them back.
        tx.publish(Event::UserChanged(user)).await?;
        Ok(records)
    }

    async fn reopen_account(
        &self,
        tx: &Transaction,
        user: UserId,
        closed_at: DateTime<Utc>,
    ) -> Result<Vec<AuditRecord>> {
        let mut records = Vec::new();
        let memberships = member::Entity::find().filter(member::Column::UserId.eq(user)).all(tx.conn()).await?;
        for membership in memberships {
            let id = membership.organization_id;
            let reopened = organization::Entity::update_many()
                .col_expr(organization::Column::DeletedAt, Expr::value(Option::<DateTime<Utc>>::None))
                .filter(organization::Column::Id.eq(id))
                .filter(organization::Column::DeletedAt.eq(closed_at))
                .exec(tx.conn())
                .await?;
            if reopened.rows_affected > 0 {
                records.push(with_its_member(id, "organization.restore", user));
            }
            tx.publish(Event::OrganizationChanged(id)).await?;
        }
        tx.publish(Event::UserChanged(user)).await?;
        Ok(records)
    }

    async fn hold_organizations(&self, tx: &Transaction, user: UserId) -> Result<()> {
        // In one order, as whoever closes an account.
        let organizations: Vec<OrganizationId> = member::Entity::find()
            .select_only()
            .column(member::Column::OrganizationId)
            .filter(member::Column::UserId.eq(user))
            .order_by_asc(member::Column::OrganizationId)
            .into_tuple()
            .all(tx.conn())
            .await?;
        for id in organizations {
            organization::lock(tx, Tenant::on_behalf_of(id)).await?;
            tx.publish(Event::MembersChanged(id)).await?;
        }
        tx.publish(Event::UserChanged(user)).await
    }

    async fn places(&self, user: UserId) -> Result<Places> {
        let db = self.db.read();
        let memberships = member::Entity::find()
            .filter(member::Column::UserId.eq(user))
            .filter(member::Column::Status.eq(Status::Active))
            .order_by_asc(member::Column::JoinedAt)
            .limit(100)
            .all(db)
            .await?;
        let ids: Vec<OrganizationId> = memberships.iter().map(|row| row.organization_id).collect();
        let organizations: BTreeMap<OrganizationId, organization::Model> = organization::Entity::find()
            .filter(organization::Column::Id.is_in(ids.iter().copied()))
            .filter(organization::Column::DeletedAt.is_null())
            .all(db)
            .await?
            .into_iter()
            .map(|row| (row.id, row))
            .collect();
        let administered = self.administered(user, &ids).await?;
        let workspaces =
            workspace::reachable(user, self.clock.now()).order_by_asc(workspace::Column::Id).limit(100).all(db).await?;
        Ok(Places {
            organizations: memberships
                .into_iter()
                .filter_map(|membership| {
                    let row = organizations.get(&membership.organization_id)?;
                    Some(OrganizationOfUser {
                        id: row.id,
                        name: row.name.clone(),
                        domain: row.domain.clone(),
                        plan: row.plan.clone(),
                        is_admin: administered.contains(&row.id),
                        joined_at: membership.joined_at,
                        source: sea_orm::ActiveEnum::to_value(&membership.source),
                    })
                })
                .collect(),
            workspaces: workspaces
                .into_iter()
                .map(|row| WorkspaceOfUser {
                    id: row.id,
                    name: row.name,
                    slug: row.slug,
                    is_default: row.is_default,
                    created_at: row.created_at,
                })
                .collect(),
        })
    }
}

/// The organizations of a person that are not deleted, in one order: of two transactions that hold several of them one waits
/// for the other. Index: memberships(user_id, status).
async fn live_organizations(tx: &Transaction, user: UserId) -> Result<Vec<OrganizationId>> {
    let of = member::Entity::belongs_to(organization::Entity)
        .from(member::Column::OrganizationId)
        .to(organization::Column::Id);
    let live = member::Entity::find()
        .select_only()
        .column(member::Column::OrganizationId)
        .join(JoinType::InnerJoin, of.into())
        .filter(member::Column::UserId.eq(user))
        .filter(organization::Column::DeletedAt.is_null())
        .order_by_asc(member::Column::OrganizationId);
    Ok(live.into_tuple().all(tx.conn()).await?)
}

/// The record of an organization that goes with the account of its only member, or comes back with it.
fn with_its_member(organization: OrganizationId, action: &'static str, user: UserId) -> AuditRecord {
    AuditRecord::new(Some(organization), Actor::system(), action)
        .target("organization", organization.0)
        .details(serde_json::json!({"with_account": user}))
}

impl TenancyDirectory {
    async fn load_security(&self, user: UserId) -> Result<SecurityPolicy> {
        let db = self.db.read();
        let memberships = member::Entity::find()
            .filter(member::Column::UserId.eq(user))
            .filter(member::Column::Status.eq(Status::Active))
            .all(db)
            .await?;
        let joined: BTreeMap<OrganizationId, _> =
            memberships.into_iter().map(|row| (row.organization_id, row.joined_at)).collect();
        let organizations = organization::Entity::find()
            .filter(organization::Column::Id.is_in(joined.keys().copied()))
            .filter(organization::Column::DeletedAt.is_null())
            .all(db)
            .await?;
        let mut policy = SecurityPolicy::default();
        for row in organizations {
            policy.add(row.id, &row.security()?, &row.enforcement()?, user, joined[&row.id]);
        }
        Ok(policy)
    }

    /// Those of the organizations in which the person may manage members.
    async fn administered(&self, user: UserId, organizations: &[OrganizationId]) -> Result<Vec<OrganizationId>> {
        let db = self.db.read();
        let assigned = assignment::Entity::find()
            .filter(assignment::Column::UserId.eq(user))
            .filter(assignment::Column::OrganizationId.is_in(organizations.iter().copied()))
            .filter(assignment::Column::WorkspaceId.is_null())
            .filter(assignment::live(self.clock.now()))
            .all(db)
            .await?;
        let roles =
            role::Entity::find().filter(role::Column::Id.is_in(assigned.iter().map(|row| row.role_id))).all(db).await?;
        Ok(roles
            .into_iter()
            .filter(|role| role.permissions().contains(&Permission::RoleAssign))
            .map(|role| role.organization_id)
            .collect())
    }
}
