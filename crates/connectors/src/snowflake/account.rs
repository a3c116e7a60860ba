//! Statements: sent, waited for, read partition by partition.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use flate2::read::GzDecoder;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::auth::Access;
use super::catalog;
use crate::http::{HttpSource, parsed};
use crate::pushdown::{Binary, Catalogued, Dialect, Moments, Notation, RemoteDatabase, Wanted};
use crate::statements::{self, Pages, Rows, Statements, Waits};
use crate::{ConnectorError, DiscoveredSchema, SourceContext, background, retry};

const NOTATION: Notation = Notation { binary: Binary::Hex, moments: Moments::SecondsAndDays };
const STATEMENTS: [&str; 3] = ["api", "v2", "statements"];
/// Of one partition, unpacked.
const LARGEST_PARTITION: u64 = 256 * 1024 * 1024;

/// One database of an account. Cloning shares all.
#[derive(Clone)]
pub(super) struct Account(Arc<Inner>);

struct Inner {
    identity: String,
    http: HttpSource,
    access: Access,
    database: String,
    schema: Option<String>,
    warehouse: Option<String>,
    role: Option<String>,
    statements: Statements,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    statement_handle: String,
    result_set_meta_data: Option<MetaData>,
    data: Option<Rows>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaData {
    #[serde(default)]
    partition_info: Vec<serde::de::IgnoredAny>,
}

/// A partition after the first.
#[derive(Deserialize)]
struct Partition {
    data: Rows,
}

/// An answer that is no result.
#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Account {
    pub fn new(source: &SourceContext) -> Result<Self, ConnectorError> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let access = Access::read(&source.config, &source.credentials)?;
        Ok(Self(Arc::new(Inner {
            identity: source.identity.clone(),
            http: HttpSource::at_host(source)?,
            access,
            database: source.config.database_name.clone().unwrap_or_default(),
            schema: filled(&source.config.schema_name),
            warehouse: filled(&source.credentials.warehouse),
            role: filled(&source.credentials.role),
            statements: Statements::of(&source.config),
        })))
    }

    pub fn database(&self) -> &str {
        &self.0.database
    }

    /// All rows of a small result.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ConnectorError> {
        statements::texts(Statement::start(self, sql).await?).await
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Result<RequestBuilder, ConnectorError> {
        let path: Vec<&str> = STATEMENTS.into_iter().chain(path.iter().copied()).collect();
        let request = self.0.http.request_with(method, &path, query).header("Accept", "application/json");
        self.0.access.sign(request.header("User-Agent", "rivergen"))
    }

    /// What became of a statement, or a part of its result: asked again, it is the same.
    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<(bool, Bytes), ConnectorError> {
        let attempt = || async { self.send(self.request(Method::GET, path, query)?).await };
        retry::reaching(self.0.statements.retries, attempt).await
    }

    /// The answer and whether the statement is done.
    async fn send(&self, request: RequestBuilder) -> Result<(bool, Bytes), ConnectorError> {
        let http = &self.0.http;
        let response = http.execute(request).await?;
        match response.status() {
            status if status.is_success() => {
                let done = status != StatusCode::ACCEPTED;
                let packed = is_packed(&response);
                let body = http.read(response).await?;
                Ok((done, if packed { unpacked(&body)? } else { body }))
            }
            // The statement itself is at fault, or its time was up.
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::REQUEST_TIMEOUT => {
                let status = response.status();
                let failure = http.read(response).await.ok();
                let failure = failure.and_then(|body| serde_json::from_slice::<Failure>(&body).ok());
                Err(classify(status, failure, http.query_timeout()))
            }
            _ => Err(http.refusal(response).await),
        }
    }
}

fn is_packed(response: &Response) -> bool {
    response.headers().get("content-encoding").is_some_and(|encoding| encoding.as_bytes() == b"gzip")
}

fn unpacked(body: &[u8]) -> Result<Bytes, ConnectorError> {
    let failed = |error: std::io::Error| ConnectorError::QueryFailed { cause: Some(error.into()) };
    let mut plain = Vec::new();
    GzDecoder::new(body).take(LARGEST_PARTITION + 1).read_to_end(&mut plain).map_err(failed)?;
    if plain.len() as u64 > LARGEST_PARTITION {
        return Err(ConnectorError::QueryFailed { cause: Some("a partition is too large".into()) });
    }
    Ok(plain.into())
}

/// What the account's error means, without its words.
fn classify(status: StatusCode, failure: Option<Failure>, limit: Duration) -> ConnectorError {
    let Failure { code, message } = failure.unwrap_or(Failure { code: String::new(), message: String::new() });
    tracing::info!(code, "Snowflake refused a statement");
    // Its words may hold parts of the statement.
    tracing::debug!(code, message, "what Snowflake said of it");
    let cause = Some(format!("Snowflake's error {code}").into());
    match (status, code.as_str()) {
        // A statement that took too long or was cancelled.
        (StatusCode::REQUEST_TIMEOUT, _) | (_, "000630" | "000604") => ConnectorError::Timeout(limit),
        // An object that is not there or not for this role; a column.
        (_, "002003" | "002043" | "000904" | "003001") => ConnectorError::no_such_name(),
        // No such warehouse or role, or none that this user may use.
        (_, "000606" | "390189" | "390201") => ConnectorError::AuthenticationFailed { cause },
        _ => ConnectorError::QueryFailed { cause },
    }
}

/// A statement at work. Its drop cancels it where it is not done.
struct Statement {
    account: Account,
    handle: String,
    done: bool,
    /// The rows of the first partition.
    first: Option<Rows>,
    partition: usize,
    partitions: usize,
    _turn: OwnedSemaphorePermit,
}

impl Statement {
    /// Once it is done.
    async fn start(account: &Account, sql: &str) -> Result<Self, ConnectorError> {
        let mut waits = Waits::within(account.0.http.query_timeout());
        // With them the account knows a further attempt for one at the same statement.
        let (id, attempted) = (statements::request_id(), AtomicBool::new(false));
        let begin = |turn| {
            let again = attempted.swap(true, Ordering::Relaxed);
            Self::begin(account.clone(), sql.to_owned(), id.clone(), again, turn)
        };
        let (mut statement, mut answer) = account.0.statements.begin(begin).await?;
        while !statement.done {
            waits.next().await?;
            let (done, body) = account.get(&[&statement.handle], &[]).await?;
            (statement.done, answer) = (done, parsed(&body)?);
        }
        statement.partitions = answer.result_set_meta_data.map_or(1, |meta| meta.partition_info.len());
        statement.first = Some(answer.data.unwrap_or_default());
        Ok(statement)
    }

    async fn begin(
        account: Account,
        sql: String,
        id: String,
        again: bool,
        turn: OwnedSemaphorePermit,
    ) -> Result<(Self, Answer), ConnectorError> {
        let inner = &account.0;
        let mut query = vec![("requestId", id.as_str())];
        query.extend(again.then_some(("retry", "true")));
        let request = account.request(Method::POST, &[], &query)?.json(&json!({
            "statement": sql,
            "timeout": inner.http.query_timeout().as_secs().max(1),
            "database": inner.database,
            "warehouse": inner.warehouse,
            "role": inner.role,
            "parameters": {
                "TIMEZONE": "UTC", "BINARY_OUTPUT_FORMAT": "HEX", "MULTI_STATEMENT_COUNT": "1", "ROWS_PER_RESULTSET": "0",
                "QUERY_TAG": "rivergen",
            },
        }));
        let (done, body) = account.send(request).await?;
        let answer: Answer = parsed(&body)?;
        let handle = answer.statement_handle.clone();
        Ok((Self { account, handle, done, first: None, partition: 0, partitions: 0, _turn: turn }, answer))
    }
}

impl Pages for Statement {
    async fn next(&mut self) -> Result<Option<Rows>, ConnectorError> {
        if let Some(rows) = self.first.take() {
            return Ok(Some(rows));
        }
        self.partition += 1;
        if self.partition >= self.partitions {
            return Ok(None);
        }
        let partition = self.partition.to_string();
        let (_, body) = self.account.get(&[&self.handle], &[("partition", &partition)]).await?;
        Ok(Some(parsed::<Partition>(&body)?.data))
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let (account, handle) = (self.account.clone(), std::mem::take(&mut self.handle));
        background::spawn(async move {
            let cancel = async { account.send(account.request(Method::POST, &[&handle, "cancel"], &[])?).await };
            if cancel.await.is_err() {
                tracing::debug!("a Snowflake statement could not be cancelled and ends by its timeout");
            }
        });
    }
}

impl RemoteDatabase for Account {
    fn identity(&self) -> &str {
        &self.0.identity
    }

    fn dialect(&self) -> Dialect {
        Dialect::Snowflake
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let account = self.clone();
        statements::query(schema, NOTATION, async move { Statement::start(&account, &sql).await })
    }
}

#[async_trait]
impl Catalogued for Account {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let version = statements::text(Statement::start(self, "SELECT CURRENT_VERSION()").await?).await?;
        Ok(version.map(|version| format!("Snowflake {version}")))
    }

    fn only_schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        catalog::read(self, wanted).await
    }

    fn container(&self) -> Option<&str> {
        Some(&self.0.database)
    }
}
