//! Sessions with one server: at most so many at a time, reused while they are whole.
//!
//! What a session is and whether it still answers is its connector's; here is only who may have one, and which are idle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ConnectorError;

/// A session that was idle for longer is not used again: firewalls forget silent connections.
const LONGEST_IDLE: Duration = Duration::from_secs(120);

/// The sessions of one source; the drop closes the idle ones.
pub(crate) struct Sessions<C> {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(C, Instant)>>,
}

impl<C> Sessions<C> {
    pub fn new(most: u32) -> Self {
        Self { permits: Arc::new(Semaphore::new(most as usize)), idle: Mutex::new(Vec::new()) }
    }

    /// Waits for its turn, and then for the session to be ready, within the limit of both. The session is the holder's for as
    /// long as the permit is.
    pub async fn one(
        &self,
        limit: Duration,
        ready: impl Future<Output = Result<C, ConnectorError>>,
    ) -> Result<(C, OwnedSemaphorePermit), ConnectorError> {
        let attempt = async {
            let permit = self.permits.clone().acquire_owned().await.map_err(ConnectorError::internal)?;
            Ok((ready.await?, permit))
        };
        tokio::time::timeout(limit, attempt).await.map_err(|_| ConnectorError::Timeout(limit))?
    }

    /// The idle one that was used last, and those that were idle for too long.
    pub fn take(&self) -> (Option<C>, Vec<C>) {
        let mut idle = self.idle();
        let (mut fresh, stale): (Vec<_>, Vec<_>) =
            idle.drain(..).partition(|(_, since)| since.elapsed() < LONGEST_IDLE);
        let taken = fresh.pop();
        *idle = fresh;
        (taken.map(|(session, _)| session), stale.into_iter().map(|(session, _)| session).collect())
    }

    pub fn take_all(&self) -> Vec<C> {
        self.idle().drain(..).map(|(session, _)| session).collect()
    }

    /// Keeps a session that is whole for whoever comes next.
    pub fn put_back(&self, session: C) {
        self.idle().push((session, Instant::now()));
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(C, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_no_session_free_is_told_that_it_took_too_long() {
        let sessions = Sessions::new(1);
        let (limit, new) = (Duration::from_millis(20), || async { Ok("new") });
        let (_, permit) = sessions.one(limit, new()).await.unwrap();
        assert!(matches!(sessions.one(limit, new()).await, Err(ConnectorError::Timeout(_))));
        drop(permit);
        assert!(sessions.one(limit, new()).await.is_ok());
    }

    #[test]
    fn what_is_put_back_last_is_taken_first_and_what_was_idle_for_long_is_not_taken() {
        let sessions = Sessions::new(3);
        let long_ago = Instant::now().checked_sub(LONGEST_IDLE).unwrap();
        sessions.idle().push(("stale", long_ago));
        sessions.put_back("first");
        sessions.put_back("last");
        assert_eq!(sessions.take(), (Some("last"), vec!["stale"]));
        assert_eq!(sessions.take(), (Some("first"), vec![]));
        assert_eq!(sessions.take(), (None, vec![]));
    }
}
