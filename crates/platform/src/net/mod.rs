//! The one guarded way out: every address that a user can name (a source's host, a model's endpoint, a
//! webhook) is resolved and checked here before anything connects to it.
//!
//! Without a guard, "connect to `http://169.254.169.254/`" makes the server read its own cloud
//! credentials for whoever asks (server-side request forgery). The [`AddressPolicy`] decides on
//! *addresses*, never on names, and what was checked is what is connected to, so a name that resolves
//! differently the second time gains nothing.
//!
//! - [`Outbound::http`] is a `reqwest` client that cannot be talked around: names go through the guarded
//!   resolver, literal addresses and redirects through the same check.
//! - [`Outbound::http_with`] makes such a client for one destination: its certificates, its timeouts.
//! - [`Outbound::resolve`] is for everything else (database drivers): connect to the addresses that it
//!   returns, not to the name.
//! - [`Outbound::texts`] asks the name servers that the operator chose what a domain says of itself.

mod policy;
mod txt;

use std::{
    error::Error as StdError,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::{dns, redirect};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

pub use policy::{AddressPolicy, Refusal};
pub use txt::NoAnswer;

/// Redirects that are followed; each is checked.
const MAX_REDIRECTS: usize = 5;

/// What the configuration says: `[outbound]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundConfig {
    pub policy: AddressPolicy,
    /// A proxy for HTTP. It resolves names itself, so the policy is then the proxy's to keep; only literal
    /// addresses are still checked here. The environment's proxy variables are not read.
    pub proxy: Option<Url>,
    pub connect_timeout_seconds: u64,
    /// Longest silence while a response is read.
    pub read_timeout_seconds: u64,
    /// The name servers that are asked for TXT records, each with its port; empty: those of the system.
    pub dns_servers: Vec<SocketAddr>,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            policy: AddressPolicy::default(),
            proxy: None,
            connect_timeout_seconds: 10,
            read_timeout_seconds: 60,
            dns_servers: Vec::new(),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Blocked {
    #[error("{host} is at {address}, {refusal}")]
    Address { host: String, address: IpAddr, refusal: Refusal },
    #[error("the address of {host} could not be found")]
    NotFound { host: String },
    #[error("only http and https addresses with a host are allowed")]
    NotHttp,
    #[error("the server redirected more than {MAX_REDIRECTS} times")]
    TooManyRedirects,
    #[error("the server redirected from https to http")]
    Downgrade,
}

/// What one destination wants otherwise than the shared clients have it.
#[derive(Debug, Clone, Default)]
pub struct HttpOptions {
    /// PEM; instead of the system's roots.
    pub root_certificates: Option<String>,
    pub connect_timeout: Option<Duration>,
    /// Longest silence while a response is read.
    pub read_timeout: Option<Duration>,
}

/// Makes connections under the policy; cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    config: Arc<OutboundConfig>,
    policy: Arc<AddressPolicy>,
    /// How long a name may take to resolve.
    patience: Duration,
    http: reqwest::Client,
    http_without_redirects: reqwest::Client,
    name_servers: Arc<txt::NameServers>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Outbound {
    pub fn new(config: &OutboundConfig) -> Result<Self, reqwest::Error> {
        let policy = Arc::new(config.policy.clone());
        let http = client(config, &policy, redirects(policy.clone())).build()?;
        let http_without_redirects = client(config, &policy, redirect::Policy::none()).build()?;
        let patience = Duration::from_secs(config.connect_timeout_seconds);
        let name_servers = Arc::new(txt::NameServers::new(&config.dns_servers));
        let config = Arc::new(config.clone());
        Ok(Self { config, policy, patience, http, http_without_redirects, name_servers })
    }

    /// The client for all HTTP that goes out.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The same for requests that carry a secret in their body, which no redirect may take elsewhere.
    pub fn http_without_redirects(&self) -> &reqwest::Client {
        &self.http_without_redirects
    }

    /// A guarded client of one destination's own, without redirects. Keep it: it holds connections.
    pub fn http_with(&self, options: &HttpOptions) -> Result<reqwest::Client, reqwest::Error> {
        let mut builder = client(&self.config, &self.policy, redirect::Policy::none());
        if let Some(pem) = &options.root_certificates {
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?);
        }
        if let Some(limit) = options.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        if let Some(limit) = options.read_timeout {
            builder = builder.read_timeout(limit);
        }
        builder.build()
    }

    /// The allowed addresses of a host. Connect to these and not to the name, which may resolve to others
    /// the next time.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
        let late = |_| Blocked::NotFound { host: host.to_owned() };
        tokio::time::timeout(self.patience, resolve(&self.policy, host, port)).await.map_err(late)?
    }

    /// The texts of the TXT records at a name, aliases followed; empty where there is none. Not kept from one call to the
    /// next.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, NoAnswer> {
        self.name_servers.texts(name).await
    }

    /// Says early that an address would be refused, for forms that take one. A name is not resolved.
    pub fn check_url(&self, url: &Url) -> Result<(), Blocked> {
        check_url(&self.policy, url)
    }

    pub fn policy(&self) -> &AddressPolicy {
        &self.policy
    }
}

/// What the policy said, where that is why a request failed.
pub fn blocked(error: &reqwest::Error) -> Option<&Blocked> {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(blocked) = error.downcast_ref::<Blocked>() {
            return Some(blocked);
        }
        cause = error.source();
    }
    None
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the response is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

/// Reads a body of at most `limit` bytes; what the server announces is not believed.
pub async fn read_bounded(response: reqwest::Response, limit: usize) -> Result<Bytes, ReadError> {
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > limit {
            return Err(ReadError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn client(config: &OutboundConfig, policy: &Arc<AddressPolicy>, redirects: redirect::Policy) -> reqwest::ClientBuilder {
    let proxy_host = config.proxy.as_ref().and_then(|url| url.host_str()).map(str::to_owned);
    let resolver = Resolver { policy: policy.clone(), exempt: proxy_host };
    reqwest::Client::builder()
        .user_agent(concat!("rivergen/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(config.connect_timeout_seconds))
        .read_timeout(Duration::from_secs(config.read_timeout_seconds))
        .referer(false)
        .redirect(redirects)
        .dns_resolver(resolver)
        .proxy(literal_guard(policy.clone(), config.proxy.clone()))
}

/// Where a request to a refused literal address is sent instead: a name that the resolver refuses.
/// (`.invalid` never exists, RFC 6761.)
const REFUSED_LITERAL: &str = "refused-address.invalid";

/// Connectors do not resolve a literal address, so the resolver would never see it. But each connection
/// asks first whether it goes through a proxy, with the address in hand: that is where literals are
/// checked. A refused one is led to a name under `.invalid`, for which the resolver gives the reason.
fn literal_guard(policy: Arc<AddressPolicy>, proxy: Option<Url>) -> reqwest::Proxy {
    reqwest::Proxy::custom(move |url| match check_url(&policy, url) {
        Ok(()) => proxy.clone(),
        Err(Blocked::Address { address, .. }) => {
            Url::parse(&format!("http://{}.{REFUSED_LITERAL}:1", label(address))).ok()
        }
        Err(_) => Url::parse(&format!("http://{REFUSED_LITERAL}:1")).ok(),
    })
}

/// An address as one label of a name, and back.
fn label(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("{:08x}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:032x}", v6.to_bits()),
    }
}

fn from_label(label: &str) -> Option<IpAddr> {
    match label.len() {
        8 => u32::from_str_radix(label, 16).ok().map(|bits| IpAddr::from(bits.to_be_bytes())),
        32 => u128::from_str_radix(label, 16).ok().map(|bits| IpAddr::from(bits.to_be_bytes())),
        _ => None,
    }
}

fn redirects(policy: Arc<AddressPolicy>) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error(Blocked::TooManyRedirects);
        }
        let from_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if from_https && attempt.url().scheme() != "https" {
            return attempt.error(Blocked::Downgrade);
        }
        match check_url(&policy, attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(blocked) => attempt.error(blocked),
        }
    })
}

/// Checks the scheme, and the host where it is a literal address, in whatever spelling: the URL parser
/// has turned `0x7f.1` and `2130706433` into 127.0.0.1 already.
fn check_url(policy: &AddressPolicy, url: &Url) -> Result<(), Blocked> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Blocked::NotHttp);
    }
    match url.host() {
        Some(Host::Domain(_)) => Ok(()),
        Some(Host::Ipv4(v4)) => check(policy, &v4.to_string(), v4.into()),
        Some(Host::Ipv6(v6)) => check(policy, &v6.to_string(), v6.into()),
        None => Err(Blocked::NotHttp),
    }
}

fn check(policy: &AddressPolicy, host: &str, address: IpAddr) -> Result<(), Blocked> {
    policy.check(address).map_err(|refusal| Blocked::Address { host: host.to_owned(), address, refusal })
}

/// Finds the addresses of a host and keeps the allowed ones; refuses where none is.
async fn resolve(policy: &AddressPolicy, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
    let not_found = || Blocked::NotFound { host: host.to_owned() };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found: Vec<_> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((bare, port)).await.map_err(|_| not_found())?.collect(),
    };
    let mut refused = None;
    let mut allowed = Vec::with_capacity(found.len());
    for address in found {
        match check(policy, host, address.ip()) {
            Ok(()) => allowed.push(address),
            Err(blocked) => refused = Some(blocked),
        }
    }
    if allowed.is_empty() { Err(refused.unwrap_or_else(not_found)) } else { Ok(allowed) }
}

/// The resolver of the HTTP client.
struct Resolver {
    policy: Arc<AddressPolicy>,
    /// The configured proxy's own name, which the operator chose.
    exempt: Option<String>,
}

impl dns::Resolve for Resolver {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let policy = self.policy.clone();
        let exempt = self.exempt.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let host = name.as_str();
            if let Some(rest) = host.strip_suffix(REFUSED_LITERAL) {
                let address = from_label(rest.trim_end_matches('.')).ok_or(Blocked::NotHttp)?;
                check(&policy, &address.to_string(), address)?;
                return Err(Blocked::NotFound { host: host.to_owned() }.into());
            }
            // Port 0: the connector puts the real one there.
            let addresses = if exempt {
                tokio::net::lookup_host((host, 0)).await?.collect()
            } else {
                resolve(&policy, host, 0).await?
            };
            Ok(Box::new(addresses.into_iter()) as dns::Addrs)
        })
    }
}
