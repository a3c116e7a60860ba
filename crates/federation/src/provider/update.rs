//! `PUT /api/v1/sso/providers/{provider_id}`: changes the fields that the request names, and leaves the others.
//!
//! A new certificate is taken beside the old ones, which hold until they expire or are removed: so a provider changes its key
//! while people sign in.

use std::collections::BTreeMap;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, Permission, Result, RoleId, Secret, SsoProviderId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
};
use rivergen_tenancy::organization;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Kind, Status,
    draft::{self, Draft},
    view::{ProviderAnswer, SsoProvider},
};
use crate::{Federation, sign_in::roles};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "Okta", "status": "inactive"}))]
pub struct UpdateProviderRequest {
    /// What it speaks stays as it is.
    pub provider_type: Option<Kind>,
    pub name: Option<String>,
    pub status: Option<Status>,
    pub entity_id: Option<String>,
    pub sso_url: Option<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub slo_url: Option<Option<String>>,
    /// One more: PEM, or base64 of DER.
    pub certificate: Option<String>,
    /// SAML: the provider's metadata; its certificates are added to the existing ones.
    pub metadata_xml: Option<String>,
    /// SAML: the address of the metadata; it is read immediately, and again every day. `null`: its certificates are no
    /// longer followed.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub metadata_url: Option<Option<String>>,
    /// Fingerprints of those that are no longer trusted.
    #[garde(length(max = 100))]
    #[serde(default)]
    pub remove_certificates: Vec<String>,
    pub allow_idp_initiated: Option<bool>,
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    /// An empty one takes it away.
    #[schema(value_type = Option<String>, format = Password)]
    pub client_secret: Option<Secret>,
    pub scopes: Option<Vec<String>>,
    pub attribute_mapping: Option<BTreeMap<String, String>>,
    pub domains: Option<Vec<String>>,
    pub jit_provisioning: Option<bool>,
    /// `null`: the organization's default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    pub default_role_id: Option<Option<RoleId>>,
    #[schema(value_type = Option<Object>)]
    pub group_role_mapping: Option<BTreeMap<String, RoleId>>,
}

errors! { pub UpdateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ReauthenticationRequired, SecondFactorRequired, ProviderNotFound, RoleNotFound, ProviderExists, SsoEnforced, ValidationError; }

/// Change an identity provider, or rotate its certificate
#[utoipa::path(put, path = "/api/v1/sso/providers/{provider_id}", tag = "sso", request_body = UpdateProviderRequest,
    params(("provider_id" = SsoProviderId, Path, description = "A provider of the session's organization")),
    responses((status = 200, description = "Changed; it applies from the next sign-in", body = Envelope<ProviderAnswer>), UpdateErrors))]
pub async fn update_provider(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<SsoProviderId>,
    Json(request): Json<UpdateProviderRequest>,
) -> Result<Reply<ProviderAnswer>> {
    let tenant = caller.require(Permission::SsoManage)?;
    let platform = federation.platform();
    let now = platform.clock.now();
    caller.recently_proved(now)?;
    let address = request.metadata_url.as_ref().and_then(Option::as_deref);
    let facts = draft::published(&federation, request.metadata_xml.as_deref(), address).await?;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let before = super::find(tx.conn(), tenant, id).await?;
    if request.provider_type.is_some_and(|kind| kind != before.kind) {
        return Err(Error::invalid_field("provider_type", "cannot be changed; register another provider"));
    }
    let mut draft = Draft {
        name: request.name,
        entity_id: request.entity_id,
        sso_url: request.sso_url,
        slo_url: request.slo_url,
        certificate: request.certificate,
        published_certificates: Vec::new(),
        metadata_url: request.metadata_url,
        remove_certificates: request.remove_certificates,
        allow_idp_initiated: request.allow_idp_initiated,
        issuer: request.issuer,
        client_id: request.client_id,
        client_secret: request.client_secret,
        scopes: request.scopes,
        attribute_mapping: request.attribute_mapping,
        domains: request.domains,
        jit_provisioning: request.jit_provisioning,
        default_role_id: request.default_role_id,
        group_role_mapping: request.group_role_mapping,
    };
    if let Some(facts) = facts {
        draft.fill(facts);
    }
    draft.refuse_other_kind(before.kind)?;
    // Another provider's keys are no keys of this one.
    let is_another = draft.entity_id.as_deref().is_some_and(|id| Some(id.trim()) != before.entity_id.as_deref());
    if is_another && draft.certificate.is_none() && draft.published_certificates.is_empty() {
        return Err(Error::invalid_field(
            "certificate",
            "is required when entity_id changes: the old one belongs to another provider",
        ));
    }
    let kept = if is_another { Vec::new() } else { before.certificates() };
    let (domains, gives_secret) = (draft.domains.clone(), draft.client_secret.is_some());
    let was_active = before.status == Status::Active;
    let was = before.names_people();
    let mut row = before.clone().into_active_model();
    let mut changed = draft.write(&federation, &tx, &caller, tenant, &mut row, &kept).await?;
    if let Some(status) = request.status {
        if was_active && status == Status::Inactive {
            super::refuse_last(&tx, tenant, &before).await?;
        }
        row.status = Set(status);
        changed.push("status");
    }
    if let Some(domains) = domains {
        draft::route(&tx, tenant, id, &domains).await?;
        changed.push("domains");
    }
    // What was found of the old settings says nothing of these.
    if changed.iter().any(|field| TESTED.contains(field)) {
        row.last_test_succeeded = Set(false);
    }
    if !gives_secret && *row.issuer.as_ref() != before.issuer {
        // What one provider was given in confidence is not shown to another.
        row.sealed_client_secret = Set(None);
        changed.push("client_secret");
    }
    if changed.iter().any(|field| TRUSTED.contains(field)) {
        row.vouched_by_user_id = Set(caller.user_id);
    }
    row.updated_at = Set(now);
    let row = row.update(tx.conn()).await.map_err(draft::taken)?;
    if row.names_people() != was {
        // Its subjects are other people, in other groups.
        roles::take_all(&tx, &row, None, &platform.clock).await?;
        super::forget_people(&tx, &row).await?;
        tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    }
    let provider = SsoProvider::of(tx.conn(), row).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "sso_provider.update")
        .target("sso_provider", id.0)
        .details(json!({"changed": changed}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The identity provider was changed.";
    Ok(Reply::ok(ProviderAnswer { provider, message }, message))
}

/// Fields that decide whose word is taken, and for whom.
const TRUSTED: [&str; 9] = [
    "entity_id",
    "sso_url",
    "certificate",
    "metadata_url",
    "issuer",
    "client_id",
    "client_secret",
    "attribute_mapping",
    "domains",
];

/// Fields whose change makes an earlier test worthless.
const TESTED: [&str; 7] = ["entity_id", "sso_url", "certificate", "issuer", "client_id", "client_secret", "scopes"];
