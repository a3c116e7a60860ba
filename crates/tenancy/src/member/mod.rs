//! Memberships: who belongs to an organization, with which roles and attributes.
//!
//! A membership carries the person's name and address as they are found and ordered by, and [`word`]s for the search, so
//! that a page of a hundred thousand members comes from an index. [`assignment`] holds the roles.
//!
//! | file | operation |
//! | --- | --- |
//! | [`list`] | `GET /api/v1/organizations/{org_id}/members` |
//! | [`get`], [`update`], [`remove`] | `GET`, `PATCH`, `DELETE /api/v1/organizations/{org_id}/members/{user_id}` |
//! | [`leave`] | `POST /api/v1/organizations/{org_id}/leave` |

pub mod get;
pub mod leave;
pub mod list;
pub(crate) mod page;
pub mod remove;
pub mod update;
pub mod view;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rivergen_identity::{
    device, personal_token,
    security::EnforcementMode,
    session::{self, EndReason},
    user::{User, account},
};
use rivergen_kernel::{
    Attributes, BuiltInRole, Caller, Error, ErrorCode, OrganizationId, Result, RoleId, Tenant, UserId, WorkspaceId,
};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, Actor, AuditRecord},
    db::{TenantOwned, TenantScope, is_unique_violation},
};
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, JoinType, PaginatorTrait, QuerySelect, QueryTrait, Select,
    entity::prelude::*, sea_query::SelectStatement,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Tenancy, invitation, organization, role, standing::Standing};

/// The operations on members.
pub(crate) fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(get::get, update::update, remove::remove))
        .routes(routes!(leave::leave))
}

/// Whether a membership counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = MemberStatus)]
pub enum Status {
    #[sea_orm(string_value = "active")]
    Active,
    /// By an administrator, who can let the member in again.
    #[sea_orm(string_value = "suspended")]
    Suspended,
    /// By the identity provider that manages the member.
    #[sea_orm(string_value = "deactivated")]
    Deactivated,
}

/// How somebody came into an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = MemberSource)]
pub enum Source {
    #[sea_orm(string_value = "signup")]
    Signup,
    #[sea_orm(string_value = "created")]
    Created,
    #[sea_orm(string_value = "provisioned")]
    Provisioned,
    #[sea_orm(string_value = "invitation")]
    Invitation,
    #[sea_orm(string_value = "added")]
    Added,
    #[sea_orm(string_value = "import")]
    Import,
    /// By themselves, with an address of a verified domain.
    #[sea_orm(string_value = "domain")]
    Domain,
    /// By a push of the organization's identity provider.
    #[sea_orm(string_value = "scim")]
    Scim,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    pub status: Status,
    pub source: Source,
    /// Set by administrators; policies name them as `current_user_<key>`.
    pub attributes: Json,
    pub joined_at: DateTime<Utc>,
    /// The person's name in lower case, for the order of lists.
    pub name_key: String,
    /// The person's primary address.
    pub email: String,
    pub status_updated_at: Option<DateTime<Utc>>,
    /// To this organization.
    pub last_login_at: Option<DateTime<Utc>>,
    /// What the identity provider that pushes this member says of whether they are let in; `None`: none pushes them.
    pub scim_active: Option<bool>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn attributes(&self) -> Attributes {
        serde_json::from_value(self.attributes.clone()).unwrap_or_default()
    }
}

/// The member; `MEMBER_NOT_FOUND` for everybody else. Index: memberships(organization_id, user_id), unique.
pub async fn find(db: &impl ConnectionTrait, tenant: Tenant, user_id: UserId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::UserId.eq(user_id)).one(db).await?;
    found.ok_or_else(|| ErrorCode::MemberNotFound.into())
}

/// As [`find`], and held until the transaction ends, so that nobody is removed meanwhile and comes back one day to a role
/// that nobody remembers. `CONFLICT` for who is suspended.
pub(crate) async fn hold_active(tx: &Transaction, tenant: Tenant, user_id: UserId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::UserId.eq(user_id)).lock_shared().one(tx.conn()).await?;
    let member = found.ok_or(ErrorCode::MemberNotFound)?;
    if member.status != Status::Active {
        return Err(suspended());
    }
    Ok(member)
}

/// Nobody is given anything new while they are locked out.
pub(crate) fn suspended() -> Error {
    Error::new(ErrorCode::Conflict).with_message("The member is suspended; let them in again first.")
}

/// What makes somebody a member.
#[derive(Debug)]
pub struct NewMember<'a> {
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    /// In the whole organization.
    pub role_id: RoleId,
    pub source: Source,
    pub attributes: &'a Attributes,
    /// Who made them one; `None`: the server, or they themselves.
    pub by: Option<UserId>,
}

impl NewMember<'_> {
    /// `ALREADY_MEMBER` where they are. What invited them otherwise is over. Answers the records of that and of the role
    /// that they got, from which its history is read: to be written with that of the operation, after everything that the
    /// transaction locks.
    pub async fn add(self, tx: &Transaction, actor: &Actor, now: DateTime<Utc>) -> Result<Vec<AuditRecord>> {
        let user = User::find(tx.conn(), self.user_id).await?.ok_or(ErrorCode::UserNotFound)?;
        Ok(self.add_pushed(tx, actor, &user, None, now).await?.1)
    }

    /// As [`add`](Self::add), of a person who is known with their primary address, and with what the identity provider says
    /// that pushes them of whether they are let in.
    pub async fn add_pushed(
        self,
        tx: &Transaction,
        actor: &Actor,
        user: &User,
        scim_active: Option<bool>,
        now: DateTime<Utc>,
    ) -> Result<(Model, Vec<AuditRecord>)> {
        let row = ActiveModel {
            organization_id: Set(self.organization_id),
            user_id: Set(self.user_id),
            status: Set(Status::Active),
            source: Set(self.source),
            attributes: Set(serde_json::to_value(self.attributes).map_err(Error::internal)?),
            joined_at: Set(now),
            name_key: Set(user.account.display_name.to_lowercase()),
            email: Set(user.email.email.clone()),
            status_updated_at: Set(None),
            last_login_at: Set(None),
            scim_active: Set(scim_active),
            ..Default::default()
        };
        let member = Entity::insert(row).exec_with_returning(tx.conn()).await.map_err(|error| {
            if is_unique_violation(&error) { ErrorCode::AlreadyMember.into() } else { Error::from(error) }
        })?;
        word::insert(tx, self.organization_id, self.user_id, &user.account.display_name, &user.email.email).await?;
        let role = assignment::ActiveModel {
            organization_id: Set(self.organization_id),
            user_id: Set(self.user_id),
            role_id: Set(self.role_id),
            workspace_id: Set(None),
            assigned_at: Set(now),
            assigned_by_user_id: Set(self.by),
            expires_at: Set(None),
            given_by_group: Set(false),
            ..Default::default()
        };
        assignment::Entity::insert(role).exec_without_returning(tx.conn()).await?;
        tx.publish(Event::MembersChanged(self.organization_id)).await?;
        tx.publish(Event::UserChanged(self.user_id)).await?;
        let details = serde_json::json!({"user_id": self.user_id, "workspace_id": null, "joined": self.source,
            "given_by": self.by});
        let record = AuditRecord::new(Some(self.organization_id), actor.clone(), "role.assign");
        let mut records = vec![record.target("role", self.role_id.0).details(details)];
        let tenant = Tenant::on_behalf_of(self.organization_id);
        records.extend(invitation::end_of_member(tx, tenant, self.user_id, now).await?);
        Ok((member, records))
    }
}

/// The person has just signed in to the organization. Index: memberships(organization_id, user_id), unique.
pub(crate) async fn signed_in(tx: &Transaction, tenant: Tenant, user_id: UserId, now: DateTime<Utc>) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::LastLoginAt, Expr::value(now))
        .filter(Column::OrganizationId.eq(tenant.organization_id()))
        .filter(Column::UserId.eq(user_id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// The name or the primary address of a person changed.
pub async fn rename(tx: &Transaction, user: &User) -> Result<()> {
    let (name, email) = (&user.account.display_name, &user.email.email);
    let rows = Entity::find().filter(Column::UserId.eq(user.id())).all(tx.conn()).await?;
    Entity::update_many()
        .col_expr(Column::NameKey, Expr::value(name.to_lowercase()))
        .col_expr(Column::Email, Expr::value(email.clone()))
        .filter(Column::UserId.eq(user.id()))
        .exec(tx.conn())
        .await?;
    for row in rows {
        word::write(tx, row.organization_id, row.user_id, name, email).await?;
    }
    Ok(())
}

/// Refuses what somebody may not do to a member who holds more than they themselves: 403.
pub fn refuse_above(caller: &Caller, target: &Standing, now: DateTime<Utc>) -> Result<()> {
    let held = &caller.membership()?.permissions;
    let mut above = target.roles.iter().filter(|role| role.is_live(now) && role.assignment.workspace_id.is_none());
    match above.any(|role| !role.permissions.is_subset(held)) {
        true => Err(Error::new(ErrorCode::Forbidden).with_message("The member holds more than you do.")),
        false => Ok(()),
    }
}

/// `LAST_OWNER` where the transaction, which changes what this person holds, would leave the organization without an owner, or
/// without one who can come in when its identity provider is down. To be asked after the change: of two that take an owner
/// each, the second waits here for the first.
pub async fn require_owner(tx: &Transaction, tenant: Tenant, changed: UserId) -> Result<()> {
    if !is_owned(tx, tenant, None).await? {
        return Err(ErrorCode::LastOwner.into());
    }
    match keeps_a_way_in(tx, tenant, changed, None).await? {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::LastOwner).with_message(
            "This is the last owner who is exempt from single sign-on, which the organization requires; exempt another first.",
        )),
    }
}

/// Whether what becomes of this person leaves an owner, other than `without`, who is exempt from the single sign-on that the
/// organization requires.
pub async fn keeps_a_way_in(
    tx: &Transaction,
    tenant: Tenant,
    changed: UserId,
    without: Option<UserId>,
) -> Result<bool> {
    let row = organization::Entity::find_by_id(tenant.organization_id()).one(tx.conn()).await?;
    let enforcement = row.ok_or(ErrorCode::OrgNotFound)?.enforcement()?;
    if enforcement.sso_mode != EnforcementMode::Required || !enforcement.exempts(changed) {
        return Ok(true);
    }
    let exempt = enforcement.exempt_user_ids.into_iter().filter(|user| Some(*user) != without);
    let owners = ownerships(tx, tenant)
        .await?
        .filter(assignment::Column::ExpiresAt.is_null())
        .filter(assignment::Column::UserId.is_in(exempt));
    Ok(owners.limit(1).one(tx.conn()).await?.is_some())
}

/// Whether the organization has an owner, if `without` goes: an active member whose account is open. One whose role is on
/// loan does not count, for the loan ends by itself.
pub async fn is_owned(tx: &Transaction, tenant: Tenant, without: Option<UserId>) -> Result<bool> {
    organization::lock(tx, tenant).await?;
    let mut owners = ownerships(tx, tenant).await?.filter(assignment::Column::ExpiresAt.is_null());
    if let Some(without) = without {
        owners = owners.filter(assignment::Column::UserId.ne(without));
    }
    Ok(owners.limit(1).one(tx.conn()).await?.is_some())
}

/// What makes owners of active members whose account is open: their role in the whole organization, for good or on loan.
/// Index: role_assignments(role_id, id).
pub async fn ownerships(tx: &Transaction, tenant: Tenant) -> Result<Select<assignment::Entity>> {
    let owner = role::built_in(tx.conn(), tenant, BuiltInRole::Owner).await?;
    Ok(tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(owner.id))
        .filter(assignment::Column::WorkspaceId.is_null())
        .filter(assignment::Column::UserId.in_subquery(active(tenant))))
}

/// The active members whose account is open.
pub fn active(tenant: Tenant) -> SelectStatement {
    let open = account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(account::Column::DisabledAt.is_null())
        .into_query();
    tenant
        .find::<Entity>()
        .select_only()
        .column(Column::UserId)
        .filter(Column::Status.eq(Status::Active))
        .filter(Column::UserId.in_subquery(open))
        .into_query()
}

/// Refuses to let an administrator change an account that is not their organization's alone: it has a membership
/// elsewhere, besides the personal organization of its person.
pub async fn require_sole(tx: &Transaction, user_id: UserId) -> Result<()> {
    let of = Entity::belongs_to(organization::Entity).from(Column::OrganizationId).to(organization::Column::Id);
    // Index: memberships(user_id, status).
    let shared = Entity::find()
        .join(JoinType::InnerJoin, of.into())
        .filter(Column::UserId.eq(user_id))
        .filter(organization::Column::IsPersonal.eq(false))
        .filter(organization::Column::DeletedAt.is_null())
        .count(tx.conn())
        .await?;
    match shared {
        0 | 1 => Ok(()),
        _ => Err(Error::new(ErrorCode::Forbidden).with_message("Only the person can change this account.")),
    }
}

/// Ends what a person can reach the organization with: the sessions that stand in it, the tokens and the trusted devices
/// that belong to it. Their other organizations keep theirs.
pub async fn lock_out(
    tx: &Transaction,
    tenant: Tenant,
    user_id: UserId,
    why: EndReason,
    now: DateTime<Utc>,
) -> Result<()> {
    let organization = tenant.organization_id();
    session::end_in_organization(tx, user_id, organization, why, now).await?;
    personal_token::revoke_in_organization(tx, user_id, organization, now).await?;
    device::forget_in_organization(tx, user_id, organization).await?;
    tx.publish(Event::UserChanged(user_id)).await
}

/// Takes somebody out of the organization: membership, roles, sessions, tokens, devices. `LAST_OWNER` where nobody else
/// owns it. The account stays.
pub async fn remove(
    tx: &Transaction,
    tenant: Tenant,
    user_id: UserId,
    why: EndReason,
    now: DateTime<Utc>,
) -> Result<()> {
    let organization = tenant.organization_id();
    lock_out(tx, tenant, user_id, why, now).await?;
    // The membership first: who is just being given a role holds it, so that no role stays behind for a later return.
    Entity::delete_many()
        .filter(Column::OrganizationId.eq(organization))
        .filter(Column::UserId.eq(user_id))
        .exec(tx.conn())
        .await?;
    assignment::Entity::delete_many()
        .filter(assignment::Column::OrganizationId.eq(organization))
        .filter(assignment::Column::UserId.eq(user_id))
        .exec(tx.conn())
        .await?;
    word::Entity::delete_many()
        .filter(word::Column::OrganizationId.eq(organization))
        .filter(word::Column::UserId.eq(user_id))
        .exec(tx.conn())
        .await?;
    tx.publish(Event::MembersChanged(organization)).await?;
    require_owner(tx, tenant, user_id).await?;
    end_exemption(tx, tenant, user_id).await
}

/// Who is a member no more is exempt from nothing: should they be one again, they come in as everybody does. The organization is
/// locked.
pub(crate) async fn end_exemption(tx: &Transaction, tenant: Tenant, user_id: UserId) -> Result<()> {
    let organization = tenant.organization_id();
    let row = organization::Entity::find_by_id(organization).one(tx.conn()).await?.ok_or(ErrorCode::OrgNotFound)?;
    let mut enforcement = row.enforcement()?;
    if !enforcement.exempts(user_id) {
        return Ok(());
    }
    enforcement.exempt_user_ids.retain(|exempt| *exempt != user_id);
    let kept = serde_json::to_value(&enforcement).map_err(Error::internal)?;
    organization::Entity::update_many()
        .col_expr(organization::Column::Enforcement, Expr::value(kept))
        .filter(organization::Column::Id.eq(organization))
        .exec(tx.conn())
        .await?;
    tx.publish(Event::OrganizationChanged(organization)).await
}

/// As [`set_status`], by an administrator; `CONFLICT` where the identity provider does not let the member in.
pub async fn administer_status(
    tx: &Transaction,
    tenant: Tenant,
    member: &Model,
    status: Status,
    now: DateTime<Utc>,
) -> Result<bool> {
    if status == Status::Active && member.scim_active == Some(false) {
        return Err(Error::new(ErrorCode::Conflict)
            .with_message("The identity provider has deactivated this member; let them in again there."));
    }
    set_status(tx, tenant, member, status, EndReason::RevokedByAdministrator, now).await
}

/// Suspends a member, or lets them in again with the roles that they had; answers whether anything changed. Their sessions
/// end for the reason given. `LAST_OWNER` where nobody else owns the organization.
pub async fn set_status(
    tx: &Transaction,
    tenant: Tenant,
    member: &Model,
    status: Status,
    why: EndReason,
    now: DateTime<Utc>,
) -> Result<bool> {
    if member.status == status {
        return Ok(false);
    }
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(status))
        .col_expr(Column::StatusUpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(member.id))
        .exec(tx.conn())
        .await?;
    if status != Status::Active {
        lock_out(tx, tenant, member.user_id, why, now).await?;
        require_owner(tx, tenant, member.user_id).await?;
    }
    tx.publish(Event::UserChanged(member.user_id)).await?;
    tx.publish(Event::MembersChanged(tenant.organization_id())).await?;
    Ok(true)
}

/// The roles of a member: in the whole organization, or in one workspace of it.
pub mod assignment {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "role_assignments")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub organization_id: OrganizationId,
        pub user_id: UserId,
        pub role_id: RoleId,
        /// `None`: in the whole organization.
        pub workspace_id: Option<WorkspaceId>,
        pub assigned_at: DateTime<Utc>,
        /// `None`: the server, or somebody before it was written down.
        pub assigned_by_user_id: Option<UserId>,
        /// For a role on loan.
        pub expires_at: Option<DateTime<Utc>>,
        /// Whether a group of the identity provider gave it: it goes when the person leaves the group.
        pub given_by_group: bool,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }

    /// Those that count now.
    pub fn live(now: DateTime<Utc>) -> Condition {
        Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now))
    }

    /// The ids of those who hold one of the roles, wherever in the organization. Index: role_assignments(role_id, user_id,
    /// expires_at, organization_id).
    pub fn holders(tenant: Tenant, roles: &[RoleId], now: DateTime<Utc>) -> SelectStatement {
        tenant
            .find::<Entity>()
            .select_only()
            .column(Column::UserId)
            .filter(Column::RoleId.is_in(roles.iter().copied()))
            .filter(live(now))
            .into_query()
    }

    /// A role that somebody is about to get. Whether they may is the caller's business.
    #[derive(Debug, Clone, Copy)]
    pub struct Grant {
        pub tenant: Tenant,
        pub user_id: UserId,
        pub role_id: RoleId,
        pub workspace_id: Option<WorkspaceId>,
        pub expires_at: Option<DateTime<Utc>>,
    }

    impl Grant {
        /// `ROLE_ALREADY_ASSIGNED` where they hold it there. Written to the audit log, from which the history of the role
        /// is read.
        pub async fn give(self, tx: &Transaction, by: &Actor, clock: &rivergen_platform::Clock) -> Result<Model> {
            let now = clock.now();
            let organization_id = self.tenant.organization_id();
            organization::lock(tx, self.tenant).await?;
            // One that has run out makes room.
            Entity::delete_many()
                .filter(Column::OrganizationId.eq(organization_id))
                .filter(Column::UserId.eq(self.user_id))
                .filter(Column::RoleId.eq(self.role_id))
                .filter(Column::ExpiresAt.lte(now))
                .exec(tx.conn())
                .await?;
            let row = ActiveModel {
                organization_id: Set(organization_id),
                user_id: Set(self.user_id),
                role_id: Set(self.role_id),
                workspace_id: Set(self.workspace_id),
                assigned_at: Set(now),
                assigned_by_user_id: Set(by.user_id),
                expires_at: Set(self.expires_at),
                given_by_group: Set(false),
                ..Default::default()
            };
            let row = row.insert(tx.conn()).await.map_err(|error| {
                if is_unique_violation(&error) { ErrorCode::RoleAlreadyAssigned.into() } else { Error::from(error) }
            })?;
            tx.publish(Event::UserChanged(self.user_id)).await?;
            tx.publish(Event::MembersChanged(organization_id)).await?;
            row.record(tx, by, clock, "role.assign").await?;
            Ok(row)
        }
    }

    impl Model {
        /// Takes the role away. Whether it may be is the caller's business; the last owner's is guarded by
        /// [`require_owner`].
        pub async fn take(&self, tx: &Transaction, by: &Actor, clock: &rivergen_platform::Clock) -> Result<()> {
            organization::lock(tx, Tenant::on_behalf_of(self.organization_id)).await?;
            Entity::delete_by_id(self.id).exec(tx.conn()).await?;
            tx.publish(Event::UserChanged(self.user_id)).await?;
            tx.publish(Event::MembersChanged(self.organization_id)).await?;
            self.record(tx, by, clock, "role.revoke").await
        }

        /// Makes it somebody else's, who holds nothing in the organization yet. Whether it may be is the caller's business,
        /// and so is it to write the records, after everything else that the transaction locks.
        pub(crate) async fn hand_over(&self, tx: &Transaction, to: UserId, by: &Actor) -> Result<[AuditRecord; 2]> {
            Entity::update_many()
                .col_expr(Column::UserId, Expr::value(to))
                .filter(Column::Id.eq(self.id))
                .exec(tx.conn())
                .await?;
            let given = Self { user_id: to, ..self.clone() };
            Ok([self.told(by, "role.revoke"), given.told(by, "role.assign")])
        }

        async fn record(
            &self,
            tx: &Transaction,
            by: &Actor,
            clock: &rivergen_platform::Clock,
            action: &'static str,
        ) -> Result<()> {
            audit::record(tx, clock, self.told(by, action)).await
        }

        fn told(&self, by: &Actor, action: &'static str) -> AuditRecord {
            AuditRecord::new(Some(self.organization_id), by.clone(), action)
                .target("role", self.role_id.0)
                .details(serde_json::json!({"user_id": self.user_id, "workspace_id": self.workspace_id}))
        }
    }
}

/// The words by which members are found.
pub mod word {
    use sea_orm::sea_query::{Alias, Asterisk, ExprTrait, Query, SelectStatement};

    use super::{page::Sought, *};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "member_words")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: OrganizationId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub word: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: UserId,
    }

    impl ActiveModelBehavior for ActiveModel {}

    const LONGEST: usize = 64;
    const MOST: usize = 24;

    /// The words of a name and an address, the whole address among them.
    pub fn words_of(name: &str, email: &str) -> BTreeSet<String> {
        let email = email.to_lowercase();
        let parts = split(name).chain(split(&email)).collect::<Vec<_>>();
        let clipped = |word: &str| word.chars().take(LONGEST).collect::<String>();
        std::iter::once(clipped(&email)).chain(parts.iter().map(|word| clipped(word))).take(MOST).collect()
    }

    fn split(text: &str) -> impl Iterator<Item = String> {
        let lower = text.to_lowercase();
        let words: Vec<String> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        words.into_iter()
    }

    /// Whom a search means: everybody, where it is blank; `None`: nobody, where it has no word.
    pub(crate) async fn meant_by(
        db: &impl ConnectionTrait,
        tenant: Tenant,
        search: Option<&str>,
    ) -> Result<Option<Sought>> {
        match search.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => found_by(db, tenant, text).await,
            None => Ok(Some(Sought::everybody())),
        }
    }

    /// Members who are found by every word of the text, each the beginning of one of theirs; `None` where the text has no
    /// word. An address is one word.
    async fn found_by(db: &impl ConnectionTrait, tenant: Tenant, text: &str) -> Result<Option<Sought>> {
        let wanted = text.split_whitespace().flat_map(|token| match token.contains('@') {
            true => vec![token.to_lowercase()],
            false => split(token).collect(),
        });
        let mut wanted: Vec<String> = wanted.map(|word| word.chars().take(LONGEST).collect()).take(8).collect();
        if wanted.len() > 1 {
            // Who has the rarest is looked for; the others are looked up of those alone.
            let mut rarity = Vec::with_capacity(wanted.len());
            for word in &wanted {
                rarity.push(bearers(db, tenant, word).await?);
            }
            let mut order: Vec<usize> = (0..wanted.len()).collect();
            order.sort_by_key(|at| rarity.get(*at).copied());
            wanted = order.into_iter().filter_map(|at| wanted.get(at).cloned()).collect();
        }
        let Some((first, others)) = wanted.split_first() else { return Ok(None) };
        // Index: the primary key.
        let mut found = beginning_with(tenant, first);
        for word in others {
            found = found.filter(Expr::exists(of_the_same(tenant, word)));
        }
        Ok(Some(Sought::everybody().among(Some(found.into_query()), Column::UserId)))
    }

    /// How often a word is found that begins so; nobody counts beyond a thousand.
    async fn bearers(db: &impl ConnectionTrait, tenant: Tenant, word: &str) -> Result<i64> {
        let few = beginning_with(tenant, word).limit(1_000).into_query();
        let count = Query::select().expr(Expr::col(Asterisk).count()).from_subquery(few, "few").to_owned();
        let row = db.query_one(&count).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
    }

    /// A word of the member in the query around. Index: member_words(user_id, organization_id, word). The offset tells
    /// PostgreSQL to look it up for each of them, and not to read all who have the word.
    fn of_the_same(tenant: Tenant, word: &str) -> SelectStatement {
        let other = Alias::new("other");
        Query::select()
            .expr(Expr::val(1))
            .from_as(Entity, other.clone())
            .and_where(Expr::col((other.clone(), Column::UserId)).equals((Entity, Column::UserId)))
            .and_where(Expr::col((other.clone(), Column::OrganizationId)).eq(tenant.organization_id()))
            .and_where(Expr::col((other.clone(), Column::Word)).gte(word))
            .and_where(Expr::col((other, Column::Word)).lt(end_of(word)))
            .limit(1)
            .offset(0)
            .to_owned()
    }

    /// Behind everything that begins so.
    fn end_of(word: &str) -> String {
        format!("{word}\u{10ffff}")
    }

    /// A range instead of `LIKE`, which takes no index where the collation is not C.
    fn beginning_with(tenant: Tenant, word: &str) -> sea_orm::Select<Entity> {
        Entity::find()
            .select_only()
            .column(Column::UserId)
            .filter(Column::OrganizationId.eq(tenant.organization_id()))
            .filter(Column::Word.gte(word))
            .filter(Column::Word.lt(end_of(word)))
    }

    /// Writes the words of a member down, in place of those that they had.
    pub(crate) async fn write(
        tx: &Transaction,
        organization_id: OrganizationId,
        user_id: UserId,
        name: &str,
        email: &str,
    ) -> Result<()> {
        Entity::delete_many()
            .filter(Column::OrganizationId.eq(organization_id))
            .filter(Column::UserId.eq(user_id))
            .exec(tx.conn())
            .await?;
        insert(tx, organization_id, user_id, name, email).await
    }

    /// Writes the words down of a member who has none yet.
    pub(super) async fn insert(
        tx: &Transaction,
        organization_id: OrganizationId,
        user_id: UserId,
        name: &str,
        email: &str,
    ) -> Result<()> {
        let rows = words_of(name, email).into_iter().map(|word| ActiveModel {
            organization_id: Set(organization_id),
            word: Set(word),
            user_id: Set(user_id),
        });
        Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
        Ok(())
    }
}
