//! `POST /api/v1/organizations/{org_id}/oauth-applications`

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Permission, Result, Scope, Scopes, Tenant};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    AccessLevel, ActiveModel, ClientType, GrantType, Origin, Status, check_algorithm, check_resources, may_register,
    name_key, redirect, secret, view::OauthApplication,
};
use crate::{Oauth, assertion, keys::TokenAlgorithm};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Reporting", "grant_types": ["authorization_code"],
    "redirect_uris": ["https://reports.acme.example/callback"], "scopes": ["read"]}))]
#[garde(allow_unvalidated)]
pub struct CreateApplicationRequest {
    /// Unique in the organization.
    #[garde(length(chars, min = 1, max = 100))]
    pub name: String,
    #[garde(inner(length(chars, max = 1000)))]
    pub description: Option<String>,
    #[garde(length(min = 1, max = 4))]
    pub grant_types: Vec<GrantType>,
    /// https, a loopback address, or a scheme of the application's own; matched exactly. May be empty if no person has
    /// to agree.
    #[garde(length(max = 20))]
    pub redirect_uris: Vec<String>,
    /// `read`, `write`, `admin`, or single permissions such as `datasource.query`.
    #[garde(length(min = 1, max = 50))]
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    pub access_level: Option<AccessLevel>,
    /// `public` for programs that cannot keep a secret: they get none.
    pub client_type: Option<ClientType>,
    /// Where browsers may go after a sign-out that the application started.
    #[garde(inner(length(max = 20)))]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Other servers that its tokens may be meant for.
    #[garde(inner(length(max = 20)))]
    pub resources: Option<Vec<String>>,
    /// The public keys of a confidential client, as a JWK set: it authenticates with one of them (`private_key_jwt`)
    /// and gets no secret.
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<serde_json::Value>,
    /// Members are not asked if it only reads: an administrator agrees for everyone.
    pub preapproved: Option<bool>,
    /// It only gets tokens that are bound to a key of its own (DPoP; RFC 9449).
    pub dpop_bound_access_tokens: Option<bool>,
    /// The algorithm that its ID tokens are signed with, from the server's metadata; without it, the first of those.
    pub id_token_signed_response_alg: Option<TokenAlgorithm>,
}

/// A new application.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedApplication {
    #[serde(flatten)]
    pub application: OauthApplication,
    /// Only shown this once; null for a public client, and for one with keys of its own.
    #[schema(examples("rgs_…"))]
    pub client_secret: Option<String>,
    pub message: &'static str,
}

errors! {
    pub CreateErrors: ApplicationExists, InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ReauthenticationRequired, OrgNotFound, ValidationError;
}

/// What the kinds of grants and the kind of client ask of each other.
pub fn check_shape(client_type: ClientType, grant_types: &[GrantType], redirect_uris: &[String]) -> Result<()> {
    let has_code = grant_types.contains(&GrantType::AuthorizationCode);
    if has_code && redirect_uris.is_empty() {
        return Err(Error::invalid_field("redirect_uris", "must name at least one address to send people back to"));
    }
    let proved = [GrantType::ClientCredentials, GrantType::TokenExchange];
    if client_type == ClientType::Public && grant_types.iter().any(|grant| proved.contains(grant)) {
        let reason = "client_credentials and token-exchange require authentication, which a public client cannot \
                      provide";
        return Err(Error::invalid_field("grant_types", reason));
    }
    redirect::check("redirect_uris", redirect_uris)
}

/// Who may register applications, the organization's settings say: nobody, its administrators, or every member, who
/// looks after it no further: that is the administrators'.
async fn may_create(oauth: &Oauth, caller: &Caller, organization: OrganizationId) -> Result<(Caller, Tenant)> {
    let caller = oauth.tenancy.enter(caller, organization).await?;
    let db = oauth.platform().db.read();
    let row = organization::Entity::find_by_id(organization).one(db).await?.ok_or(ErrorCode::OrgNotFound)?;
    let tenant = row.intake()?.oauth_app_creation.registrar(&caller)?;
    Ok((caller, tenant))
}

/// Register an application
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/oauth-applications", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization")), request_body = CreateApplicationRequest,
    responses((status = 201, description = "The application, with its secret, which is only shown this once", body = Envelope<CreatedApplication>), CreateErrors))]
pub async fn create(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<CreateApplicationRequest>,
) -> Result<Reply<CreatedApplication>> {
    let platform = oauth.platform();
    let now = platform.clock.now();
    let (caller, tenant) = may_create(&oauth, &caller, org_id).await?;
    let scopes = Scopes(request.scopes.into_iter().collect());
    let (resources, after_logout) =
        (request.resources.unwrap_or_default(), request.post_logout_redirect_uris.unwrap_or_default());
    let client_type = request.client_type.unwrap_or_default();
    check_shape(client_type, &request.grant_types, &request.redirect_uris)?;
    redirect::check("post_logout_redirect_uris", &after_logout)?;
    check_resources(&oauth, &resources)?;
    check_algorithm(&oauth, request.id_token_signed_response_alg)?;
    may_register(&caller, &scopes, &Scopes::default(), now)?;
    // An administrator agrees for everybody, and proves that it is them.
    if request.preapproved == Some(true) {
        caller.require(Permission::OauthAppManage)?;
        caller.recently_proved(now)?;
    }
    if let Some(keys) = &request.jwks {
        if client_type == ClientType::Public {
            return Err(Error::invalid_field("jwks", "is only for confidential clients"));
        }
        assertion::check(keys)?;
    }

    let tx = platform.db.begin().await?;
    let row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        client_id: Set(uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()),
        name_key: Set(name_key(&request.name)),
        name: Set(request.name),
        description: Set(request.description),
        client_type: Set(client_type),
        grant_types: Set(json!(request.grant_types)),
        redirect_uris: Set(json!(request.redirect_uris)),
        post_logout_redirect_uris: Set(json!(after_logout)),
        scopes: Set(json!(scopes)),
        resources: Set(json!(resources)),
        jwks: Set(request.jwks),
        jwks_uri: Set(None),
        access_level: Set(request.access_level.unwrap_or_default()),
        status: Set(Status::Active),
        origin: Set(Origin::Administrator),
        registration_token_hash: Set(None),
        verified_at: Set(None),
        preapproved: Set(request.preapproved.unwrap_or_default()),
        dpop_bound_access_tokens: Set(request.dpop_bound_access_tokens.unwrap_or_default()),
        id_token_signed_response_alg: Set(request.id_token_signed_response_alg),
        token_generation: Set(0),
        responsible_user_id: Set(caller.user_id),
        responsible_since: Set(now),
        created_at: Set(now),
        updated_at: Set(now),
        last_used_at: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await
    .map_err(duplicate_is(ErrorCode::ApplicationExists))?;
    let client_secret = match row.has_secrets() {
        true => Some(secret::issue(&tx, row.id, None, now).await?),
        false => None,
    };
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "oauth_application.create")
        .target("oauth_application", row.id.0)
        .details(json!({"name": row.name, "client_id": row.client_id, "client_type": client_type,
            "grant_types": row.grant_types, "scopes": scopes, "preapproved": row.preapproved}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The application was registered. Keep its secret: it will not be shown again.";
    Ok(Reply::created(CreatedApplication { application: row.into(), client_secret, message }, message))
}
