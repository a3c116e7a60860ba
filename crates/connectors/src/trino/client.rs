//! Statements over `POST /v1/statement` and the pages that follow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rivergen_kernel::secret::Secret;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use super::catalog;
use crate::http::HttpSource;
use crate::pushdown::{Binary, Catalogued, Dialect, Moments, Notation, RemoteDatabase, Wanted};
use crate::statements::{self, Pages, Rows, Statements};
use crate::{ConnectorError, DiscoveredSchema, SourceContext, background};

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
    statements: Statements,
}

/// One answer of the protocol.
#[derive(Deserialize)]
struct Page {
    #[serde(rename = "nextUri")]
    next: Option<Url>,
    data: Option<Rows>,
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
            statements: Statements::of(&source.config),
        })))
    }

    pub fn catalog(&self) -> &str {
        &self.0.catalog
    }

    /// All rows of a small result of texts.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ConnectorError> {
        statements::texts(Statement::start(self, sql).await?).await
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

/// A statement at work. Its drop cancels it where there would be a further page.
struct Statement {
    cluster: Trino,
    /// The rows of the page that came last.
    rows: Option<Rows>,
    next: Option<Url>,
    until: Instant,
    _turn: OwnedSemaphorePermit,
}

impl Statement {
    async fn start(cluster: &Trino, sql: &str) -> Result<Self, ConnectorError> {
        cluster.0.statements.begin(|turn| Self::begin(cluster.clone(), sql.to_owned(), turn)).await
    }

    async fn begin(cluster: Trino, sql: String, turn: OwnedSemaphorePermit) -> Result<Self, ConnectorError> {
        let inner = &cluster.0;
        let until = Instant::now() + inner.http.query_timeout();
        let mut url = inner.http.base().clone();
        url.set_path("/v1/statement");
        let request = cluster.request(Method::POST, url).body(sql);
        let request = request
            .header("X-Trino-Source", "rivergen")
            .header("X-Trino-Catalog", &inner.catalog)
            .header("X-Trino-Time-Zone", "UTC")
            // Moments keep their digits.
            .header("X-Trino-Client-Capabilities", "PARAMETRIC_DATETIME")
            .header("X-Trino-Session", format!("query_max_run_time={}s", inner.http.query_timeout().as_secs().max(1)));
        // Nothing tells the coordinator that a second attempt is one at the same statement.
        let response = inner.http.send_once(request).await?;
        let mut statement = Self { cluster, rows: None, next: None, until, _turn: turn };
        statement.take(response).await?;
        Ok(statement)
    }

    async fn follow(&mut self, url: &Url) -> Result<(), ConnectorError> {
        let cluster = self.cluster.clone();
        let http = &cluster.0.http;
        loop {
            if Instant::now() > self.until {
                return Err(ConnectorError::Timeout(http.query_timeout()));
            }
            let response = http.execute(cluster.request(Method::GET, cluster.here(url))).await?;
            match response.status() {
                StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS => tokio::time::sleep(PAUSE).await,
                status if status.is_success() => return self.take(response).await,
                _ => {
                    self.next = None;
                    return Err(http.refusal(response).await);
                }
            }
        }
    }

    /// What a page says.
    async fn take(&mut self, response: Response) -> Result<(), ConnectorError> {
        let http = &self.cluster.0.http;
        let page: Page = http.read_json(response).await?;
        self.next = page.next;
        if let Some(failure) = page.error {
            self.next = None;
            return Err(classify(&failure, http.query_timeout()));
        }
        self.rows = Some(page.data.unwrap_or_default());
        Ok(())
    }
}

impl Pages for Statement {
    async fn next(&mut self) -> Result<Option<Rows>, ConnectorError> {
        if let Some(rows) = self.rows.take() {
            return Ok(Some(rows));
        }
        let Some(url) = self.next.clone() else { return Ok(None) };
        self.follow(&url).await?;
        Ok(self.rows.take())
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        let Some(next) = self.next.take() else { return };
        let cluster = self.cluster.clone();
        background::spawn(async move {
            let request = cluster.request(Method::DELETE, cluster.here(&next));
            if cluster.0.http.send(request).await.is_err() {
                tracing::debug!("a Trino statement could not be cancelled and ends by its limit");
            }
        });
    }
}

/// What the cluster's error means, without its words.
fn classify(failure: &Failure, limit: Duration) -> ConnectorError {
    tracing::info!(name = failure.error_name, "Trino refused a statement");
    // Its words may hold parts of the statement.
    tracing::debug!(message = failure.message, "what Trino said of it");
    let cause = Some(failure.error_name.clone().into());
    match failure.error_name.as_str() {
        "CATALOG_NOT_FOUND" => ConnectorError::AuthenticationFailed { cause },
        "TABLE_NOT_FOUND" | "COLUMN_NOT_FOUND" | "SCHEMA_NOT_FOUND" | "PERMISSION_DENIED" => {
            ConnectorError::no_such_name()
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
        let cluster = self.clone();
        statements::query(schema, NOTATION, async move { Statement::start(&cluster, &sql).await })
    }
}

#[async_trait]
impl Catalogued for Trino {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let version = statements::text(Statement::start(self, "SELECT version()").await?).await?;
        Ok(version.map(|version| format!("Trino {version}")))
    }

    fn only_schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        catalog::read(self, wanted).await
    }

    fn container(&self) -> Option<&str> {
        Some(&self.0.catalog)
    }
}
