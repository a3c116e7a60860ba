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
    OrganizationDelete "organization.delete" "Delete the organization and everything in it.";
    MemberRead "member.read" "See who belongs to the organization.";
    MemberInvite "member.invite" "Invite people and withdraw invitations.";
    MemberRemove "member.remove" "Remove people from the organization.";
    UserRead "user.read" "Search and view the accounts of members.";
    UserCreate "user.create" "Add and import people.";
    UserUpdate "user.update" "Change members' profiles.";
    UserSuspend "user.suspend" "Suspend and reactivate members.";
    UserDelete "user.delete" "Remove members, and erase accounts that belong to no other organization.";
    UserExport "user.export" "Export the data that the organization keeps about a member.";
    UserMerge "user.merge" "Merge duplicate accounts of a member.";
    RoleRead "role.read" "See who has which role, and where each permission comes from.";
    RoleCreate "role.create" "Create roles with no more permissions than your own.";
    RoleUpdate "role.update" "Change roles.";
    RoleDelete "role.delete" "Delete roles.";
    RoleAssign "role.assign" "Assign and revoke roles with no more permissions than your own.";
    WorkspaceRead "workspace.read" "See all workspaces of the organization.";
    WorkspaceCreate "workspace.create" "Create workspaces.";
    WorkspaceWrite "workspace.write" "Change workspaces and their settings.";
    WorkspaceDelete "workspace.delete" "Delete workspaces.";
    SsoRead "sso.read" "See the single sign-on settings.";
    SsoManage "sso.manage" "Set up and enforce single sign-on.";
    ScimManage "scim.manage" "Let an identity provider manage people and groups.";
    TokenRead "token.read" "See members' access tokens for the organization.";
    TokenRevoke "token.revoke" "Revoke members' access tokens for the organization.";
    OauthAppRead "oauth_app.read" "See the applications that sign in with RiverGen.";
    OauthAppManage "oauth_app.manage" "Register, change and remove applications that sign in with RiverGen.";
    SessionRead "session.read" "See where members are signed in.";
    SessionRevoke "session.revoke" "End members' sessions.";
    DeviceRead "device.read" "See members' trusted devices.";
    DeviceRevoke "device.revoke" "Stop trusting members' devices.";
    DataSourceRead "datasource.read" "See data sources and their schemas.";
    DataSourceQuery "datasource.query" "Query data sources, subject to the policies.";
    DataSourceWrite "datasource.write" "Connect, test, discover and change data sources.";
    DataSourceDelete "datasource.delete" "Delete data sources.";
    StorageRead "storage.read" "See your own files and those shared with you.";
    StorageWrite "storage.write" "Upload and share files.";
    StorageDelete "storage.delete" "Delete your own files.";
    StorageManage "storage.manage" "See the names and sizes of all members' files, and delete them.";
    PolicyRead "policy.read" "See policies and their activity.";
    PolicyWrite "policy.write" "Create, assign and change policies.";
    PolicyDelete "policy.delete" "Delete policies.";
    PolicyDetokenize "policy.detokenize" "Reveal the values behind masked tokens; every use is recorded.";
    PromptRead "prompt.read" "See saved questions and their runs.";
    PromptExecute "prompt.execute" "Ask questions in plain words.";
    PromptWrite "prompt.write" "Save and change questions.";
    AuditRead "audit.read" "Read the audit log.";
}

impl Permission {
    /// Whether a role in one workspace gives it to a session that stands there. Everything else reaches the whole
    /// organization (its people, its policies), so only a role in the whole organization gives it.
    pub fn is_of_workspace(self) -> bool {
        matches!(self.resource(), "datasource" | "storage" | "prompt") && self != Self::StorageManage
    }

    /// What it is about: what stands before the dot.
    pub fn resource(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }
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
            Self::Owner => "Has every permission, including deleting the organization.",
            Self::Admin => "Manages the organization: people, sources and policies.",
            Self::Developer => "Connects data sources and works with them.",
            Self::Viewer => "Asks questions about the data, subject to the policies.",
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
                MemberRead,
                UserRead,
                RoleRead,
                WorkspaceRead,
                DataSourceRead,
                DataSourceQuery,
                DataSourceWrite,
                DataSourceDelete,
                StorageRead,
                StorageWrite,
                StorageDelete,
                PolicyRead,
                PromptRead,
                PromptExecute,
                PromptWrite,
            ]
            .into(),
            Self::Viewer => {
                [OrganizationRead, DataSourceRead, DataSourceQuery, StorageRead, PromptRead, PromptExecute].into()
            }
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
