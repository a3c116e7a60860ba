//! A receiver of webhooks on this machine, which keeps what it gets.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::{net::TcpListener, task::JoinHandle};

/// Nobody listens any more when it is dropped.
pub struct Hook {
    pub url: String,
    state: Arc<Kept>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    got: Mutex<Vec<Call>>,
    refuses: AtomicBool,
}

/// What has come.
#[derive(Debug, Clone)]
pub struct Call {
    pub headers: HeaderMap,
    pub body: String,
}

impl Hook {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let state = Arc::new(Kept::default());
        let router = Router::new().route("/hook", post(take)).with_state(state.clone());
        let listening = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, listening }
    }

    /// What has come so far, also what was refused.
    pub fn got(&self) -> Vec<Call> {
        self.state.got.lock().unwrap().clone()
    }

    /// Whether it answers 503 from now on.
    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn take(State(kept): State<Arc<Kept>>, headers: HeaderMap, body: String) -> StatusCode {
    kept.got.lock().unwrap().push(Call { headers, body });
    if kept.refuses.load(Ordering::SeqCst) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::ACCEPTED }
}

impl Call {
    /// Whether it is signed with the secret, which is `whsec_` and a key in base64.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        is_signed(&key, &self.headers, &self.body)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

/// As Standard Webhooks say it.
pub(crate) fn is_signed(key: &[u8], headers: &HeaderMap, body: &str) -> bool {
    let header = |name: &str| headers[name].to_str().unwrap();
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(signed);
    mac.verify_slice(&STANDARD.decode(signature).unwrap()).is_ok()
}
