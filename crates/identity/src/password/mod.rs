//! Passwords: Argon2id on a bounded pool of blocking threads.
//!
//! Hashing costs memory and tens of milliseconds of a core by design. A semaphore admits as many at a time
//! as there are cores, so a storm of logins neither starves other requests nor exhausts memory; those that
//! find the queue full are told to come back (503). An unknown user costs as much as a known one.
//!
//! Hashes of other systems ([`import`]) are verified as they are and become Argon2id at the next login.

pub mod breached;
mod history;
pub mod import;
mod policy;

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use rivergen_kernel::{Error, ErrorCode, Result, Secret};
use sea_orm::DeriveValueType;
use tokio::sync::Semaphore;

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

/// The pool; cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    hasher: Argon2<'static>,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// A hash that nobody's password has, at the same cost.
    decoy: Arc<str>,
    /// Passwords that are known from breaches elsewhere.
    breached: Option<Arc<breached::BreachedList>>,
}

/// How many may wait for a place on the pool before others are turned away.
const QUEUE: usize = 512;

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
        let params =
            Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(|e| Error::internal(e.to_string()))?;
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get());
        let decoy: phc::PasswordHash =
            hasher.hash_password(b"a password that no account has").map_err(|e| Error::internal(e.to_string()))?;
        Ok(Self {
            hasher,
            running: Arc::new(Semaphore::new(threads)),
            waiting: Arc::new(Semaphore::new(QUEUE)),
            decoy: decoy.to_string().into(),
            breached: None,
        })
    }

    /// Refuses passwords of the list from now on.
    pub fn with_breached_list(self, list: breached::BreachedList) -> Self {
        Self { breached: Some(Arc::new(list)), ..self }
    }

    pub async fn hash(&self, password: Secret) -> Result<PasswordHash> {
        let hasher = self.hasher.clone();
        self.on_the_pool(move || {
            let hash: phc::PasswordHash =
                hasher.hash_password(password.expose().as_bytes()).map_err(|e| Error::internal(e.to_string()))?;
            Ok(PasswordHash(hash.to_string()))
        })
        .await
    }

    /// With `None` (an unknown account, or one without a password) it works as long and says wrong.
    pub async fn verify(&self, password: Secret, hash: Option<PasswordHash>) -> Result<Verdict> {
        let hasher = self.hasher.clone();
        let known = hash.is_some();
        let text: Arc<str> = hash.map_or_else(|| self.decoy.clone(), |hash| hash.0.into());
        self.on_the_pool(move || {
            let verdict = verify(&hasher, password.expose().as_bytes(), &text)?;
            Ok(if known { verdict } else { Verdict::Wrong })
        })
        .await
    }

    /// 32 bytes from a secret that is random but short, under a salt: what a stolen table is worth is then bounded by
    /// the cost of a password.
    pub async fn derive(&self, secret: Secret, salt: Vec<u8>) -> Result<[u8; 32]> {
        let hasher = self.hasher.clone();
        self.on_the_pool(move || {
            let mut derived = [0; 32];
            hasher
                .hash_password_into(secret.expose().as_bytes(), &salt, &mut derived)
                .map_err(|e| Error::internal(e.to_string()))?;
            Ok(derived)
        })
        .await
    }

    async fn on_the_pool<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let busy = || Error::new(ErrorCode::ServiceUnavailable).with_retry_after(Duration::from_secs(2));
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        let turn = self.running.clone().acquire_owned().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller who hangs up does not free the core that still hashes.
            let _turn = turn;
            work()
        })
        .await
        .map_err(Error::internal)?
    }
}

fn verify(hasher: &Argon2<'_>, password: &[u8], hash: &str) -> Result<Verdict> {
    if !hash.starts_with("$argon2") {
        let right = import::verify(password, hash)?;
        return Ok(if right { Verdict::RightButOutdated } else { Verdict::Wrong });
    }
    let parsed = phc::PasswordHash::new(hash).map_err(|e| Error::internal(e.to_string()))?;
    if hasher.verify_password(password, &parsed).is_err() {
        return Ok(Verdict::Wrong);
    }
    let params = Params::try_from(&parsed).map_err(|e| Error::internal(e.to_string()))?;
    let current = hasher.params();
    let same = parsed.algorithm.as_str() == "argon2id"
        && (params.m_cost(), params.t_cost(), params.p_cost())
            == (current.m_cost(), current.t_cost(), current.p_cost());
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
