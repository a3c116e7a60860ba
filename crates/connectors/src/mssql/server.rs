//! The server: how a session with it is made, tried and stopped, and what it tells of itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use rustls::ClientConfig;
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;

use super::session::classify;
use super::transport::Transport;
use super::{Flavour, catalog};
use crate::dial::ADDRESSES;
use crate::pushdown::{Catalogued, Wanted};
use crate::server::ServerSettings;
use crate::sessions;
use crate::tls::client_config;
use crate::{AddressGuard, ConnectorError, DiscoveredSchema};

/// How long an idle session has to say that it is still there.
const PING: Duration = Duration::from_secs(3);
/// How long a server may take to hear of a cancellation.
const CANCELLATION: Duration = Duration::from_secs(5);

/// What the meaning of our statements hangs on, whatever the server's and the user's defaults are: what `= NULL` and a
/// quote is, how dates are written out. The pools of Synapse know no other.
const PREAMBLE: &str = "SET ANSI_NULLS ON; SET QUOTED_IDENTIFIER ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; \
                        SET CONCAT_NULL_YIELDS_NULL ON; SET ARITHABORT ON; SET LANGUAGE us_english; SET ROWCOUNT 0";

/// A connection of the driver's.
pub(super) type Conn = Client<Transport>;

/// The sessions of one source.
pub(super) type Pool = sessions::Pool<Server>;

/// Where one server is, and how to sign in.
pub(super) struct Server {
    pub flavour: Flavour,
    settings: ServerSettings,
    tls: Arc<ClientConfig>,
    guard: Arc<dyn AddressGuard>,
}

#[async_trait]
impl Catalogued for Pool {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let mut session = self.session().await?;
        let rows = session.rows("SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128))", 1).await?;
        session.finish();
        let version: Option<&str> = rows.first().and_then(|row| row.try_get(0).ok().flatten());
        Ok(version.map(|version| self.server().flavour.version(version)))
    }

    fn only_schema(&self) -> Option<&str> {
        self.server().settings.schema.as_deref()
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let mut session = self.session().await?;
        let schemas = catalog::read(&mut session, self.server().flavour, wanted).await?;
        session.finish();
        Ok(schemas)
    }
}

#[async_trait]
impl sessions::Server for Server {
    type Conn = Conn;

    fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    async fn connect(&self) -> Result<Conn, ConnectorError> {
        let ServerSettings { host, port, .. } = &self.settings;
        let conn = match self.sign_in(host, *port).await? {
            SignIn::Done(conn) => conn,
            // Azure and availability groups send a session on, once.
            SignIn::Elsewhere(host, port) => match self.sign_in(&host, port).await? {
                SignIn::Done(conn) => conn,
                SignIn::Elsewhere(..) => return Err(ConnectorError::Unreachable { cause: None }),
            },
        };
        Ok(*conn)
    }

    async fn answers(&self, conn: &mut Conn) -> bool {
        let ask = async { conn.simple_query("SELECT 1").await?.into_row().await };
        // After a failover nobody may answer, and nobody say so.
        tokio::time::timeout(PING, ask).await.is_ok_and(|answer| answer.is_ok())
    }

    fn stop(self: Arc<Self>, mut conn: Conn) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // A statement that does not hear of it ends with its connection.
            match tokio::time::timeout(CANCELLATION, conn.cancel_query()).await {
                Ok(Ok(())) => {}
                _ => tracing::debug!("a SQL Server statement did not acknowledge its cancellation"),
            }
        })
    }
}

impl Server {
    pub fn new(
        flavour: Flavour,
        settings: ServerSettings,
        guard: Arc<dyn AddressGuard>,
    ) -> Result<Self, ConnectorError> {
        let tls = client_config(settings.tls, settings.root_certificate.as_deref())?;
        Ok(Self { flavour, settings, tls, guard })
    }

    async fn sign_in(&self, host: &str, port: u16) -> Result<SignIn, ConnectorError> {
        let addresses = self.guard.check(host, port).await?;
        let mut failure = ConnectorError::Unreachable { cause: None };
        for address in addresses.into_iter().take(ADDRESSES) {
            let tcp = match TcpStream::connect(address).await {
                Ok(tcp) => tcp,
                Err(error) => {
                    failure = ConnectorError::Unreachable { cause: Some(error.into()) };
                    continue;
                }
            };
            // Small requests are sent at once.
            tcp.set_nodelay(true).map_err(ConnectorError::internal)?;
            let transport = match Transport::open(tcp, self.settings.tls, &self.tls, host).await {
                Err(error @ ConnectorError::Unreachable { .. }) => {
                    failure = error;
                    continue;
                }
                transport => transport?,
            };
            return match Client::connect(self.login(host, port), transport).await {
                Ok(mut conn) => {
                    if self.flavour == Flavour::SqlServer {
                        // A statement waits for a lock no longer than for its answer.
                        let wait = self.settings.query_timeout.as_millis();
                        let set = conn.simple_query(format!("{PREAMBLE}; SET LOCK_TIMEOUT {wait}")).await;
                        set.map_err(classify)?.into_results().await.map_err(classify)?;
                    }
                    Ok(SignIn::Done(Box::new(conn)))
                }
                Err(Error::Routing { host, port }) => Ok(SignIn::Elsewhere(host, port)),
                Err(error) => Err(classify(error)),
            };
        }
        Err(failure)
    }

    fn login(&self, host: &str, port: u16) -> Config {
        let settings = &self.settings;
        let mut config = Config::new();
        config.host(host);
        config.port(port);
        config.database(&settings.database);
        config.application_name("rivergen");
        config.readonly(true);
        // The transport has seen to that.
        config.encryption(EncryptionLevel::NotSupported);
        let password = settings.password.as_ref().map_or("", |password| password.expose());
        config.authentication(AuthMethod::sql_server(&settings.user, password));
        // Its limits are the pool's and the session's.
        config.handshake_timeout(None);
        config.command_timeout(None);
        config
    }
}

enum SignIn {
    Done(Box<Conn>),
    Elsewhere(String, u16),
}
