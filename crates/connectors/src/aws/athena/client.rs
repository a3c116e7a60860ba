//! Statements: started, asked after, read and, where nobody waits any more, stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{SERVICE, Settings, catalog};
use crate::aws::Aws;
use crate::documents::Value;
use crate::pushdown::{
    Batches, Binary, Catalogued, Cells, Dialect, Moments, Notation, RemoteDatabase, Wanted, delivered,
};
use crate::{ConnectorError, DiscoveredSchema, SourceContext, background, retry};

/// Between questions after a statement; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Rows of one page; Athena gives no more.
const PAGE: u32 = 1_000;

const NOTATION: Notation = Notation { binary: Binary::Hex, moments: Moments::Text };

/// One database. Cloning shares all.
#[derive(Clone)]
pub(super) struct Database(Arc<Inner>);

struct Inner {
    identity: String,
    aws: Aws,
    settings: Settings,
    query_timeout: Duration,
    max_retries: u32,
    permits: Arc<Semaphore>,
}

impl Database {
    pub fn new(source: &SourceContext, settings: Settings) -> Result<Self, ConnectorError> {
        Ok(Self(Arc::new(Inner {
            identity: source.identity.clone(),
            aws: Aws::open(source, SERVICE)?,
            settings,
            query_timeout: source.config.query_timeout(),
            max_retries: source.config.max_retries,
            permits: Arc::new(Semaphore::new(source.config.connection_pool_size.clamp(1, 100) as usize)),
        })))
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// All rows of a small result of texts, whose columns are named `c0`, `c1`, ….
    pub async fn rows(&self, sql: String, columns: usize) -> Result<Vec<Vec<Option<String>>>, ConnectorError> {
        let mut statement = Statement::run(self, sql).await?;
        let mut rows = Vec::new();
        while let Some(page) = statement.page(columns).await? {
            for row in page {
                let text = |value: &&RawValue| serde_json::from_str(value.get()).map_err(ConnectorError::internal);
                rows.push(row.values().iter().map(text).collect::<Result<_, _>>()?);
            }
        }
        Ok(rows)
    }

    async fn deliver(&self, sql: String, schema: SchemaRef, batches: &Batches) -> Result<(), ConnectorError> {
        // A row without columns comes with one.
        let columns = schema.fields().len().max(1);
        let mut cells = Cells::new(schema)?;
        let mut statement = Statement::run(self, sql).await?;
        while let Some(page) = statement.page(columns).await? {
            for row in page {
                cells.push_json(&row.values(), NOTATION)?;
                batches.send_full(&mut cells).await?;
            }
        }
        batches.send_rest(&mut cells).await
    }

    /// The engine's version, where the user may ask the workgroup for it; says what the workgroup lacks.
    async fn workgroup(&self) -> Result<Option<String>, ConnectorError> {
        let Settings { workgroup, output_location, .. } = self.settings();
        let answer = match self.0.aws.call("GetWorkGroup", &json!({ "WorkGroup": workgroup })).await {
            Ok(answer) => answer,
            // Wrong keys will be refused again.
            Err(ConnectorError::AuthenticationFailed { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let configuration = |path: &str| answer.pointer(&format!("/WorkGroup/Configuration/{path}"));
        let managed = configuration("ManagedQueryResultsConfiguration/Enabled") == Some(&Value::Bool(true));
        let place = configuration("ResultConfiguration/OutputLocation").and_then(Value::as_str);
        if output_location.is_none() && !managed && place.is_none_or(str::is_empty) {
            let reason =
                format!("metadata.output_location is required: the workgroup {workgroup} has no location for results");
            return Err(ConnectorError::Unsupported(reason));
        }
        Ok(configuration("EngineVersion/EffectiveEngineVersion").and_then(Value::as_str).map(str::to_owned))
    }
}

/// A statement at work. Its drop stops it before it has ended.
struct Statement {
    database: Database,
    id: String,
    runs: bool,
    /// Where the next page begins; nowhere after the last.
    next: Option<Option<String>>,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Statement {
    /// Starts it and waits until it has succeeded.
    async fn run(database: &Database, sql: String) -> Result<Self, ConnectorError> {
        let inner = &database.0;
        let permit = inner.permits.clone().acquire_owned().await.map_err(ConnectorError::internal)?;
        let until = Instant::now() + inner.query_timeout;
        let Settings { catalog, database: name, workgroup, output_location } = &inner.settings;
        let mut input = json!({
            "QueryString": sql,
            // A second attempt with it starts nothing anew.
            "ClientRequestToken": format!("{:032x}", rand::random::<u128>()),
            "QueryExecutionContext": {"Catalog": catalog, "Database": name},
            "WorkGroup": workgroup,
        });
        if let Some(place) = output_location {
            input["ResultConfiguration"] = json!({ "OutputLocation": place });
        }
        let start = || inner.aws.ask::<Started>("StartQueryExecution", &input);
        let Started { id } = retry::reaching(inner.max_retries, start).await?;
        let mut statement =
            Self { database: database.clone(), id, runs: true, next: Some(None), until, _permit: permit };
        statement.wait().await?;
        Ok(statement)
    }

    async fn wait(&mut self) -> Result<(), ConnectorError> {
        let inner = &self.database.0;
        let mut pause = FIRST_PAUSE;
        loop {
            let input = json!({ "QueryExecutionId": self.id });
            let answer: Asked = inner.aws.ask("GetQueryExecution", &input).await?;
            let status = answer.execution.status;
            match status.state.as_str() {
                "QUEUED" | "RUNNING" => {}
                state => {
                    self.runs = false;
                    return if state == "SUCCEEDED" { Ok(()) } else { Err(status.meaning()) };
                }
            }
            if Instant::now() + pause > self.until {
                return Err(ConnectorError::Timeout(inner.query_timeout));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The next page of the result; `None` after the last.
    async fn page(&mut self, columns: usize) -> Result<Option<Vec<Row>>, ConnectorError> {
        let inner = &self.database.0;
        let Some(start) = self.next.take() else { return Ok(None) };
        if Instant::now() > self.until {
            return Err(ConnectorError::Timeout(inner.query_timeout));
        }
        let mut input = json!({"QueryExecutionId": self.id, "MaxResults": PAGE});
        let is_first = start.is_none();
        if let Some(start) = start {
            input["NextToken"] = Json::String(start);
        }
        let answer: Results = inner.aws.ask("GetQueryResults", &input).await?;
        let mut rows = answer.result_set.rows;
        // The first row of a result is the names of its columns.
        if is_first && (rows.is_empty() || !rows.remove(0).is_header(columns)) {
            return Err(unread("a result without its header"));
        }
        if rows.iter().any(|row| row.data.len() != columns) {
            return Err(unread("a row of another length than asked for"));
        }
        self.next = answer.next_token.map(Some);
        Ok(Some(rows))
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if !self.runs {
            return;
        }
        let (database, id) = (self.database.clone(), std::mem::take(&mut self.id));
        background::spawn(async move {
            if database.0.aws.call("StopQueryExecution", &json!({ "QueryExecutionId": id })).await.is_err() {
                tracing::debug!("a statement could not be stopped and ends by itself");
            }
        });
    }
}

fn unread(reason: &'static str) -> ConnectorError {
    ConnectorError::QueryFailed { cause: Some(reason.into()) }
}

#[derive(Deserialize)]
struct Started {
    #[serde(rename = "QueryExecutionId")]
    id: String,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "QueryExecution")]
    execution: Execution,
}

#[derive(Deserialize)]
struct Execution {
    #[serde(rename = "Status")]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: String,
    #[serde(default)]
    state_change_reason: String,
}

impl Status {
    /// What the failure means, without Athena's words.
    fn meaning(&self) -> ConnectorError {
        tracing::info!(state = self.state, "Athena failed a statement");
        // Its words may hold parts of the statement.
        tracing::debug!(reason = self.state_change_reason, "what Athena said of it");
        let says = |words: &[&str]| words.iter().any(|word| self.state_change_reason.contains(word));
        if says(&["TABLE_NOT_FOUND", "COLUMN_NOT_FOUND", "SCHEMA_NOT_FOUND", "PERMISSION_DENIED", "AccessDenied"])
            || says(&["Access Denied", "Insufficient permissions", "CATALOG_NOT_FOUND", "EntityNotFoundException"])
        {
            return ConnectorError::no_such_name();
        }
        ConnectorError::QueryFailed { cause: Some(format!("the statement is {}", self.state).into()) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Results {
    result_set: ResultSet,
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct ResultSet {
    #[serde(rename = "Rows", default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "Data", default)]
    data: Vec<Datum>,
}

/// A value as text; NULL where there is none.
#[derive(Deserialize)]
struct Datum {
    #[serde(rename = "VarCharValue")]
    text: Option<Box<RawValue>>,
}

impl Row {
    fn values(&self) -> Vec<&RawValue> {
        self.data.iter().map(|datum| datum.text.as_deref().unwrap_or(RawValue::NULL)).collect()
    }

    /// Whether it is `c0`, `c1`, …, as our statements name their columns.
    fn is_header(&self, columns: usize) -> bool {
        let named = |(at, value): (usize, &RawValue)| value.get() == format!("\"c{at}\"");
        self.data.len() == columns && self.values().into_iter().enumerate().all(named)
    }
}

impl RemoteDatabase for Database {
    fn identity(&self) -> &str {
        &self.0.identity
    }

    fn dialect(&self) -> Dialect {
        Dialect::Trino
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let (database, columns) = (self.clone(), schema.clone());
        delivered(schema, |batches| async move { database.deliver(sql, columns, &batches).await })
    }
}

#[async_trait]
impl Catalogued for Database {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let version = self.workgroup().await?;
        Statement::run(self, "SELECT 1 AS c0".to_owned()).await?;
        Ok(version)
    }

    fn only_schema(&self) -> Option<&str> {
        Some(&self.0.settings.database)
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        catalog::read(self, wanted.table).await
    }

    fn container(&self) -> Option<&str> {
        Some(&self.0.settings.catalog)
    }
}
