//! Where the nodes are, how to sign in, and the driver's session.
//!
//! The cluster tells the driver of its other nodes by address, and the driver goes there: each address passes the guard
//! first, where the driver lets addresses be translated. TLS is checked against the address, and because nodes mostly
//! have certificates of names, against the host that was entered.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::cluster::metadata::Keyspace;
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, CustomTranslationError, DbError,
    ExecutionError, MetadataError, NewSessionError, NextPageError, NextRowError, PrepareError, RequestAttemptError,
    RequestError, TranslationError,
};
use scylla::policies::address_translator::{AddressTranslator, UntranslatedPeer};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::value::Row;

use super::statement::Statement;
use crate::dial::{is_host, root_certificate, wants_tls};
use crate::tls::roots;
use crate::{AddressGuard, Blocked, ConnectorError, Credentials, SourceConfig, SourceContext, retry};

/// Rows of the first page, which tells how wide they are, and by how much a page may outgrow the one before.
const FIRST_PAGE: i32 = 10;
const GROWTH: i32 = 10;
/// What a page is to hold.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// What a page may hold. Of one that came with more nothing is read: it is asked for again with fewer rows.
const LARGEST_PAGE: usize = 64 * 1024 * 1024;

/// What of a configuration a keyspace needs, checked.
#[derive(Debug)]
pub(super) struct Settings {
    host: String,
    port: u16,
    keyspace: String,
    sign_in: Option<(String, Secret)>,
    datacenter: Option<String>,
    tls: bool,
    root_certificate: Option<String>,
    connections: NonZeroUsize,
    connect_timeout: Duration,
    query_timeout: Duration,
    max_retries: u32,
}

impl Settings {
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let host = config.host.clone().unwrap_or_default();
        if !is_host(&host) {
            return Err(FieldError::new("host", "must name one node, by name or address"));
        }
        let keyspace = config.database_name.clone().unwrap_or_default();
        let named = keyspace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // CQL's own bound.
        if keyspace.is_empty() || keyspace.len() > 48 || !named {
            return Err(FieldError::new("database_name", "must be the name of a keyspace"));
        }
        let user = credentials.username.clone().filter(|user| !user.is_empty());
        let password = credentials.password.clone().filter(|password| !password.is_empty());
        let sign_in = match (user, password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) => return Err(FieldError::new("credentials.password", "is required to sign in")),
            (None, Some(_)) => return Err(FieldError::new("credentials.username", "is required to sign in")),
        };
        Ok(Self {
            host,
            port: config.port.or(config.kind.default_port()).unwrap_or_default(),
            keyspace,
            sign_in,
            datacenter: config.metadata_text("datacenter").map(str::to_owned),
            tls: wants_tls(config)?,
            root_certificate: root_certificate(config)?.map(str::to_owned),
            connections: NonZeroUsize::new(config.connection_pool_size.clamp(1, 100) as usize)
                .unwrap_or(NonZeroUsize::MIN),
            connect_timeout: config.connect_timeout(),
            query_timeout: config.query_timeout(),
            max_retries: config.max_retries,
        })
    }
}

/// One cluster, and the keyspace of it that is read.
pub(super) struct Cluster {
    session: Session,
    settings: Settings,
}

impl Cluster {
    pub async fn open(source: &SourceContext, settings: Settings) -> Result<Self, ConnectorError> {
        let limit = settings.connect_timeout;
        let session = retry::reaching(settings.max_retries, || async {
            let connecting = connect(source.guard.clone(), &settings);
            tokio::time::timeout(limit, connecting).await.map_err(|_| ConnectorError::Timeout(limit))?
        });
        Ok(Self { session: session.await?, settings })
    }

    pub fn name(&self) -> &str {
        &self.settings.keyspace
    }

    /// What the driver knows of the keyspace; `None` where it is not there.
    pub fn keyspace<T>(&self, look: impl FnOnce(&Keyspace) -> T) -> Option<T> {
        self.session.get_cluster_state().get_keyspace(self.name()).map(look)
    }

    /// Asks the cluster what tables there are now.
    pub async fn refresh(&self) -> Result<(), ConnectorError> {
        let limit = self.settings.query_timeout;
        match tokio::time::timeout(limit, self.session.refresh_metadata()).await {
            Ok(refreshed) => refreshed.map_err(|error| self.failed(of_metadata(&error), error)),
            Err(_) => Err(ConnectorError::Timeout(limit)),
        }
    }

    /// The rows that a statement answers, at most so many a page: a few at first, and then as many as a page of rows like
    /// these holds. The driver takes a page into memory as a whole, however wide its rows are, so one whose rows are
    /// suddenly wider is dropped before it is decoded and asked for again in smaller ones; a row that alone is larger
    /// than [`LARGEST_PAGE`] is an error.
    pub async fn pages(
        self: &Arc<Self>,
        statement: Statement,
        most: i32,
    ) -> Result<BoxStream<'static, Result<Vec<Row>, ConnectorError>>, ConnectorError> {
        let limit = self.settings.query_timeout;
        let Statement { text, values } = statement;
        let prepared = self.session.prepare(text);
        let prepared = tokio::time::timeout(limit, prepared).await.map_err(|_| ConnectorError::Timeout(limit))?;
        let prepared = prepared.map_err(|error| self.failed(of_prepare(&error), error))?;
        let (cluster, values) = (self.clone(), Arc::new(values));
        let first = Some((PagingState::start(), FIRST_PAGE.min(most)));
        Ok(stream::try_unfold(first, move |place| {
            let (cluster, mut prepared, values) = (cluster.clone(), prepared.clone(), values.clone());
            async move {
                let Some((state, size)) = place else { return Ok(None) };
                let unread = |cause: String| ConnectorError::QueryFailed { cause: Some(cause.into()) };
                let mut size = size.max(1);
                let (result, next, bytes) = loop {
                    prepared.set_page_size(size);
                    // Each page is asked for within the time of the profile.
                    let page = cluster.session.execute_single_page(&prepared, &*values, state.clone()).await;
                    let (result, next) = page.map_err(|error| cluster.failed(of_execution(&error), error))?;
                    let result = result.into_rows_result().map_err(|_| unread("an answer without rows".to_owned()))?;
                    let bytes = result.rows_bytes_size();
                    if bytes <= LARGEST_PAGE {
                        break (result, next, bytes);
                    }
                    size = size_instead(size, result.rows_num(), bytes)?;
                };
                let rows = result.rows::<Row>().map_err(|error| unread(error.to_string()))?;
                let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| unread(error.to_string()))?;
                let next = match next {
                    PagingStateResponse::HasMorePages { state } => {
                        Some((state, size_after(size, rows.len(), bytes).min(most)))
                    }
                    PagingStateResponse::NoMorePages => None,
                };
                Ok::<_, ConnectorError>(Some((rows, next)))
            }
        })
        .boxed())
    }

    fn failed(&self, meaning: Meaning, error: impl Into<crate::error::Cause>) -> ConnectorError {
        meaning.of(&self.settings, error)
    }
}

/// How many rows to ask for after a page of so many: as many as are small enough together, if they are like those.
fn size_after(size: i32, rows: usize, bytes: usize) -> i32 {
    let each = (bytes / rows.max(1)).max(1);
    i32::try_from(PAGE_BYTES / each).unwrap_or(i32::MAX).clamp(1, size.max(1).saturating_mul(GROWTH))
}

/// How many rows to ask for instead of a page that was too large: always fewer.
fn size_instead(size: i32, rows: usize, bytes: usize) -> Result<i32, ConnectorError> {
    if size <= 1 || rows <= 1 {
        return Err(ConnectorError::Unsupported(format!(
            "a row of the table is larger than {} MiB, more than is read at once; leave its largest columns out",
            LARGEST_PAGE / (1024 * 1024)
        )));
    }
    Ok(size_after(size, rows, bytes).min(size / 2).max(1))
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("settings", &self.settings).finish_non_exhaustive()
    }
}

async fn connect(guard: Arc<dyn AddressGuard>, settings: &Settings) -> Result<Session, ConnectorError> {
    let addresses = guard.check(&settings.host, settings.port).await?;
    let profile = ExecutionProfile::builder().request_timeout(Some(settings.query_timeout)).build();
    let mut builder = SessionBuilder::new()
        .known_nodes_addr(addresses)
        .address_translator(Arc::new(Guarded(guard)))
        // Another port of the same address would pass by the guard.
        .disallow_shard_aware_port(true)
        .connection_timeout(settings.connect_timeout)
        .pool_size(PoolSize::PerHost(settings.connections))
        .default_execution_profile_handle(profile.into_handle())
        .keyspaces_to_fetch([settings.keyspace.as_str()])
        .auto_await_schema_agreement(false)
        .driver_config_reporting(false);
    if let Some((user, password)) = &settings.sign_in {
        builder = builder.user(user, password.expose());
    }
    if let Some(datacenter) = &settings.datacenter {
        builder = builder.prefer_datacenter(datacenter.clone());
    }
    if settings.tls {
        builder = builder.tls_context(Some(encryption(settings)?));
    }
    builder.build().await.map_err(|error| of_session(&error).of(settings, error))
}

/// Lets the driver go where the guard lets it.
struct Guarded(Arc<dyn AddressGuard>);

#[async_trait]
impl AddressTranslator for Guarded {
    async fn translate_address(&self, peer: &UntranslatedPeer) -> Result<SocketAddr, TranslationError> {
        let address = peer.untranslated_address();
        let permitted = self.0.check(&address.ip().to_string(), address.port()).await;
        let permitted = permitted.map_err(|blocked| TranslationError::Custom(CustomTranslationError::new(blocked)))?;
        permitted.into_iter().next().ok_or(TranslationError::NoRuleForAddress(address))
    }
}

fn encryption(settings: &Settings) -> Result<Arc<ClientConfig>, ConnectorError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = Arc::new(roots(settings.root_certificate.as_deref())?);
    let chain = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
    let chain = chain.build().map_err(ConnectorError::internal)?;
    let host = ServerName::try_from(settings.host.clone()).map_err(ConnectorError::internal)?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(ConnectorError::internal)?.dangerous();
    Ok(Arc::new(builder.with_custom_certificate_verifier(Arc::new(Node { chain, host })).with_no_client_auth()))
}

/// Checks that a node's certificate is of its address, or of the host that was entered: the driver knows addresses alone.
#[derive(Debug)]
struct Node {
    chain: Arc<WebPkiServerVerifier>,
    host: ServerName<'static>,
}

impl ServerCertVerifier for Node {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let of_host = self.chain.verify_server_cert(end_entity, intermediates, &self.host, ocsp, now);
        of_host.or_else(|_| self.chain.verify_server_cert(end_entity, intermediates, address, ocsp, now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// What a failure means, without the nodes' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Unreachable,
    Blocked,
    Untrusted,
    SignIn,
    NotFound,
    Timeout,
    Failed,
}

impl Meaning {
    fn of(self, settings: &Settings, error: impl Into<crate::error::Cause>) -> ConnectorError {
        let cause = Some(error.into());
        match self {
            Self::Unreachable => ConnectorError::Unreachable { cause },
            Self::Blocked => ConnectorError::Blocked,
            Self::Untrusted => ConnectorError::Untrusted { cause },
            Self::SignIn => ConnectorError::AuthenticationFailed { cause },
            Self::NotFound => {
                ConnectorError::NotFound { what: format!("what was asked of keyspace {}", settings.keyspace) }
            }
            Self::Timeout => ConnectorError::Timeout(settings.query_timeout),
            Self::Failed => ConnectorError::QueryFailed { cause },
        }
    }
}

fn of_session(error: &NewSessionError) -> Meaning {
    match error {
        NewSessionError::MetadataError(error) => of_metadata(error),
        _ => Meaning::Unreachable,
    }
}

fn of_metadata(error: &MetadataError) -> Meaning {
    match error {
        MetadataError::ConnectionPoolError(error) => of_pool(error),
        MetadataError::FetchError(error) => match &error.error {
            scylla::errors::MetadataFetchErrorKind::PrepareError(error) => of_attempt(error),
            scylla::errors::MetadataFetchErrorKind::NextRowError(error) => of_row(error),
            _ => Meaning::Failed,
        },
        _ => Meaning::Failed,
    }
}

fn of_execution(error: &ExecutionError) -> Meaning {
    match error {
        ExecutionError::PrepareError(error) => of_prepare(error),
        ExecutionError::ConnectionPoolError(error) => of_pool(error),
        ExecutionError::LastAttemptError(error) => of_attempt(error),
        ExecutionError::RequestTimeout(_) => Meaning::Timeout,
        ExecutionError::EmptyPlan => Meaning::Unreachable,
        _ => Meaning::Failed,
    }
}

fn of_row(error: &NextRowError) -> Meaning {
    match error {
        NextRowError::NextPageError(error) => of_page(error),
        _ => Meaning::Failed,
    }
}

fn of_page(error: &NextPageError) -> Meaning {
    match error {
        NextPageError::RequestFailure(RequestError::ConnectionPoolError(error)) => of_pool(error),
        NextPageError::RequestFailure(RequestError::LastAttemptError(error)) => of_attempt(error),
        NextPageError::RequestFailure(RequestError::RequestTimeout(_)) => Meaning::Timeout,
        NextPageError::RequestFailure(RequestError::EmptyPlan) => Meaning::Unreachable,
        _ => Meaning::Failed,
    }
}

fn of_prepare(error: &PrepareError) -> Meaning {
    match error {
        PrepareError::ConnectionPoolError(error) => of_pool(error),
        PrepareError::AllAttemptsFailed { first_attempt } => of_attempt(first_attempt),
        _ => Meaning::Failed,
    }
}

fn of_attempt(error: &RequestAttemptError) -> Meaning {
    match error {
        RequestAttemptError::DbError(error, _) => of_database(error),
        RequestAttemptError::BrokenConnectionError(_) => Meaning::Unreachable,
        _ => Meaning::Failed,
    }
}

fn of_database(error: &DbError) -> Meaning {
    match error {
        DbError::AuthenticationError => Meaning::SignIn,
        // "unconfigured table" is told as an invalid query.
        DbError::Unauthorized | DbError::Invalid => Meaning::NotFound,
        DbError::ReadTimeout { .. } => Meaning::Timeout,
        DbError::Unavailable { .. } | DbError::Overloaded | DbError::IsBootstrapping => Meaning::Unreachable,
        _ => Meaning::Failed,
    }
}

fn of_pool(error: &ConnectionPoolError) -> Meaning {
    match error {
        ConnectionPoolError::Broken { last_connection_error } => of_connection(last_connection_error),
        _ => Meaning::Unreachable,
    }
}

fn of_connection(error: &ConnectionError) -> Meaning {
    match error {
        ConnectionError::TranslationError(TranslationError::Custom(error))
            if matches!(error.downcast_ref::<Blocked>(), Some(Blocked::NotPermitted)) =>
        {
            Meaning::Blocked
        }
        ConnectionError::IoError(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            Meaning::Untrusted
        }
        ConnectionError::ConnectionSetupRequestError(error) => match error.get_error() {
            ConnectionSetupRequestErrorKind::DbError(error, _) => of_database(error),
            ConnectionSetupRequestErrorKind::MissingAuthentication
            | ConnectionSetupRequestErrorKind::StartAuthSessionError(_)
            | ConnectionSetupRequestErrorKind::AuthChallengeEvaluationError(_)
            | ConnectionSetupRequestErrorKind::AuthFinishError(_) => Meaning::SignIn,
            _ => Meaning::Unreachable,
        },
        _ => Meaning::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_as_large_as_their_rows_allow() {
        let mebibyte = 1024 * 1024;
        assert_eq!(size_after(10, 10, 10 * 100), 100, "narrow rows: more, but not all at once");
        assert_eq!(size_after(100, 100, 100 * 1024), 1_000);
        assert_eq!(size_after(10, 10, 10 * mebibyte), 8, "wide rows: fewer");
        assert_eq!(size_after(10, 3, 300 * mebibyte), 1, "one at a time, where it has to be");
        assert_eq!(size_after(10, 0, 0), 100, "a page may be empty");
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_again_with_fewer_rows() {
        let mebibyte = 1024 * 1024;
        assert_eq!(size_instead(1_000, 1_000, 1_000 * mebibyte).unwrap(), 8);
        assert_eq!(size_instead(10, 10, 1_000 * mebibyte).unwrap(), 1);
        assert_eq!(size_instead(3, 2, 65 * mebibyte).unwrap(), 1);
        // Fewer each time, so that it ends.
        let mut size = 1_000;
        while let Ok(fewer) = size_instead(size, 1_000, LARGEST_PAGE + 1) {
            assert!(fewer < size);
            size = fewer;
        }
        assert_eq!(size, 1);
        let told = size_instead(1, 1, 65 * mebibyte).unwrap_err().to_string();
        assert_eq!(
            told,
            "a row of the table is larger than 64 MiB, more than is read at once; leave its largest columns out"
        );
        assert!(size_instead(10, 1, 65 * mebibyte).is_err(), "one row came, and no fewer can");
    }
}
