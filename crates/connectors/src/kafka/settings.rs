//! Where the brokers are, how to sign in, and the client of it.

use std::time::Duration;

use krafka::auth::{AuthConfig, TlsConfig};
use krafka::error::ErrorCode;
use krafka::{KrafkaError, ProxyConfig};
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use url::Url;

use super::avro::AvroSchema;
use crate::dial::{is_host, root_certificate, wants_tls};
use crate::messages::Window;
use crate::relay::Relay;
use crate::{ConnectorError, Credentials, SourceConfig};

pub(super) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
/// Kafka's own bound.
const LONGEST_TOPIC: usize = 249;
/// One answer of a broker, and how many a connection waits for at once: together the most that one holds.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;
const ANSWERS_AT_ONCE: usize = 2;

/// What of a configuration a topic needs, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub topic: String,
    pub window: Window,
    pub registry: Option<Registry>,
    pub avro_schema: Option<AvroSchema>,
    pub connect_timeout: Duration,
    pub query_timeout: Duration,
    pub max_retries: u32,
    broker: String,
    sign_in: Option<SignIn>,
    tls: bool,
    root_certificate: Option<String>,
}

/// A schema registry.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    pub url: Url,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

#[derive(Debug)]
struct SignIn {
    mechanism: &'static str,
    user: String,
    password: Secret,
}

impl Settings {
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let host = config.host.as_deref().unwrap_or_default();
        if !is_host(host) {
            return Err(FieldError::new("host", "must name one broker, by name or address"));
        }
        let port = config.port.or(config.kind.default_port()).unwrap_or_default();
        let host = if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
        let topic = config.metadata_text("topic").unwrap_or_default();
        let named = topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if !named || topic.is_empty() || topic.len() > LONGEST_TOPIC || matches!(topic, "." | "..") {
            return Err(FieldError::new("metadata.topic", "must be the name of a topic"));
        }
        Ok(Self {
            topic: topic.to_owned(),
            window: Window::read(config)?,
            registry: Registry::read(config, credentials)?,
            avro_schema: config
                .metadata_text("avro_schema")
                .map(|schema| AvroSchema::parse(&[schema.to_owned()]))
                .transpose()
                .map_err(|reason| FieldError::new("metadata.avro_schema", reason))?,
            connect_timeout: config.connect_timeout(),
            query_timeout: config.query_timeout(),
            max_retries: config.max_retries,
            broker: format!("{host}:{port}"),
            sign_in: SignIn::read(config, credentials)?,
            tls: wants_tls(config)?,
            root_certificate: root_certificate(config)?.map(str::to_owned),
        })
    }

    /// Connects to the cluster, through the relay alone.
    pub async fn connect(&self, relay: &Relay) -> Result<krafka::Kafka, KrafkaError> {
        let tls = self.tls.then(|| match &self.root_certificate {
            Some(pem) => TlsConfig::new().with_ca_cert_pem(pem.as_bytes()),
            None => TlsConfig::new().with_native_roots(),
        });
        let security = match &self.sign_in {
            None => tls.map_or_else(AuthConfig::plaintext, AuthConfig::ssl),
            Some(SignIn { mechanism, user, password }) => {
                let password = password.expose();
                let security = match *mechanism {
                    "SCRAM-SHA-256" => AuthConfig::sasl_scram_sha256(user, password),
                    "SCRAM-SHA-512" => AuthConfig::sasl_scram_sha512(user, password),
                    _ => AuthConfig::sasl_plain(user, password),
                };
                tls.into_iter().fold(security, AuthConfig::with_tls)
            }
        };
        let proxy = ProxyConfig::with_credentials(relay.address().to_string(), Relay::USER, relay.password());
        krafka::Kafka::builder(&self.broker)
            .client_id("rivergen")
            .security(security)
            .proxy(proxy)
            .connect_timeout(self.connect_timeout)
            .request_timeout(self.query_timeout.max(self.connect_timeout))
            .max_response_size(LARGEST_ANSWER)
            .max_in_flight_requests(ANSWERS_AT_ONCE)
            .connect()
            .await
    }

    /// What a failure means, without the brokers' words.
    pub fn classify(&self, error: KrafkaError, relay: &Relay) -> ConnectorError {
        let topic = || ConnectorError::NotFound { what: format!("topic {}", self.topic) };
        let refused = relay.refused();
        match error {
            KrafkaError::Network(_) | KrafkaError::Timeout { .. } if let Some(refused) = refused => refused.into(),
            KrafkaError::Auth { .. } if is_of_tls(&error) => ConnectorError::Untrusted { cause: Some(error.into()) },
            KrafkaError::Auth { .. }
            | KrafkaError::Broker {
                code: ErrorCode::SaslAuthenticationFailed | ErrorCode::ClusterAuthorizationFailed,
                ..
            } => ConnectorError::AuthenticationFailed { cause: Some(error.into()) },
            KrafkaError::UnknownTopic { .. }
            | KrafkaError::Broker {
                code: ErrorCode::UnknownTopicOrPartition | ErrorCode::TopicAuthorizationFailed,
                ..
            } => topic(),
            KrafkaError::Network(_) | KrafkaError::Closed { .. } => {
                ConnectorError::Unreachable { cause: Some(error.into()) }
            }
            KrafkaError::Timeout { .. } => ConnectorError::Timeout(self.query_timeout),
            error => ConnectorError::QueryFailed { cause: Some(error.into()) },
        }
    }
}

impl SignIn {
    fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Option<Self>, FieldError> {
        let wrong = |field: &str, reason: &str| Err(FieldError::new(field, reason));
        let given = config.metadata_text("sasl_mechanism");
        let Some(mechanism) = MECHANISMS.into_iter().find(|known| *known == given.unwrap_or(MECHANISMS[0])) else {
            return wrong("metadata.sasl_mechanism", &format!("must be one of {}", MECHANISMS.join(", ")));
        };
        let user = credentials.username.clone().filter(|user| !user.is_empty());
        let password = credentials.password.clone().filter(|password| !password.is_empty());
        match (user, password) {
            (None, None) if given.is_none() => Ok(None),
            (None, _) => wrong("credentials.username", "is required to sign in"),
            (_, None) => wrong("credentials.password", "is required to sign in"),
            (Some(user), Some(password)) => Ok(Some(Self { mechanism, user, password })),
        }
    }
}

impl Registry {
    fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Option<Self>, FieldError> {
        let user = config.metadata_text("schema_registry_user").map(str::to_owned);
        let Some(address) = config.metadata_text("schema_registry") else {
            return match user {
                None => Ok(None),
                Some(_) => Err(FieldError::new("metadata.schema_registry", "is required for its user")),
            };
        };
        let plain = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        let url = Url::parse(address).ok().filter(plain).ok_or_else(|| {
            FieldError::new("metadata.schema_registry", "must be an http or https address without user and query")
        })?;
        Ok(Some(Self { url, user, password: credentials.api_key.clone() }))
    }
}

/// Whether TLS is what failed.
fn is_of_tls(error: &KrafkaError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}
