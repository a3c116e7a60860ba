//! The catalogue of permissions, `resource.action`, and the built-in roles that carry them.

use std::{collections::BTreeSet, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($variant:ident $name:literal $sentence:literal;)+) => {
        /// Something that a role may allow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $(#[doc = $sentence] $variant),+ }

        impl Permission {
            pub const ALL: &'static [Permission] = &[$(Permission::$variant),+];

            /// `resource.action`, as it stands in the API and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Permission::$variant => $name),+ }
            }

            /// What it lets a person do, in words.
            pub const fn sentence(self) -> &'static str {
                match self { $(Permission::$variant => $sentence),+ }
            }
        }

        impl FromStr for Permission {
            type Err = UnknownPermission;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($name => Ok(Permission::$variant),)+ _ => Err(UnknownPermission(text.to_owned())) }
            }
        }
    };
}

permissions! {
    OrganizationRead "organization.read" "See the organization and its settings.";
    OrganizationUpdate "organization.update" "Change the organization's name, domain and settings.";
    OrganizationDelete "organization.delete" "Delete the organization with all that it holds.";
    WorkspaceRead "workspace.read" "See every workspace of the organization.";
    WorkspaceCreate "workspace.create" "Create workspaces.";
    MemberRead "member.read" "See who belongs to the organization.";
    MemberManage "member.manage" "Add, change and remove members and their roles.";
    DataSourceRead "data_source.read" "See data sources and their schemas.";
    DataSourceCreate "data_source.create" "Register data sources.";
    DataSourceManage "data_source.manage" "Test, discover, change and delete data sources.";
    DataSourceQuery "data_source.query" "Query data sources, under the policies.";
    PolicyRead "policy.read" "See policies and what they did.";
    PolicyManage "policy.manage" "Create, assign, change and delete policies.";
    FileRead "file.read" "See one's own files.";
    FileWrite "file.write" "Upload files.";
    PromptExecute "prompt.execute" "Ask questions in words.";
    AuditRead "audit.read" "Read the audit log.";
}

/// A name that is not in the catalogue.
#[derive(Debug, thiserror::Error)]
#[error("there is no permission {0:?}")]
pub struct UnknownPermission(pub String);

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Permission {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a caller may do.
pub type PermissionSet = BTreeSet<Permission>;

/// The roles that every organization has from its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BuiltInRole {
    Owner,
    Admin,
    Developer,
    Viewer,
}

impl BuiltInRole {
    pub const ALL: [BuiltInRole; 4] = [Self::Owner, Self::Admin, Self::Developer, Self::Viewer];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Developer => "Developer",
            Self::Viewer => "Viewer",
        }
    }

    pub const fn description(self) -> &'static str {
        match self {
            Self::Owner => "Holds every permission, deletion of the organization included.",
            Self::Admin => "Runs the organization: people, sources and policies.",
            Self::Developer => "Connects sources and builds on them.",
            Self::Viewer => "Asks questions of the data, under the policies.",
        }
    }

    /// The permissions of the role.
    pub fn permissions(self) -> PermissionSet {
        use Permission::*;
        match self {
            Self::Owner => Permission::ALL.iter().copied().collect(),
            Self::Admin => Permission::ALL.iter().copied().filter(|p| *p != OrganizationDelete).collect(),
            Self::Developer => [
                OrganizationRead,
                WorkspaceRead,
                MemberRead,
                DataSourceRead,
                DataSourceCreate,
                DataSourceManage,
                DataSourceQuery,
                PolicyRead,
                FileRead,
                FileWrite,
                PromptExecute,
            ]
            .into(),
            Self::Viewer => [OrganizationRead, DataSourceRead, DataSourceQuery, FileRead, PromptExecute].into(),
        }
    }
}

impl FromStr for BuiltInRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| format!("there is no built-in role {text:?}; use Owner, Admin, Developer or Viewer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_variants_are_one_to_one() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse::<Permission>().unwrap(), *permission);
            assert_eq!(permission.as_str().matches('.').count(), 1);
        }
    }

    #[test]
    fn each_role_holds_what_the_next_one_holds() {
        for pair in BuiltInRole::ALL.windows(2) {
            assert!(pair[1].permissions().is_subset(&pair[0].permissions()), "{pair:?}");
        }
    }
}
