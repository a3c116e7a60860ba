//! The server: how a session with it is made, tried and stopped, and what it tells of itself.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder, SslOpts};

use super::catalog;
use super::session::classify;
use crate::dial::ADDRESSES;
use crate::pushdown::{Catalogued, Wanted};
use crate::server::ServerSettings;
use crate::sessions::{self, Server as _};
use crate::tls::{Tls, roots};
use crate::{AddressGuard, ConnectorError, DiscoveredSchema};

/// Of a sorted or grouped value, in bytes: the server compares no more of it. See how the catalogue reads texts.
const LONGEST_KEY: usize = 8_192;

/// The sessions of one source.
pub(super) type Pool = sessions::Pool<Server>;

/// Where one server is, and how to sign in.
pub(super) struct Server {
    settings: ServerSettings,
    ssl: Option<SslOpts>,
    guard: Arc<dyn AddressGuard>,
}

#[async_trait]
impl Catalogued for Pool {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let mut session = self.session_at_once().await?;
        let version = session.version().await?;
        session.finish();
        // MariaDB names itself in its version.
        let (number, is_mariadb) = (version.split('-').next().unwrap_or_default(), version.contains("MariaDB"));
        Ok(Some(format!("{} {number}", if is_mariadb { "MariaDB" } else { "MySQL" })))
    }

    fn only_schema(&self) -> Option<&str> {
        Some(&self.server().settings.database)
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let database = &self.server().settings.database;
        let mut session = self.session_at_once().await?;
        let tables = catalog::read(&mut session, database, wanted.table).await?;
        session.finish();
        Ok(vec![DiscoveredSchema { name: database.clone(), tables }])
    }
}

#[async_trait]
impl sessions::Server for Server {
    type Conn = Conn;

    fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    async fn connect(&self) -> Result<Conn, ConnectorError> {
        let settings = &self.settings;
        let addresses = self.guard.check(&settings.host, settings.port).await?;
        let mut failure = ConnectorError::Unreachable { cause: None };
        for address in addresses.into_iter().take(ADDRESSES) {
            let mut result = Conn::new(self.options(address, self.ssl.clone())).await;
            if settings.tls == Tls::Prefer
                && matches!(result, Err(Error::Driver(DriverError::NoClientSslFlagFromServer)))
            {
                result = Conn::new(self.options(address, None)).await;
            }
            match result {
                Ok(mut conn) => {
                    conn.query_drop(self.preamble()).await.map_err(classify)?;
                    return Ok(conn);
                }
                Err(error) => failure = self.refused(error),
            }
        }
        Err(failure)
    }

    async fn answers(&self, conn: &mut Conn) -> bool {
        conn.ping().await.is_ok()
    }

    fn stop(self: Arc<Self>, conn: Conn) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.kill(conn.id()).await;
            drop(conn);
        })
    }
}

impl Server {
    pub fn new(settings: ServerSettings, guard: Arc<dyn AddressGuard>) -> Result<Self, ConnectorError> {
        let ssl = ssl(&settings)?;
        Ok(Self { settings, ssl, guard })
    }

    /// Ends what another session is doing.
    async fn kill(&self, session: u32) {
        let attempt = async {
            let mut conn = self.connect().await?;
            conn.query_drop(format!("KILL QUERY {session}")).await.map_err(classify)?;
            conn.disconnect().await.map_err(classify)
        };
        match tokio::time::timeout(self.settings.connect_timeout, attempt).await {
            Ok(Ok(())) => {}
            _ => tracing::debug!("a MySQL statement could not be killed and ends by its timeout"),
        }
    }

    /// The host is what TLS verifies, the address where the connection goes.
    fn options(&self, address: SocketAddr, ssl: Option<SslOpts>) -> OptsBuilder {
        let settings = &self.settings;
        OptsBuilder::default()
            .ip_or_hostname(settings.host.clone())
            .resolved_ips(Some(vec![address.ip()]))
            .tcp_port(address.port())
            .user(Some(settings.user.clone()))
            .pass(settings.password.as_ref().map(|password| password.expose().to_owned()))
            .db_name(Some(settings.database.clone()))
            .ssl_opts(ssl)
            // A server on this machine would have the driver come back through a socket of its choice.
            .prefer_socket(false)
            .stmt_cache_size(0)
            .connect_attribute("program_name", "rivergen")
    }

    fn refused(&self, error: Error) -> ConnectorError {
        match &error {
            Error::Driver(DriverError::NoClientSslFlagFromServer) | Error::Io(IoError::Tls(_)) => {
                ConnectorError::Untrusted { cause: Some(error.into()) }
            }
            // The handshake's errors come as the stream's.
            Error::Io(IoError::Io(io)) if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                ConnectorError::Untrusted { cause: Some(error.into()) }
            }
            _ => classify(error),
        }
    }

    /// What the session is to be, whatever the server's defaults are. Our statements rely on it: how literals are
    /// read, what zone a moment is shown in, that a date of zeros is compared without an error. The comments are
    /// read by MySQL and by MariaDB alone; each has its own statement timeout.
    fn preamble(&self) -> String {
        let limit = self.settings.query_timeout;
        format!(
            "SET SESSION TRANSACTION READ ONLY; SET NAMES utf8mb4; SET time_zone = '+00:00', \
             sql_mode = 'NO_BACKSLASH_ESCAPES,NO_UNSIGNED_SUBTRACTION', sql_auto_is_null = 0, \
             sql_select_limit = DEFAULT, max_sort_length = {LONGEST_KEY} \
             /*!50708 , max_execution_time = {} */ /*M!100101 , max_statement_time = {} */",
            limit.as_millis(),
            limit.as_secs().max(1),
        )
    }
}

fn ssl(settings: &ServerSettings) -> Result<Option<SslOpts>, ConnectorError> {
    let ssl = SslOpts::default();
    Ok(match settings.tls {
        Tls::Disable => None,
        // Encryption without identity, as libpq has it.
        Tls::Prefer | Tls::Require => {
            Some(ssl.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true))
        }
        Tls::VerifyCa | Tls::VerifyFull => {
            let given = match &settings.root_certificate {
                Some(pem) => vec![pem.clone().into_bytes()],
                None => system_roots()?,
            };
            let given = given.into_iter().map(Into::into).collect();
            Some(ssl.with_root_certs(given).with_disable_built_in_roots(true))
        }
    })
}

/// The system's roots, as the driver takes them.
fn system_roots() -> Result<Vec<Vec<u8>>, ConnectorError> {
    roots(None)?;
    let certificates = rustls_native_certs::load_native_certs().certs.into_iter();
    Ok(certificates.map(|certificate| certificate.to_vec()).collect())
}
