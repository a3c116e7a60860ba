//! What a node keeps in memory of what the database says, until the bus says that it changed.
//!
//! A value that was being loaded while something changed is handed out but not kept: the load may have read
//! the state before the change.

use std::{
    hash::Hash,
    sync::{
        Arc,
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
    cache: Cache<K, V>,
    changes: Arc<AtomicU64>,
}

impl<K, V> Kept<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps up to `capacity` values for at most `lifetime`; forgets those for which `stale` says so when
    /// an event is heard. The lifetime bounds what goes stale by time alone.
    pub fn new(
        bus: &Bus,
        capacity: u64,
        lifetime: Duration,
        stale: impl Fn(&Event, &K, &V) -> bool + Send + Sync + Clone + 'static,
    ) -> Self {
        let cache: Cache<K, V> =
            Cache::builder().max_capacity(capacity).time_to_live(lifetime).support_invalidation_closures().build();
        let changes = Arc::new(AtomicU64::new(0));
        let (heard, count) = (cache.clone(), changes.clone());
        bus.subscribe(move |event| {
            count.fetch_add(1, Ordering::SeqCst);
            let (stale, event) = (stale.clone(), event.clone());
            if event == Event::Resync
                || heard.invalidate_entries_if(move |key, value| stale(&event, key, value)).is_err()
            {
                heard.invalidate_all();
            }
        });
        Self { cache, changes }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    /// Loads and keeps; an error is not kept.
    pub async fn load(&self, key: K, load: impl Future<Output = Result<V>>) -> Result<V> {
        let before = self.changes.load(Ordering::SeqCst);
        let value = load.await?;
        self.cache.insert(key.clone(), value.clone());
        if self.changes.load(Ordering::SeqCst) != before {
            self.cache.invalidate(&key);
        }
        Ok(value)
    }

    /// The kept value, else loads it.
    pub async fn get_or_load(&self, key: K, load: impl Future<Output = Result<V>>) -> Result<V> {
        match self.cache.get(&key) {
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
        Kept::new(bus, 10, Duration::from_secs(60), |event, key, _| *event == Event::UserChanged(*key))
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
}
