//! Statements: sent, waited for, read chunk by chunk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use reqwest::{Method, RequestBuilder};
use rivergen_kernel::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use super::catalog;
use crate::http::HttpSource;
use crate::pushdown::{Binary, Catalogued, Dialect, Moments, Notation, RemoteDatabase, Wanted};
use crate::statements::{self, Pages, Rows, Statements, Waits};
use crate::{ConnectorError, DiscoveredSchema, SourceContext, background};

const NOTATION: Notation = Notation { binary: Binary::Base64, moments: Moments::Microseconds };
const STATEMENTS: [&str; 4] = ["api", "2.0", "sql", "statements"];

/// One catalogue behind one warehouse. Cloning shares all.
#[derive(Clone)]
pub(super) struct Warehouse(Arc<Inner>);

struct Inner {
    identity: String,
    http: HttpSource,
    /// For results that lie in a store of the cloud's.
    store: HttpSource,
    id: String,
    token: Secret,
    catalog: OnceLock<String>,
    schema: Option<String>,
    statements: Statements,
}

#[derive(Deserialize)]
struct Answer {
    statement_id: String,
    status: Status,
    manifest: Option<Manifest>,
    result: Option<Chunk>,
}

impl Answer {
    fn is_done(&self) -> bool {
        !matches!(self.status.state, State::Pending | State::Running)
    }
}

#[derive(Deserialize)]
struct Status {
    state: State,
    error: Option<Failure>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    Pending,
    Running,
    Succeeded,
    Failed,
    Canceled,
    Closed,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    truncated: bool,
}

/// A part of a result: its rows, or where they lie.
#[derive(Deserialize)]
struct Chunk {
    data_array: Option<Rows>,
    next_chunk_index: Option<u64>,
    #[serde(default)]
    external_links: Vec<Link>,
}

/// An address that is signed for a quarter of an hour.
#[derive(Deserialize)]
struct Link {
    external_link: Url,
    next_chunk_index: Option<u64>,
    http_headers: Option<BTreeMap<String, String>>,
}

/// Where a result is delivered.
#[derive(Debug, Clone, Copy)]
enum Disposition {
    /// In the answers, of which there may be 25 MiB.
    Inline,
    /// In the cloud's store, of any size.
    ExternalLinks,
}

impl Warehouse {
    pub fn new(source: &SourceContext) -> Result<Self, ConnectorError> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let http = HttpSource::at_host(source)?;
        Ok(Self(Arc::new(Inner {
            identity: source.identity.clone(),
            store: HttpSource::beside(source, http.base().clone())?,
            http,
            id: source.credentials.warehouse.clone().unwrap_or_default(),
            token: source.credentials.api_key.clone().unwrap_or_else(|| Secret::new("")),
            catalog: filled(&source.config.database_name).map(OnceLock::from).unwrap_or_default(),
            schema: filled(&source.config.schema_name),
            statements: Statements::of(&source.config),
        })))
    }

    /// The catalogue that was named, or the warehouse's default.
    pub async fn catalog(&self) -> Result<&str, ConnectorError> {
        if let Some(catalog) = self.0.catalog.get() {
            return Ok(catalog);
        }
        let name =
            statements::text(Statement::start(self, "SELECT current_catalog()", Disposition::Inline).await?).await?;
        let name = name.ok_or_else(|| ConnectorError::internal("the warehouse named no catalogue"))?;
        Ok(self.0.catalog.get_or_init(|| name))
    }

    /// All rows of a small result.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ConnectorError> {
        statements::texts(Statement::start(self, sql, Disposition::Inline).await?).await
    }

    /// What lies behind a link. The link is all that the store asks for: the warehouse's token is none of its business.
    async fn fetch(&self, link: Link) -> Result<Rows, ConnectorError> {
        let Inner { http, store, .. } = &*self.0;
        if link.external_link.scheme() != "https" && http.base().scheme() == "https" {
            return Err(ConnectorError::QueryFailed { cause: Some("a result lies behind a link without TLS".into()) });
        }
        let mut request = store.request_url(Method::GET, link.external_link);
        for (name, value) in link.http_headers.iter().flatten() {
            request = request.header(name, value);
        }
        store.json_patiently(request).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let path: Vec<&str> = STATEMENTS.into_iter().chain(path.iter().copied()).collect();
        self.0.http.request(method, &path).bearer_auth(self.0.token.expose())
    }
}

/// A statement at work. Its drop cancels it where it is not done.
struct Statement {
    warehouse: Warehouse,
    id: String,
    done: bool,
    /// Of the chunk that came last.
    rows: Option<Rows>,
    links: VecDeque<Link>,
    /// The number of the chunk after that.
    next: Option<u64>,
    _turn: OwnedSemaphorePermit,
}

impl Statement {
    /// Once it is done.
    async fn start(warehouse: &Warehouse, sql: &str, disposition: Disposition) -> Result<Self, ConnectorError> {
        let limit = warehouse.0.http.query_timeout();
        let mut waits = Waits::within(limit);
        let begin = |turn| Self::begin(warehouse.clone(), sql.to_owned(), disposition, turn);
        let (mut statement, mut answer) = warehouse.0.statements.begin(begin).await?;
        loop {
            statement.done = answer.is_done();
            match answer.status.state {
                State::Succeeded if answer.manifest.as_ref().is_some_and(|manifest| manifest.truncated) => {
                    return Err(ConnectorError::QueryFailed { cause: Some("the result was cut short".into()) });
                }
                State::Succeeded => {
                    answer.result.into_iter().for_each(|chunk| statement.take(chunk));
                    return Ok(statement);
                }
                State::Pending | State::Running => waits.next().await?,
                State::Canceled => return Err(ConnectorError::Timeout(limit)),
                State::Failed | State::Closed => {
                    return Err(classify(&answer.status.error.map(|failure| failure.message).unwrap_or_default()));
                }
            }
            answer = warehouse.0.http.json_patiently(warehouse.request(Method::GET, &[&statement.id])).await?;
        }
    }

    async fn begin(
        warehouse: Warehouse,
        sql: String,
        disposition: Disposition,
        turn: OwnedSemaphorePermit,
    ) -> Result<(Self, Answer), ConnectorError> {
        let inner = &warehouse.0;
        let disposition = match disposition {
            Disposition::Inline => "INLINE",
            Disposition::ExternalLinks => "EXTERNAL_LINKS",
        };
        let request = warehouse.request(Method::POST, &[]).json(&json!({
            "warehouse_id": inner.id,
            "statement": sql,
            "catalog": inner.catalog.get(),
            "wait_timeout": "10s",
            "on_wait_timeout": "CONTINUE",
            "disposition": disposition,
            "format": "JSON_ARRAY",
        }));
        // Nothing tells the warehouse that a second attempt is one at the same statement.
        let response = inner.http.send_once_patiently(request).await?;
        let answer: Answer = inner.http.read_json(response).await?;
        let (id, done) = (answer.statement_id.clone(), answer.is_done());
        let statement = Self { warehouse, id, done, rows: None, links: VecDeque::new(), next: None, _turn: turn };
        Ok((statement, answer))
    }

    fn take(&mut self, chunk: Chunk) {
        self.next = chunk.external_links.last().map_or(chunk.next_chunk_index, |link| link.next_chunk_index);
        self.rows = chunk.data_array;
        self.links = chunk.external_links.into();
    }
}

impl Pages for Statement {
    async fn next(&mut self) -> Result<Option<Rows>, ConnectorError> {
        loop {
            if let Some(rows) = self.rows.take() {
                return Ok(Some(rows));
            }
            // Links are asked for when their rows are wanted, so that none is too old.
            if let Some(link) = self.links.pop_front() {
                return self.warehouse.fetch(link).await.map(Some);
            }
            let Some(index) = self.next.take() else { return Ok(None) };
            let number = index.to_string();
            let path = [self.id.as_str(), "result", "chunks", number.as_str()];
            let chunk = self.warehouse.0.http.json_patiently(self.warehouse.request(Method::GET, &path)).await?;
            self.take(chunk);
            if self.next.is_some_and(|next| next <= index) {
                return Err(ConnectorError::QueryFailed {
                    cause: Some("the chunks of the result go in circles".into()),
                });
            }
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let (warehouse, id) = (self.warehouse.clone(), std::mem::take(&mut self.id));
        background::spawn(async move {
            if warehouse.0.http.send(warehouse.request(Method::POST, &[&id, "cancel"])).await.is_err() {
                tracing::debug!("a Databricks statement could not be cancelled");
            }
        });
    }
}

/// What the warehouse's error means, without its words. The class of the error stands in brackets.
fn classify(message: &str) -> ConnectorError {
    let class = message.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(class, _)| class);
    tracing::info!(class, "Databricks refused a statement");
    // Its words may hold parts of the statement.
    tracing::debug!(message, "what Databricks said of it");
    match class.split('.').next().unwrap_or_default() {
        "TABLE_OR_VIEW_NOT_FOUND" | "SCHEMA_NOT_FOUND" | "UNRESOLVED_COLUMN" | "INSUFFICIENT_PERMISSIONS" => {
            ConnectorError::no_such_name()
        }
        "NO_SUCH_CATALOG_EXCEPTION" | "CATALOG_NOT_FOUND" => {
            ConnectorError::AuthenticationFailed { cause: Some(class.into()) }
        }
        class => ConnectorError::QueryFailed { cause: Some(class.into()) },
    }
}

impl RemoteDatabase for Warehouse {
    fn identity(&self) -> &str {
        &self.0.identity
    }

    fn dialect(&self) -> Dialect {
        Dialect::Databricks
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let warehouse = self.clone();
        statements::query(schema, NOTATION, async move {
            Statement::start(&warehouse, &sql, Disposition::ExternalLinks).await
        })
    }
}

#[async_trait]
impl Catalogued for Warehouse {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let version = Statement::start(self, "SELECT current_version().dbsql_version", Disposition::Inline).await?;
        let version = statements::text(version).await?;
        Ok(Some(version.map_or_else(|| "Databricks SQL".to_owned(), |version| format!("Databricks SQL {version}"))))
    }

    fn only_schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        catalog::read(self, wanted).await
    }

    fn container(&self) -> Option<&str> {
        // Where none was named, the statement runs in the default one.
        self.0.catalog.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_class() {
        let told = "[TABLE_OR_VIEW_NOT_FOUND] The table or view `x` cannot be found. SQLSTATE: 42P01";
        assert!(matches!(classify(told), ConnectorError::NotFound { .. }));
        assert!(matches!(classify("[UNRESOLVED_COLUMN.WITH_SUGGESTION] …"), ConnectorError::NotFound { .. }));
        assert!(matches!(classify("[DIVIDE_BY_ZERO] Division by zero."), ConnectorError::QueryFailed { .. }));
    }
}
