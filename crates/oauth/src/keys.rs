//! With what this server signs what it gives to applications: access tokens with one algorithm, ID tokens with another, or
//! with the one that the application asked for.
//!
//! Whoever an access token is shown to reads the published keys; it is signed with ECDSA, which costs a twentieth of RSA. Of ID
//! tokens a client of OpenID Connect that was told nothing takes those of RSA alone (Core, section 3.1.3.7).

use std::{fmt, sync::Arc};

use jsonwebtoken::jwk::JwkSet;
use rivergen_kernel::Result;
use rivergen_platform::{
    Clock, Database,
    signing::{Purpose, SigningAlgorithm, SigningKeys, VerifyingKey},
    vault::Vault,
};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// With what tokens of applications can be signed. Not with EdDSA: libraries disagree on how the ID token of such a key refers
/// to the access token (`at_hash`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum TokenAlgorithm {
    #[sea_orm(string_value = "ES256")]
    #[serde(rename = "ES256")]
    Es256,
    #[sea_orm(string_value = "RS256")]
    #[serde(rename = "RS256")]
    Rs256,
}

impl TokenAlgorithm {
    pub const fn as_str(self) -> &'static str {
        self.signing().as_str()
    }

    /// None for one that no token is signed with here.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Es256, Self::Rs256].into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    const fn signing(self) -> SigningAlgorithm {
        match self {
            Self::Es256 => SigningAlgorithm::ES256,
            Self::Rs256 => SigningAlgorithm::RS256,
        }
    }
}

impl fmt::Display for TokenAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What signs what.
#[derive(Debug, Clone)]
pub struct Algorithms {
    pub access_tokens: TokenAlgorithm,
    /// Those that an application may ask for; the first where it asks for none. Without any, that of access tokens.
    pub id_tokens: Vec<TokenAlgorithm>,
}

impl Algorithms {
    /// With what an application's ID tokens are signed: as it asked for, where that is offered still.
    fn of_id_token(&self, asked: Option<TokenAlgorithm>) -> TokenAlgorithm {
        let offered = asked.filter(|algorithm| self.id_tokens.contains(algorithm));
        offered.or(self.id_tokens.first().copied()).unwrap_or(self.access_tokens)
    }

    /// Those of ID tokens of which access tokens have no key.
    fn others(&self) -> Vec<TokenAlgorithm> {
        let mut others = self.id_tokens.clone();
        others.retain(|algorithm| *algorithm != self.access_tokens);
        others.dedup();
        others
    }
}

/// The keys that sign, one of each algorithm, and those that verify; cheap to clone.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    algorithms: Algorithms,
    access_tokens: SigningKeys,
    others: Vec<(TokenAlgorithm, SigningKeys)>,
}

impl Keys {
    /// Reads the keys, and makes those that there are not. What is left of an algorithm that the settings named before signs
    /// no more, and verifies what it signed.
    pub async fn load_or_create(db: &Database, vault: &Vault, clock: &Clock, algorithms: Algorithms) -> Result<Self> {
        let mut named = vec![algorithms.access_tokens.signing()];
        let mut others = Vec::new();
        for algorithm in algorithms.others() {
            named.push(algorithm.signing());
            others.push((algorithm, load(db, vault, clock, algorithm).await?));
        }
        // The last, because they verify and are published with all that there are by now: those of the others are made above.
        let access_tokens = load(db, vault, clock, algorithms.access_tokens).await?;
        let tx = db.begin().await?;
        access_tokens.retire_others(&tx, &named).await?;
        tx.commit().await?;
        Ok(Self(Arc::new(Inner { algorithms, access_tokens, others })))
    }

    /// Those of each algorithm, by which they are rotated; the first sign access tokens.
    pub fn each(&self) -> impl Iterator<Item = (TokenAlgorithm, &SigningKeys)> {
        let others = self.0.others.iter().map(|(algorithm, keys)| (*algorithm, keys));
        [(self.0.algorithms.access_tokens, &self.0.access_tokens)].into_iter().chain(others)
    }

    /// With what ID tokens are signed, as applications may ask for; the first where they ask for none.
    pub fn of_id_tokens(&self) -> &[TokenAlgorithm] {
        match self.0.algorithms.id_tokens.as_slice() {
            [] => std::slice::from_ref(&self.0.algorithms.access_tokens),
            named => named,
        }
    }

    /// With what the ID tokens of an application are signed that asked for this.
    pub fn of_id_token(&self, asked: Option<TokenAlgorithm>) -> TokenAlgorithm {
        self.0.algorithms.of_id_token(asked)
    }

    /// Signs an access token, or what nobody but this server reads.
    pub fn sign<C: Serialize>(&self, typ: &str, claims: &C) -> Result<String> {
        Ok(self.0.access_tokens.sign(typ, claims)?)
    }

    /// Signs an ID token of an application that asked for this algorithm.
    pub fn sign_id_token<C: Serialize>(&self, asked: Option<TokenAlgorithm>, typ: &str, claims: &C) -> Result<String> {
        let algorithm = self.of_id_token(asked);
        let other = self.0.others.iter().find(|(other, _)| *other == algorithm);
        let keys = other.map_or(&self.0.access_tokens, |(_, keys)| keys);
        Ok(keys.sign(typ, claims)?)
    }

    /// The key of that id, of whichever algorithm.
    pub async fn verifying(&self, kid: &str) -> Result<Option<Arc<VerifyingKey>>> {
        self.0.access_tokens.verifying(kid).await
    }

    /// All of them, to publish (RFC 7517).
    pub fn jwks(&self) -> JwkSet {
        self.0.access_tokens.jwks()
    }
}

async fn load(db: &Database, vault: &Vault, clock: &Clock, algorithm: TokenAlgorithm) -> Result<SigningKeys> {
    let (db, vault, clock) = (db.clone(), vault.clone(), clock.clone());
    SigningKeys::load_or_create(db, vault, clock, Purpose::Applications, algorithm.signing()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_given_the_algorithm_that_it_asks_for_where_it_is_offered() {
        use TokenAlgorithm::{Es256, Rs256};

        let both = Algorithms { access_tokens: Es256, id_tokens: vec![Rs256, Es256] };
        assert_eq!(both.of_id_token(None), Rs256);
        assert_eq!(both.of_id_token(Some(Es256)), Es256);
        assert_eq!(both.others(), [Rs256]);
        let one = Algorithms { access_tokens: Es256, id_tokens: vec![Rs256, Rs256] };
        assert_eq!(one.of_id_token(Some(Es256)), Rs256);
        assert_eq!(one.others(), [Rs256]);
        let none = Algorithms { access_tokens: Es256, id_tokens: Vec::new() };
        assert_eq!((none.of_id_token(Some(Rs256)), none.others()), (Es256, Vec::new()));
    }

    #[test]
    fn an_algorithm_is_named_as_in_its_standard() {
        for name in ["ES256", "RS256"] {
            assert_eq!(TokenAlgorithm::from_name(name).map(|algorithm| algorithm.to_string()).as_deref(), Some(name));
        }
        for other in ["none", "EdDSA", "HS256", "es256", ""] {
            assert_eq!(TokenAlgorithm::from_name(other), None, "{other}");
        }
    }
}
