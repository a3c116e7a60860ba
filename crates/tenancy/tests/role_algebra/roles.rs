//! What is done to roles.

use chrono::Duration;
use rivergen_kernel::{Permission, PermissionSet, WorkspaceId};
use rivergen_tenancy::{member, role::rules::Deed};

use crate::house::{Held, PLACES, VIEWER};
use crate::trial::Trial;

impl Trial {
    pub fn create(&mut self, actor: usize, permissions: &[Permission]) -> Option<(usize, Option<WorkspaceId>)> {
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
    pub fn custom(&self, nth: usize) -> Option<usize> {
        let is_custom = |id: &usize| self.house.roles[*id].as_ref().is_some_and(|role| !role.is_built_in);
        let custom: Vec<usize> = (0..self.house.roles.len()).filter(is_custom).collect();
        custom.get(nth.checked_rem(custom.len())?).copied()
    }

    pub fn any_role(&self, nth: usize) -> usize {
        let there: Vec<usize> = (0..self.house.roles.len()).filter(|id| self.house.roles[*id].is_some()).collect();
        there[nth % there.len()]
    }

    pub fn permissions_of(&self, role: usize) -> PermissionSet {
        self.house.roles[role].as_ref().unwrap().permissions()
    }

    pub fn update(
        &mut self,
        actor: usize,
        nth: usize,
        permissions: &[Permission],
    ) -> Option<(usize, Option<WorkspaceId>)> {
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

    pub fn delete(
        &mut self,
        actor: usize,
        nth: usize,
        replacement: Option<usize>,
    ) -> Option<(usize, Option<WorkspaceId>)> {
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

    pub fn assign(
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

    pub fn open(&mut self, actor: usize, nth: usize, workspace: usize) -> Option<(usize, Option<WorkspaceId>)> {
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

    pub fn revoke(&mut self, actor: usize, nth: usize) -> Option<(usize, Option<WorkspaceId>)> {
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
    pub fn give_instead(&mut self, actor: usize, person: usize, nth: usize) -> Option<(usize, Option<WorkspaceId>)> {
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
}
