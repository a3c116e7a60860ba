//! A database server: where it is and how to sign in, read from the fields or from a connection string.

use std::time::Duration;

use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;

use crate::tls::{Tls, parse_roots};
use crate::{Credentials, SourceConfig};

/// What of a configuration a server needs, checked.
#[derive(Debug, Clone)]
pub(crate) struct ServerSettings {
    pub host: String,
    pub port: u16,
    pub database: String,
    /// Only tables of this schema.
    pub schema: Option<String>,
    pub user: String,
    pub password: Option<Secret>,
    pub tls: Tls,
    pub root_certificate: Option<String>,
    pub sessions: u32,
    pub connect_timeout: Duration,
    pub query_timeout: Duration,
    pub max_retries: u32,
}

/// How a kind of server writes its connection strings; of these only where, who and the TLS mode count.
pub(crate) struct Dsn {
    /// What `sslmode` may be.
    pub modes: &'static [&'static str],
    /// Reads a string; otherwise says what is wrong with it.
    pub read: fn(&mut ServerSettings, &str) -> Result<(), &'static str>,
}

impl ServerSettings {
    pub fn read(config: &SourceConfig, credentials: &Credentials, dsn: &Dsn) -> Result<Self, FieldError> {
        let root = config.metadata_text("ssl_root_certificate").map(str::to_owned);
        let mut settings = Self {
            host: config.host.clone().unwrap_or_default(),
            port: config.port.or(config.kind.default_port()).unwrap_or_default(),
            database: config.database_name.clone().unwrap_or_default(),
            schema: config.schema_name.clone().filter(|schema| !schema.is_empty()),
            user: credentials.username.clone().unwrap_or_default(),
            password: credentials.password.clone(),
            // A password does not leave in the clear unless somebody says that it may. Whoever brings a root wants it
            // asked; the certificates that databases make for themselves would not pass the system's.
            tls: if root.is_some() { Tls::VerifyFull } else { Tls::Require },
            root_certificate: root,
            sessions: config.connection_pool_size.clamp(1, 100),
            connect_timeout: config.connect_timeout(),
            query_timeout: config.query_timeout(),
            max_retries: config.max_retries,
        };
        let string = credentials.connection_string.as_ref().filter(|string| !string.is_empty());
        if let Some(string) = string {
            (dsn.read)(&mut settings, string.expose())
                .map_err(|reason| FieldError::new("connection_string", reason))?;
        }
        if let Some(mode) = config.metadata_text("sslmode") {
            let known = Tls::parse(mode).filter(|_| dsn.modes.contains(&mode));
            let unknown = || FieldError::new("metadata.sslmode", format!("must be one of {}", dsn.modes.join(", ")));
            settings.tls = known.ok_or_else(unknown)?;
        }
        let field = if string.is_some() { "connection_string" } else { "host" };
        if settings.host.is_empty() || settings.host.contains(['/', ',', '\0', '@', ' ']) {
            return Err(FieldError::new(field, "must name one host, by name or address"));
        }
        if settings.database.is_empty() || settings.user.is_empty() {
            return Err(FieldError::new(field, "must come with a database and a user name"));
        }
        if let Some(pem) = &settings.root_certificate {
            parse_roots(pem).map_err(|reason| FieldError::new("metadata.ssl_root_certificate", reason))?;
        }
        Ok(settings)
    }
}
