//! An application's proof by a key of its own (`private_key_jwt`; RFC 7523, OpenID Connect Core, section 9): a JWT that it signed
//! for this server alone, for an hour at most, and that is good once.

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet},
};
use rivergen_kernel::{Error, Result, TokenHash};
use rivergen_platform::{Platform, db::is_unique_violation};
use sea_orm::{ActiveValue::Set, entity::prelude::*};
use serde::Deserialize;

use crate::Oauth;

/// What `client_assertion_type` says.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far ahead an assertion may expire. Libraries are generous: many give theirs an hour.
const LONGEST: Duration = Duration::hours(1);
/// How far the application's clock may be off.
const SKEW: Duration = Duration::seconds(60);
const MOST_KEYS: usize = 10;

/// Assertions and proofs of keys ([`crate::dpop`]) that were shown, until they have expired. Known by who made them and their
/// `jti`: of one of them there may be several texts, because an ECDSA signature (r, s) verifies as (r, n − s) too.
pub mod seen {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "oauth_seen")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub jti_hash: TokenHash,
        pub expires_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    /// Whether it is shown for the first time. Index: oauth_seen(jti_hash), unique: of two requests at once one is told so.
    pub async fn is_first(platform: &Platform, known_by: &str, expires_at: DateTime<Utc>) -> Result<bool> {
        let tx = platform.db.begin().await?;
        let row =
            ActiveModel { jti_hash: Set(TokenHash::of(known_by)), expires_at: Set(expires_at), ..Default::default() };
        match Entity::insert(row).exec_without_returning(tx.conn()).await {
            Err(error) if is_unique_violation(&error) => return Ok(false),
            inserted => inserted?,
        };
        tx.commit().await?;
        Ok(true)
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    jti: String,
}

/// An assertion that is good.
struct Proved {
    jti: String,
    expires_at: DateTime<Utc>,
}

/// The algorithms that a key may be used with; none for a key that is not taken.
pub(crate) fn algorithms(key: &Jwk) -> &'static [Algorithm] {
    match &key.algorithm {
        AlgorithmParameters::EllipticCurve(params) => match params.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => &[],
        },
        // 342 letters: 256 bytes, 2048 bits.
        AlgorithmParameters::RSA(params) if params.n.len() >= 342 => &[Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::OctetKeyPair(params) if params.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        _ => &[],
    }
}

/// Checks the keys of an application before they are registered: public ones, asymmetric, each with an id of its own.
pub fn check(keys: &serde_json::Value) -> Result<JwkSet> {
    let wrong = |reason: &str| Error::invalid_field("jwks", reason);
    let list = keys["keys"].as_array().ok_or_else(|| wrong("must be a JWK set: {\"keys\": […]}"))?;
    if list.iter().any(|key| key.get("d").is_some() || key.get("k").is_some()) {
        return Err(wrong("contains a private or symmetric key; do not send it anywhere, and create another"));
    }
    let set: JwkSet = serde_json::from_value(keys.clone()).map_err(|_| wrong("contains a key that cannot be read"))?;
    let ids: Vec<&String> = set.keys.iter().filter_map(|key| key.common.key_id.as_ref()).collect();
    let is_distinct = ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id));
    if set.keys.is_empty() || set.keys.len() > MOST_KEYS || ids.len() != set.keys.len() || !is_distinct {
        return Err(wrong("must contain one to ten keys, each with a kid of its own"));
    }
    match set.keys.iter().all(|key| !algorithms(key).is_empty() && DecodingKey::from_jwk(key).is_ok()) {
        true => Ok(set),
        false => Err(wrong("accepts keys of P-256, P-384, Ed25519, and RSA of 2048 bits or more")),
    }
}

/// Whether one of the keys is among those that an application had, under whichever name.
pub fn shares_a_key(known: &serde_json::Value, keys: &JwkSet) -> bool {
    let known = serde_json::from_value::<JwkSet>(known.clone()).map(|set| set.keys).unwrap_or_default();
    keys.keys.iter().any(|key| known.iter().any(|other| other.algorithm == key.algorithm))
}

/// Whether the application signed the assertion, for this server, now, and shows it for the first time.
pub async fn proves(oauth: &Oauth, client_id: &str, keys: &JwkSet, assertion: &str) -> Result<bool> {
    let platform = oauth.platform();
    let now = platform.clock.now();
    let Some(proved) = verified(oauth.issuer(), client_id, keys, assertion, now) else { return Ok(false) };
    seen::is_first(platform, &format!("{client_id}\0{}", proved.jti), proved.expires_at + SKEW).await
}

/// What a good assertion says, and until when it is good.
fn verified(issuer: &str, client_id: &str, keys: &JwkSet, assertion: &str, now: DateTime<Utc>) -> Option<Proved> {
    let header = jsonwebtoken::decode_header(assertion).ok()?;
    let is_named = |key: &&Jwk| header.kid.is_none() || key.common.key_id == header.kid;
    // Without a name of its own each key is tried that it may be: an application has ten at most.
    let claims = keys.keys.iter().filter(is_named).find_map(|key| {
        // What the token says of its algorithm counts among those of the key alone (RFC 8725, section 3.1).
        let algorithm = *algorithms(key).iter().find(|algorithm| **algorithm == header.alg)?;
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[client_id]);
        validation.set_audience(&[issuer.to_owned(), format!("{issuer}/oauth/token"), format!("{issuer}/oauth/par")]);
        validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
        // Checked below against the injected clock.
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(key).ok()?;
        jsonwebtoken::decode::<Claims>(assertion, &key, &validation).ok().map(|decoded| decoded.claims)
    })?;
    let expires_at = DateTime::from_timestamp(claims.exp, 0)?;
    let is_good = claims.sub == client_id
        && !claims.jti.is_empty()
        // First: what lies at the end of time has no moment after it.
        && expires_at - now <= LONGEST + SKEW
        && now < expires_at + SKEW;
    is_good.then_some(Proved { jti: claims.jti, expires_at })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
    };
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_assertion_is_good_for_an_hour_at_most() {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EncodingKey::from_ec_der(document.as_ref());
        let keys = JwkSet { keys: vec![Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()] };
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let is_good = |exp: i64| {
            let said = json!({"iss": "app", "sub": "app", "aud": "https://rivergen.example", "jti": "1", "exp": exp});
            let signed = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &said, &key).unwrap();
            verified("https://rivergen.example", "app", &keys, &signed, now).is_some()
        };
        assert!(is_good(now.timestamp() + 3600) && is_good(now.timestamp()));
        for bad in [
            now.timestamp() - 61,
            now.timestamp() + 3661,
            DateTime::<Utc>::MAX_UTC.timestamp(),
            DateTime::<Utc>::MIN_UTC.timestamp(),
            i64::MAX,
            i64::MIN,
        ] {
            assert!(!is_good(bad), "{bad}");
        }
    }

    #[test]
    fn only_public_keys_are_registered() {
        let p256 = |more: serde_json::Value| {
            let mut key = json!({"kty": "EC", "crv": "P-256", "kid": "1",
                "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"});
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            key
        };
        check(&json!({"keys": [p256(json!({}))]})).unwrap();
        for bad in [
            json!({}),
            json!({"keys": []}),
            json!({"keys": [p256(json!({"d": "secret"}))]}),
            json!({"keys": [{"kty": "oct", "kid": "1", "k": "c2VjcmV0"}]}),
            json!({"keys": [p256(json!({})), p256(json!({}))]}),
            json!({"keys": [{"kty": "RSA", "kid": "1", "n": "AQAB", "e": "AQAB"}]}),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
