//! The same organization, as lists of words.

use chrono::{DateTime, Utc};
use rivergen_kernel::WorkspaceId;
use rivergen_tenancy::role;

use crate::house::{Held, House, PEOPLE};

/// The same organization, naively. Who is no member is suspended here.
pub struct Model {
    pub roles: Vec<Option<Vec<&'static str>>>,
    pub held: Vec<Held>,
    pub public: Vec<(WorkspaceId, usize)>,
    pub active: [bool; PEOPLE],
    pub now: DateTime<Utc>,
}

impl Model {
    pub fn of(house: &House) -> Self {
        let words = |role: &role::Model| role.permissions().iter().map(|permission| permission.as_str()).collect();
        Self {
            roles: house.roles.iter().map(|role| role.as_ref().map(words)).collect(),
            held: house.held.clone(),
            public: Vec::new(),
            active: house.active,
            now: house.now,
        }
    }

    pub fn may(&self, person: usize, word: &str, place: Option<WorkspaceId>) -> bool {
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

    pub fn may_all(&self, person: usize, words: &[&str], place: Option<WorkspaceId>) -> bool {
        words.iter().all(|word| self.may(person, word, place))
    }
}
