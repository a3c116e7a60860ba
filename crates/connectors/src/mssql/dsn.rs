//! How SQL Server's clients write their connection strings: as ADO.NET and ODBC do, as JDBC does, or as a URL.

use std::collections::HashMap;

use connection_string::{AdoNetString, JdbcString};
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use url::Url;

use crate::dial::percent_decoded;
use crate::server::{Dsn, ServerSettings};
use crate::tls::{SSL_MODES, Tls};
use crate::{Credentials, SourceConfig};

const DSN: Dsn = Dsn { modes: &SSL_MODES, read: read_string };

/// The settings of a source; certificates are verified unless they say otherwise, as Microsoft's own drivers have it.
pub(super) fn settings(config: &SourceConfig, credentials: &Credentials) -> Result<ServerSettings, FieldError> {
    let mut settings = ServerSettings::read(config, credentials, &DSN)?;
    let string = credentials.connection_string.as_ref().filter(|string| !string.is_empty());
    if string.is_none() && config.metadata_text("sslmode").is_none() {
        settings.tls = Tls::VerifyFull;
    }
    if settings.host.contains('\\') {
        let field = if string.is_some() { "connection_string" } else { "host" };
        return Err(FieldError::new(field, NO_INSTANCES));
    }
    Ok(settings)
}

const NO_INSTANCES: &str = "must name the port that a named instance listens on, not the instance";

fn read_string(settings: &mut ServerSettings, string: &str) -> Result<(), &'static str> {
    settings.tls = Tls::VerifyFull;
    settings.port = 1433;
    match string.split_once("://") {
        Some(("jdbc:sqlserver", _)) => read_jdbc(settings, string),
        Some(("mssql" | "sqlserver", _)) => read_url(settings, string),
        _ => read_ado(settings, string),
    }
}

const SHAPE: &str = "must be Server=tcp:host,port;Database=…;User ID=…;Password=…, or a URL sqlserver://user:password@host:port/database";

fn read_ado(settings: &mut ServerSettings, string: &str) -> Result<(), &'static str> {
    let pairs: AdoNetString = string.parse().map_err(|_| SHAPE)?;
    let property = |names: &[&str]| names.iter().find_map(|name| pairs.get(*name));
    let server = property(&["server", "data source", "address", "addr", "network address"]).ok_or(SHAPE)?;
    let server = server.trim();
    let server = server.strip_prefix("tcp:").unwrap_or(server);
    let (host, port) = server.split_once(',').map_or((server, None), |(host, port)| (host, Some(port)));
    settings.host = host.trim().to_owned();
    if let Some(port) = port {
        settings.port = port.trim().parse().map_err(|_| "has a port that is not valid")?;
    }
    read_properties(settings, &pairs)
}

fn read_jdbc(settings: &mut ServerSettings, string: &str) -> Result<(), &'static str> {
    let parsed: JdbcString = string.parse().map_err(|_| SHAPE)?;
    if parsed.instance_name().is_some() {
        return Err(NO_INSTANCES);
    }
    // Names of properties have no case.
    let pairs = parsed.properties().iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    let pairs: HashMap<String, String> = pairs.collect();
    let host = parsed.server_name().map(str::to_owned).or_else(|| pairs.get("servername").cloned());
    settings.host = host.ok_or(SHAPE)?;
    if let Some(port) = parsed.port() {
        settings.port = port;
    }
    read_properties(settings, &pairs)
}

/// What ADO.NET, ODBC and JDBC call the same.
fn read_properties(settings: &mut ServerSettings, pairs: &HashMap<String, String>) -> Result<(), &'static str> {
    let property = |names: &[&str]| names.iter().find_map(|name| pairs.get(*name)).map(|value| value.trim());
    if let Some(database) = property(&["database", "initial catalog", "databasename"]) {
        settings.database = database.to_owned();
    }
    if let Some(user) = property(&["user id", "uid", "user", "username"]) {
        settings.user = user.to_owned();
    }
    if let Some(password) = ["password", "pwd"].iter().find_map(|name| pairs.get(*name)) {
        settings.password = Some(Secret::new(password.clone()));
    }
    let encrypt = property(&["encrypt"]).map(str::to_lowercase);
    let trusting = property(&["trustservercertificate", "trust server certificate"]).is_some_and(is_true);
    settings.tls = match encrypt.as_deref() {
        Some("false" | "no" | "optional") => Tls::Prefer,
        Some("strict") => return Err("asks for TDS 8 (Encrypt=Strict), which is not supported; Mandatory is"),
        None | Some("true" | "yes" | "mandatory") if trusting => Tls::Require,
        None | Some("true" | "yes" | "mandatory") => Tls::VerifyFull,
        Some(_) => return Err("has an unknown Encrypt"),
    };
    Ok(())
}

fn is_true(value: &str) -> bool {
    matches!(value.to_lowercase().as_str(), "true" | "yes")
}

fn read_url(settings: &mut ServerSettings, string: &str) -> Result<(), &'static str> {
    let url = Url::parse(string).map_err(|_| SHAPE)?;
    let plain = |text: &str| percent_decoded(text).ok_or("contains text that is not UTF-8");
    // An IPv6 address stands in brackets.
    settings.host = url.host_str().ok_or(SHAPE)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    settings.port = url.port().unwrap_or(1433);
    settings.user = plain(url.username())?;
    settings.database = plain(url.path().trim_start_matches('/'))?;
    if let Some(password) = url.password() {
        settings.password = Some(Secret::new(plain(password)?));
    }
    for (name, value) in url.query_pairs() {
        if name == "sslmode" {
            settings.tls = Tls::parse(&value).ok_or("has an unknown mode of TLS")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataSourceType;

    fn read(string: &str) -> Result<ServerSettings, FieldError> {
        let credentials = Credentials { connection_string: Some(Secret::new(string)), ..Credentials::default() };
        settings(&SourceConfig::new(DataSourceType::Mssql), &credentials)
    }

    #[test]
    fn connection_strings_are_read() {
        for (string, port, tls) in [
            ("Server=tcp:db.example.com,1444;Database=shop;User ID=ann;Password='s@f;e'", 1444, Tls::VerifyFull),
            (
                "data source=db.example.com;initial catalog=shop;uid=ann;pwd=\"s@f;e\";Encrypt=Optional",
                1433,
                Tls::Prefer,
            ),
            (
                "Server=db.example.com;Database=shop;User Id=ann;Password={s@f;e};Encrypt=yes;TrustServerCertificate=true",
                1433,
                Tls::Require,
            ),
            (
                "jdbc:sqlserver://db.example.com:1444;databaseName=shop;user=ann;password={s@f;e};encrypt=true",
                1444,
                Tls::VerifyFull,
            ),
            ("sqlserver://ann:s%40f%3Be@db.example.com:1444/shop?sslmode=verify-ca", 1444, Tls::VerifyCa),
            ("mssql://ann:s%40f%3Be@db.example.com/shop", 1433, Tls::VerifyFull),
        ] {
            let settings = read(string).unwrap();
            assert_eq!((settings.host.as_str(), settings.port), ("db.example.com", port), "{string}");
            assert_eq!((settings.user.as_str(), settings.database.as_str()), ("ann", "shop"), "{string}");
            assert_eq!(settings.password.unwrap().expose(), "s@f;e", "{string}");
            assert_eq!(settings.tls, tls, "{string}");
        }
    }

    #[test]
    fn what_names_no_one_database_is_refused() {
        for string in [
            "Server=db;User ID=a;Password=b",
            "Database=d;User ID=a;Password=b",
            r"Server=db\SQLEXPRESS;Database=d;User ID=a;Password=b",
            r"jdbc:sqlserver://db\two;databaseName=d;user=a;password=b",
            "Server=db,many;Database=d;User ID=a;Password=b",
            "Server=db;Database=d;User ID=a;Password=b;Encrypt=Strict",
            "sqlserver://a:b@h/d?sslmode=maybe",
            "postgres://a:b@h/d",
            "nonsense",
        ] {
            assert_eq!(read(string).unwrap_err().field, "connection_string", "{string}");
        }
    }

    #[test]
    fn certificates_are_verified_unless_told_otherwise() {
        let mut config = SourceConfig::new(DataSourceType::Synapse);
        config.host = Some("db.example.com".into());
        config.database_name = Some("shop".into());
        let credentials = Credentials { username: Some("ann".into()), ..Credentials::default() };
        assert_eq!(settings(&config, &credentials).unwrap().tls, Tls::VerifyFull);
        config.metadata.insert("sslmode".into(), "require".into());
        assert_eq!(settings(&config, &credentials).unwrap().tls, Tls::Require);
        config.host = Some(r"db\SQLEXPRESS".into());
        assert_eq!(settings(&config, &credentials).unwrap_err().field, "host");
    }
}
