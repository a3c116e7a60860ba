//! How PostgreSQL writes its connection strings.

use rivergen_kernel::secret::Secret;
use tokio_postgres::config::{Config, Host, SslMode};

use crate::server::{Dsn, ServerSettings};
use crate::tls::{SSL_MODES, Tls};

pub(super) const DSN: Dsn = Dsn { modes: &SSL_MODES, read: read_string };

fn read_string(settings: &mut ServerSettings, string: &str) -> Result<(), &'static str> {
    // The driver knows no verifying modes.
    let verifying = ["verify-ca", "verify-full"].into_iter().find(|m| string.contains(&format!("sslmode={m}")));
    let plain = verifying.map_or_else(|| string.to_owned(), |mode| string.replace(mode, "require"));
    let parsed: Config = plain.parse().map_err(|_| "is not a PostgreSQL connection string")?;
    let [Host::Tcp(host)] = parsed.get_hosts() else { return Err("must name one host, by name or address") };
    settings.host = host.clone();
    settings.port = parsed.get_ports().first().copied().unwrap_or(5432);
    settings.user = parsed.get_user().unwrap_or(&settings.user).to_owned();
    settings.database = parsed.get_dbname().unwrap_or(&settings.user).to_owned();
    if let Some(password) = parsed.get_password() {
        settings.password = Some(Secret::new(String::from_utf8_lossy(password)));
    }
    settings.tls = match (verifying.and_then(Tls::parse), parsed.get_ssl_mode()) {
        (Some(tls), _) => tls,
        (None, SslMode::Disable) => Tls::Disable,
        (None, SslMode::Require) => Tls::Require,
        // The driver takes silence for `prefer`; here it means what it means without a string.
        (None, _) if string.contains("sslmode=prefer") => Tls::Prefer,
        (None, _) => settings.tls,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::error::FieldError;

    use super::*;
    use crate::{Credentials, DataSourceType, SourceConfig};

    fn read(string: &str) -> Result<ServerSettings, FieldError> {
        let credentials = Credentials { connection_string: Some(Secret::new(string)), ..Credentials::default() };
        ServerSettings::read(&SourceConfig::new(DataSourceType::Postgresql), &credentials, &DSN)
    }

    #[test]
    fn connection_strings_are_read() {
        let settings = read("postgresql://ann:s%40fe@db.example.com:6432/shop?sslmode=verify-full").unwrap();
        assert_eq!((settings.host.as_str(), settings.port), ("db.example.com", 6432));
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("ann", "shop"));
        assert_eq!(settings.password.unwrap().expose(), "s@fe");
        assert_eq!(settings.tls, Tls::VerifyFull);
        assert_eq!(read("host=db user=ann dbname=shop").unwrap().tls, Tls::Require);
        assert_eq!(read("host=db user=ann dbname=shop sslmode=prefer").unwrap().tls, Tls::Prefer);
        assert_eq!(read("postgresql://ann@db/shop?sslmode=disable").unwrap().tls, Tls::Disable);
    }

    #[test]
    fn sockets_and_several_hosts_are_refused() {
        for string in ["host=/var/run/postgresql user=a dbname=b", "postgresql://a@h1,h2/b", "nonsense", "host=h"] {
            assert_eq!(read(string).unwrap_err().field, "connection_string", "{string}");
        }
    }
}
