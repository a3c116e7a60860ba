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
//! instead    role.assign                 what is in the role and in those whose place it takes
//! bring in   member.invite, user.create  what is in the role: one of the two is enough
//! welcome    organization.update         what is in the role
//! hand over  user.merge                  what is in the role
//! ```
//!
//! An invitation is good for as long as whoever made it could make it again ([`still_brings_in`]). A role that somebody gets by
//! coming in by themselves was welcomed before, and nobody asks again: who made it the default, and whoever changed it since,
//! held what is in it.
//!
//! The place is what the deed reaches. A role that is put together, changed or deleted reaches the whole organization; one
//! that is given or taken in a workspace reaches no further. A public workspace gives its default role to every member: who
//! opens it assigns that role in it, and to delete the role is to replace it, by a Viewer if by nothing else. What somebody holds
//! there is their membership of the organization, or [`of the workspace`](crate::standing::Standing::membership_of_workspace).
//! Nothing here reads a database, so that the rules can be tried out by the thousand.

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
    /// Somebody gets the one in the place of all others in the whole organization.
    Instead { taken: &'a PermissionSet, given: &'a PermissionSet },
    /// Somebody becomes a member with a role of these permissions, at once or when they accept an invitation.
    BringIn(&'a PermissionSet),
    /// Whoever comes in by themselves gets a role of these permissions: it becomes the default one, or a domain is opened.
    Welcome(&'a PermissionSet),
    /// A role of these permissions goes to the account that its holder's is folded into.
    HandOver(&'a PermissionSet),
}

/// What brings people in, either by itself.
const BRINGS_IN: [Permission; 2] = [Permission::MemberInvite, Permission::UserCreate];

/// Whether an invitation to a role of these permissions still counts, by what its maker holds in the whole organization.
pub fn still_brings_in(held: &PermissionSet, role: &PermissionSet) -> bool {
    BRINGS_IN.iter().any(|permission| held.contains(permission)) && role.is_subset(held)
}

impl Deed<'_> {
    /// What opens the operation: all of it, but to bring somebody in one is enough.
    pub fn needs(&self) -> &'static [Permission] {
        match self {
            Self::Create(_) => &[Permission::RoleCreate],
            Self::Update { .. } => &[Permission::RoleUpdate],
            Self::Delete { replacement: None, .. } => &[Permission::RoleDelete],
            Self::Delete { replacement: Some(_), .. } => &[Permission::RoleDelete, Permission::RoleAssign],
            Self::Assign(_) | Self::Revoke(_) | Self::Instead { .. } => &[Permission::RoleAssign],
            Self::BringIn(_) => &BRINGS_IN,
            Self::Welcome(_) => &[Permission::OrganizationUpdate],
            Self::HandOver(_) => &[Permission::UserMerge],
        }
    }

    /// What somebody may have after it and had not before, or the other way round.
    pub fn moves(&self) -> PermissionSet {
        match self {
            Self::Create(role)
            | Self::Assign(role)
            | Self::Revoke(role)
            | Self::BringIn(role)
            | Self::Welcome(role)
            | Self::HandOver(role) => (*role).clone(),
            Self::Instead { taken, given } => taken.union(given).copied().collect(),
            Self::Update { before, after } => before.symmetric_difference(after).copied().collect(),
            Self::Delete { replacement: None, .. } => PermissionSet::new(),
            Self::Delete { role, replacement: Some(other) } => role.union(other).copied().collect(),
        }
    }

    /// 403 unless the caller, who stands in the place that the deed reaches, holds what it needs and what it moves.
    pub fn allow(&self, caller: &Caller) -> Result<Tenant> {
        let needs = self.needs();
        let is_open = matches!(self, Self::BringIn(_)) && needs.iter().any(|permission| caller.may(*permission));
        for permission in needs.iter().filter(|_| !is_open) {
            caller.require(*permission)?;
        }
        caller.may_grant(&self.moves())?;
        caller.tenant()
    }
}
