//! A way through the guard for drivers that open connections themselves, to hosts that a server names.
//!
//! A member of a replica set and a broker of a cluster tell the driver where the others are, and the driver goes there.
//! So it is told to go through a SOCKS proxy (RFC 1928), which is this relay: on loopback, for whoever knows its password
//! (RFC 1929), and to addresses that the guard permits. It ends with the source.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng;
use rivergen_kernel::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::dial::ADDRESSES;
use crate::{AddressGuard, Blocked, ConnectorError};

/// Connections at a time.
const CONNECTIONS: usize = 256;
/// Who does not say by then what they want is disconnected.
const GREETING: Duration = Duration::from_secs(10);

/// A running relay; dropping it ends it with all its connections.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    password: Secret,
    refused: Arc<Mutex<Option<Blocked>>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Who uses it knows this name.
    pub const USER: &'static str = "rivergen";

    pub async fn start(guard: Arc<dyn AddressGuard>, connect_timeout: Duration) -> Result<Self, ConnectorError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(ConnectorError::internal)?;
        let address = listener.local_addr().map_err(ConnectorError::internal)?;
        let mut bytes = [0_u8; 24];
        rand::rng().fill_bytes(&mut bytes);
        let password = hex::encode(bytes);
        let refused = Arc::new(Mutex::new(None));
        let door = Arc::new(Door { guard, password: password.clone(), connect_timeout, refused: refused.clone() });
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok(permit) = permits.clone().acquire_owned().await else { return };
                let Ok((stream, _)) = listener.accept().await else { continue };
                let door = door.clone();
                connections.spawn(async move {
                    if let Err(error) = door.serve(stream).await {
                        tracing::debug!(%error, "a relayed connection ended");
                    }
                    drop(permit);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, password: Secret::new(password), refused, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn password(&self) -> &str {
        self.password.expose()
    }

    /// Why an address was refused, if one was since the last time that this was asked.
    pub fn refused(&self) -> Option<Blocked> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Door {
    guard: Arc<dyn AddressGuard>,
    password: String,
    connect_timeout: Duration,
    refused: Arc<Mutex<Option<Blocked>>>,
}

/// The replies of RFC 1928, section 6.
const GRANTED: u8 = 0;
const NOT_ALLOWED: u8 = 2;
const HOST_UNREACHABLE: u8 = 4;
const REFUSED: u8 = 5;
const NOT_A_CONNECT: u8 = 7;

impl Door {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let greeting = tokio::time::timeout(GREETING, self.greet(&mut stream)).await;
        let Some((host, port)) = greeting.map_err(|_| std::io::ErrorKind::TimedOut)?? else { return Ok(()) };
        let (mut upstream, reply) = match tokio::time::timeout(self.connect_timeout, self.connect(&host, port)).await {
            Ok(Ok(upstream)) => (Some(upstream), GRANTED),
            Ok(Err(reply)) => (None, reply),
            Err(_) => (None, HOST_UNREACHABLE),
        };
        stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        if let Some(upstream) = &mut upstream {
            copy_bidirectional(&mut stream, upstream).await?;
        }
        Ok(())
    }

    /// Where the client wants to go, if it may ask.
    async fn greet(&self, stream: &mut TcpStream) -> std::io::Result<Option<(String, u16)>> {
        let mut head = [0; 2];
        stream.read_exact(&mut head).await?;
        let mut methods = vec![0; usize::from(head[1])];
        stream.read_exact(&mut methods).await?;
        // 2 is by name and password.
        if head[0] != 5 || !methods.contains(&2) {
            stream.write_all(&[5, 0xff]).await?;
            return Ok(None);
        }
        stream.write_all(&[5, 2]).await?;
        let version = stream.read_u8().await?;
        let user = text(stream).await?;
        let password = text(stream).await?;
        let known = version == 1 && user == Relay::USER.as_bytes() && password == self.password.as_bytes();
        stream.write_all(&[1, u8::from(!known)]).await?;
        if !known {
            return Ok(None);
        }
        let mut request = [0; 4];
        stream.read_exact(&mut request).await?;
        let host = match request[3] {
            1 => {
                let mut address = [0; 4];
                stream.read_exact(&mut address).await?;
                IpAddr::from(Ipv4Addr::from(address)).to_string()
            }
            3 => String::from_utf8(text(stream).await?).map_err(|_| std::io::ErrorKind::InvalidData)?,
            4 => {
                let mut address = [0; 16];
                stream.read_exact(&mut address).await?;
                IpAddr::from(Ipv6Addr::from(address)).to_string()
            }
            _ => return Err(std::io::ErrorKind::InvalidData.into()),
        };
        let port = stream.read_u16().await?;
        if request[..2] != [5, 1] {
            stream.write_all(&[5, NOT_A_CONNECT, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
            return Ok(None);
        }
        Ok(Some((host, port)))
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, u8> {
        let addresses = self.guard.check(host, port).await.map_err(|blocked| {
            let reply = if blocked == Blocked::NotPermitted { NOT_ALLOWED } else { HOST_UNREACHABLE };
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(blocked);
            reply
        })?;
        for address in addresses.into_iter().take(ADDRESSES) {
            if let Ok(stream) = TcpStream::connect(address).await
                && stream.set_nodelay(true).is_ok()
            {
                return Ok(stream);
            }
        }
        Err(REFUSED)
    }
}

/// A text with its length before it.
async fn text(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u8().await?;
    let mut text = vec![0; usize::from(length)];
    stream.read_exact(&mut text).await?;
    Ok(text)
}
