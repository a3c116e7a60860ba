//! `/api/v1/organizations/{org_id}/tokens`: the personal access tokens that are bound to an organization. One store with
//! [`personal_token`], under the errors of its own that this module is documented with.

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_identity::{
    personal_token::{self, Column, CreatedToken, Model, NewToken},
    user::address,
};
use rivergen_kernel::{Caller, ErrorCode, OrganizationId, Permission, Result, Scope, Scopes, TokenId, UserId};
use rivergen_platform::{
    db::{TenantScope, page_by},
    errors,
    http::{Envelope, Json, Path, Query, Reply, RequestOrigin, SignedIn, SkipLimit},
};
use sea_orm::{
    ColumnTrait, Condition, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, entity::prelude::*,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Tenancy;

/// The operations on an organization's tokens.
pub(crate) fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(revoke))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "nightly report", "scopes": ["read"], "expires_in_days": 90}))]
pub struct CreateOrganizationTokenRequest {
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
    /// `read`, `write`, `admin`, or single permissions such as `datasource.query`.
    #[garde(length(min = 1, max = 50))]
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// Without it, the token works as long as the organization allows.
    #[garde(inner(range(min = 1, max = 365)))]
    pub expires_in_days: Option<u16>,
}

errors! {
    pub CreateErrors: InvalidRequest, Unauthorized, TokenExpired, ReauthenticationRequired, Forbidden, OrganizationAccessDenied, EmailNotVerified, ValidationError;
    pub ListErrors: Unauthorized, TokenExpired, PermissionDenied, OrganizationAccessDenied, EmailNotVerified, ValidationError;
    pub RevokeErrors: Unauthorized, TokenExpired, PermissionDenied, EmailNotVerified, TokenNotFound;
}

/// Create a token for one organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/tokens", tag = "organization_tokens",
    params(("org_id" = OrganizationId, Path, description = "The organization")), request_body = CreateOrganizationTokenRequest,
    responses((status = 201, description = "The token, which is only shown this once", body = Envelope<CreatedToken>), CreateErrors))]
pub async fn create(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<CreateOrganizationTokenRequest>,
) -> Result<Reply<CreatedToken>> {
    caller.session()?;
    let caller = enter(&tenancy, &caller, org_id).await?;
    caller.membership()?;
    let new = NewToken {
        name: request.name,
        scopes: Scopes(request.scopes.into_iter().collect()),
        expires_in_days: request.expires_in_days,
        organization_id: Some(org_id),
    };
    let message = "Organization-scoped token created successfully";
    Ok(Reply::created(new.make(&tenancy.identity, &caller, &origin, message).await?, message))
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// Those of one member.
    pub user_id: Option<UserId>,
    /// Those that work, or those that were revoked or have expired.
    pub is_active: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationTokens {
    pub tokens: Vec<OrganizationToken>,
    #[schema(examples(1))]
    pub total_count: u64,
}

/// A member's token, without its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationToken {
    pub id: TokenId,
    #[schema(examples("nightly report"))]
    pub name: String,
    /// How the token begins.
    #[schema(examples("pat_3mKq7x"))]
    pub token_prefix: String,
    #[schema(value_type = Vec<String>, examples(json!(["read"])))]
    pub scopes: Scopes,
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub user_email: String,
    pub is_active: bool,
    /// No later than the organization allows for its tokens.
    pub expires_at: Option<DateTime<Utc>>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// List the tokens that members hold for an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/tokens", tag = "organization_tokens",
    params(("org_id" = OrganizationId, Path, description = "The organization"), SkipLimit, Filter),
    responses((status = 200, description = "Without their values, the newest first", body = Envelope<OrganizationTokens>), ListErrors))]
pub async fn list(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
    Query(window): Query<SkipLimit>,
    Query(filter): Query<Filter>,
) -> Result<Reply<OrganizationTokens>> {
    let caller = enter(&tenancy, &caller, org_id).await?;
    caller.membership()?;
    let tenant = caller.require(Permission::TokenRead).map_err(|_| ErrorCode::PermissionDenied)?;
    let (db, now) = (tenancy.identity.platform.db.read(), tenancy.identity.platform.clock.now());
    let max_days = tenancy.identity.directory.security_of(org_id).await?.max_token_days;
    // Index: personal_access_tokens(organization_id, id, revoked_at, expires_at, created_at).
    let mut wanted = tenant.find::<personal_token::Entity>();
    if let Some(user) = filter.user_id {
        wanted = wanted.filter(Column::UserId.eq(user));
    }
    if let Some(is_active) = filter.is_active {
        let unexpired = Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now));
        let young = max_days.map(|days| Column::CreatedAt.gt(now - Duration::days(i64::from(days))));
        let active = Condition::all().add(Column::RevokedAt.is_null()).add(unexpired).add_option(young);
        wanted = wanted.filter(if is_active { active } else { active.not() });
    }
    let total_count = wanted.clone().count(db).await?;
    let owner = personal_token::Entity::belongs_to(address::Entity).from(Column::UserId).to(address::Column::UserId);
    // Index: user_emails(user_id).
    let newest = wanted.order_by_desc(Column::Id);
    let rows = page_by(newest, Column::Id.into_expr(), window.skip(), window.limit())
        .join(JoinType::InnerJoin, owner.into())
        .select_also(address::Entity)
        .filter(address::Column::IsPrimary.eq(true))
        .all(db)
        .await?;
    let token = |(row, owner): (Model, Option<address::Model>)| OrganizationToken {
        is_active: row.is_live(max_days, now),
        expires_at: row.ends_at(max_days),
        scopes: row.scopes(),
        id: row.id,
        name: row.name,
        token_prefix: row.prefix,
        organization_id: org_id,
        user_id: row.user_id,
        user_email: owner.map(|owner| owner.email).unwrap_or_default(),
        last_used_at: row.last_used_at,
        created_at: row.created_at,
    };
    let tokens = rows.into_iter().map(token).collect();
    Ok(Reply::ok(OrganizationTokens { tokens, total_count }, "The tokens of the organization."))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RevokedOrganizationToken {
    pub message: &'static str,
}

/// Revoke a token of an organization
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}/tokens/{token_id}", tag = "organization_tokens",
    params(
        ("org_id" = OrganizationId, Path, description = "The organization"),
        ("token_id" = TokenId, Path, description = "Your own, or with `token.revoke` any member's")),
    responses((status = 200, description = "Revoked, immediately and permanently", body = Envelope<RevokedOrganizationToken>), RevokeErrors))]
pub async fn revoke(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, token_id)): Path<(OrganizationId, TokenId)>,
) -> Result<Reply<RevokedOrganizationToken>> {
    let platform = &tenancy.identity.platform;
    let caller = enter(&tenancy, &caller, org_id)
        .await
        .map_err(|error| error.renamed(ErrorCode::OrganizationAccessDenied, ErrorCode::TokenNotFound))?;
    let tenant = caller.tenant()?;
    let tx = platform.db.begin().await?;
    let found = tenant
        .find::<personal_token::Entity>()
        .filter(Column::Id.eq(token_id))
        .filter(Column::RevokedAt.is_null())
        .one(tx.conn())
        .await?
        .ok_or(ErrorCode::TokenNotFound)?;
    // A token acts on nobody's account, not even its owner's.
    let is_own = found.user_id == caller.user_id && caller.session().is_ok();
    if !is_own && !caller.may(Permission::TokenRevoke) {
        return Err(ErrorCode::PermissionDenied.into());
    }
    found.revoke(&tx, &origin.actor(caller.user_id), &platform.clock).await?;
    tx.commit().await?;
    let message = "Token revoked successfully";
    Ok(Reply::ok(RevokedOrganizationToken { message }, message))
}

/// The caller in the organization; `organization_access_denied` for who does not belong to it, whether it exists or not.
async fn enter(tenancy: &Tenancy, caller: &Caller, organization: OrganizationId) -> Result<Caller> {
    tenancy
        .enter(caller, organization)
        .await
        .map_err(|error| error.renamed(ErrorCode::OrgNotFound, ErrorCode::OrganizationAccessDenied))
}
