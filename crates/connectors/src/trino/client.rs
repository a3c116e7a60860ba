//! Statements over `POST /v1/statement` and the pages that follow.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use reqwest::{Method, RequestBuilder, StatusCode};
use rivergen_kernel::secret::Secret;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::catalog;
use crate::http::HttpSource;
use crate::pushdown::{Batches, Binary, Catalogued, Cells, Dialect, Moments, Notation, RemoteDatabase, delivered};
use crate::{ConnectorError, DiscoveredSchema, SourceContext};

/// Between attempts at a coordinator that has too much to do.
const PAUSE: Duration = Duration::from_millis(100);

const NOTATION: Notation = Notation { binary: Binary::Base64, moments: Moments::Text };

/// One catalogue of a cluster. Cloning shares all.
#[derive(Clone)]
pub(super) struct Trino(Arc<Inner>);

struct Inner {
    identity: String,
    http: HttpSource,
    catalog: String,
    schema: Option<String>,
    user: String,
    password: Option<Secret>,
    token: Option<Secret>,
    permits: Arc<Semaphore>,
}

/// One answer of the protocol.
#[derive(Deserialize)]
struct Page {
    #[serde(rename = "nextUri")]
    next: Option<Url>,
    #[serde(default)]
    data: Vec<Vec<Box<RawValue>>>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    #[serde(default)]
    message: String,
    #[serde(default)]
    error_name: String,
}

impl Trino {
    pub fn new(source: &SourceContext) -> Result<Self, ConnectorError> {
        let given = |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.is_empty());
        Ok(Self(Arc::new(Inner {
            identity: source.identity.clone(),
            http: HttpSource::at_host(source)?,
            catalog: source.config.database_name.clone().unwrap_or_default(),
            schema: source.config.schema_name.clone().filter(|schema| !schema.is_empty()),
            user: source.credentials.username.clone().unwrap_or_default(),
            password: given(&source.credentials.password),
            token: given(&source.credentials.oauth_token),
            permits: Arc::new(Semaphore::new(source.config.connection_pool_size.clamp(1, 100) as usize)),
        })))
    }

    pub fn catalog(&self) -> &str {
        &self.0.catalog
    }

    /// All rows of a small result of texts.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ConnectorError> {
        let mut statement = Statement::new(self).await?;
        let mut rows = Vec::new();
        let mut page = statement.start(sql.to_owned()).await?;
        loop {
            for row in page.data.drain(..) {
                let row = row.iter().map(|value| serde_json::from_str(value.get())).collect::<Result<_, _>>();
                rows.push(row.map_err(|error| ConnectorError::QueryFailed { cause: Some(error.into()) })?);
            }
            match statement.next(page).await? {
                Some(next) => page = next,
                None => return Ok(rows),
            }
        }
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let mut request = self.0.http.request_url(method, url).header("X-Trino-User", &self.0.user);
        if let Some(token) = &self.0.token {
            request = request.bearer_auth(token.expose());
        } else if let Some(password) = &self.0.password {
            request = request.basic_auth(&self.0.user, Some(password.expose()));
        }
        request
    }

    /// The page at the same coordinator, whatever host the URL names.
    fn here(&self, url: &Url) -> Url {
        let mut here = self.0.http.base().clone();
        here.set_path(url.path());
        here.set_query(url.query());
        here
    }
}

impl fmt::Debug for Trino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trino").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

/// A statement at work. Its drop cancels it where there would be a further page.
struct Statement {
    cluster: Trino,
    next: Option<Url>,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Statement {
    async fn new(cluster: &Trino) -> Result<Self, ConnectorError> {
        let permit = cluster.0.permits.clone().acquire_owned().await.map_err(ConnectorError::internal)?;
        let until = Instant::now() + cluster.0.http.query_timeout();
        Ok(Self { cluster: cluster.clone(), next: None, until, _permit: permit })
    }

    async fn start(&mut self, sql: String) -> Result<Page, ConnectorError> {
        let inner = &self.cluster.0;
        let mut url = inner.http.base().clone();
        url.set_path("/v1/statement");
        let mut request = self.cluster.request(Method::POST, url).body(sql);
        request = request
            .header("X-Trino-Source", "rivergen")
            .header("X-Trino-Catalog", &inner.catalog)
            .header("X-Trino-Time-Zone", "UTC")
            // Moments keep their digits.
            .header("X-Trino-Client-Capabilities", "PARAMETRIC_DATETIME")
            .header("X-Trino-Session", format!("query_max_run_time={}s", inner.http.query_timeout().as_secs().max(1)));
        self.page(request).await
    }

    /// The page after this one.
    async fn next(&mut self, page: Page) -> Result<Option<Page>, ConnectorError> {
        match page.next {
            Some(url) => {
                let request = self.cluster.request(Method::GET, self.cluster.here(&url));
                self.page(request).await.map(Some)
            }
            None => Ok(None),
        }
    }

    async fn page(&mut self, request: RequestBuilder) -> Result<Page, ConnectorError> {
        let http = &self.cluster.0.http;
        loop {
            let again = request.try_clone().ok_or_else(|| ConnectorError::internal("a request cannot be repeated"))?;
            let response = http.execute(again).await?;
            let busy = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
            if busy.contains(&response.status()) || response.status() == StatusCode::TOO_MANY_REQUESTS {
                if Instant::now() > self.until {
                    return Err(ConnectorError::Timeout(http.query_timeout()));
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if !response.status().is_success() {
                self.next = None;
                return Err(http.refusal(response).await);
            }
            let body = http.read(response).await?;
            let page: Page = serde_json::from_slice(&body)
                .map_err(|error| ConnectorError::QueryFailed { cause: Some(error.into()) })?;
            self.next = page.next.clone();
            if let Some(failure) = page.error {
                self.next = None;
                return Err(classify(&failure, http.query_timeout()));
            }
            if self.next.is_some() && Instant::now() > self.until {
                return Err(ConnectorError::Timeout(http.query_timeout()));
            }
            return Ok(page);
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        let (Some(next), Ok(runtime)) = (self.next.take(), tokio::runtime::Handle::try_current()) else { return };
        let cluster = self.cluster.clone();
        runtime.spawn(async move {
            let request = cluster.request(Method::DELETE, cluster.here(&next));
            if cluster.0.http.send(request).await.is_err() {
                tracing::debug!("a Trino statement could not be cancelled and ends by its limit");
            }
        });
    }
}

/// What the cluster's error means, without its words.
fn classify(failure: &Failure, limit: Duration) -> ConnectorError {
    tracing::info!(name = failure.error_name, message = failure.message, "Trino refused a statement");
    let cause = Some(failure.error_name.clone().into());
    match failure.error_name.as_str() {
        "CATALOG_NOT_FOUND" => ConnectorError::AuthenticationFailed { cause },
        "TABLE_NOT_FOUND" | "COLUMN_NOT_FOUND" | "SCHEMA_NOT_FOUND" | "PERMISSION_DENIED" => {
            ConnectorError::NotFound { what: "a table or column of the query".into() }
        }
        "EXCEEDED_TIME_LIMIT" | "USER_CANCELED" | "ADMINISTRATIVELY_KILLED" => ConnectorError::Timeout(limit),
        "CLUSTER_OUT_OF_MEMORY" | "QUERY_QUEUE_FULL" | "SERVER_STARTING_UP" | "SERVER_SHUTTING_DOWN" => {
            ConnectorError::Unreachable { cause }
        }
        _ => ConnectorError::QueryFailed { cause },
    }
}

impl RemoteDatabase for Trino {
    fn identity(&self) -> &str {
        &self.0.identity
    }

    fn dialect(&self) -> Dialect {
        Dialect::Trino
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let (cluster, columns) = (self.clone(), schema.clone());
        delivered(schema, |batches| async move { deliver(&cluster, sql, columns, &batches).await })
    }
}

async fn deliver(cluster: &Trino, sql: String, schema: SchemaRef, batches: &Batches) -> Result<(), ConnectorError> {
    let mut cells = Cells::new(schema)?;
    let mut statement = Statement::new(cluster).await?;
    let mut page = statement.start(sql).await?;
    loop {
        for row in &page.data {
            let row: Vec<&RawValue> = row.iter().map(AsRef::as_ref).collect();
            cells.push_json(&row, NOTATION)?;
            if cells.is_full() {
                batches.send(cells.take()?).await?;
            }
        }
        match statement.next(page).await? {
            Some(next) => page = next,
            None => break,
        }
    }
    if !cells.is_empty() {
        batches.send(cells.take()?).await?;
    }
    Ok(())
}

#[async_trait]
impl Catalogued for Trino {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let rows = self.rows("SELECT version()").await?;
        let version = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        Ok(version.map(|version| format!("Trino {version}")))
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
        let quote = |name: &str| Dialect::Trino.quote(name);
        format!("{}.{}.{}", quote(&self.0.catalog), quote(schema), quote(table))
    }
}
