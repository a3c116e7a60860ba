//! Elasticsearch and OpenSearch: indices, aliases and data streams as tables in the schema `indices`.
//!
//! What a field is called and how it is indexed stands in the mapping, what its documents hold in a sample of them:
//! any field may hold an array, and a number may be written as a text ([`mapping`]). Rows are read from `_source` by a
//! scroll, which both servers have in all their versions, and which is one consistent view. Filters narrow by what is
//! indexed exactly ([`query`]); the words of analysed texts are not.

mod mapping;
mod query;
mod scroll;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder};
use rivergen_kernel::error::FieldError;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::api::Authorization;
use crate::documents::{Collection, Column, Condition, Described, OpenedStore, Pages, Scan, Store, TableName, Value};
use crate::http::{HttpSource, base_url};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_required, form,
};

const SCHEMA: &str = "indices";
/// Documents that tell what the columns hold.
const SAMPLED: u64 = 500;
const PAGE: u64 = 1_000;

/// The connectors of both servers.
pub(crate) fn connectors() -> Vec<Arc<dyn Connector>> {
    [DataSourceType::Elasticsearch, DataSourceType::Opensearch]
        .map(|kind| Arc::new(Search { kind }) as Arc<dyn Connector>)
        .into()
}

/// Reads one kind of search server.
#[derive(Debug)]
struct Search {
    kind: DataSourceType,
}

impl Search {
    fn authorization(&self, config: &SourceConfig, credentials: &Credentials) -> Result<Authorization, FieldError> {
        match credentials.api_key.as_ref().filter(|key| !key.is_empty()) {
            // OpenSearch has no keys of its own; its security plugin takes JSON web tokens.
            Some(key) if self.kind == DataSourceType::Opensearch => Authorization::header("Bearer", key),
            Some(key) => Authorization::header("ApiKey", key),
            None => Authorization::read(config, credentials),
        }
    }
}

#[async_trait]
impl Connector for Search {
    fn kind(&self) -> DataSourceType {
        self.kind
    }

    fn abilities(&self) -> Abilities {
        Abilities::SCANS
    }

    fn form(&self) -> Json {
        let key = match self.kind {
            DataSourceType::Opensearch => "A JSON web token, sent as `Bearer`.",
            _ => "The encoded key, sent as `ApiKey`.",
        };
        json!({
            "type": "object",
            "properties": {
                "host": form::text("Host"),
                "port": form::port(self.kind()),
                "credentials": {"type": "object", "properties": {
                    "api_key": {"type": "string", "title": "API key", "description": key, "writeOnly": true},
                    "username": form::text("User"),
                    "password": form::secret("Password")
                }},
                "metadata": {"type": "object", "properties": {
                    "index": {"type": "string", "title": "Indices", "description": "Only these; `*` stands for any text.", "default": "*"},
                    "page_size": {"type": "integer", "title": "Documents a page", "default": PAGE, "minimum": 1, "maximum": 10_000},
                    "sslmode": form::tls(),
                    "ssl_root_certificate": form::root_certificate()
                }},
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Request")
            },
            "required": ["host", "port", "credentials"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let mut wrong = check_required(config, credentials);
        if wrong.is_empty() {
            wrong.extend(base_url(config).err());
            wrong.extend(self.authorization(config, credentials).err());
            wrong.extend(Settings::read(config).err());
        }
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let authorization = self.authorization(&source.config, &source.credentials)?;
        let settings = Settings::read(&source.config)?;
        let server = Server { http: HttpSource::at_host(source)?, authorization, settings };
        Ok(Arc::new(OpenedStore::new(Indices { server: Arc::new(server) }, source)))
    }
}

/// What the metadata say.
#[derive(Debug)]
struct Settings {
    pattern: String,
    page: u64,
}

impl Settings {
    fn read(config: &SourceConfig) -> Result<Self, FieldError> {
        let pattern = config.metadata_text("index").unwrap_or("*");
        if pattern.contains(['/', '?', '#', '<', '>', ':', '\\', '"']) || pattern.starts_with('_') {
            return Err(FieldError::new("metadata.index", "must be names of indices, with * for any text"));
        }
        let page = match config.metadata.get("page_size").filter(|given| !given.is_null()) {
            Some(given) => given.as_u64().filter(|page| (1..=10_000).contains(page)),
            None => Some(PAGE),
        };
        let page = page.ok_or_else(|| FieldError::new("metadata.page_size", "must be a number from 1 to 10000"))?;
        Ok(Self { pattern: pattern.to_owned(), page })
    }
}

/// A server and who asks.
#[derive(Debug)]
struct Server {
    http: HttpSource,
    authorization: Authorization,
    settings: Settings,
}

impl Server {
    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.http.base().clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.authorization.request(&self.http, method, url)
    }

    async fn json<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ConnectorError> {
        self.http.json_patiently(request).await
    }
}

/// The answer of `_resolve/index`.
#[derive(Deserialize)]
struct Resolved {
    #[serde(default)]
    indices: Vec<ResolvedIndex>,
    #[serde(default)]
    aliases: Vec<Named>,
    #[serde(default)]
    data_streams: Vec<Named>,
}

#[derive(Deserialize)]
struct ResolvedIndex {
    name: String,
    #[serde(default)]
    attributes: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The indices of one server.
#[derive(Debug)]
struct Indices {
    server: Arc<Server>,
}

impl Indices {
    /// A name of an index goes into a path of its own, and cannot be one of several or a pattern.
    fn index<'a>(&self, table: &'a TableName) -> Result<&'a str, ConnectorError> {
        let name = table.table.as_str();
        let plain =
            !name.is_empty() && !name.starts_with(['_', '-', '+', '.']) && !name.contains(['*', ',', ':', '/', '<']);
        if table.schema == SCHEMA && plain {
            return Ok(name);
        }
        Err(ConnectorError::NotFound { what: format!("table {}.{name}", table.schema) })
    }
}

#[async_trait]
impl Store for Indices {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        let answer: Json = self.server.json(self.server.request(Method::GET, &[], &[])).await?;
        let product = match answer.pointer("/version/distribution").and_then(Json::as_str) {
            Some("opensearch") => "OpenSearch",
            _ => "Elasticsearch",
        };
        let version = answer.pointer("/version/number").and_then(Json::as_str);
        Ok(version.map(|version| format!("{product} {version}")))
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        let path = ["_resolve", "index", &self.server.settings.pattern];
        let resolved: Resolved = self.server.json(self.server.request(Method::GET, &path, &[])).await?;
        let open = |index: &ResolvedIndex| {
            index.attributes.iter().all(|a| !matches!(a.as_str(), "closed" | "hidden" | "system"))
        };
        let indices = resolved.indices.into_iter().filter(open).map(|index| index.name);
        let names = indices.chain(resolved.aliases.into_iter().chain(resolved.data_streams).map(|named| named.name));
        Ok(names.map(|name| TableName::new(SCHEMA, name)).filter(|table| self.index(table).is_ok()).collect())
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        let index = self.index(table)?;
        let mappings: Json = self.server.json(self.server.request(Method::GET, &[index, "_mapping"], &[])).await?;
        let fields = mapping::fields(&mappings)?;
        let body = json!({"size": SAMPLED, "sort": ["_doc"], "track_total_hits": true});
        let search = self.server.request(Method::POST, &[index, "_search"], scroll::WHOLE).json(&body);
        let answer: Value = self.server.json(search).await?;
        let rows = match answer.pointer("/hits/total/value") {
            Some(Value::Int(rows)) => u64::try_from(*rows).ok(),
            _ => None,
        };
        let documents = scroll::documents(answer)?;
        Ok(Described { columns: mapping::columns(&fields, documents), rows, comment: None })
    }

    fn collection(&self, table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        let index = self.index(table)?.to_owned();
        Ok(Arc::new(Index { server: self.server.clone(), index, columns: columns.to_vec() }))
    }
}

/// One index, alias or data stream.
#[derive(Debug)]
struct Index {
    server: Arc<Server>,
    index: String,
    columns: Vec<Column>,
}

impl Collection for Index {
    fn accepts(&self, condition: &Condition) -> bool {
        query::of(condition, &self.columns).is_some()
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        let filters: Vec<_> = scan.conditions.iter().filter_map(|c| query::of(c, &self.columns)).collect();
        let source = match scan.fields.as_slice() {
            [] => json!(false),
            fields => json!(fields.iter().filter(|field| *field != mapping::ID).collect::<Vec<_>>()),
        };
        let size = scan.limit.map_or(u64::MAX, |limit| limit as u64).clamp(1, self.server.settings.page);
        let body = json!({
            "size": size, "sort": ["_doc"], "track_total_hits": false, "_source": source,
            "query": {"bool": {"filter": filters}}
        });
        scroll::pages(self, body)
    }
}
