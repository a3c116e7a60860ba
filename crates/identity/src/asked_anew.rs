//! Somebody who is signed in here, and whom a provider is to ask anew who they are: to prove it, where something needs a proof
//! that is not older than ten minutes, and they have neither a password nor a passkey here.
//!
//! A provider that still knows its person sends them back without a question, which proves nothing. So it is asked not to, and
//! held to what it says of when it asked (`auth_time`, SAML's `AuthnInstant`); one that says nothing has not. Nor is any other
//! sign-in through it a fresher proof than it says ([`Given`](crate::session::Given)).

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::UserId;

/// How far the provider's clock may be behind this server's.
const SKEW: Duration = Duration::seconds(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedAnew {
    /// Who must come back, and nobody else.
    pub person: UserId,
    /// When they were sent to the provider.
    pub at: DateTime<Utc>,
}

impl AskedAnew {
    /// Whether the provider asked since then, by its own word.
    pub fn is_answered(&self, authenticated_at: Option<DateTime<Utc>>) -> bool {
        authenticated_at.is_some_and(|at| at >= self.at - SKEW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_of_before_is_no_answer_and_silence_neither() {
        let now = Utc::now();
        let asked = AskedAnew { person: UserId(7), at: now };
        for (seconds, good) in [(30, true), (0, true), (-60, true), (-61, false), (-3600, false)] {
            assert_eq!(asked.is_answered(Some(now + Duration::seconds(seconds))), good, "{seconds}");
        }
        assert!(!asked.is_answered(None));
    }
}
