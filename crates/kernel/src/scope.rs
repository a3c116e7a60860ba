//! What a token is confined to. A scope never gives anything: it only narrows what the owner may do.

use std::{collections::BTreeSet, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Permission, PermissionSet, permission::UnknownPermission};

/// One scope of a token: one of three broad ones, or a single permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See things and ask questions of data.
    Read,
    /// As `read`, and create and change things that are not the organization's own affairs.
    Write,
    /// Everything that the owner may do.
    Admin,
    /// One permission, as `datasource.query`.
    Only(Permission),
}

impl Scope {
    /// The permissions that pass through this scope.
    pub fn permissions(self) -> PermissionSet {
        use Permission::*;
        const READ: &[Permission] = &[
            OrganizationRead,
            MemberRead,
            UserRead,
            RoleRead,
            WorkspaceRead,
            SsoRead,
            TokenRead,
            OauthAppRead,
            SessionRead,
            DeviceRead,
            DataSourceRead,
            DataSourceQuery,
            StorageRead,
            PolicyRead,
            PromptRead,
            PromptExecute,
            AuditRead,
        ];
        const CHANGE: &[Permission] = &[
            WorkspaceCreate,
            WorkspaceWrite,
            DataSourceWrite,
            DataSourceDelete,
            StorageWrite,
            StorageDelete,
            PromptWrite,
        ];
        match self {
            Self::Read => READ.iter().copied().collect(),
            Self::Write => READ.iter().chain(CHANGE).copied().collect(),
            Self::Admin => Permission::ALL.iter().copied().collect(),
            Self::Only(permission) => [permission].into(),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Only(permission) => permission.as_str(),
        })
    }
}

impl FromStr for Scope {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            permission => permission.parse().map(Self::Only),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            serde::de::Error::custom(format!("there is no scope {text:?}; use read, write, admin or a permission"))
        })
    }
}

/// The scopes of one token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(pub BTreeSet<Scope>);

impl Scopes {
    /// What is left of the owner's permissions.
    pub fn narrow(&self, held: &PermissionSet) -> PermissionSet {
        let passing: PermissionSet = self.0.iter().flat_map(|scope| scope.permissions()).collect();
        held.intersection(&passing).copied().collect()
    }

    /// Whether everything that passes through these passes through `other` too.
    pub fn within(&self, other: &Scopes) -> bool {
        let of = |scopes: &Scopes| -> PermissionSet { scopes.0.iter().flat_map(|scope| scope.permissions()).collect() };
        of(self).is_subset(&of(other))
    }

    /// Whether what needs no permission but changes something may be done: a token that only reads may not.
    pub fn may_change(&self) -> bool {
        self.0.contains(&Scope::Write) || self.0.contains(&Scope::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_never_gives_what_the_owner_does_not_hold() {
        let held: PermissionSet = [Permission::DataSourceQuery, Permission::StorageWrite].into();
        let narrowed = |scope| Scopes([scope].into()).narrow(&held);
        assert_eq!(narrowed(Scope::Admin), held);
        assert_eq!(narrowed(Scope::Read), [Permission::DataSourceQuery].into());
        assert_eq!(narrowed(Scope::Only(Permission::PolicyWrite)), PermissionSet::new());
        assert_eq!(Scopes::default().narrow(&held), PermissionSet::new());
    }

    #[test]
    fn the_broad_scopes_grow() {
        let [read, write, admin] = [Scope::Read, Scope::Write, Scope::Admin].map(|scope| Scopes([scope].into()));
        assert!(read.within(&write) && write.within(&admin) && !admin.within(&write));
        assert!(!read.may_change() && write.may_change());
        for text in ["read", "write", "admin", "policy.write"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        assert!("policy".parse::<Scope>().is_err());
    }
}
