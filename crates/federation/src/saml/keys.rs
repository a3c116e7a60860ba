//! The key pairs that an organization's service provider signs and decrypts with.
//!
//! ```text
//!   made ─ 30 days ─▶ signs ───────────────── 60 days before its end: the next is made ─▶ its end
//!   └ published, and decrypts ──────────────────────────────────────────────────────────┘
//! ```
//!
//! The first one is made when something needs it and signs at once. The one after it is published 30 days before it signs,
//! so that a provider which follows our metadata knows it in time; and what is encrypted for the old one is read until its
//! end. RSA with 3072 bits, because identity providers encrypt for nothing else. The private key is sealed for the
//! organization.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Duration, Utc};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize};
use rivergen_kernel::{Error, OrganizationId, Result, Secret, Tenant};
use rivergen_platform::{
    Platform, Transaction,
    audit::{self, Actor, AuditRecord},
    db::{TenantOwned, TenantScope},
    jobs::{Handler, JobContext, JobError},
    vault::{Owner, Sealed},
};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, FromQueryResult, QueryOrder, QuerySelect, entity::prelude::*,
    sea_query::ExprTrait,
};
use serde_json::json;

use crate::Federation;

const JOB: &str = "federation.saml_keys";
/// What the vault seals the private keys for.
const CONTEXT: &str = "saml_keys.private_key";
/// How long a certificate is good.
const LIFETIME: Duration = Duration::days(3 * 365);
/// How long before the end of the newest key the next one is made.
const RENEWED_BEFORE: Duration = Duration::days(60);
/// How long a renewed key is published before it signs.
const PUBLISHED_BEFORE: Duration = Duration::days(30);
/// Organizations of one run.
const BATCH: u64 = 100;

/// Index: saml_keys(organization_id, expires_at).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "saml_keys")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    /// Base64 of the DER.
    pub certificate: String,
    /// PKCS #8 as PEM.
    pub sealed_private_key: Sealed,
    pub created_at: DateTime<Utc>,
    pub signs_from: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A key pair, opened.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub certificate: String,
    pub private_key: Secret,
    signs_from: DateTime<Utc>,
}

/// The pairs of an organization that are good today: never none.
#[derive(Debug, Clone)]
pub(super) struct Keys(Vec<Pair>);

impl Keys {
    /// The one that signs: the newest whose time has come.
    pub(super) fn signing(&self, now: DateTime<Utc>) -> &Pair {
        let due = self.0.iter().filter(|pair| pair.signs_from <= now);
        due.max_by_key(|pair| pair.signs_from).unwrap_or(&self.0[0])
    }

    pub(super) fn all(&self) -> &[Pair] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of(certificate: String, private_key: Secret, now: DateTime<Utc>) -> Self {
        Self(vec![Pair { certificate, private_key, signs_from: now }])
    }
}

/// The keys of an organization; the first one is made where there is none.
pub(super) async fn of(platform: &Platform, organization: OrganizationId) -> Result<Keys> {
    let tenant = Tenant::on_behalf_of(organization);
    let rows = good(platform.db.read(), tenant, platform.clock.now()).await?;
    if !rows.is_empty() {
        return open(platform, rows).await;
    }
    let made = make().await?;
    let tx = platform.db.begin().await?;
    rivergen_tenancy::organization::lock(&tx, tenant).await?;
    // Another request may have been first.
    let now = platform.clock.now();
    let mut rows = good(tx.conn(), tenant, now).await?;
    if rows.is_empty() {
        rows.push(add(platform, &tx, organization, made, now).await?);
        tx.commit().await?;
    }
    open(platform, rows).await
}

async fn good(db: &impl ConnectionTrait, tenant: Tenant, now: DateTime<Utc>) -> Result<Vec<Model>> {
    let good = tenant.find::<Entity>().filter(Column::ExpiresAt.gt(now));
    Ok(good.order_by_asc(Column::ExpiresAt).all(db).await?)
}

async fn open(platform: &Platform, rows: Vec<Model>) -> Result<Keys> {
    let mut pairs = Vec::with_capacity(rows.len());
    for row in rows {
        let owner = Owner::Organization(row.organization_id);
        let pem = platform.vault.open(owner, CONTEXT, &row.sealed_private_key).await?;
        let private_key = Secret::new(std::str::from_utf8(&pem).map_err(Error::internal)?);
        pairs.push(Pair { certificate: row.certificate, private_key, signs_from: row.signs_from });
    }
    Ok(Keys(pairs))
}

/// A pair that is in no table yet.
pub(super) struct Made {
    key: KeyPair,
}

/// Finds the primes, which takes a while.
async fn make() -> Result<Made> {
    let made = tokio::task::spawn_blocking(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072));
    Ok(Made { key: made.await.map_err(Error::internal)?.map_err(Error::internal)? })
}

impl Made {
    /// Self-signed: what identity providers look at is the key, and the end of the certificate.
    fn certificate(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<u8>, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "RiverGen SAML");
        // A clock that is a little behind ours shall take it too.
        params.not_before = SystemTime::from(from - Duration::hours(1)).into();
        params.not_after = SystemTime::from(until).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        Ok(params.self_signed(&self.key)?.der().to_vec())
    }
}

/// Writes the audit log, so it comes last.
async fn add(
    platform: &Platform,
    tx: &Transaction,
    organization: OrganizationId,
    made: Made,
    signs_from: DateTime<Utc>,
) -> Result<Model> {
    let now = platform.clock.now();
    let expires_at = now + LIFETIME;
    let certificate = made.certificate(now, expires_at).map_err(Error::internal)?;
    let pem = Secret::new(made.key.serialize_pem());
    let owner = Owner::Organization(organization);
    let sealed = platform.vault.seal(tx, owner, CONTEXT, pem.expose().as_bytes()).await?;
    let row = ActiveModel {
        organization_id: Set(organization),
        certificate: Set(STANDARD.encode(certificate)),
        sealed_private_key: Set(sealed),
        created_at: Set(now),
        signs_from: Set(signs_from),
        expires_at: Set(expires_at),
        ..Default::default()
    };
    let row = row.insert(tx.conn()).await?;
    let record = AuditRecord::new(Some(organization), Actor::system(), "saml.key.create")
        .target("saml_key", row.id)
        .details(json!({"signs_from": signs_from, "expires_at": expires_at}));
    audit::record(tx, &platform.clock, record).await?;
    Ok(row)
}

struct Renew(Platform);

/// Registers the job that makes the next keys, and throws the old ones away.
pub(super) fn register(federation: &Federation) {
    let platform = federation.platform();
    platform.jobs.every(JOB, std::time::Duration::from_secs(24 * 3600), Arc::new(Renew(platform.clone())));
}

#[derive(FromQueryResult)]
struct Due {
    organization_id: OrganizationId,
}

#[async_trait]
impl Handler for Renew {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        let platform = &self.0;
        let now = platform.clock.now();
        // One row for each organization with SAML: a look at all of them once a day is cheap.
        let due: Vec<Due> = Entity::find()
            .select_only()
            .column(Column::OrganizationId)
            .group_by(Column::OrganizationId)
            .having(Column::ExpiresAt.max().lt(now + RENEWED_BEFORE))
            .limit(BATCH)
            .into_model()
            .all(platform.db.read())
            .await
            .map_err(Error::from)?;
        for organization in due.into_iter().map(|due| due.organization_id).collect::<BTreeSet<_>>() {
            if context.shutdown.is_cancelled() {
                return Ok(());
            }
            // One that cannot be renewed stops no other.
            if let Err(error) = renew(platform, organization).await {
                tracing::error!(
                    organization = organization.0,
                    ?error,
                    "the key of a service provider could not be renewed"
                );
            }
        }
        let tx = platform.db.begin().await?;
        Entity::delete_many().filter(Column::ExpiresAt.lt(now)).exec(tx.conn()).await.map_err(Error::from)?;
        tx.commit().await?;
        Ok(())
    }
}

async fn renew(platform: &Platform, organization: OrganizationId) -> Result<()> {
    let made = make().await?;
    let tenant = Tenant::on_behalf_of(organization);
    let tx = platform.db.begin().await?;
    rivergen_tenancy::organization::lock(&tx, tenant).await?;
    let now = platform.clock.now();
    let rows = good(tx.conn(), tenant, now).await?;
    if rows.iter().any(|row| row.expires_at >= now + RENEWED_BEFORE) {
        return Ok(());
    }
    // Where the old one has ended, nothing is left to overlap with.
    let signs_from = if rows.is_empty() { now } else { now + PUBLISHED_BEFORE };
    add(platform, &tx, organization, made, signs_from).await?;
    tx.commit().await
}
