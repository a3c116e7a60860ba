//! Receivers of audit streams, on this machine: a webhook that checks what is signed, and syslog over UDP, TCP and TLS.

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, UdpSocket},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::hook::is_signed;

/// A receiver; nobody listens any more when it is dropped.
pub struct Siem {
    pub address: SocketAddr,
    /// What it has got, a line or a message each.
    got: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
    listening: JoinHandle<()>,
}

/// What its webhooks are signed with.
const KEY: &[u8] = b"the secret of the webhooks..";

impl Siem {
    /// A webhook at `http://<address>/audit`. A request that is not signed as it must be is a failure of the test.
    pub fn webhook(listener: TcpListener) -> Self {
        let (got, refuses) = (Arc::default(), Arc::default());
        let state = Webhook { got: Arc::clone(&got), refuses: Arc::clone(&refuses) };
        let router = Router::new().route("/audit", post(take)).with_state(state);
        let address = listener.local_addr().unwrap();
        let listening = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, got, refuses, listening }
    }

    pub async fn udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        Self::listen(address, async move |got| {
            let mut buffer = vec![0; 65_536];
            loop {
                let length = socket.recv(&mut buffer).await.unwrap();
                got.lock().unwrap().push(String::from_utf8(buffer[..length].to_vec()).unwrap());
            }
        })
    }

    pub async fn tcp() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::listen(address, async move |got| {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                read_frames(connection, &got).await;
            }
        })
    }

    /// With a certificate for 127.0.0.1, made in the folder; that of who vouches for it is `ca.pem` there.
    pub async fn tls(folder: &Path) -> Self {
        let config = certified(folder);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::listen(address, async move |got| {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                // A client that does not trust the certificate goes away again.
                if let Ok(connection) = TlsAcceptor::from(config.clone()).accept(connection).await {
                    read_frames(connection, &got).await;
                }
            }
        })
    }

    fn listen<F>(address: SocketAddr, take: impl FnOnce(Arc<Mutex<Vec<String>>>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let got = Arc::default();
        let listening = tokio::spawn(take(Arc::clone(&got)));
        Self { address, got, refuses: Arc::default(), listening }
    }

    /// The settings of a stream to its webhook; `more` are lines for the same section.
    pub fn webhook_settings(address: SocketAddr, more: &str) -> String {
        let secret = STANDARD.encode(KEY);
        format!(
            "[[audit.streams]]\nname = \"siem\"\nkind = \"webhook\"\nurl = \"http://{address}/audit\"\n\
             secret = \"whsec_{secret}\"\n{more}\n"
        )
    }

    /// Those of a stream to its syslog.
    pub fn syslog_settings(&self, transport: &str, more: &str) -> String {
        format!(
            "[[audit.streams]]\nname = \"siem\"\nkind = \"syslog\"\naddress = \"{}\"\ntransport = \"{transport}\"\n{more}\n",
            self.address
        )
    }

    /// What has arrived.
    pub fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }

    /// Whether the webhook answers 503 from now on, to records that it has read.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }
}

impl Drop for Siem {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[derive(Clone)]
struct Webhook {
    got: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
}

async fn take(State(webhook): State<Webhook>, headers: HeaderMap, body: String) -> StatusCode {
    if !is_signed(KEY, &headers, &body) {
        webhook.got.lock().unwrap().push(format!("not signed: {headers:?}"));
        return StatusCode::UNAUTHORIZED;
    }
    if webhook.refuses.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    webhook.got.lock().unwrap().extend(body.lines().map(str::to_owned));
    StatusCode::ACCEPTED
}

/// Octet counting: each message with its length and a space before it.
async fn read_frames(mut connection: impl AsyncRead + Unpin, got: &Mutex<Vec<String>>) {
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).await.unwrap();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&rest[..end]).unwrap().parse().unwrap();
        let (frame, next) = rest[end + 1..].split_at(length);
        got.lock().unwrap().push(String::from_utf8(frame.to_vec()).unwrap());
        rest = next;
    }
}

fn certified(folder: &Path) -> Arc<ServerConfig> {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(
        "req -new -x509 -days 2 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=ca -keyout ca.key -out ca.pem",
    );
    openssl(
        "req -new -x509 -days 2 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=siem -keyout siem.key \
         -out siem.pem -CA ca.pem -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE",
    );
    let chain = CertificateDer::pem_file_iter(folder.join("siem.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("siem.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}
