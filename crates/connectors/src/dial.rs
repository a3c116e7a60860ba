//! Connections for drivers that take a stream of bytes: to permitted addresses only, with TLS that knows the name.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rivergen_kernel::error::FieldError;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::parse_roots;
use crate::{AddressGuard, ConnectorError, SourceConfig};

/// Addresses of one name that are tried.
pub(crate) const ADDRESSES: usize = 4;
/// How long one of them has before the next is tried beside it (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to one host.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    pub guard: Arc<dyn AddressGuard>,
    pub host: String,
    pub port: u16,
    pub tls: Option<Arc<ClientConfig>>,
    pub timeout: Duration,
}

impl Dial {
    pub async fn connect(&self) -> Result<Box<dyn Stream>, ConnectorError> {
        let attempt = tokio::time::timeout(self.timeout, self.attempt());
        attempt.await.map_err(|_| ConnectorError::Timeout(self.timeout))?
    }

    async fn attempt(&self) -> Result<Box<dyn Stream>, ConnectorError> {
        let addresses = self.guard.check(&self.host, self.port).await?;
        let stream = reach(addresses).await?;
        // Small requests are sent at once.
        stream.set_nodelay(true).map_err(ConnectorError::internal)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let untrusted = |cause| ConnectorError::Untrusted { cause: Some(cause) };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| untrusted(error.into()))?;
        let encrypted = TlsConnector::from(tls.clone()).connect(name, stream).await;
        Ok(Box::new(encrypted.map_err(|error| untrusted(error.into()))?))
    }
}

/// Connects to one of the addresses of a name, which the guard permits.
pub(crate) async fn reach(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectorError> {
    first_of(in_turn(addresses)).await
}

/// The addresses with their families in turn, the first one's first (RFC 8305, section 4).
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first = addresses.first().map(SocketAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| Some(address.is_ipv6()) == is_first);
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), other.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// The first of the addresses that connects (RFC 8305, section 5): each is tried when the one before it has failed or has had
/// its head start.
async fn first_of(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectorError> {
    let mut waiting = addresses.into_iter().take(ADDRESSES);
    let mut tried = FuturesUnordered::new();
    let mut cause = None;
    loop {
        let next = waiting.next();
        let may_be_more = next.is_some();
        tried.extend(next.map(TcpStream::connect));
        tokio::select! {
            connected = tried.next() => match connected {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => cause = Some(error.into()),
                None => return Err(ConnectorError::Unreachable { cause }),
            },
            () = tokio::time::sleep(HEAD_START), if may_be_more => {}
        }
    }
}

/// `metadata.ssl_root_certificate`, checked.
pub(crate) fn root_certificate(config: &SourceConfig) -> Result<Option<&str>, FieldError> {
    let pem = config.metadata_text("ssl_root_certificate");
    if let Some(pem) = pem {
        parse_roots(pem).map_err(|reason| FieldError::new("metadata.ssl_root_certificate", reason))?;
    }
    Ok(pem)
}

/// Whether `metadata.sslmode` lets TLS be: it is spoken where nothing is said.
pub(crate) fn wants_tls(config: &SourceConfig) -> Result<bool, FieldError> {
    match config.metadata_text("sslmode") {
        None | Some("verify-full" | "require") => Ok(true),
        Some("disable") => Ok(false),
        Some(_) => Err(FieldError::new("metadata.sslmode", "must be verify-full or disable")),
    }
}

/// A part of an address as it was before it was written into one (`%41` is `A`); `None` where it is not UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// Whether a text can be a host's name or address.
pub(crate) fn is_host(host: &str) -> bool {
    !host.is_empty() && !host.contains(['/', '@', '?', '#', '\\', ',', ' ', '\0'])
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// An address that never answers: those who wait there already are as many as the system lets wait.
    async fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = tokio::time::timeout(HEAD_START, TcpStream::connect(address)).await {
            waiting.push(stream.unwrap());
        }
        (address, listener, waiting)
    }

    #[tokio::test]
    async fn an_address_that_never_answers_does_not_keep_the_next_from_being_tried() {
        let (silent, _listener, _waiting) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // A quarter of what the system would wait for the first.
        let tried = tokio::time::timeout(Duration::from_secs(30), first_of(vec![silent, good])).await;
        assert_eq!(tried.expect("the second is tried").unwrap().peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn an_address_that_refuses_makes_way_and_the_last_refusal_is_told() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = good.local_addr().unwrap();
        assert_eq!(first_of(vec![gone, address]).await.unwrap().peer_addr().unwrap(), address);
        let refused = first_of(vec![gone, gone]).await.unwrap_err();
        assert!(matches!(refused, ConnectorError::Unreachable { cause: Some(_) }), "{refused}");
        let none = first_of(Vec::new()).await.unwrap_err();
        assert!(matches!(none, ConnectorError::Unreachable { cause: None }), "{none}");
    }

    #[test]
    fn families_take_turns() {
        let parsed = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let given = parsed(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let ordered = parsed(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(in_turn(given), ordered);
    }
}
