//! From what a provider said of a person to an [`Assertion`]: which of its attributes is what.
//!
//! The provider's `attribute_mapping` goes first; where it is silent, the names that Okta, Microsoft Entra ID, Google
//! Workspace, Keycloak, ADFS and Shibboleth use are tried. An attribute is known by its Name and by its FriendlyName.

use std::collections::BTreeMap;

use rivergen_identity::email_address;
use rivergen_kernel::Secret;
use saml_rs::constants::name_id_format;

use super::{
    Refusal,
    response::{NameId, Said},
};
use crate::{
    provider::{
        self,
        mapping::{self, SUBJECT},
    },
    sign_in::Assertion,
};

const EMAIL: &[&str] = &[
    "email",
    "mail",
    "Email",
    "emailAddress",
    "user.email",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "http://schemas.xmlsoap.org/claims/EmailAddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "urn:oid:1.2.840.113549.1.9.1",
];
const NAME: &[&str] = &[
    "name",
    "displayName",
    "display_name",
    "cn",
    "http://schemas.microsoft.com/identity/claims/displayname",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "urn:oid:2.5.4.3",
];
const FIRST_NAME: &[&str] = &[
    "firstName",
    "FirstName",
    "first_name",
    "givenName",
    "given_name",
    "user.firstName",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
    "urn:oid:2.5.4.42",
];
const LAST_NAME: &[&str] = &[
    "lastName",
    "LastName",
    "last_name",
    "surname",
    "sn",
    "family_name",
    "user.lastName",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
    "urn:oid:2.5.4.4",
];
const GROUPS: &[&str] = &[
    "groups",
    "Groups",
    "group",
    "member",
    "memberOf",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.xmlsoap.org/claims/Group",
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
];
/// Where Entra and ADFS say how the person signed in.
const METHODS: &str = "http://schemas.microsoft.com/claims/authnmethodsreferences";
/// What says that two factors were asked for.
const SECOND_FACTOR: &[&str] = &[
    "http://schemas.microsoft.com/claims/multipleauthn",
    "https://refeds.org/profile/mfa",
    "http://schemas.openid.net/pape/policies/2007/06/multi-factor",
    "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract",
    "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorUnregistered",
    "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI",
];

pub(super) fn assertion(provider: &provider::Model, said: Said) -> Result<Assertion, Refusal> {
    let NameId { value: name_id, format, qualifier } = &said.name_id;
    let second_factor = {
        let methods = said.attributes.iter().filter(|attribute| attribute.name == METHODS);
        let mut words = said.contexts.iter().chain(methods.flat_map(|attribute| &attribute.values));
        words.any(|word| SECOND_FACTOR.contains(&word.as_str()))
    };
    let named = mapping::Said::new(provider, attributes(&said));
    let subject = match provider.mapping().get(SUBJECT) {
        Some(name) => match named.values(SUBJECT, &[]) {
            [subject] => subject.clone(),
            [] => return Err(Refusal::rejected(format!("the attribute {name}, which identifies people, is missing"))),
            _ => {
                return Err(Refusal::rejected(format!(
                    "the attribute {name}, which identifies people, has several values"
                )));
            }
        },
        None if format == name_id_format::TRANSIENT => {
            return Err(Refusal::rejected(
                "the NameID is transient: it is different each time. Have the identity provider send a persistent one \
                 or an e-mail address, or map `subject` to an attribute that does not change",
            ));
        }
        // One that a provider behind this one gave: each of them may give the same to somebody else (SAML Core, 8.3.7).
        None if format == name_id_format::PERSISTENT && qualifier.is_some() && *qualifier != provider.entity_id => {
            return Err(Refusal::rejected(
                "the NameID was issued by a different identity provider (NameQualifier) than this one. Have it send \
                 its own, or map `subject` to an attribute",
            ));
        }
        None => name_id.clone(),
    };
    mapping::check_subject(&subject).map_err(Refusal::rejected)?;
    let is_mapped = provider.mapping().contains_key("email");
    let email = named.email(EMAIL).or_else(|| said.name_id.as_address().filter(|_| !is_mapped));
    // Where a provider sends the parts, its name may be an id: a person is called by the parts.
    let names = if named.first("first_name", FIRST_NAME).is_some() { &[][..] } else { NAME };
    Ok(Assertion {
        subject,
        email,
        // A provider of the organization vouches for the addresses of its people; for which domains, is decided later.
        email_verified: true,
        display_name: named.display_name(names, FIRST_NAME, LAST_NAME),
        groups: named.groups(GROUPS),
        second_factor,
        idp_session: said.session.clone(),
        logout_hint: Some(Secret::new(serde_json::json!([name_id, format]).to_string())),
        session_until: said.session_until,
        authenticated_at: said.authenticated_at,
        attributes: named.into_attributes(),
    })
}

/// By their names, and by their friendly names where no name is the same.
fn attributes(said: &Said) -> BTreeMap<String, Vec<String>> {
    let friendly = said.attributes.iter().filter_map(|attribute| Some((attribute.friendly_name.clone()?, attribute)));
    let own = said.attributes.iter().map(|attribute| (attribute.name.clone(), attribute));
    friendly.chain(own).map(|(name, attribute)| (name, attribute.values.clone())).collect()
}

impl NameId {
    /// The NameID itself, where it is an address.
    fn as_address(&self) -> Option<String> {
        let may_be = [name_id_format::EMAIL_ADDRESS, name_id_format::UNSPECIFIED].contains(&self.format.as_str());
        email_address::normalise(&self.value, "email").ok().filter(|_| may_be)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::saml::{
        response::Attribute,
        testing::{ENTITY_ID, a_provider},
    };

    fn said(format: &str, value: &str, attributes: &[(&str, Option<&str>, &[&str])]) -> Said {
        Said {
            assertion_id: "_a".to_owned(),
            expires_at: chrono::DateTime::UNIX_EPOCH,
            name_id: NameId { value: value.to_owned(), format: format.to_owned(), qualifier: None },
            attributes: attributes
                .iter()
                .map(|(name, friendly, values)| Attribute {
                    name: (*name).to_owned(),
                    friendly_name: friendly.map(str::to_owned),
                    values: values.iter().map(|value| (*value).to_owned()).collect(),
                })
                .collect(),
            session: Some("s1".to_owned()),
            session_until: None,
            authenticated_at: None,
            contexts: Vec::new(),
        }
    }

    #[test]
    fn what_the_usual_providers_send_is_understood() {
        let entra = said(
            name_id_format::EMAIL_ADDRESS,
            "Ada@Acme.example",
            &[
                ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", None, &["Ada"]),
                ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", None, &["Lovelace"]),
                ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", None, &["ada@acme.example"]),
                ("http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", None, &["g1", "g2"]),
                (METHODS, None, &["http://schemas.microsoft.com/claims/multipleauthn"]),
            ],
        );
        let keycloak = said(
            name_id_format::PERSISTENT,
            "G-1",
            &[
                ("urn:oid:1.2.840.113549.1.9.1", Some("email"), &["ada@acme.example"]),
                ("urn:oid:2.5.4.42", Some("givenName"), &["Ada"]),
                ("urn:oid:2.5.4.4", Some("surname"), &["Lovelace"]),
                ("member", None, &["g1", "g2"]),
            ],
        );
        let okta = said(
            name_id_format::UNSPECIFIED,
            "ada@acme.example",
            &[("firstName", None, &["Ada"]), ("lastName", None, &["Lovelace"]), ("groups", None, &["g1", "g2"])],
        );
        for (vendor, said, second_factor) in
            [("entra", entra, true), ("keycloak", keycloak, false), ("okta", okta, false)]
        {
            let found = assertion(&a_provider(), said).unwrap();
            assert_eq!(found.email.as_deref(), Some("ada@acme.example"), "{vendor}");
            assert_eq!(found.display_name.as_deref(), Some("Ada Lovelace"), "{vendor}");
            assert_eq!(found.groups, ["g1", "g2"], "{vendor}");
            assert_eq!(found.second_factor, second_factor, "{vendor}");
            assert_eq!(found.idp_session.as_deref(), Some("s1"), "{vendor}");
        }
    }

    #[test]
    fn the_mapping_goes_before_what_is_usual() {
        let mut provider = a_provider();
        provider.attribute_mapping =
            json!({"email": "Work", "name": "Called", "groups": "Teams", "cost_center": "costCenter"});
        let said = said(
            name_id_format::PERSISTENT,
            "p1",
            &[
                ("mail", None, &["private@acme.example"]),
                ("urn:x:work", Some("Work"), &["Ada@acme.example"]),
                ("Called", None, &["Ada"]),
                ("groups", None, &["not these"]),
                ("Teams", None, &["red"]),
                ("urn:x:cost", Some("costCenter"), &["4711"]),
            ],
        );
        let found = assertion(&provider, said).unwrap();
        assert_eq!(found.email.as_deref(), Some("ada@acme.example"));
        assert_eq!(found.display_name.as_deref(), Some("Ada"));
        assert_eq!(found.groups, ["red"]);
        assert_eq!(found.attributes["costCenter"], ["4711"]);
        // What is mapped and did not come is not replaced by a guess.
        let without =
            assertion(&provider, Said { attributes: Vec::new(), ..self::said(name_id_format::PERSISTENT, "p1", &[]) });
        assert_eq!(without.unwrap().email, None);
    }

    #[test]
    fn a_persistent_name_is_this_providers_own() {
        let of = |format: &str, qualifier: Option<&str>| {
            let mut said = said(format, "p1", &[]);
            said.name_id.qualifier = qualifier.map(str::to_owned);
            assertion(&a_provider(), said).map(|assertion| assertion.subject)
        };
        let other = Some("https://upstream.example");
        for (format, qualifier) in [
            (name_id_format::PERSISTENT, None),
            (name_id_format::PERSISTENT, Some(ENTITY_ID)),
            (name_id_format::UNSPECIFIED, other),
        ] {
            assert_eq!(of(format, qualifier).unwrap(), "p1", "{format} {qualifier:?}");
        }
        let refused = of(name_id_format::PERSISTENT, other).unwrap_err();
        assert!(refused.to_string().contains("NameQualifier"), "{refused}");
    }

    #[test]
    fn a_transient_name_is_nobodys_unless_an_attribute_stands_for_it() {
        let transient = || said(name_id_format::TRANSIENT, "_x", &[("uid", None, &["ada"])]);
        let refused = assertion(&a_provider(), transient()).unwrap_err();
        assert!(refused.to_string().contains("transient"), "{refused}");
        let mut provider = a_provider();
        provider.attribute_mapping = json!({"subject": "uid"});
        assert_eq!(assertion(&provider, transient()).unwrap().subject, "ada");
        provider.attribute_mapping = json!({"subject": "nothing"});
        assert!(assertion(&provider, transient()).is_err());
    }
}
