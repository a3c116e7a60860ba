//! Passwords: Argon2id on threads of its own.
//!
//! Hashing costs memory and tens of milliseconds of a core by design; the [`pool`] bounds what it takes. An unknown
//! user costs as much as a known one.
//!
//! Hashes of other systems ([`import`]) are verified as they are and become Argon2id at the next login.

pub mod breached;
mod history;
pub mod import;
mod policy;
mod pool;

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version, password_hash::phc};
use pool::{Memory, Pool};
use rivergen_kernel::{Error, Result, Secret};
use sea_orm::DeriveValueType;

pub use history::Change;
pub use policy::{PasswordPolicy, check_policy};

/// A hash in the PHC string format, or bcrypt's own.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PasswordHash(String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What hashing costs; OWASP's first recommendation is 19 MiB, 2 passes, 1 lane.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// Hashes and verifies; cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    hasher: Argon2<'static>,
    pool: Pool,
    /// A hash that nobody's password has, at the same cost.
    decoy: Arc<str>,
    /// Passwords that are known from breaches elsewhere.
    breached: Option<Arc<breached::BreachedList>>,
}

/// Whether a password fits its hash, and whether the hash is of an older cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    Right,
    /// Right, but hashed at another cost or in another way: hash it again.
    RightButOutdated,
}

impl Passwords {
    /// Fails where the cost is outside what Argon2 allows.
    pub fn new(cost: Cost) -> Result<Self> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(internal)?;
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&hasher, b"a password that no account has", &mut Memory::default())?.0.into();
        let pool = Pool::start(hasher.params().block_count())?;
        Ok(Self { hasher, pool, decoy, breached: None })
    }

    /// Refuses passwords of the list from now on.
    pub fn with_breached_list(self, list: breached::BreachedList) -> Self {
        Self { breached: Some(Arc::new(list)), ..self }
    }

    pub async fn hash(&self, password: Secret) -> Result<PasswordHash> {
        let hasher = self.hasher.clone();
        self.pool.run(move |memory| hash(&hasher, password.expose().as_bytes(), memory)).await
    }

    /// With `None` (an unknown account, or one without a password) it works as long and says wrong.
    pub async fn verify(&self, password: Secret, hash: Option<PasswordHash>) -> Result<Verdict> {
        let hasher = self.hasher.clone();
        let known = hash.is_some();
        let text: Arc<str> = hash.map_or_else(|| self.decoy.clone(), |hash| hash.0.into());
        let verdict = self.pool.run(move |memory| verify(&hasher, password.expose().as_bytes(), &text, memory)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    /// 32 bytes from a secret that is random but short, under a salt: what a stolen table is worth is then bounded by
    /// the cost of a password.
    pub async fn derive(&self, secret: Secret, salt: Vec<u8>) -> Result<[u8; 32]> {
        let hasher = self.hasher.clone();
        self.pool
            .run(move |memory| {
                let mut derived = [0; 32];
                fill(&hasher, secret.expose().as_bytes(), &salt, &mut derived, memory)?;
                Ok(derived)
            })
            .await
    }
}

/// An error of the crates, which is none of the standard library's in all of them.
fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(error.to_string())
}

fn fill(hasher: &Argon2<'_>, password: &[u8], salt: &[u8], out: &mut [u8], memory: &mut Memory) -> Result<()> {
    let memory = memory.of(hasher.params().block_count());
    hasher.hash_password_into_with_memory(password, salt, out, memory).map_err(internal)
}

fn hash(hasher: &Argon2<'_>, password: &[u8], memory: &mut Memory) -> Result<PasswordHash> {
    let salt = phc::Salt::new(&rand::random::<[u8; 16]>()).map_err(internal)?;
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    fill(hasher, password, &salt, &mut out, memory)?;
    let hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: hasher.params().try_into().map_err(internal)?,
        salt: Some(salt),
        hash: Some(phc::Output::new(&out).map_err(internal)?),
    };
    Ok(PasswordHash(hash.to_string()))
}

fn verify(current: &Argon2<'_>, password: &[u8], hash: &str, memory: &mut Memory) -> Result<Verdict> {
    if !hash.starts_with("$argon2") {
        let right = import::verify(password, hash)?;
        return Ok(if right { Verdict::RightButOutdated } else { Verdict::Wrong });
    }
    let parsed = phc::PasswordHash::new(hash).map_err(internal)?;
    let (Some(salt), Some(right)) = (&parsed.salt, &parsed.hash) else {
        return Err(Error::internal("a password hash without salt or hash"));
    };
    let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(internal)?;
    // A hash that names no version is of the first one.
    let version = parsed.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(internal)?;
    let params = Params::try_from(&parsed).map_err(internal)?;
    let cost = (params.m_cost(), params.t_cost(), params.p_cost());
    let mut out = [0; phc::Output::MAX_LENGTH];
    let out = &mut out[..right.len()];
    fill(&Argon2::new(algorithm, version, params), password, salt, out, memory)?;
    // Compared in constant time.
    if phc::Output::new(out).map_err(internal)? != *right {
        return Ok(Verdict::Wrong);
    }
    let now = current.params();
    let same = (algorithm, version) == (Algorithm::Argon2id, Version::V0x13)
        && cost == (now.m_cost(), now.t_cost(), now.p_cost());
    Ok(if same { Verdict::Right } else { Verdict::RightButOutdated })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap(passes: u32) -> Passwords {
        Passwords::new(Cost { memory_kib: 64, passes, lanes: 1 }).unwrap()
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let passwords = cheap(1);
        let hash = passwords.hash(Secret::new("Correct1horse")).await.unwrap();
        assert_eq!(passwords.verify(Secret::new("Correct1horse"), Some(hash.clone())).await.unwrap(), Verdict::Right);
        assert_eq!(passwords.verify(Secret::new("correct1horse"), Some(hash.clone())).await.unwrap(), Verdict::Wrong);
        assert_eq!(
            passwords.verify(Secret::new("a password that no account has"), None).await.unwrap(),
            Verdict::Wrong
        );
        let dearer = cheap(2);
        assert_eq!(dearer.verify(Secret::new("Correct1horse"), Some(hash)).await.unwrap(), Verdict::RightButOutdated);
    }
}
