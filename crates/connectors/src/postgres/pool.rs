//! Sessions with one server: made when wanted, at most so many, reused while they are whole.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_postgres::Config;

use super::session::{Session, classify};
use super::settings::{Settings, Tls};
use super::tls::TlsMaker;
use crate::{AddressGuard, Blocked, ConnectorError, retry};

/// A session that was idle for longer is not used again: firewalls forget silent connections.
const LONGEST_IDLE: Duration = Duration::from_secs(120);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// The sessions of one source. Cloning shares them; the last clone's drop closes the idle ones.
#[derive(Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub identity: String,
    pub settings: Settings,
    pub tls: TlsMaker,
    guard: Arc<dyn AddressGuard>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(tokio_postgres::Client, Instant)>>,
}

impl Pool {
    pub fn new(identity: String, settings: Settings, guard: Arc<dyn AddressGuard>) -> Result<Self, ConnectorError> {
        let tls = TlsMaker::new(settings.tls, settings.root_certificate.as_deref())?;
        let permits = Arc::new(Semaphore::new(settings.sessions as usize));
        let idle = Mutex::new(Vec::new());
        Ok(Self { shared: Arc::new(Shared { identity, settings, tls, guard, permits, idle }) })
    }

    pub fn identity(&self) -> &str {
        &self.shared.identity
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
        let attempt = async {
            let permit = self.shared.permits.clone().acquire_owned().await.map_err(ConnectorError::internal)?;
            let client = match self.shared.take_idle() {
                Some(client) => client,
                None => self.shared.connect().await?,
            };
            Ok(Session::new(client, permit, self.shared.clone()))
        };
        tokio::time::timeout(limit, attempt).await.map_err(|_| ConnectorError::Timeout(limit))?
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(tokio_postgres::Client, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<tokio_postgres::Client> {
        let mut idle = self.idle();
        idle.retain(|(client, since)| !client.is_closed() && since.elapsed() < LONGEST_IDLE);
        idle.pop().map(|(client, _)| client)
    }

    pub fn put_back(&self, client: tokio_postgres::Client) {
        if !client.is_closed() {
            self.idle().push((client, Instant::now()));
        }
    }

    async fn connect(&self) -> Result<tokio_postgres::Client, ConnectorError> {
        let settings = &self.settings;
        let addresses = self.guard.check(&settings.host, settings.port).await.map_err(|blocked| match blocked {
            Blocked::NotPermitted => ConnectorError::Blocked,
            Blocked::Unresolvable => ConnectorError::Unreachable { cause: Some(blocked.into()) },
        })?;
        let mut failure = ConnectorError::Unreachable { cause: None };
        for address in addresses.into_iter().take(ADDRESSES) {
            let mut config = Config::new();
            config
                .host(&settings.host)
                .hostaddr(address.ip())
                .port(address.port())
                .user(&settings.user)
                .dbname(&settings.database)
                .ssl_mode(settings.tls.mode())
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
                    client.batch_execute(&self.preamble()).await.map_err(classify)?;
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

    /// What the session is to be, whatever the role's or the database's defaults are. Our statements rely on it:
    /// how literals are read, what zone a moment is truncated in.
    fn preamble(&self) -> String {
        format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {}; SET TimeZone = 'UTC'; \
             SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET standard_conforming_strings = on; \
             SET extra_float_digits = 1; SET bytea_output = 'hex'",
            self.settings.query_timeout.as_millis()
        )
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
