//! What an application may ask for: to know who somebody is, and to act for them.
//!
//! The scopes of OpenID Connect (`openid`, `profile`, `email`, `offline_access`) say what it is told of the person; those of
//! the API (`read`, `write`, `admin`, `resource.action`) what it may do. Every application may ask for the former, and for
//! those of the latter that it was registered with.

use std::{collections::BTreeSet, fmt, str::FromStr};

use rivergen_kernel::{Scope, Scopes};

/// One scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The application signs the person in.
    OpenId,
    /// And is told their name.
    Profile,
    /// And their address.
    Email,
    /// It goes on when the person is away. Refresh tokens are given without it too, so it changes nothing: people are told
    /// either way.
    OfflineAccess,
    Api(Scope),
}

impl Item {
    pub const IDENTITY: [(Self, &'static str); 4] = [
        (Self::OpenId, "openid"),
        (Self::Profile, "profile"),
        (Self::Email, "email"),
        (Self::OfflineAccess, "offline_access"),
    ];

    /// What it lets the application do, to the person who is asked.
    pub fn sentence(self) -> String {
        match self {
            Self::OpenId => "Know who you are in RiverGen.".to_owned(),
            Self::Profile => "See your name and picture.".to_owned(),
            Self::Email => "See your e-mail address.".to_owned(),
            Self::OfflineAccess => "Keep this access when you are away, until you withdraw it.".to_owned(),
            Self::Api(Scope::Read) => "See what you can see, and query the data that you can query.".to_owned(),
            Self::Api(Scope::Write) => "Create and change things for you: sources, files and questions.".to_owned(),
            Self::Api(Scope::Admin) => "Do everything that you can do, including managing the organization.".to_owned(),
            Self::Api(Scope::Only(permission)) => permission.sentence().to_owned(),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(scope) => scope.fmt(f),
            identity => {
                let named = Self::IDENTITY.iter().find(|(item, _)| item == identity);
                f.write_str(named.map_or("", |(_, name)| *name))
            }
        }
    }
}

/// A scope that does not exist.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown;

impl FromStr for Item {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        match Self::IDENTITY.iter().find(|(_, name)| *name == text) {
            Some((item, _)) => Ok(*item),
            None => text.parse().map(Self::Api).map_err(|_| Unknown),
        }
    }
}

/// A set of scopes, written with spaces between them (RFC 6749, section 3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeSet(pub BTreeSet<Item>);

impl ScopeSet {
    /// Those of the API.
    pub fn api(&self) -> Scopes {
        Scopes(self.0.iter().filter_map(|item| if let Item::Api(scope) = item { Some(*scope) } else { None }).collect())
    }

    pub fn holds(&self, item: Item) -> bool {
        self.0.contains(&item)
    }

    /// Whether an application that is registered with these may ask for it.
    pub fn is_within(&self, registered: &Scopes) -> bool {
        self.api().within(registered)
    }

    /// Without what the application may not ask for any more.
    pub fn limited_to(&self, registered: &Scopes) -> Self {
        let stays = |item: &&Item| match item {
            Item::Api(scope) => Scopes([*scope].into()).within(registered),
            _ => true,
        };
        Self(self.0.iter().filter(stays).copied().collect())
    }

    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(Item::to_string).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for ScopeSet {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        text.split(' ').filter(|name| !name.is_empty()).map(Item::from_str).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let set: ScopeSet = "openid  read email policy.write".parse().unwrap();
        assert_eq!(set.to_string(), "openid email read policy.write");
        assert_eq!(set.to_string().parse(), Ok(set));
        assert_eq!("openid nonsense".parse::<ScopeSet>(), Err(Unknown));
        assert_eq!("".parse(), Ok(ScopeSet::default()));
    }

    #[test]
    fn an_application_asks_for_what_it_is_registered_with() {
        let registered = Scopes([Scope::Read].into());
        let set = |text: &str| text.parse::<ScopeSet>().unwrap();
        assert!(set("openid read datasource.query").is_within(&registered));
        assert!(!set("write").is_within(&registered));
        assert_eq!(set("openid write").limited_to(&registered), set("openid"));
    }
}
