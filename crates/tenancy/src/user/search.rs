//! `POST /api/v1/users/search`: members by several conditions at once.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::mfa;
use rivergen_kernel::{OrganizationId, Permission, Result, RoleId, Tenant, WorkspaceId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Json, Reply, SignedIn, SortOrder},
};
use sea_orm::{
    ColumnTrait, Condition, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{ExprTrait, NullOrdering},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Users, page};
use crate::{
    Tenancy,
    member::{
        self, Source, Status, assignment,
        page::{ListOrder, Sought, Wanted},
        word,
    },
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"organization_id": 42, "query": "ada", "filters": {"status": "active", "mfa_enabled": false},
    "sort_by": "created_at", "sort_order": "desc", "limit": 20}))]
pub struct SearchUsersRequest {
    pub organization_id: OrganizationId,
    /// Beginnings of words in the name or the address.
    #[garde(inner(length(max = 255)))]
    pub query: Option<String>,
    #[garde(dive)]
    pub filters: Option<UserFilters>,
    #[schema(inline)]
    pub sort_by: Option<UserSort>,
    #[schema(inline)]
    pub sort_order: Option<SortOrder>,
    #[schema(minimum = 0)]
    pub skip: Option<u32>,
    #[garde(inner(range(min = 1, max = 100)))]
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u64>,
}

/// All that are given must hold.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct UserFilters {
    #[schema(inline)]
    pub status: Option<Status>,
    /// Holders of one of the roles, wherever in the organization.
    #[garde(inner(length(max = 100)))]
    pub role_ids: Option<Vec<RoleId>>,
    /// Holders of some role in one of the workspaces.
    #[garde(inner(length(max = 100)))]
    pub workspace_ids: Option<Vec<WorkspaceId>>,
    pub mfa_enabled: Option<bool>,
    /// How they joined.
    #[schema(inline)]
    pub auth_source: Option<Source>,
    /// Who joined then or later.
    pub created_after: Option<DateTime<Utc>>,
    /// Who joined earlier.
    pub created_before: Option<DateTime<Utc>>,
    /// Who did not sign in to the organization since.
    pub last_login_before: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserSort {
    Email,
    #[default]
    DisplayName,
    /// When they joined.
    CreatedAt,
    LastLoginAt,
}

errors! { pub SearchUsersErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError; }

/// Search users by several conditions at once
#[utoipa::path(post, path = "/api/v1/users/search", tag = "users", request_body = SearchUsersRequest,
    responses((status = 200, description = "Those who meet all of them", body = Envelope<Users>), SearchUsersErrors))]
pub async fn search_users(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Json(request): Json<SearchUsersRequest>,
) -> Result<Reply<Users>> {
    let caller = tenancy.enter(&caller, request.organization_id).await?;
    let tenant = caller.require(Permission::UserRead)?;
    let now = tenancy.identity.platform.clock.now();
    let message = "The users that were found.";
    let db = tenancy.identity.platform.db.read();
    let Some(found) = word::meant_by(db, tenant, request.query.as_deref()).await? else {
        return Ok(Reply::ok(Users::none(message), message));
    };
    let known_as = format!("{:?} {:?}", request.query, request.filters);
    let sought = request.filters.unwrap_or_default().narrow(found, tenant, now);
    let order = match (request.sort_by.unwrap_or_default(), request.sort_order.unwrap_or(SortOrder::Asc)) {
        (UserSort::DisplayName, SortOrder::Asc) => ListOrder::ByName,
        (sort, order) => ListOrder::Other(Box::new(move |select, walk| sort.of(select, walk.along(order.into())))),
    };
    let (skip, limit) = (u64::from(request.skip.unwrap_or(0)), request.limit.unwrap_or(100));
    let wanted = Wanted { sought, known_as, skip, limit };
    let (users, total_count) = page(&tenancy, tenant, wanted, order).await?;
    Ok(Reply::ok(Users { users, total_count, message }, message))
}

impl UserFilters {
    fn narrow(self, sought: Sought, tenant: Tenant, now: DateTime<Utc>) -> Sought {
        use member::Column;
        // Index: role_assignments(workspace_id, id); where each is asked, role_assignments(user_id, …).
        let inside = |workspaces: Vec<WorkspaceId>| {
            let held = tenant.find::<assignment::Entity>().select_only().column(assignment::Column::UserId);
            let held = held.filter(assignment::Column::WorkspaceId.is_in(workspaces)).filter(assignment::live(now));
            held.into_query()
        };
        let protected = |enabled: bool| {
            let protected = mfa::is_protected(Column::UserId.into_expr());
            if enabled { protected } else { protected.not() }
        };
        let absent_since = |before: DateTime<Utc>| {
            Condition::any().add(Column::LastLoginAt.is_null()).add(Column::LastLoginAt.lt(before))
        };
        sought
            .who(self.status.map(|status| Column::Status.eq(status)))
            .who(self.auth_source.map(|source| Column::Source.eq(source)))
            .who(self.created_after.map(|after| Column::JoinedAt.gte(after)))
            .who(self.created_before.map(|before| Column::JoinedAt.lt(before)))
            .among(self.role_ids.map(|roles| assignment::holders(tenant, &roles, now)), assignment::Column::UserId)
            .among(self.workspace_ids.map(inside), assignment::Column::UserId)
            .who(self.mfa_enabled.map(protected))
            .who(self.last_login_before.map(absent_since))
    }
}

impl UserSort {
    /// Indexes: memberships(organization_id, name_key | email | joined_at | last_login_at, user_id).
    fn of(self, select: Select<member::Entity>, order: Order) -> Select<member::Entity> {
        use member::Column;
        let select = match self {
            Self::Email => select.order_by(Column::Email, order.clone()),
            Self::DisplayName => select.order_by(Column::NameKey, order.clone()),
            Self::CreatedAt => select.order_by(Column::JoinedAt, order.clone()),
            // Who never signed in comes before everybody else; said in so many words, as the databases differ in it.
            Self::LastLoginAt => {
                let nulls = if order == Order::Asc { NullOrdering::First } else { NullOrdering::Last };
                select.order_by_with_nulls(Column::LastLoginAt, order.clone(), nulls)
            }
        };
        select.order_by(Column::UserId, order)
    }
}
