//! What a column seems to hold, by its name and by some of its values.
//!
//! A guess for a person to confirm: it has no effect by itself. Values decide where most of them have a form that is hard to
//! have by chance (an address with an @, a number whose check digits are right); names decide the rest.

use regex::Regex;
use std::{collections::BTreeMap, sync::LazyLock};

/// What is proposed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub tag: &'static str,
    pub reason: String,
}

/// Fewer values than these say nothing.
const FEWEST_VALUES: usize = 3;

/// Parts of names, in the order in which they are tried: the first that fits names the tag.
const NAMES: &[(&str, &[&str])] = &[
    ("credential", &["password", "passwd", "secret", "api_key", "apikey", "access_token", "private_key"]),
    ("pii.email", &["email", "e_mail", "mail_address"]),
    ("pii.ip_address", &["ip_address", "ip_addr", "client_ip", "remote_addr"]),
    ("finance.iban", &["iban"]),
    ("finance.card", &["card_number", "card_no", "credit_card", "cc_number", "pan"]),
    ("pii.phone", &["phone", "mobile", "telephone", "fax"]),
    ("pii.birth_date", &["birth_date", "birthdate", "date_of_birth", "dob", "birthday", "born"]),
    ("pii.national_id", &["ssn", "social_security", "national_id", "passport", "tax_id", "nino"]),
    ("pii.address", &["street", "postal_code", "postcode", "zip_code", "zip", "home_address"]),
    ("pii.name", &["first_name", "last_name", "full_name", "surname", "given_name", "family_name", "maiden_name"]),
    ("finance.salary", &["salary", "wage", "compensation"]),
    ("pii.health", &["diagnosis", "blood_type", "medication"]),
];

static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[^@\s]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$").ok());
static PHONE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\+[0-9][0-9 ()./-]{6,18}[0-9]$").ok());

/// What the column seems to hold. Values are a few of those that the caller may see.
pub fn classify(column: &str, values: &[String]) -> Option<Proposal> {
    by_values(values).or_else(|| by_name(column))
}

/// What is in a column, by the path of the field in it: `contact.email` of a structure, and of a list's elements the path of the
/// list. The values are a few of those that the caller may see.
pub type Fields = BTreeMap<Vec<String>, Vec<String>>;

/// What a column of structures or lists seems to hold: each tag once, for the first field that seems to be so.
pub fn classify_fields(fields: &Fields) -> Vec<Proposal> {
    let mut proposals: Vec<Proposal> = Vec::new();
    for (path, values) in fields {
        let Some(Proposal { tag, reason }) = path.last().and_then(|name| classify(name, values)) else { continue };
        if !proposals.iter().any(|known| known.tag == tag) {
            proposals.push(Proposal { tag, reason: format!("{}: {reason}", path.join(".")) });
        }
    }
    proposals
}

fn by_name(column: &str) -> Option<Proposal> {
    let name = words_of(column);
    let spoken_of = |part: &&&str| format!("_{name}_").contains(&format!("_{part}_"));
    NAMES.iter().find_map(|(tag, parts)| {
        let part = parts.iter().find(spoken_of)?;
        Some(Proposal { tag, reason: format!("the name contains “{part}”") })
    })
}

/// `customerEmail`, `Customer-Email` → `customer_email`.
fn words_of(column: &str) -> String {
    let mut words = String::new();
    let mut before_is_lower = false;
    for c in column.chars() {
        if c.is_ascii_uppercase() && before_is_lower {
            words.push('_');
        }
        before_is_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        words.push(if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
    words
}

/// Whether a value has the form.
type Form = fn(&str) -> bool;

fn by_values(values: &[String]) -> Option<Proposal> {
    let known: Vec<&str> = values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect();
    if known.len() < FEWEST_VALUES {
        return None;
    }
    let forms: [(&'static str, &str, Form); 5] = [
        ("pii.email", "look like e-mail addresses", |value| EMAIL.as_ref().is_some_and(|form| form.is_match(value))),
        ("finance.card", "have the check digit of card numbers", is_card),
        ("finance.iban", "have the check digits of IBANs", is_iban),
        ("pii.ip_address", "are network addresses", |value| value.parse::<std::net::IpAddr>().is_ok()),
        ("pii.phone", "look like phone numbers", |value| PHONE.as_ref().is_some_and(|form| form.is_match(value))),
    ];
    forms.into_iter().find_map(|(tag, what, fits)| {
        let fitting = known.iter().filter(|value| fits(value)).count();
        let most = fitting * 10 >= known.len() * 8;
        most.then(|| Proposal { tag, reason: format!("{fitting} of {} values {what}", known.len()) })
    })
}

/// 13 to 19 digits with the right last one (ISO/IEC 7812-1, annex B).
fn is_card(value: &str) -> bool {
    let digits: Vec<u32> = value.chars().filter(|c| !matches!(c, ' ' | '-')).map_while(|c| c.to_digit(10)).collect();
    if !(13..=19).contains(&digits.len()) || !value.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-')) {
        return false;
    }
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// The remainder by 97 is 1 (ISO 13616-1, ISO/IEC 7064).
fn is_iban(value: &str) -> bool {
    let letters: Vec<char> = value.chars().filter(|c| *c != ' ').collect();
    if !(15..=34).contains(&letters.len())
        || !letters.iter().all(char::is_ascii_alphanumeric)
        || !letters[..2].iter().all(char::is_ascii_alphabetic)
        || !letters[2..4].iter().all(char::is_ascii_digit)
    {
        return false;
    }
    let remainder = letters[4..].iter().chain(&letters[..4]).fold(0_u32, |remainder, c| match c.to_digit(36) {
        Some(value) if value > 9 => (remainder * 100 + value) % 97,
        Some(value) => (remainder * 10 + value) % 97,
        None => remainder,
    });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(column: &str, values: &[&str]) -> Option<&'static str> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        classify(column, &values).map(|proposal| proposal.tag)
    }

    #[test]
    fn names_are_read_by_their_words() {
        for (name, expected) in [
            ("email", Some("pii.email")),
            ("customerEmail", Some("pii.email")),
            ("E-Mail", Some("pii.email")),
            ("emailed_at_count", None),
            ("card_number", Some("finance.card")),
            ("company", None),
            ("pan", Some("finance.card")),
            ("DateOfBirth", Some("pii.birth_date")),
            ("PasswordHash", Some("credential")),
            ("id", None),
        ] {
            assert_eq!(tag(name, &[]), expected, "{name}");
        }
    }

    #[test]
    fn values_decide_before_names() {
        assert_eq!(tag("contact", &["a@b.de", "c@d.org", "e.f@g.co.uk", ""]), Some("pii.email"));
        assert_eq!(tag("n", &["4111 1111 1111 1111", "5500000000000004", "340000000000009"]), Some("finance.card"));
        assert_eq!(tag("n", &["4111 1111 1111 1112", "5500000000000005", "340000000000008"]), None);
        assert_eq!(
            tag("n", &["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR1420041010050500013M02606"]),
            Some("finance.iban")
        );
        assert_eq!(tag("n", &["10.0.0.1", "::1", "192.168.1.1"]), Some("pii.ip_address"));
        assert_eq!(tag("n", &["+49 30 1234567", "+1 (212) 555-0100", "+43 1 2345678"]), Some("pii.phone"));
        assert_eq!(tag("n", &["a@b.de", "x", "y", "z"]), None);
        assert_eq!(tag("n", &["a@b.de"]), None);
    }
    #[test]
    fn fields_are_told_by_their_paths() {
        let field = |path: &[&str], values: &[&str]| {
            let owned = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
            (owned(path), owned(values))
        };
        let fields = Fields::from([
            field(&["contact", "home", "reachable"], &["a@b.de", "c@d.org", "e.f@g.co.uk"]),
            field(&["contact", "mail_address"], &[]),
            field(&["contact", "phone"], &[]),
            field(&["contact", "note"], &["x", "y", "z"]),
        ]);
        let told: Vec<_> = classify_fields(&fields).into_iter().map(|found| (found.tag, found.reason)).collect();
        let expected = [
            ("pii.email", "contact.home.reachable: 3 of 3 values look like e-mail addresses"),
            ("pii.phone", "contact.phone: the name contains “phone”"),
        ];
        assert_eq!(told, expected.map(|(tag, reason)| (tag, reason.to_owned())));
    }
}
