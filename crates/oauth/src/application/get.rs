//! `GET /api/v1/organizations/{org_id}/oauth-applications/{app_id}`

use axum::extract::State;
use rivergen_kernel::{OauthApplicationId, OrganizationId, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};

use super::{logo, view::ApplicationAnswer};
use crate::Oauth;

errors! { pub GetErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ApplicationNotFound; }

/// Read an application
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications")),
    responses((status = 200, description = "Without its secrets", body = Envelope<ApplicationAnswer>), GetErrors))]
pub async fn get(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    Path((org_id, app_id)): Path<(OrganizationId, OauthApplicationId)>,
) -> Result<Reply<ApplicationAnswer>> {
    let (_, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppRead).await?;
    let db = oauth.platform().db.read();
    let row = super::find(db, tenant, app_id).await?;
    let logo = logo::find(db, row.id).await?;
    let message = "The application.";
    Ok(Reply::ok(ApplicationAnswer { application: row.into(), logo, message }, message))
}
