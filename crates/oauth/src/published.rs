//! What programs publish at addresses of their own: keys, and documents about themselves. Anybody can name such an address, so
//! it is fetched by the guarded client alone, without redirects, within bounds, and seldom: what came, or why nothing did, is
//! kept for a minute.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::jwk::JwkSet;
use rivergen_kernel::Result;
use rivergen_platform::{Kept, Platform, limits::Rule, net};
use serde_json::Value;
use url::Url;

use crate::assertion;

/// Fetches from one host, whoever asks: nobody turns this server against another one.
const FETCHES_BY_HOST: Rule = Rule::new("oauth_fetches_by_host", 30, Duration::from_secs(60));

/// More than any of them needs, in bytes.
const LARGEST: usize = 32 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// What came, or in a few words why nothing did.
pub type Fetched = std::result::Result<Value, String>;

/// As it came: what is read from it takes a hundred times the room.
type Raw = std::result::Result<Vec<u8>, String>;

/// What this node fetched; cheap to clone.
#[derive(Clone)]
pub struct Published {
    platform: Platform,
    kept: Kept<String, Arc<Raw>>,
}

impl Published {
    pub fn new(platform: Platform) -> Self {
        let kept = Kept::new(platform.db.bus(), 1_000, Duration::from_secs(60), |_, _: &Arc<Raw>| Vec::new());
        Self { platform, kept }
    }

    /// The JSON at an address.
    pub async fn get(&self, address: &str) -> Result<Fetched> {
        let raw = self.kept.get_or_load(address.to_owned(), self.load(address)).await?;
        Ok(match &*raw {
            Ok(bytes) => serde_json::from_slice(bytes).map_err(|_| "it is no JSON".to_owned()),
            Err(reason) => Err(reason.clone()),
        })
    }

    async fn load(&self, address: &str) -> Result<Arc<Raw>> {
        let host = Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        self.platform.limits.check(&FETCHES_BY_HOST, &host)?;
        Ok(Arc::new(fetch(&self.platform, address).await))
    }

    /// The public keys at an address; none where there are none that may be used.
    pub async fn keys(&self, address: &str) -> Result<Option<JwkSet>> {
        let fetched = self.get(address).await?;
        Ok(fetched.ok().and_then(|keys| assertion::check(&keys).ok()))
    }
}

async fn fetch(platform: &Platform, address: &str) -> Raw {
    let http = platform.outbound.http_without_redirects();
    let request = http.get(address).header("accept", "application/json").timeout(PATIENCE);
    let response = request.send().await.map_err(|error| match net::blocked(&error) {
        Some(blocked) => blocked.to_string(),
        None if error.is_timeout() => "it does not answer in time".to_owned(),
        None => "there is no connection to it".to_owned(),
    })?;
    if response.status().as_u16() != 200 {
        return Err(format!("it answers {}", response.status()));
    }
    let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_json(kind) {
        return Err("it is not application/json".to_owned());
    }
    let body = net::read_bounded(response, LARGEST).await.map_err(|error| error.to_string())?;
    Ok(body.to_vec())
}

/// `application/json`, or a kind of it, such as `application/jwk-set+json`.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn json_by_whichever_name() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/jwk-set+json"] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/html", "text/json", "application/javascript", "application/jsonp"] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
