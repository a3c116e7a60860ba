//! The algebra of permissions, tried out: random people do random things to roles, and a naive model of the same house
//! does them too. The model knows people, roles and places as lists of words and asks each question by going through all
//! of them; the house is [`Standing`] and [`Deed`], as the operations use them.
//!
//! After each deed:
//!
//! ```text
//! decided   the house allows it exactly where the model does
//! held      what everybody may do, everywhere, is what the model says
//! moved     nobody gained or lost what the actor did not hold in that place
//! reached   nobody has what they had not at first and no actor so far held
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Duration, Utc};
use proptest::{prelude::*, sample::subsequence};
use rivergen_kernel::{
    BuiltInRole, Caller, Credential, Federation, OrganizationId, Permission, PermissionSet, Proofs, RoleId, SessionId,
    UserId, WorkspaceId,
};
use rivergen_tenancy::{
    member::{Status, assignment},
    role::{self, rules::Deed},
    standing::{HeldRole, PublicWorkspace, Standing},
};

const ORGANIZATION: OrganizationId = OrganizationId(1);
const PEOPLE: usize = 5;
/// The built-in role, by its place among the roles.
const VIEWER: usize = 3;
/// The whole organization, and two workspaces.
const PLACES: [Option<WorkspaceId>; 3] = [None, Some(WorkspaceId(1)), Some(WorkspaceId(2))];

/// What custom roles are made of: what rules over roles, something of the organization, something of workspaces.
const UNIVERSE: [Permission; 9] = [
    Permission::OrganizationDelete,
    Permission::RoleRead,
    Permission::RoleCreate,
    Permission::RoleUpdate,
    Permission::RoleDelete,
    Permission::RoleAssign,
    Permission::PolicyWrite,
    Permission::DataSourceWrite,
    Permission::PromptRead,
];

/// Something that happens; to open a workspace is to make it public, with a default role. Indices are taken modulo what
/// there is.
#[derive(Debug, Clone)]
enum Act {
    Create { actor: usize, permissions: Vec<Permission> },
    Update { actor: usize, role: usize, permissions: Vec<Permission> },
    Delete { actor: usize, role: usize, replacement: Option<usize> },
    Assign { actor: usize, person: usize, role: usize, place: usize, minutes: Option<i64> },
    Revoke { actor: usize, nth: usize },
    Suspend { person: usize },
    LetIn { person: usize },
    Open { actor: usize, role: usize, workspace: usize },
    Wait { minutes: i64 },
}

fn act() -> impl Strategy<Value = Act> {
    let person = || 0..PEOPLE;
    let permissions = || subsequence(UNIVERSE.to_vec(), 0..=UNIVERSE.len());
    prop_oneof![
        3 => (person(), permissions()).prop_map(|(actor, permissions)| Act::Create { actor, permissions }),
        4 => (person(), any::<usize>(), permissions())
            .prop_map(|(actor, role, permissions)| Act::Update { actor, role, permissions }),
        2 => (person(), any::<usize>(), proptest::option::of(any::<usize>()))
            .prop_map(|(actor, role, replacement)| Act::Delete { actor, role, replacement }),
        8 => (person(), person(), any::<usize>(), 0..PLACES.len(), proptest::option::weighted(0.3, 1_i64..90))
            .prop_map(|(actor, person, role, place, minutes)| Act::Assign { actor, person, role, place, minutes }),
        4 => (person(), any::<usize>()).prop_map(|(actor, nth)| Act::Revoke { actor, nth }),
        1 => person().prop_map(|person| Act::Suspend { person }),
        3 => person().prop_map(|person| Act::LetIn { person }),
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

/// The organization as its database would hold it.
struct House {
    /// `None`: deleted.
    roles: Vec<Option<role::Model>>,
    held: Vec<Held>,
    /// The workspaces that are public, each with its default role.
    public: BTreeMap<WorkspaceId, usize>,
    active: [bool; PEOPLE],
    now: DateTime<Utc>,
}

impl House {
    /// An Owner, an Admin, a Developer, a Viewer who is Admin of the first workspace, and somebody who deals with roles
    /// everywhere but with data in the second workspace alone.
    fn found() -> Self {
        let mut house = Self {
            roles: Vec::new(),
            held: Vec::new(),
            public: BTreeMap::new(),
            active: [true; PEOPLE],
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

/// The same organization, naively.
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
            Act::Suspend { person } | Act::LetIn { person } => {
                let active = matches!(act, Act::LetIn { .. });
                if active || self.house.has_an_owner(|held| held.person != *person) {
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
        let in_use = self.house.held.iter().any(|held| held.role == role && self.house.counts(held));
        if other.is_none() && in_use {
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
        for ((person, at), after) in self.everything() {
            let moved: BTreeSet<_> = before[&(person, at)].symmetric_difference(&after).copied().collect();
            if place.is_some() && at != place {
                assert!(moved.is_empty(), "{actor} acted in {place:?} and moved {moved:?} of {person} in {at:?}");
            }
            assert!(moved.is_subset(with), "{actor} with {with:?} moved {moved:?} of {person} in {at:?}");
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
    let acts = prop::collection::vec(act(), 400).new_tree(&mut runner).unwrap().current();
    let mut trial = Trial::new();
    acts.iter().for_each(|act| trial.run(act));
    assert!(trial.done > 40, "{} of 400", trial.done);
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
