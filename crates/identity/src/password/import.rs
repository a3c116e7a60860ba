//! Password hashes that other systems made: bcrypt, scrypt, PBKDF2 and Argon2.
//!
//! A hash whose cost is beyond reason is refused when it is brought in: whoever brings hashes in must not be able to
//! make a login cost minutes or gigabytes.

use argon2::password_hash::{PasswordVerifier, phc};
use pbkdf2::Pbkdf2;
use rivergen_kernel::{Error, Result};
use scrypt::Scrypt;

use super::PasswordHash;

/// Some seconds of one core.
const MAX_BCRYPT_COST: u32 = 16;
/// 128 · 2^17 · 8 bytes are 128 MiB.
const MAX_SCRYPT_LOG_N: u32 = 17;
const MAX_SCRYPT_R: u32 = 16;
const MAX_PBKDF2_ROUNDS: u32 = 5_000_000;
const MAX_ARGON2_KIB: u32 = 256 * 1024;
const MAX_ARGON2_PASSES: u32 = 16;

/// The bcrypt variants that are the same for every password that modern systems took.
const BCRYPT: [&str; 3] = ["$2a$", "$2b$", "$2y$"];

/// Takes a hash of another system in; 422 for `field` where it is of no kind that can be verified here.
pub fn import(hash: &str, field: &str) -> Result<PasswordHash> {
    let no = |reason: &str| Error::invalid_field(field, reason.to_owned());
    if BCRYPT.iter().any(|prefix| hash.starts_with(prefix)) {
        let parts: bcrypt::HashParts = hash.parse().map_err(|_| no("is not a bcrypt hash"))?;
        return match parts.get_cost() <= MAX_BCRYPT_COST {
            true => Ok(PasswordHash(hash.to_owned())),
            false => Err(no("has a higher cost than this server accepts")),
        };
    }
    let parsed = phc::PasswordHash::new(hash)
        .map_err(|_| no("must be a bcrypt hash, or an argon2, scrypt or pbkdf2 hash in the PHC format"))?;
    if parsed.hash.is_none() || parsed.salt.is_none() {
        return Err(no("needs a salt and a hash"));
    }
    let number = |name: &str| parsed.params.get_decimal(name);
    let bounded = |name: &str, most: u32| number(name).is_some_and(|value| value <= most);
    let reasonable = match parsed.algorithm.as_str() {
        "argon2id" | "argon2i" | "argon2d" => bounded("m", MAX_ARGON2_KIB) && bounded("t", MAX_ARGON2_PASSES),
        "scrypt" => bounded("ln", MAX_SCRYPT_LOG_N) && bounded("r", MAX_SCRYPT_R),
        "pbkdf2-sha256" | "pbkdf2-sha512" => bounded("i", MAX_PBKDF2_ROUNDS),
        _ => return Err(no("must be a bcrypt, argon2, scrypt, pbkdf2-sha256 or pbkdf2-sha512 hash")),
    };
    if reasonable { Ok(PasswordHash(hash.to_owned())) } else { Err(no("has a higher cost than this server accepts")) }
}

/// Verifies what [`import`] took and is not Argon2.
pub(super) fn verify(password: &[u8], hash: &str) -> Result<bool> {
    if BCRYPT.iter().any(|prefix| hash.starts_with(prefix)) {
        // Whoever made the hash cut the password there too.
        return bcrypt::verify(password, hash).map_err(Error::internal);
    }
    let parsed = phc::PasswordHash::new(hash).map_err(|e| Error::internal(e.to_string()))?;
    Ok(match parsed.algorithm.as_str() {
        "scrypt" => Scrypt::default().verify_password(password, &parsed).is_ok(),
        _ => Pbkdf2::default().verify_password(password, &parsed).is_ok(),
    })
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::Secret;

    use super::*;
    use crate::password::{Cost, Passwords, Verdict};

    // Made with other programs: crypt(3), Python's hashlib and argon2-cffi.
    const HASHES: [&str; 4] = [
        "$2b$04$abcdefghijklmnopqrstuusNGnXmj9M3mPB81dNhkNiK4IQ4yo0bm",
        "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$WchM21qvD5mDyEY/doxz6plYSvt7GaoDrpCwYrPvLBk",
        "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHRzYWx0c2FsdA$WX/WrMxDD4naX5gEPuQ2b8qrR0aRq6VmNIrLYqA4ppk",
        "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$7XODIIAlqP8oX1rtQdhucxgvwvOhTlqmqtfwxlyRBVE",
    ];

    #[tokio::test]
    async fn hashes_of_other_systems_are_verified_and_outdated() {
        let passwords = Passwords::new(Cost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
        for text in HASHES {
            let hash = import(text, "password_hash").unwrap_or_else(|error| panic!("{text}: {error:?}"));
            let verdict =
                async |password: &str| passwords.verify(Secret::new(password), Some(hash.clone())).await.unwrap();
            assert_eq!(verdict("Correct1horse").await, Verdict::RightButOutdated, "{text}");
            assert_eq!(verdict("Correct2horse").await, Verdict::Wrong, "{text}");
        }
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_refused() {
        for text in [
            "",
            "hunter2",
            "$1$saltsalt$abcdefghijklmnopqrstuv",
            "$2b$31$abcdefghijklmnopqrstuuCKoGdzI3FGN6DR6kT6jt/Sif6QCdVQa",
            "$scrypt$ln=30,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdA",
            "$argon2id$v=19$m=4000000,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdA",
            "$pbkdf2-sha256$i=900000000,l=32$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdA",
        ] {
            assert!(import(text, "password_hash").is_err(), "{text}");
        }
    }
}
