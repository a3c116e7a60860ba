//! Sources that speak HTTP: one guarded client for each, and failures in words that are safe to show.
//!
//! TLS is on unless `metadata.sslmode` is `disable`; `metadata.ssl_root_certificate` (PEM) replaces the system's
//! roots. Redirects are not followed: they would carry the credentials elsewhere. What the server says of an error
//! may repeat the request, with its keys and the literals of a row filter: it goes to the log at the level of debugging
//! alone, cut short, and never to the caller.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rivergen_kernel::error::FieldError;
use rivergen_platform::net::{HttpOptions, ReadError, blocked, read_bounded};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{ConnectorError, SourceConfig, SourceContext};

/// Of an error's body, for the log.
const LONGEST_COMPLAINT: usize = 2_000;
/// Of one answer that is held in memory as a whole.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;
/// Further attempts at a server that has too much to do.
const PATIENCE: u32 = 4;
/// A server that asks for more patience is reported.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Whether a request that may have been heard may be sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Harmless,
    Never,
}

/// The HTTP client of one source. Cloning shares its connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpSource {
    client: Client,
    base: Url,
    query_timeout: Duration,
}

impl HttpSource {
    /// For a server at the configuration's host and port.
    pub fn at_host(source: &SourceContext) -> Result<Self, ConnectorError> {
        let base = base_url(&source.config)?;
        Self::at(source, base)
    }

    /// For a server at this address.
    pub fn at(source: &SourceContext, base: Url) -> Result<Self, ConnectorError> {
        let roots = source.config.metadata_text("ssl_root_certificate");
        Self::trusting(source, base, roots.map(str::to_owned))
    }

    /// For the addresses of others that a server at this one hands out: the system's roots vouch for them.
    pub fn beside(source: &SourceContext, base: Url) -> Result<Self, ConnectorError> {
        Self::trusting(source, base, None)
    }

    fn trusting(source: &SourceContext, base: Url, roots: Option<String>) -> Result<Self, ConnectorError> {
        let options = HttpOptions {
            root_certificates: roots,
            connect_timeout: Some(source.config.connect_timeout()),
            read_timeout: Some(source.config.query_timeout()),
        };
        let client = source.guard.http(&options).map_err(|error| ConnectorError::Untrusted { cause: Some(error) })?;
        Ok(Self { client, base, query_timeout: source.config.query_timeout() })
    }

    pub fn base(&self) -> &Url {
        &self.base
    }

    /// A request for a path below the base; the segments are encoded.
    pub fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.request_url(method, url)
    }

    pub fn request_url(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url).timeout(self.query_timeout)
    }

    /// Sends it, whatever the status of the answer.
    pub async fn execute(&self, request: RequestBuilder) -> Result<Response, ConnectorError> {
        request.send().await.map_err(|error| self.classify(error))
    }

    /// Sends it; any status but success is an error.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ConnectorError> {
        let response = self.execute(request).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(self.refused(status, response).await),
        }
    }

    /// Sends it and reads a JSON answer of at most 64 MiB.
    pub async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ConnectorError> {
        let response = self.send(request).await?;
        self.read_json(response).await
    }

    /// As `json`, of a server that is given time where it has too much to do.
    pub async fn json_patiently<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ConnectorError> {
        let response = self.send_patiently(request).await?;
        self.read_json(response).await
    }

    /// Sends what begins something that must not begin twice: unless no connection came about, the server may have heard
    /// it, and the error is then one after which nobody tries again.
    pub async fn execute_once(&self, request: RequestBuilder) -> Result<Response, ConnectorError> {
        request.send().await.map_err(|error| match (error.is_connect(), self.classify(error)) {
            (false, ConnectorError::Unreachable { cause }) => ConnectorError::Interrupted { cause },
            (_, error) => error,
        })
    }

    /// As `send`, of what must not begin twice.
    pub async fn send_once(&self, request: RequestBuilder) -> Result<Response, ConnectorError> {
        let response = self.execute_once(request).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            // Somebody between here and there lost the answer.
            status @ StatusCode::BAD_GATEWAY => {
                Err(ConnectorError::Interrupted { cause: Some(format!("HTTP status {status}").into()) })
            }
            status => Err(self.refused(status, response).await),
        }
    }

    /// Sends it; where the server has too much to do, waits as long as it asks for and tries again, some times.
    pub async fn send_patiently(&self, request: RequestBuilder) -> Result<Response, ConnectorError> {
        self.patiently(request, Again::Harmless).await
    }

    /// As `send_patiently`, of what must not begin twice: a server that has too much to do has not begun it.
    pub async fn send_once_patiently(&self, request: RequestBuilder) -> Result<Response, ConnectorError> {
        self.patiently(request, Again::Never).await
    }

    async fn patiently(&self, mut request: RequestBuilder, again: Again) -> Result<Response, ConnectorError> {
        for attempt in 0..PATIENCE {
            let Some(next) = request.try_clone() else { break };
            let response = match again {
                Again::Harmless => self.execute(request).await?,
                Again::Never => self.execute_once(request).await?,
            };
            request = next;
            match response.status() {
                status if status.is_success() => return Ok(response),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    let wait = asked_wait(&response).unwrap_or(Duration::from_secs(1 << attempt));
                    if wait > LONGEST_WAIT {
                        return Err(self.refused(response.status(), response).await);
                    }
                    tokio::time::sleep(wait).await;
                }
                status if again == Again::Never && status == StatusCode::BAD_GATEWAY => {
                    return Err(ConnectorError::Interrupted { cause: Some(format!("HTTP status {status}").into()) });
                }
                status => return Err(self.refused(status, response).await),
            }
        }
        match again {
            Again::Harmless => self.send(request).await,
            Again::Never => self.send_once(request).await,
        }
    }

    /// Reads an answer of at most 64 MiB.
    pub async fn read(&self, response: Response) -> Result<Bytes, ConnectorError> {
        read_bounded(response, LARGEST_ANSWER).await.map_err(|error| match error {
            ReadError::Http(error) => self.classify(error),
            error => ConnectorError::QueryFailed { cause: Some(error.into()) },
        })
    }

    /// Reads a JSON answer of at most 64 MiB.
    pub async fn read_json<T: DeserializeOwned>(&self, response: Response) -> Result<T, ConnectorError> {
        parsed(&self.read(response).await?)
    }

    /// What a failed request means, without its words.
    pub fn classify(&self, error: reqwest::Error) -> ConnectorError {
        classify(error, self.query_timeout)
    }

    async fn refused(&self, status: StatusCode, response: Response) -> ConnectorError {
        tracing::info!(%status, "a data source refused a request");
        if tracing::enabled!(tracing::Level::DEBUG) {
            let body = read_bounded(response, LARGEST_ANSWER).await.unwrap_or_default();
            let complaint: String = String::from_utf8_lossy(&body).chars().take(LONGEST_COMPLAINT).collect();
            tracing::debug!(%status, complaint, "what the data source said of it");
        }
        let cause = Some(format!("HTTP status {status}").into());
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ConnectorError::AuthenticationFailed { cause },
            StatusCode::NOT_FOUND => ConnectorError::NotFound { what: "what was asked for".into() },
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ConnectorError::Timeout(self.query_timeout),
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                ConnectorError::Unreachable { cause }
            }
            _ => ConnectorError::QueryFailed { cause },
        }
    }
}

/// What a failed request means, without its words.
pub(crate) fn classify(error: reqwest::Error, limit: Duration) -> ConnectorError {
    // The URL may hold a key, and causes are logged.
    let error = error.without_url();
    match blocked(&error) {
        Some(rivergen_platform::net::Blocked::NotFound { .. }) => {
            return ConnectorError::Unreachable { cause: Some(error.into()) };
        }
        Some(_) => return ConnectorError::Blocked,
        None => {}
    }
    // reqwest wraps the handshake's error in those of its connector.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(&error);
    while let Some(inner) = cause {
        if inner.downcast_ref::<rustls::Error>().is_some()
            || inner
                .downcast_ref::<std::io::Error>()
                .and_then(|io| io.get_ref())
                .is_some_and(|io| io.is::<rustls::Error>())
        {
            return ConnectorError::Untrusted { cause: Some(error.into()) };
        }
        cause = inner.source();
    }
    match error {
        error if error.is_timeout() => ConnectorError::Timeout(limit),
        error if error.is_decode() || error.is_body() => ConnectorError::QueryFailed { cause: Some(error.into()) },
        error => ConnectorError::Unreachable { cause: Some(error.into()) },
    }
}

/// What a JSON answer says; one in another form than asked for is none.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ConnectorError> {
    serde_json::from_slice(body).map_err(|error| ConnectorError::QueryFailed { cause: Some(error.into()) })
}

/// What `Retry-After` says, in seconds or as a date (RFC 9110, section 10.2.3).
fn asked_wait(response: &Response) -> Option<Duration> {
    let value = response.headers().get(reqwest::header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?.to_utc();
    Some((date - chrono::Utc::now()).to_std().unwrap_or_default())
}

/// `https://host:port/`, or `http` where TLS is off.
pub(crate) fn base_url(config: &SourceConfig) -> Result<Url, FieldError> {
    let scheme = match config.metadata_text("sslmode") {
        None | Some("verify-full" | "require") => "https",
        Some("disable") => "http",
        Some(_) => return Err(FieldError::new("metadata.sslmode", "must be verify-full or disable")),
    };
    let host = config.host.as_deref().unwrap_or_default();
    let invalid = || FieldError::new("host", "must be a host name or an address, without scheme or path");
    // An IPv6 address stands in brackets.
    let host = if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
    if host.is_empty() || host.contains(['/', '@', '?', '#', '\\']) {
        return Err(invalid());
    }
    let port = config.port.or(config.kind.default_port()).unwrap_or(443);
    Url::parse(&format!("{scheme}://{host}:{port}/")).map_err(|_| invalid())
}

/// For statements, whose answers tell more than their status does.
impl HttpSource {
    pub fn query_timeout(&self) -> Duration {
        self.query_timeout
    }

    /// As `request`, with a query.
    pub fn request_with(&self, method: Method, segments: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.request_url(method, url)
    }

    /// What an answer with another status than success means, without its words.
    pub async fn refusal(&self, response: Response) -> ConnectorError {
        self.refused(response.status(), response).await
    }
}

#[cfg(test)]
mod tests {
    use reqwest::dns::{Name, Resolve, Resolving};
    use rivergen_platform::net::Blocked;

    use super::*;
    use crate::DataSourceType;

    /// Knows no name.
    struct Nowhere;

    impl Resolve for Nowhere {
        fn resolve(&self, name: Name) -> Resolving {
            let unknown = Blocked::NotFound { host: name.as_str().to_owned() };
            Box::pin(async move { Err(unknown.into()) })
        }
    }

    /// All that the log would show of an error.
    fn shown(error: &ConnectorError) -> String {
        let mut shown = format!("{error:?}");
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            shown.push_str(&error.to_string());
            cause = error.source();
        }
        shown
    }

    #[tokio::test]
    async fn a_failed_request_tells_the_log_no_key_of_its_url() {
        let unresolved = Client::builder().dns_resolver(Nowhere).no_proxy().build().unwrap();
        let closed = Client::builder().no_proxy().build().unwrap();
        for (client, url) in [
            (unresolved, "http://api.acme.example/v1?api_key=SECRET"),
            (closed, "http://127.0.0.1:1/v1?api_key=SECRET"),
        ] {
            let error = client.get(url).send().await.unwrap_err();
            assert!(error.to_string().contains("SECRET"), "the client itself would tell it: {error}");
            let error = classify(error, Duration::from_secs(1));
            assert!(matches!(error, ConnectorError::Unreachable { cause: Some(_) }), "{error:?}");
            assert!(!shown(&error).contains("SECRET"), "{}", shown(&error));
        }
    }

    #[test]
    fn a_host_is_a_host_and_nothing_more() {
        let mut config = SourceConfig::new(DataSourceType::Elasticsearch);
        for host in ["", "https://search", "search/x", "a@b", "a b", "search?x"] {
            config.host = Some(host.to_owned());
            assert!(base_url(&config).is_err(), "{host}");
        }
        config.host = Some("::1".to_owned());
        assert_eq!(base_url(&config).unwrap().as_str(), "https://[::1]:9200/");
        config.host = Some("search.acme.example".to_owned());
        config.port = Some(443);
        assert_eq!(base_url(&config).unwrap().as_str(), "https://search.acme.example/");
        config.metadata.insert("sslmode".into(), "disable".into());
        assert_eq!(base_url(&config).unwrap().as_str(), "http://search.acme.example:443/");
    }
}
