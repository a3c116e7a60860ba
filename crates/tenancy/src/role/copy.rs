//! `POST /api/v1/roles/{role_id}/clone`: a custom role with the permissions of an existing one, and without its holders.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Permission, Result, RoleId};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{RoleAnswer, create::NewRole};
use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Careful Developer"}))]
pub struct CloneRoleRequest {
    /// Unique in the organization, compared without case.
    #[garde(custom(super::valid_name))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// That of the source, if absent.
    #[garde(inner(length(chars, max = 500)))]
    pub description: Option<String>,
}

errors! { pub CloneErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound, RoleAlreadyExists, ValidationError; }

/// Copy a role as a custom role
#[utoipa::path(post, path = "/api/v1/roles/{role_id}/clone", tag = "roles", request_body = CloneRoleRequest,
    params(("role_id" = RoleId, Path, description = "The source; built-in roles can be copied, too")),
    responses((status = 201, description = "Created in the source's organization; nobody has it yet", body = Envelope<RoleAnswer>), CloneErrors))]
pub async fn clone_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(role_id): Path<RoleId>,
    Json(request): Json<CloneRoleRequest>,
) -> Result<Reply<RoleAnswer>> {
    let (caller, source) = super::reach(&tenancy, &caller, role_id, None).await?;
    caller.require(Permission::RoleCreate)?;
    let new = NewRole {
        name: &request.name,
        description: Some(request.description.as_deref().unwrap_or(&source.description)),
        permissions: &source.permissions(),
        copy_of: Some(source.id),
    };
    new.create(&tenancy, &caller, &origin).await
}
