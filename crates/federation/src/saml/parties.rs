//! The two parties of a provider's SAML, as the library wants them: this server, and the identity provider.
//!
//! Each provider has a service provider of its own here: its entity id is the address of its metadata, so that two
//! organizations with the same identity provider (a directory that many companies share) are two audiences.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, Result, SsoProviderId};
use rivergen_platform::Platform;
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
use x509_parser::{parse_x509_certificate, public_key::PublicKey};

use super::{
    Refusal, document,
    keys::{Keys, Pair},
};
use crate::provider;

/// How far the clocks of two servers may be apart.
pub(super) const SKEW: chrono::Duration = chrono::Duration::seconds(60);
/// Keys that are shorter are broken by whoever pays for it.
const SHORTEST_RSA: usize = 2048;

/// The addresses of a provider's service provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Its entity id, and where its metadata is.
    pub entity_id: String,
    /// Where responses are posted to.
    pub acs_url: String,
    /// Where single logout goes to, by redirect and by post.
    pub slo_url: String,
}

impl Addresses {
    pub fn of(platform: &Platform, provider: SsoProviderId) -> Self {
        let address = |what: &str| format!("{}/api/v1/sso/saml/{what}/{}", platform.public_url, provider.0);
        Self { entity_id: address("metadata"), acs_url: address("acs"), slo_url: address("slo") }
    }
}

/// The service provider of one provider.
#[derive(Debug, Clone)]
pub(super) struct ServiceProvider {
    pub addresses: Addresses,
    pub keys: Keys,
}

impl ServiceProvider {
    /// As it signs; with `decrypting`, as it reads what was encrypted for that key and signed around.
    pub(super) fn acting(&self, now: DateTime<Utc>, decrypting: Option<&Pair>) -> Result<Saml<Sp>, SamlError> {
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
            // The provider knows best what it calls people.
            .name_id_format(NameIdFormat::Unspecified)
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
    let slo = provider.slo_url.iter().flat_map(|url| {
        [Binding::Redirect, Binding::Post].map(|binding| Endpoint::new(binding, url))
    });
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
    for certificate in certificates {
        match Certificate::read(certificate).and_then(|facts| facts.fault(now).map_or(Ok(()), Err)) {
            Ok(()) => good.push(certificate.clone()),
            Err(fault) => faults.push(fault),
        }
    }
    match (good.is_empty(), faults.is_empty()) {
        (false, _) => Ok(good),
        (true, false) => Err(Refusal::rejected(faults.join("; "))),
        (true, true) => Err(Refusal::rejected("this provider has no certificate")),
    }
}

/// What counts of a certificate of an identity provider: its key, and its end.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub expires_at: DateTime<Utc>,
    /// Of an RSA key.
    bits: Option<usize>,
}

impl Certificate {
    /// Reads base64 of DER; the reason where it is none.
    pub(super) fn read(base64: &str) -> Result<Self, String> {
        let der = STANDARD.decode(base64).map_err(|_| "a certificate of this provider is not base64".to_owned())?;
        let (_, parsed) = parse_x509_certificate(&der)
            .map_err(|_| "a certificate of this provider is no X.509 certificate".to_owned())?;
        let expires_at = DateTime::from_timestamp(parsed.validity().not_after.timestamp(), 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let bits = match parsed.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => Some(key.key_size()),
            _ => None,
        };
        Ok(Self { expires_at, bits })
    }

    /// Why nothing that it signed is believed.
    pub(super) fn fault(&self, now: DateTime<Utc>) -> Option<String> {
        if self.expires_at <= now {
            return Some(format!("the certificate of this provider expired on {}", self.expires_at.format("%Y-%m-%d")));
        }
        let bits = self.bits.filter(|bits| *bits < SHORTEST_RSA)?;
        Some(format!("the key in the certificate of this provider has {bits} bits, and {SHORTEST_RSA} are needed"))
    }
}

/// A fault of this server's own making.
pub(super) fn ours(error: SamlError) -> Error {
    Error::internal(error)
}
