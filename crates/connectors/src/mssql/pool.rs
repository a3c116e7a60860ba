//! Sessions with one server: made when wanted, at most so many, reused while they are whole.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ClientConfig;
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;

use super::session::{Session, classify};
use super::transport::Transport;
use super::{Flavour, catalog};
use crate::pushdown::Catalogued;
use crate::server::ServerSettings;
use crate::sessions::Sessions;
use crate::tls::client_config;
use crate::{AddressGuard, ConnectorError, DiscoveredSchema, retry};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;
/// How long an idle session has to say that it is still there.
const PING: Duration = Duration::from_secs(3);

/// What the meaning of our statements hangs on, whatever the server's and the user's defaults are: what `= NULL` and a
/// quote is, how dates are written out. The pools of Synapse know no other.
const PREAMBLE: &str = "SET ANSI_NULLS ON; SET QUOTED_IDENTIFIER ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; \
                        SET CONCAT_NULL_YIELDS_NULL ON; SET ARITHABORT ON; SET LANGUAGE us_english; SET ROWCOUNT 0";

/// A connection of the driver's.
pub(super) type Conn = Client<Transport>;

/// The sessions of one source. Cloning shares them; the last clone's drop closes the idle ones.
#[derive(Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    identity: String,
    flavour: Flavour,
    settings: ServerSettings,
    tls: Arc<ClientConfig>,
    guard: Arc<dyn AddressGuard>,
    sessions: Sessions<Conn>,
}

impl Pool {
    pub fn new(
        identity: String,
        flavour: Flavour,
        settings: ServerSettings,
        guard: Arc<dyn AddressGuard>,
    ) -> Result<Self, ConnectorError> {
        let tls = client_config(settings.tls, settings.root_certificate.as_deref())?;
        let sessions = Sessions::new(settings.sessions);
        Ok(Self { shared: Arc::new(Shared { identity, flavour, settings, tls, guard, sessions }) })
    }

    pub fn identity(&self) -> &str {
        &self.shared.identity
    }

    pub fn flavour(&self) -> Flavour {
        self.shared.flavour
    }

    pub fn query_timeout(&self) -> Duration {
        self.shared.settings.query_timeout
    }

    pub fn max_retries(&self) -> u32 {
        self.shared.settings.max_retries
    }

    /// A session of one's own; a server that cannot be reached is tried again.
    pub async fn session(&self) -> Result<Session, ConnectorError> {
        retry::reaching(self.max_retries(), || self.session_at_once()).await
    }

    async fn session_at_once(&self) -> Result<Session, ConnectorError> {
        let limit = self.shared.settings.connect_timeout;
        let (conn, permit) = self.shared.sessions.one(limit, self.shared.ready()).await?;
        Ok(Session::new(conn, permit, self.shared.clone()))
    }
}

#[async_trait]
impl Catalogued for Pool {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let mut session = self.session().await?;
        let rows = session.rows("SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128))", 1).await?;
        session.finish();
        let version: Option<&str> = rows.first().and_then(|row| row.try_get(0).ok().flatten());
        Ok(version.map(|version| self.flavour().version(version)))
    }

    fn only_schema(&self) -> Option<&str> {
        self.shared.settings.schema.as_deref()
    }

    async fn catalogue(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let mut session = self.session().await?;
        let schemas = catalog::read(&mut session, self.flavour(), schema, table).await?;
        session.finish();
        Ok(schemas)
    }
}

impl Shared {
    /// An idle session that still answers, or a new one.
    async fn ready(&self) -> Result<Conn, ConnectorError> {
        match self.take_idle().await {
            Some(conn) => Ok(conn),
            None => self.connect().await,
        }
    }

    /// A session that still answers.
    async fn take_idle(&self) -> Option<Conn> {
        loop {
            let (taken, _) = self.sessions.take();
            let mut conn = taken?;
            let ask = async { conn.simple_query("SELECT 1").await?.into_row().await };
            // After a failover nobody may answer, and nobody say so.
            if tokio::time::timeout(PING, ask).await.is_ok_and(|answer| answer.is_ok()) {
                return Some(conn);
            }
        }
    }

    pub fn put_back(&self, conn: Conn) {
        self.sessions.put_back(conn);
    }

    pub fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout
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

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("identity", &self.shared.identity).finish_non_exhaustive()
    }
}
