//! Delivery by syslog (RFC 5424): over UDP a datagram for each record (RFC 5426), over TCP and TLS each with its length
//! before it (RFC 6587, section 3.4.1; RFC 5425).
//!
//! ```text
//! <110>1 2026-03-14T15:09:26.535897Z rivergen.example.com rivergen - auth.login - {"type":"record", …}
//! ```
//!
//! Syslog acknowledges nothing. What can be known is known: a batch has a connection of its own that is closed at its end,
//! and it counts as delivered when the receiver closes its side without a reset, which a receiver that died with records
//! unread causes. Of UDP nothing is known but that nobody listens on a machine that says so.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::format::Format;
use crate::{
    audit::{Outcome, log},
    net::Outbound,
};

/// A whole batch, from the name of the receiver to its goodbye.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a receiver may take to close its side; many never do.
const GOODBYE: Duration = Duration::from_secs(3);
/// What an IPv4 datagram holds is 65,507 octets. What is longer is cut off.
const LONGEST_DATAGRAM: usize = 65_000;

/// "log audit" (RFC 5424, table 1).
const FACILITY: u8 = 13;
const INFORMATIONAL: u8 = 6;
const WARNING: u8 = 4;

pub(super) struct Syslog {
    outbound: Outbound,
    host: String,
    port: u16,
    way: Way,
    /// The server's own name.
    sender: String,
}

pub(super) enum Way {
    Udp,
    Tcp,
    Tls(Arc<ClientConfig>, ServerName<'static>),
}

impl Way {
    /// TLS to a receiver that those of the file vouch for, or those of the system.
    pub fn tls(host: &str, ca_file: Option<&Path>) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no name of a server"))?;
        let mut roots = RootCertStore::empty();
        match ca_file {
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
            Some(file) => {
                let fault = |error: &dyn std::fmt::Display| format!("ca_file, {}: {error}", file.display());
                let certificates = CertificateDer::pem_file_iter(file).map_err(|error| fault(&error))?;
                for certificate in certificates {
                    roots.add(certificate.map_err(|error| fault(&error))?).map_err(|error| fault(&error))?;
                }
                if roots.is_empty() {
                    return Err(fault(&"holds no certificate"));
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::Tls(Arc::new(config), name))
    }
}

impl Syslog {
    pub fn new(outbound: Outbound, host: String, port: u16, way: Way, sender: &str) -> Self {
        Self { outbound, host, port, way, sender: header_field(sender, 255) }
    }

    pub async fn send(&self, rows: &[log::Model], format: Format) -> Result<(), String> {
        let messages: Vec<String> = rows.iter().map(|row| self.message(row, format)).collect();
        match timeout(PATIENCE, self.deliver(&messages)).await {
            Ok(delivered) => delivered,
            Err(_) => Err(format!("the receiver did not take the records within {} s", PATIENCE.as_secs())),
        }
    }

    async fn deliver(&self, messages: &[String]) -> Result<(), String> {
        let addresses = self.outbound.resolve(&self.host, self.port).await.map_err(|error| error.to_string())?;
        let delivered = match &self.way {
            Way::Udp => datagrams(&addresses, messages).await,
            Way::Tcp => match TcpStream::connect(addresses.as_slice()).await {
                Ok(connection) => frames(connection, messages).await,
                Err(error) => Err(error),
            },
            Way::Tls(config, name) => match TcpStream::connect(addresses.as_slice()).await {
                Ok(connection) => match TlsConnector::from(config.clone()).connect(name.clone(), connection).await {
                    Ok(connection) => frames(connection, messages).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            },
        };
        delivered.map_err(|error| error.to_string())
    }

    fn message(&self, row: &log::Model, format: Format) -> String {
        let severity = if row.outcome == Outcome::Failure.as_str() { WARNING } else { INFORMATIONAL };
        let time = row.occurred_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let kind = header_field(&row.action, 32);
        let event = format.event(row);
        format!("<{}>1 {time} {} rivergen - {kind} - {event}", FACILITY * 8 + severity, self.sender)
    }
}

/// Printable ASCII without spaces, of at most this length; `-` for nothing.
fn header_field(text: &str, longest: usize) -> String {
    let field: String = text.chars().filter(char::is_ascii_graphic).take(longest).collect();
    if field.is_empty() { "-".to_owned() } else { field }
}

async fn datagrams(addresses: &[SocketAddr], messages: &[String]) -> io::Result<()> {
    // One that is allowed was found, or there would be an error.
    let address = addresses.first().ok_or(ErrorKind::AddrNotAvailable)?;
    let own: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(address).await?;
    for message in messages {
        let end = message.floor_char_boundary(LONGEST_DATAGRAM);
        socket.send(&message.as_bytes()[..end]).await?;
    }
    // That nobody listens is told by the next use of the socket.
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

async fn frames(mut connection: impl AsyncRead + AsyncWrite + Unpin, messages: &[String]) -> io::Result<()> {
    let frames: String = messages.iter().map(|message| format!("{} {message}", message.len())).collect();
    connection.write_all(frames.as_bytes()).await?;
    connection.shutdown().await?;
    let goodbye = async {
        let mut said = [0; 512];
        loop {
            match connection.read(&mut said).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Closed without TLS's own goodbye.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    };
    timeout(GOODBYE, goodbye).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::streams::sample, net::OutboundConfig};

    #[test]
    fn a_message_is_one_of_rfc_5424() {
        let outbound = Outbound::new(&OutboundConfig::default()).unwrap();
        let syslog = Syslog::new(outbound, "siem".to_owned(), 514, Way::Udp, "rivergen.example.com");
        let mut row = sample("auth.login");
        let message = syslog.message(&row, Format::Json);
        let head =
            "<110>1 2026-03-14T15:09:26.535897Z rivergen.example.com rivergen - auth.login - {\"type\":\"record\",";
        assert!(message.starts_with(head), "{message}");
        row.outcome = "failure".to_owned();
        row.action = "organization.update_settings_and_ more".to_owned();
        let message = syslog.message(&row, Format::Cef);
        assert!(message.starts_with("<108>1 "), "{message}");
        assert!(message.contains(" rivergen - organization.update_settings_and - CEF:0|"), "{message}");
        assert_eq!(header_field("", 5), "-");
    }
}
