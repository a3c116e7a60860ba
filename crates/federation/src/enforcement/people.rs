//! Who of an organization is ready for single sign-on and second factors: counted by the database, never loaded.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rivergen_identity::{
    mfa,
    security::{Enforcement, EnforcementMode},
};
use rivergen_kernel::{Result, RoleId, Tenant, UserId};
use rivergen_platform::db::TenantScope;
use rivergen_tenancy::member::{self, assignment};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, SelectStatement},
};

use crate::provider::{self, identity};

/// The active members whose account is open. Index: memberships(organization_id, user_id), unique.
pub(super) fn active(tenant: Tenant) -> Select<member::Entity> {
    tenant.find::<member::Entity>().filter(member::Column::UserId.in_subquery(member::active(tenant)))
}

/// The ids of those who hold one of the roles in the whole organization. Index: role_assignments(role_id, user_id, expires_at,
/// organization_id).
pub(super) fn holders(tenant: Tenant, roles: &[RoleId], now: DateTime<Utc>) -> SelectStatement {
    tenant
        .find::<assignment::Entity>()
        .select_only()
        .column(assignment::Column::UserId)
        .filter(assignment::Column::RoleId.is_in(roles.iter().copied()))
        .filter(assignment::Column::WorkspaceId.is_null())
        .filter(assignment::live(now))
        .into_query()
}

/// The organization's providers through which somebody can come in. There are few.
fn open_providers(tenant: Tenant) -> SelectStatement {
    tenant
        .find::<provider::Entity>()
        .select_only()
        .column(provider::Column::Id)
        .filter(provider::Column::Status.eq(provider::Status::Active))
        .into_query()
}

/// Whether the member of the query around is linked to an identity provider of the organization that is active. Index:
/// sso_identities(organization_id, user_id).
pub(super) fn is_linked(tenant: Tenant) -> Expr {
    let link = identity::Entity::find()
        .select_only()
        .column(identity::Column::Id)
        .filter(identity::Column::OrganizationId.eq(tenant.organization_id()))
        .filter(identity::Column::ProviderId.in_subquery(open_providers(tenant)))
        .filter(ExprTrait::eq(
            Expr::col((identity::Entity, identity::Column::UserId)),
            Expr::col((member::Entity, member::Column::UserId)),
        ))
        .into_query();
    Expr::exists(link)
}

/// Whether the member of the query around has a second factor or a passkey.
pub(super) fn is_protected() -> Expr {
    mfa::is_protected(Expr::col((member::Entity, member::Column::UserId)))
}

/// What members must have.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub sso: EnforcementMode,
    pub mfa: EnforcementMode,
    /// From single sign-on.
    pub exempt: Vec<UserId>,
}

impl Rules {
    pub fn of(enforcement: &Enforcement, mfa: EnforcementMode) -> Self {
        Self { sso: enforcement.sso_mode, mfa, exempt: enforcement.exempt_user_ids.clone() }
    }

    /// Whether the member of the query around must sign in through the identity provider.
    pub fn not_exempt(&self) -> Expr {
        let user = Expr::col((member::Entity, member::Column::UserId));
        match self.exempt.is_empty() {
            true => Expr::value(true),
            false => user.is_not_in(self.exempt.iter().map(|user| user.0)),
        }
    }

    /// Whether the member of the query around has all that is wanted of them, whether it is demanded yet or not.
    pub fn is_compliant(&self, tenant: Tenant) -> Expr {
        let signs_in_so = match self.sso {
            EnforcementMode::Off => Expr::value(true),
            _ => ExprTrait::or(is_linked(tenant), self.not_exempt().not()),
        };
        match self.mfa {
            EnforcementMode::Off => signs_in_so,
            _ => ExprTrait::and(signs_in_so, is_protected()),
        }
    }
}

/// How many members there are, and how many of them have what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub total: u64,
    pub with_sso: u64,
    pub with_mfa: u64,
    /// With neither.
    pub password_only: u64,
    /// Who have all that is wanted.
    pub compliant: u64,
}

impl Counts {
    pub async fn of(db: &impl ConnectionTrait, tenant: Tenant, rules: &Rules) -> Result<Self> {
        let count = async |which: Expr| active(tenant).filter(which).count(db).await;
        Ok(Self {
            total: active(tenant).count(db).await?,
            with_sso: count(is_linked(tenant)).await?,
            with_mfa: count(is_protected()).await?,
            password_only: count(ExprTrait::or(is_linked(tenant), is_protected()).not()).await?,
            compliant: count(rules.is_compliant(tenant)).await?,
        })
    }
}

/// What some members have: a page of them, or a batch.
#[derive(Debug)]
pub(super) struct Readiness {
    linked: BTreeSet<UserId>,
    protected: BTreeSet<UserId>,
}

impl Readiness {
    pub async fn of(db: &impl ConnectionTrait, tenant: Tenant, members: &[member::Model]) -> Result<Self> {
        let ids: Vec<UserId> = members.iter().map(|member| member.user_id).collect();
        // Index: sso_identities(organization_id, user_id).
        let linked = tenant.find::<identity::Entity>().filter(identity::Column::UserId.is_in(ids.iter().copied()));
        let linked = linked.filter(identity::Column::ProviderId.in_subquery(open_providers(tenant)));
        let linked = linked.select_only().column(identity::Column::UserId).into_tuple().all(db).await?;
        Ok(Self { linked: linked.into_iter().collect(), protected: mfa::protected(db, &ids).await? })
    }

    pub fn is_linked(&self, user: UserId) -> bool {
        self.linked.contains(&user)
    }

    pub fn is_protected(&self, user: UserId) -> bool {
        self.protected.contains(&user)
    }
}
