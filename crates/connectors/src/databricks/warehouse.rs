//! Statements: sent, waited for, read chunk by chunk.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use reqwest::{Method, RequestBuilder};
use rivergen_kernel::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::catalog;
use crate::http::HttpSource;
use crate::pushdown::{Batches, Binary, Catalogued, Cells, Dialect, Moments, Notation, RemoteDatabase, delivered};
use crate::{ConnectorError, DiscoveredSchema, SourceContext};

const NOTATION: Notation = Notation { binary: Binary::Base64, moments: Moments::Microseconds };
const STATEMENTS: [&str; 4] = ["api", "2.0", "sql", "statements"];
/// Between two questions whether a statement is done: the first pause and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// One catalogue behind one warehouse. Cloning shares all.
#[derive(Clone)]
pub(super) struct Warehouse(Arc<Inner>);

struct Inner {
    identity: String,
    http: HttpSource,
    id: String,
    token: Secret,
    catalog: OnceLock<String>,
    schema: Option<String>,
    permits: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct Answer {
    statement_id: String,
    status: Status,
    manifest: Option<Manifest>,
    result: Option<Chunk>,
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

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    data_array: Vec<Vec<Box<RawValue>>>,
    next_chunk_index: Option<u64>,
}

impl Warehouse {
    pub fn new(source: &SourceContext) -> Result<Self, ConnectorError> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Self(Arc::new(Inner {
            identity: source.identity.clone(),
            http: HttpSource::at_host(source)?,
            id: source.credentials.warehouse.clone().unwrap_or_default(),
            token: source.credentials.api_key.clone().unwrap_or_else(|| Secret::new("")),
            catalog: filled(&source.config.database_name).map(OnceLock::from).unwrap_or_default(),
            schema: filled(&source.config.schema_name),
            permits: Arc::new(Semaphore::new(source.config.connection_pool_size.clamp(1, 100) as usize)),
        })))
    }

    /// The catalogue that was named, or the warehouse's default.
    pub async fn catalog(&self) -> Result<&str, ConnectorError> {
        if let Some(catalog) = self.0.catalog.get() {
            return Ok(catalog);
        }
        let rows = self.rows("SELECT current_catalog()").await?;
        let name = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        let name = name.ok_or_else(|| ConnectorError::internal("the warehouse named no catalogue"))?;
        Ok(self.0.catalog.get_or_init(|| name))
    }

    /// All rows of a small result.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ConnectorError> {
        let mut statement = Statement::new(self).await?;
        let mut rows = Vec::new();
        let mut chunk = statement.start(sql).await?;
        while let Some(Chunk { data_array, next_chunk_index }) = chunk {
            for row in data_array {
                let row = row.iter().map(|value| serde_json::from_str(value.get())).collect::<Result<_, _>>();
                rows.push(row.map_err(|error| ConnectorError::QueryFailed { cause: Some(error.into()) })?);
            }
            chunk = statement.chunk(next_chunk_index).await?;
        }
        Ok(rows)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let path: Vec<&str> = STATEMENTS.into_iter().chain(path.iter().copied()).collect();
        self.0.http.request(method, &path).bearer_auth(self.0.token.expose())
    }
}

impl fmt::Debug for Warehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warehouse").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

/// A statement at work. Its drop cancels it where it is not done.
struct Statement {
    warehouse: Warehouse,
    id: String,
    done: bool,
    _permit: OwnedSemaphorePermit,
}

impl Statement {
    async fn new(warehouse: &Warehouse) -> Result<Self, ConnectorError> {
        let permit = warehouse.0.permits.clone().acquire_owned().await.map_err(ConnectorError::internal)?;
        Ok(Self { warehouse: warehouse.clone(), id: String::new(), done: true, _permit: permit })
    }

    /// The first chunk, once there is one.
    async fn start(&mut self, sql: &str) -> Result<Option<Chunk>, ConnectorError> {
        let warehouse = self.warehouse.clone();
        let inner = &warehouse.0;
        let limit = inner.http.query_timeout();
        let until = Instant::now() + limit;
        let request = warehouse.request(Method::POST, &[]).json(&json!({
            "warehouse_id": inner.id,
            "statement": sql,
            "catalog": inner.catalog.get(),
            "wait_timeout": "10s",
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
        }));
        let mut answer: Answer = inner.http.json(request).await?;
        let mut pause = PAUSES.0;
        loop {
            self.id = answer.statement_id;
            self.done = !matches!(answer.status.state, State::Pending | State::Running);
            match answer.status.state {
                State::Succeeded if answer.manifest.as_ref().is_some_and(|manifest| manifest.truncated) => {
                    return Err(ConnectorError::QueryFailed { cause: Some("the result was cut short".into()) });
                }
                State::Succeeded => return Ok(answer.result),
                State::Pending | State::Running if Instant::now() > until => {
                    return Err(ConnectorError::Timeout(limit));
                }
                State::Pending | State::Running => {}
                State::Canceled => return Err(ConnectorError::Timeout(limit)),
                State::Failed | State::Closed => {
                    return Err(classify(&answer.status.error.map(|failure| failure.message).unwrap_or_default()));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            answer = inner.http.json(warehouse.request(Method::GET, &[&self.id])).await?;
        }
    }

    async fn chunk(&self, index: Option<u64>) -> Result<Option<Chunk>, ConnectorError> {
        let Some(index) = index else { return Ok(None) };
        let index = index.to_string();
        let path = [self.id.as_str(), "result", "chunks", index.as_str()];
        self.warehouse.0.http.json(self.warehouse.request(Method::GET, &path)).await.map(Some)
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.done {
            return;
        }
        let (warehouse, id) = (self.warehouse.clone(), std::mem::take(&mut self.id));
        runtime.spawn(async move {
            if warehouse.0.http.send(warehouse.request(Method::POST, &[&id, "cancel"])).await.is_err() {
                tracing::debug!("a Databricks statement could not be cancelled");
            }
        });
    }
}

/// What the warehouse's error means, without its words. The class of the error stands in brackets.
fn classify(message: &str) -> ConnectorError {
    tracing::info!(message, "Databricks refused a statement");
    let class = message.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(class, _)| class);
    match class.split('.').next().unwrap_or_default() {
        "TABLE_OR_VIEW_NOT_FOUND" | "SCHEMA_NOT_FOUND" | "UNRESOLVED_COLUMN" | "INSUFFICIENT_PERMISSIONS" => {
            ConnectorError::NotFound { what: "a table or column of the query".into() }
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
        let (warehouse, columns) = (self.clone(), schema.clone());
        delivered(schema, |batches| async move { deliver(&warehouse, &sql, columns, &batches).await })
    }
}

async fn deliver(warehouse: &Warehouse, sql: &str, schema: SchemaRef, batches: &Batches) -> Result<(), ConnectorError> {
    let mut cells = Cells::new(schema)?;
    let mut statement = Statement::new(warehouse).await?;
    let mut chunk = statement.start(sql).await?;
    while let Some(Chunk { data_array, next_chunk_index }) = chunk {
        for row in &data_array {
            let row: Vec<&RawValue> = row.iter().map(AsRef::as_ref).collect();
            cells.push_json(&row, NOTATION)?;
            if cells.is_full() {
                batches.send(cells.take()?).await?;
            }
        }
        chunk = statement.chunk(next_chunk_index).await?;
    }
    if !cells.is_empty() {
        batches.send(cells.take()?).await?;
    }
    Ok(())
}

#[async_trait]
impl Catalogued for Warehouse {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let rows = self.rows("SELECT current_version().dbsql_version").await?;
        let version = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        Ok(Some(version.map_or_else(|| "Databricks SQL".to_owned(), |version| format!("Databricks SQL {version}"))))
    }

    fn only_schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    async fn catalogue(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        catalog::read(self, schema, table).await
    }

    fn qualified(&self, schema: &str, table: &str) -> String {
        let quote = |name: &str| Dialect::Databricks.quote(name);
        let table = format!("{}.{}", quote(schema), quote(table));
        // Where none was named, the statement runs in the default one.
        match self.0.catalog.get() {
            Some(catalog) => format!("{}.{table}", quote(catalog)),
            None => table,
        }
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
