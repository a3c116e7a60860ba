//! Connections for drivers that take a stream of bytes: to permitted addresses only, with TLS that knows the name.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rivergen_kernel::error::FieldError;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::parse_roots;
use crate::{AddressGuard, ConnectorError, SourceConfig};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

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
        let mut failure = ConnectorError::Unreachable { cause: None };
        for address in addresses.into_iter().take(ADDRESSES) {
            let stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(error) => {
                    failure = ConnectorError::Unreachable { cause: Some(error.into()) };
                    continue;
                }
            };
            // Small requests are sent at once.
            stream.set_nodelay(true).map_err(ConnectorError::internal)?;
            let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
            let untrusted = |cause| ConnectorError::Untrusted { cause: Some(cause) };
            let name = ServerName::try_from(self.host.clone()).map_err(|error| untrusted(error.into()))?;
            let encrypted = TlsConnector::from(tls.clone()).connect(name, stream).await;
            return Ok(Box::new(encrypted.map_err(|error| untrusted(error.into()))?));
        }
        Err(failure)
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
