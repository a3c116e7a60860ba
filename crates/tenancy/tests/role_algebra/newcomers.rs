//! How others come in, and give their place to others.

use rivergen_kernel::{Permission, WorkspaceId};
use rivergen_tenancy::{
    member,
    role::rules::{self, Deed},
};

use crate::house::{Held, Invitation, PLACES, VIEWER};
use crate::trial::Trial;

impl Trial {
    pub fn invite(
        &mut self,
        actor: usize,
        nth: usize,
        place: Option<WorkspaceId>,
    ) -> Option<(usize, Option<WorkspaceId>)> {
        let role = self.any_role(nth);
        // What is promised in a workspace must be held everywhere, too.
        let allowed = self.house.allows(actor, None, Deed::BringIn(&self.permissions_of(role)));
        assert_eq!(allowed, self.naively_brings_in(actor, role), "{actor} invites somebody to {role}");
        if allowed {
            self.house.pending.push(Invitation { inviter: actor, role, place });
        }
        allowed.then_some((actor, None))
    }

    pub fn naively_brings_in(&self, inviter: usize, role: usize) -> bool {
        let may = |word: &str| self.model.may(inviter, word, None);
        let words = self.model.roles[role].as_deref().unwrap();
        (may("member.invite") || may("user.create")) && self.model.may_all(inviter, words, None)
    }

    /// Answers who vouched; an invitation for which nobody does is over.
    pub fn accept(&mut self, person: usize, nth: usize) -> Option<usize> {
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

    pub fn come_in(&mut self, person: usize, role: usize) {
        self.house.members[person] = true;
        (self.house.active[person], self.model.active[person]) = (true, true);
        // The least that anybody gets.
        let least = self.permissions_of(VIEWER);
        for place in PLACES {
            self.at_first.entry((person, place)).or_default().extend(&least);
        }
        self.give(Held { person, role, place: None, until: None });
    }

    pub fn give(&mut self, given: Held) {
        self.house.held.push(given);
        self.model.held.push(given);
    }

    pub fn set_default(&mut self, actor: usize, nth: usize) -> Option<(usize, Option<WorkspaceId>)> {
        let role = self.any_role(nth);
        let allowed = self.welcomes(actor, role);
        if allowed {
            self.house.default = role;
        }
        allowed.then_some((actor, None))
    }

    pub fn open_domain(&mut self, actor: usize) -> Option<(usize, Option<WorkspaceId>)> {
        let allowed = self.welcomes(actor, self.house.default);
        self.house.takes_in |= allowed;
        allowed.then_some((actor, None))
    }

    pub fn welcomes(&self, actor: usize, role: usize) -> bool {
        let allowed = self.house.allows(actor, None, Deed::Welcome(&self.permissions_of(role)));
        let words = self.model.roles[role].as_deref().unwrap();
        let naively = self.model.may(actor, "organization.update", None) && self.model.may_all(actor, words, None);
        assert_eq!(allowed, naively, "{actor} lets people come in as {role}");
        allowed
    }

    pub fn join(&mut self, person: usize) -> bool {
        let comes = self.house.takes_in && !self.house.members[person];
        if comes {
            self.come_in(person, self.house.default);
        }
        comes
    }

    /// Who is a member already keeps their own roles, and those of the other end: that gives nobody anything.
    pub fn merge(&mut self, actor: usize, from: usize, to: usize) -> bool {
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
}
