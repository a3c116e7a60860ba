//! What people do.

use proptest::{prelude::*, sample::subsequence};
use rivergen_kernel::Permission;

use crate::house::{FOUNDERS, PEOPLE, PLACES};

/// What custom roles are made of: what rules over roles, something of the organization, something of workspaces.
pub const UNIVERSE: [Permission; 13] = [
    Permission::OrganizationUpdate,
    Permission::OrganizationDelete,
    Permission::RoleRead,
    Permission::RoleCreate,
    Permission::RoleUpdate,
    Permission::RoleDelete,
    Permission::RoleAssign,
    Permission::MemberInvite,
    Permission::UserCreate,
    Permission::UserMerge,
    Permission::PolicyWrite,
    Permission::DataSourceWrite,
    Permission::PromptRead,
];

/// Something that happens; to open a workspace is to make it public, with a default role. Who joins has an address of a
/// domain that is open; who is merged gives their place to somebody who is no member, and is none afterwards. Indices are
/// taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Act {
    Create { actor: usize, permissions: Vec<Permission> },
    Update { actor: usize, role: usize, permissions: Vec<Permission> },
    Delete { actor: usize, role: usize, replacement: Option<usize> },
    Assign { actor: usize, person: usize, role: usize, place: usize, minutes: Option<i64> },
    Revoke { actor: usize, nth: usize },
    GiveInstead { actor: usize, person: usize, role: usize },
    Invite { actor: usize, role: usize, place: usize },
    Accept { person: usize, nth: usize },
    SetDefault { actor: usize, role: usize },
    OpenDomain { actor: usize },
    Join { person: usize },
    Merge { actor: usize, from: usize, to: usize },
    Suspend { person: usize },
    LetIn { person: usize },
    Open { actor: usize, role: usize, workspace: usize },
    Wait { minutes: i64 },
}

pub fn act() -> impl Strategy<Value = Act> {
    let person = || prop_oneof![6 => 0..FOUNDERS, 1 => FOUNDERS..PEOPLE];
    let anybody = || 0..PEOPLE;
    let permissions = || subsequence(UNIVERSE.to_vec(), 0..=UNIVERSE.len());
    prop_oneof![
        3 => (person(), permissions()).prop_map(|(actor, permissions)| Act::Create { actor, permissions }),
        4 => (person(), any::<usize>(), permissions())
            .prop_map(|(actor, role, permissions)| Act::Update { actor, role, permissions }),
        2 => (person(), any::<usize>(), proptest::option::of(any::<usize>()))
            .prop_map(|(actor, role, replacement)| Act::Delete { actor, role, replacement }),
        8 => (person(), anybody(), any::<usize>(), 0..PLACES.len(), proptest::option::weighted(0.3, 1_i64..90))
            .prop_map(|(actor, person, role, place, minutes)| Act::Assign { actor, person, role, place, minutes }),
        4 => (person(), any::<usize>()).prop_map(|(actor, nth)| Act::Revoke { actor, nth }),
        2 => (person(), anybody(), any::<usize>())
            .prop_map(|(actor, person, role)| Act::GiveInstead { actor, person, role }),
        3 => (person(), any::<usize>(), 0..PLACES.len())
            .prop_map(|(actor, role, place)| Act::Invite { actor, role, place }),
        3 => (anybody(), any::<usize>()).prop_map(|(person, nth)| Act::Accept { person, nth }),
        1 => (person(), any::<usize>()).prop_map(|(actor, role)| Act::SetDefault { actor, role }),
        2 => person().prop_map(|actor| Act::OpenDomain { actor }),
        3 => anybody().prop_map(|person| Act::Join { person }),
        6 => (person(), anybody(), anybody()).prop_map(|(actor, from, to)| Act::Merge { actor, from, to }),
        1 => person().prop_map(|person| Act::Suspend { person }),
        3 => anybody().prop_map(|person| Act::LetIn { person }),
        2 => (person(), any::<usize>(), 1..PLACES.len())
            .prop_map(|(actor, role, workspace)| Act::Open { actor, role, workspace }),
        1 => (1_i64..60).prop_map(|minutes| Act::Wait { minutes }),
    ]
}
