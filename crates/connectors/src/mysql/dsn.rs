//! How MySQL writes its connection strings.

use rivergen_kernel::secret::Secret;
use url::Url;

use crate::dial::percent_decoded;
use crate::server::{Dsn, ServerSettings};
use crate::tls::Tls;

/// As `sslmode` of libpq. The driver cannot check who vouches for a server without checking its name.
pub(super) const SSL_MODES: [&str; 4] = ["disable", "prefer", "require", "verify-full"];

pub(super) const DSN: Dsn = Dsn { modes: &SSL_MODES, read: read_string };

fn mode(name: &str) -> Option<Tls> {
    Tls::parse(name).filter(|_| SSL_MODES.contains(&name))
}

fn read_string(settings: &mut ServerSettings, string: &str) -> Result<(), &'static str> {
    const SHAPE: &str = "must be mysql://user:password@host:port/database";
    let url = Url::parse(string).map_err(|_| SHAPE)?;
    if !matches!(url.scheme(), "mysql" | "mariadb") {
        return Err(SHAPE);
    }
    let plain = |text: &str| percent_decoded(text).ok_or("contains text that is not UTF-8");
    // An IPv6 address stands in brackets.
    settings.host = url.host_str().ok_or(SHAPE)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    settings.port = url.port().unwrap_or(3306);
    settings.user = plain(url.username())?;
    settings.database = plain(url.path().trim_start_matches('/'))?;
    if let Some(password) = url.password() {
        settings.password = Some(Secret::new(plain(password)?));
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
            settings.tls = found.ok_or("has an unknown mode of TLS")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::error::FieldError;

    use super::*;
    use crate::{Credentials, DataSourceType, SourceConfig};

    fn read(string: &str) -> Result<ServerSettings, FieldError> {
        let credentials = Credentials { connection_string: Some(Secret::new(string)), ..Credentials::default() };
        ServerSettings::read(&SourceConfig::new(DataSourceType::Mysql), &credentials, &DSN)
    }

    #[test]
    fn connection_strings_are_read() {
        let settings = read("mysql://ann:s%40fe+%3D1@db.example.com:3307/shop?ssl-mode=VERIFY_IDENTITY").unwrap();
        assert_eq!((settings.host.as_str(), settings.port), ("db.example.com", 3307));
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("ann", "shop"));
        assert_eq!(settings.password.unwrap().expose(), "s@fe+=1");
        assert_eq!(settings.tls, Tls::VerifyFull);
        let settings = read("mariadb://ann@[::1]/shop").unwrap();
        assert_eq!((settings.host.as_str(), settings.port, settings.tls), ("::1", 3306, Tls::Require));
        assert_eq!(read("mysql://ann@db/shop?ssl-mode=PREFERRED").unwrap().tls, Tls::Prefer);
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
