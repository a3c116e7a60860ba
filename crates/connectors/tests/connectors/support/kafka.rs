//! Brokers for the tests of Kafka: those that librdkafka mocks, a program of its own; TLS and SCRAM before a broker.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rivergen_connectors::{AddressGuard, Blocked};
use rivergen_platform::net::{HttpOptions, Outbound};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::stand_in::{python, script};

/// A running cluster; ends when it is dropped.
pub struct Librdkafka {
    child: Child,
    _input: ChildStdin,
    pub port: u16,
}

impl Librdkafka {
    /// None where it is not installed; see `scripts/install-test-tools.sh`.
    pub fn start() -> Option<Self> {
        let mut child = Command::new(python("kafka")?)
            .arg(script("kafka/cluster.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().parse().expect("the address of a broker");
        Some(Self { _input: child.stdin.take().unwrap(), child, port })
    }

    /// The way to it.
    pub fn guard(&self) -> Corrected {
        Corrected { inner: super::outbound(true), ports: Default::default() }
    }
}

/// A way to the mocked brokers that keeps one rule for them: an unknown version of `ApiVersions` is answered in the form
/// of version 0 (KIP-511), so that whoever asked can read it. They answer in the form of the version that was asked for.
#[derive(Debug)]
pub struct Corrected {
    inner: Arc<Outbound>,
    /// Where each broker's port is corrected.
    ports: tokio::sync::Mutex<HashMap<u16, SocketAddr>>,
}

#[async_trait]
impl AddressGuard for Corrected {
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
        let permitted = self.inner.check(host, port).await?;
        if host != "127.0.0.1" {
            return Ok(permitted);
        }
        let mut ports = self.ports.lock().await;
        if let Some(known) = ports.get(&port) {
            return Ok(vec![*known]);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        ports.insert(port, address);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(correct(client, port));
            }
        });
        Ok(vec![address])
    }

    fn http(&self, options: &HttpOptions) -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
        AddressGuard::http(self.inner.as_ref(), options)
    }
}

async fn correct(mut client: TcpStream, port: u16) -> std::io::Result<()> {
    const KNOWN: i16 = 2;
    let mut broker = TcpStream::connect(("127.0.0.1", port)).await?;
    loop {
        let request = frame(&mut client).await?;
        let word = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let answer = if word(0) == API_VERSIONS && word(2) > KNOWN {
            let versions = [API_VERSIONS, 0, KNOWN].map(i16::to_be_bytes).concat();
            [&request[4..8], &UNSUPPORTED_VERSION.to_be_bytes(), &1_i32.to_be_bytes(), &versions].concat()
        } else {
            send(&mut broker, &request).await?;
            frame(&mut broker).await?
        };
        send(&mut client, &answer).await?;
    }
}

impl Drop for Librdkafka {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// TLS as `localhost` before a port of this machine: where it listens, and the certificate of who signed it.
pub async fn tls_before(port: u16) -> (u16, String) {
    let directory = tempfile::tempdir().unwrap();
    super::mariadb::certificates(directory.path());
    let file = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&file("server.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut client = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (address.port(), String::from_utf8(file("ca.crt")).unwrap())
}

/// Sign-in by SCRAM-SHA-512 before a broker that asks for none: where it listens.
///
/// Written from RFC 5802 and from version 1 of `SaslHandshake` and `SaslAuthenticate` in Kafka's protocol guide.
pub async fn scram_before(port: u16, user: &'static str, password: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let broker = TcpStream::connect(("127.0.0.1", port)).await?;
                SignIn { user, password, client_first: None, server_first: String::new(), done: false }
                    .serve(client, broker)
                    .await
            });
        }
    });
    address.port()
}

const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
const SASL_AUTHENTICATION_FAILED: i16 = 58;
const UNSUPPORTED_VERSION: i16 = 35;
const ITERATIONS: u32 = 4_096;
const SALT: &[u8] = b"a salt of the tests";

struct SignIn {
    user: &'static str,
    password: &'static str,
    client_first: Option<String>,
    server_first: String,
    done: bool,
}

impl SignIn {
    async fn serve(&mut self, mut client: TcpStream, mut broker: TcpStream) -> std::io::Result<()> {
        loop {
            let request = frame(&mut client).await?;
            let word = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
            let key = word(0);
            let id = &request[4..8];
            // The header ends with the client's name.
            let body = &request[10 + usize::try_from(word(8).max(0)).unwrap()..];
            let answer = match key {
                SASL_HANDSHAKE => [id, &[0, 0], &1_i32.to_be_bytes(), &13_i16.to_be_bytes(), b"SCRAM-SHA-512"].concat(),
                SASL_AUTHENTICATE => {
                    let (code, bytes) = self.answer(&body[4..]);
                    let length = i32::try_from(bytes.len()).unwrap().to_be_bytes();
                    // No message before the bytes, no end of the session behind them.
                    [[id, &code.to_be_bytes(), &(-1_i16).to_be_bytes(), &length].concat(), bytes, vec![0; 8]].concat()
                }
                key if self.done || key == API_VERSIONS => {
                    send(&mut broker, &request).await?;
                    frame(&mut broker).await?
                }
                _ => return Err(std::io::ErrorKind::PermissionDenied.into()),
            };
            send(&mut client, &answer).await?;
        }
    }

    fn answer(&mut self, message: &[u8]) -> (i16, Vec<u8>) {
        let message = std::str::from_utf8(message).unwrap();
        let Some(client_first) = &self.client_first else {
            let bare = message.strip_prefix("n,,").unwrap();
            let (name, nonce) = bare.split_once(",r=").unwrap();
            if name != format!("n={}", self.user) {
                return (SASL_AUTHENTICATION_FAILED, Vec::new());
            }
            self.server_first = format!("r={nonce}ours,s={},i={ITERATIONS}", BASE64_STANDARD.encode(SALT));
            self.client_first = Some(bare.to_owned());
            return (0, self.server_first.clone().into_bytes());
        };
        let (without_proof, proof) = message.split_once(",p=").unwrap();
        let signed = format!("{client_first},{},{without_proof}", self.server_first);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), text);
        let mut salted = [0; 64];
        let iterations = std::num::NonZeroU32::new(ITERATIONS).unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, SALT, self.password.as_bytes(), &mut salted);
        let client_key = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA512, client_key.as_ref());
        let signature = sign(stored.as_ref(), signed.as_bytes());
        let expected: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        if BASE64_STANDARD.decode(proof).unwrap() != expected {
            return (SASL_AUTHENTICATION_FAILED, Vec::new());
        }
        self.done = true;
        let ours = sign(sign(&salted, b"Server Key").as_ref(), signed.as_bytes());
        (0, format!("v={}", BASE64_STANDARD.encode(ours)).into_bytes())
    }
}

/// A message with its length before it.
async fn frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    // At once: parts would wait for each other.
    stream.write_all(&[&length, message].concat()).await
}
