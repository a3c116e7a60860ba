//! The algebra of permissions, tried out: random people do random things to roles, bring others in and fold accounts
//! together, and a naive model of the same house does them too. The model knows people, roles and places as lists of words
//! and asks each question by going through all of them; the house is [`Standing`] and [`Deed`], as the operations use them.
//!
//! After each deed:
//!
//! ```text
//! decided   the house allows it exactly where the model does
//! held      what everybody may do, everywhere, is what the model says
//! moved     nobody gained or lost what the actor did not hold in that place; who comes in gets a Viewer's at the least
//! reached   nobody has what they had not at first and no actor so far held
//! ```
//!
//! Who comes in by an invitation is let in by whoever made it: what that person holds when it is accepted counts, not what
//! they held when they sent it. Who comes in by a domain is let in by nobody; they reach no further than the others did.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Duration, Utc};
use proptest::{prelude::*, sample::subsequence};
use rivergen_kernel::{
    BuiltInRole, Caller, Credential, Federation, OrganizationId, Permission, PermissionSet, Proofs, RoleId, SessionId,
    UserId, WorkspaceId,
};
use rivergen_tenancy::{
    member::{self, Status, assignment},
    role::{
        self,
        rules::{self, Deed},
    },
    standing::{HeldRole, PublicWorkspace, Standing},
};

const ORGANIZATION: OrganizationId = OrganizationId(1);
const PEOPLE: usize = 8;
/// The first of them, who are members at first.
const FOUNDERS: usize = 5;
/// The built-in role, by its place among the roles.
const VIEWER: usize = 3;
/// The whole organization, and two workspaces.
const PLACES: [Option<WorkspaceId>; 3] = [None, Some(WorkspaceId(1)), Some(WorkspaceId(2))];

/// What custom roles are made of: what rules over roles, something of the organization, something of workspaces.
const UNIVERSE: [Permission; 13] = [
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
enum Act {
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

fn act() -> impl Strategy<Value = Act> {
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

/// A role that somebody holds: who, which, where, until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    person: usize,
    role: usize,
    place: Option<WorkspaceId>,
    until: Option<DateTime<Utc>>,
}

/// An invitation that nobody has accepted yet.
#[derive(Debug, Clone, Copy)]
struct Invitation {
    inviter: usize,
    role: usize,
    place: Option<WorkspaceId>,
}

/// The organization as its database would hold it.
struct House {
    /// `None`: deleted.
    roles: Vec<Option<role::Model>>,
    held: Vec<Held>,
    /// The workspaces that are public, each with its default role.
    public: BTreeMap<WorkspaceId, usize>,
    pending: Vec<Invitation>,
    /// The role of who comes in without another one.
    default: usize,
    /// Whether a domain takes people in.
    takes_in: bool,
    members: [bool; PEOPLE],
    /// Those of them who are not suspended.
    active: [bool; PEOPLE],
    now: DateTime<Utc>,
}

impl House {
    /// An Owner, an Admin, a Developer, a Viewer who is Admin of the first workspace, and somebody who deals with roles
    /// everywhere but with data in the second workspace alone. The others are no members.
    fn found() -> Self {
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

    fn add_role(&mut self, name: &str, is_built_in: bool, permissions: &PermissionSet) {
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

    fn standing(&self, person: usize) -> Standing {
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
    fn caller(&self, person: usize, place: Option<WorkspaceId>) -> Option<Caller> {
        let membership = self.standing(person).authority(place, self.now)?;
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

    fn allows(&self, actor: usize, place: Option<WorkspaceId>, deed: Deed<'_>) -> bool {
        self.caller(actor, place).is_some_and(|caller| deed.allow(&caller).is_ok())
    }

    /// Whether an owner is left of those; one on loan is none.
    fn has_an_owner(&self, among: impl Fn(&Held) -> bool) -> bool {
        let owns = |held: &&Held| held.role == 0 && held.place.is_none() && held.until.is_none();
        self.held.iter().filter(owns).any(|held| self.active[held.person] && among(held))
    }

    fn counts(&self, held: &Held) -> bool {
        held.until.is_none_or(|end| self.now < end)
    }
}

/// The same organization, naively. Who is no member is suspended here.
struct Model {
    roles: Vec<Option<Vec<&'static str>>>,
    held: Vec<Held>,
    public: Vec<(WorkspaceId, usize)>,
    active: [bool; PEOPLE],
    now: DateTime<Utc>,
}

impl Model {
    fn of(house: &House) -> Self {
        let words = |role: &role::Model| role.permissions().iter().map(|permission| permission.as_str()).collect();
        Self {
            roles: house.roles.iter().map(|role| role.as_ref().map(words)).collect(),
            held: house.held.clone(),
            public: Vec::new(),
            active: house.active,
            now: house.now,
        }
    }

    fn may(&self, person: usize, word: &str, place: Option<WorkspaceId>) -> bool {
        if !self.active[person] {
            return false;
        }
        for held in &self.held {
            let is_theirs = held.person == person;
            let is_here = held.place.is_none() || held.place == place;
            let is_over = matches!(held.until, Some(end) if end <= self.now);
            if is_theirs && is_here && !is_over {
                for name in self.roles[held.role].iter().flatten() {
                    if *name == word {
                        return true;
                    }
                }
            }
        }
        for (workspace, role) in &self.public {
            let is_of_workspace = ["datasource.", "storage.", "prompt."].iter().any(|start| word.starts_with(start));
            if place == Some(*workspace) && is_of_workspace && word != "storage.manage" {
                for name in self.roles[*role].iter().flatten() {
                    if *name == word {
                        return true;
                    }
                }
            }
        }
        false
    }

    fn may_all(&self, person: usize, words: &[&str], place: Option<WorkspaceId>) -> bool {
        words.iter().all(|word| self.may(person, word, place))
    }
}

/// What everybody may do everywhere.
type Everything = BTreeMap<(usize, Option<WorkspaceId>), PermissionSet>;

struct Trial {
    house: House,
    model: Model,
    at_first: Everything,
    /// What those who acted held, where they acted.
    acted_with: BTreeMap<Option<WorkspaceId>, PermissionSet>,
    done: usize,
}

impl Trial {
    fn new() -> Self {
        let house = House::found();
        let model = Model::of(&house);
        let mut trial = Self { house, model, at_first: Everything::new(), acted_with: BTreeMap::new(), done: 0 };
        trial.at_first = trial.everything();
        trial
    }

    fn everything(&self) -> Everything {
        let mut all = Everything::new();
        for person in 0..PEOPLE {
            let standing = self.house.standing(person);
            for place in PLACES {
                all.insert((person, place), standing.permissions(place, self.house.now));
            }
        }
        all
    }

    fn run(&mut self, act: &Act) {
        let before = self.everything();
        let done = match act {
            Act::Create { actor, permissions } => self.create(*actor, permissions),
            Act::Update { actor, role, permissions } => self.update(*actor, *role, permissions),
            Act::Delete { actor, role, replacement } => self.delete(*actor, *role, *replacement),
            Act::Assign { actor, person, role, place, minutes } => {
                self.assign(*actor, *person, *role, PLACES[*place], *minutes)
            }
            Act::Revoke { actor, nth } => self.revoke(*actor, *nth),
            Act::Open { actor, role, workspace } => self.open(*actor, *role, *workspace),
            Act::GiveInstead { actor, person, role } => self.give_instead(*actor, *person, *role),
            Act::Invite { actor, role, place } => self.invite(*actor, *role, PLACES[*place]),
            Act::SetDefault { actor, role } => self.set_default(*actor, *role),
            Act::OpenDomain { actor } => self.open_domain(*actor),
            Act::Accept { person, nth } => {
                if let Some(inviter) = self.accept(*person, *nth) {
                    self.check_who_came(&before, &[*person], Some(inviter), &[None]);
                }
                None
            }
            Act::Join { person } => {
                if self.join(*person) {
                    self.check_who_came(&before, &[*person], None, &[]);
                }
                None
            }
            Act::Merge { actor, from, to } => {
                if self.merge(*actor, *from, *to) {
                    self.check_who_came(&before, &[*from, *to], Some(*actor), &PLACES);
                }
                None
            }
            Act::Suspend { person } | Act::LetIn { person } => {
                let active = matches!(act, Act::LetIn { .. });
                let may_be = active || self.house.has_an_owner(|held| held.person != *person);
                if self.house.members[*person] && may_be {
                    (self.house.active[*person], self.model.active[*person]) = (active, active);
                }
                None
            }
            Act::Wait { minutes } => {
                self.house.now += Duration::minutes(*minutes);
                self.model.now = self.house.now;
                None
            }
        };
        self.check_against_the_model();
        if let Some((actor, place)) = done {
            self.done += 1;
            self.check_what_moved(&before, actor, place);
        }
    }

    fn create(&mut self, actor: usize, permissions: &[Permission]) -> Option<(usize, Option<WorkspaceId>)> {
        let set: PermissionSet = permissions.iter().copied().collect();
        let words: Vec<&'static str> = permissions.iter().map(|permission| permission.as_str()).collect();
        let allowed = self.house.allows(actor, None, Deed::Create(&set));
        let naively = self.model.may(actor, "role.create", None) && self.model.may_all(actor, &words, None);
        assert_eq!(allowed, naively, "{actor} creates {words:?}");
        if allowed {
            self.house.add_role("Custom", false, &set);
            self.model.roles.push(Some(words));
        }
        allowed.then_some((actor, None))
    }

    /// A role that is not built in.
    fn custom(&self, nth: usize) -> Option<usize> {
        let is_custom = |id: &usize| self.house.roles[*id].as_ref().is_some_and(|role| !role.is_built_in);
        let custom: Vec<usize> = (0..self.house.roles.len()).filter(is_custom).collect();
        custom.get(nth.checked_rem(custom.len())?).copied()
    }

    fn any_role(&self, nth: usize) -> usize {
        let there: Vec<usize> = (0..self.house.roles.len()).filter(|id| self.house.roles[*id].is_some()).collect();
        there[nth % there.len()]
    }

    fn permissions_of(&self, role: usize) -> PermissionSet {
        self.house.roles[role].as_ref().unwrap().permissions()
    }

    fn update(&mut self, actor: usize, nth: usize, permissions: &[Permission]) -> Option<(usize, Option<WorkspaceId>)> {
        let role = self.custom(nth)?;
        let (before, after) = (self.permissions_of(role), permissions.iter().copied().collect());
        let words: Vec<&'static str> = permissions.iter().map(|permission| permission.as_str()).collect();
        let old = self.model.roles[role].clone().unwrap();
        let added = words.iter().filter(|word| !old.contains(word));
        let removed = old.iter().filter(|word| !words.contains(word));
        let moved: Vec<&str> = added.chain(removed).copied().collect();
        let allowed = self.house.allows(actor, None, Deed::Update { before: &before, after: &after });
        let naively = self.model.may(actor, "role.update", None) && self.model.may_all(actor, &moved, None);
        assert_eq!(allowed, naively, "{actor} makes {old:?} into {words:?}");
        if allowed {
            let row = self.house.roles[role].as_mut().unwrap();
            row.permissions = serde_json::to_value(&after).unwrap();
            self.model.roles[role] = Some(words);
        }
        allowed.then_some((actor, None))
    }

    fn delete(&mut self, actor: usize, nth: usize, replacement: Option<usize>) -> Option<(usize, Option<WorkspaceId>)> {
        let role = self.custom(nth)?;
        let other = replacement.map(|nth| self.any_role(nth)).filter(|other| *other != role);
        let is_held = self.house.held.iter().any(|held| held.role == role && self.house.counts(held));
        let is_promised = self.house.pending.iter().any(|invitation| invitation.role == role);
        if other.is_none() && (is_held || is_promised) {
            return None;
        }
        // Everybody in a public workspace has its default role, and is a Viewer after it.
        let is_everybodys = self.house.public.values().any(|default| *default == role);
        let other = other.or(is_everybodys.then_some(VIEWER));
        let permissions = self.permissions_of(role);
        let instead = other.map(|other| self.permissions_of(other));
        let deed = Deed::Delete { role: &permissions, replacement: instead.as_ref() };
        let allowed = self.house.allows(actor, None, deed);
        let model = &self.model;
        let replaces = |other: usize| {
            let [old, new] = [role, other].map(|id| model.roles[id].clone().unwrap());
            model.may(actor, "role.assign", None)
                && model.may_all(actor, &old, None)
                && model.may_all(actor, &new, None)
        };
        let naively = model.may(actor, "role.delete", None) && other.is_none_or(replaces);
        assert_eq!(allowed, naively, "{actor} deletes {permissions:?} for {instead:?}");
        if !allowed {
            return None;
        }
        if let Some(other) = other {
            let now = self.house.now;
            for held in [&mut self.house.held, &mut self.model.held] {
                held.retain(|held| held.role != role || held.until.is_none_or(|end| now < end));
                held.iter_mut().filter(|held| held.role == role).for_each(|held| held.role = other);
            }
            self.house.public.values_mut().filter(|default| **default == role).for_each(|default| *default = other);
            self.model.public.iter_mut().filter(|(_, default)| *default == role).for_each(|it| it.1 = other);
            self.house.pending.iter_mut().filter(|it| it.role == role).for_each(|it| it.role = other);
        }
        if self.house.default == role {
            self.house.default = other.unwrap_or(VIEWER);
        }
        self.house.roles[role] = None;
        self.model.roles[role] = None;
        Some((actor, None))
    }

    fn assign(
        &mut self,
        actor: usize,
        person: usize,
        nth: usize,
        place: Option<WorkspaceId>,
        minutes: Option<i64>,
    ) -> Option<(usize, Option<WorkspaceId>)> {
        let role = self.any_role(nth);
        let allowed = self.house.allows(actor, place, Deed::Assign(&self.permissions_of(role)));
        let words = self.model.roles[role].clone().unwrap();
        let naively = self.model.may(actor, "role.assign", place) && self.model.may_all(actor, &words, place);
        assert_eq!(allowed, naively, "{actor} gives {person} {words:?} in {place:?}");
        let is_new =
            !self.house.held.iter().any(|held| {
                held.person == person && held.role == role && held.place == place && self.house.counts(held)
            });
        if !allowed || !is_new || !self.house.active[person] {
            return None;
        }
        let until = minutes.map(|minutes| self.house.now + Duration::minutes(minutes));
        let given = Held { person, role, place, until };
        self.house.held.push(given);
        self.model.held.push(given);
        Some((actor, place))
    }

    fn open(&mut self, actor: usize, nth: usize, workspace: usize) -> Option<(usize, Option<WorkspaceId>)> {
        let (role, place) = (self.any_role(nth), PLACES[workspace]);
        let id = place?;
        // What is taken from everybody by another role in the place of one is not this deed's affair.
        if self.house.public.contains_key(&id) {
            return None;
        }
        let allowed = self.house.allows(actor, place, Deed::Assign(&self.permissions_of(role)));
        let words = self.model.roles[role].clone().unwrap();
        let naively = self.model.may(actor, "role.assign", place) && self.model.may_all(actor, &words, place);
        assert_eq!(allowed, naively, "{actor} opens {place:?} with {words:?}");
        if allowed {
            self.house.public.insert(id, role);
            self.model.public.push((id, role));
        }
        allowed.then_some((actor, place))
    }

    fn revoke(&mut self, actor: usize, nth: usize) -> Option<(usize, Option<WorkspaceId>)> {
        let counting: Vec<Held> = self.house.held.iter().filter(|held| self.house.counts(held)).copied().collect();
        let taken = *counting.get(nth.checked_rem(counting.len())?)?;
        if !self.house.has_an_owner(|held| *held != taken) {
            return None;
        }
        // Assignments of a role that is deleted are gone.
        self.house.roles[taken.role].as_ref()?;
        let allowed = self.house.allows(actor, taken.place, Deed::Revoke(&self.permissions_of(taken.role)));
        let words = self.model.roles[taken.role].clone().unwrap();
        let naively =
            self.model.may(actor, "role.assign", taken.place) && self.model.may_all(actor, &words, taken.place);
        assert_eq!(allowed, naively, "{actor} takes {words:?} from {} in {:?}", taken.person, taken.place);
        if allowed {
            self.house.held.retain(|held| *held != taken);
            self.model.held.retain(|held| *held != taken);
        }
        allowed.then_some((actor, taken.place))
    }

    /// One role in the place of all that the person holds in the whole organization.
    fn give_instead(&mut self, actor: usize, person: usize, nth: usize) -> Option<(usize, Option<WorkspaceId>)> {
        let (role, now) = (self.any_role(nth), self.house.now);
        if !self.house.members[person] {
            return None;
        }
        let is_everywhere = |held: &Held| held.person == person && held.place.is_none();
        let is_kept = |held: &Held| held.role == role && held.until.is_none();
        let live = self.house.held.iter().filter(|held| is_everywhere(held) && self.house.counts(held));
        let live: Vec<Held> = live.copied().collect();
        let lost = live.iter().filter(|held| !is_kept(held)).flat_map(|held| self.permissions_of(held.role));
        let lost: PermissionSet = lost.collect();
        let gained = self.permissions_of(role);
        let deed = Deed::Instead { taken: &lost, given: &gained };
        let standing = self.house.standing(person);
        let allowed = self
            .house
            .caller(actor, None)
            .is_some_and(|caller| member::refuse_above(&caller, &standing, now).is_ok() && deed.allow(&caller).is_ok());
        let model = &self.model;
        let all_of = |role: usize| model.may_all(actor, model.roles[role].as_deref().unwrap(), None);
        let naively =
            model.may(actor, "role.assign", None) && all_of(role) && live.iter().all(|held| all_of(held.role));
        assert_eq!(allowed, naively, "{actor} gives {person} {role} instead of {live:?}");
        let is_taken = |held: &Held| is_everywhere(held) && !is_kept(held);
        let owns = role == 0 && self.house.active[person];
        if !allowed || !(owns || self.house.has_an_owner(|held| !is_taken(held))) {
            return None;
        }
        let given = Held { person, role, place: None, until: None };
        for held in [&mut self.house.held, &mut self.model.held] {
            held.retain(|held| !is_taken(held) && *held != given);
            held.push(given);
        }
        Some((actor, None))
    }

    fn invite(&mut self, actor: usize, nth: usize, place: Option<WorkspaceId>) -> Option<(usize, Option<WorkspaceId>)> {
        let role = self.any_role(nth);
        // What is promised in a workspace must be held everywhere, too.
        let allowed = self.house.allows(actor, None, Deed::BringIn(&self.permissions_of(role)));
        assert_eq!(allowed, self.naively_brings_in(actor, role), "{actor} invites somebody to {role}");
        if allowed {
            self.house.pending.push(Invitation { inviter: actor, role, place });
        }
        allowed.then_some((actor, None))
    }

    fn naively_brings_in(&self, inviter: usize, role: usize) -> bool {
        let may = |word: &str| self.model.may(inviter, word, None);
        let words = self.model.roles[role].as_deref().unwrap();
        (may("member.invite") || may("user.create")) && self.model.may_all(inviter, words, None)
    }

    /// Answers who vouched; an invitation for which nobody does is over.
    fn accept(&mut self, person: usize, nth: usize) -> Option<usize> {
        let nth = nth.checked_rem(self.house.pending.len())?;
        if self.house.members[person] {
            return None;
        }
        let Invitation { inviter, role, place } = self.house.pending.remove(nth);
        let held = self.house.standing(inviter).permissions(None, self.house.now);
        let allowed = rules::still_brings_in(&held, &self.permissions_of(role));
        assert_eq!(allowed, self.naively_brings_in(inviter, role), "{person} comes by {inviter}, to {role}");
        if !allowed {
            return None;
        }
        let everywhere = place.map_or(role, |_| VIEWER);
        self.come_in(person, everywhere);
        if place.is_some() {
            self.give(Held { person, role, place, until: None });
        }
        Some(inviter)
    }

    fn come_in(&mut self, person: usize, role: usize) {
        self.house.members[person] = true;
        (self.house.active[person], self.model.active[person]) = (true, true);
        // The least that anybody gets.
        let least = self.permissions_of(VIEWER);
        for place in PLACES {
            self.at_first.entry((person, place)).or_default().extend(&least);
        }
        self.give(Held { person, role, place: None, until: None });
    }

    fn give(&mut self, given: Held) {
        self.house.held.push(given);
        self.model.held.push(given);
    }

    fn set_default(&mut self, actor: usize, nth: usize) -> Option<(usize, Option<WorkspaceId>)> {
        let role = self.any_role(nth);
        let allowed = self.welcomes(actor, role);
        if allowed {
            self.house.default = role;
        }
        allowed.then_some((actor, None))
    }

    fn open_domain(&mut self, actor: usize) -> Option<(usize, Option<WorkspaceId>)> {
        let allowed = self.welcomes(actor, self.house.default);
        self.house.takes_in |= allowed;
        allowed.then_some((actor, None))
    }

    fn welcomes(&self, actor: usize, role: usize) -> bool {
        let allowed = self.house.allows(actor, None, Deed::Welcome(&self.permissions_of(role)));
        let words = self.model.roles[role].as_deref().unwrap();
        let naively = self.model.may(actor, "organization.update", None) && self.model.may_all(actor, words, None);
        assert_eq!(allowed, naively, "{actor} lets people come in as {role}");
        allowed
    }

    fn join(&mut self, person: usize) -> bool {
        let comes = self.house.takes_in && !self.house.members[person];
        if comes {
            self.come_in(person, self.house.default);
        }
        comes
    }

    /// Who is a member already keeps their own roles, and those of the other end: that gives nobody anything.
    fn merge(&mut self, actor: usize, from: usize, to: usize) -> bool {
        let (house, model) = (&self.house, &self.model);
        if !house.members[from] || house.members[to] {
            return false;
        }
        let theirs = house.held.iter().filter(|held| held.person == from && house.counts(held));
        let theirs: Vec<Held> = theirs.copied().collect();
        let standing = house.standing(from);
        let enters = house.caller(actor, None).is_some_and(|caller| {
            caller.require(Permission::UserMerge).is_ok() && member::refuse_above(&caller, &standing, house.now).is_ok()
        });
        let hands_over = |held: &Held| house.allows(actor, held.place, Deed::HandOver(&self.permissions_of(held.role)));
        let allowed = enters && theirs.iter().all(hands_over);
        let holds = |held: &Held| model.may_all(actor, model.roles[held.role].as_deref().unwrap(), held.place);
        let naively = model.may(actor, "user.merge", None) && theirs.iter().all(holds);
        assert_eq!(allowed, naively, "{actor} folds {from} with {theirs:?} into {to}");
        if !allowed {
            return false;
        }
        let now = self.house.now;
        for held in [&mut self.house.held, &mut self.model.held] {
            held.retain(|held| held.person != from || held.until.is_none_or(|end| now < end));
            held.iter_mut().filter(|held| held.person == from).for_each(|held| held.person = to);
        }
        self.house.members.swap(from, to);
        self.house.active.swap(from, to);
        self.model.active.swap(from, to);
        true
    }

    fn check_against_the_model(&self) {
        for ((person, place), permissions) in self.everything() {
            for permission in Permission::ALL {
                let naively = self.model.may(person, permission.as_str(), place);
                assert_eq!(permissions.contains(permission), naively, "{permission} of {person} in {place:?}");
            }
        }
    }

    fn check_what_moved(&mut self, before: &Everything, actor: usize, place: Option<WorkspaceId>) {
        let with = &before[&(actor, place)];
        self.acted_with.entry(place).or_default().extend(with);
        self.check_what_is_reached();
        for ((person, at), after) in self.everything() {
            let moved: BTreeSet<_> = before[&(person, at)].symmetric_difference(&after).copied().collect();
            if place.is_some() && at != place {
                assert!(moved.is_empty(), "{actor} acted in {place:?} and moved {moved:?} of {person} in {at:?}");
            }
            assert!(moved.is_subset(with), "{actor} with {with:?} moved {moved:?} of {person} in {at:?}");
        }
    }

    /// Some came in, or gave their place to others: by somebody, who acted in these places, or by themselves.
    fn check_who_came(
        &mut self,
        before: &Everything,
        people: &[usize],
        by: Option<usize>,
        places: &[Option<WorkspaceId>],
    ) {
        self.done += 1;
        if let Some(by) = by {
            for place in places {
                self.acted_with.entry(*place).or_default().extend(&before[&(by, *place)]);
            }
        }
        self.check_what_is_reached();
        let least = self.permissions_of(VIEWER);
        for ((person, at), after) in self.everything() {
            let moved: BTreeSet<_> = before[&(person, at)].symmetric_difference(&after).copied().collect();
            if !people.contains(&person) {
                assert!(moved.is_empty(), "{people:?} came, and {moved:?} of {person} moved in {at:?}");
            } else if let Some(by) = by {
                let with: PermissionSet = before[&(by, at)].union(&least).copied().collect();
                assert!(moved.is_subset(&with), "{by} with {with:?} moved {moved:?} of {person} in {at:?}");
            }
        }
    }

    fn check_what_is_reached(&self) {
        for ((person, at), after) in self.everything() {
            let of = |place: &Option<WorkspaceId>| self.acted_with.get(place).into_iter().flatten();
            let mut reachable: PermissionSet = self.at_first[&(person, at)].clone();
            reachable.extend(of(&None).chain(of(&at)));
            assert!(after.is_subset(&reachable), "{person} reached {after:?} in {at:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn nobody_reaches_what_nobody_who_acted_held(acts in prop::collection::vec(act(), 1..60)) {
        let mut trial = Trial::new();
        acts.iter().for_each(|act| trial.run(act));
    }
}

/// The same by hand, so that it is seen that the trial does not pass because everything is refused.
#[test]
fn much_of_what_is_tried_is_done() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut done: HashMap<_, usize> = HashMap::new();
    for _ in 0..20 {
        let acts = prop::collection::vec(act(), 100).new_tree(&mut runner).unwrap().current();
        let mut trial = Trial::new();
        for act in &acts {
            let before = trial.done;
            trial.run(act);
            *done.entry(std::mem::discriminant(act)).or_default() += trial.done - before;
        }
    }
    let kinds = done.values().filter(|times| **times > 0).count();
    let times: usize = done.values().sum();
    // All but those that nobody does: who is suspended, who is let in again, and the time that passes.
    assert!(kinds == 13 && times > 200, "{kinds} kinds of acts, {times} of 2000");
}

/// What somebody holds in one workspace is not carried out of it: the person deals with roles everywhere and with data
/// in the second workspace alone.
#[test]
fn a_role_in_a_workspace_gives_nothing_elsewhere() {
    let mut trial = Trial::new();
    let (delegate, second) = (4, PLACES[2]);
    assert!(trial.everything()[&(delegate, second)].contains(&Permission::DataSourceWrite));
    assert_eq!(trial.create(delegate, &[Permission::DataSourceWrite]), None);
    assert_eq!(trial.assign(delegate, delegate, 2, None, None), None);
    assert_eq!(trial.assign(delegate, 3, 2, PLACES[1], None), None);
    assert_eq!(trial.assign(delegate, 3, 2, second, None), Some((delegate, second)));
}

/// An invitation is good for what its inviter holds when it is accepted, and is over where they do not hold it any more.
#[test]
fn who_invites_must_hold_it_still() {
    let mut trial = Trial::new();
    let (admin, developer, newcomer) = (1, 2, FOUNDERS);
    assert_eq!(trial.invite(admin, developer, None), Some((admin, None)));
    trial.run(&Act::Suspend { person: admin });
    assert_eq!(trial.accept(newcomer, 0), None);
    assert!(trial.house.pending.is_empty());
    trial.run(&Act::LetIn { person: admin });
    assert_eq!(trial.invite(admin, developer, PLACES[1]), Some((admin, None)));
    trial.run(&Act::Accept { person: newcomer, nth: 0 });
    let everything = trial.everything();
    assert_eq!(everything[&(newcomer, None)], trial.permissions_of(VIEWER));
    assert!(everything[&(newcomer, PLACES[1])].contains(&Permission::DataSourceWrite));
    assert!(!everything[&(newcomer, PLACES[2])].contains(&Permission::DataSourceWrite));
}

/// Who may fold accounts together gets nobody a role that they do not hold, in a workspace neither.
#[test]
fn a_merge_hands_over_what_its_actor_holds() {
    let mut trial = Trial::new();
    let (owner, admin_of_first, delegate, newcomer) = (0, 3, 4, FOUNDERS);
    assert_eq!(trial.create(owner, &[Permission::UserMerge]), Some((owner, None)));
    let merges = trial.house.roles.len() - 1;
    for role in [VIEWER, merges] {
        assert_eq!(trial.assign(owner, delegate, role, None, None), Some((owner, None)));
    }
    // What the person holds in the whole organization, the delegate holds, too.
    assert!(!trial.merge(delegate, admin_of_first, newcomer));
    let held = trial.everything()[&(admin_of_first, PLACES[1])].clone();
    trial.run(&Act::Merge { actor: owner, from: admin_of_first, to: newcomer });
    let everything = trial.everything();
    assert_eq!(everything[&(newcomer, PLACES[1])], held);
    assert!(everything[&(admin_of_first, PLACES[1])].is_empty());
}

/// Nobody lets others come in with a role that they do not hold; who does come in gets the default, whatever it is by then.
#[test]
fn a_domain_lets_in_by_the_default_role() {
    let mut trial = Trial::new();
    let (owner, developer, newcomer) = (0, 2, FOUNDERS);
    trial.run(&Act::Join { person: newcomer });
    assert!(!trial.house.members[newcomer]);
    assert_eq!(trial.open_domain(developer), None);
    trial.run(&Act::OpenDomain { actor: owner });
    assert_eq!(trial.set_default(developer, developer), None);
    trial.run(&Act::SetDefault { actor: owner, role: developer });
    trial.run(&Act::Join { person: newcomer });
    assert_eq!(trial.everything()[&(newcomer, None)], trial.permissions_of(developer));
}

/// What takes the place of another role must be held as well as that.
#[test]
fn another_role_instead_moves_both() {
    let mut trial = Trial::new();
    let (owner, admin, developer, viewer) = (0, 1, 2, 3);
    assert_eq!(trial.give_instead(admin, developer, owner), None);
    assert_eq!(trial.give_instead(admin, owner, VIEWER), None);
    // The last owner stays one.
    assert_eq!(trial.give_instead(owner, owner, VIEWER), None);
    assert_eq!(trial.give_instead(admin, viewer, developer), Some((admin, None)));
    assert!(trial.everything()[&(viewer, None)].is_superset(&trial.permissions_of(developer)));
}
