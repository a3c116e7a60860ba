//! Who may do what to roles: nobody gives what they do not hold in that place, and nobody takes it.
//!
//! ```text
//! deed       needs                       moves, and so must be held
//! create     role.create                 what is in the role; a copy is one, too
//! update     role.update                 what the change adds and what it removes
//! delete     role.delete                 nothing: nobody holds it
//!   replace    and role.assign             what is in the role and in the one that takes its place
//! assign     role.assign                 what is in the role
//! revoke     role.assign                 what is in the role
//! hand over  user.merge                  what is in the role
//! ```
//!
//! The place is what the deed reaches. A role that is put together, changed or deleted reaches the whole organization; one
//! that is given or taken in a workspace reaches no further. A public workspace gives its default role to every member: who
//! opens it assigns that role in it, and to delete the role is to replace it, by a Viewer if by nothing else. [`Standing::authority`](crate::standing::Standing::authority)
//! says what somebody holds there. Nothing here reads a database, so that the rules can be tried out by the thousand.

use rivergen_kernel::{Caller, Permission, PermissionSet, Result, Tenant};

/// Something that is about to be done to a role.
#[derive(Debug, Clone, Copy)]
pub enum Deed<'a> {
    /// A role of these permissions is put together.
    Create(&'a PermissionSet),
    /// The permissions of a role become others, for everybody who holds it.
    Update { before: &'a PermissionSet, after: &'a PermissionSet },
    /// A role goes; who holds it gets the other one, if there is one.
    Delete { role: &'a PermissionSet, replacement: Option<&'a PermissionSet> },
    /// Somebody gets a role of these permissions.
    Assign(&'a PermissionSet),
    /// Somebody loses a role of these permissions.
    Revoke(&'a PermissionSet),
    /// A role of these permissions goes to the account that its holder's is folded into.
    HandOver(&'a PermissionSet),
}

impl Deed<'_> {
    /// What opens the operation.
    pub fn needs(&self) -> &'static [Permission] {
        match self {
            Self::Create(_) => &[Permission::RoleCreate],
            Self::Update { .. } => &[Permission::RoleUpdate],
            Self::Delete { replacement: None, .. } => &[Permission::RoleDelete],
            Self::Delete { replacement: Some(_), .. } => &[Permission::RoleDelete, Permission::RoleAssign],
            Self::Assign(_) | Self::Revoke(_) => &[Permission::RoleAssign],
            Self::HandOver(_) => &[Permission::UserMerge],
        }
    }

    /// What somebody may have after it and had not before, or the other way round.
    pub fn moves(&self) -> PermissionSet {
        match self {
            Self::Create(role) | Self::Assign(role) | Self::Revoke(role) | Self::HandOver(role) => (*role).clone(),
            Self::Update { before, after } => before.symmetric_difference(after).copied().collect(),
            Self::Delete { replacement: None, .. } => PermissionSet::new(),
            Self::Delete { role, replacement: Some(other) } => role.union(other).copied().collect(),
        }
    }

    /// 403 unless the caller, who stands in the place that the deed reaches, holds what it needs and what it moves.
    pub fn allow(&self, caller: &Caller) -> Result<Tenant> {
        for permission in self.needs() {
            caller.require(*permission)?;
        }
        caller.may_grant(&self.moves())?;
        caller.tenant()
    }
}
