//! Both houses, what is done in them, and what must hold after it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;
use rivergen_kernel::{Permission, PermissionSet, WorkspaceId};

use crate::act::Act;
use crate::house::{House, PEOPLE, PLACES, VIEWER};
use crate::model::Model;

/// What everybody may do everywhere.
pub type Everything = BTreeMap<(usize, Option<WorkspaceId>), PermissionSet>;

pub struct Trial {
    pub house: House,
    pub model: Model,
    pub at_first: Everything,
    /// What those who acted held, where they acted.
    pub acted_with: BTreeMap<Option<WorkspaceId>, PermissionSet>,
    pub done: usize,
}

impl Trial {
    pub fn new() -> Self {
        let house = House::found();
        let model = Model::of(&house);
        let mut trial = Self { house, model, at_first: Everything::new(), acted_with: BTreeMap::new(), done: 0 };
        trial.at_first = trial.everything();
        trial
    }

    pub fn everything(&self) -> Everything {
        let mut all = Everything::new();
        for person in 0..PEOPLE {
            let standing = self.house.standing(person);
            for place in PLACES {
                all.insert((person, place), standing.permissions(place, self.house.now));
            }
        }
        all
    }

    pub fn run(&mut self, act: &Act) {
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

    pub fn check_against_the_model(&self) {
        for ((person, place), permissions) in self.everything() {
            for permission in Permission::ALL {
                let naively = self.model.may(person, permission.as_str(), place);
                assert_eq!(permissions.contains(permission), naively, "{permission} of {person} in {place:?}");
            }
        }
    }

    pub fn check_what_moved(&mut self, before: &Everything, actor: usize, place: Option<WorkspaceId>) {
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
    pub fn check_who_came(
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

    pub fn check_what_is_reached(&self) {
        for ((person, at), after) in self.everything() {
            let of = |place: &Option<WorkspaceId>| self.acted_with.get(place).into_iter().flatten();
            let mut reachable: PermissionSet = self.at_first[&(person, at)].clone();
            reachable.extend(of(&None).chain(of(&at)));
            assert!(after.is_subset(&reachable), "{person} reached {after:?} in {at:?}");
        }
    }
}
