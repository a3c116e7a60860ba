//! The face that every connector has.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use object_store::ObjectStore;
use rivergen_kernel::error::FieldError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use url::Url;

use crate::{AddressGuard, ConnectorError, Credentials, DataSourceCategory, DataSourceType, SourceConfig, Step};

/// All that a connector needs to know of one source.
#[derive(Debug, Clone)]
pub struct SourceContext {
    /// Names the source and its version of the configuration, unlike any other's: two sources with one identity
    /// would be joined inside the first one's database.
    pub identity: String,
    pub config: SourceConfig,
    pub credentials: Credentials,
    /// The organization's files, for kinds that have a `file_path`.
    pub files: Arc<dyn ObjectStore>,
    pub guard: Arc<dyn AddressGuard>,
    /// A directory of this process alone, for plain copies of sealed files.
    pub cache_dir: PathBuf,
}

/// What a connector can leave to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Abilities {
    pub filters: bool,
    pub projections: bool,
    pub limits: bool,
    pub sorting: bool,
    pub aggregates: bool,
    /// Joins of tables of the one source.
    pub joins: bool,
}

impl Abilities {
    /// What an SQL database can.
    pub const ALL: Self =
        Self { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true };

    /// What narrows a scan, and nothing that is computed of it.
    pub const SCANS: Self =
        Self { filters: true, projections: true, limits: true, sorting: false, aggregates: false, joins: false };
}

/// A kind of source that this build can read.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    fn kind(&self) -> DataSourceType;

    fn category(&self) -> DataSourceCategory {
        self.kind().category()
    }

    fn abilities(&self) -> Abilities;

    /// JSON Schema of the configuration, for forms; secrets are marked `writeOnly`.
    fn form(&self) -> Value;

    /// Checks the configuration without any connection. Empty means valid.
    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError>;

    /// Makes the source ready: a pool, a readable file. Keep the answer; dropping it closes the source.
    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError>;

    /// Opens the source and asks it for its version. A failure is an outcome.
    async fn test(&self, source: &SourceContext) -> TestOutcome {
        let start = Instant::now();
        let limit = source.config.connect_timeout();
        let attempt = async { self.open(source).await?.probe().await };
        let result = match tokio::time::timeout(limit, attempt).await {
            Ok(result) => result,
            Err(_) => Err(ConnectorError::Timeout(limit)),
        };
        // A server that speaks no TLS hangs up on who does, or says nothing at all.
        let silent = matches!(result, Err(ConnectorError::Unreachable { .. } | ConnectorError::Timeout(_)));
        let mut outcome = TestOutcome::new(start.elapsed(), result);
        if silent && encrypts_unasked(&self.form(), source) {
            outcome.error_message.iter_mut().for_each(|message| message.push_str(TLS_UNASKED));
        }
        outcome
    }
}

const TLS_UNASKED: &str = "; TLS is used: if the server does not support it, set metadata.sslmode to disable";

/// Whether TLS is spoken to the source though nobody said so.
fn encrypts_unasked(form: &Value, source: &SourceContext) -> bool {
    let usual = form.pointer("/properties/metadata/properties/sslmode/default").and_then(Value::as_str);
    let said = source.config.metadata_text("sslmode").is_some()
        || source.credentials.connection_string.as_ref().is_some_and(|string| !string.is_empty());
    !said && usual.is_some_and(|usual| usual != "disable")
}

/// How far a discovery is: of how many tables is known what is in them.
#[derive(Debug, Default)]
pub struct Progress {
    found: AtomicU64,
    looked_at: AtomicU64,
}

impl Progress {
    /// So many tables are there to be looked at.
    pub(crate) fn found(&self, tables: usize) {
        self.found.store(tables as u64, Ordering::Relaxed);
    }

    /// One more was looked at.
    pub(crate) fn look(&self) {
        self.looked_at.fetch_add(1, Ordering::Relaxed);
    }

    /// Tables that were looked at, of all; `None` where it is not known how many there are.
    pub fn tables(&self) -> Option<(u64, u64)> {
        let found = self.found.load(Ordering::Relaxed);
        (found > 0).then(|| (self.looked_at.load(Ordering::Relaxed).min(found), found))
    }
}

/// A source that is ready to be read. Cheap to ask again, safe to share, closed when dropped.
#[async_trait]
pub trait OpenedSource: fmt::Debug + Send + Sync {
    /// Reads something small from the source; answers its version where it has one.
    async fn probe(&self) -> Result<Option<String>, ConnectorError>;

    /// The schemas, tables and columns, of one schema or of all.
    async fn discover(&self, schema: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError>;

    /// The same for somebody who watches how far it is. A source that answers for all tables at once has nothing to tell
    /// before it is done.
    async fn discover_watched(
        &self,
        schema: Option<&str>,
        _progress: &Progress,
    ) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        self.discover(schema).await
    }

    /// A table to scan. `known` is what an earlier discovery found; with it no question is asked of the source.
    async fn open_table(
        &self,
        schema: &str,
        table: &str,
        known: Option<&DiscoveredTable>,
    ) -> Result<Arc<dyn TableProvider>, ConnectorError>;

    /// Whether the source is still the one that was opened (a file may have been replaced).
    async fn is_current(&self) -> bool {
        true
    }

    /// The object stores that its tables read from, by URL. The tables register them by themselves in the
    /// runtime of the session that scans them, so nobody has to; the authority of the URL is made with a
    /// secret of this process, so that no SQL can name it, and the store behind it holds the one file.
    fn object_stores(&self) -> Vec<(Url, Arc<dyn ObjectStore>)> {
        Vec::new()
    }
}

/// How a test of a connection went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestOutcome {
    pub successful: bool,
    pub response_time_ms: u64,
    pub version: Option<String>,
    pub error_code: Option<&'static str>,
    /// Never what the network said.
    pub error_message: Option<String>,
    /// How far it came, where that may be told.
    pub failed_at: Option<Step>,
}

impl TestOutcome {
    /// Of an attempt that took so long.
    pub fn new(took: Duration, result: Result<Option<String>, ConnectorError>) -> Self {
        let response_time_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(version) => Self {
                successful: true,
                response_time_ms,
                version,
                error_code: None,
                error_message: None,
                failed_at: None,
            },
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::info!(error = cause, "a data source failed its test");
                Self {
                    successful: false,
                    response_time_ms,
                    version: None,
                    error_code: Some(error.code().as_str()),
                    error_message: Some(error.to_string()),
                    failed_at: error.step(),
                }
            }
        }
    }
}

/// A schema of a source, as discovered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiscoveredSchema {
    pub name: String,
    pub tables: Vec<DiscoveredTable>,
}

/// What a table is in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    Table,
    View,
}

/// A table of a source, as discovered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiscoveredTable {
    pub name: String,
    pub kind: TableKind,
    pub columns: Vec<DiscoveredColumn>,
    /// Exact for files and SQLite, an estimate for servers, absent where nobody knows.
    pub row_count: Option<u64>,
    #[serde(default)]
    pub comment: Option<String>,
}

/// A column of a table, as discovered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiscoveredColumn {
    pub name: String,
    /// The type as the source writes it.
    pub source_type: String,
    /// The type that a scan delivers.
    #[serde(serialize_with = "write_type", deserialize_with = "read_type")]
    pub arrow_type: DataType,
    /// From 1.
    pub position: u32,
    pub nullable: bool,
    pub primary_key: bool,
    pub foreign_key: Option<ForeignKey>,
    pub default_value: Option<String>,
    pub comment: Option<String>,
    /// How the connector reads the column; only its own to interpret.
    #[serde(default)]
    pub reading: Option<Value>,
}

/// What a foreign key points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub schema: String,
    pub table: String,
    pub column: String,
}

fn write_type<S: Serializer>(data_type: &DataType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(data_type)
}

fn read_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataType, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
