//! From a response to what it says: verified, held against what was expected, and read.
//!
//! ```text
//! document: one shape, canonical ─▶ the library: signature, issuer, audience, recipient, times, request ─▶ Said
//! ```
//!
//! A response with a plain assertion is verified as it is. One with an encrypted assertion is verified first where the
//! response is signed, so that nobody but the provider makes us decrypt anything; else the assertion is decrypted, brought
//! into canonical form like everything that comes from outside, and verified then. Whatever goes wrong with the decryption is
//! one refusal in one word: what exactly it was is nobody's business (it would be an oracle).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use saml_rs::{
    BrowserInput, FormField, IdpDescriptor, PendingAuthnRequest, PendingSnapshot, RelayStateParam, Saml, SamlError, Sp,
    SsoSession,
    constants::{name_id_format, namespace},
    crypto::{self, enc::AssertionDecryptionOptions, keys::load_private_key},
};

use super::{
    Refusal,
    document::{self, Carried, Node},
    keys::Pair,
    parties::{self, SKEW, ServiceProvider},
};

/// The method of a confirmation by whoever bears the assertion.
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

/// What a provider said of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub assertion_id: String,
    /// When it can be delivered no more: until then its id is remembered.
    pub expires_at: DateTime<Utc>,
    pub name_id: NameId,
    pub attributes: Vec<Attribute>,
    /// The provider's own session (SessionIndex).
    pub session: Option<String>,
    /// When the sessions that stand on it are over (SessionNotOnOrAfter); of several the earliest.
    pub session_until: Option<DateTime<Utc>>,
    /// When the person signed in there (AuthnInstant); of several the latest.
    pub authenticated_at: Option<DateTime<Utc>>,
    /// How the person signed in there (AuthnContextClassRef).
    pub contexts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameId {
    pub value: String,
    pub format: String,
    /// Which identity provider gave a persistent one, where it says so (NameQualifier).
    pub qualifier: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub name: String,
    pub friendly_name: Option<String>,
    pub values: Vec<String>,
}

/// The id of the request that a response says to answer. Nothing of it is verified yet: it only tells which way to go, and
/// the way with a request asks for the same id, the way without one for none.
pub(super) fn answers(canonical: &str) -> Result<Option<String>, Refusal> {
    let document = document::parse(canonical)?;
    let root = Node::root(&document)?;
    Ok(root.attribute("InResponseTo").filter(|id| !id.is_empty()).map(str::to_owned))
}

/// Verifies a response of canonical form, and reads it. `request` is the id of the request that it must answer; without one
/// it must answer none.
pub(super) fn accept(
    us: &ServiceProvider,
    peer: &IdpDescriptor,
    canonical: &str,
    request: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Said, Refusal> {
    match document::response(canonical)? {
        Carried::Plain => read(&verify(us, us.acting(now, None)?, peer, canonical, request, now)?),
        Carried::SignedAround => {
            let mut refused = None;
            for pair in us.keys.all() {
                match verify(us, us.acting(now, Some(pair))?, peer, canonical, request, now) {
                    Ok(session) => return read(&session),
                    Err(refusal) => refused = Some(refusal),
                }
            }
            Err(refused.unwrap_or_else(undecryptable))
        }
        Carried::SignedInside => {
            let plain = us.keys.all().iter().find_map(|pair| decrypt(canonical, pair)).ok_or_else(undecryptable)?;
            // Whoever has our certificate can encrypt anything, so it is as foreign as what came in plain.
            let canonical = document::canonical(&plain).map_err(|_| undecryptable())?;
            match document::response(&canonical) {
                Ok(Carried::Plain) => {}
                _ => return Err(undecryptable()),
            }
            read(&verify(us, us.acting(now, None)?, peer, &canonical, request, now).map_err(|_| undecryptable())?)
        }
    }
}

fn undecryptable() -> Refusal {
    Refusal::rejected(
        "the encrypted assertion could not be decrypted and verified: the identity provider must encrypt for a certificate of \
         this provider's metadata, and sign the assertion or the response",
    )
}

/// The response with its assertion in plain, where it was encrypted for this key.
fn decrypt(canonical: &str, pair: &Pair) -> Option<String> {
    let key = load_private_key(pair.private_key.expose(), None).ok()?;
    let (plain, _) = crypto::decrypt_assertion(canonical, &key, AssertionDecryptionOptions::default()).ok()?;
    Some(plain)
}

/// What the library verifies and compares: everything but the shape, the algorithms and the replay.
fn verify(
    us: &ServiceProvider,
    sp: Saml<Sp>,
    peer: &IdpDescriptor,
    canonical: &str,
    request: Option<&str>,
    now: DateTime<Utc>,
) -> Result<SsoSession, Refusal> {
    let input =
        BrowserInput::<saml_rs::SsoResponse>::post(vec![FormField::new("SAMLResponse", STANDARD.encode(canonical))]);
    let session = match request {
        Some(id) => {
            let (entity_id, acs) = (peer.entity_id().as_str(), us.addresses.acs_url.as_str());
            let snapshot =
                PendingSnapshot::authn_request(id, RelayStateParam::absent(), entity_id, "post", acs, "post");
            sp.finish_sso(peer, &PendingAuthnRequest::from_snapshot(snapshot)?, input, parties::at(now))
        }
        None => sp.accept_unsolicited_sso(peer, input, parties::at(now)),
    };
    let session = session.map_err(|error| explain(error, canonical))?;
    // It would not have come so far; but nothing else says that a signature covers what is read.
    if session.verified_xml_signatures().is_empty() {
        return Err(Refusal::rejected("no signature covers the assertion"));
    }
    Ok(session)
}

/// The library's error, with what the response says where that helps. It is no secret: it is in the response.
fn explain(error: SamlError, canonical: &str) -> Refusal {
    let SamlError::AudienceMismatch { expected } = &error else { return error.into() };
    let audiences = || -> Result<Vec<String>, Refusal> {
        let document = document::parse(canonical)?;
        let assertion = Node::root(&document)?.only(namespace::ASSERTION, "Assertion")?;
        let conditions = assertion.only(namespace::ASSERTION, "Conditions")?;
        let restrictions = conditions.named(namespace::ASSERTION, "AudienceRestriction");
        let audiences = restrictions.flat_map(|restriction| restriction.named(namespace::ASSERTION, "Audience"));
        Ok(audiences.map(|audience| audience.text()).collect())
    };
    match audiences() {
        Ok(found) if !found.is_empty() => Refusal::rejected(format!(
            "the response is for the audience {}, and this provider expects {expected}",
            found.join(", ")
        )),
        _ => Refusal::rejected(format!("the response names no audience, and this provider expects {expected}")),
    }
}

/// Reads the assertion that was verified: the only one in the very text that the library verified.
fn read(session: &SsoSession) -> Result<Said, Refusal> {
    let verified = &session.raw_flow().saml_content;
    // Where it was decrypted behind the signature, its shape was not seen yet.
    let canonical = document::canonical(verified)?;
    let document = document::parse(&canonical)?;
    let root = Node::root(&document)?;
    let assertion = document::only_assertion(&root)?;
    let subject = assertion.only(namespace::ASSERTION, "Subject")?;
    let name_id = subject.only(namespace::ASSERTION, "NameID")?;
    let name_id = NameId {
        value: name_id.text(),
        format: name_id.attribute("Format").unwrap_or(name_id_format::UNSPECIFIED).to_owned(),
        qualifier: name_id.attribute("NameQualifier").filter(|name| !name.is_empty()).map(str::to_owned),
    };
    let assertion_id = assertion.attribute("ID").unwrap_or_default().to_owned();
    // Two parsers have read the same bytes: they must have seen the same.
    let is_same = session.assertion_id().as_str() == assertion_id
        && assertion.only(namespace::ASSERTION, "Issuer")?.text() == session.issuer().as_str().trim()
        && session.name_id().value().trim() == name_id.value;
    if !is_same {
        return Err(Refusal::rejected("the assertion can be read in two ways"));
    }

    let mut said = Said {
        assertion_id,
        expires_at: expiry(&subject)? + SKEW,
        name_id,
        attributes: Vec::new(),
        session: None,
        session_until: None,
        authenticated_at: None,
        contexts: Vec::new(),
    };
    for statement in assertion.named(namespace::ASSERTION, "AuthnStatement") {
        let index = statement.attribute("SessionIndex").filter(|index| !index.is_empty());
        said.session = said.session.or_else(|| index.map(str::to_owned));
        if let Some(text) = statement.attribute("SessionNotOnOrAfter") {
            let until = DateTime::parse_from_rfc3339(text).map(|until| until.to_utc());
            let until = until.map_err(|_| Refusal::rejected("the time at which the session ends is not valid"))?;
            said.session_until = Some(said.session_until.map_or(until, |earlier| earlier.min(until)));
        }
        let instant = statement.attribute("AuthnInstant").and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        said.authenticated_at = said.authenticated_at.max(instant.map(|instant| instant.to_utc()));
        for context in statement.named(namespace::ASSERTION, "AuthnContext") {
            let classes = context.named(namespace::ASSERTION, "AuthnContextClassRef");
            said.contexts.extend(classes.map(|class| class.text()));
        }
    }
    said.attributes = attributes(&assertion);
    Ok(said)
}

/// An attribute that stands there twice has the values of both.
fn attributes(assertion: &Node<'_>) -> Vec<Attribute> {
    let mut places = BTreeMap::new();
    let mut attributes: Vec<Attribute> = Vec::new();
    for statement in assertion.named(namespace::ASSERTION, "AttributeStatement") {
        for attribute in statement.named(namespace::ASSERTION, "Attribute") {
            let Some(name) = attribute.attribute("Name").filter(|name| !name.is_empty()) else { continue };
            let values = attribute.named(namespace::ASSERTION, "AttributeValue").map(|value| value.text());
            let values = values.filter(|value| !value.is_empty());
            let at = *places.entry(name).or_insert_with(|| {
                let friendly_name = attribute.attribute("FriendlyName").map(str::to_owned);
                attributes.push(Attribute { name: name.to_owned(), friendly_name, values: Vec::new() });
                attributes.len() - 1
            });
            attributes[at].values.extend(values);
        }
    }
    attributes
}

/// Until when the assertion can be delivered: the latest of its confirmations, of which any may have let it in.
fn expiry(subject: &Node<'_>) -> Result<DateTime<Utc>, Refusal> {
    let bearers = subject
        .named(namespace::ASSERTION, "SubjectConfirmation")
        .filter(|confirmation| confirmation.attribute("Method") == Some(BEARER))
        .flat_map(|confirmation| confirmation.named(namespace::ASSERTION, "SubjectConfirmationData"));
    let ends = bearers.filter_map(|data| DateTime::parse_from_rfc3339(data.attribute("NotOnOrAfter")?).ok());
    let latest =
        ends.max().ok_or_else(|| Refusal::rejected("the assertion does not say until when it can be delivered"))?;
    Ok(latest.to_utc())
}
