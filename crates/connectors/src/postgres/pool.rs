//! Sessions with one server: made when wanted, at most so many, reused while they are whole.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::flavour::Flavour;
use super::session::{Session, classify};
use super::tls::TlsMaker;
use super::{catalog, standard_catalog};
use crate::pushdown::Catalogued;
use crate::server::ServerSettings;
use crate::sessions::Sessions;
use crate::tls::Tls;
use crate::{AddressGuard, ConnectorError, DiscoveredSchema, retry};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// The sessions of one source. Cloning shares them; the last clone's drop closes the idle ones.
#[derive(Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub identity: String,
    pub flavour: Flavour,
    pub settings: ServerSettings,
    pub tls: TlsMaker,
    guard: Arc<dyn AddressGuard>,
    sessions: Sessions<tokio_postgres::Client>,
}

impl Pool {
    pub fn new(
        identity: String,
        flavour: Flavour,
        settings: ServerSettings,
        guard: Arc<dyn AddressGuard>,
    ) -> Result<Self, ConnectorError> {
        let tls = TlsMaker::new(settings.tls, settings.root_certificate.as_deref())?;
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

    /// One attempt at a session, within the connection timeout.
    pub async fn session_at_once(&self) -> Result<Session, ConnectorError> {
        let limit = self.shared.settings.connect_timeout;
        let (client, permit) = self.shared.sessions.one(limit, self.shared.ready()).await?;
        Ok(Session::new(client, permit, self.shared.clone()))
    }
}

#[async_trait]
impl Catalogued for Pool {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let session = self.session().await?;
        let row = session.client().query_one(self.flavour().version_query(), &[]).await;
        let version: String = row.and_then(|row| row.try_get(0)).map_err(classify)?;
        session.finish().await;
        Ok(Some(self.flavour().version(&version)))
    }

    fn only_schema(&self) -> Option<&str> {
        self.shared.settings.schema.as_deref()
    }

    async fn catalogue(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let flavour = self.flavour();
        let session = self.session().await?;
        let mut schemas = match flavour {
            Flavour::Postgresql | Flavour::Timescaledb => catalog::read(session.client(), schema, table).await?,
            Flavour::Cockroachdb | Flavour::Redshift => {
                standard_catalog::read(session.client(), flavour, schema, table).await?
            }
        };
        session.finish().await;
        schemas.retain(|schema| !flavour.is_internal(&schema.name));
        Ok(schemas)
    }
}

impl Shared {
    /// An idle session that is not closed, or a new one; where the flavour has brackets, in them.
    async fn ready(&self) -> Result<tokio_postgres::Client, ConnectorError> {
        let mut idle = std::iter::from_fn(|| self.sessions.take().0);
        let client = match idle.find(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect().await?,
        };
        if let Some((begin, _)) = self.flavour.bracket() {
            client.batch_execute(begin).await.map_err(classify)?;
        }
        Ok(client)
    }

    pub fn put_back(&self, client: tokio_postgres::Client) {
        if !client.is_closed() {
            self.sessions.put_back(client);
        }
    }

    async fn connect(&self) -> Result<tokio_postgres::Client, ConnectorError> {
        let settings = &self.settings;
        let addresses = self.guard.check(&settings.host, settings.port).await?;
        let mut failure = ConnectorError::Unreachable { cause: None };
        for address in addresses.into_iter().take(ADDRESSES) {
            let mut config = Config::new();
            config
                .host(&settings.host)
                .hostaddr(address.ip())
                .port(address.port())
                .user(&settings.user)
                .dbname(&settings.database)
                .ssl_mode(mode(settings.tls))
                .application_name("rivergen")
                .connect_timeout(settings.connect_timeout);
            if let Some(password) = &settings.password {
                config.password(password.expose());
            }
            match config.connect(self.tls.clone()).await {
                Ok((client, connection)) => {
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a PostgreSQL connection ended");
                        }
                    });
                    client.batch_execute(&self.flavour.preamble(settings.query_timeout)).await.map_err(classify)?;
                    return Ok(client);
                }
                Err(error) => failure = self.refused(error),
            }
        }
        Err(failure)
    }

    fn refused(&self, error: tokio_postgres::Error) -> ConnectorError {
        let verifying = !matches!(self.settings.tls, Tls::Disable | Tls::Prefer);
        match classify(error) {
            // The server answered, but TLS did not come about.
            ConnectorError::Unreachable { cause }
                if verifying && cause.as_ref().is_some_and(|c| is_tls(c.as_ref())) =>
            {
                ConnectorError::Untrusted { cause }
            }
            other => other,
        }
    }
}

fn mode(tls: Tls) -> SslMode {
    match tls {
        Tls::Disable => SslMode::Disable,
        Tls::Prefer => SslMode::Prefer,
        _ => SslMode::Require,
    }
}

fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let text = error.to_string();
    // The driver names the step, not the cause; see its `Kind::Tls`.
    text.contains("TLS handshake") || text.contains("does not support TLS")
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("identity", &self.shared.identity).finish_non_exhaustive()
    }
}
