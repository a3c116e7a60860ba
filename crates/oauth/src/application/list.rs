//! `GET /api/v1/organizations/{org_id}/oauth-applications`

use axum::extract::State;
use rivergen_kernel::{OrganizationId, Permission, Result};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{PaginatorTrait, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Column, Entity, view::OauthApplication};
use crate::Oauth;

#[derive(Debug, Serialize, ToSchema)]
pub struct OauthApplications {
    pub applications: Vec<OauthApplication>,
    #[schema(examples(1))]
    pub total: u64,
    pub message: &'static str,
}

errors! { pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ValidationError; }

/// List the applications of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/oauth-applications", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"), SkipLimit),
    responses((status = 200, description = "Without their secrets, the newest first", body = Envelope<OauthApplications>), ListErrors))]
pub async fn list(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<OauthApplications>> {
    let db = oauth.platform().db.read();
    let (_, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppRead).await?;
    // Index: oauth_applications(organization_id, id).
    let wanted = tenant.find::<Entity>();
    let total = wanted.clone().count(db).await?;
    let page = wanted.order_by_desc(Column::Id).offset(window.skip()).limit(window.limit());
    let applications = page.all(db).await?.into_iter().map(OauthApplication::from).collect();
    let message = "The applications of the organization.";
    Ok(Reply::ok(OauthApplications { applications, total, message }, message))
}
