//! Neo4j: labels as tables in the schema `nodes`, types of relationships in the schema `relationships`.
//!
//! Asked is the server's Query API over HTTP ([`api`]), in transactions that only read. Where the port is that of Bolt
//! (7687), the API is looked for at 7473, or 7474 without TLS; `metadata.http_port` says otherwise. Columns are the
//! properties that a sample shows, beside `_id`, and of relationships `_start` and `_end`.

mod api;
mod cypher;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use futures::{StreamExt, TryStreamExt, stream};
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};
use url::Url;

use crate::api::Authorization;
use crate::documents::{
    Collection, Column, Condition, Described, Document, OpenedStore, Pages, Scan, Store, TableName, Value, sampled,
};
use crate::http::{HttpSource, base_url};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_required, form,
};
use api::Api;
use cypher::Statement;

const NODES: &str = "nodes";
const RELATIONSHIPS: &str = "relationships";
const BOLT: u16 = 7687;
/// What tells the columns.
const SAMPLED: u64 = 500;
const PAGE: u64 = 2_000;

const ID: &str = "_id";
const START: &str = "_start";
const END: &str = "_end";

/// Reads Neo4j databases.
#[derive(Debug)]
pub struct Neo4j;

#[async_trait]
impl Connector for Neo4j {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Neo4j
    }

    fn abilities(&self) -> Abilities {
        Abilities::SCANS
    }

    fn form(&self) -> Json {
        json!({
            "type": "object",
            "properties": {
                "host": form::text("Host"),
                "port": form::port(self.kind()),
                "database_name": {"type": "string", "title": "Database", "default": "neo4j"},
                "credentials": {"type": "object", "properties": {
                    "username": form::text("User"),
                    "password": form::secret("Password")
                }, "required": ["username", "password"]},
                "metadata": {"type": "object", "properties": {
                    "http_port": {"type": "integer", "title": "Port of the HTTP API", "description": "7473 if left empty, or 7474 without TLS."},
                    "sslmode": form::tls(),
                    "ssl_root_certificate": form::root_certificate()
                }},
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query")
            },
            "required": ["host", "port", "credentials"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let mut wrong = check_required(config, credentials);
        if wrong.is_empty() {
            wrong.extend(address(config).err());
        }
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let base = address(&source.config)?;
        // An API key has no place here.
        let credentials = Credentials { api_key: None, oauth_token: None, ..source.credentials.clone() };
        let authorization = Authorization::read(&source.config, &credentials)?;
        let database = source.config.database_name.clone().filter(|name| !name.is_empty());
        let api = Api {
            http: HttpSource::at(source, base)?,
            authorization,
            database: database.unwrap_or_else(|| "neo4j".to_owned()),
        };
        Ok(Arc::new(OpenedStore::new(Graph { api: Arc::new(api) }, source)))
    }
}

/// Where the HTTP API is.
fn address(config: &SourceConfig) -> Result<Url, FieldError> {
    let mut config = config.clone();
    let plain = config.metadata_text("sslmode") == Some("disable");
    match config.metadata.get("http_port").filter(|given| !given.is_null()) {
        Some(given) => {
            let port = given.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
            config.port = Some(port.ok_or_else(|| FieldError::new("metadata.http_port", "must be a port"))?);
        }
        None if config.port == Some(BOLT) => config.port = Some(if plain { 7474 } else { 7473 }),
        None => {}
    }
    base_url(&config)
}

/// One database.
#[derive(Debug)]
struct Graph {
    api: Arc<Api>,
}

#[async_trait]
impl Store for Graph {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        let statement = "CALL dbms.components() YIELD versions RETURN versions[0] AS version";
        match self.api.rows(&Statement::of(statement)).await {
            Ok(rows) => {
                let version = rows.first().and_then(|row| row.first()).and_then(Value::as_str);
                Ok(version.map(|version| format!("Neo4j {version}")))
            }
            // Not every user may ask for that.
            Err(ConnectorError::QueryFailed { .. }) => self.api.rows(&Statement::of("RETURN 1")).await.map(|_| None),
            Err(error) => Err(error),
        }
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        let mut tables = Vec::new();
        for (schema, statement) in [
            (NODES, "CALL db.labels() YIELD label RETURN label"),
            (RELATIONSHIPS, "CALL db.relationshipTypes() YIELD relationshipType RETURN relationshipType"),
        ] {
            let rows = self.api.rows(&Statement::of(statement)).await?;
            let names = rows.iter().filter_map(|row| row.first()?.as_str());
            tables.extend(names.map(|name| TableName::new(schema, name)));
        }
        Ok(tables)
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        let not_found = || ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) };
        let elements = Elements::of(&self.api, table).ok_or_else(not_found)?;
        let rows = self.api.rows(&elements.statement.sample(SAMPLED)).await?;
        let documents: Vec<Document> = rows.into_iter().filter_map(|mut row| row.pop()?.into_document()).collect();
        if documents.is_empty() {
            return Err(not_found());
        }
        let text = |name: &str| Column::new(name, "element id", DataType::Utf8).into_key();
        let mut columns = vec![text(ID)];
        if elements.statement.is_relationship() {
            columns.extend([text(START), text(END)]);
        }
        let taken: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        columns.extend(sampled(&documents).into_iter().filter(|column| !taken.contains(&column.name)));
        let count = self.api.rows(&elements.statement.count()).await?;
        let rows = match count.first().and_then(|row| row.first()) {
            Some(Value::Int(rows)) => u64::try_from(*rows).ok(),
            _ => None,
        };
        Ok(Described { columns, rows, comment: None })
    }

    fn collection(&self, table: &TableName, _columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        let not_found = || ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) };
        Ok(Arc::new(Elements::of(&self.api, table).ok_or_else(not_found)?))
    }
}

/// The nodes of a label, or the relationships of a type.
#[derive(Debug)]
struct Elements {
    api: Arc<Api>,
    statement: cypher::Elements,
}

impl Elements {
    fn of(api: &Arc<Api>, table: &TableName) -> Option<Self> {
        let statement = match table.schema.as_str() {
            NODES => cypher::Elements::nodes(&table.table),
            RELATIONSHIPS => cypher::Elements::relationships(&table.table),
            _ => return None,
        };
        Some(Self { api: api.clone(), statement })
    }
}

impl Collection for Elements {
    fn accepts(&self, condition: &Condition) -> bool {
        Statement::default().condition(condition).is_some()
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        let size = scan.limit.map_or(PAGE, |limit| (limit as u64).clamp(1, PAGE));
        let scan = Arc::new(scan);
        // Each page begins after the last element of the one before.
        stream::try_unfold(Some(None), move |after: Option<Option<i64>>| {
            let (elements, scan) = (self.clone(), scan.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                let rows = elements.api.rows(&elements.statement.page(&scan, after, size)).await?;
                let full = rows.len() as u64 >= size;
                let mut last = None;
                let mut documents = Vec::with_capacity(rows.len());
                for row in rows {
                    let [Value::Int(number), Value::Object(document)] =
                        <[Value; 2]>::try_from(row).map_err(|_| unread())?
                    else {
                        return Err(unread());
                    };
                    last = Some(number);
                    documents.push(document);
                }
                Ok::<_, ConnectorError>(Some((documents, last.filter(|_| full).map(Some))))
            }
        })
        .into_stream()
        .boxed()
    }
}

fn unread() -> ConnectorError {
    ConnectorError::QueryFailed { cause: Some("an answer in another form than asked for".into()) }
}
