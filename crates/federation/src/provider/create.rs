//! `POST /api/v1/sso/providers`: registers an identity provider for the organization that the caller stands in.

use std::collections::BTreeMap;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Permission, Result, RoleId, Secret};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, PaginatorTrait, QueryFilter, QuerySelect};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    ActiveModel, Column, Entity, Kind, MOST, Status,
    draft::{self, Draft},
    view::{ProviderAnswer, SsoProvider},
};
use crate::{Federation, oidc::USUAL_SCOPES};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"provider_type": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1",
    "client_secret": "…", "jit_provisioning": true}))]
pub struct CreateProviderRequest {
    pub provider_type: Kind,
    /// What people read on the button; unique in the organization.
    pub name: String,
    /// `inactive`: nobody can sign in through it yet, but it can be tried out. `active`, if absent.
    pub status: Option<Status>,
    /// SAML: what the provider calls itself; required.
    pub entity_id: Option<String>,
    /// SAML: the address where sign-ins start, https; required.
    pub sso_url: Option<String>,
    /// SAML: the address of its single logout.
    pub slo_url: Option<String>,
    /// SAML: PEM, or base64 of DER; required.
    pub certificate: Option<String>,
    /// SAML: the provider's metadata, in place of `entity_id`, `sso_url`, `slo_url` and `certificate`.
    pub metadata_xml: Option<String>,
    /// SAML: the address of the metadata, https. It is read again every day, to follow the provider's certificates.
    pub metadata_url: Option<String>,
    /// SAML: whether a response is accepted that was not requested here.
    pub allow_idp_initiated: Option<bool>,
    /// OpenID Connect: as the provider's discovery document spells it, https; required.
    pub issuer: Option<String>,
    /// OpenID Connect: required.
    pub client_id: Option<String>,
    /// OpenID Connect: kept sealed, and never shown.
    #[schema(value_type = Option<String>, format = Password)]
    pub client_secret: Option<Secret>,
    /// OpenID Connect: `openid`, `profile` and `email`, if absent.
    pub scopes: Option<Vec<String>>,
    /// From `email`, `email_verified`, `name`, `first_name`, `last_name`, `groups` and custom attributes of the member
    /// to the names that the provider uses.
    pub attribute_mapping: Option<BTreeMap<String, String>>,
    /// Mail domains that it signs in, each verified by the organization; absent: all of them.
    pub domains: Option<Vec<String>>,
    /// Whether a first sign-in adds the person as a member.
    pub jit_provisioning: Option<bool>,
    /// The role of those members; the organization's default, if absent. Never one that lets its holders change what
    /// others may do.
    pub default_role_id: Option<RoleId>,
    /// From the provider's groups to roles, applied at each sign-in.
    #[schema(value_type = Option<Object>)]
    pub group_role_mapping: Option<BTreeMap<String, RoleId>>,
}

errors! { pub CreateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ReauthenticationRequired, SecondFactorRequired, RoleNotFound, ProviderExists, Conflict, ValidationError; }

/// Register an identity provider for the organization
#[utoipa::path(post, path = "/api/v1/sso/providers", tag = "sso", request_body = CreateProviderRequest,
    responses((status = 201, description = "Registered", body = Envelope<ProviderAnswer>), CreateErrors))]
pub async fn create_provider(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateProviderRequest>,
) -> Result<Reply<ProviderAnswer>> {
    let tenant = caller.require(Permission::SsoManage)?;
    let platform = federation.platform();
    let now = platform.clock.now();
    caller.recently_proved(now)?;
    let (kind, status) = (request.provider_type, request.status.unwrap_or(Status::Active));
    let domains = request.domains.clone().unwrap_or_default();
    let facts = draft::published(&federation, request.metadata_xml.as_deref(), request.metadata_url.as_deref()).await?;
    let mut draft = Draft {
        name: Some(request.name),
        entity_id: request.entity_id,
        sso_url: request.sso_url,
        slo_url: request.slo_url.map(Some),
        certificate: request.certificate,
        published_certificates: Vec::new(),
        metadata_url: request.metadata_url.map(Some),
        remove_certificates: Vec::new(),
        allow_idp_initiated: request.allow_idp_initiated,
        issuer: request.issuer,
        client_id: request.client_id,
        client_secret: request.client_secret,
        scopes: request.scopes,
        attribute_mapping: request.attribute_mapping,
        domains: None,
        jit_provisioning: request.jit_provisioning,
        default_role_id: request.default_role_id.map(Some),
        group_role_mapping: request.group_role_mapping,
    };
    if let Some(facts) = facts {
        draft.fill(facts);
    }
    draft.refuse_other_kind(kind)?;
    draft.require_whole(kind)?;

    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    if tenant.find::<Entity>().count(tx.conn()).await? >= MOST {
        let message = format!("An organization can have at most {MOST} identity providers.");
        return Err(Error::new(ErrorCode::Conflict).with_message(message));
    }
    let of_organization =
        tenant.find::<Entity>().filter(Column::Kind.eq(Kind::Oidc)).filter(Column::OwnCallback.eq(false));
    let own_callback = kind == Kind::Oidc && of_organization.limit(1).one(tx.conn()).await?.is_some();
    let scopes = match kind {
        Kind::Oidc => json!(USUAL_SCOPES),
        Kind::Saml => json!([]),
    };
    let mut row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        kind: Set(kind),
        status: Set(status),
        entity_id: Set(None),
        sso_url: Set(None),
        slo_url: Set(None),
        metadata_url: Set(None),
        certificates: Set(json!([])),
        allow_idp_initiated: Set(false),
        issuer: Set(None),
        client_id: Set(None),
        sealed_client_secret: Set(None),
        scopes: Set(scopes),
        attribute_mapping: Set(json!({})),
        jit_provisioning: Set(false),
        default_role_id: Set(None),
        group_role_mapping: Set(json!({})),
        last_tested_at: Set(None),
        last_test_succeeded: Set(false),
        last_login_at: Set(None),
        login_count: Set(0),
        own_callback: Set(own_callback),
        vouched_by_user_id: Set(caller.user_id),
        created_by_user_id: Set(caller.user_id),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    draft.write(&federation, &tx, &caller, tenant, &mut row, &[]).await?;
    let row = row.insert(tx.conn()).await.map_err(draft::taken)?;
    draft::route(&tx, tenant, row.id, &domains).await?;
    let provider = SsoProvider::of(tx.conn(), row).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "sso_provider.create")
        .target("sso_provider", provider.id.0)
        .details(json!({"provider_type": kind, "status": status}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The identity provider was registered.";
    Ok(Reply::created(ProviderAnswer { provider, message }, message))
}
