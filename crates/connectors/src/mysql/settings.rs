//! What of a configuration MySQL needs, checked.

use std::time::Duration;

use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use url::Url;

use crate::tls::{Tls, parse_roots};
use crate::{Credentials, SourceConfig};

/// As `sslmode` of libpq. The driver cannot check who vouches for a server without checking its name.
pub(super) const SSL_MODES: [&str; 4] = ["disable", "prefer", "require", "verify-full"];

fn mode(name: &str) -> Option<Tls> {
    Tls::parse(name).filter(|mode| *mode != Tls::VerifyCa)
}

/// Where the server is and how to sign in.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<Secret>,
    pub tls: Tls,
    pub root_certificate: Option<String>,
    pub sessions: u32,
    pub connect_timeout: Duration,
    pub query_timeout: Duration,
}

impl Settings {
    /// Reads the fields or the connection string; of the latter only where, who and the TLS mode count.
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let mut settings = Self {
            host: config.host.clone().unwrap_or_default(),
            port: config.port.unwrap_or(3306),
            database: config.database_name.clone().unwrap_or_default(),
            user: credentials.username.clone().unwrap_or_default(),
            password: credentials.password.clone(),
            tls: Tls::Prefer,
            root_certificate: config.metadata_text("ssl_root_certificate").map(str::to_owned),
            sessions: config.connection_pool_size.clamp(1, 100),
            connect_timeout: config.connect_timeout(),
            query_timeout: config.query_timeout(),
        };
        let string = credentials.connection_string.as_ref().filter(|string| !string.is_empty());
        if let Some(string) = string {
            settings.read_string(string.expose()).map_err(|reason| FieldError::new("connection_string", reason))?;
        }
        if let Some(mode) = config.metadata_text("sslmode") {
            let unknown = || FieldError::new("metadata.sslmode", format!("must be one of {}", SSL_MODES.join(", ")));
            settings.tls = self::mode(mode).ok_or_else(unknown)?;
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
        const SHAPE: &str = "must be mysql://user:password@host:port/database";
        let url = Url::parse(string).map_err(|_| SHAPE)?;
        if !matches!(url.scheme(), "mysql" | "mariadb") {
            return Err(SHAPE);
        }
        let plain = |text: &str| percent_decoded(text).ok_or("holds text that is not UTF-8");
        // An IPv6 address stands in brackets.
        self.host = url.host_str().ok_or(SHAPE)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        self.port = url.port().unwrap_or(3306);
        self.user = plain(url.username())?;
        self.database = plain(url.path().trim_start_matches('/'))?;
        if let Some(password) = url.password() {
            self.password = Some(Secret::new(plain(password)?));
        }
        for (name, value) in url.query_pairs() {
            if matches!(name.as_ref(), "sslmode" | "ssl-mode" | "sslMode") {
                // MySQL's own clients have other names for the same modes.
                let found = match value.to_lowercase().replace('_', "-").as_str() {
                    "disabled" => Some(Tls::Disable),
                    "preferred" => Some(Tls::Prefer),
                    "required" => Some(Tls::Require),
                    "verify-identity" => Some(Tls::VerifyFull),
                    name => mode(name),
                };
                self.tls = found.ok_or("names a mode of TLS that is not known")?;
            }
        }
        Ok(())
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    // The parser of forms also reads a plus as a blank.
    let pair = text.replace('+', "%2B");
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    let (decoded, _) = pairs.next().unwrap_or_default();
    (!decoded.contains('\u{fffd}')).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataSourceType;

    fn read(string: &str) -> Result<Settings, FieldError> {
        let credentials = Credentials { connection_string: Some(Secret::new(string)), ..Credentials::default() };
        Settings::read(&SourceConfig::new(DataSourceType::Mysql), &credentials)
    }

    #[test]
    fn connection_strings_are_read() {
        let settings = read("mysql://ann:s%40fe+%3D1@db.example.com:3307/shop?ssl-mode=VERIFY_IDENTITY").unwrap();
        assert_eq!((settings.host.as_str(), settings.port), ("db.example.com", 3307));
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("ann", "shop"));
        assert_eq!(settings.password.unwrap().expose(), "s@fe+=1");
        assert_eq!(settings.tls, Tls::VerifyFull);
        let settings = read("mariadb://ann@[::1]/shop").unwrap();
        assert_eq!((settings.host.as_str(), settings.port, settings.tls), ("::1", 3306, Tls::Prefer));
    }

    #[test]
    fn what_names_no_one_database_is_refused() {
        for string in [
            "mysql://a@h1,h2/b",
            "mysql://a@/b",
            "mysql://h/b",
            "mysql://a@h",
            "nonsense",
            "http://a@h/b",
            "mysql://a@h/b?sslmode=maybe",
            "mysql://a@h/b?ssl-mode=VERIFY_CA",
        ] {
            assert_eq!(read(string).unwrap_err().field, "connection_string", "{string}");
        }
    }
}
