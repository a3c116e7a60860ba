//! Messages to other programs over HTTP, signed as Standard Webhooks 1.0.0 says, so that the receiver knows who sent them and
//! that nothing in them was changed:
//!
//! ```text
//! webhook-id: msg_…           the same for the same message, however often it is sent
//! webhook-timestamp: …        of the attempt, in seconds since 1970
//! webhook-signature: v1,…     base64(HMAC-SHA256(secret, id + "." + timestamp + "." + body))
//! ```
//!
//! Any status of 200 to 299 takes a message; a redirect does not.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use reqwest::header;
use rivergen_kernel::Secret;
use sha2::Sha256;
use url::Url;
use zeroize::Zeroizing;

use crate::net::{blocked, read_bounded};

/// From the first byte sent to the last one answered.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is read of an answer, so that the connection can be used again.
const LONGEST_ANSWER: usize = 64 * 1024;
/// What secrets begin with.
const PREFIX: &str = "whsec_";

/// What messages are signed with.
#[derive(Clone)]
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// The key of a secret as Standard Webhooks writes them: `whsec_` and 24 to 64 bytes in base64.
    pub fn of(secret: &Secret) -> Option<Self> {
        let key = secret.expose().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
        key.filter(|key| (24..=64).contains(&key.len())).map(Self)
    }

    /// A secret that nobody has yet.
    pub fn new_secret(rng: &mut impl Rng) -> Secret {
        let mut bytes = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Secret::new(format!("{PREFIX}{}", STANDARD.encode(bytes.as_slice())))
    }

    fn sign(&self, id: &str, timestamp: &str, body: &str) -> Result<String, String> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|error| error.to_string())?;
        let mac = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body).finalize();
        Ok(format!("v1,{}", STANDARD.encode(mac.into_bytes())))
    }
}

/// Where messages go.
pub struct Webhook {
    http: reqwest::Client,
    url: Url,
    key: Key,
}

/// What is sent at once.
#[derive(Debug)]
pub struct Message {
    /// The same in each attempt.
    pub id: String,
    pub media_type: &'static str,
    pub body: String,
}

impl Webhook {
    /// The client must follow no redirect.
    pub fn new(http: reqwest::Client, url: Url, key: Key) -> Self {
        Self { http, url, key }
    }

    /// One attempt. The error says why the receiver has not taken the message, without its address.
    pub async fn send(&self, message: Message, now: DateTime<Utc>) -> Result<(), String> {
        let timestamp = now.timestamp().to_string();
        let signature = self.key.sign(&message.id, &timestamp, &message.body)?;
        let request = self
            .http
            .post(self.url.clone())
            .timeout(PATIENCE)
            .header(header::CONTENT_TYPE, message.media_type)
            .header("webhook-id", message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(message.body);
        let response = request.send().await.map_err(told)?;
        let status = response.status();
        // What it says is of no use; that it was read keeps the connection.
        let _ = read_bounded(response, LONGEST_ANSWER).await;
        if status.is_success() { Ok(()) } else { Err(format!("the receiver answered {status}")) }
    }
}

/// With the causes and without the address, which may hold a secret.
fn told(error: reqwest::Error) -> String {
    if let Some(blocked) = blocked(&error) {
        return blocked.to_string();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let key = Key::of(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_new_secret_has_a_key() {
        let secrets = [Key::new_secret(&mut rand::rng()), Key::new_secret(&mut rand::rng())];
        assert!(secrets.iter().all(|secret| Key::of(secret).is_some()));
        assert_ne!(secrets[0].expose(), secrets[1].expose());
        assert!(Key::of(&Secret::new("whsec_c2hvcnQ=")).is_none());
    }
}
