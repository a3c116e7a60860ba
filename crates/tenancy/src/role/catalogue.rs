//! `GET /api/v1/roles/permissions`: the catalogue of permissions, the same list that the server checks against.

use garde::Validate;
use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Query, Reply, SignedIn},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PermissionsQuery {
    /// Only those about this resource: the part before the dot.
    #[garde(inner(length(max = 100)))]
    #[param(example = "datasource")]
    category: Option<String>,
}

/// A permission that a role can hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionInfo {
    #[schema(examples("datasource.query"))]
    pub name: &'static str,
    #[schema(examples("datasource"))]
    pub category: &'static str,
    #[schema(examples("Query data sources, subject to the policies."))]
    pub description: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionCatalogue {
    pub permissions: Vec<PermissionInfo>,
    #[schema(examples(47))]
    pub total_count: usize,
}

errors! { pub CatalogueErrors: Unauthorized, TokenExpired, EmailNotVerified, ValidationError; }

/// List the permissions that a role can have
#[utoipa::path(get, path = "/api/v1/roles/permissions", tag = "roles", params(PermissionsQuery),
    responses((status = 200, description = "The permissions; none if the category does not exist", body = Envelope<PermissionCatalogue>), CatalogueErrors))]
pub async fn list_permissions(
    _: SignedIn,
    Query(query): Query<PermissionsQuery>,
) -> Result<Reply<PermissionCatalogue>> {
    let wanted = |permission: &&Permission| query.category.as_deref().is_none_or(|name| permission.resource() == name);
    let permissions: Vec<_> = Permission::ALL
        .iter()
        .filter(wanted)
        .map(|permission| PermissionInfo {
            name: permission.as_str(),
            category: permission.resource(),
            description: permission.sentence(),
        })
        .collect();
    let total_count = permissions.len();
    Ok(Reply::ok(PermissionCatalogue { permissions, total_count }, "The permissions that a role can hold."))
}
