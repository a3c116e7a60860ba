//! The shortest way to a page of a long list: from an end of it, or from a row whose place a page before has told.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sea_orm::Order;

/// Of how many rows of a list the place is kept.
const SIGNPOSTS: usize = 1_000;

/// From which end of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    Forward,
    Backward,
}

impl Walk {
    /// An order, walked so.
    pub fn along(self, order: Order) -> Order {
        match (self, order) {
            (Self::Forward, order) => order,
            (Self::Backward, Order::Asc) => Order::Desc,
            (Self::Backward, _) => Order::Asc,
        }
    }
}

/// How many rows are on a page of a list of so many in all.
pub(crate) fn on_page(total: u64, skip: u64, limit: u64) -> u64 {
    Ord::min(limit, total.saturating_sub(skip))
}

/// A way to a page; `S` is what a row stands by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Way<S> {
    pub walk: Walk,
    /// From this row on; `None`: from the end of the list.
    pub from: Option<S>,
    /// So many are passed over.
    pub over: u64,
    /// So many are on the page.
    pub taken: u64,
}

impl<S> Way<S> {
    /// From the nearer end of a list of so many in all.
    pub fn from_an_end(total: u64, skip: u64, limit: u64) -> Self {
        let taken = on_page(total, skip, limit);
        let from_the_end = total.saturating_sub(skip + taken);
        let (walk, over) = match taken > 0 && from_the_end < skip {
            true => (Walk::Backward, from_the_end),
            false => (Walk::Forward, skip),
        };
        Self { walk, from: None, over, taken }
    }
}

/// Rows that stand at known places, from 0, of a list.
#[derive(Debug)]
pub(crate) struct Signposts<S>(Mutex<BTreeMap<u64, S>>);

impl<S> Default for Signposts<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Clone> Signposts<S> {
    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shortest way to a page of a list of so many in all: from an end, or from a row before or behind it.
    pub fn way(&self, total: u64, skip: u64, limit: u64) -> Way<S> {
        let from_an_end = Way::from_an_end(total, skip, limit);
        let (taken, known) = (from_an_end.taken, self.known());
        let way = |walk, from: &S, over| Way { walk, from: Some(from.clone()), over, taken };
        let before = known.range(..=skip).next_back().map(|(at, row)| way(Walk::Forward, row, skip - at));
        let last = (skip + taken).checked_sub(1).filter(|_| taken > 0);
        let behind = last.and_then(|last| {
            let next = known.range(last..).next();
            next.map(|(at, row)| way(Walk::Backward, row, at - last))
        });
        let others = [before, behind].into_iter().flatten();
        others.fold(from_an_end, |best, other| if other.over < best.over { other } else { best })
    }

    /// Keeps the place of a row.
    pub fn put_up(&self, at: u64, row: S) {
        let mut known = self.known();
        if known.len() < SIGNPOSTS {
            known.insert(at, row);
        }
    }

    /// Keeps the places of a survey, beside those that are kept already.
    pub fn put_all_up(&self, rows: impl IntoIterator<Item = (u64, S)>) {
        self.known().extend(rows);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Which rows the way leads to, in a list in which each stands where its number says.
    fn walked(total: u64, way: &Way<u64>, limit: u64) -> Vec<u64> {
        let (all, over) = (0..total, usize::try_from(way.over).unwrap());
        let limit = usize::try_from(limit).unwrap();
        match way.walk {
            Walk::Forward => {
                all.filter(|row| way.from.is_none_or(|from| *row >= from)).skip(over).take(limit).collect()
            }
            Walk::Backward => {
                let before = all.filter(|row| way.from.is_none_or(|from| *row <= from));
                let mut found: Vec<u64> = before.rev().skip(over).take(limit).collect();
                found.reverse();
                found
            }
        }
    }

    proptest! {
        #[test]
        fn every_way_leads_to_the_same_page(
            total in 0_u64..200,
            known in prop::collection::btree_set(0_u64..200, 0..20),
            skip in 0_u64..220,
            limit in 1_u64..60,
        ) {
            let signposts = Signposts::default();
            known.iter().filter(|at| **at < total).for_each(|at| signposts.put_up(*at, *at));
            let page: Vec<u64> = (skip..skip + on_page(total, skip, limit)).collect();
            let (plain, short) = (Way::from_an_end(total, skip, limit), signposts.way(total, skip, limit));
            for way in [&plain, &short] {
                let limit = if way.walk == Walk::Forward { limit } else { way.taken };
                prop_assert_eq!(&walked(total, way, limit), &page);
            }
            prop_assert!(short.over <= plain.over);
            prop_assert!(plain.over <= total / 2 || plain.taken == 0);
        }
    }

    #[test]
    fn the_next_page_begins_where_the_last_one_ended() {
        let signposts = Signposts::default();
        signposts.put_up(49_999, "the last");
        let way = |skip| signposts.way(100_000, skip, 50);
        let from = Some("the last");
        assert_eq!(way(50_000), Way { walk: Walk::Forward, from, over: 1, taken: 50 });
        assert_eq!(way(49_900), Way { walk: Walk::Backward, from, over: 50, taken: 50 });
        assert_eq!(way(100_000), Way { walk: Walk::Forward, from, over: 50_001, taken: 0 });
        assert_eq!(way(99_950), Way { walk: Walk::Backward, from: None, over: 0, taken: 50 });
    }

    #[test]
    fn no_more_places_are_kept_than_some() {
        let signposts = Signposts::default();
        (0..10_000).for_each(|at| signposts.put_up(at, at));
        assert_eq!(signposts.known().len(), SIGNPOSTS);
    }
}
