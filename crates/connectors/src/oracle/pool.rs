//! Sessions with one database: made when wanted, at most so many, reused while they are whole.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ClientConfig;

use super::call::{Connection, Login};
use super::catalog;
use super::dsn::Settings;
use super::net::Target;
use super::session::Session;
use crate::pushdown::Catalogued;
use crate::sessions::Sessions;
use crate::tls::{Tls, client_config};
use crate::{AddressGuard, ConnectorError, DiscoveredSchema, background, retry};

/// How long an idle session has to say that it is still there.
const PING: Duration = Duration::from_secs(3);
/// How long a server may take to hear that a session ends.
const LEAVE: Duration = Duration::from_secs(5);

/// What the meaning of our statements hangs on, whatever the server's and the user's defaults are: in which order texts
/// are and that they are compared by it, how numbers are written, on which day a week begins, and the zone that moments
/// without one are in.
const PREAMBLE: &str = "ALTER SESSION SET TIME_ZONE='+00:00' NLS_LANGUAGE='AMERICAN' NLS_TERRITORY='AMERICA' \
                        NLS_CALENDAR='GREGORIAN' NLS_SORT='BINARY' NLS_COMP='BINARY' NLS_NUMERIC_CHARACTERS='.,'";
/// Each use of a session is a transaction that sees one state of the database and changes nothing.
const READ_ONLY: &str = "SET TRANSACTION READ ONLY";

/// The sessions of one source. Cloning shares them; the last clone's drop closes the idle ones.
#[derive(Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    identity: String,
    settings: Settings,
    tls: Option<Arc<ClientConfig>>,
    guard: Arc<dyn AddressGuard>,
    sessions: Sessions<Connection>,
}

impl Pool {
    pub fn new(identity: String, settings: Settings, guard: Arc<dyn AddressGuard>) -> Result<Self, ConnectorError> {
        let server = &settings.server;
        let tls = match server.tls {
            Tls::Disable => None,
            mode => Some(client_config(mode, server.root_certificate.as_deref())?),
        };
        let sessions = Sessions::new(server.sessions);
        Ok(Self { shared: Arc::new(Shared { identity, settings, tls, guard, sessions }) })
    }

    pub fn identity(&self) -> &str {
        &self.shared.identity
    }

    pub fn query_timeout(&self) -> Duration {
        self.shared.settings.server.query_timeout
    }

    /// A session of one's own; a server that cannot be reached is tried again.
    pub async fn session(&self) -> Result<Session, ConnectorError> {
        retry::reaching(self.shared.settings.server.max_retries, || self.session_at_once()).await
    }

    async fn session_at_once(&self) -> Result<Session, ConnectorError> {
        let limit = self.shared.settings.server.connect_timeout;
        let (conn, permit) = self.shared.sessions.one(limit, self.shared.ready()).await?;
        Ok(Session::new(conn, permit, self.shared.clone()))
    }
}

#[async_trait]
impl Catalogued for Pool {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let mut session = self.session().await?;
        let version = session.version();
        session.rows("SELECT 1 FROM DUAL", 1).await?;
        session.finish();
        Ok(Some(format!("Oracle Database {version}")))
    }

    fn only_schema(&self) -> Option<&str> {
        self.shared.settings.server.schema.as_deref()
    }

    async fn catalogue(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let mut session = self.session().await?;
        let schemas = catalog::read(&mut session, schema, table).await?;
        session.finish();
        Ok(schemas)
    }
}

impl Shared {
    /// An idle session that still answers, or a new one.
    async fn ready(&self) -> Result<Connection, ConnectorError> {
        match self.take_idle().await {
            Some(conn) => Ok(conn),
            None => self.connect().await,
        }
    }

    /// A session that still answers, in a transaction of its own.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let (taken, stale) = self.sessions.take();
            leave(stale);
            let mut conn = taken?;
            let begin = async {
                conn.roll_back().await?;
                conn.run(READ_ONLY).await
            };
            // After a failover nobody may answer, and nobody say so.
            if tokio::time::timeout(PING, begin).await.is_ok_and(|answer| answer.is_ok()) {
                return Some(conn);
            }
        }
    }

    pub fn put_back(&self, conn: Connection) {
        self.sessions.put_back(conn);
    }

    pub fn query_timeout(&self) -> Duration {
        self.settings.server.query_timeout
    }

    async fn connect(&self) -> Result<Connection, ConnectorError> {
        let server = &self.settings.server;
        let database = self.settings.database();
        let target = Target {
            guard: self.guard.as_ref(),
            host: &server.host,
            port: server.port,
            tls: self.tls.as_ref(),
            database: &database,
        };
        let password = server.password.as_ref().map_or("", |password| password.expose());
        let mut conn = Connection::open(&target, &Login { user: &server.user, password }).await?;
        conn.run(PREAMBLE).await?;
        conn.run(READ_ONLY).await?;
        Ok(conn)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        leave(self.sessions.take_all());
    }
}

/// Takes leave of the server, in the background: it would otherwise take the sessions for lost.
fn leave(sessions: Vec<Connection>) {
    for mut conn in sessions {
        background::spawn(async move {
            if !matches!(tokio::time::timeout(LEAVE, conn.close()).await, Ok(Ok(()))) {
                tracing::debug!("an Oracle session did not end as it should");
            }
        });
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("identity", &self.shared.identity).finish_non_exhaustive()
    }
}
