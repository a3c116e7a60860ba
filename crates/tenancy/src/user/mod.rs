//! Users: the accounts of an organization's members, as its administrators see them. One operation, one file.
//!
//! Acting on somebody means acting on what they are in one organization; what they are elsewhere is neither seen nor
//! touched. Every operation acts in the organization that it names, else in the one where the caller stands.

pub mod activity;
pub mod create;
pub mod delete;
pub mod export;
pub mod get;
pub mod import;
pub mod list;
pub mod merge;
pub mod search;
pub mod status;
pub mod update;

use std::collections::BTreeMap;

use axum::extract::DefaultBodyLimit;
use chrono::{DateTime, Utc};
use rivergen_identity::{
    mfa, session,
    user::{User, account},
};
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Permission, Result, RoleId, Tenant, UserId};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Tenancy,
    member::{
        self, Source, Status, assignment,
        page::{ListOrder, Page, Wanted},
        view::strongest_roles,
    },
    role,
};

/// A member in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserSummary {
    pub id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub display_name: String,
    pub profile_image_url: Option<String>,
    pub status: Status,
    /// The strongest role in the whole organization.
    pub role_id: Option<RoleId>,
    #[schema(examples("Developer"))]
    pub role_name: Option<String>,
    /// To this organization.
    pub last_login_at: Option<DateTime<Utc>>,
    /// When they joined the organization.
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Users {
    pub users: Vec<UserSummary>,
    /// How many there are on all pages.
    #[schema(examples(1))]
    pub total_count: u64,
    pub message: &'static str,
}

impl Users {
    fn none(message: &'static str) -> Self {
        Self { users: Vec::new(), total_count: 0, message }
    }
}

/// What one organization sees of a member.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserDetail {
    pub id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub display_name: String,
    pub profile_image_url: Option<String>,
    pub status: Status,
    pub status_updated_at: Option<DateTime<Utc>>,
    /// Whether the address is proved.
    pub is_verified: bool,
    pub mfa_enabled: bool,
    /// How they came in: `signup`, `created`, `provisioned`, `invitation`, `added`, `import`, `domain`.
    #[schema(examples("invitation"))]
    pub auth_source: String,
    /// Their membership in the organization; for yourself, in all of your organizations.
    pub memberships: Vec<MembershipOfUser>,
    pub last_login_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A membership, with the names of its roles in the whole organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct MembershipOfUser {
    pub organization_id: OrganizationId,
    pub status: Status,
    #[schema(examples(json!(["Developer"])))]
    pub roles: Vec<String>,
    pub joined_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UserAnswer {
    pub user: UserDetail,
    pub message: &'static str,
}

/// The member, by whose permission they are acted on; `USER_NOT_FOUND` for everybody outside the organization.
pub(crate) async fn acting_on(
    tenancy: &Tenancy,
    caller: &Caller,
    organization: Option<OrganizationId>,
    permission: Permission,
    user: UserId,
) -> Result<(Caller, Tenant, member::Model)> {
    let unknown = |code: ErrorCode| move |error: Error| error.renamed(code, ErrorCode::UserNotFound);
    let caller = tenancy.enter_or_stay(caller, organization).await.map_err(unknown(ErrorCode::OrgNotFound))?;
    let tenant = caller.require(permission)?;
    let member = member::find(tenancy.identity.platform.db.read(), tenant, user).await;
    let member = member.map_err(unknown(ErrorCode::MemberNotFound))?;
    Ok((caller, tenant, member))
}

/// One page of members, with how many there are in all.
async fn page(tenancy: &Tenancy, tenant: Tenant, wanted: Wanted, order: ListOrder) -> Result<(Vec<UserSummary>, u64)> {
    let platform = &tenancy.identity.platform;
    let db = platform.db.read();
    let Page { members, total } = member::page::page(&platform.db, &tenancy.lists, tenant, wanted, order).await?;
    let people: Vec<UserId> = members.iter().map(|(member, _)| member.user_id).collect();
    let roles = strongest_roles(db, tenant, &people, platform.clock.now()).await?;
    let summary = |(member, account): (member::Model, account::Model)| {
        let role = roles.get(&member.user_id);
        UserSummary {
            id: member.user_id,
            email: member.email,
            display_name: account.display_name,
            profile_image_url: account.profile_image_url,
            status: member.status,
            role_id: role.map(|role| role.id),
            role_name: role.map(|role| role.name.clone()),
            last_login_at: member.last_login_at,
            created_at: member.joined_at,
        }
    };
    Ok((members.into_iter().map(summary).collect(), total))
}

/// What is seen of a person: by an organization, or by themselves. `USER_NOT_FOUND` where the organization has no such
/// member.
pub(crate) async fn detail(
    db: &impl ConnectionTrait,
    user_id: UserId,
    within: Option<Tenant>,
    now: DateTime<Utc>,
) -> Result<UserDetail> {
    let user = User::find(db, user_id).await?.ok_or(ErrorCode::UserNotFound)?;
    // Index: memberships(user_id, status).
    let rows = member::Entity::find()
        .filter(member::Column::UserId.eq(user_id))
        .filter(within.map_or_else(Condition::all, |tenant| {
            Condition::all().add(member::Column::OrganizationId.eq(tenant.organization_id()))
        }))
        .order_by_asc(member::Column::JoinedAt)
        .limit(100)
        .all(db)
        .await?;
    if within.is_some() && rows.is_empty() {
        return Err(ErrorCode::UserNotFound.into());
    }
    let organizations: Vec<OrganizationId> = rows.iter().map(|row| row.organization_id).collect();
    let mut roles = role_names(db, user_id, &organizations, now).await?;
    let last_login_at = match within {
        Some(_) => rows.first().and_then(|row| row.last_login_at),
        None => session::last_opened_by(db, user_id).await?,
    };
    let mfa_enabled = mfa::protected(db, &[user_id]).await?.contains(&user_id);
    let first = rows.first();
    Ok(UserDetail {
        id: user_id,
        is_verified: user.is_verified(),
        status: first.map_or(Status::Active, |row| row.status),
        status_updated_at: first.and_then(|row| row.status_updated_at),
        mfa_enabled,
        auth_source: sea_orm::ActiveEnum::to_value(&first.map_or(Source::Signup, |row| row.source)),
        last_login_at,
        created_at: user.account.created_at,
        updated_at: user.account.updated_at,
        email: user.email.email,
        display_name: user.account.display_name,
        profile_image_url: user.account.profile_image_url,
        memberships: rows
            .into_iter()
            .map(|row| MembershipOfUser {
                organization_id: row.organization_id,
                status: row.status,
                roles: roles.remove(&row.organization_id).unwrap_or_default(),
                joined_at: row.joined_at,
            })
            .collect(),
    })
}

/// The names of a person's roles in the whole of each organization. Index: role_assignments(user_id, organization_id).
async fn role_names(
    db: &impl ConnectionTrait,
    user_id: UserId,
    organizations: &[OrganizationId],
    now: DateTime<Utc>,
) -> Result<BTreeMap<OrganizationId, Vec<String>>> {
    let of_role = assignment::Entity::belongs_to(role::Entity).from(assignment::Column::RoleId).to(role::Column::Id);
    let rows = assignment::Entity::find()
        .join(JoinType::InnerJoin, of_role.into())
        .select_also(role::Entity)
        .filter(assignment::Column::UserId.eq(user_id))
        .filter(assignment::Column::OrganizationId.is_in(organizations.iter().copied()))
        .filter(assignment::Column::WorkspaceId.is_null())
        .filter(assignment::live(now))
        .order_by_asc(assignment::Column::Id)
        .all(db)
        .await?;
    let mut names: BTreeMap<OrganizationId, Vec<String>> = BTreeMap::new();
    for (assignment, role) in rows {
        names.entry(assignment.organization_id).or_default().extend(role.map(|role| role.name));
    }
    Ok(names)
}

/// The operations of users.
pub(crate) fn operations() -> OpenApiRouter<Tenancy> {
    let import =
        OpenApiRouter::new().routes(routes!(import::bulk_import)).layer(DefaultBodyLimit::max(import::MAX_BODY_BYTES));
    OpenApiRouter::new()
        .merge(import)
        .routes(routes!(list::list_users, create::create_user))
        .routes(routes!(search::search_users))
        .routes(routes!(import::get_bulk_import))
        .routes(routes!(status::bulk_update_status))
        .routes(routes!(merge::merge_users))
        .routes(routes!(get::get_user, update::update_user, delete::delete_user))
        .routes(routes!(status::update_status))
        .routes(routes!(activity::get_activity))
        .routes(routes!(export::export))
}
