//! `POST /api/v1/users/search`: members by several conditions at once.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::mfa;
use rivergen_kernel::{OrganizationId, Permission, Result, RoleId, Tenant, WorkspaceId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Json, Reply, SignedIn},
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
    member::{self, Source, Status, assignment, page::Wanted, word},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"organization_id": 42, "query": "ada", "filters": {"status": "active", "mfa_enabled": false},
    "sort_by": "created_at", "sort_order": "desc", "limit": 20}))]
pub struct SearchUsersRequest {
    pub organization_id: OrganizationId,
    /// Beginnings of words of the name or of the address.
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
    /// How they came in.
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

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    #[default]
    Asc,
    Desc,
}

errors! { pub SearchUsersErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError; }

/// Find users by several conditions at once
#[utoipa::path(post, path = "/api/v1/users/search", tag = "users", request_body = SearchUsersRequest,
    responses((status = 200, description = "Who fulfils all of them", body = Envelope<Users>), SearchUsersErrors))]
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
    let condition = request.filters.unwrap_or_default().narrow(found, tenant, now);
    let order = match request.sort_order.unwrap_or_default() {
        SortOrder::Asc => Order::Asc,
        SortOrder::Desc => Order::Desc,
    };
    let sort = request.sort_by.unwrap_or_default();
    let wanted = Wanted { condition, skip: u64::from(request.skip.unwrap_or(0)), limit: request.limit.unwrap_or(100) };
    let (users, total_count) =
        page(&tenancy, tenant, wanted, |select, walk| sort.of(select, walk.along(order))).await?;
    Ok(Reply::ok(Users { users, total_count, message }, message))
}

impl UserFilters {
    fn narrow(self, wanted: Condition, tenant: Tenant, now: DateTime<Utc>) -> Condition {
        use member::Column;
        let mut wanted = wanted
            .add_option(self.status.map(|status| Column::Status.eq(status)))
            .add_option(self.auth_source.map(|source| Column::Source.eq(source)))
            .add_option(self.created_after.map(|after| Column::JoinedAt.gte(after)))
            .add_option(self.created_before.map(|before| Column::JoinedAt.lt(before)));
        if let Some(roles) = self.role_ids {
            wanted = wanted.add(Column::UserId.in_subquery(assignment::holders(tenant, &roles, now)));
        }
        if let Some(workspaces) = self.workspace_ids {
            // Index: role_assignments(workspace_id, id).
            let inside = tenant
                .find::<assignment::Entity>()
                .select_only()
                .column(assignment::Column::UserId)
                .filter(assignment::Column::WorkspaceId.is_in(workspaces))
                .filter(assignment::live(now));
            wanted = wanted.add(Column::UserId.in_subquery(inside.into_query()));
        }
        if let Some(enabled) = self.mfa_enabled {
            let protected = mfa::is_protected(Column::UserId.into_expr());
            wanted = wanted.add(if enabled { protected } else { protected.not() });
        }
        if let Some(before) = self.last_login_before {
            wanted =
                wanted.add(Condition::any().add(Column::LastLoginAt.is_null()).add(Column::LastLoginAt.lt(before)));
        }
        wanted
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
