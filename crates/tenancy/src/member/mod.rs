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

pub mod assignment;
pub mod get;
pub mod leave;
pub mod list;
pub(crate) mod page;
pub mod remove;
pub mod update;
pub mod view;
pub(crate) mod way;
pub mod word;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivergen_identity::{
    device, personal_token,
    security::EnforcementMode,
    session::{self, EndReason},
    user::{self, User, account},
};
use rivergen_kernel::{
    Attributes, BuiltInRole, Caller, Error, ErrorCode, OrganizationId, Result, RoleId, Tenant, UserId,
};
use rivergen_platform::{
    Event, Transaction,
    audit::{Actor, AuditRecord},
    db::{TenantOwned, TenantScope, Writes, duplicate_is},
};
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, JoinType, QuerySelect, QueryTrait, Select, entity::prelude::*,
    sea_query::SelectStatement,
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

/// Whether a membership is in force.
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

/// How someone joined an organization.
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

    /// Since when they belong here without a break. Whom an identity provider pushes is new each time that they are let in
    /// again: what they had before does not come back.
    pub fn belongs_since(&self) -> DateTime<Utc> {
        let changed = self.status_updated_at.filter(|_| self.scim_active.is_some());
        changed.map_or(self.joined_at, |changed| Ord::max(self.joined_at, changed))
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
    Error::new(ErrorCode::Conflict).with_message("The member is suspended; reactivate them first.")
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
        let tenant = Tenant::on_behalf_of(self.organization_id);
        let joined = [self.user_id];
        let (name, email) = (&*user.account.display_name, &*user.email.email);
        let mut writes = Writes::default();
        let joining = [Joining { new: self, name, email, scim_active, actor }];
        let (members, mut records) = add_all(tx, tenant, &joining, now, &mut writes).await?;
        writes.send(tx).await?;
        records.extend(invitation::end_of_members(tx, tenant, &joined, now).await?);
        let member = members.into_iter().next().ok_or_else(|| Error::internal("a new member is not there"))?;
        Ok((member, records))
    }
}

/// Somebody who becomes a member, with the name and the primary address of their account.
#[derive(Debug)]
pub struct Joining<'a> {
    pub new: NewMember<'a>,
    pub name: &'a str,
    pub email: &'a str,
    /// What the identity provider says that pushes them of whether they are let in; `None`: none pushes them.
    pub scim_active: Option<bool>,
    /// Who is told to have done it.
    pub actor: &'a Actor,
}

/// Inserts the memberships of many who join the organization together, with the statement of one. Answers them in their order,
/// and the records of all; their words and roles are to be written. What invited them is for the caller to end
/// ([`invitation::end_joined`]), after the memberships are there.
pub async fn add_all(
    tx: &Transaction,
    tenant: Tenant,
    people: &[Joining<'_>],
    now: DateTime<Utc>,
    writes: &mut Writes,
) -> Result<(Vec<Model>, Vec<AuditRecord>)> {
    let organization_id = tenant.organization_id();
    if people.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    if people.iter().any(|one| one.new.organization_id != organization_id) {
        return Err(Error::internal("somebody was about to join what they do not join"));
    }
    let mut rows = Vec::with_capacity(people.len());
    for one in people {
        rows.push(ActiveModel {
            organization_id: Set(organization_id),
            user_id: Set(one.new.user_id),
            status: Set(Status::Active),
            source: Set(one.new.source),
            attributes: Set(serde_json::to_value(one.new.attributes).map_err(Error::internal)?),
            joined_at: Set(now),
            name_key: Set(one.name.to_lowercase()),
            email: Set(one.email.to_owned()),
            status_updated_at: Set(None),
            last_login_at: Set(None),
            scim_active: Set(one.scim_active),
            ..Default::default()
        });
    }
    let members = Entity::insert_many(rows)
        .exec_with_returning(tx.conn())
        .await
        .map_err(duplicate_is(ErrorCode::AlreadyMember))?;
    // No database promises to answer them in the order in which they were sent.
    let mut members: BTreeMap<UserId, Model> = members.into_iter().map(|row| (row.user_id, row)).collect();
    let members: Option<Vec<Model>> = people.iter().map(|one| members.remove(&one.new.user_id)).collect();
    let members = members.ok_or_else(|| Error::internal("a new member is not there"))?;

    let named = people.iter().map(|one| (one.new.user_id, one.name, one.email));
    writes.add(word::insert(tx, organization_id, named)?);
    let roles = people.iter().map(|one| assignment::ActiveModel {
        organization_id: Set(organization_id),
        user_id: Set(one.new.user_id),
        role_id: Set(one.new.role_id),
        workspace_id: Set(None),
        assigned_at: Set(now),
        assigned_by_user_id: Set(one.new.by),
        expires_at: Set(None),
        given_by_group: Set(false),
        ..Default::default()
    });
    writes.add(assignment::Entity::insert_many(roles).into_query());

    tx.publish(Event::MembersChanged(organization_id)).await?;
    let mut records = Vec::with_capacity(people.len());
    for one in people {
        tx.publish(Event::UserChanged(one.new.user_id)).await?;
        let details = serde_json::json!({"user_id": one.new.user_id, "workspace_id": null, "joined": one.new.source,
            "given_by": one.new.by});
        let record = AuditRecord::new(Some(organization_id), one.actor.clone(), "role.assign");
        records.push(record.target("role", one.new.role_id.0).details(details));
    }
    Ok((members, records))
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
        word::write(tx, row.organization_id, user).await?;
        tx.publish(Event::MembersChanged(row.organization_id)).await?;
    }
    Ok(())
}

/// Refuses what somebody may not do to a member who holds more than they themselves: 403.
pub fn refuse_above(caller: &Caller, target: &Standing, now: DateTime<Utc>) -> Result<()> {
    let held = &caller.membership()?.permissions;
    let mut above = target.roles.iter().filter(|role| role.is_live(now) && role.assignment.workspace_id.is_none());
    match above.any(|role| !role.permissions.is_subset(held)) {
        true => Err(Error::new(ErrorCode::Forbidden).with_message("The member has more permissions than you do.")),
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
            "This is the last owner who is exempt from the required single sign-on and can sign in with a password or \
             a passkey; exempt another one first.",
        )),
    }
}

/// Whether what becomes of this person leaves an owner, other than `without`, who is exempt from the single sign-on that the
/// organization requires, and can come in without it.
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
    let mut exempt = enforcement.exempt_user_ids;
    exempt.retain(|user| Some(*user) != without);
    let owners = lasting_ownerships(tx, tenant, &exempt).await?;
    Ok(owners.limit(1).one(tx.conn()).await?.is_some())
}

/// What makes those of these people owners for good who can come in on the day on which no identity provider vouches for them:
/// with a password or a passkey.
pub async fn lasting_ownerships(
    tx: &Transaction,
    tenant: Tenant,
    people: &[UserId],
) -> Result<Select<assignment::Entity>> {
    let user_id = Expr::col((assignment::Entity, assignment::Column::UserId));
    Ok(ownerships(tx, tenant)
        .await?
        .filter(assignment::Column::ExpiresAt.is_null())
        .filter(assignment::Column::UserId.is_in(people.iter().copied()))
        .filter(user::opens_by_itself(user_id)))
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
/// elsewhere, besides the personal organization of its person. That of somebody else is elsewhere, too.
pub async fn require_sole(tx: &Transaction, tenant: Tenant, user_id: UserId) -> Result<()> {
    let of = Entity::belongs_to(organization::Entity).from(Column::OrganizationId).to(organization::Column::Id);
    let not_their_own = Condition::any()
        .add(organization::Column::IsPersonal.eq(false))
        .add(organization::Column::CreatedByUserId.ne(user_id));
    // Index: memberships(user_id, status).
    let elsewhere = Entity::find()
        .join(JoinType::InnerJoin, of.into())
        .filter(Column::UserId.eq(user_id))
        .filter(Column::OrganizationId.ne(tenant.organization_id()))
        .filter(not_their_own)
        .filter(organization::Column::DeletedAt.is_null())
        .limit(1)
        .one(tx.conn())
        .await?;
    match elsewhere {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorCode::Forbidden).with_message("Only the person can change this account.")),
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
            .with_message("The identity provider has deactivated this member; reactivate them there."));
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
