//! `GET /api/v1/sso/providers`: the organization's identity providers.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity, Kind, Status, view::SsoProvider};
use crate::Federation;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProvidersQuery {
    #[garde(skip)]
    #[param(inline)]
    provider_type: Option<Kind>,
    #[garde(skip)]
    #[param(inline)]
    status: Option<Status>,
    /// From 1 to 100.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100, default = 50, example = 50)]
    limit: Option<u64>,
    /// How many to skip.
    #[garde(inner(range(max = 1_000_000)))]
    #[param(minimum = 0, default = 0, example = 0)]
    offset: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SsoProviders {
    pub providers: Vec<SsoProvider>,
    #[schema(examples(1))]
    pub total: u64,
    pub message: &'static str,
}

errors! { pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, ValidationError; }

/// List the organization's identity providers
#[utoipa::path(get, path = "/api/v1/sso/providers", tag = "sso", params(ProvidersQuery),
    responses((status = 200, description = "Those of the session's organization, in the order in which they were added", body = Envelope<SsoProviders>), ListErrors))]
pub async fn list_providers(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Query(query): Query<ProvidersQuery>,
) -> Result<Reply<SsoProviders>> {
    let tenant = caller.require(Permission::SsoRead)?;
    let db = federation.platform().db.read();
    // Index: sso_providers(organization_id, name_key), its first column; there are few.
    let mut found = tenant.find::<Entity>();
    if let Some(kind) = query.provider_type {
        found = found.filter(Column::Kind.eq(kind));
    }
    if let Some(status) = query.status {
        found = found.filter(Column::Status.eq(status));
    }
    let total = found.clone().count(db).await?;
    let window = found.order_by_asc(Column::Id).offset(query.offset.unwrap_or(0)).limit(query.limit.unwrap_or(50));
    let providers = SsoProvider::of_all(db, window.all(db).await?).await?;
    let message = "The identity providers of the organization.";
    Ok(Reply::ok(SsoProviders { providers, total, message }, message))
}
