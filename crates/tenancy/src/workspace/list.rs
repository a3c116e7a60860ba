//! `GET /api/v1/organizations/{org_id}/workspaces` and `GET /api/v1/workspaces`: in the order of their names.

use axum::extract::State;
use rivergen_kernel::{OrganizationId, Permission, Result};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Column, Entity, WorkspaceItem, open_to, reachable};
use crate::Tenancy;

#[derive(Debug, Serialize, ToSchema)]
pub struct Workspaces {
    pub workspaces: Vec<WorkspaceItem>,
    #[schema(examples(1))]
    pub total_count: u64,
    pub message: &'static str,
}

errors! {
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, ValidationError;
}

/// List the workspaces of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/workspaces", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), SkipLimit),
    responses((status = 200, description = "All with `workspace.read`, otherwise those that the caller belongs to or that are public", body = Envelope<Workspaces>), ListErrors))]
pub async fn list_organization_workspaces(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<Workspaces>> {
    let caller = tenancy.enter(&caller, org_id).await?;
    // Index: workspaces(organization_id, name_key), unique.
    let mut query = caller.tenant()?.find::<Entity>().filter(Column::DeletedAt.is_null());
    if !caller.may(Permission::WorkspaceRead) {
        query = query.filter(open_to(caller.user_id, tenancy.identity.platform.clock.now()));
    }
    page_of(&tenancy, query, window).await
}

/// List the workspaces that the caller can access, across all organizations
#[utoipa::path(get, path = "/api/v1/workspaces", tag = "workspaces", params(SkipLimit),
    responses((status = 200, description = "Ordered by name", body = Envelope<Workspaces>), ListErrors))]
pub async fn list_workspaces(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<Workspaces>> {
    let mut query = reachable(caller.user_id, tenancy.identity.platform.clock.now());
    if let Some(bound) = caller.bound_to() {
        query = query.filter(Column::OrganizationId.eq(bound));
    }
    page_of(&tenancy, query, window).await
}

async fn page_of(tenancy: &Tenancy, query: Select<Entity>, window: SkipLimit) -> Result<Reply<Workspaces>> {
    let db = tenancy.identity.platform.db.read();
    let total_count = query.clone().count(db).await?;
    let rows = query
        .order_by_asc(Column::NameKey)
        .order_by_asc(Column::Id)
        .offset(window.skip())
        .limit(window.limit())
        .all(db)
        .await?;
    let message = "The workspaces that you can reach.";
    let workspaces = rows.into_iter().map(WorkspaceItem::from).collect();
    Ok(Reply::ok(Workspaces { workspaces, total_count, message }, message))
}
