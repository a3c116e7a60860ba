//! A provider as administrators see it. Its secret is never shown.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{Result, RoleId, SsoProviderId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Kind, Model, Status,
    certificate::{Certificate, CertificateInfo},
    domain,
};

#[derive(Debug, Serialize, ToSchema)]
pub struct SsoProvider {
    pub id: SsoProviderId,
    #[schema(examples("Okta"))]
    pub name: String,
    pub provider_type: Kind,
    pub status: Status,
    /// SAML.
    #[schema(examples("http://www.okta.com/exk1"))]
    pub entity_id: Option<String>,
    #[schema(examples("https://acme.okta.com/app/sso/saml"))]
    pub sso_url: Option<String>,
    pub slo_url: Option<String>,
    pub metadata_url: Option<String>,
    /// Those that its signatures are checked with, the newest first.
    pub certificates: Vec<CertificateInfo>,
    /// Of the newest.
    pub certificate_fingerprint: Option<String>,
    pub certificate_expires_at: Option<DateTime<Utc>>,
    pub allow_idp_initiated: bool,
    /// OpenID Connect.
    #[schema(examples("https://acme.okta.com"))]
    pub issuer: Option<String>,
    #[schema(examples("0oa1"))]
    pub client_id: Option<String>,
    pub has_client_secret: bool,
    pub scopes: Vec<String>,
    /// From RiverGen's attributes to the names that the provider gives them.
    #[schema(examples(json!({"email": "email", "department": "dept"})))]
    pub attribute_mapping: BTreeMap<String, String>,
    /// The mail domains that it signs in; none: all that the organization has proved.
    #[schema(examples(json!(["acme.example"])))]
    pub domains: BTreeSet<String>,
    /// Whether a first sign-in adds the person as a member.
    pub jit_provisioning: bool,
    pub default_role_id: Option<RoleId>,
    /// From the provider's groups to roles.
    #[schema(value_type = Object, examples(json!({"Engineering": 7})))]
    pub group_role_mapping: BTreeMap<String, RoleId>,
    pub last_tested_at: Option<DateTime<Utc>>,
    pub last_test_succeeded: bool,
    pub last_login_at: Option<DateTime<Utc>>,
    #[schema(examples(42))]
    pub login_count: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A provider, and what was done to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderAnswer {
    pub provider: SsoProvider,
    pub message: &'static str,
}

impl SsoProvider {
    pub(super) async fn of(db: &impl ConnectionTrait, row: Model) -> Result<Self> {
        let domains = domain::of(db, row.id).await?;
        Ok(Self::new(row, domains))
    }

    /// Each with its domains, which are read together. Index: sso_provider_domains(provider_id).
    pub(super) async fn of_all(db: &impl ConnectionTrait, rows: Vec<Model>) -> Result<Vec<Self>> {
        let ids = rows.iter().map(|row| row.id);
        let routed = domain::Entity::find().filter(domain::Column::ProviderId.is_in(ids)).all(db).await?;
        let of = |id: SsoProviderId| {
            routed.iter().filter(|row| row.provider_id == id).map(|row| row.domain.clone()).collect()
        };
        Ok(rows.into_iter().map(|row| (of(row.id), row)).map(|(domains, row)| Self::new(row, domains)).collect())
    }

    fn new(row: Model, domains: BTreeSet<String>) -> Self {
        // They were read when they came in.
        let read = row.certificates().iter().filter_map(|der| Certificate::read(der).ok()).collect::<Vec<_>>();
        let certificates: Vec<CertificateInfo> = read.into_iter().map(CertificateInfo::from).collect();
        let newest = certificates.first();
        Self {
            certificate_fingerprint: newest.map(|one| one.fingerprint.clone()),
            certificate_expires_at: newest.map(|one| one.expires_at),
            scopes: row.scopes(),
            attribute_mapping: row.mapping(),
            group_role_mapping: row.group_roles(),
            certificates,
            domains,
            id: row.id,
            name: row.name,
            provider_type: row.kind,
            status: row.status,
            entity_id: row.entity_id,
            sso_url: row.sso_url,
            slo_url: row.slo_url,
            metadata_url: row.metadata_url,
            allow_idp_initiated: row.allow_idp_initiated,
            issuer: row.issuer,
            client_id: row.client_id,
            has_client_secret: row.sealed_client_secret.is_some(),
            jit_provisioning: row.jit_provisioning,
            default_role_id: row.default_role_id,
            last_tested_at: row.last_tested_at,
            last_test_succeeded: row.last_test_succeeded,
            last_login_at: row.last_login_at,
            login_count: row.login_count,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
