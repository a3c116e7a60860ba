//! How Oracle's clients write where a database is: as EZConnect, as JDBC's thin driver, as a description in parentheses, or
//! as a URL.

use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use url::Url;

use super::net::member;
use crate::dial::percent_decoded;
use crate::server::{Dsn, ServerSettings};
use crate::tls::Tls;
use crate::{Credentials, SourceConfig};

/// TLS has a port of its own, so there is nothing to prefer.
pub(super) const MODES: [&str; 4] = ["disable", "require", "verify-ca", "verify-full"];
const DSN: Dsn = Dsn { modes: &MODES, read: read_string };
/// What a database's name may be.
pub(super) const NAMED_BY: [&str; 2] = ["service_name", "sid"];

/// Where a database is, who signs in, and by what it is named.
#[derive(Debug)]
pub(super) struct Settings {
    pub server: ServerSettings,
    /// The name is that of an instance, as it was before there were services.
    pub is_sid: bool,
}

impl Settings {
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let mut server = ServerSettings::read(config, credentials, &DSN)?;
        let string = credentials.connection_string.as_ref().filter(|string| !string.is_empty());
        let mut is_sid = string.is_some_and(|string| names_sid(string.expose()));
        if let Some(named_by) = config.metadata_text("named_by") {
            if !NAMED_BY.contains(&named_by) {
                return Err(FieldError::new("metadata.named_by", "must be service_name or sid"));
            }
            is_sid = named_by == "sid";
        }
        // TLS has a port of its own there.
        if string.is_none() && config.metadata_text("sslmode").is_none() {
            server.tls = Tls::Disable;
        }
        let (host, database) = match string {
            Some(_) => ("connection_string", "connection_string"),
            None => ("host", "database_name"),
        };
        // Both become a part of a description in parentheses.
        if !server.host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)) {
            return Err(FieldError::new(host, "must name one host, by name or address"));
        }
        if !server.database.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_$#".contains(&byte)) {
            return Err(FieldError::new(database, "must be the name of a service, or an SID"));
        }
        if server.password.as_ref().is_none_or(Secret::is_empty) {
            let field = if string.is_some() { "connection_string" } else { "credentials.password" };
            return Err(FieldError::new(field, "must come with a password"));
        }
        Ok(Self { server, is_sid })
    }

    /// As a listener wants it.
    pub fn database(&self) -> String {
        format!("{}={}", if self.is_sid { "SID" } else { "SERVICE_NAME" }, self.server.database)
    }
}

const SHAPE: &str = "must be user/password@host:port/service, jdbc:oracle:thin:@//host:port/service, a description \
    (DESCRIPTION=…), or a URL oracle://user:password@host:port/service";
const JDBC: &str = "jdbc:oracle:thin:";

fn read_string(settings: &mut ServerSettings, string: &str) -> Result<(), &'static str> {
    settings.tls = Tls::Disable;
    settings.port = 1521;
    let string = string.trim();
    if string.starts_with("oracle://") {
        return read_url(settings, string);
    }
    let string = string.strip_prefix(JDBC).unwrap_or(string);
    // A password may hold any character; a place holds no @.
    let place = match string.rsplit_once('@') {
        Some((who, place)) => {
            if let Some((user, password)) = who.split_once('/') {
                // Quotes around a user's name have the server keep its small letters.
                settings.user = user.to_owned();
                settings.password = Some(Secret::new(unquoted(password)));
            } else if !who.is_empty() {
                return Err(SHAPE);
            }
            place
        }
        None => string,
    };
    if place.starts_with('(') { read_description(settings, place) } else { read_place(settings, place) }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn read_description(settings: &mut ServerSettings, description: &str) -> Result<(), &'static str> {
    if description.to_uppercase().matches("(HOST").count() > 1 {
        return Err("names more than one address; give the one that is to be used");
    }
    settings.host = member(description, "HOST").ok_or(SHAPE)?.to_owned();
    if let Some(port) = member(description, "PORT") {
        settings.port = port.parse().map_err(|_| NO_PORT)?;
    }
    let database = member(description, "SERVICE_NAME").or_else(|| member(description, "SID"));
    settings.database = database.ok_or(SHAPE)?.to_owned();
    if member(description, "PROTOCOL").is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcps")) {
        settings.tls = Tls::VerifyFull;
    }
    Ok(())
}

const NO_PORT: &str = "has a port that is not valid";

/// `tcps://host:port/service`, or with an SID behind a colon.
fn read_place(settings: &mut ServerSettings, place: &str) -> Result<(), &'static str> {
    let place = match place.split_once("//") {
        Some(("tcps:", place)) => {
            settings.tls = Tls::VerifyFull;
            place
        }
        Some(("" | "tcp:", place)) => place,
        Some(_) => return Err(SHAPE),
        None => place,
    };
    let (address, database) = match place.split_once('/') {
        Some(both) => both,
        None => place.rsplit_once(':').ok_or(SHAPE)?,
    };
    // Behind the service may stand how its sessions are served, and options.
    let database = database.split([':', '/', '?']).next().unwrap_or_default();
    settings.database = database.to_owned();
    let (host, port) = match address.strip_prefix('[').and_then(|address| address.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    settings.host = host.to_owned();
    if let Some(port) = port {
        settings.port = port.parse().map_err(|_| NO_PORT)?;
    }
    Ok(())
}

fn read_url(settings: &mut ServerSettings, string: &str) -> Result<(), &'static str> {
    let url = Url::parse(string).map_err(|_| SHAPE)?;
    let plain = |text: &str| percent_decoded(text).ok_or("contains text that is not UTF-8");
    // An IPv6 address stands in brackets.
    settings.host = url.host_str().ok_or(SHAPE)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    settings.port = url.port().unwrap_or(1521);
    settings.user = plain(url.username())?;
    settings.database = plain(url.path().trim_start_matches('/'))?;
    if let Some(password) = url.password() {
        settings.password = Some(Secret::new(plain(password)?));
    }
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" => {
                let mode = Tls::parse(&value).filter(|_| MODES.contains(&&*value));
                settings.tls = mode.ok_or("has an unknown mode of TLS")?;
            }
            "service_name" | "sid" => settings.database = value.into_owned(),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the database is named by its SID.
fn names_sid(string: &str) -> bool {
    if string.starts_with("oracle://") {
        return Url::parse(string).is_ok_and(|url| url.query_pairs().any(|(name, _)| name == "sid"));
    }
    let place = string.rsplit_once('@').map_or(string, |(_, place)| place).trim();
    if place.starts_with('(') {
        return member(place, "SERVICE_NAME").is_none();
    }
    // `host:port:sid`; a service stands behind a slash.
    !place.split_once("//").map_or(place, |(_, place)| place).contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataSourceType;

    fn read(string: &str) -> Result<Settings, FieldError> {
        let credentials = Credentials { connection_string: Some(Secret::new(string)), ..Credentials::default() };
        Settings::read(&SourceConfig::new(DataSourceType::Oracle), &credentials)
    }

    #[test]
    fn connection_strings_are_read() {
        for (string, port, tls, database) in [
            ("ann/s@f/e@db.example.com:1530/shop", 1530, Tls::Disable, "SERVICE_NAME=shop"),
            ("ann/\"s@f/e\"@//db.example.com/shop:dedicated", 1521, Tls::Disable, "SERVICE_NAME=shop"),
            ("ann/s@f/e@tcps://db.example.com:2484/shop", 2484, Tls::VerifyFull, "SERVICE_NAME=shop"),
            ("jdbc:oracle:thin:ann/s@f/e@//db.example.com:1521/shop", 1521, Tls::Disable, "SERVICE_NAME=shop"),
            ("jdbc:oracle:thin:ann/s@f/e@db.example.com:1522:shop", 1522, Tls::Disable, "SID=shop"),
            (
                "ann/s@f/e@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCPS)(HOST=db.example.com)(PORT=2484))(CONNECT_DATA=(SID=shop)))",
                2484,
                Tls::VerifyFull,
                "SID=shop",
            ),
            ("oracle://ann:s%40f%2Fe@db.example.com:1530/shop", 1530, Tls::Disable, "SERVICE_NAME=shop"),
            ("oracle://ann:s%40f%2Fe@db.example.com/?sid=shop&sslmode=verify-ca", 1521, Tls::VerifyCa, "SID=shop"),
        ] {
            let settings = read(string).unwrap_or_else(|error| panic!("{string}: {}", error.reason));
            let server = &settings.server;
            assert_eq!((server.host.as_str(), server.port), ("db.example.com", port), "{string}");
            assert_eq!((server.user.as_str(), settings.database().as_str()), ("ann", database), "{string}");
            assert_eq!(server.password.as_ref().unwrap().expose(), "s@f/e", "{string}");
            assert_eq!(server.tls, tls, "{string}");
        }
        assert_eq!(read("a/b@[::1]:1522/shop").unwrap().server.host, "::1");
    }

    #[test]
    fn what_names_no_one_database_is_refused() {
        for string in [
            "a/b@db",
            "a/b@db:many/shop",
            "a/b@ftp://db/shop",
            "a/b@db:1521/",
            "a@db:1521/shop",
            "db:1521/shop",
            "a/@db:1521/shop",
            "a/b@db:1521/shop)(SID=x",
            "a/b@(DESCRIPTION=(ADDRESS=(HOST=one)(PORT=1))(ADDRESS=(HOST=two)(PORT=1))(CONNECT_DATA=(SID=x)))",
            "a/b@(DESCRIPTION=(ADDRESS=(PORT=1521))(CONNECT_DATA=(SID=x)))",
            "oracle://a:b@h/d?sslmode=prefer",
            "oracle://a@h/d",
            "nonsense",
        ] {
            assert_eq!(read(string).unwrap_err().field, "connection_string", "{string}");
        }
    }

    #[test]
    fn fields_say_by_what_a_database_is_named() {
        let mut config = SourceConfig::new(DataSourceType::Oracle);
        (config.host, config.database_name) = (Some("db.example.com".into()), Some("SHOP".into()));
        let credentials =
            Credentials { username: Some("ann".into()), password: Some(Secret::new("p")), ..Credentials::default() };
        let settings = Settings::read(&config, &credentials).unwrap();
        assert_eq!((settings.database().as_str(), settings.server.tls), ("SERVICE_NAME=SHOP", Tls::Disable));
        config.metadata.insert("named_by".into(), "sid".into());
        assert_eq!(Settings::read(&config, &credentials).unwrap().database(), "SID=SHOP");
        config.metadata.insert("named_by".into(), "name".into());
        assert_eq!(Settings::read(&config, &credentials).unwrap_err().field, "metadata.named_by");
        config.metadata.clear();
        config.database_name = Some("SHOP)(X=".into());
        assert_eq!(Settings::read(&config, &credentials).unwrap_err().field, "database_name");
    }
}
