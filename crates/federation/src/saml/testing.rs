//! What the tests of this module share: a provider, and an identity provider that signs whatever is wanted.

use std::sync::OnceLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use bergshamra::{DsigContext, KeysManager};
use chrono::{DateTime, Duration, TimeZone, Utc};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rivergen_kernel::{OrganizationId, Secret, SsoProviderId, UserId};
use saml_rs::crypto::{self, keys::load_private_key};
use serde_json::json;

use super::{keys::Keys, parties::ServiceProvider};
use crate::provider::{self, Kind, Status, setup::SamlAddresses};

pub(super) const ENTITY_ID: &str = "https://idp.acme.example/metadata";

pub(super) fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2030, 5, 17, 12, 0, 0).unwrap()
}

/// A SAML provider without certificates.
pub(super) fn a_provider() -> provider::Model {
    provider::Model {
        id: SsoProviderId(7),
        organization_id: OrganizationId(1),
        name: "Acme".to_owned(),
        name_key: "acme".to_owned(),
        kind: Kind::Saml,
        status: Status::Active,
        entity_id: Some(ENTITY_ID.to_owned()),
        sso_url: Some("https://idp.acme.example/sso?tenant=1".to_owned()),
        slo_url: Some("https://idp.acme.example/slo".to_owned()),
        metadata_url: None,
        certificates: json!([]),
        allow_idp_initiated: false,
        issuer: None,
        client_id: None,
        sealed_client_secret: None,
        scopes: json!([]),
        attribute_mapping: json!({}),
        jit_provisioning: false,
        default_role_id: None,
        group_role_mapping: json!({}),
        last_tested_at: None,
        last_test_succeeded: false,
        last_login_at: None,
        login_count: 0,
        own_callback: false,
        vouched_by_user_id: UserId(1),
        created_by_user_id: UserId(1),
        created_at: now() - Duration::days(1),
        updated_at: now() - Duration::days(1),
    }
}

pub(super) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// A key pair of RSA with its certificate.
pub(super) struct Signer {
    pub private_key: String,
    /// Base64 of DER.
    pub certificate: String,
}

impl Signer {
    fn make(until: DateTime<Utc>) -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let mut params = CertificateParams::default();
        params.not_before = std::time::SystemTime::from(now() - Duration::days(400)).into();
        params.not_after = std::time::SystemTime::from(until).into();
        let certificate = STANDARD.encode(params.self_signed(&key).unwrap().der());
        Self { private_key: key.serialize_pem(), certificate }
    }

    /// The identity provider's.
    pub(super) fn of_provider() -> &'static Self {
        static MADE: OnceLock<Signer> = OnceLock::new();
        MADE.get_or_init(|| Self::make(now() + Duration::days(365)))
    }

    /// That of somebody else's identity provider.
    pub(super) fn of_another() -> &'static Self {
        static MADE: OnceLock<Signer> = OnceLock::new();
        MADE.get_or_init(|| Self::make(now() + Duration::days(365)))
    }

    /// The identity provider's of last year.
    pub(super) fn expired() -> &'static Self {
        static MADE: OnceLock<Signer> = OnceLock::new();
        MADE.get_or_init(|| Self::make(now() - Duration::days(30)))
    }

    /// This server's own.
    pub(super) fn of_ours() -> &'static Self {
        static MADE: OnceLock<Signer> = OnceLock::new();
        MADE.get_or_init(|| Self::make(now() + Duration::days(365)))
    }

    /// Signs the response, or the assertion in it.
    pub(super) fn sign(&self, xml: &str, response: bool) -> String {
        let key = load_private_key(&self.private_key, None).unwrap();
        crypto::construct_saml_signature(xml, response, &key, &self.certificate, RSA_SHA256, &[], None).unwrap()
    }

    /// Signs the assertion, with something else in the description of the signature: what is replaced there is signed so.
    pub(super) fn sign_otherwise(&self, xml: &str, usual: &str, other: &str) -> String {
        let mut template = self.sign(xml, false);
        for value in ["ds:DigestValue", "ds:SignatureValue"] {
            let start = template.find(&format!("<{value}>")).unwrap() + value.len() + 2;
            let end = template.find(&format!("</{value}>")).unwrap();
            template.replace_range(start..end, "");
        }
        assert!(template.contains(usual), "{template}");
        let mut keys = KeysManager::new();
        keys.add_key(load_private_key(&self.private_key, None).unwrap());
        let context = DsigContext::new(keys).with_insecure(true);
        bergshamra::sign(&context, &template.replace(usual, other)).unwrap()
    }
}

/// A provider that signs with [`Signer::of_provider`].
pub(super) fn a_signing_provider() -> provider::Model {
    provider::Model { certificates: json!([Signer::of_provider().certificate]), ..a_provider() }
}

pub(super) fn us() -> ServiceProvider {
    let at = |what: &str| format!("https://rivergen.acme.example/api/v1/sso/saml/{what}/7");
    let ours = Signer::of_ours();
    ServiceProvider {
        addresses: SamlAddresses {
            entity_id: at("metadata"),
            acs_url: at("acs"),
            slo_url: at("slo"),
            metadata_url: at("metadata"),
        },
        keys: Keys::of(ours.certificate.clone(), Secret::new(ours.private_key.clone()), now()),
    }
}

/// What an honest provider answers to the request `_request`.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub issuer: String,
    pub audience: String,
    pub recipient: String,
    pub destination: String,
    pub request: Option<&'static str>,
    pub name_id: String,
    pub issued: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// When the session at the provider ends (SessionNotOnOrAfter).
    pub session_until: Option<DateTime<Utc>>,
}

impl Default for Answer {
    fn default() -> Self {
        let SamlAddresses { entity_id, acs_url, .. } = us().addresses;
        Self {
            issuer: ENTITY_ID.to_owned(),
            audience: entity_id,
            recipient: acs_url.clone(),
            destination: acs_url,
            request: Some("_request"),
            name_id: "ada@acme.example".to_owned(),
            issued: now(),
            until: now() + Duration::minutes(5),
            session_until: None,
        }
    }
}

impl Answer {
    pub(super) fn xml(&self) -> String {
        let Self { issuer, audience, recipient, destination, name_id, .. } = self;
        let request = self.request.map(|id| format!(r#" InResponseTo="{id}""#)).unwrap_or_default();
        let time = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (issued, before, until) = (time(self.issued), time(self.issued - Duration::minutes(1)), time(self.until));
        let session =
            self.session_until.map(|end| format!(r#" SessionNotOnOrAfter="{}""#, time(end))).unwrap_or_default();
        format!(
            r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response" Version="2.0" IssueInstant="{issued}" Destination="{destination}"{request}><saml:Issuer>{issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion ID="_assertion" Version="2.0" IssueInstant="{issued}"><saml:Issuer>{issuer}</saml:Issuer><saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">{name_id}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{until}" Recipient="{recipient}"{request}/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{before}" NotOnOrAfter="{until}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{issued}" SessionIndex="_session"{session}><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="urn:oid:2.5.4.42" FriendlyName="givenName"><saml:AttributeValue>Ada</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>"#
        )
    }

    /// With a signature of the assertion.
    pub(super) fn signed(&self) -> String {
        Signer::of_provider().sign(&self.xml(), false)
    }

    /// With a signature of the response.
    pub(super) fn signed_around(&self) -> String {
        Signer::of_provider().sign(&self.xml(), true)
    }
}
