//! The organization as its database would hold it, with the rules as the operations use them.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    BuiltInRole, Caller, Credential, Federation, OrganizationId, Permission, PermissionSet, Proofs, RoleId, SessionId,
    UserId, WorkspaceId,
};
use rivergen_tenancy::{
    member::{Status, assignment},
    role::{self, rules::Deed},
    standing::{HeldRole, PublicWorkspace, Standing},
};

pub const ORGANIZATION: OrganizationId = OrganizationId(1);
pub const PEOPLE: usize = 8;
/// The first of them, who are members at first.
pub const FOUNDERS: usize = 5;
/// The built-in role, by its place among the roles.
pub const VIEWER: usize = 3;
/// The whole organization, and two workspaces.
pub const PLACES: [Option<WorkspaceId>; 3] = [None, Some(WorkspaceId(1)), Some(WorkspaceId(2))];

/// A role that somebody holds: who, which, where, until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub person: usize,
    pub role: usize,
    pub place: Option<WorkspaceId>,
    pub until: Option<DateTime<Utc>>,
}

/// An invitation that nobody has accepted yet.
#[derive(Debug, Clone, Copy)]
pub struct Invitation {
    pub inviter: usize,
    pub role: usize,
    pub place: Option<WorkspaceId>,
}

/// The organization as its database would hold it.
pub struct House {
    /// `None`: deleted.
    pub roles: Vec<Option<role::Model>>,
    pub held: Vec<Held>,
    /// The workspaces that are public, each with its default role.
    pub public: BTreeMap<WorkspaceId, usize>,
    pub pending: Vec<Invitation>,
    /// The role of who comes in without another one.
    pub default: usize,
    /// Whether a domain takes people in.
    pub takes_in: bool,
    pub members: [bool; PEOPLE],
    /// Those of them who are not suspended.
    pub active: [bool; PEOPLE],
    pub now: DateTime<Utc>,
}

impl House {
    /// An Owner, an Admin, a Developer, a Viewer who is Admin of the first workspace, and somebody who deals with roles
    /// everywhere but with data in the second workspace alone. The others are no members.
    pub fn found() -> Self {
        let founders = std::array::from_fn(|person| person < FOUNDERS);
        let mut house = Self {
            roles: Vec::new(),
            held: Vec::new(),
            public: BTreeMap::new(),
            pending: Vec::new(),
            default: VIEWER,
            takes_in: false,
            members: founders,
            active: founders,
            now: DateTime::UNIX_EPOCH,
        };
        for built_in in BuiltInRole::ALL {
            house.add_role(built_in.name(), true, &PermissionSet::new());
        }
        let roles = [
            Permission::RoleRead,
            Permission::RoleCreate,
            Permission::RoleUpdate,
            Permission::RoleDelete,
            Permission::RoleAssign,
        ];
        house.add_role("Delegate", false, &roles.into());
        let [everywhere, first, second] = PLACES;
        for (person, role, place) in [
            (0, 0, everywhere),
            (1, 1, everywhere),
            (2, 2, everywhere),
            (3, 3, everywhere),
            (3, 1, first),
            (4, 4, everywhere),
            (4, 2, second),
        ] {
            house.held.push(Held { person, role, place, until: None });
        }
        house
    }

    pub fn add_role(&mut self, name: &str, is_built_in: bool, permissions: &PermissionSet) {
        let id = RoleId(i64::try_from(self.roles.len()).unwrap());
        self.roles.push(Some(role::Model {
            id,
            organization_id: ORGANIZATION,
            name: name.to_owned(),
            description: String::new(),
            is_built_in,
            permissions: serde_json::to_value(permissions).unwrap(),
            created_at: self.now,
            name_key: name.to_lowercase(),
            updated_at: None,
        }));
    }

    pub fn standing(&self, person: usize) -> Standing {
        let user_id = UserId(i64::try_from(person).unwrap());
        let own = self.held.iter().filter(|held| held.person == person);
        let roles = own.filter_map(|held| {
            let role = self.roles[held.role].as_ref()?;
            let assignment = assignment::Model {
                id: 0,
                organization_id: ORGANIZATION,
                user_id,
                role_id: role.id,
                workspace_id: held.place,
                assigned_at: self.now,
                assigned_by_user_id: None,
                expires_at: held.until,
                given_by_group: false,
            };
            Some(HeldRole {
                assignment,
                name: role.name.clone(),
                built_in: role.built_in(),
                permissions: role.permissions(),
            })
        });
        let public = self.public.iter().filter_map(|(workspace, role)| {
            let role = self.roles[*role].as_ref()?;
            Some((*workspace, PublicWorkspace::new("Public".to_owned(), role)))
        });
        Standing {
            organization_id: ORGANIZATION,
            user_id,
            status: if self.active[person] { Status::Active } else { Status::Suspended },
            attributes: Default::default(),
            roles: roles.collect(),
            public: Arc::new(public.collect()),
            policies: None,
        }
    }

    /// The person, acting in the place; `None` for who is not let in.
    pub fn caller(&self, person: usize, place: Option<WorkspaceId>) -> Option<Caller> {
        let standing = self.standing(person);
        let membership = match place {
            Some(workspace) => standing.membership_of_workspace(workspace, self.now)?,
            None => standing.membership(None, self.now)?,
        };
        Some(Caller {
            user_id: UserId(i64::try_from(person).unwrap()),
            credential: Credential::Session(SessionId(1)),
            email: "somebody@acme.example".into(),
            email_verified: true,
            authenticated_at: self.now,
            membership: Some(Arc::new(membership)),
            proofs: Proofs {
                second_factor: true,
                passkey: false,
                trusted_device: false,
                ip: None,
                federation: Federation::No,
            },
            closed: None,
        })
    }

    pub fn allows(&self, actor: usize, place: Option<WorkspaceId>, deed: Deed<'_>) -> bool {
        self.caller(actor, place).is_some_and(|caller| deed.allow(&caller).is_ok())
    }

    /// Whether an owner is left of those; one on loan is none.
    pub fn has_an_owner(&self, among: impl Fn(&Held) -> bool) -> bool {
        let owns = |held: &&Held| held.role == 0 && held.place.is_none() && held.until.is_none();
        self.held.iter().filter(owns).any(|held| self.active[held.person] && among(held))
    }

    pub fn counts(&self, held: &Held) -> bool {
        held.until.is_none_or(|end| self.now < end)
    }
}
