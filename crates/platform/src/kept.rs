//! What a node keeps in memory of what the database says, until the bus says that it changed.
//!
//! Each value says itself which events end it; an index finds the values of an event, so that one costs no more
//! among a hundred thousand values than among ten. A value that was being loaded while such an event came is handed
//! out but not kept: the load may have read the state before the change.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use rivergen_kernel::Result;

use crate::bus::{Bus, Event};

/// A cache that listens to the bus; cheap to clone.
#[derive(Clone)]
pub struct Kept<K, V> {
    /// Each value with a number of its own, by which the index knows it.
    cache: Cache<K, (u64, V)>,
    index: Arc<Index<K>>,
    until: Until<K, V>,
    clears: Clears,
    bus: Bus,
}

/// The events that end a value.
type Until<K, V> = Arc<dyn Fn(&K, &V) -> Vec<Event> + Send + Sync>;

/// The events that end every value.
type Clears = Arc<dyn Fn(&Event) -> bool + Send + Sync>;

/// Which values an event ends.
struct Index<K> {
    by_event: Mutex<HashMap<Event, HashMap<u64, K>>>,
    next: AtomicU64,
}

impl<K> Index<K> {
    fn by_event(&self) -> MutexGuard<'_, HashMap<Event, HashMap<u64, K>>> {
        self.by_event.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, number: u64, events: &[Event]) {
        let mut by_event = self.by_event();
        for event in events {
            if let Some(values) = by_event.get_mut(event) {
                values.remove(&number);
                if values.is_empty() {
                    by_event.remove(event);
                }
            }
        }
    }
}

impl<K, V> Kept<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps up to `capacity` values for at most `lifetime`; `until` tells the events that end a value. The lifetime
    /// bounds what goes stale by time alone.
    pub fn new(
        bus: &Bus,
        capacity: u64,
        lifetime: Duration,
        until: impl Fn(&K, &V) -> Vec<Event> + Send + Sync + 'static,
    ) -> Self {
        let until: Until<K, V> = Arc::new(until);
        let index = Arc::new(Index { by_event: Mutex::default(), next: AtomicU64::new(0) });
        let (left, told) = (index.clone(), until.clone());
        let cache: Cache<K, (u64, V)> = Cache::builder()
            .max_capacity(capacity)
            .time_to_live(lifetime)
            .eviction_listener(move |key: Arc<K>, (number, value): (u64, V), _| {
                left.remove(number, &told(&key, &value))
            })
            .build();
        let (heard, entries) = (cache.clone(), index.clone());
        bus.subscribe(move |event| {
            if *event == Event::Resync {
                // One by one too: what was put in within the clock's last tick is not among all.
                heard.iter().for_each(|(key, _)| heard.invalidate(key.as_ref()));
                heard.invalidate_all();
                heard.run_pending_tasks();
                return;
            }
            // The lock is given back first: taking a value out calls the listener above.
            let Some(ended) = entries.by_event().remove(event) else { return };
            ended.values().for_each(|key| heard.invalidate(key));
            // The cache lets go of what was taken out when it is used next; a connection must not stay open until then.
            heard.run_pending_tasks();
        });
        Self { cache, index, until, clears: Arc::new(|event: &Event| *event == Event::Resync), bus: bus.clone() }
    }

    /// Forgets everything at such events, too: those that end many values and are rare.
    pub fn clearing_on(self, clears: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Self {
        let (cache, before) = (self.cache.clone(), self.clears.clone());
        let clears: Clears = Arc::new(clears);
        let rare = clears.clone();
        self.bus.subscribe(move |event| {
            if rare(event) {
                cache.invalidate_all();
            }
        });
        Self { clears: Arc::new(move |event: &Event| before(event) || clears(event)), ..self }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key).map(|(_, value)| value)
    }

    /// Loads and keeps; an error is not kept.
    pub async fn load(&self, key: K, load: impl Future<Output = Result<V>>) -> Result<V> {
        let before = self.bus.count();
        let value = load.await?;
        self.keep(before, key, value.clone());
        Ok(value)
    }

    /// The same of many at once.
    pub async fn load_all(&self, load: impl Future<Output = Result<Vec<(K, V)>>>) -> Result<Vec<(K, V)>> {
        let before = self.bus.count();
        let values = load.await?;
        values.iter().cloned().for_each(|(key, value)| self.keep(before, key, value));
        Ok(values)
    }

    /// Keeps what was loaded, unless something that ends it came since there were so many events. What comes later finds it
    /// in the index.
    fn keep(&self, before: u64, key: K, value: V) {
        let events = (self.until)(&key, &value);
        let number = self.index.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut by_event = self.index.by_event();
            for event in &events {
                by_event.entry(event.clone()).or_default().insert(number, key.clone());
            }
        }
        self.cache.insert(key.clone(), (number, value));
        let is_end = |event: &Event| events.contains(event) || (self.clears)(event);
        if self.bus.heard_since(before, is_end) || !self.is_indexed(number, &events) {
            self.cache.invalidate(&key);
        }
    }

    /// False where an event took it out of the index before it was in the cache.
    fn is_indexed(&self, number: u64, events: &[Event]) -> bool {
        let by_event = self.index.by_event();
        events.iter().all(|event| by_event.get(event).is_some_and(|values| values.contains_key(&number)))
    }

    /// The kept value, else loads it.
    pub async fn get_or_load(&self, key: K, load: impl Future<Output = Result<V>>) -> Result<V> {
        match self.get(&key) {
            Some(value) => Ok(value),
            None => self.load(key, load).await,
        }
    }

    pub fn forget(&self, key: &K) {
        self.cache.invalidate(key);
    }
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::{SessionId, UserId};

    use super::*;

    fn kept(bus: &Bus) -> Kept<UserId, u32> {
        Kept::new(bus, 10, Duration::from_secs(60), |key, _| vec![Event::UserChanged(*key)])
    }

    #[tokio::test]
    async fn a_change_takes_away_what_it_concerns_alone() {
        let bus = Bus::in_memory();
        let kept = kept(&bus);
        for id in 1..=2 {
            kept.get_or_load(UserId(id), async { Ok(1) }).await.unwrap();
        }
        bus.deliver(&Event::UserChanged(UserId(1)));
        bus.deliver(&Event::SessionEnded(SessionId(2)));
        assert_eq!((kept.get(&UserId(1)), kept.get(&UserId(2))), (None, Some(1)));
        bus.deliver(&Event::Resync);
        assert_eq!(kept.get(&UserId(2)), None);
    }

    #[tokio::test]
    async fn what_was_loaded_across_a_change_is_not_kept() {
        let bus = Bus::in_memory();
        let kept = kept(&bus);
        let load = async {
            bus.deliver(&Event::UserChanged(UserId(1)));
            Ok(7)
        };
        assert_eq!(kept.get_or_load(UserId(1), load).await.unwrap(), 7);
        assert_eq!(kept.get(&UserId(1)), None);
    }

    #[tokio::test]
    async fn what_was_loaded_across_what_ends_everything_is_not_kept() {
        let bus = Bus::in_memory();
        let kept = kept(&bus).clearing_on(|event| matches!(event, Event::PoliciesChanged(_)));
        for end in [Event::Resync, Event::PoliciesChanged(rivergen_kernel::OrganizationId(1))] {
            let load = async {
                bus.deliver(&end);
                Ok(7)
            };
            kept.load(UserId(1), load).await.unwrap();
            assert_eq!(kept.get(&UserId(1)), None, "{end:?}");
        }
    }

    #[tokio::test]
    async fn what_was_loaded_across_changes_of_others_is_kept_while_they_are_remembered() {
        let bus = Bus::in_memory();
        let kept = kept(&bus);
        for (others, found) in [(100, Some(7)), (10_000, None)] {
            let load = async {
                for other in 0..others {
                    bus.deliver(&Event::UserChanged(UserId(2 + other)));
                }
                Ok(7)
            };
            kept.load(UserId(1), load).await.unwrap();
            assert_eq!(kept.get(&UserId(1)), found, "{others}");
        }
    }

    #[tokio::test]
    async fn the_index_holds_no_more_than_the_cache() {
        let bus = Bus::in_memory();
        let kept = kept(&bus);
        for round in 0..3 {
            for id in 1..=100 {
                kept.load(UserId(id), async { Ok(round) }).await.unwrap();
            }
        }
        kept.cache.run_pending_tasks();
        let indexed = kept.index.by_event().values().map(HashMap::len).sum::<usize>();
        assert_eq!(indexed as u64, kept.cache.entry_count());
        assert!(indexed <= 10, "{indexed}");
        kept.cache.invalidate_all();
        kept.cache.run_pending_tasks();
        assert!(kept.index.by_event().is_empty());
    }

    #[tokio::test]
    async fn a_value_that_replaced_another_is_ended_by_its_own_events() {
        let bus = Bus::in_memory();
        let kept: Kept<u8, UserId> =
            Kept::new(&bus, 10, Duration::from_secs(60), |_, user| vec![Event::UserChanged(*user)]);
        kept.load(1, async { Ok(UserId(1)) }).await.unwrap();
        kept.load(1, async { Ok(UserId(2)) }).await.unwrap();
        kept.cache.run_pending_tasks();
        bus.deliver(&Event::UserChanged(UserId(1)));
        assert_eq!(kept.get(&1), Some(UserId(2)));
        bus.deliver(&Event::UserChanged(UserId(2)));
        assert_eq!(kept.get(&1), None);
    }

    #[tokio::test]
    async fn what_is_taken_out_is_let_go_at_once() {
        let bus = Bus::in_memory();
        let kept: Kept<UserId, Arc<str>> =
            Kept::new(&bus, 10, Duration::from_secs(60), |key, _| vec![Event::UserChanged(*key)]);
        let connection: Arc<str> = "open".into();
        for event in [Event::UserChanged(UserId(1)), Event::Resync] {
            kept.load(UserId(1), async { Ok(connection.clone()) }).await.unwrap();
            bus.deliver(&event);
            assert_eq!(Arc::strong_count(&connection), 1, "{event:?}");
        }
    }

    #[tokio::test]
    async fn a_rare_event_clears_everything() {
        let bus = Bus::in_memory();
        let kept = kept(&bus).clearing_on(|event| matches!(event, Event::PoliciesChanged(_)));
        kept.load(UserId(1), async { Ok(1) }).await.unwrap();
        bus.deliver(&Event::OrganizationChanged(rivergen_kernel::OrganizationId(1)));
        assert_eq!(kept.get(&UserId(1)), Some(1));
        bus.deliver(&Event::PoliciesChanged(rivergen_kernel::OrganizationId(1)));
        assert_eq!(kept.get(&UserId(1)), None);
    }
}
