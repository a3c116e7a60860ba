//! `POST /api/v1/organizations/{org_id}/members/invite`: invites one person by mail. [`Invitations`] has the rules, for
//! [`super::bulk`] too.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::{
    email_address,
    user::{User, account, address},
};
use rivergen_kernel::{
    Caller, Error, ErrorCode, InvitationId, OrganizationId, Permission, Result, RoleId, Tenant, Token, UserId,
    WorkspaceId,
};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
    mail,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, JoinType, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ActiveModel, Column, Entity, Model, Reason, Status, TO_ADDRESS, end, mails::Letter, pending_of, random_token,
};
use crate::{
    Tenancy, member, organization,
    role::{self, rules::Deed},
    workspace::{self, settings::default_role},
};

/// Invitations of one organization, one by one.
const INVITATIONS: Rule = Rule::new("invitations", 100, Duration::from_secs(3600));

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example", "workspace_id": 7, "role_id": 4, "message": "Welcome aboard."}))]
pub struct InviteRequest {
    #[garde(skip)]
    pub email: String,
    /// Where the role applies. In the default workspace, it applies to the whole organization.
    #[garde(skip)]
    pub workspace_id: WorkspaceId,
    /// With no more than your own permissions; the workspace's default role, if absent.
    #[garde(skip)]
    pub role_id: Option<RoleId>,
    /// Goes into the mail, as plain text.
    #[garde(inner(length(chars, max = 1000)))]
    pub message: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Invited {
    pub invitation: SentInvitation,
    pub message: &'static str,
}

/// An invitation that is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentInvitation {
    pub id: InvitationId,
    /// Always null: anyone who has it could accept instead of the invited person, so it is only sent by e-mail.
    pub token: Option<String>,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    pub expires_at: DateTime<Utc>,
}

errors! { pub InviteErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, WorkspaceNotFound, RoleNotFound, AlreadyMember, InvitationExists, ValidationError, RateLimited; }

/// Invite a person to an organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/members/invite", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")), request_body = InviteRequest,
    responses((status = 201, description = "Invited, by e-mail", body = Envelope<Invited>), InviteErrors))]
pub async fn invite(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<InviteRequest>,
) -> Result<Reply<Invited>> {
    let wanted = [Wanted { email: request.email, workspace_id: request.workspace_id, role_id: request.role_id }];
    let call = Call { tenancy: &tenancy, caller: &caller, origin: &origin, message: request.message.as_deref() };
    let made = call.invite(org_id, &INVITATIONS, &wanted).await?.pop();
    let made = made.ok_or_else(|| Error::internal("an invitation was lost on the way"))??;
    let message = "The invitation is on its way.";
    let invitation = SentInvitation { id: made.id, token: None, email: made.email, expires_at: made.expires_at };
    Ok(Reply::created(Invited { invitation, message }, message))
}

/// A request that invites.
pub(super) struct Call<'a> {
    pub tenancy: &'a Tenancy,
    pub caller: &'a Caller,
    pub origin: &'a RequestOrigin,
    pub message: Option<&'a str>,
}

impl Call<'_> {
    /// Makes what may be made, in one transaction; answers each, in their order.
    pub(super) async fn invite(
        self,
        organization: OrganizationId,
        limit: &Rule,
        wanted: &[Wanted],
    ) -> Result<Vec<Result<Model>>> {
        let Self { tenancy, caller, origin, message } = self;
        let caller = &tenancy.enter(caller, organization).await?;
        let tenant = caller.require(Permission::MemberInvite)?;
        let platform = &tenancy.identity.platform;
        let uses = platform.check_limits(&[(limit, &organization.to_string())]).await?;
        let tx = platform.db.begin().await?;
        uses.keep(&tx).await?;
        let earlier = &BTreeSet::new();
        let invitations = Invitations { tenancy, caller, tenant, origin, message, is_dry_run: false, earlier };
        let outcomes = invitations.make(&tx, wanted).await?;
        tx.commit().await?;
        Ok(outcomes)
    }
}

/// Who is to be invited, to what.
pub(crate) struct Wanted {
    /// As it was written.
    pub email: String,
    pub workspace_id: WorkspaceId,
    /// The workspace's default role, if absent.
    pub role_id: Option<RoleId>,
}

/// What of a [`Wanted`] an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Email,
    Workspace,
    Role,
}

impl Field {
    pub fn of(error: &Error) -> Option<Self> {
        match error.code {
            ErrorCode::WorkspaceNotFound => Some(Self::Workspace),
            // One that is more than the caller holds is none to be given.
            ErrorCode::RoleNotFound | ErrorCode::Forbidden => Some(Self::Role),
            ErrorCode::AlreadyMember | ErrorCode::InvitationExists | ErrorCode::RateLimited => Some(Self::Email),
            _ => error.details.iter().any(|detail| detail.field == "email").then_some(Self::Email),
        }
    }
}

/// Invitations of one call, by somebody who may invite.
pub(crate) struct Invitations<'a> {
    pub tenancy: &'a Tenancy,
    pub caller: &'a Caller,
    pub tenant: Tenant,
    pub origin: &'a RequestOrigin,
    pub message: Option<&'a str>,
    /// Whether the transaction is taken back: then no mail goes out, and none is counted.
    pub is_dry_run: bool,
    /// Whom a dry run has invited by now in transactions that were taken back: they are invited already.
    pub earlier: &'a BTreeSet<String>,
}

impl Invitations<'_> {
    /// Makes those that may be made, each with its mail and its audit record; answers each, in their order, or why not.
    pub(crate) async fn make(&self, tx: &Transaction, wanted: &[Wanted]) -> Result<Vec<Result<Model>>> {
        let platform = &self.tenancy.identity.platform;
        let now = platform.clock.now();
        let addresses: Vec<Result<String>> =
            wanted.iter().map(|one| email_address::normalise(&one.email, "email")).collect();
        let known = self.known(tx, wanted, addresses.iter().flatten().cloned().collect()).await?;
        let rules = known.organization.intake()?;
        let ends_at = rules.end(now);
        let keys: Vec<&str> = addresses.iter().flatten().map(String::as_str).collect();
        let mut mails_to = platform.limits.each(tx.conn(), &TO_ADDRESS, &keys).await?;

        let mut tokens: BTreeMap<String, Token> = BTreeMap::new();
        let mut rows = Vec::new();
        let mut judged: Vec<Result<String>> = Vec::new();
        for (one, address) in wanted.iter().zip(addresses) {
            let outcome = address.and_then(|address| {
                // Here, where it is one address' fault; in the outbox it would be everybody's.
                mail::check_recipient(&address)?;
                rules.allow(&address)?;
                let role_id = self.judge(&known, one, &address)?;
                // Of two for the same address in one call, the second finds the first.
                if tokens.contains_key(&address) || self.earlier.contains(&address) {
                    return Err(ErrorCode::InvitationExists.into());
                }
                if !self.is_dry_run {
                    mails_to.check(&address)?;
                }
                Ok((address, role_id))
            });
            if let Ok((address, role_id)) = &outcome {
                let token = random_token();
                rows.push(ActiveModel {
                    organization_id: Set(self.tenant.organization_id()),
                    workspace_id: Set(one.workspace_id),
                    role_id: Set(*role_id),
                    email: Set(address.clone()),
                    token_hash: Set(token.hash()),
                    status: Set(Status::Pending),
                    message: Set(self.message.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)),
                    invited_by_user_id: Set(self.caller.user_id),
                    created_at: Set(now),
                    expires_at: Set(ends_at),
                    ended_at: Set(None),
                    accepted_by_user_id: Set(None),
                    ..Default::default()
                });
                tokens.insert(address.clone(), token);
            }
            judged.push(outcome.map(|(address, _)| address));
        }
        // Most have no earlier one, so that is looked for only where it was in the way.
        let mut made = insert(tx, rows.clone()).await?;
        let mut records = Vec::new();
        rows.retain(|row| !made.contains_key(row.email.as_ref()));
        if !rows.is_empty() {
            records = self.make_room(tx, rows.iter().map(|row| row.email.as_ref().clone()).collect(), now).await?;
            made.append(&mut insert(tx, rows).await?);
        }
        mails_to.uses_of(|address| made.contains_key(address)).keep(tx).await?;
        let (inviter, organization) = (known.inviter.as_str(), known.organization.name.as_str());
        let mail = |invitation: &Model| {
            let (token, role) = (tokens.get(&invitation.email)?, known.roles.get(&invitation.role_id)?);
            Some(Letter { inviter, organization, role: &role.name }.mail(platform, invitation, token))
        };
        mail::send_all(platform, tx, made.values().filter_map(mail).collect()).await?;
        let actor = self.origin.actor(self.caller.user_id);
        let record = |invitation: &Model| {
            let details = serde_json::json!({"role_id": invitation.role_id, "workspace_id": invitation.workspace_id});
            AuditRecord::new(Some(self.tenant.organization_id()), actor.clone(), "member.invite")
                .target("invitation", invitation.id.0)
                .details(details)
        };
        records.extend(made.values().map(record));
        audit::record_all(tx, &platform.clock, records).await?;
        let mut made_for = |address: String| made.remove(&address).ok_or_else(|| ErrorCode::InvitationExists.into());
        Ok(judged.into_iter().map(|outcome| outcome.and_then(&mut made_for)).collect())
    }

    /// What each is held against, read at once.
    async fn known(&self, tx: &Transaction, wanted: &[Wanted], addresses: BTreeSet<String>) -> Result<Known> {
        let organization = organization::Entity::find_by_id(self.tenant.organization_id())
            .filter(organization::Column::DeletedAt.is_null())
            .one(tx.conn())
            .await?;
        let inviter = User::find(tx.conn(), self.caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
        let roles = self
            .tenant
            .find::<role::Entity>()
            .filter(role::Column::Id.is_in(wanted.iter().filter_map(|one| one.role_id)))
            .all(tx.conn())
            .await?;
        let mut roles: BTreeMap<RoleId, role::Model> = roles.into_iter().map(|role| (role.id, role)).collect();
        let workspaces = self
            .tenant
            .find::<workspace::Entity>()
            .filter(workspace::Column::Id.is_in(wanted.iter().map(|one| one.workspace_id)))
            .filter(workspace::Column::DeletedAt.is_null())
            .all(tx.conn())
            .await?;
        let workspaces: BTreeMap<WorkspaceId, workspace::Model> =
            workspaces.into_iter().map(|workspace| (workspace.id, workspace)).collect();
        let mut defaults = BTreeMap::new();
        for one in wanted.iter().filter(|one| one.role_id.is_none()) {
            if let Some(workspace) = workspaces.get(&one.workspace_id).filter(|it| !defaults.contains_key(&it.id)) {
                let role = default_role(tx.conn(), self.tenant, workspace).await?;
                defaults.insert(workspace.id, role.id);
                roles.insert(role.id, role);
            }
        }
        // Index: user_emails(email), unique.
        let owned: Vec<(UserId, String)> = address::Entity::find()
            .select_only()
            .columns([address::Column::UserId, address::Column::Email])
            .filter(address::Column::Email.is_in(addresses))
            .filter(
                Condition::any()
                    .add(address::Column::IsPrimary.eq(true))
                    .add(address::Column::VerifiedAt.is_not_null()),
            )
            .into_tuple()
            .all(tx.conn())
            .await?;
        // Index: memberships(organization_id, user_id), unique. Not joined: a planner may begin with all the members.
        let members: Vec<UserId> = self
            .tenant
            .find::<member::Entity>()
            .select_only()
            .column(member::Column::UserId)
            .filter(member::Column::UserId.is_in(owned.iter().map(|(user, _)| *user)))
            .into_tuple()
            .all(tx.conn())
            .await?;
        let members: BTreeSet<UserId> = members.into_iter().collect();
        Ok(Known {
            organization: organization.ok_or(ErrorCode::OrgNotFound)?,
            inviter: inviter.account.display_name,
            roles,
            workspaces: workspaces.into_keys().collect(),
            defaults,
            members: owned.into_iter().filter(|(user, _)| members.contains(user)).map(|(_, address)| address).collect(),
        })
    }

    /// The role that they are invited to, or why they are not.
    fn judge(&self, known: &Known, wanted: &Wanted, address: &str) -> Result<RoleId> {
        if !known.workspaces.contains(&wanted.workspace_id) {
            return Err(ErrorCode::WorkspaceNotFound.into());
        }
        let role_id = wanted.role_id.or_else(|| known.defaults.get(&wanted.workspace_id).copied());
        let role = role_id.and_then(|id| known.roles.get(&id)).ok_or(ErrorCode::RoleNotFound)?;
        Deed::BringIn(&role.permissions()).allow(self.caller)?;
        match known.members.contains(address) {
            true => Err(ErrorCode::AlreadyMember.into()),
            false => Ok(role.id),
        }
    }

    /// An invitation whose time is over stands in the way of no other, nor does one whose inviter is no active member any
    /// more: nobody could accept it. Answers the records of what ended.
    async fn make_room(
        &self,
        tx: &Transaction,
        addresses: Vec<String>,
        now: DateTime<Utc>,
    ) -> Result<Vec<AuditRecord>> {
        let pending = pending_of(self.tenant, Column::Email.is_in(addresses)).all(tx.conn()).await?;
        let (over, open): (Vec<Model>, Vec<Model>) = pending.into_iter().partition(|row| row.expires_at <= now);
        Entity::update_many()
            .col_expr(Column::Status, Expr::value(Status::Expired))
            .col_expr(Column::EndedAt, Expr::value(now))
            .filter(Column::Id.is_in(over.iter().map(|row| row.id)))
            .exec(tx.conn())
            .await?;
        let of = member::Entity::belongs_to(account::Entity).from(member::Column::UserId).to(account::Column::Id);
        // Index: memberships(organization_id, user_id), unique.
        let there: Vec<UserId> = self
            .tenant
            .find::<member::Entity>()
            .select_only()
            .column(member::Column::UserId)
            .join(JoinType::InnerJoin, of.into())
            .filter(member::Column::UserId.is_in(open.iter().map(|row| row.invited_by_user_id)))
            .filter(member::Column::Status.eq(member::Status::Active))
            .filter(account::Column::DisabledAt.is_null())
            .into_tuple()
            .all(tx.conn())
            .await?;
        let gone = open.into_iter().filter(|row| !there.contains(&row.invited_by_user_id)).collect();
        end(tx, gone, Reason::InviterMayNot, now).await
    }
}

struct Known {
    organization: organization::Model,
    inviter: String,
    roles: BTreeMap<RoleId, role::Model>,
    workspaces: BTreeSet<WorkspaceId>,
    /// The default roles of those to which somebody is invited without one.
    defaults: BTreeMap<WorkspaceId, RoleId>,
    /// Addresses of members, among those that are to be invited.
    members: BTreeSet<String>,
}

/// By their addresses; one that has a pending invitation already is left out.
async fn insert(tx: &Transaction, rows: Vec<ActiveModel>) -> Result<BTreeMap<String, Model>> {
    if rows.is_empty() {
        return Ok(BTreeMap::new());
    }
    let made = Entity::insert_many(rows)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_with_returning(tx.conn())
        .await?;
    Ok(made.into_iter().map(|row| (row.email.clone(), row)).collect())
}
