//! `GET /api/v1/roles/{role_id}/assignments`: who holds a role, and where.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Permission, Result, RoleId, UserId, WorkspaceId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{ColumnTrait, Condition, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Tenancy,
    member::{
        assignment,
        way::{Walk, Way},
    },
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RoleAssignmentsQuery {
    /// Only those who have it in this workspace.
    #[garde(skip)]
    #[param(value_type = Option<i64>)]
    workspace_id: Option<WorkspaceId>,
}

/// A role that someone was given.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleAssignment {
    #[schema(examples(7))]
    pub id: i64,
    pub role_id: RoleId,
    #[schema(examples("Developer"))]
    pub role_name: String,
    pub user_id: UserId,
    /// Absent: in the whole organization.
    pub workspace_id: Option<WorkspaceId>,
    /// Absent: by the server.
    pub assigned_by: Option<UserId>,
    pub created_at: DateTime<Utc>,
    /// For a role on loan.
    pub expires_at: Option<DateTime<Utc>>,
}

impl RoleAssignment {
    pub(super) fn new(row: assignment::Model, role_name: &str) -> Self {
        Self {
            id: row.id,
            role_id: row.role_id,
            role_name: role_name.to_owned(),
            user_id: row.user_id,
            workspace_id: row.workspace_id,
            assigned_by: row.assigned_by_user_id,
            created_at: row.assigned_at,
            expires_at: row.expires_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleAssignments {
    pub assignments: Vec<RoleAssignment>,
    #[schema(examples(1))]
    pub total_count: u64,
}

errors! { pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound, WorkspaceNotFound, ValidationError; }

/// List who has a role, and where
#[utoipa::path(get, path = "/api/v1/roles/{role_id}/assignments", tag = "roles",
    params(("role_id" = RoleId, Path, description = "The role, in any of the caller's organizations"), RoleAssignmentsQuery, SkipLimit),
    responses((status = 200, description = "Those in force now, in the order in which they were assigned", body = Envelope<RoleAssignments>), ListErrors))]
pub async fn list_role_assignments(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(role_id): Path<RoleId>,
    Query(query): Query<RoleAssignmentsQuery>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<RoleAssignments>> {
    let (caller, role) = super::reach(&tenancy, &caller, role_id, query.workspace_id).await?;
    let tenant = caller.require(Permission::RoleRead)?;
    let platform = &tenancy.identity.platform;
    let (db, now) = (platform.db.read(), platform.clock.now());
    // Index: role_assignments(role_id, id, expires_at, organization_id).
    let mut held = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(role_id))
        .filter(assignment::live(now));
    let (total_count, signposts) = match query.workspace_id {
        Some(workspace) => {
            held = held.filter(assignment::Column::WorkspaceId.eq(workspace));
            (held.clone().count(db).await?, Arc::default())
        }
        None => {
            let usage = tenancy.usages.of(db, tenant, [role_id], now).await?.remove(&role_id).unwrap_or_default();
            (usage.assignments, usage.signposts)
        }
    };
    // Chosen along the index alone, from an end or from where a page before began or ended, and then read.
    let Way { walk, from, over, taken } = signposts.way(total_count, window.skip(), window.limit());
    let on_the_way = from.map(|id| match walk {
        Walk::Forward => assignment::Column::Id.gte(id),
        Walk::Backward => assignment::Column::Id.lte(id),
    });
    let chosen = held.select_only().column(assignment::Column::Id).filter(Condition::all().add_option(on_the_way));
    let chosen = chosen.order_by(assignment::Column::Id, walk.along(Order::Asc)).offset(over).limit(taken);
    let rows = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::Id.in_subquery(chosen.into_query()))
        .order_by_asc(assignment::Column::Id)
        .all(db)
        .await?;
    // Where a page falls short of the count, that is not of now, and neither are places from the end.
    if let (Some(first), Some(last)) = (rows.first(), rows.last())
        && rows.len() as u64 == taken
    {
        signposts.put_up(window.skip(), first.id);
        signposts.put_up(window.skip() + taken - 1, last.id);
    }
    let assignments = rows.into_iter().map(|row| RoleAssignment::new(row, &role.name)).collect();
    Ok(Reply::ok(RoleAssignments { assignments, total_count }, "Who holds the role."))
}
