//! Oracle Net: packets over a connection, and how a listener lets a client in.
//!
//! There is no specification of it. The layouts are those of Oracle's own open drivers (python-oracledb and
//! rust-oracledb, both in thin mode). A packet has a header of eight bytes: its length, its kind, flags. A client sends
//! CONNECT with a description of what it wants; the listener accepts, refuses, asks for it once more (then perhaps under
//! TLS anew, because another process has taken over), or sends the client to another address. That one passes the guard
//! as the first one did, and TLS is as strict there.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fault::{Fault, NATIVE_ENCRYPTION};
use crate::dial::ADDRESSES;
use crate::{AddressGuard, ConnectorError};

/// How often a listener may send on, or ask for the same again.
const REDIRECTS: usize = 4;
const HEADER: usize = 8;
/// Bytes of a packet that is asked for; the server may want smaller ones.
const PACKET: u16 = 32_767;
/// No server agrees on larger ones.
const LARGEST_PACKET: usize = 2 * 1024 * 1024;
/// Of what a packet of the kind CONNECT has room for.
const LONGEST_CONNECT_DATA: usize = 230;

/// The version that is asked for, which is that of Oracle 18, and the oldest one that is understood, which is 12.1's.
const VERSION: u16 = 318;
const OLDEST_VERSION: u16 = 315;

pub(super) const DATA: u8 = 6;
const CONNECT: u8 = 1;
const ACCEPT: u8 = 2;
const REFUSE: u8 = 4;
const REDIRECT: u8 = 5;
const RESEND: u8 = 11;
pub(super) const MARKER: u8 = 12;
pub(super) const CONTROL: u8 = 14;

/// Flags of a packet's header.
const IS_REDIRECTED: u8 = 4;
const ENCRYPT_ANEW: u8 = 8;

/// Kinds of marker.
pub(super) const RESET: u8 = 2;
const INTERRUPT: u8 = 3;

/// Where to, and how.
pub(super) struct Target<'a> {
    pub guard: &'a dyn AddressGuard,
    pub host: &'a str,
    pub port: u16,
    pub tls: Option<&'a Arc<ClientConfig>>,
    /// `SERVICE_NAME=…` or `SID=…`.
    pub database: &'a str,
}

/// A packet without its header; one of data without its flags, too.
pub(super) struct Packet {
    pub kind: u8,
    flags: u8,
    pub body: Bytes,
}

/// A connection that carries packets.
pub(super) struct Net {
    wire: Wire,
    received: BytesMut,
    /// Lengths have four bytes, not two.
    accepted: bool,
    /// Bytes of the packets that are sent.
    packet: usize,
    /// A packet is on its way, and nothing else can be sent before its end.
    sending: bool,
}

enum Wire {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

enum Entrance {
    Open(Net),
    Elsewhere { host: String, port: u16, connect_data: String },
}

impl Net {
    /// Connects, and is let in.
    pub async fn open(target: &Target<'_>) -> Result<Self, Fault> {
        let (mut host, mut port, mut flags) = (target.host.to_owned(), target.port, 0);
        let protocol = if target.tls.is_some() { "tcps" } else { "tcp" };
        let mut connect_data = format!(
            "(DESCRIPTION=(ADDRESS=(PROTOCOL={protocol})(HOST={host})(PORT={port}))(CONNECT_DATA=({})\
             (CID=(PROGRAM=rivergen)(HOST=rivergen)(USER=rivergen))))",
            target.database
        );
        for _ in 0..=REDIRECTS {
            let net = Self::dial(target, &host, port).await?;
            match net.enter(target, &host, &connect_data, flags).await? {
                Entrance::Open(net) => return Ok(net),
                Entrance::Elsewhere { host: other, port: its_port, connect_data: what } => {
                    (host, port, connect_data, flags) = (other, its_port, what, IS_REDIRECTED);
                }
            }
        }
        Err(Fault::Garbled("the listener sends on without end"))
    }

    async fn dial(target: &Target<'_>, host: &str, port: u16) -> Result<Self, Fault> {
        let addresses = target.guard.check(host, port).await.map_err(|blocked| Fault::Way(blocked.into()))?;
        let mut failure = ConnectorError::Unreachable { cause: None };
        for address in addresses.into_iter().take(ADDRESSES) {
            let tcp = match TcpStream::connect(address).await {
                Ok(tcp) => tcp,
                Err(error) => {
                    failure = ConnectorError::Unreachable { cause: Some(error.into()) };
                    continue;
                }
            };
            // Small requests are sent at once.
            tcp.set_nodelay(true)?;
            let wire = match target.tls {
                Some(tls) => encrypt(tcp, tls, host).await?,
                None => Wire::Plain(tcp),
            };
            let received = BytesMut::with_capacity(2 * usize::from(PACKET));
            return Ok(Self { wire, received, accepted: false, packet: usize::from(PACKET), sending: false });
        }
        Err(Fault::Way(failure))
    }

    async fn enter(
        mut self,
        target: &Target<'_>,
        host: &str,
        connect_data: &str,
        flags: u8,
    ) -> Result<Entrance, Fault> {
        for _ in 0..=REDIRECTS {
            self.ask(connect_data, flags).await?;
            let mut answer = self.receive().await?;
            match answer.kind {
                ACCEPT => {
                    self.accept(answer.body)?;
                    return Ok(Entrance::Open(self));
                }
                RESEND if answer.flags & ENCRYPT_ANEW != 0 => {
                    let tls = target.tls.ok_or(Fault::Garbled("TLS anew where there was none"))?;
                    let tcp = match self.wire {
                        Wire::Plain(tcp) => tcp,
                        Wire::Encrypted(tls) => tls.into_inner().0,
                    };
                    self.wire = encrypt(tcp, tls, host).await?;
                    self.received.clear();
                }
                RESEND => {}
                REDIRECT => {
                    let length = usize::from(answer.body.try_get_u16().map_err(cut_short)?);
                    let text = match answer.body.get(..length) {
                        Some(text) => text.to_vec(),
                        None => self.receive().await?.body.get(..length).ok_or_else(|| cut_short(()))?.to_vec(),
                    };
                    return elsewhere(&text);
                }
                REFUSE => return Err(refusal(&answer.body)),
                _ => return Err(Fault::Garbled("an answer to CONNECT that is none")),
            }
        }
        Err(Fault::Garbled("the listener asks for the same without end"))
    }

    async fn ask(&mut self, connect_data: &str, flags: u8) -> Result<(), Fault> {
        let length = u16::try_from(connect_data.len()).map_err(|_| Fault::Garbled("a redirection without end"))?;
        let mut body = Vec::with_capacity(512);
        // Version, the oldest one, any service; packets and their contents in bytes; what the transport can do.
        for value in [VERSION, 300, 1, PACKET, PACKET, 0x4f98, 0, 1, length, 74] {
            body.extend(value.to_be_bytes());
        }
        body.extend([0; 4]);
        // No native encryption, and TLS may begin anew; twice.
        body.extend([0x84, 0x84]);
        body.extend([0; 24]);
        for _ in 0..2 {
            body.extend(u32::from(PACKET).to_be_bytes());
        }
        body.extend([0; 8]);
        if connect_data.len() <= LONGEST_CONNECT_DATA {
            body.extend(connect_data.as_bytes());
            return self.write(CONNECT, flags, &[&body]).await;
        }
        self.write(CONNECT, flags, &[&body]).await?;
        self.write(DATA, 0, &[&[0, 0], connect_data.as_bytes()]).await
    }

    fn accept(&mut self, mut body: Bytes) -> Result<(), Fault> {
        let version = body.try_get_u16().map_err(cut_short)?;
        if version < OLDEST_VERSION {
            return Err(Fault::Unsupported("the server is older than Oracle Database 12.1, which is not supported"));
        }
        let flags = *body.get(12).ok_or_else(|| cut_short(()))?;
        if flags & 0x10 != 0 {
            return Err(Fault::Unsupported(NATIVE_ENCRYPTION));
        }
        let mut packet = body.get(22..).ok_or_else(|| cut_short(()))?;
        let packet = packet.try_get_u32().map_err(cut_short)? as usize;
        self.packet = packet.clamp(512, LARGEST_PACKET);
        self.accepted = true;
        Ok(())
    }

    /// Sends a message, in as many packets as it takes.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Fault> {
        for part in message.chunks(self.packet - HEADER - 2) {
            self.write(DATA, 0, &[&[0, 0], part]).await?;
        }
        Ok(())
    }

    /// Says that no more will be sent.
    pub async fn end(&mut self) -> Result<(), Fault> {
        self.write(DATA, 0, &[&[0, 0x40]]).await
    }

    pub async fn reset(&mut self) -> Result<(), Fault> {
        self.write(MARKER, 0, &[&[1, 0, RESET]]).await
    }

    /// Asks the server to stop what it does; `false` where nothing can be asked any more.
    pub async fn interrupt(&mut self) -> Result<bool, Fault> {
        if self.sending {
            return Ok(false);
        }
        self.write(MARKER, 0, &[&[1, 0, INTERRUPT]]).await?;
        Ok(true)
    }

    async fn write(&mut self, kind: u8, flags: u8, parts: &[&[u8]]) -> Result<(), Fault> {
        let length = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut packet = Vec::with_capacity(length);
        if self.accepted {
            packet.extend(u32::try_from(length).map_err(|_| Fault::Garbled("a packet without end"))?.to_be_bytes());
        } else {
            packet.extend(u16::try_from(length).map_err(|_| Fault::Garbled("a packet without end"))?.to_be_bytes());
            packet.extend([0, 0]);
        }
        packet.extend([kind, flags, 0, 0]);
        for part in parts {
            packet.extend_from_slice(part);
        }
        self.sending = true;
        match &mut self.wire {
            Wire::Plain(tcp) => tcp.write_all(&packet).await?,
            Wire::Encrypted(tls) => {
                tls.write_all(&packet).await?;
                tls.flush().await?;
            }
        }
        self.sending = false;
        Ok(())
    }

    /// The next packet. It may be dropped while it waits, and asked again.
    pub async fn receive(&mut self) -> Result<Packet, Fault> {
        loop {
            if let Some(packet) = self.whole()? {
                return Ok(packet);
            }
            let read = match &mut self.wire {
                Wire::Plain(tcp) => tcp.read_buf(&mut self.received).await?,
                Wire::Encrypted(tls) => tls.read_buf(&mut self.received).await?,
            };
            if read == 0 {
                return Err(Fault::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// A packet that has come as a whole.
    fn whole(&mut self) -> Result<Option<Packet>, Fault> {
        let Some(&[a, b, c, d, kind, flags, _, _]) = self.received.first_chunk() else { return Ok(None) };
        let length = if self.accepted {
            u32::from_be_bytes([a, b, c, d]) as usize
        } else {
            usize::from(u16::from_be_bytes([a, b]))
        };
        let least = if kind == DATA { HEADER + 2 } else { HEADER };
        if !(least..=LARGEST_PACKET).contains(&length) {
            return Err(Fault::Garbled("a packet that has no length"));
        }
        if self.received.len() < length {
            self.received.reserve(length - self.received.len());
            return Ok(None);
        }
        let mut body = self.received.split_to(length).freeze();
        body.advance(least);
        Ok(Some(Packet { kind, flags, body }))
    }
}

async fn encrypt(tcp: TcpStream, tls: &Arc<ClientConfig>, host: &str) -> Result<Wire, Fault> {
    let untrusted = |cause| Fault::Way(ConnectorError::Untrusted { cause: Some(cause) });
    let name = ServerName::try_from(host.to_owned()).map_err(|error| untrusted(error.into()))?;
    let encrypted = TlsConnector::from(tls.clone()).connect(name, tcp).await;
    Ok(Wire::Encrypted(Box::new(encrypted.map_err(|error| untrusted(error.into()))?)))
}

fn cut_short<E>(_: E) -> Fault {
    Fault::Garbled("a packet that is cut short")
}

/// An address, a zero and what to send there.
fn elsewhere(text: &[u8]) -> Result<Entrance, Fault> {
    let nowhere = Fault::Garbled("a redirection to nowhere");
    let Ok(text) = str::from_utf8(text) else { return Err(nowhere) };
    let Some((address, connect_data)) = text.split_once('\0') else { return Err(nowhere) };
    let port = member(address, "PORT").and_then(|port| port.parse().ok());
    match (member(address, "HOST"), port) {
        (Some(host), Some(port)) => {
            Ok(Entrance::Elsewhere { host: host.to_owned(), port, connect_data: connect_data.to_owned() })
        }
        _ => Err(nowhere),
    }
}

fn refusal(body: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(body.get(4..).unwrap_or_default());
    let code = member(&text, "ERR").or_else(|| member(&text, "CODE")).and_then(|code| code.parse().ok());
    Fault::Refused(code.unwrap_or_default())
}

/// The value of the first `(NAME=value)` of a description, whatever the case of its letters.
pub(super) fn member<'a>(description: &'a str, name: &str) -> Option<&'a str> {
    description.split('(').find_map(|part| {
        let (found, value) = part.split_once('=')?;
        let value = value.split(')').next()?.trim();
        (found.trim().eq_ignore_ascii_case(name) && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_read() {
        let text =
            "(DESCRIPTION = (ADDRESS=(PROTOCOL=tcp)(host= db.example.com)(PORT=1522))(CONNECT_DATA=(SERVICE_NAME=x)))";
        assert_eq!(member(text, "HOST"), Some("db.example.com"));
        assert_eq!(member(text, "port"), Some("1522"));
        assert_eq!(member(text, "SERVICE_NAME"), Some("x"));
        assert_eq!(member(text, "SID"), None);
        assert_eq!(member("(((=)(HOST", "HOST"), None);
    }

    #[test]
    fn refusals_and_redirections_are_read() {
        let refused = b"\0\0\0\x40(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=12514)(ERROR_STACK=(ERROR=(CODE=12514)(EMFI=4))))";
        assert!(matches!(refusal(refused), Fault::Refused(12_514)));
        assert!(matches!(refusal(b""), Fault::Refused(0)));
        let text = b"(ADDRESS=(PROTOCOL=tcp)(HOST=10.0.0.7)(PORT=1530))\0(DESCRIPTION=(CONNECT_DATA=(SID=x)))";
        match elsewhere(text) {
            Ok(Entrance::Elsewhere { host, port, connect_data }) => {
                assert_eq!((host.as_str(), port), ("10.0.0.7", 1530));
                assert!(connect_data.contains("SID=x"));
            }
            _ => panic!("it says where to"),
        }
        assert!(elsewhere(b"(ADDRESS=(HOST=a)(PORT=1))").is_err());
        assert!(elsewhere(b"(ADDRESS=(HOST=a)(PORT=70000))\0x").is_err());
    }
}
