//! A SAML message as it comes in, before anything in it is believed.
//!
//! ```text
//! base64 ─▶ at most 256 KiB, UTF-8 ─▶ no DTD, 40 levels ─▶ of the one shape ─▶ canonical form
//! ```
//!
//! Others fell because one parser verified a message and another read it, or because the message held a second assertion
//! that the reader found first. So a message is brought into its canonical form by the parser that will verify it: what is
//! verified and read from then on is that form, in which there is nothing left that two parsers could see differently
//! (comments, CDATA, entities, processing instructions). And it must have the one shape that an honest message has: one
//! assertion, right below the response, and no signature but right below what it signs.

use base64::{Engine, engine::general_purpose::STANDARD};
use bergshamra::{
    c14n::{self, C14nMode},
    xml::{Document, Element, NodeId, NodeKind, uppsala::Parser},
};
use saml_rs::constants::{digest_algorithm, namespace, status_code, transform_algorithm};

use super::Refusal;

/// The largest message that is read, decoded. A response with hundreds of groups has a tenth of it.
pub(super) const LARGEST: usize = 256 * 1024;
/// How deep elements may lie in each other; an honest response has 12 levels.
pub(super) const DEEPEST: u32 = 40;
pub(super) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";

/// RSA, ECDSA and EdDSA with SHA-2. What is not here is not believed: no SHA-1, and no HMAC, whose secret would be the
/// public key.
const SIGNATURES: [&str; 10] = [
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
];
const DIGESTS: [&str; 3] = [digest_algorithm::SHA256, digest_algorithm::SHA384, digest_algorithm::SHA512];
/// Exclusive and inclusive, without comments.
const CANONICALIZATIONS: [&str; 3] = [
    transform_algorithm::EXC_C14N,
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/2006/12/xml-c14n11",
];
/// RSA-OAEP, with either spelling. PKCS #1 v1.5 is an oracle (Bleichenbacher).
const KEY_TRANSPORTS: [&str; 2] =
    ["http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#rsa-oaep"];
const AUTHENTICATED_CIPHERS: [&str; 3] = [
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2009/xmlenc11#aes192-gcm",
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
];
/// Whoever may change the ciphertext learns the plaintext from the answers, so only inside of a signature.
const CHAINED_CIPHERS: [&str; 3] = [
    "http://www.w3.org/2001/04/xmlenc#aes128-cbc",
    "http://www.w3.org/2001/04/xmlenc#aes192-cbc",
    "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
];

/// Whether a message may be signed so.
pub(super) fn is_trusted_signature(algorithm: &str) -> bool {
    SIGNATURES.contains(&algorithm)
}

/// The text of a message that came in base64.
pub(super) fn decode(base64: &str) -> Result<String, Refusal> {
    // Some break the lines.
    let mut packed = base64.as_bytes().to_vec();
    packed.retain(|byte| !byte.is_ascii_whitespace());
    if packed.len() > LARGEST.div_ceil(3) * 4 {
        return Err(Refusal::unreadable(format!("the message is larger than {LARGEST} bytes")));
    }
    let bytes = STANDARD.decode(packed).map_err(|_| Refusal::unreadable("the message is not base64"))?;
    String::from_utf8(bytes).map_err(|_| Refusal::unreadable("the message is not UTF-8"))
}

/// Parses with every bound; a DTD is refused where it begins.
pub(super) fn parse(xml: &str) -> Result<Document<'_>, Refusal> {
    let parsed = Parser::new().with_max_depth(DEEPEST).with_forbid_dtd(true).parse(xml);
    let document =
        parsed.map_err(|error| Refusal::unreadable(format!("the message is not well-formed XML: {error}")))?;
    if document.document_element().is_none() {
        return Err(Refusal::unreadable("the message is empty"));
    }
    Ok(document)
}

/// A message in canonical form.
pub(super) fn canonical(xml: &str) -> Result<String, Refusal> {
    let document = parse(xml)?;
    let is_instruction = |node: &NodeId| matches!(document.node_kind(*node), Some(NodeKind::ProcessingInstruction(_)));
    if document.descendants(document.root()).iter().any(is_instruction) {
        return Err(Refusal::unreadable("the message has a processing instruction"));
    }
    let bytes = c14n::canonicalize_doc::<&str>(&document, C14nMode::Inclusive, None, &[])
        .map_err(|error| Refusal::unreadable(format!("the message has no canonical form: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Refusal::unreadable("the message is not UTF-8"))
}

/// An element of a document, with the names that its namespace gives it.
#[derive(Clone, Copy)]
pub(super) struct Node<'d> {
    document: &'d Document<'d>,
    pub id: NodeId,
    element: &'d Element<'d>,
}

impl<'d> Node<'d> {
    fn at(document: &'d Document<'d>, id: NodeId) -> Option<Self> {
        Some(Self { document, id, element: document.element(id)? })
    }

    pub(super) fn root(document: &'d Document<'d>) -> Result<Self, Refusal> {
        let root = document.document_element().and_then(|id| Self::at(document, id));
        root.ok_or_else(|| Refusal::unreadable("the message is empty"))
    }

    pub(super) fn is(&self, namespace: &str, name: &str) -> bool {
        self.element.matches_name_ns(namespace, name)
    }

    pub(super) fn local_name(&self) -> &'d str {
        &self.element.name.local_name
    }

    /// An attribute of no namespace, as all of SAML's own are.
    pub(super) fn attribute(&self, name: &str) -> Option<&'d str> {
        let own = self.element.attributes.iter().find(|attribute| attribute.name.matches(None, name));
        own.map(|attribute| &*attribute.value)
    }

    pub(super) fn children(&self) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let document = self.document;
        document.children_iter(self.id).filter_map(move |id| Self::at(document, id))
    }

    pub(super) fn named(&self, namespace: &'d str, name: &'d str) -> impl Iterator<Item = Node<'d>> + use<'d> {
        self.children().filter(move |child| child.is(namespace, name))
    }

    /// The one child of this name; none and several are equally wrong.
    pub(super) fn only(&self, namespace: &'d str, name: &'d str) -> Result<Node<'d>, Refusal> {
        let mut found = self.named(namespace, name);
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Refusal::unreadable(format!("{} has no {name}", self.local_name()))),
            _ => Err(Refusal::unreadable(format!("{} has more than one {name}", self.local_name()))),
        }
    }

    fn descendants(&self) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let document = self.document;
        document.descendants(self.id).into_iter().filter_map(move |id| Self::at(document, id))
    }

    fn parent(&self) -> Option<NodeId> {
        self.document.parent(self.id)
    }

    /// All the text in it, as the signature covers it: a comment in the middle cuts nothing off.
    pub(super) fn text(&self) -> String {
        self.document.text_content_deep(self.id).trim().to_owned()
    }
}

/// How a response carries its assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    Plain,
    /// Encrypted, and the response that contains it is signed: verify, then decrypt.
    SignedAround,
    /// Encrypted, and the response is not signed: decrypt, then verify what is inside.
    SignedInside,
}

/// Checks that a message is a response of the one shape.
pub(super) fn response(xml: &str) -> Result<Carried, Refusal> {
    let document = parse(xml)?;
    let root = Node::root(&document)?;
    if !root.is(namespace::PROTOCOL, "Response") {
        return Err(Refusal::unreadable(format!("a Response was expected, and this is a {}", root.local_name())));
    }
    status(&root)?;
    unique_ids(&root)?;

    let assertion = only_assertion(&root)?;
    if root.descendants().any(|node| node.local_name() == root.local_name()) {
        return Err(Refusal::rejected("the response has another response in it"));
    }
    let signed = signatures(&root, &[root, assertion])?;
    if assertion.is(namespace::ASSERTION, "Assertion") {
        return match signed {
            [false, false] => Err(Refusal::rejected("neither the response nor the assertion is signed")),
            _ => Ok(Carried::Plain),
        };
    }
    encryption(&assertion, signed[0])?;
    Ok(if signed[0] { Carried::SignedAround } else { Carried::SignedInside })
}

/// The one assertion of a response, whatever else calls itself so and wherever it stands.
pub(super) fn only_assertion<'d>(root: &Node<'d>) -> Result<Node<'d>, Refusal> {
    let is_assertion = |node: &Node<'_>| matches!(node.local_name(), "Assertion" | "EncryptedAssertion");
    let mut assertions = root.descendants().filter(is_assertion);
    let assertion = assertions.next().ok_or_else(|| Refusal::unreadable("the response has no assertion"))?;
    if assertions.next().is_some() {
        return Err(Refusal::rejected("the response has more than one assertion"));
    }
    let is_of_saml = ["Assertion", "EncryptedAssertion"].iter().any(|name| assertion.is(namespace::ASSERTION, name));
    if assertion.parent() != Some(root.id) || !is_of_saml {
        return Err(Refusal::rejected("the assertion does not stand right below the response"));
    }
    Ok(assertion)
}

/// Checks that a posted logout message has one signature, right below its root.
pub(super) fn logout(xml: &str, name: &str) -> Result<(), Refusal> {
    let document = parse(xml)?;
    let root = Node::root(&document)?;
    if !root.is(namespace::PROTOCOL, name) {
        return Err(Refusal::unreadable(format!("a {name} was expected, and this is a {}", root.local_name())));
    }
    unique_ids(&root)?;
    if root.descendants().any(|node| node.local_name() == name) {
        return Err(Refusal::rejected(format!("the {name} has another in it")));
    }
    match signatures(&root, &[root])? {
        [true] => Ok(()),
        [false] => Err(Refusal::rejected(format!("the {name} is not signed"))),
    }
}

/// What a provider says that refuses the sign-in: in a response without an assertion.
fn status(root: &Node<'_>) -> Result<(), Refusal> {
    let status = root.only(namespace::PROTOCOL, "Status")?;
    let code = status.only(namespace::PROTOCOL, "StatusCode")?;
    let top = code.attribute("Value").unwrap_or_default();
    if top == status_code::SUCCESS {
        return Ok(());
    }
    let second = code.named(namespace::PROTOCOL, "StatusCode").find_map(|code| code.attribute("Value"));
    let last = |uri: &str| uri.rsplit(':').next().unwrap_or_default().chars().take(60).collect::<String>();
    let message = status.named(namespace::PROTOCOL, "StatusMessage").next().map(|message| message.text());
    let message = message.filter(|text| !text.is_empty()).map(|text| text.chars().take(200).collect::<String>());
    Err(Refusal::rejected(format!(
        "the identity provider refused the sign-in: {}{}{}",
        last(top),
        second.map(|uri| format!(", {}", last(uri))).unwrap_or_default(),
        message.map(|text| format!(" ({text})")).unwrap_or_default(),
    )))
}

/// An id names one element; the second of two would be verified in place of the first.
fn unique_ids(root: &Node<'_>) -> Result<(), Refusal> {
    let mut seen = std::collections::HashSet::new();
    for node in std::iter::once(*root).chain(root.descendants()) {
        for attribute in &node.element.attributes {
            let is_id =
                attribute.name.local_name.eq_ignore_ascii_case("id") || attribute.name.local_name == "AssertionID";
            if is_id && !seen.insert(attribute.value.to_string()) {
                return Err(Refusal::rejected("an id stands at more than one element"));
            }
        }
    }
    Ok(())
}

/// Which of `places` have a signature of their own. A signature anywhere else, a second one, or one of another form than
/// SAML's profile of them has is refused.
fn signatures<const N: usize>(root: &Node<'_>, places: &[Node<'_>; N]) -> Result<[bool; N], Refusal> {
    let mut signed = [false; N];
    for signature in root.descendants().filter(|node| node.local_name() == "Signature") {
        let at = places.iter().position(|place| Some(place.id) == signature.parent());
        let Some(at) = at.filter(|_| signature.is(namespace::DSIG, "Signature")) else {
            return Err(Refusal::rejected("a signature stands where none belongs"));
        };
        if std::mem::replace(&mut signed[at], true) {
            return Err(Refusal::rejected(format!("the {} has two signatures", places[at].local_name())));
        }
        profile(&signature, &places[at])?;
    }
    Ok(signed)
}

/// SAML's profile of XML signatures (Core, 5.4), and our algorithms.
fn profile(signature: &Node<'_>, signed: &Node<'_>) -> Result<(), Refusal> {
    if signature.named(namespace::DSIG, "Object").next().is_some() {
        return Err(Refusal::rejected("the signature carries an object"));
    }
    let info = signature.only(namespace::DSIG, "SignedInfo")?;
    let algorithm = |node: &Node<'_>| node.attribute("Algorithm").unwrap_or_default().to_owned();
    let refuse = |what: &str, algorithm: &str| {
        let shown: String = algorithm.chars().take(100).collect();
        Refusal::rejected(format!("the signature uses a {what} that is not trusted: {shown}"))
    };

    let form = algorithm(&info.only(namespace::DSIG, "CanonicalizationMethod")?);
    if !CANONICALIZATIONS.contains(&form.as_str()) {
        return Err(refuse("canonical form", &form));
    }
    let method = algorithm(&info.only(namespace::DSIG, "SignatureMethod")?);
    if !is_trusted_signature(&method) {
        return Err(refuse("method", &method));
    }
    let reference = info.only(namespace::DSIG, "Reference")?;
    let id = signed.attribute("ID").filter(|id| !id.is_empty());
    if reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != id || id.is_none() {
        return Err(Refusal::rejected("the signature is not of the element that it stands in"));
    }
    let digest = algorithm(&reference.only(namespace::DSIG, "DigestMethod")?);
    if !DIGESTS.contains(&digest.as_str()) {
        return Err(refuse("digest", &digest));
    }
    let transforms: Vec<_> = reference.children().filter(|node| node.local_name() == "Transforms").collect();
    let [transforms] = transforms.as_slice() else {
        return Err(Refusal::rejected("the signature does not say how its element is transformed"));
    };
    let mut count = 0;
    for transform in transforms.children() {
        let used = algorithm(&transform);
        let is_known = used == transform_algorithm::ENVELOPED_SIGNATURE || CANONICALIZATIONS.contains(&used.as_str());
        count += 1;
        if !transform.is(namespace::DSIG, "Transform") || !is_known || count > 2 {
            return Err(refuse("transform", &used));
        }
    }
    Ok(())
}

/// Ciphers that tell nobody anything who changes the ciphertext, and nothing to fetch.
fn encryption(assertion: &Node<'_>, is_signed_around: bool) -> Result<(), Refusal> {
    let fetches = |node: &Node<'_>| matches!(node.local_name(), "CipherReference" | "RetrievalMethod");
    if assertion.descendants().any(|node| fetches(&node)) {
        return Err(Refusal::rejected("the encrypted assertion refers to something outside of it"));
    }
    let data = assertion.only(XENC, "EncryptedData")?;
    let method = |node: &Node<'_>| -> Result<String, Refusal> {
        let method = node.only(XENC, "EncryptionMethod")?;
        Ok(method.attribute("Algorithm").unwrap_or_default().to_owned())
    };
    let cipher = method(&data)?;
    let shown = |algorithm: &str| algorithm.chars().take(100).collect::<String>();
    if CHAINED_CIPHERS.contains(&cipher.as_str()) && !is_signed_around {
        return Err(Refusal::rejected(
            "the assertion is encrypted with AES-CBC, which is only safe inside of a signature: let the identity provider \
             sign the response as well, or encrypt with AES-GCM",
        ));
    }
    if !AUTHENTICATED_CIPHERS.contains(&cipher.as_str()) && !CHAINED_CIPHERS.contains(&cipher.as_str()) {
        let shown = shown(&cipher);
        return Err(Refusal::rejected(format!(
            "the assertion is encrypted with a cipher that is not trusted: {shown}"
        )));
    }
    let key = data.only(namespace::DSIG, "KeyInfo")?.only(XENC, "EncryptedKey")?;
    let transport = method(&key)?;
    if !KEY_TRANSPORTS.contains(&transport.as_str()) {
        let shown = shown(&transport);
        return Err(Refusal::rejected(format!(
            "the key of the assertion is encrypted in a way that is not trusted: {shown}"
        )));
    }
    Ok(())
}
