//! `GET /api/v1/roles/users/{user_id}/permissions` and `POST /api/v1/roles/check`: what a member may do, and through which
//! role. Both read the [`Standing`] that guards every request. What an access policy denies depends on the session, the place
//! and the hour, so it is told of oneself alone, as one asks.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, ErrorCode, OrganizationId, Permission, Result, RoleId, UserId, WorkspaceId};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Query, Reply, SignedIn},
};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{RoleRef, assignments::RoleAssignment};
use crate::{Tenancy, invitation::WorkspaceRef, organization, standing::Standing};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct UserPermissionsQuery {
    /// The session's organization, if absent.
    #[param(value_type = Option<i64>)]
    organization_id: Option<OrganizationId>,
    /// Adds what applies in this workspace.
    #[param(value_type = Option<i64>)]
    workspace_id: Option<WorkspaceId>,
}

/// What a member may do in an organization, or in a workspace of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserPermissions {
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    /// The roles that they were given and that count there.
    pub roles: Vec<RoleAssignment>,
    /// If the workspace is public: what it gives every member of the organization.
    pub public_access: Option<PublicAccess>,
    /// In the order of the catalogue.
    pub permissions: Vec<EffectivePermission>,
    /// Whether the organization's settings let one register applications, with the permission or without it; null of
    /// another member.
    pub may_register_applications: Option<bool>,
}

/// What a public workspace gives every member.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicAccess {
    pub workspace: WorkspaceRef,
    /// Its default role. Of it counts what is about sources, files and questions.
    pub role: RoleRef,
}

/// A permission that a member has, and where it comes from.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct EffectivePermission {
    #[schema(examples("datasource.read"))]
    pub name: &'static str,
    /// The roles that grant it.
    pub source_role_ids: Vec<RoleId>,
    /// Whether one of them is the default role of the workspace, which is public.
    pub through_public_access: bool,
    #[schema(inline)]
    pub scope: PermissionReach,
    /// Whether an access policy denies it anyway, for this request; null for another member, whose requests are not
    /// known.
    pub denied_by_policy: Option<bool>,
}

/// Where a member's permission applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PermissionReach {
    /// A role in the whole organization gives it.
    Organization,
    /// Roles in the workspace alone give it, or the workspace itself.
    Workspace,
}

errors! {
    pub PermissionsErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound, UserNotFound, ValidationError;
    pub CheckErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound, UserNotFound, ValidationError;
}

/// Read a member's effective permissions, and where each comes from
#[utoipa::path(get, path = "/api/v1/roles/users/{user_id}/permissions", tag = "roles",
    params(("user_id" = UserId, Path, description = "Yourself, or with `role.read` another member"), UserPermissionsQuery),
    responses((status = 200, description = "Nothing for a member who is suspended", body = Envelope<UserPermissions>), PermissionsErrors))]
pub async fn get_user_permissions(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(user_id): Path<UserId>,
    Query(query): Query<UserPermissionsQuery>,
) -> Result<Reply<UserPermissions>> {
    let workspace_id = query.workspace_id;
    let (standing, own) = standing_of(&tenancy, &caller, user_id, query.organization_id, workspace_id).await?;
    let now = tenancy.identity.platform.clock.now();
    let roles = standing.held(workspace_id, now).map(|role| RoleAssignment::new(role.assignment.clone(), &role.name));
    let public = standing.public_at(workspace_id).zip(workspace_id);
    let found = UserPermissions {
        user_id,
        organization_id: standing.organization_id,
        workspace_id,
        roles: roles.collect(),
        public_access: public.map(|(public, id)| PublicAccess {
            workspace: WorkspaceRef { id, name: public.name.clone() },
            role: RoleRef { id: public.role_id, name: public.role_name.clone() },
        }),
        permissions: effective(&standing, own.as_ref(), workspace_id, now)?,
        may_register_applications: match own {
            Some(_) => Some(may_register_applications(&tenancy, &caller, standing.organization_id).await?),
            None => None,
        },
    };
    Ok(Reply::ok(found, "What the member may do."))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"permissions": ["datasource.query", "policy.write"], "user_id": 12, "organization_id": 42, "workspace_id": 7}))]
pub struct CheckPermissionRequest {
    /// Of the catalogue.
    #[garde(length(min = 1, max = 100))]
    #[schema(value_type = Vec<String>)]
    pub permissions: Vec<Permission>,
    /// Yourself, if absent.
    pub user_id: Option<UserId>,
    /// The session's organization, if absent.
    pub organization_id: Option<OrganizationId>,
    /// In the whole organization, if absent.
    pub workspace_id: Option<WorkspaceId>,
}

/// Whether a member may do one thing.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionCheck {
    #[schema(examples("datasource.query"))]
    pub permission: &'static str,
    /// That a role gives it, and no access policy denies it.
    pub allowed: bool,
    /// The role that gives it; of several the one that was given first, and after those the default role of a public
    /// workspace.
    pub source_role_id: Option<RoleId>,
    /// Whether it is the public workspace that gives it, and no role that the member was given.
    pub through_public_access: bool,
    /// Whether an access policy denies it, to this request; null of another member, whose requests are not known.
    pub denied_by_policy: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionsChecked {
    /// In the order of the request.
    pub results: Vec<PermissionCheck>,
    /// Whether all of them are allowed.
    pub allowed: bool,
}

/// Check whether a member may do something
#[utoipa::path(post, path = "/api/v1/roles/check", tag = "roles", request_body = CheckPermissionRequest,
    responses((status = 200, description = "The answer, even if it is no", body = Envelope<PermissionsChecked>), CheckErrors))]
pub async fn check_permission(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Json(request): Json<CheckPermissionRequest>,
) -> Result<Reply<PermissionsChecked>> {
    let (user_id, workspace_id) = (request.user_id.unwrap_or(caller.user_id), request.workspace_id);
    let (standing, own) = standing_of(&tenancy, &caller, user_id, request.organization_id, workspace_id).await?;
    let now = tenancy.identity.platform.clock.now();
    let results = request.permissions.iter().map(|permission| -> Result<PermissionCheck> {
        let given = standing.sources(*permission, workspace_id, now).next().map(|role| role.assignment.role_id);
        let public = standing.public_at(workspace_id).filter(|public| public.permissions().contains(permission));
        let source_role_id = given.or(public.map(|public| public.role_id));
        let denied_by_policy = own.as_ref().map(|caller| caller.is_denied(*permission)).transpose()?;
        Ok(PermissionCheck {
            permission: permission.as_str(),
            allowed: source_role_id.is_some() && denied_by_policy != Some(true),
            source_role_id,
            through_public_access: given.is_none() && public.is_some(),
            denied_by_policy,
        })
    });
    let results = results.collect::<Result<Vec<_>>>()?;
    let allowed = results.iter().all(|result| result.allowed);
    Ok(Reply::ok(PermissionsChecked { results, allowed }, "What the member may do."))
}

/// The member's standing, for themselves and for who may see roles there; and the caller as they stand there, where they ask of
/// themselves. `USER_NOT_FOUND` for who is no member.
async fn standing_of(
    tenancy: &Tenancy,
    caller: &Caller,
    user_id: UserId,
    organization: Option<OrganizationId>,
    workspace: Option<WorkspaceId>,
) -> Result<(Arc<Standing>, Option<Caller>)> {
    let organization = match organization {
        Some(organization) => organization,
        None => caller.membership()?.organization_id,
    };
    let caller = tenancy.enter_scope(caller, organization, workspace).await?;
    let is_own = user_id == caller.user_id;
    let tenant = match is_own {
        true => caller.tenant()?,
        false => caller.require(Permission::RoleRead)?,
    };
    let standing = tenancy.standings.of(tenant.organization_id(), user_id).await?;
    let standing = standing.ok_or(ErrorCode::UserNotFound)?;
    Ok((standing, is_own.then_some(caller)))
}

/// An application is the organization's: what a role in a workspace gives does not count.
async fn may_register_applications(tenancy: &Tenancy, caller: &Caller, organization: OrganizationId) -> Result<bool> {
    let caller = tenancy.enter(caller, organization).await?;
    let db = tenancy.identity.platform.db.read();
    let row = organization::Entity::find_by_id(organization).one(db).await?.ok_or(ErrorCode::OrgNotFound)?;
    Ok(row.intake()?.oauth_app_creation.registrar(&caller).is_ok())
}

fn effective(
    standing: &Standing,
    own: Option<&Caller>,
    workspace: Option<WorkspaceId>,
    now: DateTime<Utc>,
) -> Result<Vec<EffectivePermission>> {
    let permissions = standing.permissions(workspace, now);
    let explained = permissions.into_iter().map(|permission| -> Result<EffectivePermission> {
        let mut source_role_ids: Vec<RoleId> = Vec::new();
        let mut scope = PermissionReach::Workspace;
        for role in standing.sources(permission, workspace, now) {
            // A role that is held in the whole organization and in the workspace is one source.
            if !source_role_ids.contains(&role.assignment.role_id) {
                source_role_ids.push(role.assignment.role_id);
            }
            if role.assignment.workspace_id.is_none() {
                scope = PermissionReach::Organization;
            }
        }
        let public = standing.public_at(workspace).filter(|public| public.permissions().contains(&permission));
        if let Some(public) = public.filter(|public| !source_role_ids.contains(&public.role_id)) {
            source_role_ids.push(public.role_id);
        }
        let through_public_access = public.is_some();
        let denied_by_policy = own.map(|caller| caller.is_denied(permission)).transpose()?;
        let name = permission.as_str();
        Ok(EffectivePermission { name, source_role_ids, through_public_access, scope, denied_by_policy })
    });
    explained.collect()
}
