//! The connection with a server, and the few commands that are sent over it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisConnectionInfo, RedisError, ServerErrorKind, Value};
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use url::Url;

use crate::dial::{Dial, is_host, percent_decoded, root_certificate, wants_tls};
use crate::tls::{Tls, client_config};
use crate::{AddressGuard, ConnectorError, Credentials, SourceConfig};

/// Keys that one step of a walk looks at, about.
const STEP: usize = 1_000;

/// Where the server is and how to sign in.
#[derive(Clone)]
pub(super) struct Settings {
    host: String,
    port: u16,
    pub database: u32,
    username: Option<String>,
    password: Option<Secret>,
    tls: bool,
    root_certificate: Option<String>,
    connect_timeout: Duration,
    query_timeout: Duration,
}

impl Settings {
    /// Reads the fields or the connection string.
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let mut settings = Self {
            host: config.host.clone().unwrap_or_default(),
            port: config.port.unwrap_or(6379),
            database: 0,
            username: given(&credentials.username),
            password: credentials.password.clone().filter(|password| !password.is_empty()),
            tls: wants_tls(config)?,
            root_certificate: root_certificate(config)?.map(str::to_owned),
            connect_timeout: config.connect_timeout(),
            query_timeout: config.query_timeout(),
        };
        let mut database = ("database_name", config.database_name.clone().unwrap_or_default());
        let string = credentials.connection_string.as_ref().filter(|string| !string.is_empty());
        if let Some(string) = string {
            let wrong = || FieldError::new("connection_string", "must be like redis://user:password@host:6379/0");
            let url = Url::parse(string.expose()).map_err(|_| wrong())?;
            // The scheme says whether TLS is spoken; the metadata say so louder.
            let encrypted = match url.scheme() {
                "redis" | "valkey" => false,
                "rediss" | "valkeys" => true,
                _ => return Err(wrong()),
            };
            if config.metadata_text("sslmode").is_none() {
                settings.tls = encrypted;
            }
            settings.host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            settings.port = url.port().unwrap_or(6379);
            let decode = |text: &str| percent_decoded(text).ok_or_else(wrong);
            if !url.username().is_empty() {
                settings.username = Some(decode(url.username())?);
            }
            if let Some(password) = url.password() {
                settings.password = Some(Secret::new(decode(password)?));
            }
            if url.path().len() > 1 {
                database = ("connection_string", url.path()[1..].to_owned());
            }
        }
        if !is_host(&settings.host) {
            let field = if string.is_some() { "connection_string" } else { "host" };
            return Err(FieldError::new(field, "must name one host, by name or address"));
        }
        if !database.1.is_empty() {
            let number = database.1.parse().ok().filter(|number| *number < 1_000_000);
            settings.database =
                number.ok_or_else(|| FieldError::new(database.0, "must hold the number of a database"))?;
        }
        Ok(settings)
    }
}

/// One server. Commands of all scans share a connection, which is made when wanted and again after it broke.
pub(super) struct Server {
    settings: Settings,
    dial: Dial,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Server {
    pub fn new(settings: Settings, guard: Arc<dyn AddressGuard>) -> Result<Self, ConnectorError> {
        let dial = Dial {
            guard,
            host: settings.host.clone(),
            port: settings.port,
            tls: settings
                .tls
                .then(|| client_config(Tls::VerifyFull, settings.root_certificate.as_deref()))
                .transpose()?,
            timeout: settings.connect_timeout,
        };
        Ok(Self { settings, dial, connection: Mutex::new(None) })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// `Redis 7.0.15`, or `Valkey …`.
    pub async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let mut command = redis::cmd("INFO");
        command.arg("server");
        let info: String = match self.one(&command).await {
            // A user who may only read is not refused for that.
            Err(ConnectorError::AuthenticationFailed { .. }) => return self.size().await.map(|_| None),
            info => info?,
        };
        let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        Ok(match line("valkey_version") {
            Some(version) => Some(format!("Valkey {version}")),
            None => line("redis_version").map(|version| format!("Redis {version}")),
        })
    }

    /// How many keys there are.
    pub async fn size(&self) -> Result<u64, ConnectorError> {
        self.one(&redis::cmd("DBSIZE")).await
    }

    /// One step of a walk: where the next begins (0: nowhere), and keys, of which some may come twice.
    pub async fn step(
        &self,
        cursor: u64,
        pattern: &str,
        kind: Option<&str>,
    ) -> Result<(u64, Vec<Vec<u8>>), ConnectorError> {
        let mut command = redis::cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
        if let Some(kind) = kind {
            command.arg("TYPE").arg(kind);
        }
        self.one(&command).await
    }

    async fn one<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T, ConnectorError> {
        let mut connection = self.connection().await?;
        match command.query_async(&mut connection).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The answers to several commands.
    pub async fn all(&self, commands: &Pipeline) -> Result<Vec<Value>, ConnectorError> {
        let mut connection = self.connection().await?;
        match commands.query_async(&mut connection).await {
            Ok(answers) => Ok(answers),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, ConnectorError> {
        if let Some(connection) = self.kept().as_ref() {
            return Ok(connection.clone());
        }
        // Two that come at once each make one; the later is kept.
        let connection = self.connect().await?;
        Ok(self.kept().insert(connection).clone())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, ConnectorError> {
        let settings = &self.settings;
        let stream = self.dial.connect().await?;
        let mut info = RedisConnectionInfo::default().set_db(i64::from(settings.database)).set_skip_set_lib_name();
        if let Some(username) = &settings.username {
            info = info.set_username(username);
        }
        if let Some(password) = &settings.password {
            info = info.set_password(password.expose());
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(settings.query_timeout));
        let handshake = MultiplexedConnection::new_with_config(&info, stream, config);
        let handshake = tokio::time::timeout(settings.connect_timeout, handshake).await;
        let handshake = handshake.map_err(|_| ConnectorError::Timeout(settings.connect_timeout))?;
        let (connection, driver) = handshake.map_err(|error| self.classify(error))?;
        // It ends when the last clone of the connection is dropped.
        tokio::spawn(driver);
        Ok(connection)
    }

    fn failed(&self, error: RedisError) -> ConnectorError {
        if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
            *self.kept() = None;
        }
        self.classify(error)
    }

    fn classify(&self, error: RedisError) -> ConnectorError {
        if error.is_timeout() {
            return ConnectorError::Timeout(self.settings.query_timeout);
        }
        let code = error.code().unwrap_or_default().to_owned();
        match (error.kind(), code.as_str()) {
            (ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm), _)
            | (_, "NOAUTH" | "WRONGPASS" | "NOPERM") => {
                ConnectorError::AuthenticationFailed { cause: Some(error.into()) }
            }
            (ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask), _) => {
                ConnectorError::Unsupported("the server is part of a cluster, which is not supported".into())
            }
            (ErrorKind::Io, _) => ConnectorError::Unreachable { cause: Some(error.into()) },
            _ => ConnectorError::QueryFailed { cause: Some(error.into()) },
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.settings.host)
            .field("database", &self.settings.database)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataSourceType;

    fn read(string: &str) -> Result<Settings, FieldError> {
        let credentials = Credentials { connection_string: Some(Secret::new(string)), ..Credentials::default() };
        Settings::read(&SourceConfig::new(DataSourceType::Redis), &credentials)
    }

    #[test]
    fn connection_strings_are_read() {
        let settings = read("redis://ann:s%40fe@cache.example.com:6380/2").unwrap();
        assert_eq!((settings.host.as_str(), settings.port, settings.database), ("cache.example.com", 6380, 2));
        assert_eq!(settings.username.as_deref(), Some("ann"));
        assert_eq!(settings.password.as_ref().unwrap().expose(), "s@fe");
        assert!(!settings.tls && read("rediss://[::1]").unwrap().tls);
        for wrong in ["http://host", "redis://", "redis://h/x", "unix:///tmp/redis.sock", "nonsense"] {
            assert_eq!(read(wrong).err().unwrap().field, "connection_string", "{wrong}");
        }
    }
}
