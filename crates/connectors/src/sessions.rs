//! Sessions with one server: made when wanted, at most so many at a time, reused while they are whole.
//!
//! ```text
//!   Pool ── session() ─▶ Session ── finish() ─▶ idle, for whoever comes next
//!                           └────── drop ─────▶ what it was doing is stopped at the server
//! ```
//!
//! How a session is made, whether it still answers and how it is stopped is its connector's, a [`Server`]; here is who
//! may have one, for how long, and which are idle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::ServerSettings;
use crate::{ConnectorError, background, retry};

/// A session that was idle for longer is not used again: firewalls forget silent connections.
const LONGEST_IDLE: Duration = Duration::from_secs(120);
/// A server that ends statements by itself and has not done so this much later is one that no longer answers.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// A server, as the connector of its kind speaks to it.
#[async_trait]
pub(crate) trait Server: Send + Sync + 'static {
    /// A session, as the driver has it.
    type Conn: Send + 'static;

    fn settings(&self) -> &ServerSettings;

    /// A new session, set up as our statements rely on it to be.
    async fn connect(&self) -> Result<Self::Conn, ConnectorError>;

    /// Whether an idle session still answers, and is as a new one is.
    async fn answers(&self, conn: &mut Self::Conn) -> bool;

    /// Opens a use of the session, new or not.
    async fn begin(&self, _conn: &mut Self::Conn) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// Stops at the server what the session is doing that nobody waits for any more, and closes it.
    fn stop(self: Arc<Self>, conn: Self::Conn) -> BoxFuture<'static, ()>;

    /// Closes sessions that were idle.
    fn close(idle: Vec<Self::Conn>) {
        drop(idle);
    }
}

/// The sessions of one source. Cloning shares them; the last clone's drop closes the idle ones.
pub(crate) struct Pool<S: Server>(Arc<Inner<S>>);

struct Inner<S: Server> {
    identity: String,
    server: Arc<S>,
    sessions: Sessions<S::Conn>,
}

impl<S: Server> Pool<S> {
    pub fn new(identity: String, server: S) -> Self {
        let sessions = Sessions::new(server.settings().sessions);
        Self(Arc::new(Inner { identity, server: Arc::new(server), sessions }))
    }

    pub fn identity(&self) -> &str {
        &self.0.identity
    }

    pub fn server(&self) -> &S {
        &self.0.server
    }

    pub fn query_timeout(&self) -> Duration {
        self.server().settings().query_timeout
    }

    pub fn max_retries(&self) -> u32 {
        self.server().settings().max_retries
    }

    /// A session of one's own; a server that cannot be reached is tried again.
    pub async fn session(&self) -> Result<Session<S>, ConnectorError> {
        retry::reaching(self.max_retries(), || self.session_at_once()).await
    }

    /// One attempt at a session, within the connection timeout.
    pub async fn session_at_once(&self) -> Result<Session<S>, ConnectorError> {
        let limit = self.server().settings().connect_timeout;
        let (conn, permit) = self.0.sessions.one(limit, self.0.ready()).await?;
        Ok(Session { conn: Some(conn), finished: false, pool: self.clone(), _permit: permit })
    }

    /// A part of a statement's work that has to be done by then; what is dropped with it is stopped at the server.
    pub async fn within<T>(&self, until: Instant, work: impl Future<Output = T>) -> Result<T, ConnectorError> {
        let done = tokio::time::timeout_at(until.into(), work).await;
        done.map_err(|_| ConnectorError::Timeout(self.query_timeout()))
    }
}

impl<S: Server> Inner<S> {
    /// An idle session that still answers, or a new one.
    async fn ready(&self) -> Result<S::Conn, ConnectorError> {
        let mut conn = match self.take_idle().await {
            Some(conn) => conn,
            None => self.server.connect().await?,
        };
        self.server.begin(&mut conn).await?;
        Ok(conn)
    }

    async fn take_idle(&self) -> Option<S::Conn> {
        loop {
            let (taken, stale) = self.sessions.take();
            S::close(stale);
            let mut conn = taken?;
            if self.server.answers(&mut conn).await {
                return Some(conn);
            }
        }
    }
}

impl<S: Server> Drop for Inner<S> {
    fn drop(&mut self) {
        S::close(self.sessions.take_all());
    }
}

impl<S: Server> Clone for Pool<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A session that is in use. Unless it is finished, its drop stops at the server what it was doing, and closes it.
pub(crate) struct Session<S: Server> {
    conn: Option<S::Conn>,
    finished: bool,
    pool: Pool<S>,
    _permit: OwnedSemaphorePermit,
}

impl<S: Server> Session<S> {
    pub fn conn(&self) -> &S::Conn {
        // It is taken in drop alone.
        self.conn.as_ref().unwrap_or_else(|| unreachable!("the session is in use"))
    }

    pub fn conn_mut(&mut self) -> &mut S::Conn {
        self.conn.as_mut().unwrap_or_else(|| unreachable!("the session is in use"))
    }

    pub fn server(&self) -> &S {
        self.pool.server()
    }

    /// Gives the session back for others.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl<S: Server> Drop for Session<S> {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if self.finished {
            self.pool.0.sessions.put_back(conn);
        } else {
            background::spawn(self.pool.0.server.clone().stop(conn));
        }
    }
}

/// Who may have a session, and which are idle.
struct Sessions<C> {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(C, Instant)>>,
}

impl<C> Sessions<C> {
    fn new(most: u32) -> Self {
        Self { permits: Arc::new(Semaphore::new(most as usize)), idle: Mutex::new(Vec::new()) }
    }

    /// Waits for its turn, and then for the session to be ready, within the limit of both. The session is the holder's for as
    /// long as the permit is.
    async fn one(
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
    fn take(&self) -> (Option<C>, Vec<C>) {
        let mut idle = self.idle();
        let (mut fresh, stale): (Vec<_>, Vec<_>) =
            idle.drain(..).partition(|(_, since)| since.elapsed() < LONGEST_IDLE);
        let taken = fresh.pop();
        *idle = fresh;
        (taken.map(|(session, _)| session), stale.into_iter().map(|(session, _)| session).collect())
    }

    fn take_all(&self) -> Vec<C> {
        self.idle().drain(..).map(|(session, _)| session).collect()
    }

    /// Keeps a session that is whole for whoever comes next.
    fn put_back(&self, session: C) {
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
