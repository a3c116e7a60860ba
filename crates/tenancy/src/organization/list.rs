//! `GET /api/v1/organizations`: the organizations that the caller belongs to.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::Result;
use rivergen_platform::{
    db::searched,
    errors,
    http::{Envelope, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Organization;
use crate::{
    Tenancy,
    member::{self, Status},
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Part of the name or of the domain.
    #[garde(inner(length(max = 255)))]
    pub search: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Organizations {
    pub organizations: Vec<Organization>,
    #[schema(examples(1))]
    pub total_count: u64,
    pub message: &'static str,
}

errors! { pub ListErrors: Unauthorized, EmailNotVerified, ValidationError; }

/// List the organizations that the caller may see
#[utoipa::path(get, path = "/api/v1/organizations", tag = "organizations", params(SkipLimit, Filter),
    responses((status = 200, description = "Ordered by name", body = Envelope<Organizations>), ListErrors))]
pub async fn list(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Query(window): Query<SkipLimit>,
    Query(filter): Query<Filter>,
) -> Result<Reply<Organizations>> {
    let db = tenancy.identity.platform.db.read();
    // Index: memberships(user_id, status).
    let mine = member::Entity::find()
        .select_only()
        .column(member::Column::OrganizationId)
        .filter(member::Column::UserId.eq(caller.user_id))
        .filter(member::Column::Status.eq(Status::Active))
        .into_query();
    let mut query =
        super::Entity::find().filter(super::Column::DeletedAt.is_null()).filter(super::Column::Id.in_subquery(mine));
    if let Some(bound) = caller.bound_to() {
        query = query.filter(super::Column::Id.eq(bound));
    }
    query = searched(query, filter.search.as_deref(), [super::Column::Name, super::Column::Domain]);
    let total_count = query.clone().count(db).await?;
    let rows = query
        .order_by_asc(super::Column::NameKey)
        .order_by_asc(super::Column::Id)
        .offset(window.skip())
        .limit(window.limit())
        .all(db)
        .await?;
    let message = "The organizations that you belong to.";
    let organizations = Organization::of(db, rows).await?;
    Ok(Reply::ok(Organizations { organizations, total_count, message }, message))
}
