//! `PUT /api/v1/users/{user_id}`: another name or picture of a user.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::{
    account::profile::check_image,
    user::{User, account},
};
use rivergen_kernel::{ErrorCode, Permission, Result, UserId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given, not_blank},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::acting_on;
use crate::{Tenancy, member};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"display_name": "Ada Lovelace"}))]
pub struct UpdateUserRequest {
    #[garde(inner(length(chars, min = 1, max = 255), custom(not_blank)))]
    pub display_name: Option<String>,
    /// An address that begins with https://, or a data URL with a picture; `null` removes it.
    #[serde(default, deserialize_with = "given")]
    #[garde(skip)]
    #[schema(value_type = Option<String>)]
    pub profile_image_url: Option<Option<String>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedUserAnswer {
    pub user: UpdatedUser,
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedUser {
    pub id: UserId,
    #[schema(examples("Ada Lovelace"))]
    pub display_name: String,
    pub updated_at: DateTime<Utc>,
}

errors! { pub UpdateUserErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, UserNotFound, ValidationError; }

/// Change a user's profile
#[utoipa::path(put, path = "/api/v1/users/{user_id}", tag = "users", request_body = UpdateUserRequest,
    params(("user_id" = UserId, Path, description = "A member whose only organization is the caller's, or yourself")),
    responses((status = 200, description = "As it is now", body = Envelope<UpdatedUserAnswer>), UpdateUserErrors))]
pub async fn update_user(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(user_id): Path<UserId>,
    Json(request): Json<UpdateUserRequest>,
) -> Result<Reply<UpdatedUserAnswer>> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let within = if user_id == caller.user_id {
        caller.session()?;
        None
    } else {
        let (caller, tenant, _) = acting_on(&tenancy, &caller, None, Permission::UserUpdate, user_id).await?;
        let standing = tenancy.standings.of(tenant.organization_id(), user_id).await?.ok_or(ErrorCode::UserNotFound)?;
        member::refuse_above(&caller, &standing, now)?;
        Some(tenant)
    };
    if let Some(Some(image)) = &request.profile_image_url {
        check_image(image)?;
    }
    let tx = platform.db.begin().await?;
    let user = User::lock(&tx, user_id).await?.ok_or(ErrorCode::UserNotFound)?;
    if let Some(tenant) = within {
        member::require_sole(&tx, tenant, user_id).await?;
    }
    let mut row = user.account.into_active_model();
    let mut changed = Vec::new();
    if let Some(name) = request.display_name {
        row.display_name = Set(name);
        changed.push("display_name");
    }
    if let Some(image) = request.profile_image_url {
        row.profile_image_url = Set(image);
        changed.push("profile_image_url");
    }
    row.updated_at = Set(now);
    let account: account::Model = row.update(tx.conn()).await?;
    if let Some(user) = User::find(tx.conn(), user_id).await? {
        member::rename(&tx, &user).await?;
    }
    tx.publish(Event::UserChanged(user_id)).await?;
    let organization_id = within.map(|tenant| tenant.organization_id());
    let record = AuditRecord::new(organization_id, origin.actor(caller.user_id), "user.update")
        .target("user", user_id.0)
        .details(json!({"changed": changed}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The user was changed.";
    let user = UpdatedUser { id: user_id, display_name: account.display_name, updated_at: account.updated_at };
    Ok(Reply::ok(UpdatedUserAnswer { user, message }, message))
}
