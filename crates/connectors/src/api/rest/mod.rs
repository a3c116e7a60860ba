//! REST APIs: each endpoint that answers an array of objects is a table in the schema `api`.
//!
//! The endpoints are described in the metadata, or found in an OpenAPI document. Only GET is ever sent. Rows come page
//! by page; a scan that has enough asks for no further one. An API has no agreed way to filter, so the source narrows
//! only by the columns that the endpoint's owner gave a parameter for.

mod endpoint;
mod openapi;
mod pages;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};
use url::Url;

use super::Authorization;
use crate::documents::{
    Collection, Column, Condition, Described, OpenedStore, Operator, Pages, Scan, Store, TableName, Value, moment,
    parse_moment, sampled,
};
use crate::http::HttpSource;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_required,
};
use endpoint::Endpoint;
use pages::Pager;

const SCHEMA: &str = "api";
/// Rows of the first page that tell what the columns are.
const SAMPLED: usize = 1_000;

/// Reads REST APIs.
#[derive(Debug)]
pub struct Rest;

/// The document of `metadata.openapi`, or where it is.
enum OpenApi {
    Here(Json),
    At(Url),
}

#[async_trait]
impl Connector for Rest {
    fn kind(&self) -> DataSourceType {
        DataSourceType::RestApi
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: false, limits: true, sorting: false, aggregates: false, joins: false }
    }

    fn form(&self) -> Json {
        let pagination = json!({
            "type": "object", "title": "Pages",
            "description": "How the next rows are asked for; with the header Link if left empty.",
            "properties": {
                "kind": {"type": "string", "enum": ["none", "link", "next", "page", "offset", "cursor"]},
                "pointer": {"type": "string", "description": "JSON pointer to the next address or cursor."},
                "parameter": {"type": "string"},
                "first": {"type": "integer", "default": 1},
                "size": {"type": "object", "properties": {
                    "parameter": {"type": "string", "default": "limit"}, "rows": {"type": "integer", "minimum": 1}}, "required": ["rows"]}
            },
            "required": ["kind"]
        });
        let metadata = json!({
            "endpoints": {"type": "array", "title": "Tables", "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "title": "Table"},
                    "path": {"type": "string", "title": "Path below the address"},
                    "rows": {"type": "string", "title": "JSON pointer to the rows", "description": "Detected automatically if left empty."},
                    "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
                    "filters": {"type": "object", "additionalProperties": {"type": "string"}, "description": "From a column to the parameter that filters by it."},
                    "timestamps": {"type": "array", "items": {"type": "string"}},
                    "description": {"type": "string"},
                    "pagination": pagination
                },
                "required": ["path"]
            }},
            "openapi": {"type": ["string", "object"], "title": "OpenAPI document", "description": "The document as JSON, or its address on the same server. Used if no tables are listed."},
            "pagination": pagination,
            "max_pages": {"type": "integer", "title": "Maximum pages per scan", "default": pages::MOST_PAGES, "minimum": 1}
        });
        super::form(metadata, &["api_key", "oauth_token", "username", "password"])
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let mut wrong = check_required(config, credentials);
        if wrong.is_empty() {
            wrong.extend(Authorization::read(config, credentials).err());
            wrong.extend(endpoint::listed(config).err());
            match super::base(credentials) {
                Ok(base) => wrong.extend(tables(config, &base).err()),
                Err(error) => wrong.push(error),
            }
            wrong.dedup();
        }
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let config = &source.config;
        let base = super::base(&source.credentials)?;
        let authorization = Authorization::read(config, &source.credentials)?;
        let http = HttpSource::at(source, base.clone())?;
        let (mut endpoints, openapi) = tables(config, &base)?;
        let document = match openapi {
            Some(OpenApi::At(url)) => {
                let response = http.send_patiently(authorization.request(&http, Method::GET, url)).await?;
                let body = http.read(response).await?;
                let parsed = serde_json::from_slice(&body);
                Some(parsed.map_err(|_| ConnectorError::Unsupported("metadata.openapi does not lead to JSON".into()))?)
            }
            Some(OpenApi::Here(document)) => Some(document),
            None => None,
        };
        if let Some(document) = document {
            let pagination = endpoint::pagination(config)?;
            endpoints = openapi::endpoints(&document, pagination.as_ref())
                .map_err(|reason| ConnectorError::Unsupported(format!("metadata.openapi {reason}")))?;
        }
        let most_pages = config.metadata.get("max_pages").and_then(Json::as_u64).unwrap_or(pages::MOST_PAGES).max(1);
        let pager = |endpoint: Endpoint| {
            let (http, authorization, base) = (http.clone(), authorization.clone(), base.clone());
            Arc::new(Pager { http, authorization, base, endpoint, most_pages })
        };
        let endpoints = endpoints.into_iter().map(|endpoint| (endpoint.name.clone(), pager(endpoint))).collect();
        Ok(Arc::new(OpenedStore::new(Api { endpoints }, source)))
    }
}

/// The tables that are listed; where there are none, the document that has them.
fn tables(config: &SourceConfig, base: &Url) -> Result<(Vec<Endpoint>, Option<OpenApi>), FieldError> {
    let endpoints = endpoint::listed(config)?;
    if !endpoints.is_empty() {
        return Ok((endpoints, None));
    }
    let wrong = |reason: &str| FieldError::new("metadata.openapi", reason);
    let openapi = match config.metadata.get("openapi") {
        None | Some(Json::Null) => {
            let reason = "must list the paths that are tables, or give metadata.openapi";
            return Err(FieldError::new("metadata.endpoints", reason));
        }
        Some(Json::String(text)) if !text.trim_start().starts_with('{') => {
            let mut below = base.clone();
            if let Ok(mut path) = below.path_segments_mut() {
                path.pop_if_empty().push("");
            }
            let url = below.join(text).ok().filter(|url| super::is_ours(base, url));
            OpenApi::At(url.ok_or_else(|| wrong("must be at the same server as the connection string"))?)
        }
        Some(given) => {
            let document: Json = endpoint::parse(given).map_err(|_| wrong("is neither JSON nor an address"))?;
            openapi::endpoints(&document, None).map_err(wrong)?;
            OpenApi::Here(document)
        }
    };
    Ok((endpoints, Some(openapi)))
}

/// An API whose endpoints are known.
#[derive(Debug)]
struct Api {
    endpoints: BTreeMap<String, Arc<Pager>>,
}

impl Api {
    fn endpoint(&self, name: &TableName) -> Result<&Arc<Pager>, ConnectorError> {
        let found = self.endpoints.get(&name.table).filter(|_| name.schema == SCHEMA);
        found.ok_or_else(|| ConnectorError::NotFound { what: format!("table {}.{}", name.schema, name.table) })
    }
}

#[async_trait]
impl Store for Api {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        match self.endpoints.values().next() {
            Some(endpoint) => endpoint.first_page().await.map(|_| None),
            None => Ok(None),
        }
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        Ok(self.endpoints.keys().map(|name| TableName::new(SCHEMA, name)).collect())
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        let endpoint = self.endpoint(table)?;
        let mut rows = endpoint.first_page().await?;
        rows.truncate(SAMPLED);
        let mut columns = sampled(&rows);
        for column in &mut columns {
            let values = || rows.iter().flatten().filter(|(name, value)| *name == column.name && *value != Value::Null);
            let fits = values().all(|(_, value)| value.as_str().and_then(parse_moment).is_some());
            if fits && endpoint.endpoint.timestamps.contains(&column.name) {
                *column = Column::new(&column.name, "timestamp", moment());
            }
        }
        Ok(Described { columns, rows: None, comment: endpoint.endpoint.description.clone() })
    }

    fn collection(&self, table: &TableName, _columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        Ok(self.endpoint(table)?.clone())
    }
}

impl Pager {
    /// The parameter that narrows by the condition, with its value.
    fn narrowing(&self, condition: &Condition) -> Option<(&str, String)> {
        let Condition::Compare { column, operator: Operator::Equal, value } = condition else { return None };
        let parameter = self.endpoint.filters.get(column)?;
        matches!(value, Value::Bool(_) | Value::Int(_) | Value::Text(_)).then(|| (parameter.as_str(), value.to_text()))
    }
}

impl Collection for Pager {
    fn accepts(&self, condition: &Condition) -> bool {
        self.narrowing(condition).is_some()
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        let narrowed = scan.conditions.iter().filter_map(|condition| self.narrowing(condition));
        // A parameter given twice means whatever the server likes.
        let narrowed: BTreeMap<String, String> = narrowed.map(|(name, value)| (name.to_owned(), value)).collect();
        self.clone().pages(narrowed)
    }
}
