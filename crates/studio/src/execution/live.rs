//! The runs of this node that can be cancelled, and news of runs on whichever node they are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rivergen_kernel::{Error, ErrorCode, ExecutionId, Result, UserId};
use rivergen_platform::{Bus, Event};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// News that a slow follower may miss before it simply looks again.
const BACKLOG: usize = 256;
/// Streams of one person on this node; each looks into the database now and then.
const MOST_STREAMS: usize = 20;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    running: Arc<Mutex<HashMap<ExecutionId, CancellationToken>>>,
    /// How many streams each person has open.
    following: Arc<Mutex<HashMap<UserId, usize>>>,
    /// `None`: any run may have moved.
    moved: broadcast::Sender<Option<ExecutionId>>,
}

impl Live {
    pub fn new(bus: &Bus) -> Self {
        let live = Self { running: Arc::default(), following: Arc::default(), moved: broadcast::Sender::new(BACKLOG) };
        let heard = live.clone();
        bus.subscribe(move |event| match event {
            Event::ExecutionCancelled(id) => {
                if let Some(token) = heard.running().get(id) {
                    token.cancel();
                }
            }
            // Nobody may be following: that is no fault.
            Event::ExecutionMoved(id) => drop(heard.moved.send(Some(*id))),
            Event::Resync => drop(heard.moved.send(None)),
            _ => {}
        });
        live
    }

    /// Says that the run is at work here, until the answer is dropped.
    pub fn enter(&self, id: ExecutionId) -> AtWork {
        let cancelled = CancellationToken::new();
        self.running().insert(id, cancelled.clone());
        AtWork { live: self.clone(), id, cancelled }
    }

    /// `RATE_LIMITED` where the person follows too many runs already.
    pub fn follow(&self, id: ExecutionId, user: UserId) -> Result<Follower> {
        let mut following = self.following();
        let streams = following.entry(user).or_default();
        if *streams >= MOST_STREAMS {
            return Err(Error::new(ErrorCode::RateLimited)
                .with_message(format!("You are already following {MOST_STREAMS} runs; close a stream first."))
                .with_retry_after(Duration::from_secs(10)));
        }
        *streams += 1;
        Ok(Follower { live: self.clone(), id, user, moved: self.moved.subscribe() })
    }

    fn following(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ExecutionId, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that hears of its cancellation.
#[derive(Debug)]
pub(crate) struct AtWork {
    live: Live,
    id: ExecutionId,
    pub cancelled: CancellationToken,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.live.running().remove(&self.id);
    }
}

/// Somebody who waits for the next step of a run.
pub(crate) struct Follower {
    live: Live,
    id: ExecutionId,
    user: UserId,
    moved: broadcast::Receiver<Option<ExecutionId>>,
}

impl Follower {
    /// Returns when the run may have come a step further since the last call.
    pub async fn moved(&mut self) {
        loop {
            match self.moved.recv().await {
                Ok(Some(id)) if id != self.id => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The sender lives as long as the server.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut following = self.live.following();
        match following.get_mut(&self.user) {
            Some(streams) if *streams > 1 => *streams -= 1,
            _ => drop(following.remove(&self.user)),
        }
    }
}
