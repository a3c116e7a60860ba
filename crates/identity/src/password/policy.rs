//! What a password must be: the server's rules for everybody, and what organizations ask of their members beyond.

use rivergen_kernel::{Error, ErrorCode, FieldError, Result, Secret};
use serde::{Deserialize, Serialize};

use super::Passwords;

/// What an organization asks of its members' passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordPolicy {
    /// Characters, from 8 to 128.
    pub min_length: u8,
    /// How hard it must be to guess, as zxcvbn estimates it: from 0 (anything) to 4 (very hard).
    pub min_score: u8,
    /// How many earlier passwords may not be used again, up to 24.
    pub history: u8,
    /// Whether passwords of the server's list of breached ones are refused.
    pub reject_breached: bool,
    /// Whether there must be a character that is neither letter nor digit.
    pub require_symbol: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: MIN_LENGTH, min_score: 0, history: 0, reject_breached: true, require_symbol: false }
    }
}

const MIN_LENGTH: u8 = 8;
const MAX_LENGTH: usize = 128;
/// More than that many old hashes would make a change of password slow: each costs a verification.
pub(super) const MAX_HISTORY: u8 = 24;
/// The estimate's cost grows with the length; what is longer is hard enough to guess.
const ESTIMATED_CHARACTERS: usize = 64;

impl PasswordPolicy {
    /// What satisfies both.
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            min_length: self.min_length.max(other.min_length),
            min_score: self.min_score.max(other.min_score),
            history: self.history.max(other.history).min(MAX_HISTORY),
            reject_breached: self.reject_breached || other.reject_breached,
            require_symbol: self.require_symbol || other.require_symbol,
        }
    }
}

/// The rules for everybody: 8 to 128 characters, upper case, lower case and a digit.
pub fn check_policy(password: &Secret, field: &str, code: ErrorCode) -> Result<()> {
    refuse(field, code, missed(password.expose(), MIN_LENGTH))
}

fn missed(text: &str, min_length: u8) -> Vec<String> {
    let length = text.chars().count();
    let rules: [(bool, String); 5] = [
        (length >= usize::from(min_length), format!("must have at least {min_length} characters")),
        (length <= MAX_LENGTH, format!("must have at most {MAX_LENGTH} characters")),
        (text.chars().any(|c| c.is_ascii_uppercase()), "must have an upper-case letter A-Z".to_owned()),
        (text.chars().any(|c| c.is_ascii_lowercase()), "must have a lower-case letter a-z".to_owned()),
        (text.chars().any(|c| c.is_ascii_digit()), "must have a digit 0-9".to_owned()),
    ];
    rules.into_iter().filter(|(kept, _)| !kept).map(|(_, reason)| reason).collect()
}

fn refuse(field: &str, code: ErrorCode, reasons: Vec<String>) -> Result<()> {
    if reasons.is_empty() {
        return Ok(());
    }
    let details = reasons.into_iter().map(|reason| FieldError::new(field, reason)).collect();
    Err(Error::new(code).with_details(details))
}

impl Passwords {
    /// All rules, those of the person's organizations and the list of breached passwords included. What is known
    /// of the person (address, name) counts as easily guessed.
    pub async fn check(
        &self,
        password: &Secret,
        policy: PasswordPolicy,
        known: &[&str],
        field: &'static str,
        code: ErrorCode,
    ) -> Result<()> {
        let mut missed = missed(password.expose(), policy.min_length.max(MIN_LENGTH));
        if policy.require_symbol && password.expose().chars().all(char::is_alphanumeric) {
            missed.push("must have a character that is neither a letter nor a digit".to_owned());
        }
        refuse(field, code, missed)?;
        let (password, breached) = (password.clone(), self.breached.clone().filter(|_| policy.reject_breached));
        // As a whole and in its words: whoever knows the name tries these.
        let words = known.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
        let known: Vec<String> =
            known.iter().copied().chain(words).filter(|word| word.len() > 2).map(str::to_owned).collect();
        let reasons = self.pool.run(move |_| {
            let text = password.expose();
            let mut reasons = Vec::new();
            if policy.min_score > 0 {
                let estimated: String = text.chars().take(ESTIMATED_CHARACTERS).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let estimate = zxcvbn::zxcvbn(&estimated, &known);
                if u8::from(estimate.score()) < policy.min_score {
                    let warning = estimate.feedback().and_then(|feedback| feedback.warning());
                    let why = warning
                        .map_or_else(String::new, |warning| format!(": {}", warning.to_string().trim_end_matches('.')));
                    reasons.push(format!("is too easy to guess{why}"));
                }
            }
            if let Some(list) = breached
                && list.contains(text)?
            {
                reasons.push("is known from a data breach; choose a different one".to_owned());
            }
            Ok(reasons)
        });
        refuse(field, code, reasons.await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::Cost;

    #[test]
    fn the_rules_name_each_one_that_is_missed() {
        let error = check_policy(&Secret::new("short"), "password", ErrorCode::InvalidPassword).unwrap_err();
        assert_eq!(error.details.len(), 3);
        assert!(check_policy(&Secret::new("Long3nough"), "password", ErrorCode::InvalidPassword).is_ok());
    }

    #[tokio::test]
    async fn an_organization_asks_for_more() {
        let passwords = Passwords::new(Cost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
        let check = async |text: &str, policy: PasswordPolicy| {
            let password = Secret::new(text);
            let known = ["ada.lovelace@acme.example", "Ada Lovelace"];
            passwords.check(&password, policy, &known, "password", ErrorCode::InvalidPassword).await.is_ok()
        };
        let usual = PasswordPolicy::default();
        assert!(check("Passw0rd", usual).await);
        assert!(!check("Passw0rd", PasswordPolicy { min_score: 2, ..usual }).await);
        assert!(!check("Ada.lovelace@acme.example1", PasswordPolicy { min_score: 3, ..usual }).await);
        assert!(check("tidal-Kestrel-41-lantern", PasswordPolicy { min_score: 4, ..usual }).await);
        assert!(!check("Correct1horse", PasswordPolicy { min_length: 16, ..usual }).await);
        let symbol = PasswordPolicy { require_symbol: true, ..usual };
        assert!(!check("Correct1horse", symbol).await && check("Correct-1horse", symbol).await);
    }
}
