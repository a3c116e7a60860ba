//! The stream that the driver speaks TDS over, encrypted where the mode asks for it.
//!
//! TDS 7 begins with a PRELOGIN message in the clear, in which both sides say whether they encrypt; the TLS handshake
//! then goes inside of TDS packets, and everything after it inside of TLS ([MS-TDS] 2.2.6.5, 3.2.5.2). The driver's own
//! TLS trusts the system's roots whatever else is trusted, and cannot leave the name out. So the prelogin and the
//! handshake are made here, with the TLS of all sources; the driver is then told what the server had answered.
//!
//! Where TLS comes about at all it covers the whole session: a server that would encrypt the login alone is refused.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead as DriverRead, AsyncWrite as DriverWrite};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ConnectorError;
use crate::tls::Tls;

/// [MS-TDS] 2.2.3.1: type, status, length of the packet, process, number, window.
const HEADER: usize = 8;
const PRELOGIN: u8 = 0x12;
const RESPONSE: u8 = 0x04;
const END_OF_MESSAGE: u8 = 1;
/// Before the login says otherwise.
const PACKET: usize = 4_096;

/// [MS-TDS] 2.2.6.5: the values of the option ENCRYPTION, and its place among the options.
const ENCRYPTION: u8 = 1;
const ENCRYPT_ON: u8 = 1;
const ENCRYPT_NOT_SUPPORTED: u8 = 2;
const ENCRYPT_REQUIRED: u8 = 3;
const LAST_OPTION: u8 = 0xff;

/// A stream on which the server expects the login.
pub(super) struct Transport {
    wire: Wire,
    /// The server's prelogin, for the driver to read, and how much of it has been read.
    answer: Vec<u8>,
    told: usize,
    /// The driver's own prelogin, which the server does not get to see.
    unsent: Unsent,
}

enum Wire {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<Enveloped>>),
}

impl Transport {
    /// Agrees with the server on encryption, and encrypts.
    pub async fn open(
        mut tcp: TcpStream,
        tls: Tls,
        config: &Arc<ClientConfig>,
        host: &str,
    ) -> Result<Self, ConnectorError> {
        let wanted = if tls == Tls::Disable { ENCRYPT_NOT_SUPPORTED } else { ENCRYPT_ON };
        tcp.write_all(&prelogin(wanted)).await.map_err(unreachable)?;
        let answer = message(&mut tcp).await.map_err(unreachable)?;
        let wire = match (encryption(&answer), tls) {
            (Some(ENCRYPT_ON | ENCRYPT_REQUIRED), tls) if tls != Tls::Disable => {
                Wire::Encrypted(Box::new(encrypt(tcp, config, host).await?))
            }
            (Some(ENCRYPT_NOT_SUPPORTED), Tls::Disable | Tls::Prefer) => Wire::Plain(tcp),
            _ => {
                let cause = "the server and sslmode do not agree on encryption".into();
                return Err(ConnectorError::Untrusted { cause: Some(cause) });
            }
        };
        Ok(Self { wire, answer, told: 0, unsent: Unsent::default() })
    }
}

fn unreachable(error: io::Error) -> ConnectorError {
    ConnectorError::Unreachable { cause: Some(error.into()) }
}

async fn encrypt(
    tcp: TcpStream,
    config: &Arc<ClientConfig>,
    host: &str,
) -> Result<TlsStream<Enveloped>, ConnectorError> {
    let untrusted = |cause| ConnectorError::Untrusted { cause: Some(cause) };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| untrusted(error.into()))?;
    let handshake = TlsConnector::from(config.clone()).connect(name, Enveloped::new(tcp));
    let mut stream = handshake.await.map_err(|error| untrusted(error.into()))?;
    stream.get_mut().0.handshaking = false;
    Ok(stream)
}

fn packet(kind: u8, status: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![kind, status, length[0], length[1], 0, 0, 0, 0];
    packet.extend_from_slice(payload);
    packet
}

fn prelogin(encryption: u8) -> Vec<u8> {
    // Version, encryption, instance, thread, several results at a time.
    let options: [&[u8]; 5] = [&[0; 6], &[encryption], &[0], &[0; 4], &[0]];
    let (mut table, mut data) = (Vec::new(), Vec::new());
    for (number, value) in (0_u8..).zip(options) {
        let at = options.len() * 5 + 1 + data.len();
        table.extend([number, 0, at as u8, 0, value.len() as u8]);
        data.extend_from_slice(value);
    }
    table.push(LAST_OPTION);
    table.append(&mut data);
    packet(PRELOGIN, END_OF_MESSAGE, &table)
}

/// The server's message with its header; it fits in one packet.
async fn message(tcp: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER];
    tcp.read_exact(&mut message).await?;
    let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
    if message[0] != RESPONSE || message[1] & END_OF_MESSAGE == 0 || !(HEADER..=PACKET).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not speak TDS"));
    }
    message.resize(length, 0);
    tcp.read_exact(&mut message[HEADER..]).await?;
    Ok(message)
}

/// The option ENCRYPTION of a prelogin.
fn encryption(message: &[u8]) -> Option<u8> {
    let body = message.get(HEADER..)?;
    for option in body.chunks_exact(5) {
        match option {
            [LAST_OPTION, ..] => return None,
            [ENCRYPTION, high, low, ..] => return body.get(usize::from(u16::from_be_bytes([*high, *low]))).copied(),
            _ => {}
        }
    }
    None
}

/// A stream whose bytes go inside of prelogin packets as long as the handshake lasts.
struct Enveloped {
    tcp: TcpStream,
    handshaking: bool,
    /// Of the packet that is being read.
    header: Vec<u8>,
    remaining: usize,
    /// What is written before the next flush, and what of it is on its way.
    written: Vec<u8>,
    sending: Vec<u8>,
    sent: usize,
}

impl Enveloped {
    fn new(tcp: TcpStream) -> Self {
        let (header, written, sending) = (Vec::new(), Vec::new(), Vec::new());
        Self { tcp, handshaking: true, header, remaining: 0, written, sending, sent: 0 }
    }

    fn seal(&mut self) {
        let chunks = self.written.len().div_ceil(PACKET - HEADER);
        for (index, chunk) in self.written.chunks(PACKET - HEADER).enumerate() {
            let status = if index + 1 == chunks { END_OF_MESSAGE } else { 0 };
            self.sending.extend(packet(PRELOGIN, status, chunk));
        }
        self.written.clear();
    }
}

impl AsyncRead for Enveloped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.handshaking && this.remaining == 0 {
            let mut space = [0; HEADER];
            let mut part = ReadBuf::new(&mut space[..HEADER - this.header.len()]);
            ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut part))?;
            if part.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.header.extend_from_slice(part.filled());
            if let [kind, _, high, low, _, _, _, _] = this.header[..] {
                let length = usize::from(u16::from_be_bytes([high, low]));
                // Servers answer with either.
                if !matches!(kind, PRELOGIN | RESPONSE) || length < HEADER {
                    let reason = "the server left the handshake";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
                }
                this.remaining = length - HEADER;
                this.header.clear();
            }
        }
        if !this.handshaking {
            return Pin::new(&mut this.tcp).poll_read(cx, buf);
        }
        let limit = this.remaining.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(limit));
        ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        this.remaining -= read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Enveloped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.handshaking {
            return Pin::new(&mut self.tcp).poll_write(cx, buf);
        }
        self.written.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.seal();
        while this.sent < this.sending.len() {
            let sent = ready!(Pin::new(&mut this.tcp).poll_write(cx, &this.sending[this.sent..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.sent += sent;
        }
        this.sending.clear();
        this.sent = 0;
        Pin::new(&mut this.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// One packet that is held back.
#[derive(Default)]
struct Unsent {
    header: Vec<u8>,
    /// Of its payload, once its header is known.
    remaining: Option<usize>,
}

impl Unsent {
    /// How much of what is written belongs to it.
    fn hold_back(&mut self, bytes: &[u8]) -> usize {
        let of_header = bytes.len().min(HEADER - self.header.len());
        self.header.extend_from_slice(&bytes[..of_header]);
        if self.header.len() < HEADER {
            return of_header;
        }
        let length = usize::from(u16::from_be_bytes([self.header[2], self.header[3]]));
        let remaining = self.remaining.get_or_insert(length.saturating_sub(HEADER));
        let of_payload = (bytes.len() - of_header).min(*remaining);
        *remaining -= of_payload;
        of_header + of_payload
    }
}

impl DriverRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let untold = &self.answer[self.told..];
        if !untold.is_empty() {
            let told = untold.len().min(buf.len());
            buf[..told].copy_from_slice(&untold[..told]);
            self.told += told;
            return Poll::Ready(Ok(told));
        }
        let mut buf = ReadBuf::new(buf);
        ready!(match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_read(cx, &mut buf),
            Wire::Encrypted(tls) => Pin::new(tls).poll_read(cx, &mut buf),
        })?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl DriverWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let held = self.unsent.hold_back(buf);
        if held > 0 {
            return Poll::Ready(Ok(held));
        }
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Wire::Encrypted(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Wire::Encrypted(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Wire::Encrypted(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prelogin_says_where_its_options_are() {
        let message = prelogin(ENCRYPT_ON);
        assert_eq!(usize::from(message[3]), message.len());
        assert_eq!(encryption(&message), Some(ENCRYPT_ON));
        assert_eq!(encryption(&prelogin(ENCRYPT_NOT_SUPPORTED)), Some(ENCRYPT_NOT_SUPPORTED));
        assert_eq!(encryption(&packet(RESPONSE, END_OF_MESSAGE, &[LAST_OPTION])), None);
        assert_eq!(encryption(&packet(RESPONSE, END_OF_MESSAGE, &[ENCRYPTION, 0xff, 0xff, 0, 1])), None);
    }

    #[test]
    fn the_drivers_prelogin_is_held_back_and_nothing_after_it() {
        let mut bytes = prelogin(ENCRYPT_NOT_SUPPORTED);
        let whole = bytes.len();
        bytes.extend([7, 7, 7]);
        for step in [1, 3, 8, 20, bytes.len()] {
            let (mut unsent, mut held) = (Unsent::default(), 0);
            while held < whole {
                let end = (held + step).min(bytes.len());
                held += unsent.hold_back(&bytes[held..end]);
            }
            assert_eq!(held, whole, "in steps of {step}");
            assert_eq!(unsent.hold_back(&bytes[held..]), 0);
        }
    }
}
