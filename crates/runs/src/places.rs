//! The places in which the queries of one organization run on this node, and the line before them.
//!
//! So many run at a time; further ones wait, for a while and not too many. A place that becomes free goes to the person
//! who runs the fewest queries, and among those to who came first: fifty queries of one dashboard do not keep a
//! colleague's single one waiting until they are through.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rivergen_kernel::{Error, ErrorCode, OrganizationId, Result, UserId};
use tokio::sync::oneshot;

/// How many run, how many wait, how long.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Queries of one organization that run at a time.
    pub running: usize,
    /// Queries of one organization that may wait.
    pub waiting: usize,
    /// After that long in the line a query is refused.
    pub patience: Duration,
}

/// Hands out places; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    capacity: Capacity,
    lines: Arc<Mutex<HashMap<OrganizationId, Line>>>,
}

/// What runs of an organization, and what waits, in the order of arrival.
#[derive(Debug, Default)]
struct Line {
    running: HashMap<UserId, usize>,
    waiting: Vec<(UserId, oneshot::Sender<Place>)>,
}

impl Line {
    fn count(&self) -> usize {
        self.running.values().sum()
    }

    /// Takes out whose turn it is.
    fn next(&mut self) -> Option<(UserId, oneshot::Sender<Place>)> {
        self.waiting.retain(|(_, sender)| !sender.is_closed());
        let of = |user: &UserId| self.running.get(user).copied().unwrap_or_default();
        // The first of the least: min_by_key keeps the earlier of equals.
        let at = self.waiting.iter().enumerate().min_by_key(|(_, (user, _))| of(user)).map(|(at, _)| at)?;
        Some(self.waiting.remove(at))
    }
}

/// A place that is taken; dropping it gives it to the next.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    organization: OrganizationId,
    user: UserId,
}

impl Place {
    /// The same for an answer that goes out as it is read: held until that is dropped, but for so long at most. Whoever
    /// takes no byte of it any more keeps the connection, and would keep the place.
    pub fn lent(self, most: Duration) -> LentPlace {
        let place = Arc::new(Mutex::new(Some(self)));
        let lent = Arc::downgrade(&place);
        tokio::spawn(async move {
            tokio::time::sleep(most).await;
            if let Some(place) = lent.upgrade() {
                drop(place.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
        });
        LentPlace { _place: place }
    }
}

/// A place that is taken for a time.
#[derive(Debug)]
pub(crate) struct LentPlace {
    _place: Arc<Mutex<Option<Place>>>,
}

impl Places {
    pub fn new(capacity: Capacity) -> Self {
        Self { capacity, lines: Arc::default() }
    }

    /// A place, now or when it is this person's turn; `QUERY_LIMIT_EXCEEDED` where the line is full or too slow.
    pub async fn take(&self, organization: OrganizationId, user: UserId) -> Result<Place> {
        let turn = {
            let mut lines = self.lines();
            let line = lines.entry(organization).or_default();
            if line.count() < self.capacity.running {
                *line.running.entry(user).or_default() += 1;
                return Ok(Place { places: self.clone(), organization, user });
            }
            line.waiting.retain(|(_, sender)| !sender.is_closed());
            if self.capacity.patience.is_zero() || line.waiting.len() >= self.capacity.waiting {
                return Err(refused());
            }
            let (sender, turn) = oneshot::channel();
            line.waiting.push((user, sender));
            turn
        };
        match tokio::time::timeout(self.capacity.patience, turn).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(refused()),
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<OrganizationId, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused() -> Error {
    Error::new(ErrorCode::QueryLimitExceeded)
        .with_message("Your organization is already running as many queries as it may at once; try again shortly.")
        .with_retry_after(Duration::from_secs(2))
}

impl Drop for Place {
    fn drop(&mut self) {
        let handed_on = {
            let mut lines = self.places.lines();
            let Some(line) = lines.get_mut(&self.organization) else { return };
            if let Some(running) = line.running.get_mut(&self.user) {
                *running -= 1;
                if *running == 0 {
                    line.running.remove(&self.user);
                }
            }
            let next = line.next();
            if let Some((user, _)) = &next {
                *line.running.entry(*user).or_default() += 1;
            } else if line.running.is_empty() {
                lines.remove(&self.organization);
            }
            next
        };
        // Outside the lock: a place that nobody takes any more comes back here, and goes to the one after.
        if let Some((user, sender)) = handed_on {
            let place = Place { places: self.places.clone(), organization: self.organization, user };
            drop(sender.send(place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: OrganizationId = OrganizationId(1);
    const OTHER: OrganizationId = OrganizationId(2);
    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn places(running: usize, waiting: usize) -> Places {
        Places::new(Capacity { running, waiting, patience: Duration::from_secs(3600) })
    }

    /// Lets the tasks that can go on do so.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_runs_the_fewest_is_next() {
        let places = places(2, 10);
        let first = places.take(ACME, ANN).await.unwrap();
        let second = places.take(ACME, ANN).await.unwrap();
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        for (name, user) in [("ann 3", ANN), ("ann 4", ANN), ("bob 1", BOB)] {
            let (places, told) = (places.clone(), told.clone());
            tokio::spawn(async move {
                let place = places.take(ACME, user).await.unwrap();
                told.send((name, place)).unwrap();
            });
            settle().await;
        }
        drop(first);
        let (name, bobs) = order.recv().await.unwrap();
        assert_eq!(name, "bob 1");
        drop(second);
        let (name, _place) = order.recv().await.unwrap();
        assert_eq!(name, "ann 3");
        drop(bobs);
        assert_eq!(order.recv().await.unwrap().0, "ann 4");
    }

    #[tokio::test]
    async fn a_full_line_refuses_and_another_organization_does_not_notice() {
        let places = places(1, 1);
        let held = places.take(ACME, ANN).await.unwrap();
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.take(ACME, BOB).await.map(drop) }
        });
        settle().await;
        assert_eq!(places.take(ACME, ANN).await.unwrap_err().code, ErrorCode::QueryLimitExceeded);
        assert!(places.take(OTHER, ANN).await.is_ok());
        drop(held);
        assert!(waiting.await.unwrap().is_ok());
        assert!(places.lines().is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_nobody_up() {
        let places = places(1, 10);
        let held = places.take(ACME, ANN).await.unwrap();
        let gives_up = tokio::spawn({
            let places = places.clone();
            async move { places.take(ACME, BOB).await.map(drop) }
        });
        settle().await;
        let waits = tokio::spawn({
            let places = places.clone();
            async move { places.take(ACME, ANN).await.map(drop) }
        });
        settle().await;
        gives_up.abort();
        settle().await;
        drop(held);
        assert!(waits.await.unwrap().is_ok());
        assert!(places.lines().is_empty());
    }

    #[tokio::test]
    async fn without_patience_nobody_waits() {
        let places = Places::new(Capacity { running: 1, waiting: 10, patience: Duration::ZERO });
        let _held = places.take(ACME, ANN).await.unwrap();
        assert_eq!(places.take(ACME, BOB).await.unwrap_err().code, ErrorCode::QueryLimitExceeded);
    }
}
