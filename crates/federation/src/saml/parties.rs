//! The two parties of a provider's SAML, as the library wants them: this server, and the identity provider.
//!
//! Each provider has a service provider of its own here: its entity id is the address of its metadata, so that two
//! organizations with the same identity provider (a directory that many companies share) are two audiences.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, Result};
use saml_rs::{
    AcsEndpoint, AssertionSignaturePolicy, AudienceValidationPolicy, AuthnRequestSigningPolicy, CertificatePem,
    ClockSkew, Credentials, EntityId, IdpDescriptor, LogoutPolicy, MetadataTrustPolicy, NameIdCreationPolicy,
    NameIdFormat, PrivateKeyPem, ReplayPolicy, ResponseSignaturePolicy, Saml, SamlError, SamlValidationContext,
    SloEndpoint, Sp, SpConfig, SpValidationPolicy, XmlEncryptionPolicy, XmlPolicy, XmlSignatureProfile,
    raw::{
        Binding,
        metadata::{Endpoint, IdpMetadataConfig, SpMetadataConfig, generate_idp_metadata, generate_sp_metadata},
    },
};

use super::{
    Refusal, document,
    keys::{self, Keys, Pair},
};
use crate::{
    Federation,
    provider::{self, certificate::Certificate, setup::SamlAddresses},
};

/// How far the clocks of two servers may be apart.
pub(super) const SKEW: chrono::Duration = chrono::Duration::seconds(60);

/// The service provider of one provider.
#[derive(Debug, Clone)]
pub(super) struct ServiceProvider {
    pub addresses: SamlAddresses,
    pub keys: Keys,
}

impl ServiceProvider {
    pub(super) async fn of(federation: &Federation, provider: &provider::Model) -> Result<Self> {
        let keys = keys::of(federation.platform(), provider.organization_id).await?;
        Ok(Self { addresses: SamlAddresses::of(federation, provider.id), keys })
    }

    /// As it signs; with `decrypting`, as it reads what was encrypted for that key and signed around.
    pub(super) fn acting(&self, now: DateTime<Utc>, decrypting: Option<&Pair>) -> Result<Saml<Sp>, SamlError> {
        // The provider knows best what it calls people.
        self.with(now, decrypting, NameIdFormat::Unspecified)
    }

    /// As it names somebody in a logout, by a NameID of this format.
    pub(super) fn naming(&self, now: DateTime<Utc>, format: &str) -> Result<Saml<Sp>, SamlError> {
        self.with(now, None, NameIdFormat::Custom(format.to_owned()))
    }

    fn with(&self, now: DateTime<Utc>, decrypting: Option<&Pair>, format: NameIdFormat) -> Result<Saml<Sp>, SamlError> {
        let signing = self.keys.signing(now);
        let credentials = Credentials {
            signing_key: Some(PrivateKeyPem::new(signing.private_key.expose())),
            signing_certificate: Some(CertificatePem::new(&signing.certificate)),
            decryption_key: decrypting.map(|pair| PrivateKeyPem::new(pair.private_key.expose())),
            ..Credentials::default()
        };
        let mut xml = XmlPolicy { redirect_inflate_max_bytes: document::LARGEST, ..XmlPolicy::default() };
        xml.limits.max_bytes = document::LARGEST;
        xml.limits.max_depth = document::DEEPEST as usize;
        if decrypting.is_some() {
            xml.encryption = XmlEncryptionPolicy::encrypt_assertions();
        }
        let config = SpConfig::builder(EntityId::try_new(&self.addresses.entity_id)?)
            .acs_endpoint(AcsEndpoint::post(&self.addresses.acs_url)?)
            .slo_endpoint(SloEndpoint::redirect(&self.addresses.slo_url)?)
            .slo_endpoint(SloEndpoint::post(&self.addresses.slo_url)?)
            .name_id_format(format)
            .credentials(credentials)
            .validation(policy(decrypting.is_some()))
            .xml(xml)
            .build()?;
        Saml::sp(config)
    }

    /// What an identity provider reads of it: every certificate that may sign, and the newest to encrypt for.
    pub(super) fn metadata(&self) -> String {
        let certificate = |pair: &Pair| pair.certificate.clone();
        let acs = Endpoint { is_default: true, ..Endpoint::new(Binding::Post, &self.addresses.acs_url) };
        generate_sp_metadata(&SpMetadataConfig {
            entity_id: self.addresses.entity_id.clone(),
            signing_certs: self.keys.all().iter().map(certificate).collect(),
            encrypt_certs: self.keys.all().last().map(certificate).into_iter().collect(),
            authn_requests_signed: true,
            want_assertions_signed: true,
            name_id_format: [NameIdFormat::Persistent, NameIdFormat::EmailAddress, NameIdFormat::Unspecified]
                .map(|format| format.as_uri().to_owned())
                .to_vec(),
            single_logout_service: vec![
                Endpoint::new(Binding::Redirect, &self.addresses.slo_url),
                Endpoint::new(Binding::Post, &self.addresses.slo_url),
            ],
            assertion_consumer_service: vec![acs],
            elements_order: None,
        })
    }
}

/// What is asked of messages, beside what [`document`] asks: a signature of the response or of the assertion, by a key of
/// this provider; an audience; signed logout messages. `is_signed_around`: the response itself, before anything is decrypted.
fn policy(is_signed_around: bool) -> SpValidationPolicy {
    SpValidationPolicy {
        // Either of the two signatures, of which there is one at least.
        assertions: AssertionSignaturePolicy::AllowUnsignedForCompatibility,
        responses: match is_signed_around {
            true => ResponseSignaturePolicy::RequireSigned,
            false => ResponseSignaturePolicy::RequireForEncryptedCbc,
        },
        // The library's strict profile knows RSA alone; which algorithms are trusted is in `document`.
        xml_signatures: XmlSignatureProfile::AllowProviderSupportedForCompatibility,
        authn_requests: AuthnRequestSigningPolicy::Sign,
        audience: AudienceValidationPolicy::Validate,
        name_id_creation: NameIdCreationPolicy::AllowCreate,
        logout: LogoutPolicy::recommended(),
    }
}

/// What a message is held against: the time of the injected clock. Replay is remembered in the database, by us.
pub(super) fn at(now: DateTime<Utc>) -> SamlValidationContext<'static> {
    let skew = SKEW.num_milliseconds();
    SamlValidationContext::new(now.into(), ReplayPolicy::DisabledForCompatibility)
        .with_clock_skew(ClockSkew::from_millis(-skew, skew))
}

/// The identity provider, with those of its certificates that are good today.
pub(super) fn peer(provider: &provider::Model, now: DateTime<Utc>) -> Result<IdpDescriptor, Refusal> {
    let missing = |what: &str| Refusal::rejected(format!("this provider has no {what}"));
    let entity_id = provider.entity_id.clone().ok_or_else(|| missing("entity id"))?;
    let sso_url = provider.sso_url.clone().ok_or_else(|| missing("address for sign-ins (sso_url)"))?;
    let slo = provider
        .slo_url
        .iter()
        .flat_map(|url| [Binding::Redirect, Binding::Post].map(|binding| Endpoint::new(binding, url)));
    let xml = generate_idp_metadata(&IdpMetadataConfig {
        entity_id,
        signing_certs: trusted(&provider.certificates(), now)?,
        // Ours are always signed, and the library wants both sides to say so.
        want_authn_requests_signed: true,
        single_sign_on_service: vec![Endpoint::new(Binding::Redirect, sso_url)],
        single_logout_service: slo.collect(),
        ..IdpMetadataConfig::default()
    });
    // It is what this server says of the provider, not what the provider says of itself.
    Ok(IdpDescriptor::from_metadata_xml(&xml, MetadataTrustPolicy::UnsignedForCompatibility)?)
}

/// The certificates that are good today; where none is, why.
fn trusted(certificates: &[String], now: DateTime<Utc>) -> Result<Vec<String>, Refusal> {
    let mut faults = Vec::new();
    let mut good = Vec::new();
    for der in certificates {
        match Certificate::read(der) {
            Ok(read) if read.is_expired(now) => {
                let end = read.expires_at.format("%Y-%m-%d");
                faults.push(format!("the certificate of this provider expired on {end}"));
            }
            Ok(read) => good.push(read.der),
            Err(fault) => faults.push(format!("the certificate of this provider {fault}")),
        }
    }
    match (good.is_empty(), faults.is_empty()) {
        (false, _) => Ok(good),
        (true, false) => Err(Refusal::rejected(faults.join("; "))),
        (true, true) => Err(Refusal::rejected("this provider has no certificate")),
    }
}

/// A fault of this server's own making.
pub(super) fn ours(error: SamlError) -> Error {
    Error::internal(error)
}
