//! Where the servers are and how to sign in.

use std::io::Write;

use mongodb::options::{
    AuthMechanism, ClientOptions, ConnectionString, HostInfo, ServerAddress, Socks5Proxy, Tls, TlsOptions,
};
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use sha2::{Digest, Sha256};

use crate::dial::{is_host, root_certificate, wants_tls};
use crate::relay::Relay;
use crate::{ConnectorError, Credentials, SourceConfig, SourceContext};

pub(super) struct Settings {
    pub database: String,
    /// A connection string, as given or made of the fields.
    string: Secret,
    /// TLS, where the metadata say; else the string decides, and TLS is spoken where neither says a thing.
    tls: Option<bool>,
}

impl Settings {
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let given = credentials.connection_string.as_ref().filter(|string| !string.is_empty());
        let tls = config.metadata_text("sslmode").map(|_| wants_tls(config)).transpose()?;
        root_certificate(config)?;
        let string = match given {
            Some(string) => string.clone(),
            None => from_fields(config, credentials)?,
        };
        let field = if given.is_some() { "connection_string" } else { "host" };
        let wrong = |reason: &str| FieldError::new(field, reason);
        let parsed =
            ConnectionString::parse(string.expose()).map_err(|_| wrong("is not a MongoDB connection string"))?;
        let tcp = match &parsed.host_info {
            HostInfo::HostIdentifiers(hosts) => {
                !hosts.is_empty()
                    && hosts.iter().all(|host| matches!(host, ServerAddress::Tcp { host, .. } if is_host(host)))
            }
            HostInfo::DnsRecord(name) => is_host(name),
            _ => false,
        };
        if !tcp {
            return Err(wrong("must name hosts, by name or address"));
        }
        if let Some(Tls::Enabled(options)) = &parsed.tls
            && (options.ca_file_path.is_some() || options.cert_key_file_path.is_some())
        {
            return Err(wrong("cannot name files; give the root certificate in metadata.ssl_root_certificate"));
        }
        if parsed.socks5_proxy.is_some() {
            return Err(wrong("cannot name a proxy"));
        }
        let mechanism = parsed.credential.as_ref().and_then(|credential| credential.mechanism.as_ref());
        let known = [AuthMechanism::ScramSha1, AuthMechanism::ScramSha256, AuthMechanism::Plain];
        if mechanism.is_some_and(|mechanism| !known.contains(mechanism)) {
            return Err(wrong("must sign in by SCRAM-SHA-256, SCRAM-SHA-1 or PLAIN"));
        }
        let database = config.database_name.clone().filter(|name| !name.is_empty()).or(parsed.default_database);
        let database =
            database.ok_or_else(|| FieldError::new("database_name", "is required, or in the connection string"))?;
        let plain = |c: char| !matches!(c, '/' | '\\' | '.' | '"' | '$' | ' ' | '\0');
        if !database.chars().all(plain) {
            return Err(FieldError::new("database_name", "is not the name of a database"));
        }
        Ok(Self { database, string, tls })
    }

    /// The driver's options; the names of a `mongodb+srv` address are resolved here.
    pub async fn options(&self, source: &SourceContext, relay: &Relay) -> Result<ClientOptions, ConnectorError> {
        let config = &source.config;
        let limit = config.connect_timeout();
        let parsed = tokio::time::timeout(limit, ClientOptions::parse(self.string.expose()).into_future()).await;
        let parsed = parsed.map_err(|_| ConnectorError::Timeout(limit))?;
        let mut options = parsed.map_err(|error| super::classify(&error, None, source))?;
        options.app_name = Some("rivergen".to_owned());
        options.max_pool_size = Some(config.connection_pool_size.clamp(1, 100));
        options.connect_timeout = Some(config.connect_timeout());
        options.server_selection_timeout = Some(config.connect_timeout());
        let encrypted = self.tls.unwrap_or(!matches!(options.tls, Some(Tls::Disabled)));
        options.tls = Some(match encrypted {
            false => Tls::Disabled,
            true => {
                // What the string leaves unchecked is checked where the metadata say so.
                let mut tls = match (self.tls, options.tls) {
                    (None, Some(Tls::Enabled(tls))) => tls,
                    _ => TlsOptions::default(),
                };
                tls.ca_file_path = root_file(source)?;
                Tls::Enabled(tls)
            }
        });
        let proxy = Socks5Proxy::builder()
            .host(relay.address().ip().to_string())
            .port(relay.address().port())
            .authentication((Relay::USER.to_owned(), relay.password().to_owned()))
            .build();
        options.socks5_proxy = Some(proxy);
        Ok(options)
    }
}

/// The driver reads roots from a file. It holds nothing secret, and is named by what is in it.
fn root_file(source: &SourceContext) -> Result<Option<std::path::PathBuf>, ConnectorError> {
    let Some(pem) = source.config.metadata_text("ssl_root_certificate") else { return Ok(None) };
    let path = source.cache_dir.join(format!("{}.pem", hex::encode(Sha256::digest(pem))));
    if !path.exists() {
        let mut file = tempfile_in(&source.cache_dir).map_err(ConnectorError::internal)?;
        file.1.write_all(pem.as_bytes()).map_err(ConnectorError::internal)?;
        std::fs::rename(&file.0, &path).map_err(ConnectorError::internal)?;
    }
    Ok(Some(path))
}

fn tempfile_in(directory: &std::path::Path) -> std::io::Result<(std::path::PathBuf, std::fs::File)> {
    let path = directory.join(format!("{:032x}.pem-part", rand::random::<u128>()));
    Ok((path.clone(), std::fs::File::create_new(path)?))
}

fn from_fields(config: &SourceConfig, credentials: &Credentials) -> Result<Secret, FieldError> {
    let host = config.host.clone().unwrap_or_default();
    if !is_host(&host) {
        return Err(FieldError::new("host", "must name one host, by name or address"));
    }
    let host = if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host };
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let user = credentials.username.as_deref().filter(|user| !user.is_empty());
    let password = credentials.password.as_ref().map(Secret::expose).unwrap_or_default();
    let user = user.map(|user| format!("{}:{}@", encode(user), encode(password))).unwrap_or_default();
    let source = config.metadata_text("auth_source").unwrap_or("admin");
    let source = if user.is_empty() { String::new() } else { format!("?authSource={}", encode(source)) };
    Ok(Secret::new(format!("mongodb://{user}{host}:{}/{source}", config.port.unwrap_or(27_017))))
}
