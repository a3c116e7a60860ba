//! Jobs: sent, waited for, read page by page.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use reqwest::{Method, RequestBuilder};
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use super::auth::Access;
use super::catalog;
use crate::http::{HttpSource, base_url};
use crate::pushdown::{Binary, Catalogued, Dialect, Moments, Notation, RemoteDatabase, Wanted};
use crate::statements::{self, Pages, Rows, Statements};
use crate::{ConnectorError, DiscoveredSchema, SourceConfig, SourceContext, background};

const ENDPOINT: &str = "bigquery.googleapis.com";
const NOTATION: Notation = Notation { binary: Binary::Base64, moments: Moments::Microseconds };
/// How long one request waits for a job, in milliseconds.
const WAIT: u32 = 10_000;

/// Google's endpoint, or the one that the configuration names.
pub(super) fn base(config: &SourceConfig) -> Result<Url, FieldError> {
    let mut config = config.clone();
    config.host = config.host.filter(|host| !host.is_empty()).or_else(|| Some(ENDPOINT.to_owned()));
    base_url(&config)
}

/// One project. Cloning shares all.
#[derive(Clone)]
pub(super) struct Project(Arc<Inner>);

struct Inner {
    identity: String,
    http: HttpSource,
    project: String,
    dataset: Option<String>,
    location: Option<String>,
    access: Access,
    statements: Statements,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    job_reference: Option<JobReference>,
    #[serde(default)]
    job_complete: bool,
    #[serde(default)]
    rows: Vec<Row>,
    page_token: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct JobReference {
    job_id: String,
    location: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    f: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    v: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Datasets {
    #[serde(default)]
    datasets: Vec<Dataset>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dataset {
    dataset_reference: DatasetReference,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DatasetReference {
    dataset_id: String,
}

impl Project {
    pub fn new(source: &SourceContext) -> Result<Self, ConnectorError> {
        let unsupported = |field: &str, reason: &str| ConnectorError::Unsupported(format!("{field} {reason}"));
        let base = base(&source.config).map_err(|wrong| unsupported(&wrong.field, &wrong.reason))?;
        let secret = source.credentials.oauth_token.clone().unwrap_or_else(|| Secret::new(""));
        let access = Access::read(&secret, &base).map_err(|reason| unsupported("credentials.oauth_token", reason))?;
        Ok(Self(Arc::new(Inner {
            identity: source.identity.clone(),
            http: HttpSource::at(source, base)?,
            project: source.config.database_name.clone().unwrap_or_default(),
            dataset: source.config.schema_name.clone().filter(|dataset| !dataset.is_empty()),
            location: source.config.metadata_text("location").map(str::to_owned),
            access,
            statements: Statements::of(&source.config),
        })))
    }

    pub fn name(&self) -> &str {
        &self.0.project
    }

    /// All datasets of the project that may be seen.
    pub async fn datasets(&self) -> Result<Vec<String>, ConnectorError> {
        let (mut names, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("maxResults", "1000")];
            query.extend(token.as_deref().map(|token| ("pageToken", token)));
            let request = self.request(Method::GET, &["datasets"], &query).await?;
            let page: Datasets = self.0.http.json_patiently(request).await?;
            names.extend(page.datasets.into_iter().map(|dataset| dataset.dataset_reference.dataset_id));
            token = page.next_page_token;
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    /// All rows of a small result.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ConnectorError> {
        statements::texts(Job::start(self, sql).await?).await
    }

    async fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, ConnectorError> {
        let inner = &self.0;
        let below = ["bigquery", "v2", "projects", inner.project.as_str()];
        let path: Vec<&str> = below.into_iter().chain(path.iter().copied()).collect();
        let token = inner.access.token(&inner.http).await?;
        Ok(inner.http.request_with(method, &path, query).bearer_auth(token.expose()))
    }
}

/// A job at work. Its drop cancels it where it is not done.
struct Job {
    project: Project,
    reference: Option<JobReference>,
    done: bool,
    page: Option<Answer>,
    until: Instant,
    _turn: OwnedSemaphorePermit,
}

impl Job {
    /// Once it is done.
    async fn start(project: &Project, sql: &str) -> Result<Self, ConnectorError> {
        // The service knows a further attempt by it.
        let id = statements::request_id();
        let begin = |turn| Self::begin(project.clone(), sql.to_owned(), id.clone(), turn);
        let mut job = project.0.statements.begin(begin).await?;
        while !job.done {
            if Instant::now() > job.until {
                return Err(ConnectorError::Timeout(project.0.http.query_timeout()));
            }
            job.read(None).await?;
        }
        Ok(job)
    }

    async fn begin(
        project: Project,
        sql: String,
        id: String,
        turn: OwnedSemaphorePermit,
    ) -> Result<Self, ConnectorError> {
        let inner = &project.0;
        let limit = inner.http.query_timeout();
        let until = Instant::now() + limit;
        let request = project.request(Method::POST, &["queries"], &[]).await?.json(&json!({
            "query": sql,
            "requestId": id,
            "useLegacySql": false,
            "timeoutMs": WAIT,
            "jobTimeoutMs": limit.as_millis().to_string(),
            "location": inner.location,
            "formatOptions": {"useInt64Timestamp": true},
            "labels": {"application": "rivergen"},
        }));
        let mut page: Answer = inner.http.json_patiently(request).await?;
        let (reference, done) = (page.job_reference.take(), page.job_complete);
        Ok(Self { project, reference, done, page: Some(page), until, _turn: turn })
    }

    async fn read(&mut self, token: Option<&str>) -> Result<(), ConnectorError> {
        let job = self.reference.as_ref().ok_or_else(|| ConnectorError::internal("the job has no name"))?;
        let wait = WAIT.to_string();
        let mut query = vec![("timeoutMs", wait.as_str()), ("formatOptions.useInt64Timestamp", "true")];
        query.extend(job.location.as_deref().map(|location| ("location", location)));
        query.extend(token.map(|token| ("pageToken", token)));
        let request = self.project.request(Method::GET, &["queries", &job.job_id], &query).await?;
        let page: Answer = self.project.0.http.json_patiently(request).await?;
        self.done = page.job_complete;
        self.page = Some(page);
        Ok(())
    }
}

impl Pages for Job {
    async fn next(&mut self) -> Result<Option<Rows>, ConnectorError> {
        let Some(page) = self.page.take() else { return Ok(None) };
        if let Some(token) = page.page_token {
            self.read(Some(&token)).await?;
        }
        Ok(Some(page.rows.into_iter().map(|row| row.f.into_iter().map(|cell| cell.v).collect()).collect()))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let Some(job) = self.reference.take() else { return };
        if self.done {
            return;
        }
        let project = self.project.clone();
        background::spawn(async move {
            let cancel = async {
                let query: Vec<_> =
                    job.location.as_deref().map(|location| ("location", location)).into_iter().collect();
                let path = ["jobs", job.job_id.as_str(), "cancel"];
                project.0.http.send(project.request(Method::POST, &path, &query).await?).await
            };
            if cancel.await.is_err() {
                tracing::debug!("a BigQuery job could not be cancelled and ends by its timeout");
            }
        });
    }
}

impl RemoteDatabase for Project {
    fn identity(&self) -> &str {
        &self.0.identity
    }

    fn dialect(&self) -> Dialect {
        Dialect::Bigquery
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let project = self.clone();
        statements::query(schema, NOTATION, async move { Job::start(&project, &sql).await })
    }
}

#[async_trait]
impl Catalogued for Project {
    /// A service has no version; an answer is all there is to learn.
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        self.rows("SELECT 1").await?;
        Ok(None)
    }

    fn only_schema(&self) -> Option<&str> {
        self.0.dataset.as_deref()
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        catalog::read(self, wanted).await
    }

    fn container(&self) -> Option<&str> {
        Some(&self.0.project)
    }
}
