//! `/api/v1/organizations/{org_id}/oauth-policy`: which of its applications members may let act for them, and in what.
//!
//! It holds for what is agreed to from now on. What was granted before ends with its application, or with whoever granted it.
//! It says as well whether programs may come that nobody registered ([`crate::registration`], [`crate::client_document`]).

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{OrganizationId, Permission, Result, Scope, Scopes, Tenant, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::{TenantOwned, TenantScope},
    errors,
    http::{Envelope, Json as Body, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, entity::prelude::*, sea_query::OnConflict};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    application::{self, enter},
    error::{Code, OauthError},
    scope::ScopeSet,
};

pub(crate) fn operations() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// The applications that members may allow to act for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum Allowed {
    /// Every one of the organization.
    #[default]
    #[sea_orm(string_value = "all")]
    All,
    /// Those that an administrator has approved.
    #[sea_orm(string_value = "preapproved")]
    Preapproved,
}

/// Whether programs may register themselves with the organization, if the operator allows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = OauthRegistration)]
pub enum Registration {
    #[default]
    #[sea_orm(string_value = "off")]
    Off,
    /// With a token of somebody who may register applications.
    #[sea_orm(string_value = "token")]
    Token,
    /// Without one too, where the operator named the organization.
    #[sea_orm(string_value = "open")]
    Open,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_policies")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub applications: Allowed,
    /// Null: all.
    pub scopes: Option<Json>,
    pub registration: Registration,
    pub client_documents: bool,
    pub updated_at: DateTime<Utc>,
    pub updated_by_user_id: UserId,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// What an organization allows its members to approve.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = OauthPolicy)]
pub struct Policy {
    pub applications: Allowed,
    /// At most these scopes; null: all that the application is registered with.
    #[schema(value_type = Option<Vec<String>>, examples(json!(["read"])))]
    pub scopes: Option<Scopes>,
    pub registration: Registration,
    /// Whether members may use programs that are only described by a document of their own, if the operator allows
    /// them.
    pub client_documents: bool,
    pub updated_at: Option<DateTime<Utc>>,
    /// Who said so.
    #[serde(skip)]
    pub updated_by_user_id: Option<UserId>,
}

impl Policy {
    /// Index: oauth_policies(organization_id), unique.
    pub async fn of(db: &impl ConnectionTrait, tenant: Tenant) -> Result<Self> {
        let Some(row) = tenant.find::<Entity>().one(db).await? else { return Ok(Self::default()) };
        // What is not understood allows nothing.
        let scopes = row.scopes.map(|scopes| serde_json::from_value(scopes).unwrap_or_default());
        Ok(Self {
            applications: row.applications,
            scopes,
            registration: row.registration,
            client_documents: row.client_documents,
            updated_at: Some(row.updated_at),
            updated_by_user_id: Some(row.updated_by_user_id),
        })
    }

    /// `access_denied` where a member may not allow this.
    pub fn check(&self, application: &application::Model, scope: &ScopeSet) -> Result<(), OauthError> {
        let denied = |text: &str| Err(OauthError::new(Code::AccessDenied, text));
        if self.applications == Allowed::Preapproved && !application.preapproved {
            return denied("The organization only lets its members use approved applications; ask an administrator.");
        }
        match &self.scopes {
            Some(most) if !scope.is_within(most) => denied(
                "The organization does not let its members give an application this much access; ask an administrator.",
            ),
            _ => Ok(()),
        }
    }
}

errors! {
    pub GetErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound;
    pub PutErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ValidationError;
}

/// Read what members may allow applications
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/oauth-policy", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "The policy", body = Envelope<Policy>), GetErrors))]
pub async fn get(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
) -> Result<Reply<Policy>> {
    let (_, tenant) = enter(&oauth, &caller, org_id, Permission::OauthAppRead).await?;
    let policy = Policy::of(oauth.platform().db.read(), tenant).await?;
    Ok(Reply::ok(policy, "What members may allow applications."))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = OauthPolicyRequest, example = json!({"applications": "preapproved", "scopes": ["read"]}))]
#[garde(allow_unvalidated)]
pub struct PolicyRequest {
    pub applications: Allowed,
    /// At most these scopes; without it, all that an application is registered with.
    #[garde(inner(length(max = 50)))]
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Scope>>,
    /// Whether programs may register themselves; without it, as before.
    pub registration: Option<Registration>,
    /// Whether members may use programs that are only described by a document of their own; without it, as before.
    pub client_documents: Option<bool>,
}

/// Set what members may allow applications
#[utoipa::path(put, path = "/api/v1/organizations/{org_id}/oauth-policy", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization")), request_body = PolicyRequest,
    responses((status = 200, description = "The policy; it applies to what is agreed to from now on", body = Envelope<Policy>), PutErrors))]
pub async fn put(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Body(request): Body<PolicyRequest>,
) -> Result<Reply<Policy>> {
    let platform = oauth.platform();
    let (caller, tenant) = enter(&oauth, &caller, org_id, Permission::OauthAppManage).await?;
    let scopes = request.scopes.map(|scopes| Scopes(scopes.into_iter().collect()));
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let before = Policy::of(tx.conn(), tenant).await?;
    let registration = request.registration.unwrap_or(before.registration);
    let client_documents = request.client_documents.unwrap_or(before.client_documents);
    let row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        applications: Set(request.applications),
        scopes: Set(scopes.as_ref().map(|scopes| json!(scopes))),
        registration: Set(registration),
        client_documents: Set(client_documents),
        updated_at: Set(now),
        updated_by_user_id: Set(caller.user_id),
        ..Default::default()
    };
    let columns = [
        Column::Applications,
        Column::Scopes,
        Column::Registration,
        Column::ClientDocuments,
        Column::UpdatedAt,
        Column::UpdatedByUserId,
    ];
    let same = OnConflict::column(Column::OrganizationId).update_columns(columns).to_owned();
    Entity::insert(row).on_conflict(same).exec_without_returning(tx.conn()).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "oauth_policy.update")
        .target("organization", tenant.organization_id().0)
        .details(json!({"applications": request.applications, "scopes": scopes, "registration": registration, "client_documents": client_documents}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let policy = Policy {
        applications: request.applications,
        scopes,
        registration,
        client_documents,
        updated_at: Some(now),
        updated_by_user_id: Some(caller.user_id),
    };
    Ok(Reply::ok(policy, "The policy was changed."))
}
