//! Passwords: Argon2id on a bounded pool of blocking threads.
//!
//! Hashing costs memory and tens of milliseconds of a core by design. A semaphore admits as many at a time
//! as there are cores, so a storm of logins neither starves other requests nor exhausts memory; those that
//! find the queue full are told to come back (503). An unknown user costs as much as a known one.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use rivergen_kernel::{Error, ErrorCode, FieldError, Result, Secret};
use sea_orm::DeriveValueType;
use tokio::sync::Semaphore;

/// A hash in the PHC string format.
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
}

/// How many may wait for a place on the pool before others are turned away.
const QUEUE: usize = 512;

/// Whether a password fits its hash, and whether the hash is of an older cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    Right,
    /// Right, but hashed at another cost: hash it again.
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
        })
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
            let parsed = phc::PasswordHash::new(&text).map_err(|e| Error::internal(e.to_string()))?;
            let right = hasher.verify_password(password.expose().as_bytes(), &parsed).is_ok();
            if !(right && known) {
                return Ok(Verdict::Wrong);
            }
            let params = Params::try_from(&parsed).map_err(|e| Error::internal(e.to_string()))?;
            let current = hasher.params();
            let same = (params.m_cost(), params.t_cost(), params.p_cost())
                == (current.m_cost(), current.t_cost(), current.p_cost());
            Ok(if same { Verdict::Right } else { Verdict::RightButOutdated })
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

/// What a password must be: 8 to 128 characters, upper case, lower case and a digit.
pub fn check_policy(password: &Secret, field: &str, code: ErrorCode) -> Result<()> {
    let text = password.expose();
    let length = text.chars().count();
    let rules: [(bool, &str); 5] = [
        (length >= 8, "must have at least 8 characters"),
        (length <= 128, "must have at most 128 characters"),
        (text.chars().any(|c| c.is_ascii_uppercase()), "must have an upper-case letter A-Z"),
        (text.chars().any(|c| c.is_ascii_lowercase()), "must have a lower-case letter a-z"),
        (text.chars().any(|c| c.is_ascii_digit()), "must have a digit 0-9"),
    ];
    let details: Vec<FieldError> =
        rules.iter().filter(|(kept, _)| !kept).map(|(_, reason)| FieldError::new(field, *reason)).collect();
    if details.is_empty() { Ok(()) } else { Err(Error::new(code).with_details(details)) }
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

    #[test]
    fn the_policy_names_each_rule_that_is_missed() {
        let error = check_policy(&Secret::new("short"), "password", ErrorCode::InvalidPassword).unwrap_err();
        assert_eq!(error.details.len(), 3);
        assert!(check_policy(&Secret::new("Long3nough"), "password", ErrorCode::InvalidPassword).is_ok());
    }
}
