//! `DELETE /api/v1/users/{user_id}`: takes somebody out of the organization; with `erase`, an account that belongs to no
//! other one is closed as its person would close it.

use axum::extract::State;
use garde::Validate;
use rivergen_identity::{account, session::EndReason, user::User};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Permission, Result, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::acting_on;
use crate::{Tenancy, member, organization, standing::Standing};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct DeleteUserQuery {
    /// The session's organization, if absent.
    pub organization_id: Option<OrganizationId>,
    /// The active member who takes over the removed member's data sources, questions, policies and files; without one,
    /// they stay with the organization as they are.
    pub transfer_to: Option<UserId>,
    /// Erase the account too; only if it belongs to no other organization.
    #[param(default = false)]
    pub erase: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UserDeleted {
    pub message: &'static str,
}

errors! { pub DeleteUserErrors: Unauthorized, Forbidden, EmailNotVerified, UserNotFound, Conflict, LastOwner, CannotChangeSelf, ValidationError; }

/// Remove a user from the organization, or erase an account that belongs to no other
#[utoipa::path(delete, path = "/api/v1/users/{user_id}", tag = "users",
    params(("user_id" = UserId, Path, description = "A member"), DeleteUserQuery),
    responses((status = 200, description = "Removed, with sessions, tokens and devices of the organization", body = Envelope<UserDeleted>), DeleteUserErrors))]
pub async fn delete_user(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(user_id): Path<UserId>,
    Query(query): Query<DeleteUserQuery>,
) -> Result<Reply<UserDeleted>> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let (caller, tenant, _) =
        acting_on(&tenancy, &caller, query.organization_id, Permission::UserDelete, user_id).await?;
    if user_id == caller.user_id {
        return Err(ErrorCode::CannotChangeSelf.into());
    }
    let organization_id = tenant.organization_id();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let user = User::lock(&tx, user_id).await?.ok_or(ErrorCode::UserNotFound)?;
    let standing = Standing::load(tx.conn(), organization_id, user_id).await?.ok_or(ErrorCode::UserNotFound)?;
    member::refuse_above(&caller, &standing, now)?;
    let erase = query.erase.unwrap_or(false);
    if erase {
        member::require_sole(&tx, tenant, user_id).await.map_err(|_| {
            Error::new(ErrorCode::Conflict).with_message(
                "The account also belongs to another organization; it can be removed here, but not erased.",
            )
        })?;
    }
    if let Some(heir) = query.transfer_to {
        let passed = member::remove::bequeath(&tenancy, &tx, tenant, user_id, heir).await;
        passed.map_err(|error| error.renamed(ErrorCode::MemberNotFound, ErrorCode::UserNotFound))?;
    }
    member::remove(&tx, tenant, user_id, EndReason::RevokedByAdministrator, now).await?;
    let mut records = match erase {
        true => account::delete::close(&tenancy.identity, &tx, &user, now).await?,
        false => Vec::new(),
    };
    let record = AuditRecord::new(Some(organization_id), origin.actor(caller.user_id), "user.delete")
        .target("user", user_id.0)
        .details(json!({"erased": erase, "transfer_to": query.transfer_to}));
    records.push(record);
    audit::record_all(&tx, &platform.clock, records).await?;
    tx.commit().await?;
    let message = "The user was removed.";
    Ok(Reply::ok(UserDeleted { message }, message))
}
