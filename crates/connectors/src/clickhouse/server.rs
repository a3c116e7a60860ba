//! Statements over HTTP: their settings, their results, their end.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use reqwest::header::HeaderValue;
use reqwest::{Method, Response};
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use serde_json::Value;
use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use url::Url;

use super::arrow::Decoder;
use super::catalog;
use crate::dial::percent_decoded;
use crate::http::{HttpSource, base_url};
use crate::pushdown::{Batches, Catalogued, Dialect, RemoteDatabase, Wanted, delivered};
use crate::statements::Statements;
use crate::{ConnectorError, Credentials, DiscoveredSchema, SourceConfig, SourceContext, background, retry};

/// What our SQL means hangs on these, and so does that no answer is cut short in silence.
const MEANING: &[(&str, &str)] = &[
    ("join_use_nulls", "1"),
    ("join_default_strictness", "ALL"),
    ("count_distinct_implementation", "uniqExact"),
    ("extremes", "0"),
    ("transform_null_in", "0"),
    ("group_by_use_nulls", "0"),
    ("prefer_column_name_to_alias", "1"),
    ("aggregate_functions_null_for_empty", "0"),
    ("empty_result_for_aggregation_by_empty_set", "0"),
    ("limit", "0"),
    ("offset", "0"),
    ("read_overflow_mode", "throw"),
    ("result_overflow_mode", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("sort_overflow_mode", "throw"),
    ("set_overflow_mode", "throw"),
    ("join_overflow_mode", "throw"),
    ("distinct_overflow_mode", "throw"),
    ("timeout_overflow_mode", "throw"),
    ("read_overflow_mode_leaf", "throw"),
    ("transfer_overflow_mode", "throw"),
    ("skip_unavailable_shards", "0"),
    ("cancel_http_readonly_queries_on_client_close", "1"),
    ("output_format_arrow_string_as_string", "1"),
    ("output_format_arrow_low_cardinality_as_dictionary", "0"),
    ("output_format_arrow_compression_method", "none"),
    ("output_format_json_quote_64bit_integers", "1"),
];

/// Where the server is and how to sign in.
#[derive(Clone)]
pub(super) struct Settings {
    base: Url,
    database: String,
    user: String,
    password: Option<Secret>,
}

impl Settings {
    /// Reads the fields or the connection string.
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let string = credentials.connection_string.as_ref().filter(|string| !string.is_empty());
        let Some(string) = string else {
            return Ok(Self {
                base: base_url(config)?,
                database: config.database_name.clone().unwrap_or_default(),
                user: credentials.username.clone().unwrap_or_default(),
                password: credentials.password.clone(),
            });
        };
        let wrong = |reason: &str| FieldError::new("connection_string", reason);
        let shape = || wrong("must be https://user:password@host:port/database");
        let url = Url::parse(string.expose()).map_err(|_| shape())?;
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(shape()),
        };
        let mut config = config.clone();
        config.host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned());
        config.port = url.port().or(Some(if plain { 8123 } else { 8443 }));
        let mode = if plain { "disable" } else { "verify-full" };
        config.metadata.insert("sslmode".to_owned(), mode.into());
        let decoded = |text: &str| {
            let text = percent_decoded(text).ok_or_else(|| wrong("contains text that is not UTF-8"))?;
            (!text.is_empty()).then_some(text).ok_or_else(shape)
        };
        Ok(Self {
            base: base_url(&config).map_err(|error| wrong(&error.reason))?,
            database: decoded(url.path().trim_start_matches('/'))?,
            user: decoded(url.username())?,
            password: url.password().map(|password| decoded(password).map(Secret::new)).transpose()?,
        })
    }
}

/// One database of a server. Cloning shares all.
#[derive(Clone)]
pub(super) struct Server(Arc<Inner>);

struct Inner {
    identity: String,
    settings: Settings,
    http: HttpSource,
    seconds: u64,
    statements: Statements,
    /// Whether the user may write, so that each statement has to forbid it.
    writes: OnceCell<bool>,
}

impl Server {
    pub fn new(source: &SourceContext) -> Result<Self, ConnectorError> {
        let settings = Settings::read(&source.config, &source.credentials)?;
        let http = HttpSource::at(source, settings.base.clone())?;
        let statements = Statements::of(&source.config);
        let identity = source.identity.clone();
        let seconds = source.config.query_timeout().as_secs().max(1);
        Ok(Self(Arc::new(Inner { identity, settings, http, seconds, statements, writes: OnceCell::new() })))
    }

    pub fn database(&self) -> &str {
        &self.0.settings.database
    }

    /// All rows of a small result.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Value>>, ConnectorError> {
        let (response, running) = self.start(sql, "JSONCompactEachRow").await?;
        let body = self.0.http.read(response).await?;
        running.finish();
        let rows = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice);
        rows.collect::<Result<_, _>>().map_err(|error| ConnectorError::QueryFailed { cause: Some(error.into()) })
    }

    async fn start(&self, sql: &str, format: &'static str) -> Result<(Response, Running), ConnectorError> {
        // The name of a statement is ours: it can be killed before the server has said a word.
        retry::reaching(self.0.statements.retries, || self.begin(sql.to_owned(), format)).await
    }

    async fn begin(&self, sql: String, format: &str) -> Result<(Response, Running), ConnectorError> {
        let writes = self.0.writes.get_or_try_init(|| self.may_write()).await?;
        let permit = self.0.statements.turn().await?;
        let id = format!("rivergen-{}", hex::encode(rand::random::<[u8; 16]>()));
        let mut parameters = vec![("query_id", id.clone()), ("default_format", format.to_owned())];
        parameters.push(("database", self.database().to_owned()));
        parameters.push(("max_execution_time", self.0.seconds.to_string()));
        parameters.extend(MEANING.iter().map(|(name, value)| (*name, (*value).to_owned())));
        if *writes {
            // Reading and settings for the statement alone.
            parameters.push(("readonly", "2".to_owned()));
        }
        let running = Running { server: self.clone(), id: Some(id), _permit: permit };
        let response = self.send(sql, &parameters).await?;
        Ok((response, running))
    }

    async fn may_write(&self) -> Result<bool, ConnectorError> {
        let parameters = [("default_format", "TabSeparated".to_owned()), ("database", self.database().to_owned())];
        let response = self.send("SELECT toString(getSetting('readonly'))".to_owned(), &parameters).await?;
        let body = self.0.http.read(response).await?;
        match body.trim_ascii() {
            b"0" => Ok(true),
            b"2" => Ok(false),
            _ => Err(ConnectorError::Unsupported(
                "the user's profile has readonly = 1, under which no statement may bring its settings; give it \
                 readonly = 2, which forbids writing as well"
                    .to_owned(),
            )),
        }
    }

    async fn send(&self, sql: String, parameters: &[(&str, String)]) -> Result<Response, ConnectorError> {
        let settings = &self.0.settings;
        let mut url = settings.base.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        let header = |text: &str| HeaderValue::from_bytes(text.as_bytes()).map_err(ConnectorError::internal);
        let mut request = self.0.http.request_url(Method::POST, url).body(sql);
        request = request.header("X-ClickHouse-User", header(&settings.user)?);
        if let Some(password) = &settings.password {
            let mut password = header(password.expose())?;
            password.set_sensitive(true);
            request = request.header("X-ClickHouse-Key", password);
        }
        let response = self.0.http.execute(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.headers().get("X-ClickHouse-Exception-Code").and_then(|code| code.to_str().ok());
        let code = code.and_then(|code| code.parse::<u32>().ok());
        let error = self.0.http.refusal(response).await;
        Err(self.classify(code, error))
    }

    /// What the server's code means, where it tells more than the HTTP status.
    fn classify(&self, code: Option<u32>, error: ConnectorError) -> ConnectorError {
        let cause = || code.map(|code| format!("ClickHouse's error {code}").into());
        match code {
            // An unknown database, a user or a password that it does not know.
            Some(81 | 192..=194 | 516) => ConnectorError::AuthenticationFailed { cause: cause() },
            // A column, a table, a right to it.
            Some(47 | 60 | 497) => ConnectorError::no_such_name(),
            // Time is up; somebody else ended it.
            Some(159 | 394) => ConnectorError::Timeout(self.0.http.query_timeout()),
            // Too many statements at once.
            Some(202) => ConnectorError::Unreachable { cause: cause() },
            Some(_) => ConnectorError::QueryFailed { cause: cause() },
            None => error,
        }
    }
}

#[async_trait]
impl Catalogued for Server {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let rows = self.rows("SELECT version()").await?;
        let version = rows.first().and_then(|row| row.first()?.as_str());
        Ok(version.map(|version| format!("ClickHouse {version}")))
    }

    fn only_schema(&self) -> Option<&str> {
        Some(self.database())
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let tables = catalog::read(self, wanted.table).await?;
        Ok(vec![DiscoveredSchema { name: self.database().to_owned(), tables }])
    }
}

/// A statement at work. Unless it is finished, its drop kills it at the server.
struct Running {
    server: Server,
    id: Option<String>,
    _permit: OwnedSemaphorePermit,
}

impl Running {
    fn finish(mut self) {
        self.id = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let server = self.server.clone();
        background::spawn(async move {
            let kill = format!("KILL QUERY WHERE query_id = '{id}' ASYNC");
            if server.send(kill, &[]).await.is_err() {
                tracing::debug!("a ClickHouse statement could not be killed and ends by its timeout");
            }
        });
    }
}

impl RemoteDatabase for Server {
    fn identity(&self) -> &str {
        &self.0.identity
    }

    fn dialect(&self) -> Dialect {
        Dialect::Clickhouse
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let (server, columns) = (self.clone(), schema.clone());
        delivered(schema, |batches| async move { deliver(&server, &sql, columns, &batches).await })
    }
}

async fn deliver(server: &Server, sql: &str, schema: SchemaRef, batches: &Batches) -> Result<(), ConnectorError> {
    let (response, running) = server.start(sql, "ArrowStream").await?;
    let mut decoder = Decoder::new(schema);
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| server.0.http.classify(error))?;
        for batch in decoder.decode(chunk)? {
            batches.send(batch).await?;
        }
    }
    decoder.finish()?;
    running.finish();
    Ok(())
}
