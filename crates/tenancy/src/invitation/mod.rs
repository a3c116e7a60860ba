//! Invitations: how a person whom nobody can add by hand comes into an organization.
//!
//! ```text
//! invite ─▶ pending ─ accept ─▶ accepted     once, by whom the address belongs to
//!              │  ▲
//!              │  └─ resend ─┐
//!              ├─ in time ─▶ expired
//!              └─ revoke ──▶ revoked         also of one that has expired, and by itself where, at its acceptance,
//!                                            nobody vouches for it any more, where the inviter is gone and the
//!                                            address is invited again, and where its person has come in otherwise
//! ```
//!
//! The token of an invitation is in the mail to its address and nowhere else: no answer shows it, the database keeps its
//! hash. Sent again, it is another token, and the former one is dead. [`forget`] takes away those that are long over.
//!
//! | file | operation |
//! | --- | --- |
//! | [`invite`], [`bulk`] | `POST /api/v1/organizations/{org_id}/members/invite…` |
//! | [`list`] | `GET /api/v1/organizations/{org_id}/invitations`, `GET /api/v1/invitations` |
//! | [`resend`] | `POST /api/v1/organizations/{org_id}/invitations/{invitation_id}/resend` |
//! | [`preview`], [`revoke`] | `GET` (by token) and `DELETE` (by id) `/api/v1/invitations/{invitation}` |
//! | [`accept`] | `POST /api/v1/invitations/{invitation_token}/accept` |

pub mod accept;
pub mod bulk;
pub mod forget;
pub mod invite;
pub mod list;
mod mails;
pub mod preview;
pub mod resend;
pub mod revoke;
pub(crate) mod table;

use chrono::{DateTime, Utc};
use rivergen_identity::user::{User, address};
use rivergen_kernel::{
    Error, ErrorCode, InvitationId, OrganizationId, Result, RoleId, Tenant, Token, TokenHash, UserId, WorkspaceId,
};
use rivergen_platform::{
    Transaction,
    audit::{Actor, AuditRecord},
    db::TenantOwned,
    limits::Rule,
};
use sea_orm::{
    Condition, ConnectionTrait, FromQueryResult, JoinType, QueryOrder, QuerySelect, QueryTrait, Select,
    entity::prelude::*,
    sea_query::{Expr, IntoCondition},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Tenancy, organization,
    role::{self, RoleRef, rules::still_brings_in},
    standing::Standing,
    workspace,
};

/// Mails to one address, from whichever organizations: nobody's mailbox is to be filled by inviting them.
const TO_ADDRESS: Rule = Rule::new("invitations_to_address", 10, std::time::Duration::from_secs(24 * 3600));

/// The operations of invitations.
pub(crate) fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(invite::invite))
        .routes(routes!(bulk::invite_all))
        .routes(routes!(list::list_of_organization))
        .routes(routes!(resend::resend))
        .routes(routes!(list::list))
        .routes(routes!(preview::preview, revoke::revoke))
        .routes(routes!(accept::accept))
}

/// The state of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = InvitationStatus)]
pub enum Status {
    #[sea_orm(string_value = "pending")]
    Pending,
    #[sea_orm(string_value = "accepted")]
    Accepted,
    #[sea_orm(string_value = "revoked")]
    Revoked,
    /// Written down only where another invitation of the address took its place: one whose time is over is expired,
    /// whatever its row says.
    #[sea_orm(string_value = "expired")]
    Expired,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: InvitationId,
    pub organization_id: OrganizationId,
    pub workspace_id: WorkspaceId,
    pub role_id: RoleId,
    /// Lower-cased.
    pub email: String,
    pub token_hash: TokenHash,
    pub status: Status,
    /// What the inviter wrote.
    pub message: Option<String>,
    /// Who vouches for it: whoever sent it last.
    pub invited_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub accepted_by_user_id: Option<UserId>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn status_at(&self, now: DateTime<Utc>) -> Status {
        match self.status {
            Status::Pending if now >= self.expires_at => Status::Expired,
            status => status,
        }
    }
}

/// Those that are written down as pending. The word is part of the statement: with a parameter in its place no planner takes
/// the index of those that are.
pub(crate) fn is_pending() -> Expr {
    use sea_orm::sea_query::ExprTrait;
    Column::Status.into_expr().eq(Expr::cust("'pending'"))
}

impl Status {
    /// The invitations of this status.
    fn condition(self, now: DateTime<Utc>) -> Condition {
        let written = Column::Status.eq(self);
        match self {
            Self::Pending => Condition::all().add(written).add(Column::ExpiresAt.gt(now)),
            Self::Expired => {
                let over = Condition::all().add(Column::Status.eq(Self::Pending)).add(Column::ExpiresAt.lte(now));
                Condition::any().add(written).add(over)
            }
            Self::Accepted | Self::Revoked => written.into_condition(),
        }
    }
}

/// An invitation with the names of what it is about.
#[derive(Debug, FromQueryResult)]
struct Named {
    #[sea_orm(nested)]
    invitation: Model,
    organization_name: String,
    workspace_name: Option<String>,
    workspace_is_default: Option<bool>,
    workspace_deleted_at: Option<DateTime<Utc>>,
    role_name: Option<String>,
}

impl Named {
    /// Of a live organization. A role and a workspace may be gone meanwhile.
    fn of(invitations: Select<Entity>) -> Select<Entity> {
        let organization =
            Entity::belongs_to(organization::Entity).from(Column::OrganizationId).to(organization::Column::Id);
        let workspace = Entity::belongs_to(workspace::Entity).from(Column::WorkspaceId).to(workspace::Column::Id);
        let role = Entity::belongs_to(role::Entity).from(Column::RoleId).to(role::Column::Id);
        invitations
            .join(JoinType::InnerJoin, organization.into())
            .join(JoinType::LeftJoin, workspace.into())
            .join(JoinType::LeftJoin, role.into())
            .column_as(organization::Column::Name, "organization_name")
            .column_as(workspace::Column::Name, "workspace_name")
            .column_as(workspace::Column::IsDefault, "workspace_is_default")
            .column_as(workspace::Column::DeletedAt, "workspace_deleted_at")
            .column_as(role::Column::Name, "role_name")
            .filter(organization::Column::DeletedAt.is_null())
    }

    /// The invitation that the token is for. Index: invitations(token_hash), unique.
    async fn by_token(db: &impl ConnectionTrait, token: &str) -> Result<Option<Self>> {
        let found = Self::of(Entity::find().filter(Column::TokenHash.eq(TokenHash::of(token))));
        Ok(found.into_model().one(db).await?)
    }

    fn organization(&self) -> OrganizationRef {
        OrganizationRef { id: self.invitation.organization_id, name: self.organization_name.clone() }
    }

    /// `None` once it is deleted.
    fn workspace(&self) -> Option<WorkspaceRef> {
        let name = self.workspace_name.clone().filter(|_| self.workspace_deleted_at.is_none())?;
        Some(WorkspaceRef { id: self.invitation.workspace_id, name })
    }

    /// `None` once it is deleted.
    fn role(&self) -> Option<RoleRef> {
        Some(RoleRef { id: self.invitation.role_id, name: self.role_name.clone()? })
    }

    fn shown(&self, now: DateTime<Utc>) -> Invitation {
        let invitation = &self.invitation;
        Invitation {
            id: invitation.id,
            email: invitation.email.clone(),
            organization: self.organization(),
            workspace: self.workspace(),
            role: self.role(),
            status: invitation.status_at(now),
            expires_at: invitation.expires_at,
            created_at: invitation.created_at,
            invited_by: invitation.invited_by_user_id,
        }
    }
}

/// An organization by its name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrganizationRef {
    pub id: OrganizationId,
    #[schema(examples("Acme"))]
    pub name: String,
}

/// A workspace by its name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkspaceRef {
    pub id: WorkspaceId,
    #[schema(examples("Main Workspace"))]
    pub name: String,
}

/// An invitation, as seen by those who may invite. Its token is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invitation {
    pub id: InvitationId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    pub organization: OrganizationRef,
    /// Null once it is deleted.
    pub workspace: Option<WorkspaceRef>,
    /// Null once it is deleted.
    pub role: Option<RoleRef>,
    pub status: Status,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub invited_by: UserId,
}

/// A token for a link. Where its path takes a token it takes an id by another method, so no token is all digits.
fn random_token() -> Token {
    let mut rng = rand::rng();
    loop {
        let token = Token::random(&mut rng);
        if !token.expose().bytes().all(|byte| byte.is_ascii_digit()) {
            return token;
        }
    }
}

/// Whether the inviter could still give what they promised: an active member whose account is open, who may invite or
/// add people, and who holds all that the role holds, in the whole organization, which still takes in people of the
/// address's domain. True of one whose role is gone, which is [stale](ErrorCode::InvitationStale) for that.
async fn is_vouched_for(db: &impl ConnectionTrait, found: &Named, now: DateTime<Utc>) -> Result<bool> {
    let invitation = &found.invitation;
    let inviter = User::find(db, invitation.invited_by_user_id).await?;
    if inviter.is_none_or(|inviter| inviter.account.disabled_at.is_some()) {
        return Ok(false);
    }
    let row = organization::Entity::find_by_id(invitation.organization_id).one(db).await?;
    if row.ok_or(ErrorCode::OrgNotFound)?.intake()?.allow(&invitation.email).is_err() {
        return Ok(false);
    }
    let standing = Standing::load(db, invitation.organization_id, invitation.invited_by_user_id).await?;
    let held = standing.map(|standing| standing.permissions(None, now)).unwrap_or_default();
    let tenant = Tenant::on_behalf_of(invitation.organization_id);
    let role = role::existing(db, tenant, invitation.role_id).await?;
    Ok(role.is_none_or(|role| still_brings_in(&held, &role.permissions())))
}

/// Why an invitation ends by itself, for the audit log.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// Whoever vouched for it could not give any more what it promises.
    InviterMayNot,
    /// Its person is a member.
    Joined,
}

/// Ends invitations for a reason; answers the records of it, to be written with those of the operation.
async fn end(tx: &Transaction, ended: Vec<Model>, reason: Reason, now: DateTime<Utc>) -> Result<Vec<AuditRecord>> {
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Revoked))
        .col_expr(Column::EndedAt, Expr::value(now))
        // What the transaction may have written of an acceptance is taken back.
        .col_expr(Column::AcceptedByUserId, Expr::value(Option::<UserId>::None))
        .filter(Column::Id.is_in(ended.iter().map(|invitation| invitation.id)))
        .exec(tx.conn())
        .await?;
    let record = |invitation: Model| {
        AuditRecord::new(Some(invitation.organization_id), Actor::system(), "invitation.revoke")
            .target("invitation", invitation.id.0)
            .details(serde_json::json!({"reason": reason, "invited_by": invitation.invited_by_user_id}))
    };
    Ok(ended.into_iter().map(record).collect())
}

/// Ends what invites people who have just become members, to whichever of the addresses that count as theirs where people
/// are invited: the primary one, and those that they have proved. Answers the records of it.
pub(crate) async fn end_of_members(
    tx: &Transaction,
    tenant: Tenant,
    users: &[UserId],
    now: DateTime<Utc>,
) -> Result<Vec<AuditRecord>> {
    let theirs =
        Condition::any().add(address::Column::IsPrimary.eq(true)).add(address::Column::VerifiedAt.is_not_null());
    // Index: user_emails(user_id).
    let addresses = address::Entity::find().select_only().column(address::Column::Email);
    let addresses = addresses.filter(address::Column::UserId.is_in(users.iter().copied())).filter(theirs).into_query();
    let invited = pending_of(tenant, Column::Email.in_subquery(addresses)).all(tx.conn()).await?;
    end_joined(tx, invited, now).await
}

/// What invites these addresses, held until the transaction ends.
pub fn inviting(tenant: Tenant, addresses: &[&str]) -> Select<Entity> {
    pending_of(tenant, Column::Email.is_in(addresses.iter().copied()))
}

/// Ends what invited people who have just become members; answers the records of it.
pub async fn end_joined(tx: &Transaction, invited: Vec<Model>, now: DateTime<Utc>) -> Result<Vec<AuditRecord>> {
    end(tx, invited, Reason::Joined, now).await
}

/// What is written down as pending for these addresses, held until the transaction ends. Index: invitations(email, id).
fn pending_of(tenant: Tenant, addresses: Expr) -> Select<Entity> {
    use sea_orm::sea_query::ExprTrait;
    // As a sum, which stands in no index: SQLite would walk along all that is pending in the organization, in the order that
    // is asked for, rather than look up some addresses.
    let in_tenant = Column::OrganizationId.into_expr().add(0_i64).eq(Expr::value(tenant.organization_id()));
    let pending = Entity::find().filter(in_tenant).filter(addresses).filter(is_pending());
    pending.order_by_asc(Column::Id).lock_exclusive()
}

fn not_vouched_for() -> Error {
    Error::new(ErrorCode::InvitationStale)
        .with_message("The person who invited you may no longer do so; ask for a new invitation.")
}

/// Whether the address is one of the person's, and proved.
async fn is_of(db: &impl ConnectionTrait, user: UserId, email: &str) -> Result<bool> {
    let found = address::of_user(db, user, email).await?;
    Ok(found.is_some_and(|address| address.verified_at.is_some()))
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    fn invitation(status: Status, expires_at: DateTime<Utc>) -> Model {
        Model {
            id: InvitationId(1),
            organization_id: OrganizationId(1),
            workspace_id: WorkspaceId(1),
            role_id: RoleId(1),
            email: "ada@acme.example".to_owned(),
            token_hash: random_token().hash(),
            status,
            message: None,
            invited_by_user_id: UserId(1),
            created_at: expires_at - Duration::days(7),
            expires_at,
            ended_at: None,
            accepted_by_user_id: None,
        }
    }

    #[test]
    fn only_what_is_pending_expires_in_time() {
        let end = Utc::now();
        for (status, before, after) in [
            (Status::Pending, Status::Pending, Status::Expired),
            (Status::Accepted, Status::Accepted, Status::Accepted),
            (Status::Revoked, Status::Revoked, Status::Revoked),
            (Status::Expired, Status::Expired, Status::Expired),
        ] {
            let invitation = invitation(status, end);
            let at = |moment| invitation.status_at(moment);
            assert_eq!((at(end - Duration::microseconds(1)), at(end)), (before, after));
        }
    }
}
