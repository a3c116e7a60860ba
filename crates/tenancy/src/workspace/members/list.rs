//! `GET /api/v1/organizations/{org_id}/workspaces/{workspace_id}/members`: the first who came stands first.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{OrganizationId, Permission, Result, Tenant, WorkspaceId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Alias, Expr, ExprTrait, Query as Subquery, SelectStatement},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::WorkspaceMember;
use crate::{
    Tenancy,
    member::{
        assignment::{self, Column, Entity},
        way::Way,
    },
};

#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceMembers {
    pub members: Vec<WorkspaceMember>,
    #[schema(examples(1))]
    pub total_count: i64,
    pub message: &'static str,
}

errors! {
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound, ValidationError;
}

/// List the members of a workspace with their roles
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("workspace_id" = WorkspaceId, Path, description = "The workspace"), SkipLimit),
    responses((status = 200, description = "Everyone with a role in it", body = Envelope<WorkspaceMembers>), ListErrors))]
pub async fn list_workspace_members(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path((org_id, workspace_id)): Path<(OrganizationId, WorkspaceId)>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<WorkspaceMembers>> {
    let (caller, _) = tenancy.enter_workspace(&caller, Some(org_id), workspace_id).await?;
    let tenant = caller.require(Permission::MemberRead)?;
    let platform = &tenancy.identity.platform;
    let (db, now) = (platform.db.read(), platform.clock.now());
    let total_count = count(db, tenant, workspace_id, now).await?;
    // Chosen among the entries of indexes alone, from the nearer end, and then read. Index:
    // role_assignments(workspace_id, id, user_id, expires_at, organization_id).
    let total = u64::try_from(total_count).unwrap_or_default();
    let Way { walk, over, taken, .. } = Way::<i64>::from_an_end(total, window.skip(), window.limit());
    let chosen = tenant
        .find::<Entity>()
        .select_only()
        .column(Column::Id)
        .filter(Column::WorkspaceId.eq(workspace_id))
        .filter(assignment::live(now))
        .filter(Expr::exists(an_earlier_one(now)).not())
        .order_by(Column::Id, walk.along(Order::Asc))
        .offset(over)
        .limit(taken);
    let rows = tenant
        .find::<Entity>()
        .filter(Column::Id.in_subquery(chosen.into_query()))
        .order_by_asc(Column::Id)
        .all(db)
        .await?;
    let members = WorkspaceMember::all(db, tenant, rows).await?;
    let message = "The members of the workspace.";
    Ok(Reply::ok(WorkspaceMembers { members, total_count, message }, message))
}

/// Index: role_assignments_people(organization_id, workspace_id, user_id, expires_at, id), which has all that it asks
/// for.
async fn count(db: &DatabaseConnection, tenant: Tenant, workspace: WorkspaceId, now: DateTime<Utc>) -> Result<i64> {
    let people = tenant
        .find::<Entity>()
        .select_only()
        .column_as(Column::UserId.into_expr().count_distinct(), "people")
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(assignment::live(now))
        .into_tuple()
        .one(db)
        .await?;
    Ok(people.unwrap_or_default())
}

/// A role that the person of a row was given in the same workspace before that one. Index: role_assignments_people.
///
/// SQLite would rather take (workspace_id, id) and read, for each row, all that come before it. It cannot where the ids
/// stand in a difference. PostgreSQL would read everybody in the workspace, and for each row look through all of them:
/// the offset tells it to ask of each row by itself.
fn an_earlier_one(now: DateTime<Utc>) -> SelectStatement {
    let earlier = |column: Column| Expr::col((Alias::new("earlier"), column));
    let row = |column: Column| (Entity, column);
    Subquery::select()
        .expr(Expr::val(1))
        .from_as(Entity, Alias::new("earlier"))
        .and_where(earlier(Column::UserId).equals(row(Column::UserId)))
        .and_where(earlier(Column::OrganizationId).equals(row(Column::OrganizationId)))
        .and_where(earlier(Column::WorkspaceId).equals(row(Column::WorkspaceId)))
        .and_where(earlier(Column::Id).sub(Expr::col(row(Column::Id))).lt(0))
        .cond_where(Condition::any().add(earlier(Column::ExpiresAt).is_null()).add(earlier(Column::ExpiresAt).gt(now)))
        .limit(1)
        .offset(0)
        .to_owned()
}
