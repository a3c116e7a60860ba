//! Proofs of a key (DPoP; RFC 9449), by which a token is of use to nobody who stole it: whoever asks for a token signs the
//! request with a key of their own, the token names the key (`cnf`), and each use of it is signed anew.
//!
//! ```text
//! POST /oauth/token + DPoP: proof(key, POST, /oauth/token) ─▶ access token with cnf.jkt, token_type DPoP
//! GET /api/v1/…  + Authorization: DPoP token + DPoP: proof(key, GET, /api/v1/…, hash of the token)
//! ```
//!
//! A proof is good for one request: for its method, its address and its token, for a minute, and once. The address is this
//! server's public one, whichever it was reached by.

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{DecodingKey, Validation, jwk::ThumbprintHash};
use rivergen_kernel::Result;
use rivergen_platform::{
    http::{KeyFault, KeyProof},
    limits::Rule,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;
use utoipa::ToSchema;

use crate::{
    Access,
    assertion::{self, seen},
};

/// What a JWT of this kind says it is.
const TYPE: &str = "dpop+jwt";
const NONCE_TYPE: &str = "dpop-nonce+jwt";

/// How old a proof may be.
const AGE: Duration = Duration::seconds(60);
/// How far the client's clock may be off.
const SKEW: Duration = Duration::seconds(60);
const NONCE_LIVES: Duration = Duration::minutes(5);

/// Proofs of one key: each is written down until it has run out, whatever else is counted where it is shown.
const PROOFS_BY_KEY: Rule = Rule::new("oauth_proofs_by_key", 1200, std::time::Duration::from_secs(60));

/// More than any proof needs, in bytes.
const LONGEST: usize = 8192;
/// What a private or symmetric key has, and a public one has not (RFC 7518, section 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Which key a token is bound to (RFC 7800, section 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Confirmation {
    /// The thumbprint of the key (RFC 7638), SHA-256 in base64url.
    #[schema(examples("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"))]
    pub jkt: String,
}

/// Whether a text can be the thumbprint of a key.
pub fn is_thumbprint(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: Option<String>,
    nonce: Option<String>,
}

/// A proof that is good, but for whether it was shown before.
#[derive(Debug)]
struct Proved {
    jkt: String,
    jti: String,
    nonce: Option<String>,
    /// From then on it is too old.
    ends_at: DateTime<Utc>,
}

/// A nonce of this server's, by which a proof cannot have been made long before (RFC 9449, section 8).
#[derive(Serialize, Deserialize)]
struct Nonce {
    iss: String,
    exp: i64,
}

/// The key that a request to a door of the protocol proves, by its thumbprint; none where it brings no proof.
pub async fn shown(access: &Access, headers: &HeaderMap, path: &str) -> Result<Option<String>> {
    if !KeyProof::is_in(headers) {
        return Ok(None);
    }
    prove(access, KeyProof::of(headers, "POST", path), None).await.map(Some)
}

/// A token that is bound to a key.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    pub token: &'a str,
    /// The key's thumbprint.
    pub key: &'a str,
}

/// The key that a proof is of, by its thumbprint; the [`KeyFault`] where the proof is not good. With a token it must be for
/// that one, and of its key: whoever has found the token and not the key leaves nothing behind.
pub async fn prove(access: &Access, proof: KeyProof<'_>, bound: Option<Bound<'_>>) -> Result<String> {
    let platform = access.platform();
    let now = platform.clock.now();
    let jwt = proof.jwt.ok_or(KeyFault::Wrong("there must be exactly one, in the header DPoP"))?;
    let address = format!("{}{}", platform.public_url, proof.path);
    let token = bound.map(|bound| bound.token);
    let proved = verified(jwt, proof.method, &address, token, now).map_err(KeyFault::Wrong)?;
    if bound.is_some_and(|bound| bound.key != proved.jkt) {
        return Err(KeyFault::Wrong("it uses a different key than the token").into());
    }
    if access.settings().dpop_nonce && !is_fresh(access, proved.nonce.as_deref(), now).await? {
        let nonce = Nonce { iss: platform.public_url.to_string(), exp: (now + NONCE_LIVES).timestamp() };
        return Err(KeyFault::Nonce(access.keys().sign(NONCE_TYPE, &nonce)?).into());
    }
    platform.limits.check(&PROOFS_BY_KEY, &proved.jkt)?;
    // A key's own: no client can use up what another one is about to say.
    let known_by = format!("dpop\0{}\0{}", proved.jkt, proved.jti);
    match seen::is_first(platform, &known_by, proved.ends_at).await? {
        true => Ok(proved.jkt),
        false => Err(KeyFault::Wrong("it was already used").into()),
    }
}

async fn is_fresh(access: &Access, nonce: Option<&str>, now: DateTime<Utc>) -> Result<bool> {
    let Some(nonce) = nonce else { return Ok(false) };
    let said = access.signed::<Nonce>(NONCE_TYPE, nonce, &["exp", "iss"]).await?;
    Ok(said.is_some_and(|said| now.timestamp() < said.exp))
}

/// Checks everything that the proof says itself (RFC 9449, section 4.3); the reason where it is not good.
fn verified(
    jwt: &str,
    method: &str,
    address: &str,
    token: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Proved, &'static str> {
    let unreadable = "it cannot be read";
    if jwt.len() > LONGEST {
        return Err("it is too long");
    }
    let header = jsonwebtoken::decode_header(jwt).map_err(|_| unreadable)?;
    if header.typ.as_deref() != Some(TYPE) {
        return Err("its typ must be dpop+jwt");
    }
    // Nothing that must be understood is.
    if header.crit.is_some() {
        return Err("it has critical headers");
    }
    let key = header.jwk.ok_or("its header must hold the public key, jwk")?;
    if holds_private_part(jwt).ok_or(unreadable)? {
        return Err("its header holds a private key; make another one");
    }
    // The algorithm is among the key's own, never the proof's choice (RFC 8725, section 3.1).
    let algorithm = assertion::algorithms(&key).iter().find(|algorithm| **algorithm == header.alg);
    let algorithm = *algorithm.ok_or("this server does not support its algorithm for the key")?;
    let verifying = DecodingKey::from_jwk(&key).map_err(|_| unreadable)?;
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_aud = false;
    // It has none; its age is checked below against the injected clock.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(jwt, &verifying, &validation).map_err(|_| "it does not verify")?.claims;
    if claims.jti.is_empty() {
        return Err("its jti is empty");
    }
    if claims.htm != method {
        return Err("its htm is not the method of the request");
    }
    if !is_address(&claims.htu, address) {
        return Err("its htu is not the public address of the request");
    }
    let made_at = DateTime::from_timestamp(claims.iat, 0).ok_or(unreadable)?;
    let ends_at = made_at.checked_add_signed(AGE + SKEW).ok_or(unreadable)?;
    if made_at > now + SKEW || now >= ends_at {
        return Err("its iat is not now");
    }
    if let Some(token) = token
        && claims.ath != Some(URL_SAFE_NO_PAD.encode(Sha256::digest(token)))
    {
        return Err("its ath is not the hash of the token");
    }
    let jkt = key.thumbprint(ThumbprintHash::SHA256).map_err(|_| unreadable)?;
    Ok(Proved { jkt, jti: claims.jti, nonce: claims.nonce, ends_at })
}

/// Whether the key in the header is more than a public one. The library reads over what it does not need.
fn holds_private_part(jwt: &str) -> Option<bool> {
    let header = URL_SAFE_NO_PAD.decode(jwt.split('.').next()?).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    let key = header.get("jwk")?.as_object()?;
    Some(PRIVATE.iter().any(|part| key.contains_key(*part)))
}

/// Whether it is the address, apart from how it is written, its query and its fragment.
fn is_address(htu: &str, address: &str) -> bool {
    let (Ok(mut htu), Ok(address)) = (Url::parse(htu), Url::parse(address)) else { return false };
    htu.set_query(None);
    htu.set_fragment(None);
    htu == address
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
    };
    use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
    use serde_json::{Value, json};

    use super::*;

    const ADDRESS: &str = "https://rivergen.example/api/v1/me";

    struct Key {
        key: EncodingKey,
        jwk: Jwk,
    }

    impl Key {
        fn new() -> Self {
            let document =
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
            let key = EncodingKey::from_ec_der(document.as_ref());
            let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
            Self { key, jwk }
        }

        fn header(&self) -> Header {
            Header { typ: Some(TYPE.to_owned()), jwk: Some(self.jwk.clone()), ..Header::new(Algorithm::ES256) }
        }

        /// Signed over any header, also one that no library would write.
        fn sign(&self, header: &Value, claims: &Value) -> String {
            let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", encoded(header), encoded(claims));
            let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, Algorithm::ES256).unwrap();
            format!("{signed}.{signature}")
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn claims(more: &Value) -> Value {
        let mut all = json!({"jti": "1", "htm": "GET", "htu": ADDRESS, "iat": now().timestamp(),
            "ath": URL_SAFE_NO_PAD.encode(Sha256::digest("token"))});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    }

    fn read(jwt: &str) -> Result<Proved, &'static str> {
        verified(jwt, "GET", ADDRESS, Some("token"), now())
    }

    #[test]
    fn a_proof_is_for_one_request() {
        let key = Key::new();
        let sign = |claims: &Value| jsonwebtoken::encode(&key.header(), claims, &key.key).unwrap();
        let good = read(&sign(&claims(&json!({})))).unwrap();
        assert_eq!(good.jkt, key.jwk.thumbprint(ThumbprintHash::SHA256).unwrap());
        assert!(is_thumbprint(&good.jkt));
        for same in ["HTTPS://RIVERGEN.example:443/api/v1/me", "https://rivergen.example/api/v1/me?x=1#y"] {
            read(&sign(&claims(&json!({"htu": same})))).unwrap();
        }
        for wrong in [
            json!({"htm": "POST"}),
            json!({"htm": "get"}),
            json!({"htu": "https://rivergen.example/api/v1/me/"}),
            json!({"htu": "https://evil.example/api/v1/me"}),
            json!({"htu": "http://rivergen.example/api/v1/me"}),
            json!({"htu": "/api/v1/me"}),
            json!({"iat": now().timestamp() - 120}),
            json!({"iat": now().timestamp() + 61}),
            json!({"iat": i64::MAX}),
            json!({"jti": ""}),
            json!({"ath": URL_SAFE_NO_PAD.encode(Sha256::digest("another"))}),
            json!({"ath": null}),
        ] {
            assert!(read(&sign(&claims(&wrong))).is_err(), "{wrong}");
        }
        // Of two clocks one is always behind.
        for iat in [now().timestamp() - 119, now().timestamp() + 60] {
            read(&sign(&claims(&json!({"iat": iat})))).unwrap();
        }
    }

    #[test]
    fn a_proof_is_by_the_key_that_it_holds() {
        let (key, other) = (Key::new(), Key::new());
        let said = claims(&json!({}));
        let header = |more: Value| {
            let mut all = json!({"typ": TYPE, "alg": "ES256", "jwk": key.jwk});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        read(&key.sign(&header(json!({})), &said)).unwrap();
        let mut private = json!(key.jwk);
        private["d"] = json!("c2VjcmV0");
        for wrong in [
            json!({"typ": "JWT"}),
            json!({"typ": null}),
            json!({"alg": "HS256"}),
            json!({"alg": "RS256"}),
            json!({"crit": ["x"]}),
            json!({"jwk": null}),
            json!({"jwk": private}),
            json!({"jwk": other.jwk}),
            json!({"jwk": {"kty": "oct", "k": "c2VjcmV0"}}),
        ] {
            assert!(read(&key.sign(&header(wrong.clone()), &said)).is_err(), "{wrong}");
        }
        for nonsense in ["", "a.b.c", &"x".repeat(LONGEST + 1)] {
            assert!(read(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn clients_are_told_the_algorithms_that_are_taken() {
        let told = format!("algs=\"{}\"", crate::metadata::SIGNED_BY_CLIENTS.join(" "));
        for fault in [KeyFault::Missing, KeyFault::Wrong("x"), KeyFault::Nonce("x".to_owned())] {
            assert!(fault.challenge().ends_with(&told), "{}", fault.challenge());
        }
    }
}
