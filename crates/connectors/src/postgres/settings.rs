//! What of a configuration PostgreSQL needs, checked.

use std::time::Duration;

use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use tokio_postgres::config::{Config, Host, SslMode};

use crate::tls::{SSL_MODES, Tls, parse_roots};
use crate::{Credentials, SourceConfig};

/// Where the server is and how to sign in.
#[derive(Debug, Clone)]
pub(super) struct Settings {
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

impl Settings {
    /// Reads the fields or the connection string; of the latter only where, who and the TLS mode count.
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let mut settings = Self {
            host: config.host.clone().unwrap_or_default(),
            port: config.port.or(config.kind.default_port()).unwrap_or(5432),
            database: config.database_name.clone().unwrap_or_default(),
            schema: config.schema_name.clone().filter(|schema| !schema.is_empty()),
            user: credentials.username.clone().unwrap_or_default(),
            password: credentials.password.clone(),
            tls: Tls::Prefer,
            root_certificate: config.metadata_text("ssl_root_certificate").map(str::to_owned),
            sessions: config.connection_pool_size.clamp(1, 100),
            connect_timeout: config.connect_timeout(),
            query_timeout: config.query_timeout(),
            max_retries: config.max_retries,
        };
        let string = credentials.connection_string.as_ref().filter(|string| !string.is_empty());
        if let Some(string) = string {
            settings.read_string(string.expose()).map_err(|reason| FieldError::new("connection_string", reason))?;
        }
        if let Some(mode) = config.metadata_text("sslmode") {
            let unknown = || FieldError::new("metadata.sslmode", format!("must be one of {}", SSL_MODES.join(", ")));
            settings.tls = Tls::parse(mode).ok_or_else(unknown)?;
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

    fn read_string(&mut self, string: &str) -> Result<(), &'static str> {
        // The driver knows no verifying modes.
        let verifying = ["verify-ca", "verify-full"].into_iter().find(|m| string.contains(&format!("sslmode={m}")));
        let plain = verifying.map_or_else(|| string.to_owned(), |mode| string.replace(mode, "require"));
        let parsed: Config = plain.parse().map_err(|_| "is not a PostgreSQL connection string")?;
        let [Host::Tcp(host)] = parsed.get_hosts() else { return Err("must name one host, by name or address") };
        self.host = host.clone();
        self.port = parsed.get_ports().first().copied().unwrap_or(5432);
        self.user = parsed.get_user().unwrap_or(&self.user).to_owned();
        self.database = parsed.get_dbname().unwrap_or(&self.user).to_owned();
        if let Some(password) = parsed.get_password() {
            self.password = Some(Secret::new(String::from_utf8_lossy(password)));
        }
        self.tls = match (verifying.and_then(Tls::parse), parsed.get_ssl_mode()) {
            (Some(tls), _) => tls,
            (None, SslMode::Disable) => Tls::Disable,
            (None, SslMode::Require) => Tls::Require,
            (None, _) => Tls::Prefer,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataSourceType;

    fn read(string: &str) -> Result<Settings, FieldError> {
        let credentials = Credentials { connection_string: Some(Secret::new(string)), ..Credentials::default() };
        Settings::read(&SourceConfig::new(DataSourceType::Postgresql), &credentials)
    }

    #[test]
    fn connection_strings_are_read() {
        let settings = read("postgresql://ann:s%40fe@db.example.com:6432/shop?sslmode=verify-full").unwrap();
        assert_eq!((settings.host.as_str(), settings.port), ("db.example.com", 6432));
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("ann", "shop"));
        assert_eq!(settings.password.unwrap().expose(), "s@fe");
        assert_eq!(settings.tls, Tls::VerifyFull);
        assert_eq!(read("host=db user=ann dbname=shop").unwrap().tls, Tls::Prefer);
    }

    #[test]
    fn sockets_and_several_hosts_are_refused() {
        for string in ["host=/var/run/postgresql user=a dbname=b", "postgresql://a@h1,h2/b", "nonsense", "host=h"] {
            assert_eq!(read(string).unwrap_err().field, "connection_string", "{string}");
        }
    }
}
