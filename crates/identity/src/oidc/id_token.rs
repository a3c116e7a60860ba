//! What a provider says of a person, checked before a word of it is read: signature, issuer, audience, expiry, the time of
//! issue, nonce, and that the access token belongs to it.

use std::{future::Future, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use openidconnect::{
    AccessTokenHash, ClaimsVerificationError, JwsSigningAlgorithm, Nonce, OAuth2TokenResponse,
    SignatureVerificationError, TokenResponse,
    core::{CoreIdTokenClaims, CoreIdTokenVerifier, CoreJsonWebKeyType, CoreJwsSigningAlgorithm, CoreTokenResponse},
};
use rivergen_platform::Platform;

use super::{Client, Discovered, Discovery, Failure};

/// How far the provider's clock may be ahead of this server's.
const SKEW: Duration = Duration::seconds(60);

/// A token that was checked.
#[derive(Debug)]
pub struct IdToken {
    pub claims: CoreIdTokenClaims,
    /// As it came: three parts of base64.
    pub text: String,
    /// The client that knows the keys it was checked with.
    pub client: Client,
}

impl IdToken {
    /// Checks the token of an answer. One that no known key has signed has the document read anew, from which `renew`
    /// makes the client.
    pub async fn check<F>(
        platform: &Platform,
        discovery: &Discovery,
        tokens: &CoreTokenResponse,
        nonce: String,
        (client, discovered): (Client, Arc<Discovered>),
        renew: impl FnOnce() -> F,
    ) -> Result<Self, Failure>
    where
        F: Future<Output = Result<(Client, Arc<Discovered>), Failure>>,
    {
        let id_token = tokens.id_token().ok_or_else(|| Failure::of("the provider sent no id_token"))?;
        let nonce = Nonce::new(nonce);
        let checked = id_token.claims(&verifier(platform, &client, &discovered), &nonce).map(drop);
        let (client, discovered) = match checked {
            Err(error) if is_of_another_key(&error) && discovery.renew(platform, &discovered).await? => renew().await?,
            _ => (client, discovered),
        };
        let verifier = verifier(platform, &client, &discovered);
        let claims = id_token.claims(&verifier, &nonce)?.clone();
        // The library lets one pass that names no other audience.
        if claims.authorized_party().is_some_and(|party| party != client.client_id()) {
            return Err(Failure::of("the id_token was issued to another client"));
        }
        if let Some(expected) = claims.access_token_hash() {
            let key = id_token.signing_key(&verifier)?;
            if AccessTokenHash::from_token(tokens.access_token(), id_token.signing_alg()?, key)? != *expected {
                return Err(Failure::of("the access token is not the one that the id_token was issued with"));
            }
        }
        drop(verifier);
        Ok(Self { claims, text: id_token.to_string(), client })
    }
}

/// Whether none of the known keys has signed it: it names none of them, or one that is perhaps another by now.
fn is_of_another_key(error: &ClaimsVerificationError) -> bool {
    use SignatureVerificationError::{CryptoError, NoMatchingKey};

    matches!(error, ClaimsVerificationError::SignatureVerification(NoMatchingKey | CryptoError(_)))
}

/// The library's verifier, by this server's clock, and for signatures that only the provider can make: a shared secret
/// or no signature at all is refused, whatever the discovery document offers.
fn verifier<'a>(platform: &'a Platform, client: &'a Client, discovered: &Discovered) -> CoreIdTokenVerifier<'a> {
    let offered = discovered.metadata.id_token_signing_alg_values_supported().iter();
    let algorithms: Vec<_> = offered.filter(|alg| is_by_key(alg)).cloned().collect();
    client
        .id_token_verifier()
        .set_allowed_algs(algorithms)
        .set_time_fn(|| platform.clock.now())
        .set_issue_time_verifier_fn(|issued_at| is_not_ahead(issued_at, platform.clock.now()))
}

/// How long it holds says its expiry.
fn is_not_ahead(issued_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), String> {
    match issued_at > now + SKEW {
        true => Err(format!("it says that it was issued at {issued_at}, and it is {now}")),
        false => Ok(()),
    }
}

/// Whether the algorithm signs with a key of which this server has only the public half.
pub fn is_by_key(algorithm: &CoreJwsSigningAlgorithm) -> bool {
    algorithm.key_type().is_some_and(|kind| kind != CoreJsonWebKeyType::Symmetric) && !algorithm.uses_shared_secret()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_of_the_future() {
        let now = Utc::now();
        for (seconds, good) in [(-7200, true), (0, true), (59, true), (61, false)] {
            assert_eq!(is_not_ahead(now + Duration::seconds(seconds), now).is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn neither_shared_secrets_nor_none_are_signatures() {
        use CoreJwsSigningAlgorithm::*;
        for by_key in [RsaSsaPkcs1V15Sha256, RsaSsaPssSha256, EcdsaP256Sha256, EdDsa] {
            assert!(is_by_key(&by_key), "{by_key:?}");
        }
        for other in [HmacSha256, HmacSha512, None] {
            assert!(!is_by_key(&other), "{other:?}");
        }
    }
}
