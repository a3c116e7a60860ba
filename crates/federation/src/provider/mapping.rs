//! From a provider's names to ours: which claim or attribute is the address, the name, the groups, or one of the member's own.
//! The same for both protocols.

use std::collections::BTreeMap;

use super::Model;

/// Names a person in place of the NameID of SAML, where the mapping has it.
pub const SUBJECT: &str = "subject";

/// What RiverGen reads itself. Every other key of a mapping is an attribute of the member, which policies name as
/// `current_user_<key>`.
pub const STANDARD: [&str; 7] = ["email", "email_verified", "name", "first_name", "last_name", "groups", SUBJECT];
/// Keys that policies have of their own.
const RESERVED: [&str; 4] = ["id", "roles", "organization_id", "workspace_id"];

/// More of anything is not kept: a sign-in is no place for megabytes.
const MOST_ATTRIBUTES: usize = 200;
const MOST_VALUES: usize = 1_000;
const LONGEST_VALUE: usize = 1_000;
const LONGEST_SUBJECT: usize = 255;

/// What a provider says of a person, read by our names.
#[derive(Debug)]
pub struct Said {
    mapping: BTreeMap<String, String>,
    attributes: BTreeMap<String, Vec<String>>,
}

impl Said {
    /// Under the provider's mapping; what is too much is left out, what it names first.
    pub fn new(provider: &Model, attributes: BTreeMap<String, Vec<String>>) -> Self {
        let mapping = provider.mapping();
        let bounded = |values: Vec<String>| values.into_iter().take(MOST_VALUES).map(|text| plain(&text)).collect();
        let (named, others): (Vec<_>, Vec<_>) =
            attributes.into_iter().partition(|(name, _)| mapping.values().any(|mapped| mapped == name));
        let kept = named.into_iter().chain(others).take(MOST_ATTRIBUTES);
        let attributes = kept.map(|(name, values)| (name, bounded(values))).collect();
        Self { mapping, attributes }
    }

    /// The values of one of our names: under the provider's name for it, or else under the first of the usual ones that came.
    pub fn values(&self, key: &str, usual: &[&str]) -> &[String] {
        let of = |name: &str| self.attributes.get(name).map(Vec::as_slice).filter(|values| !values.is_empty());
        match self.mapping.get(key) {
            Some(name) => of(name).unwrap_or_default(),
            None => usual.iter().find_map(|name| of(name)).unwrap_or_default(),
        }
    }

    pub fn first(&self, key: &str, usual: &[&str]) -> Option<&str> {
        self.values(key, usual).first().map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    /// Lower-cased; `None` where it is no address.
    pub fn email(&self, usual: &[&str]) -> Option<String> {
        let address = self.first("email", usual)?;
        rivergen_identity::email_address::normalise(address, "email").ok()
    }

    /// The name, or else first and last together.
    pub fn display_name(&self, name: &[&str], first: &[&str], last: &[&str]) -> Option<String> {
        let whole = self.first("name", name).map(str::to_owned);
        let whole = whole.or_else(|| {
            let parts = [self.first("first_name", first), self.first("last_name", last)];
            Some(parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
        })?;
        let name: String = whole.trim().chars().take(255).collect();
        (!name.is_empty()).then_some(name)
    }

    /// Each once, in their order.
    pub fn groups(&self, usual: &[&str]) -> Vec<String> {
        let mut groups: Vec<String> = self.values("groups", usual).to_vec();
        let mut seen = std::collections::BTreeSet::new();
        groups.retain(|group| !group.is_empty() && seen.insert(group.clone()));
        groups
    }

    pub fn into_attributes(self) -> BTreeMap<String, Vec<String>> {
        self.attributes
    }
}

/// Without control characters, bounded.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_VALUE).collect()
}

/// What a provider may call a person.
pub fn check_subject(subject: &str) -> Result<(), &'static str> {
    match subject.is_empty() || subject.len() > LONGEST_SUBJECT || subject.contains('\0') {
        true => Err("the subject is empty or too long"),
        false => Ok(()),
    }
}

/// Why a mapping cannot be one: the key, and the reason.
pub(super) fn check(mapping: &BTreeMap<String, String>) -> Result<(), (String, &'static str)> {
    if mapping.len() > 50 {
        return Err((String::new(), "maps more than 50 attributes"));
    }
    for (key, name) in mapping {
        let starts = key.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        let word = key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !starts || !word || key.len() > 63 {
            return Err((key.clone(), "is not a valid name: use a-z, 0-9 and _, beginning with a letter"));
        }
        if RESERVED.contains(&key.as_str()) {
            return Err((key.clone(), "is reserved"));
        }
        if name.trim().is_empty() || name.len() > 255 {
            return Err((key.clone(), "must name an attribute of the provider, in up to 255 bytes"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(mapping: &[(&str, &str)], attributes: &[(&str, &[&str])]) -> Said {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        Said {
            mapping: mapping.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect(),
            attributes: attributes.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect(),
        }
    }

    #[test]
    fn a_mapping_stands_over_the_usual_names() {
        let attributes: &[(&str, &[&str])] = &[("email", &["Ada@Acme.example"]), ("mail", &["other@acme.example"])];
        assert_eq!(said(&[], attributes).email(&["email"]).as_deref(), Some("ada@acme.example"));
        assert_eq!(said(&[("email", "mail")], attributes).email(&["email"]).as_deref(), Some("other@acme.example"));
        // What is mapped and does not come is not guessed from another name.
        assert_eq!(said(&[("email", "upn")], attributes).email(&["email"]), None);
    }

    #[test]
    fn a_name_is_put_together_where_there_is_none() {
        let parts: &[(&str, &[&str])] = &[("given_name", &["Ada"]), ("family_name", &["Lovelace"])];
        let name = |said: Said| said.display_name(&["name"], &["given_name"], &["family_name"]);
        assert_eq!(name(said(&[], parts)).as_deref(), Some("Ada Lovelace"));
        assert_eq!(name(said(&[], &[])), None);
    }

    #[test]
    fn keys_are_names_that_policies_can_say() {
        let check = |key: &str, name: &str| super::check(&[(key.to_owned(), name.to_owned())].into());
        for good in ["email", "department", "cost_center_2"] {
            assert!(check(good, "x").is_ok(), "{good}");
        }
        for bad in ["", "Department", "2nd", "a-b", "roles", "id", &"a".repeat(64)] {
            assert!(check(bad, "x").is_err(), "{bad}");
        }
        assert!(check("email", " ").is_err());
    }
}
