//! The attacks that others fell to, by their names: each response here is one that an honest verifier must not believe, and
//! each is refused for the reason that is its own. So a defence that goes missing shows, even where another one behind it would
//! still hold: either the response is believed then, or it is refused for another reason.

use saml_rs::crypto;

use super::{
    Refusal, document, parties,
    response::{self, Said},
    testing::{Answer, ENTITY_ID, Signer, a_provider, a_signing_provider, now, us},
};
use crate::provider;
use chrono::Duration;
use serde_json::json;

const AES256_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
const AES256_CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const RSA_OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";

/// What becomes of a response that comes to the request `_request`.
fn judge(xml: &str) -> Result<Said, Refusal> {
    judge_as(&a_signing_provider(), xml, Some("_request"))
}

fn judge_as(provider: &provider::Model, xml: &str, request: Option<&str>) -> Result<Said, Refusal> {
    let canonical = document::canonical(xml)?;
    let peer = parties::peer(provider, now())?;
    response::accept(&us(), &peer, &canonical, request, now())
}

#[track_caller]
fn refused(xml: &str, reason: &str) {
    refused_as(&a_signing_provider(), xml, Some("_request"), reason);
}

#[track_caller]
fn refused_as(provider: &provider::Model, xml: &str, request: Option<&str>, reason: &str) {
    match judge_as(provider, xml, request) {
        Ok(said) => panic!("believed: {said:?}"),
        Err(refusal) => {
            assert!(refusal.to_string().contains(reason), "refused because {refusal}, and not because {reason}")
        }
    }
}

/// A text between two marks, with them.
fn cut<'a>(xml: &'a str, from: &str, to: &str) -> &'a str {
    let start = xml.find(from).unwrap();
    let end = start + xml[start..].find(to).unwrap() + to.len();
    &xml[start..end]
}

fn signature(xml: &str) -> &str {
    cut(xml, "<ds:Signature", "</ds:Signature>")
}

fn assertion(xml: &str) -> &str {
    cut(xml, "<saml:Assertion", "</saml:Assertion>")
}

/// The assertion as the attacker would like it: unsigned, of another id, for somebody else.
fn evil(signed: &str) -> String {
    let forged = assertion(signed).replace(signature(signed), "");
    forged.replace("_assertion", "_evil").replace("ada@acme.example", "root@acme.example")
}

#[test]
fn honest_responses_are_believed() {
    for xml in [Answer::default().signed(), Answer::default().signed_around()] {
        let said = judge(&xml).unwrap();
        assert_eq!((said.name_id.value.as_str(), said.assertion_id.as_str()), ("ada@acme.example", "_assertion"));
        assert_eq!(said.session.as_deref(), Some("_session"));
        assert_eq!((said.expires_at, said.session_until), (now() + Duration::minutes(6), None));
        let attribute = &said.attributes[0];
        assert_eq!(attribute.friendly_name.as_deref(), Some("givenName"));
        assert_eq!(attribute.values, ["Ada"]);
    }
    let both = Signer::of_provider().sign(&Answer::default().signed(), true);
    assert!(judge(&both).is_ok());
}

#[test]
fn xsw1_a_forged_response_around_the_signed_one() {
    let signed = Answer::default().signed_around();
    let inner = signed.replace(signature(&signed), "");
    let wrapped = signature(&signed).replace("</ds:Signature>", &format!("{inner}</ds:Signature>"));
    let outer = inner.replace("_response", "_evil").replace("_assertion", "_other").replace("ada@", "root@");
    refused(&outer.replacen("</saml:Issuer>", &format!("</saml:Issuer>{wrapped}"), 1), "more than one assertion");
}

#[test]
fn xsw2_a_forged_response_with_the_signed_one_before_its_signature() {
    let signed = Answer::default().signed_around();
    let inner = signed.replace(signature(&signed), "");
    let outer = inner.replace("_response", "_evil").replace("_assertion", "_other").replace("ada@", "root@");
    let placed = format!("</saml:Issuer>{inner}{}", signature(&signed));
    refused(&outer.replacen("</saml:Issuer>", &placed, 1), "more than one assertion");
}

#[test]
fn xsw3_a_forged_assertion_before_the_signed_one() {
    let signed = Answer::default().signed();
    refused(
        &signed.replacen("<saml:Assertion", &format!("{}<saml:Assertion", evil(&signed)), 1),
        "more than one assertion",
    );
}

#[test]
fn xsw4_a_forged_assertion_around_the_signed_one() {
    let signed = Answer::default().signed();
    let around = evil(&signed).replace("</saml:Assertion>", &format!("{}</saml:Assertion>", assertion(&signed)));
    refused(&signed.replace(assertion(&signed), &around), "more than one assertion");
}

#[test]
fn xsw5_a_changed_assertion_that_keeps_the_signature() {
    let signed = Answer::default().signed();
    let original = assertion(&signed).replace(signature(&signed), "");
    let changed = assertion(&signed).replacen("_assertion", "_evil", 1).replace("ada@", "root@");
    refused(&signed.replace(assertion(&signed), &format!("{changed}{original}")), "more than one assertion");
    // Without the original, the signature is of nothing that is there.
    refused(&signed.replace(assertion(&signed), &changed), "not of the element that it stands in");
}

#[test]
fn xsw6_the_signed_assertion_inside_its_own_signature() {
    let signed = Answer::default().signed();
    let original = assertion(&signed).replace(signature(&signed), "");
    let holding = signature(&signed).replace("</ds:Signature>", &format!("{original}</ds:Signature>"));
    let changed = assertion(&signed).replace(signature(&signed), &holding).replacen("_assertion", "_evil", 1);
    refused(&signed.replace(assertion(&signed), &changed), "more than one assertion");
}

#[test]
fn xsw7_a_forged_assertion_in_an_extension() {
    let signed = Answer::default().signed();
    let extension = format!("<samlp:Extensions>{}</samlp:Extensions><saml:Assertion", evil(&signed));
    refused(&signed.replacen("<saml:Assertion", &extension, 1), "more than one assertion");
    // One in a namespace that nobody looks for is one too many as well.
    let foreign = evil(&signed)
        .replace("saml:Assertion", "x:Assertion")
        .replace("<x:Assertion", r#"<x:Assertion xmlns:x="urn:x""#);
    refused(&signed.replacen("<saml:Assertion", &format!("{foreign}<saml:Assertion"), 1), "more than one assertion");
}

#[test]
fn xsw8_the_signed_assertion_in_an_object_of_its_signature() {
    let signed = Answer::default().signed();
    let original = assertion(&signed).replace(signature(&signed), "");
    let object = format!("<ds:Object>{original}</ds:Object></ds:Signature>");
    let holding = signature(&signed).replace("</ds:Signature>", &object);
    let changed = assertion(&signed).replace(signature(&signed), &holding).replacen("_assertion", "_evil", 1);
    refused(&signed.replace(assertion(&signed), &changed), "more than one assertion");
    // An object alone is nothing that SAML has.
    let empty = signature(&signed).replace("</ds:Signature>", "<ds:Object/></ds:Signature>");
    refused(&signed.replace(signature(&signed), &empty), "carries an object");
}

#[test]
fn an_id_stands_at_one_element() {
    let signed = Answer::default().signed();
    refused(&signed.replace(r#"ID="_response""#, r#"ID="_assertion""#), "an id stands at more than one element");
    // However it is spelled: a reader of another language finds it, too.
    for spelling in ["Id", "id", "AssertionID"] {
        let second = format!(r#"<saml:Subject {spelling}="_assertion">"#);
        refused(&signed.replacen("<saml:Subject>", &second, 1), "an id stands at more than one element");
    }
}

#[test]
fn the_assertion_stands_right_below_the_response() {
    const REASON: &str = "does not stand right below the response";
    let signed = Answer::default().signed();
    let extension = format!("<samlp:Extensions>{}</samlp:Extensions>", assertion(&signed));
    refused(&signed.replace(assertion(&signed), &extension), REASON);
    // What has its name and not its namespace is none.
    let foreign = signed.replace("saml:Assertion", "x:Assertion");
    refused(&foreign.replace("<x:Assertion", r#"<x:Assertion xmlns:x="urn:x""#), REASON);
}

#[test]
fn a_response_holds_no_other() {
    let signed = Answer::default().signed();
    let other = r#"<samlp:Extensions><samlp:Response ID="_other" Version="2.0"/></samlp:Extensions><saml:Assertion"#;
    refused(&signed.replacen("<saml:Assertion", other, 1), "the response has another response in it");
}

#[test]
fn a_signature_stands_right_below_what_it_signs_and_once() {
    let signed = Answer::default().signed();
    let without = signed.replace(signature(&signed), "");
    let deeper = format!("<saml:Subject>{}", signature(&signed));
    refused(&without.replacen("<saml:Subject>", &deeper, 1), "a signature stands where none belongs");
    // What only has its name is one for a reader that looks for the name.
    let foreign = r#"</saml:Issuer><x:Signature xmlns:x="urn:x"/>"#;
    refused(&signed.replacen("</saml:Issuer>", foreign, 1), "a signature stands where none belongs");
    let twice = signature(&signed).repeat(2);
    refused(&signed.replace(signature(&signed), &twice), "the Assertion has two signatures");
}

#[test]
fn a_signature_is_of_one_thing_and_says_how() {
    let signed = Answer::default().signed();
    let doubled = |from: &str, to: &str| {
        let part = cut(signature(&signed), from, to);
        signed.replace(part, &part.repeat(2))
    };
    // Of two descriptions one could be verified and the other one read.
    refused(&doubled("<ds:SignedInfo", "</ds:SignedInfo>"), "Signature has more than one SignedInfo");
    refused(&doubled("<ds:Reference", "</ds:Reference>"), "SignedInfo has more than one Reference");
    refused(&doubled("<ds:Transforms", "</ds:Transforms>"), "does not say how its element is transformed");
    let transforms = cut(signature(&signed), "<ds:Transforms", "</ds:Transforms>");
    refused(&signed.replace(transforms, ""), "does not say how its element is transformed");
    // Each is trusted, and one too many.
    let third = r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>"#;
    refused(&signed.replace("</ds:Transforms>", third), "a transform that is not trusted");
}

#[test]
fn a_posted_logout_has_the_one_shape() {
    let request = |inner: &str| {
        format!(r#"<p:LogoutRequest xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" ID="_a">{inner}</p:LogoutRequest>"#)
    };
    let other = r#"<p:Extensions><p:LogoutRequest ID="_b"/></p:Extensions>"#;
    let foreign = r#"<x:Signature xmlns:x="urn:x"/>"#;
    for (xml, name, reason) in [
        (request(""), "LogoutRequest", "the LogoutRequest is not signed"),
        (request(other), "LogoutRequest", "the LogoutRequest has another in it"),
        (request(foreign), "LogoutRequest", "a signature stands where none belongs"),
        (request(r#"<p:x ID="_a"/>"#), "LogoutRequest", "an id stands at more than one element"),
        (request(""), "LogoutResponse", "a LogoutResponse was expected, and this is a LogoutRequest"),
    ] {
        let refusal = document::logout(&xml, name).unwrap_err();
        assert!(refusal.to_string().contains(reason), "refused because {refusal}, and not because {reason}");
    }
}

#[test]
fn a_comment_cuts_no_name_off() {
    let answer = Answer { name_id: "ada@acme.example.evil.example".to_owned(), ..Answer::default() };
    let signed = answer.signed();
    // The signature does not cover comments, so whoever has an account at evil.example can put one in.
    let commented = signed.replace("ada@acme.example.evil", "ada@acme.example<!-- -->.evil");
    assert_ne!(signed, commented);
    assert_eq!(judge(&commented).unwrap().name_id.value, "ada@acme.example.evil.example");
    // There is nothing left of it that a second reader could stumble over.
    let canonical = document::canonical(&commented).unwrap();
    assert!(canonical.contains("ada@acme.example.evil.example") && !canonical.contains("<!--"), "{canonical}");
    // CDATA and references are text like any other.
    let escaped = signed.replace("ada@acme.example.evil", "ada<![CDATA[@acme.example]]>&#46;evil");
    assert_eq!(judge(&escaped).unwrap().name_id.value, "ada@acme.example.evil.example");
}

#[test]
fn a_name_says_who_gave_it() {
    let xml = Answer::default().xml();
    let named = xml.replace("<saml:NameID ", r#"<saml:NameID NameQualifier="https://upstream.example" "#);
    assert_ne!(xml, named);
    let said = judge(&Signer::of_provider().sign(&named, false)).unwrap();
    assert_eq!(said.name_id.qualifier.as_deref(), Some("https://upstream.example"));
    assert_eq!(judge(&Answer::default().signed()).unwrap().name_id.qualifier, None);
}

#[test]
fn an_external_entity_is_not_read() {
    let signed = Answer::default().signed();
    let xml =
        format!(r#"<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>{}"#, signed.replace("ada@", "&file;@"));
    refused(&xml, "DOCTYPE");
    assert!(matches!(judge(&xml), Err(Refusal::Unreadable(_))));
    // Nor is one that is declared nowhere.
    assert!(matches!(judge(&signed.replace("ada@", "&file;@")), Err(Refusal::Unreadable(_))));
}

#[test]
fn an_entity_bomb_does_not_go_off() {
    let mut bomb = r#"<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">"#.to_owned();
    for n in 1..20 {
        let twice = format!("&a{};", n - 1).repeat(10);
        bomb.push_str(&format!(r#"<!ENTITY a{n} "{twice}">"#));
    }
    let xml = format!("{bomb}]>{}", Answer::default().signed().replace("ada@", "&a19;@"));
    refused(&xml, "DOCTYPE");
}

#[test]
fn size_and_depth_are_bounded() {
    // A NameID is the fourth level.
    let nested = |levels| Answer { name_id: "<x>".repeat(levels) + &"</x>".repeat(levels), ..Answer::default() }.xml();
    let deepest = document::DEEPEST as usize - 4;
    assert!(document::canonical(&nested(deepest)).is_ok());
    refused(&nested(deepest + 1), "maximum depth");
    let large = "A".repeat(document::LARGEST * 4 / 3 + 100);
    let refusal = document::decode(&large).unwrap_err();
    assert!(refusal.to_string().contains("larger than"), "{refusal}");
    refused(&format!("<?evil instruction?>{}", Answer::default().signed()), "processing instruction");
    refused(r#"<x xmlns="urn:x"/>"#, "a Response was expected");
    refused(r#"<Response xmlns="urn:x"/>"#, "a Response was expected");
    for (sent, reason) in [("%%%", "is not base64"), ("/w==", "is not UTF-8")] {
        let refusal = document::decode(sent).unwrap_err();
        assert!(refusal.to_string().contains(reason), "{refusal}");
    }
}

#[test]
fn what_is_not_signed_is_not_believed() {
    refused(&Answer::default().xml(), "neither the response nor the assertion is signed");
    // An assertion that came into a signed response afterwards, and a signed assertion in a response that was changed.
    let signed = Answer::default().signed_around();
    refused(&signed.replace("ada@", "root@"), "signature does not match");
    let signed = Answer::default().signed();
    refused(&signed.replace("ada@", "root@"), "signature does not match");
    // The signature of the assertion, moved to the response, and the other way round.
    let moved = signed.replace(signature(&signed), "");
    let moved = moved.replacen("</saml:Issuer>", &format!("</saml:Issuer>{}", signature(&signed)), 1);
    refused(&moved, "not of the element that it stands in");
    let signed = Answer::default().signed_around();
    let moved = signed.replace(signature(&signed), "");
    let inner = assertion(&moved).replacen("</saml:Issuer>", &format!("</saml:Issuer>{}", signature(&signed)), 1);
    refused(&moved.replace(assertion(&moved), &inner), "not of the element that it stands in");
    // A reference to everything signs whatever stands around it.
    refused(&signed.replace(r##"URI="#_response""##, r#"URI="""#), "not of the element that it stands in");
}

#[test]
fn a_valid_signature_does_not_excuse_one_that_is_not() {
    let both = Signer::of_provider().sign(&Answer::default().signed(), true);
    // The response was signed around an assertion that was signed; then the response is changed, where nothing but its
    // signature tells.
    let changed = both.replacen(r#" Version="2.0""#, r#" Version="2.0" Consent="urn:evil""#, 1);
    refused(&changed, "signature does not match");
    // And the other way round: the response is signed anew, by somebody else, around what the provider signed.
    refused(&Signer::of_another().sign(&Answer::default().signed(), true), "certificate that is not among those");
}

#[test]
fn algorithms_are_not_bargained_down() {
    let signed = Answer::default().signed();
    let rsa = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    for weak in [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        // The key of which would be the certificate, which everybody has.
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "",
    ] {
        refused(&signed.replace(rsa, weak), "a method that is not trusted");
    }
    let sha1 = signed.replace("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1");
    refused(&sha1, "a digest that is not trusted");
    let exclusive = r#"Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#""#;
    assert!(signed.contains(exclusive));
    for transform in [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    ] {
        let changed = signed.replace(exclusive, &format!(r#"Transform Algorithm="{transform}""#));
        refused(&changed, "a transform that is not trusted");
    }
    let method = r#"CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"#;
    assert!(signed.contains(method));
    refused(&signed.replace(method, &format!("{method}WithComments")), "a canonical form that is not trusted");
}

#[test]
fn a_weak_signature_is_refused_that_verifies() {
    // The provider itself has signed each of these, and whoever only verifies them believes them.
    const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
    const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
    const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let signer = Signer::of_provider();
    let of = |element: &str, algorithm: &str| format!(r#"{element} Algorithm="{algorithm}""#);
    let with_comments = format!("{EXCLUSIVE}WithComments");
    for (element, usual, other, reason) in [
        ("DigestMethod", SHA256, SHA1, "a digest that is not trusted"),
        ("Transform", EXCLUSIVE, with_comments.as_str(), "a transform that is not trusted"),
        ("CanonicalizationMethod", EXCLUSIVE, with_comments.as_str(), "a canonical form that is not trusted"),
    ] {
        let weak = signer.sign_otherwise(&Answer::default().xml(), &of(element, usual), &of(element, other));
        let (verified, _) = crypto::verify::verify_signature(&weak, std::slice::from_ref(&signer.certificate)).unwrap();
        assert!(verified, "{element}");
        refused(&weak, reason);
    }
}

#[test]
fn the_certificate_of_another_is_worth_nothing() {
    let of_another = Signer::of_another().sign(&Answer::default().xml(), false);
    refused(&of_another, "certificate that is not among those of this provider");
    // Without its certificate in it, the signature fits no key.
    let info = cut(&of_another, "<ds:KeyInfo", "</ds:KeyInfo>").to_owned();
    refused(&of_another.replace(&info, ""), "signature does not match");
    // The same with the right certificate claimed.
    let claimed = of_another.replace(&Signer::of_another().certificate, &Signer::of_provider().certificate);
    refused(&claimed, "signature does not match");
}

#[test]
fn a_rotated_key_is_believed_until_its_certificate_ends() {
    let signed = Answer::default().signed();
    let (new, old, expired) = (Signer::of_another(), Signer::of_provider(), Signer::expired());
    let with = |certificates| provider::Model { certificates, ..a_provider() };
    let both = with(json!([new.certificate, old.certificate]));
    assert!(judge_as(&both, &signed, Some("_request")).is_ok());
    let late = expired.sign(&Answer::default().xml(), false);
    let beside = with(json!([new.certificate, expired.certificate]));
    refused_as(&beside, &late, Some("_request"), "certificate that is not among those of this provider");
    let alone = with(json!([expired.certificate]));
    refused_as(&alone, &late, Some("_request"), "the certificate of this provider expired on 2030-04-17");
}

#[test]
fn it_must_be_for_us_and_from_them() {
    let elsewhere = || "https://other.example/acs".to_owned();
    for (answer, reason) in [
        (
            Answer { audience: elsewhere(), ..Answer::default() },
            "the response is for the audience https://other.example/acs, and this provider expects https://rivergen",
        ),
        (Answer { recipient: elsewhere(), ..Answer::default() }, "for another recipient"),
        (Answer { destination: elsewhere(), ..Answer::default() }, "it is addressed to https://other.example/acs"),
        (Answer { issuer: elsewhere(), ..Answer::default() }, "it is issued by https://other.example/acs"),
        (Answer { request: Some("_of_another"), ..Answer::default() }, "answers a different request"),
        (Answer { request: None, ..Answer::default() }, "answers a different request"),
    ] {
        refused(&answer.signed(), reason);
        refused(&answer.signed_around(), reason);
    }
    // Not for anybody is not for everybody; nor is it enough to be named beside somebody whom it is for.
    let signed = |xml: String| Signer::of_provider().sign(&xml, false);
    let xml = Answer::default().xml();
    let restriction = cut(&xml, "<saml:AudienceRestriction>", "</saml:AudienceRestriction>");
    refused(&signed(xml.replace(restriction, "")), "names no audience");
    let both = format!(
        "{restriction}<saml:AudienceRestriction><saml:Audience>urn:x</saml:Audience></saml:AudienceRestriction>"
    );
    refused(&signed(xml.replace(restriction, &both)), "the response is for the audience");
    let method = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
    refused(&signed(xml.replace(method, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")), "not a bearer assertion");
    // One that can be delivered for ever could be delivered again once its id is forgotten.
    let end = cut(&xml, "<saml:SubjectConfirmationData NotOnOrAfter=\"", "\" ");
    refused(&signed(xml.replace(end, "<saml:SubjectConfirmationData ")), "not a bearer assertion");
}

#[test]
fn the_session_ends_when_the_provider_says() {
    let until = |minutes| {
        let end = now() + Duration::minutes(minutes);
        (end, Answer { session_until: Some(end), ..Answer::default() }.signed())
    };
    let (end, signed) = until(90);
    assert_eq!(judge(&signed).unwrap().session_until, Some(end));
    refused(&until(-2).1, "it has expired or is not valid yet: SessionNotOnOrAfter");
}

#[test]
fn time_is_that_of_our_clock_with_a_minute_of_grace() {
    let until = |seconds| Answer {
        issued: now() - Duration::minutes(5),
        until: now() + Duration::seconds(seconds),
        ..Answer::default()
    };
    assert!(judge(&until(-59).signed()).is_ok());
    refused(&until(-60).signed(), "clocks of both servers");
    // Good from a minute before it was issued.
    let issued = |seconds| Answer { issued: now() + Duration::seconds(seconds), ..Answer::default() };
    assert!(judge(&issued(119).signed()).is_ok());
    refused(&issued(121).signed(), "clocks of both servers");
}

#[test]
fn what_nobody_asked_for_answers_nothing() {
    let unasked = Answer { request: None, ..Answer::default() }.signed();
    assert!(judge_as(&a_signing_provider(), &unasked, None).is_ok());
    // The answer to somebody's request is not to be slipped to somebody else as one that nobody asked for.
    refused_as(&a_signing_provider(), &Answer::default().signed(), None, "a request that was not made here");
    let stripped = Answer::default().signed().replacen(r#" InResponseTo="_request""#, "", 1);
    refused_as(&a_signing_provider(), &stripped, None, "a request that was not made here");
}

#[test]
fn a_refusal_of_the_provider_is_told_in_its_words() {
    let xml = Answer::default().xml();
    let status = cut(&xml, "<samlp:Status>", "</samlp:Status>");
    let denied = r#"<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:RequestDenied"/></samlp:StatusCode><samlp:StatusMessage>Not assigned</samlp:StatusMessage></samlp:Status>"#;
    let denied = xml.replace(status, denied).replace(assertion(&xml), "");
    refused(&denied, "refused the sign-in: Responder, RequestDenied (Not assigned)");
    refused(&xml.replace(assertion(&xml), ""), "the response has no assertion");
}

fn encrypted(xml: &str, cipher: &str, transport: &str) -> String {
    crypto::encrypt_assertion(xml, &Signer::of_ours().certificate, cipher, transport, "saml").unwrap()
}

#[test]
fn encrypted_assertions_are_read_where_the_signature_is_right() {
    let inside = encrypted(&Answer::default().signed(), AES256_GCM, RSA_OAEP);
    assert_eq!(judge(&inside).unwrap().name_id.value, "ada@acme.example");
    for cipher in [AES256_GCM, AES256_CBC] {
        let around = Signer::of_provider().sign(&encrypted(&Answer::default().xml(), cipher, RSA_OAEP), true);
        assert_eq!(judge(&around).unwrap().name_id.value, "ada@acme.example");
        // Changed in any place, nothing of it is decrypted.
        let issuer = format!("<saml:Issuer>{ENTITY_ID}");
        refused(&around.replacen(&issuer, "<saml:Issuer>https://evil.example", 1), "signature does not match");
    }
}

#[test]
fn decryption_tells_nothing() {
    const SAME: &str = "could not be decrypted and verified";
    let honest = encrypted(&Answer::default().signed(), AES256_GCM, RSA_OAEP);
    // Everybody can encrypt for us: an unsigned one, one of another, one with two in it.
    refused(&encrypted(&Answer::default().xml(), AES256_GCM, RSA_OAEP), SAME);
    refused(&encrypted(&Signer::of_another().sign(&Answer::default().xml(), false), AES256_GCM, RSA_OAEP), SAME);
    let signed = Answer::default().signed();
    let two = evil(&signed).replace("</saml:Assertion>", &format!("{}</saml:Assertion>", assertion(&signed)));
    refused(&encrypted(&signed.replace(assertion(&signed), &two), AES256_GCM, RSA_OAEP), SAME);
    // Encrypted for somebody else, or changed.
    let foreign = crypto::encrypt_assertion(
        &Answer::default().signed(),
        &Signer::of_another().certificate,
        AES256_GCM,
        RSA_OAEP,
        "saml",
    )
    .unwrap();
    refused(&foreign, SAME);
    let value = cut(&honest, "<xenc:CipherValue>", "</xenc:CipherValue>").to_owned();
    let changed = value.replacen("<xenc:CipherValue>", "<xenc:CipherValue>AAAA", 1);
    refused(&honest.replace(&value, &changed), SAME);
    // A padding oracle needs CBC without a signature around it, Bleichenbacher's PKCS #1 v1.5.
    refused(&encrypted(&Answer::default().signed(), AES256_CBC, RSA_OAEP), "only safe inside of a signature");
    refused(&honest.replace(RSA_OAEP, "http://www.w3.org/2001/04/xmlenc#rsa-1_5"), "in a way that is not trusted");
    refused(
        &honest.replace(AES256_GCM, "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        "a cipher that is not trusted",
    );
    let reference = honest.replace(&value, r#"<xenc:CipherReference URI="http://169.254.169.254/"/>"#);
    refused(&reference, "refers to something outside");
    let retrieved = r#"<ds:RetrievalMethod URI="http://169.254.169.254/"/><xenc:EncryptedKey"#;
    assert!(honest.contains("<xenc:EncryptedKey"));
    refused(&honest.replacen("<xenc:EncryptedKey", retrieved, 1), "refers to something outside");
}
