//! Delivery by HTTP, signed as Standard Webhooks 1.0.0 says, so that the receiver knows who sent it and that nothing in it
//! was changed:
//!
//! ```text
//! webhook-id: msg_…           the same for the same records, however often they are sent
//! webhook-timestamp: …        of the attempt, in seconds since 1970
//! webhook-signature: v1,…     base64(HMAC-SHA256(secret, id + "." + timestamp + "." + body))
//! ```
//!
//! The body has a line for each record. Any status of 200 to 299 takes them; a redirect does not.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header;
use sha2::{Digest, Sha256};
use url::Url;
use zeroize::Zeroizing;

use super::format::Format;
use crate::{
    audit::log,
    net::{blocked, read_bounded},
};

/// From the first byte sent to the last one answered.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is read of an answer, so that the connection can be used again.
const LONGEST_ANSWER: usize = 64 * 1024;

pub(super) struct Webhook {
    http: reqwest::Client,
    url: Url,
    key: Zeroizing<Vec<u8>>,
}

impl Webhook {
    /// The client must follow no redirect.
    pub fn new(http: reqwest::Client, url: Url, key: Zeroizing<Vec<u8>>) -> Self {
        Self { http, url, key }
    }

    pub async fn send(&self, rows: &[log::Model], format: Format, now: DateTime<Utc>) -> Result<(), String> {
        let body: String = rows.iter().map(|row| format.event(row) + "\n").collect();
        let (id, timestamp) = (id(rows), now.timestamp().to_string());
        let signature = sign(&self.key, &id, &timestamp, &body)?;
        let request = self
            .http
            .post(self.url.clone())
            .timeout(PATIENCE)
            .header(header::CONTENT_TYPE, format.media_type())
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        let response = request.send().await.map_err(told)?;
        let status = response.status();
        // What it says is of no use; that it was read keeps the connection.
        let _ = read_bounded(response, LONGEST_ANSWER).await;
        if status.is_success() { Ok(()) } else { Err(format!("the receiver answered {status}")) }
    }
}

/// Made of the records, so that a second attempt is known for one.
fn id(rows: &[log::Model]) -> String {
    let mut sha = Sha256::new();
    for row in rows {
        sha.update(&row.hash);
    }
    format!("msg_{}", hex::encode(&sha.finalize()[..16]))
}

fn sign(key: &[u8], id: &str, timestamp: &str, body: &str) -> Result<String, String> {
    let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
    let mac = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body).finalize();
    Ok(format!("v1,{}", STANDARD.encode(mac.into_bytes())))
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
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
