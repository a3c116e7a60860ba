//! The queries that run on this node, so that one can be cancelled by its id, on whichever node that is asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rivergen_kernel::{Error, ErrorCode, QueryId, Result};
use rivergen_platform::{Bus, Event};
use tokio_util::sync::CancellationToken;

/// Hears of cancelled queries and stops those that run here; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    queries: Arc<Mutex<HashMap<QueryId, CancellationToken>>>,
}

impl Running {
    pub fn new(bus: &Bus) -> Self {
        let running = Self::default();
        let heard = running.clone();
        bus.subscribe(move |event| {
            if let Event::QueryCancelled(id) = event
                && let Some(token) = heard.queries().get(id)
            {
                token.cancel();
            }
        });
        running
    }

    /// Says that the query runs here, until the answer is dropped; the token ends it too.
    pub fn enter(&self, id: QueryId, token: CancellationToken) -> Cancellable {
        self.queries().insert(id, token.clone());
        Cancellable { running: self.clone(), id, token }
    }

    fn queries(&self) -> MutexGuard<'_, HashMap<QueryId, CancellationToken>> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running query that hears of its cancellation.
#[derive(Debug)]
pub(crate) struct Cancellable {
    running: Running,
    id: QueryId,
    token: CancellationToken,
}

impl Cancellable {
    /// What the future answers, or `QUERY_CANCELLED` as soon as somebody cancels the query.
    pub async fn unless_cancelled<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Error::new(ErrorCode::QueryCancelled)),
            answer = future => answer,
        }
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.running.queries().remove(&self.id);
    }
}
