//! `POST /api/v1/users/merge`: folds a duplicate account into another one of the same person.
//!
//! What the duplicate belongs to and owns moves; how one gets into it does not: its password, factors, sessions and tokens
//! end with it. Where both are members the survivor keeps its own roles, and the policies that are bound to it, so that
//! nobody rises by merging; where the duplicate alone is one its roles go over, and what is bound to it with them, and
//! whoever merges must hold what is in each of the roles, in its place.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::{
    account, mails,
    session::{self, EndReason},
    user::User,
};
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Permission, Result, Tenant, UserId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{UserDetail, detail};
use crate::{
    Tenancy, invitation,
    member::{self, assignment, word},
    organization,
    role::rules::Deed,
    standing::{HeldRole, Standing},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"source_user_id": 8, "target_user_id": 7, "dry_run": true}))]
pub struct MergeUsersRequest {
    /// The duplicate; it is closed afterwards.
    pub source_user_id: UserId,
    /// The survivor.
    pub target_user_id: UserId,
    /// Only tells what would happen.
    #[schema(default = false)]
    pub dry_run: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MergedUsers {
    /// The survivor.
    pub user: UserDetail,
    pub merged_user_id: UserId,
    pub moved: Moved,
    /// Where both were members.
    pub conflicts: Vec<MergeConflict>,
    pub message: &'static str,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Moved {
    /// Organizations that the survivor belongs to in the duplicate's place.
    pub memberships: usize,
    /// Organizations in which the survivor owns now what the duplicate owned.
    pub possessions: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MergeConflict {
    pub organization_id: OrganizationId,
    #[schema(examples(json!(["Viewer"])))]
    pub kept_roles: Vec<String>,
    /// Those of the duplicate.
    #[schema(examples(json!(["Developer"])))]
    pub dropped_roles: Vec<String>,
}

errors! { pub MergeErrors: InvalidRequest, CannotMergeSelf, Unauthorized, ReauthenticationRequired, Forbidden, EmailNotVerified, UserNotFound, Conflict, LastOwner, ValidationError; }

/// Merge a duplicate account into another one
#[utoipa::path(post, path = "/api/v1/users/merge", tag = "users", request_body = MergeUsersRequest,
    responses((status = 200, description = "Merged, permanently; both addresses get an e-mail", body = Envelope<MergedUsers>), MergeErrors))]
pub async fn merge_users(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<MergeUsersRequest>,
) -> Result<Reply<MergedUsers>> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let (source_id, target_id) = (request.source_user_id, request.target_user_id);
    caller.recently_proved(now)?;
    if source_id == target_id {
        return Err(ErrorCode::CannotMergeSelf.into());
    }
    let tx = platform.db.begin().await?;
    // The organizations before the people, and each in the order of their ids, so that no two merges wait for each other.
    for id in shared(&tx, source_id).await? {
        organization::lock(&tx, Tenant::on_behalf_of(id)).await?;
    }
    let mut locked = BTreeMap::new();
    for id in BTreeSet::from([source_id, target_id]) {
        locked.extend(User::lock(&tx, id).await?.map(|user| (id, user)));
    }
    let source = locked.remove(&source_id).ok_or(ErrorCode::UserNotFound)?;
    let target = locked.remove(&target_id).ok_or(ErrorCode::UserNotFound)?;
    let (of_source, of_target) = (shared(&tx, source_id).await?, shared(&tx, target_id).await?);
    require_everywhere(&tenancy, &caller, &of_source, &of_target).await?;
    if target.account.disabled_at.is_some() {
        return Err(Error::new(ErrorCode::Conflict)
            .with_message("The account that would be kept is closed, and everything would be deleted with it."));
    }

    let (mut moved, mut conflicts) = (Moved::default(), Vec::new());
    // Written last: whoever writes one holds the log of the organization, and others come to it with their rows in hand.
    let mut records = Vec::new();
    for id in &of_source {
        let entered = tenancy.enter(&caller, *id).await?;
        let tenant = entered.require(Permission::UserMerge)?;
        organization::lock(&tx, tenant).await?;
        let standing = Standing::load(tx.conn(), *id, source_id).await?.ok_or(ErrorCode::UserNotFound)?;
        member::refuse_above(&entered, &standing, now)?;
        if member::find(tx.conn(), tenant, source_id).await?.scim_active.is_some() {
            return Err(Error::new(ErrorCode::Conflict).with_message(
                "An identity provider manages the duplicate: keep that account, or remove it there first.",
            ));
        }
        match Standing::load(tx.conn(), *id, target_id).await? {
            None => {
                let roles: Vec<&HeldRole> = standing.roles.iter().filter(|role| role.is_live(now)).collect();
                for role in &roles {
                    may_hand_over(&tenancy, &entered, role).await?;
                }
                let by = origin.actor(caller.user_id);
                records.extend(hand_over(&tx, tenant, source_id, &target, &roles, &by, now).await?);
                for possession in tenancy.possessions.iter() {
                    possession.become_one(&tx, tenant, source_id, target_id).await?;
                }
                member::require_owner(&tx, tenant, source_id).await?;
                member::end_exemption(&tx, tenant, source_id).await?;
                moved.memberships += 1;
            }
            Some(kept) => {
                let names = |standing: &Standing| standing.roles.iter().map(|role| role.name.clone()).collect();
                let (kept_roles, dropped_roles) = (names(&kept), names(&standing));
                conflicts.push(MergeConflict { organization_id: *id, kept_roles, dropped_roles });
                // `LAST_OWNER` where nobody else owns it.
                member::remove(&tx, tenant, source_id, EndReason::AccountMerged, now).await?;
            }
        }
        // After the roles, with which some go.
        let mut owned = 0;
        for possession in tenancy.possessions.iter() {
            owned += possession.transfer(&tx, tenant, source_id, target_id).await?;
        }
        moved.possessions += usize::from(owned > 0);
        let record = AuditRecord::new(Some(*id), origin.actor(caller.user_id), "user.merge")
            .target("user", target_id.0)
            .details(json!({"merged_user_id": source_id}));
        records.push(record);
    }
    // Before the account is closed, which would end them as those of a closed one.
    session::end_all(&tx, source_id, None, EndReason::AccountMerged, now).await?;
    records.extend(account::delete::close(&tenancy.identity, &tx, &source, now).await?);
    mails::send_accounts_merged(&tenancy.identity, &tx, &source, &target).await?;
    tx.publish(Event::UserChanged(target_id)).await?;
    let within = caller.tenant().ok();
    let user = detail(tx.conn(), target_id, within, now).await?;
    audit::record_all(&tx, &platform.clock, records).await?;
    let message = match request.dry_run {
        Some(true) => "Nothing was changed; this is what would happen.",
        _ => {
            tx.commit().await?;
            "The accounts were merged."
        }
    };
    Ok(Reply::ok(MergedUsers { user, merged_user_id: source_id, moved, conflicts, message }, message))
}

/// The organizations of a person in the order of their ids, but for the personal one, which goes with the account.
async fn shared(tx: &Transaction, user_id: UserId) -> Result<Vec<OrganizationId>> {
    let of = member::Entity::belongs_to(organization::Entity)
        .from(member::Column::OrganizationId)
        .to(organization::Column::Id);
    // Index: memberships(user_id, status).
    let rows = member::Entity::find()
        .select_only()
        .column(member::Column::OrganizationId)
        .join(JoinType::InnerJoin, of.into())
        .filter(member::Column::UserId.eq(user_id))
        .filter(organization::Column::IsPersonal.eq(false))
        .filter(organization::Column::DeletedAt.is_null())
        .order_by_asc(member::Column::OrganizationId)
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(rows)
}

/// The caller may merge in every organization of both; an account that is in none of them does not exist for them.
async fn require_everywhere(
    tenancy: &Tenancy,
    caller: &Caller,
    of_source: &[OrganizationId],
    of_target: &[OrganizationId],
) -> Result<()> {
    let mine = tenancy.organizations_where(caller, Permission::UserMerge).await?;
    if mine.is_empty() {
        return Err(ErrorCode::Forbidden.into());
    }
    for organizations in [of_source, of_target] {
        if !organizations.iter().any(|id| mine.contains(id)) {
            return Err(ErrorCode::UserNotFound.into());
        }
    }
    match of_source.iter().chain(of_target).all(|id| mine.contains(id)) {
        true => Ok(()),
        false => Err(ErrorCode::Forbidden.into()),
    }
}

/// 403 unless the caller, who stands in the organization, holds what is in the role, where it counts.
async fn may_hand_over(tenancy: &Tenancy, caller: &Caller, role: &HeldRole) -> Result<()> {
    let organization = role.assignment.organization_id;
    let deed = Deed::HandOver(&role.permissions);
    match tenancy.enter_scope(caller, organization, role.assignment.workspace_id).await {
        // The workspace is deleted: that is for who may in the whole organization.
        Err(error) if error.code == ErrorCode::WorkspaceNotFound => deed.allow(caller).map(drop),
        entered => deed.allow(&entered?).map(drop),
    }
}

/// Puts the survivor in the place of a member, with these roles; sessions and tokens there end. Answers what is to be written
/// down of it.
async fn hand_over(
    tx: &Transaction,
    tenant: Tenant,
    from: UserId,
    to: &User,
    roles: &[&HeldRole],
    by: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<AuditRecord>> {
    let organization = tenant.organization_id();
    member::Entity::update_many()
        .col_expr(member::Column::UserId, Expr::value(to.id()))
        .filter(member::Column::OrganizationId.eq(organization))
        .filter(member::Column::UserId.eq(from))
        .exec(tx.conn())
        .await?;
    // They have come in otherwise now.
    let mut records = invitation::end_of_members(tx, tenant, &[to.id()], now).await?;
    for role in roles {
        records.extend(role.assignment.hand_over(tx, to.id(), by).await?);
    }
    // Loans that are over.
    assignment::Entity::delete_many()
        .filter(assignment::Column::OrganizationId.eq(organization))
        .filter(assignment::Column::UserId.eq(from))
        .exec(tx.conn())
        .await?;
    word::Entity::delete_many()
        .filter(word::Column::OrganizationId.eq(organization))
        .filter(word::Column::UserId.eq(from))
        .exec(tx.conn())
        .await?;
    member::rename(tx, to).await?;
    tx.publish(Event::MembersChanged(organization)).await?;
    tx.publish(Event::UserChanged(from)).await?;
    Ok(records)
}
