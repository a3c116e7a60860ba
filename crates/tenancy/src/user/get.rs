//! `GET /api/v1/users/{user_id}`: one user, as the organization of the caller sees them; oneself, everywhere.

use axum::extract::State;
use rivergen_kernel::{Permission, Result, UserId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};

use super::{UserAnswer, detail};
use crate::Tenancy;

errors! { pub GetUserErrors: Unauthorized, Forbidden, EmailNotVerified, UserNotFound; }

/// Read one user
#[utoipa::path(get, path = "/api/v1/users/{user_id}", tag = "users",
    params(("user_id" = UserId, Path, description = "A member of the session's organization, or yourself")),
    responses((status = 200, description = "The user", body = Envelope<UserAnswer>), GetUserErrors))]
pub async fn get_user(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(user_id): Path<UserId>,
) -> Result<Reply<UserAnswer>> {
    let platform = &tenancy.identity.platform;
    let within = match user_id == caller.user_id {
        true => caller.session().map(|_| None)?,
        false => Some(caller.require(Permission::UserRead)?),
    };
    let user = detail(platform.db.read(), user_id, within, platform.clock.now()).await?;
    let message = "The user.";
    Ok(Reply::ok(UserAnswer { user, message }, message))
}
