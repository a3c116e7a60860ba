//! How the nodes tell each other of changes, so that what one of them cached dies on all of them.
//!
//! An [`Event`] is published inside a transaction and delivered when it commits: on the node itself at once,
//! before the request is answered, and on PostgreSQL to every other node by `pg_notify`, which the database
//! holds back until the commit.
//!
//! A node that does not listen misses what the others do. So it keeps nothing for long while its connection is lost, and
//! forgets everything once it listens again: what it read in between may have been changed since, unheard. A connection
//! that is dead without having said so is found by asking it.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::timeout;

use rivergen_kernel::{
    DataSourceId, ExecutionId, OauthApplicationId, OauthGrantId, OrganizationId, QueryId, SessionId, UserId,
};

/// The PostgreSQL channel.
pub(crate) const CHANNEL: &str = "rivergen_events";

/// After so long without an event the connection is asked whether it still is one.
const SILENCE: Duration = Duration::from_secs(2);
/// What a connection that is one takes to answer, at most.
const ANSWER: Duration = Duration::from_secs(3);
/// What a new connection takes to listen, at most.
const REACH: Duration = Duration::from_secs(10);
/// Between two tries to listen again.
const PAUSE: Duration = Duration::from_secs(1);
/// So many of the latest events are remembered.
const REMEMBERED: usize = 1_024;

/// Something changed that a node may have cached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", content = "id", rename_all = "snake_case")]
pub enum Event {
    /// A session ended: its tokens are dead at once.
    SessionEnded(SessionId),
    /// Something about a person changed: name, addresses, state, memberships.
    UserChanged(UserId),
    /// Roles, members, settings or workspaces of an organization changed.
    OrganizationChanged(OrganizationId),
    /// Somebody joined or left an organization, was given a role there or lost one, or has another name.
    MembersChanged(OrganizationId),
    /// A source was changed, tested, discovered or deleted.
    DataSourceChanged(DataSourceId),
    /// Policies or assignments of an organization changed.
    PoliciesChanged(OrganizationId),
    /// An application, or what of its tokens is good, changed.
    ApplicationChanged(OauthApplicationId),
    /// What somebody had granted to an application is over.
    GrantEnded(OauthGrantId),
    /// Somebody cancels a query, on whichever node it runs.
    QueryCancelled(QueryId),
    /// A run of a question came a step further.
    ExecutionMoved(ExecutionId),
    /// Somebody cancels a run of a question, on whichever node it runs.
    ExecutionCancelled(ExecutionId),
    /// Events may have been missed (the connection to the database was lost, or another process wrote to SQLite):
    /// forget everything cached.
    Resync,
}

/// The node's end of the bus; cheap to clone.
#[derive(Clone, Default)]
pub struct Bus {
    listeners: Arc<RwLock<Vec<Listener>>>,
    heard: Arc<Mutex<Heard>>,
}

type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// What was delivered so far.
#[derive(Default)]
struct Heard {
    count: u64,
    latest: VecDeque<Event>,
}

impl Bus {
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Hears the events of all nodes over PostgreSQL, for as long as the process lives, through a connection of its own.
    /// Once it listens again after a lost one, every listener is told to [`Event::Resync`].
    pub async fn over_postgres(options: PgConnectOptions) -> Result<Self, sqlx::Error> {
        let bus = Self::in_memory();
        let listener = listen(&options).await?;
        tokio::spawn(bus.clone().hear(options, listener));
        Ok(bus)
    }

    async fn hear(self, options: PgConnectOptions, mut listener: PgListener) {
        loop {
            let error = self.hear_until_lost(&mut listener).await;
            tracing::warn!(%error, "the bus lost its database");
            drop(listener);
            listener = self.listen_again(&options).await;
            tracing::info!("the bus has its database again");
            // Not before: what was read until now may have been changed by others, unheard.
            self.deliver(&Event::Resync);
        }
    }

    /// Delivers what comes; answers why nothing comes any more.
    async fn hear_until_lost(&self, listener: &mut PgListener) -> sqlx::Error {
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => match serde_json::from_str(notification.payload()) {
                    Ok(event) => self.deliver(&event),
                    Err(error) => tracing::warn!(%error, "an event of the bus could not be read"),
                },
                Ok(Ok(None)) => return io::Error::from(io::ErrorKind::ConnectionAborted).into(),
                Ok(Err(error)) => return error,
                Err(_) => {
                    // Events that come meanwhile wait in the listener.
                    match timeout(ANSWER, sqlx::query("SELECT 1").execute(&mut *listener)).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => return error,
                        Err(_) => return io::Error::from(io::ErrorKind::TimedOut).into(),
                    }
                }
            }
        }
    }

    /// Tries until it listens. What the node reads meanwhile is kept no longer than to the next try.
    async fn listen_again(&self, options: &PgConnectOptions) -> PgListener {
        loop {
            self.deliver(&Event::Resync);
            tokio::time::sleep(PAUSE).await;
            match listen(options).await {
                Ok(listener) => return listener,
                Err(error) => tracing::warn!(%error, "the bus cannot reach its database"),
            }
        }
    }

    /// Calls `react` for every event from now on. It runs inside the committing request, so that what the
    /// request changed is forgotten before it is answered: it must be quick and must not block.
    pub fn subscribe(&self, react: impl Fn(&Event) + Send + Sync + 'static) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(react));
    }

    /// How many events were delivered so far, for [`Bus::heard_since`].
    pub(crate) fn count(&self) -> u64 {
        self.heard().count
    }

    /// Whether such an event was delivered since there were so many; true also where that is too long ago to know.
    pub(crate) fn heard_since(&self, before: u64, is_such: impl Fn(&Event) -> bool) -> bool {
        let heard = self.heard();
        let since = usize::try_from(heard.count - before).unwrap_or(usize::MAX);
        since > heard.latest.len() || heard.latest.iter().rev().take(since).any(is_such)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever asks for what was heard knows of it before a listener does.
    pub(crate) fn deliver(&self, event: &Event) {
        {
            let mut heard = self.heard();
            heard.count += 1;
            heard.latest.push_back(event.clone());
            if heard.latest.len() > REMEMBERED {
                heard.latest.pop_front();
            }
        }
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(event);
        }
    }
}

/// A new connection, which listens when this answers. It is none of the pool that the node works with: those may be dead,
/// too, or all at work. It does not connect again by itself, which nobody would be told of in time.
async fn listen(options: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    let listening = async {
        let one = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = one.connect_with(options.clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    match timeout(REACH, listening).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}
