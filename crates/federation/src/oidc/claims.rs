//! From the claims of a checked ID token, and of the userinfo beside it, to an [`Assertion`].
//!
//! A claim is read under the name that the provider's mapping gives it, or else the standard's. A dot leads into an object:
//! `realm_access.roles`. An address counts as the person's only where the provider says so (`email_verified`, or the claim
//! that is mapped to it: Entra ID has `xms_edov`).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{AccessToken, AdditionalClaims, UserInfoClaims, core::CoreGenderClaim};
use rivergen_identity::oidc::{Failure, GuardedHttp, IdToken, Metadata};
use rivergen_kernel::{Result, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    provider::{
        self,
        mapping::{self, Said},
    },
    sign_in::Assertion,
};

/// Claims beyond the standard ones.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Others {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Others {}

/// Claims of the protocol itself, which say nothing of the person.
const OF_THE_PROTOCOL: [&str; 12] =
    ["iss", "aud", "exp", "iat", "nbf", "nonce", "azp", "at_hash", "c_hash", "s_hash", "jti", "auth_time"];

/// More names than these help nobody to choose one.
const MOST_OFFERED: usize = 200;

/// The names of what the provider can say of people, where its document tells them; those that no mapping takes are left out.
pub(crate) fn offered(metadata: &Metadata) -> Vec<String> {
    let names = metadata.claims_supported().into_iter().flatten().map(|claim| claim.as_str());
    let of_people = names.filter(|name| !name.is_empty() && name.len() <= 255 && !OF_THE_PROTOCOL.contains(name));
    of_people.take(MOST_OFFERED).map(str::to_owned).collect()
}

/// What the provider says of the person.
pub(super) async fn assertion(
    http: &GuardedHttp,
    provider: &provider::Model,
    id_token: &IdToken,
    access_token: &AccessToken,
) -> Result<Assertion, Failure> {
    let mut claims = payload(&id_token.text)?;
    let wanted = provider.mapping();
    let is_missing = |claims: &Map<String, Value>| {
        let named = wanted.values().map(String::as_str).chain(["email", "email_verified", "name"]);
        named.into_iter().any(|name| found(claims, name).is_none())
    };
    // The provider is asked only for what its token does not say.
    if is_missing(&claims) {
        claims = completed(claims, user_info(http, id_token, access_token).await?, &wanted);
    }
    of_claims(provider, id_token, claims)
}

/// What the token says, and of what it does not say what the userinfo endpoint does.
fn completed(
    mut claims: Map<String, Value>,
    mut info: Map<String, Value>,
    mapping: &BTreeMap<String, String>,
) -> Map<String, Value> {
    let named = |ours: &'static str| mapping.get(ours).map_or(ours, String::as_str);
    let (address, proof) = (named("email"), named("email_verified"));
    // Who has an address from the one has the proof of it from there, too: the other says so of another, or of none.
    match (found(&claims, address), found(&info, address)) {
        (Some(email), other) if Some(email) != other => forget(&mut info, proof),
        (None, Some(_)) => forget(&mut claims, proof),
        _ => {}
    }
    for (name, value) in info {
        claims.entry(name).or_insert(value);
    }
    claims
}

/// The claims of a token whose signature was checked over this very text.
fn payload(token: &str) -> Result<Map<String, Value>, Failure> {
    let part = token.split('.').nth(1).ok_or_else(|| Failure::of("the id_token has no payload"))?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

/// What the userinfo endpoint says, where there is one; its subject must be the token's.
async fn user_info(
    http: &GuardedHttp,
    id_token: &IdToken,
    access_token: &AccessToken,
) -> Result<Map<String, Value>, Failure> {
    let subject = id_token.claims.subject().clone();
    let Ok(request) = id_token.client.user_info(access_token.clone(), Some(subject)) else { return Ok(Map::new()) };
    let info: UserInfoClaims<Others, CoreGenderClaim> = request.request_async(http).await?;
    match serde_json::to_value(&info)? {
        Value::Object(claims) => Ok(claims),
        _ => Ok(Map::new()),
    }
}

fn of_claims(provider: &provider::Model, id_token: &IdToken, claims: Map<String, Value>) -> Result<Assertion, Failure> {
    let subject = id_token.claims.subject().to_string();
    let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in claims.iter().filter(|(name, _)| !OF_THE_PROTOCOL.contains(&name.as_str())) {
        flatten(name, value, &mut attributes);
    }
    let said = Said::new(provider, attributes);
    let second_factor = has_two_factors(&claims);
    // The usual claim speaks of the usual address alone.
    let is_usual = provider.mapping().get("email").is_none_or(|name| name == "email");
    let verified: &[&str] = if is_usual { &["email_verified"] } else { &[] };
    // One that cannot be kept is as none.
    let idp_session = claims.get("sid").and_then(Value::as_str).filter(|sid| mapping::check_subject(sid).is_ok());
    let assertion = Assertion {
        email_verified: said.first("email_verified", verified).is_some_and(is_true),
        email: said.email(&["email"]),
        display_name: said.display_name(&["name"], &["given_name"], &["family_name"]),
        groups: said.groups(&["groups"]),
        second_factor,
        idp_session: idp_session.map(str::to_owned),
        logout_hint: Some(Secret::new(id_token.text.clone())),
        session_until: None,
        authenticated_at: id_token.claims.auth_time(),
        attributes: said.into_attributes(),
        subject,
    };
    mapping::check_subject(&assertion.subject).map_err(Failure::of)?;
    Ok(assertion)
}

/// Text, numbers and truth values under the claim's name; of an array each; of an object each under a path with dots.
fn flatten(name: &str, value: &Value, into: &mut BTreeMap<String, Vec<String>>) {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => {
            into.insert(name.to_owned(), values.iter().filter_map(text).collect());
        }
        Value::Object(inner) => {
            for (key, value) in inner {
                flatten(&format!("{name}.{key}"), value, into);
            }
        }
        other => {
            if let Some(text) = text(other) {
                into.insert(name.to_owned(), vec![text]);
            }
        }
    }
}

/// The claim of this name, or of this path.
fn found<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let mut parts = name.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    })
}

/// Takes away what [`found`] finds.
fn forget(claims: &mut Map<String, Value>, name: &str) {
    claims.remove(name);
    let Some((first, rest)) = name.split_once('.') else { return };
    if let Some(Value::Object(inner)) = claims.get_mut(first) {
        forget(inner, rest);
    }
}

/// A truth as providers write it.
fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text == "1"
}

/// RFC 8176 has `mfa` for it; of the contexts those that mean nothing else.
fn has_two_factors(claims: &Map<String, Value>) -> bool {
    const CONTEXTS: [&str; 3] = [
        "http://schemas.openid.net/pape/policies/2007/06/multi-factor",
        "https://refeds.org/profile/mfa",
        "urn:okta:loa:2fa:any",
    ];
    let methods = claims.get("amr").and_then(Value::as_array).into_iter().flatten();
    let context = claims.get("acr").and_then(Value::as_str);
    methods.filter_map(Value::as_str).any(|method| method == "mfa")
        || context.is_some_and(|context| CONTEXTS.contains(&context))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn objects_are_reached_by_a_path() {
        let all = claims(json!({"realm_access": {"roles": ["a", 1, null]}, "age": 36, "a.b": "whole"}));
        assert_eq!(found(&all, "realm_access.roles"), Some(&json!(["a", 1, null])));
        assert_eq!(found(&all, "a.b"), Some(&json!("whole")));
        assert_eq!((found(&all, "realm_access.groups"), found(&all, "age.x")), (None, None));
        let mut flat = BTreeMap::new();
        all.iter().for_each(|(name, value)| flatten(name, value, &mut flat));
        assert_eq!(flat["realm_access.roles"], ["a", "1"]);
        assert_eq!(flat["age"], ["36"]);
    }

    #[test]
    fn an_address_and_its_proof_come_from_one_place_whatever_they_are_called() {
        let usual: &[(&str, &str)] = &[];
        let entra: &[(&str, &str)] = &[("email_verified", "xms_edov")];
        let nested: &[(&str, &str)] = &[("email", "person.mail"), ("email_verified", "proofs.mail")];
        for (mapping, token, info, proof, is_proved) in [
            (usual, json!({"email": "a@x"}), json!({"email": "b@x", "email_verified": true}), "email_verified", false),
            (usual, json!({"email": "a@x"}), json!({"email": "a@x", "email_verified": true}), "email_verified", true),
            (entra, json!({"email": "a@x"}), json!({"email": "b@x", "xms_edov": true}), "xms_edov", false),
            (entra, json!({"email": "a@x"}), json!({"xms_edov": true}), "xms_edov", false),
            (entra, json!({"xms_edov": true}), json!({"email": "b@x"}), "xms_edov", false),
            (entra, json!({"email": "a@x", "xms_edov": true}), json!({"email": "b@x"}), "xms_edov", true),
            (
                nested,
                json!({"person": {"mail": "a@x"}}),
                json!({"person": {"mail": "b@x"}, "proofs": {"mail": true}}),
                "proofs.mail",
                false,
            ),
            (nested, json!({"proofs": {"mail": true}}), json!({"person": {"mail": "b@x"}}), "proofs.mail", false),
        ] {
            let mapping = mapping.iter().map(|(ours, theirs)| ((*ours).to_owned(), (*theirs).to_owned())).collect();
            let all = completed(claims(token), claims(info), &mapping);
            assert_eq!(found(&all, proof).is_some(), is_proved, "{mapping:?} {all:?}");
        }
    }

    #[test]
    fn two_factors_are_said_and_not_guessed() {
        for two in [json!({"amr": ["pwd", "mfa"]}), json!({"acr": "https://refeds.org/profile/mfa"})] {
            assert!(has_two_factors(&claims(two.clone())), "{two}");
        }
        for one in [json!({"amr": ["pwd", "otp"]}), json!({"amr": "mfa"}), json!({"acr": "1"}), json!({})] {
            assert!(!has_two_factors(&claims(one.clone())), "{one}");
        }
    }
}
