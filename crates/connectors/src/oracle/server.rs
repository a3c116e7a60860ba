//! The server: how a session with it is made, tried and stopped, and what it tells of itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use rustls::ClientConfig;

use super::call::{Connection, Login};
use super::catalog;
use super::dsn::Settings;
use super::net::Target;
use crate::pushdown::{Catalogued, Wanted};
use crate::server::ServerSettings;
use crate::sessions;
use crate::tls::{Tls, client_config};
use crate::{AddressGuard, ConnectorError, DiscoveredSchema, background};

/// How long an idle session has to say that it is still there.
const PING: Duration = Duration::from_secs(3);
/// How long a server may take to hear of a cancellation.
const CANCELLATION: Duration = Duration::from_secs(5);
/// How long a server may take to hear that a session ends.
const LEAVE: Duration = Duration::from_secs(5);

/// What the meaning of our statements hangs on, whatever the server's and the user's defaults are: in which order texts
/// are and that they are compared by it, how numbers are written, on which day a week begins, and the zone that moments
/// without one are in.
const PREAMBLE: &str = "ALTER SESSION SET TIME_ZONE='+00:00' NLS_LANGUAGE='AMERICAN' NLS_TERRITORY='AMERICA' \
                        NLS_CALENDAR='GREGORIAN' NLS_SORT='BINARY' NLS_COMP='BINARY' NLS_NUMERIC_CHARACTERS='.,'";
/// Each use of a session is a transaction that sees one state of the database and changes nothing.
const READ_ONLY: &str = "SET TRANSACTION READ ONLY";

/// The sessions of one source.
pub(super) type Pool = sessions::Pool<Server>;

/// Where one database is, and how to sign in.
pub(super) struct Server {
    settings: Settings,
    tls: Option<Arc<ClientConfig>>,
    guard: Arc<dyn AddressGuard>,
}

impl Server {
    pub fn new(settings: Settings, guard: Arc<dyn AddressGuard>) -> Result<Self, ConnectorError> {
        let server = &settings.server;
        let tls = match server.tls {
            Tls::Disable => None,
            mode => Some(client_config(mode, server.root_certificate.as_deref())?),
        };
        Ok(Self { settings, tls, guard })
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
        self.server().settings.server.schema.as_deref()
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let mut session = self.session().await?;
        let schemas = catalog::read(&mut session, wanted).await?;
        session.finish();
        Ok(schemas)
    }
}

#[async_trait]
impl sessions::Server for Server {
    type Conn = Connection;

    fn settings(&self) -> &ServerSettings {
        &self.settings.server
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

    /// It is then in a transaction of its own.
    async fn answers(&self, conn: &mut Connection) -> bool {
        let begin = async {
            conn.roll_back().await?;
            conn.run(READ_ONLY).await
        };
        // After a failover nobody may answer, and nobody say so.
        tokio::time::timeout(PING, begin).await.is_ok_and(|answer| answer.is_ok())
    }

    fn stop(self: Arc<Self>, mut conn: Connection) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // A statement that does not hear of it ends with its connection.
            match tokio::time::timeout(CANCELLATION, conn.stop()).await {
                Ok(Ok(())) => {}
                _ => tracing::debug!("an Oracle statement did not acknowledge its cancellation"),
            }
        })
    }

    /// Takes leave of the server, in the background: it would otherwise take the sessions for lost.
    fn close(idle: Vec<Connection>) {
        for mut conn in idle {
            background::spawn(async move {
                if !matches!(tokio::time::timeout(LEAVE, conn.close()).await, Ok(Ok(()))) {
                    tracing::debug!("an Oracle session did not end as it should");
                }
            });
        }
    }
}
