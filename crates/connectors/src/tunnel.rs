//! SSH tunnels: sources that only a bastion host reaches.
//!
//! A [`Tunnel`] takes the place of the guard of a source: for each address that a connector asks for it answers a port on
//! loopback, and what connects there goes through the SSH server to that address (`direct-tcpip`, RFC 4254 section 7.2).
//! So no connector knows of tunnels, and where a source names further nodes they are reached through the tunnel, too. The
//! guard that it replaces decides about the SSH server's address; what lies behind it is the SSH server's to permit.
//!
//! A server is trusted for its key alone: nothing is sent to one whose key nobody has confirmed. And a port leads through for
//! the source that opened it alone: no other one may have it for an address ([`leads_through`]), since what lies behind may
//! trust whoever comes from the bastion.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use rivergen_platform::net::HttpOptions;
use russh::client::{self, AuthResult, Handle};
use russh::keys::{self, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::error::Cause;
use crate::{AddressGuard, Blocked, Credentials, DataSourceType, SourceConfig, dial};

/// How often a silent SSH server is asked whether it is still there; after three times without an answer it is not.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Where the key of the server is confirmed, in `metadata`.
pub const HOST_KEY: &str = "ssh_host_key";

/// The ports on loopback that lead through a tunnel of this process.
static PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Whether whoever connects to the address would go through a source's tunnel.
pub(crate) fn leads_through(address: &SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    (ip.is_loopback() || ip.is_unspecified()) && ports().contains(&address.port())
}

fn ports() -> std::sync::MutexGuard<'static, BTreeSet<u16>> {
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of them, until it is dropped.
struct Port(u16);

impl Port {
    fn of(address: SocketAddr) -> Self {
        ports().insert(address.port());
        Self(address.port())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        ports().remove(&self.0);
    }
}

/// The SSH server in front of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelConfig {
    pub host: String,
    pub port: u16,
    pub username: String,
}

/// Why a tunnel does not stand. The texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelFault {
    #[error("the SSH server cannot be reached; check ssh_host and ssh_port")]
    Unreachable,
    #[error(
        "the SSH server shows the key {0}, which nobody has confirmed. Compare it with the server's own \
         (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) and set metadata.ssh_host_key to it"
    )]
    UnconfirmedKey(String),
    #[error(
        "the SSH server shows the key {0}, not the one in metadata.ssh_host_key. Its key was changed, or someone is \
         intercepting the connection"
    )]
    OtherKey(String),
    #[error("the SSH server refused ssh_username or ssh_private_key; check them")]
    Refused,
}

/// What is wrong with a source's tunnel, before anything is connected to.
pub fn validate(config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
    let Some(tunnel) = &config.tunnel else { return Vec::new() };
    if !is_possible(config.kind) {
        let reason = format!("a source of kind {} cannot be reached through a tunnel", config.kind);
        return vec![FieldError::new("use_ssh_tunnel", reason)];
    }
    let mut faults = Vec::new();
    if tunnel.host.trim().is_empty() || tunnel.host.contains(['/', ',', '\0', '@', ' ']) {
        faults.push(FieldError::new("ssh_host", "must name one host, by name or address"));
    }
    if tunnel.username.trim().is_empty() {
        faults.push(FieldError::new("ssh_username", "is required for a tunnel"));
    }
    match &credentials.ssh_private_key {
        None => faults.push(FieldError::new("credentials.ssh_private_key", "is required for a tunnel")),
        Some(key) => {
            if let Err(fault) = check_key(key) {
                faults.push(fault);
            }
        }
    }
    if let Some(key) = config.metadata.get(HOST_KEY)
        && key.as_str().and_then(HostKey::parse).is_none()
    {
        let reason = "must be a fingerprint (SHA256:…) or a public key (ssh-ed25519 AAAA…), as ssh-keygen prints them";
        faults.push(FieldError::new(format!("metadata.{HOST_KEY}"), reason));
    }
    faults
}

/// Whether the kind speaks a protocol of its own over TCP, from an address that its configuration names.
pub fn is_possible(kind: DataSourceType) -> bool {
    use DataSourceType::*;
    matches!(
        kind,
        Postgresql
            | Timescaledb
            | Cockroachdb
            | Redshift
            | Mysql
            | Mariadb
            | Mssql
            | Synapse
            | Oracle
            | Mongodb
            | Cassandra
            | Redis
            | Kafka
    )
}

/// Whether a text looks like a private key. Whether its passphrase is right takes long to find out, and is left to the test.
fn check_key(key: &Secret) -> Result<(), FieldError> {
    let text = key.expose();
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") || text.starts_with("PuTTY-User-Key-File-") {
        return Ok(());
    }
    Err(FieldError::new("credentials.ssh_private_key", "is not a private key in OpenSSH, PEM or PuTTY format"))
}

/// Whom the SSH server must be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostKey(keys::ssh_key::Fingerprint);

impl HostKey {
    /// A fingerprint, or a public key; a line of a `known_hosts` file begins with the host, which does not matter here.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with("SHA256:") {
            return text.parse().ok().map(Self);
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let key = words.windows(2).find_map(|pair| PublicKey::from_openssh(&pair.join(" ")).ok())?;
        Some(Self::of(&key))
    }

    fn of(key: &PublicKey) -> Self {
        Self(key.fingerprint(HashAlg::Sha256))
    }
}

/// The way to a source through its SSH server. One connection to that serves all of the source's.
pub struct Tunnel {
    config: TunnelConfig,
    host_key: Option<HostKey>,
    private_key: Secret,
    passphrase: Option<Secret>,
    connect_timeout: Duration,
    outside: Arc<dyn AddressGuard>,
    connection: Mutex<Option<Arc<Handle<Server>>>>,
}

impl Tunnel {
    /// The guard of a source: a tunnel where the source has one.
    pub fn guard(
        config: &SourceConfig,
        credentials: &Credentials,
        outside: Arc<dyn AddressGuard>,
    ) -> Arc<dyn AddressGuard> {
        let Some(tunnel) = &config.tunnel else { return outside };
        Arc::new(Self {
            config: tunnel.clone(),
            host_key: config.metadata_text(HOST_KEY).and_then(HostKey::parse),
            private_key: credentials.ssh_private_key.clone().unwrap_or_else(|| Secret::new("")),
            passphrase: credentials.ssh_passphrase.clone().filter(|passphrase| !passphrase.is_empty()),
            connect_timeout: config.connect_timeout(),
            outside,
            connection: Mutex::new(None),
        })
    }

    /// The connection that stands, or a new one. Two who find none make two, of which the later one is kept.
    async fn connection(&self) -> Result<Arc<Handle<Server>>, Blocked> {
        let standing = self.kept().clone().filter(|connection| !connection.is_closed());
        if let Some(standing) = standing {
            return Ok(standing);
        }
        let connecting = tokio::time::timeout(self.connect_timeout, self.connect()).await;
        let connection = Arc::new(connecting.map_err(|_| TunnelFault::Unreachable)??);
        *self.kept() = Some(connection.clone());
        Ok(connection)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Arc<Handle<Server>>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Handle<Server>, Blocked> {
        let key = Arc::new(self.key().await?);
        let stream = self.dial().await?;
        let shown = Arc::new(OnceLock::new());
        let server = Server { expected: self.host_key.clone(), shown: shown.clone() };
        let config = client::Config { keepalive_interval: Some(KEEPALIVE), nodelay: true, ..client::Config::default() };
        let mut connection = client::connect_stream(Arc::new(config), stream, server).await.map_err(|error| {
            tracing::info!(%error, host = self.config.host, "an SSH server could not be connected to");
            match (error, shown.get().cloned()) {
                (russh::Error::UnknownKey, Some(key)) if self.host_key.is_none() => TunnelFault::UnconfirmedKey(key),
                (russh::Error::UnknownKey, Some(key)) => TunnelFault::OtherKey(key),
                _ => TunnelFault::Unreachable,
            }
        })?;
        let refused = |error: russh::Error| {
            tracing::info!(%error, host = self.config.host, "an SSH server did not let a tunnel sign in");
            TunnelFault::Refused
        };
        // RFC 8332: which hash an RSA key signs with is the server's choice, SHA-1 excepted.
        let hash = match key.algorithm().is_rsa() {
            true => connection.best_supported_rsa_hash().await.map_err(refused)?.flatten().or(Some(HashAlg::Sha256)),
            false => None,
        };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        match connection.authenticate_publickey(&self.config.username, key).await.map_err(refused)? {
            AuthResult::Success => Ok(connection),
            AuthResult::Failure { .. } => Err(TunnelFault::Refused.into()),
        }
    }

    /// Deriving the key of a passphrase is slow on purpose.
    async fn key(&self) -> Result<PrivateKey, TunnelFault> {
        let (key, passphrase) = (self.private_key.clone(), self.passphrase.clone());
        let read = move || keys::decode_secret_key(key.expose(), passphrase.as_ref().map(|secret| secret.expose()));
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(key)) => Ok(key),
            _ => {
                tracing::info!("the private key of a tunnel cannot be read with its passphrase");
                Err(TunnelFault::Refused)
            }
        }
    }

    async fn dial(&self) -> Result<TcpStream, Blocked> {
        let addresses = self.outside.check(&self.config.host, self.config.port).await;
        let addresses = addresses.map_err(|blocked| match blocked {
            Blocked::Unresolvable => TunnelFault::Unreachable.into(),
            other => other,
        })?;
        dial::reach(addresses).await.map_err(|error| {
            tracing::info!(?error, host = self.config.host, "an SSH server does not answer");
            TunnelFault::Unreachable.into()
        })
    }
}

#[async_trait]
impl AddressGuard for Tunnel {
    /// Opens a port for the address. It closes with the last connection through it, or when nobody comes.
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
        let connection = self.connection().await?;
        let unavailable = |error: std::io::Error| {
            tracing::error!(%error, "no port on loopback for a tunnel");
            TunnelFault::Unreachable
        };
        let listener = listen().await.map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
        tokio::spawn(forward(Port::of(address), listener, self.connect_timeout, connection, host.to_owned(), port));
        Ok(vec![address])
    }

    fn http(&self, _: &HttpOptions) -> Result<reqwest::Client, Cause> {
        // `validate` lets no kind have a tunnel that would ask for it.
        Err("HTTP cannot go through an SSH tunnel".into())
    }
}

/// At an address of loopback that nobody guesses: HTTP clients resolve for themselves and do not ask [`leads_through`].
/// Where loopback has the one address alone (it has 127/8 on Linux) that one has to do.
async fn listen() -> std::io::Result<TcpListener> {
    let somewhere = Ipv4Addr::new(127, rand::random(), rand::random(), rand::random_range(1..=254));
    match TcpListener::bind((somewhere, 0)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
    }
}

/// Sends what connects to the port through the tunnel. The port is nobody's again when the listener is gone.
async fn forward(
    _port: Port,
    listener: TcpListener,
    patience: Duration,
    connection: Arc<Handle<Server>>,
    host: String,
    port: u16,
) {
    let mut streams = JoinSet::new();
    let mut wait = std::pin::pin!(tokio::time::sleep(patience));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    streams.spawn(through(connection.clone(), host.clone(), port, stream, from));
                }
                Err(error) => return tracing::debug!(%error, "the port of a tunnel is closed"),
            },
            Some(_) = streams.join_next() => {
                if streams.is_empty() {
                    return;
                }
            }
            () = &mut wait, if streams.is_empty() => return,
        }
    }
}

async fn through(connection: Arc<Handle<Server>>, host: String, port: u16, mut stream: TcpStream, from: SocketAddr) {
    let origin = (from.ip().to_string(), u32::from(from.port()));
    match connection.channel_open_direct_tcpip(host, u32::from(port), origin.0, origin.1).await {
        Ok(channel) => {
            let copied = tokio::io::copy_bidirectional(&mut stream, &mut channel.into_stream()).await;
            if let Err(error) = copied {
                tracing::debug!(%error, "a connection through a tunnel broke");
            }
        }
        // The stream closes: to the connector, nobody answers there.
        Err(error) => tracing::info!(%error, "an SSH server did not open a connection to a data source"),
    }
}

/// What is checked of the SSH server.
struct Server {
    expected: Option<HostKey>,
    /// The fingerprint of the key that it has shown.
    shown: Arc<OnceLock<String>>,
}

impl client::Handler for Server {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        // A certificate vouches for the key in it by an authority that nobody has named to us.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let shown = HostKey::of(key);
        let _ = self.shown.set(shown.0.to_string());
        Ok(self.expected.as_ref() == Some(&shown))
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const FINGERPRINT: &str = "SHA256:UCUiLr7Pjs9wFFJMDByLgc3NrtdU344OgUM45wZPcIQ";

    #[test]
    fn host_keys_are_read_as_ssh_keygen_and_known_hosts_write_them() {
        let fingerprint = HostKey::parse(FINGERPRINT).unwrap();
        for text in [KEY.to_owned(), format!("{KEY} user@example.com"), format!("bastion.example {KEY}")] {
            assert_eq!(HostKey::parse(&text).as_ref(), Some(&fingerprint), "{text}");
        }
        for text in ["", "SHA256:", "SHA256:abc", "MD5:00", "ssh-ed25519", "ssh-ed25519 AAAA", "trust me"] {
            assert_eq!(HostKey::parse(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn the_port_of_a_tunnel_is_no_address_of_another_source() {
        use rivergen_platform::net::{AddressPolicy, Outbound, OutboundConfig};
        let policy = AddressPolicy { allow_private: true, ..AddressPolicy::default() };
        let outbound = Outbound::new(&OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let port = Port::of(address);
        for host in ["127.0.0.1", "127.1.2.3", "localhost"] {
            let refused = AddressGuard::check(&outbound, host, address.port()).await;
            assert_eq!(refused, Err(Blocked::NotPermitted), "{host}");
        }
        drop(port);
        assert_eq!(AddressGuard::check(&outbound, "127.0.0.1", address.port()).await, Ok(vec![address]));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nobody_comes_upon_a_tunnel_by_the_name_of_loopback() {
        let (one, other) = (listen().await.unwrap(), listen().await.unwrap());
        let (one_at, other_at) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        assert!(one_at.ip().is_loopback() && other_at.ip().is_loopback(), "{one_at} {other_at}");
        assert!(one_at.ip() != other_at.ip() && one_at.ip() != Ipv4Addr::LOCALHOST, "{one_at} {other_at}");
        TcpStream::connect(one_at).await.unwrap();
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut config = SourceConfig::new(DataSourceType::Postgresql);
        assert!(validate(&config, &Credentials::default()).is_empty());
        config.tunnel = Some(TunnelConfig { host: "a b".into(), port: 22, username: String::new() });
        config.metadata.insert(HOST_KEY.into(), "yes".into());
        let fields = |config: &SourceConfig, credentials: &Credentials| -> Vec<String> {
            validate(config, credentials).into_iter().map(|fault| fault.field).collect()
        };
        assert_eq!(
            fields(&config, &Credentials::default()),
            ["ssh_host", "ssh_username", "credentials.ssh_private_key", "metadata.ssh_host_key"]
        );
        let credentials = Credentials { ssh_private_key: Some(Secret::new("hunter2")), ..Credentials::default() };
        assert!(fields(&config, &credentials).contains(&"credentials.ssh_private_key".to_owned()));
        config.kind = DataSourceType::Csv;
        assert_eq!(fields(&config, &credentials), ["use_ssh_tunnel"]);
    }
}
