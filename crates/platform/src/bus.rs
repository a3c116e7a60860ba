//! How the nodes tell each other of changes, so that what one of them cached dies on all of them.
//!
//! An [`Event`] is published inside a transaction and delivered when it commits: on the node itself at once,
//! before the request is answered, and on PostgreSQL to every other node by `pg_notify`, which the database
//! holds back until the commit.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;

use rivergen_kernel::{
    DataSourceId, ExecutionId, OauthApplicationId, OauthGrantId, OrganizationId, QueryId, SessionId, UserId,
};

/// The PostgreSQL channel.
pub(crate) const CHANNEL: &str = "rivergen_events";

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
    /// Somebody joined or left an organization, or was given a role there, or lost one.
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
}

type Listener = Box<dyn Fn(&Event) + Send + Sync>;

impl Bus {
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Hears the events of all nodes over PostgreSQL, for as long as the process lives. After a lost
    /// connection every listener is told to [`Event::Resync`].
    pub async fn over_postgres(pool: &sqlx::PgPool) -> Result<Self, sqlx::Error> {
        let bus = Self::in_memory();
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        let heard = bus.clone();
        tokio::spawn(async move {
            loop {
                match listener.try_recv().await {
                    Ok(Some(notification)) => match serde_json::from_str(notification.payload()) {
                        Ok(event) => heard.deliver(&event),
                        Err(error) => tracing::warn!(%error, "an event of the bus could not be read"),
                    },
                    // The listener reconnects by itself at the next call.
                    Ok(None) => heard.deliver(&Event::Resync),
                    Err(error) => {
                        tracing::warn!(%error, "the bus lost its database");
                        heard.deliver(&Event::Resync);
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    }
                }
            }
        });
        Ok(bus)
    }

    /// Calls `react` for every event from now on. It runs inside the committing request, so that what the
    /// request changed is forgotten before it is answered: it must be quick and must not block.
    pub fn subscribe(&self, react: impl Fn(&Event) + Send + Sync + 'static) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(react));
    }

    pub(crate) fn deliver(&self, event: &Event) {
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(event);
        }
    }
}
