//! How strongly somebody proved who they are, as ID tokens say it: the claim `acr` (OpenID Connect Core, section 2), in names
//! that others gave.

use rivergen_identity::session::{names_passkey, names_two_factors};

/// Nobody who lures the person elsewhere can use what they gave there (OpenID Connect Extended Authentication Profile,
/// section 3): a passkey.
const PHISHING_RESISTANT: &str = "phr";
/// Two factors (REFEDS MFA Profile). Not where a device that is trusted stood for the second.
const TWO_FACTORS: &str = "https://refeds.org/profile/mfa";

/// All that can be said; of one factor alone nothing is.
pub const SUPPORTED: [&str; 2] = [PHISHING_RESISTANT, TWO_FACTORS];

/// Of a sign-in with these methods (`amr`) the first of what an application wishes for that was reached, else the strongest
/// that was. It is a wish: whoever needs it reads in the token whether it came true.
pub fn reached(amr: &str, wishes: &str) -> Option<&'static str> {
    let all = [(PHISHING_RESISTANT, names_passkey(amr)), (TWO_FACTORS, names_two_factors(amr))];
    let reached: Vec<&str> = all.into_iter().filter(|(_, is_reached)| *is_reached).map(|(name, _)| name).collect();
    let wished = wishes.split(' ').find_map(|wish| reached.iter().find(|name| **name == wish));
    wished.or(reached.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_is_told_and_no_more() {
        for wishes in ["", "phr", "https://refeds.org/profile/mfa phr", "nonsense"] {
            for one in ["", "pwd", "otp", "fed"] {
                assert_eq!(reached(one, wishes), None, "{one}: {wishes}");
            }
            for two in ["pwd otp mfa", "fed mfa"] {
                assert_eq!(reached(two, wishes), Some(TWO_FACTORS), "{two}: {wishes}");
            }
        }
        let passkey = "pop user mfa";
        assert_eq!(reached(passkey, ""), Some(PHISHING_RESISTANT));
        assert_eq!(reached(passkey, "phr https://refeds.org/profile/mfa"), Some(PHISHING_RESISTANT));
        assert_eq!(reached(passkey, "nonsense https://refeds.org/profile/mfa phr"), Some(TWO_FACTORS));
    }
}
