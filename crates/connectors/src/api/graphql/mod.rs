//! GraphQL: each field of the root query that answers a list or a connection of objects is a table in the schema
//! `query`.
//!
//! What there is to ask for is read by introspection when the source is opened; columns are the fields of the object
//! that need no argument, those of objects within it to a depth. A scan asks for the fields that the query needs, page
//! by page. Arguments that filter have no agreed meaning, so filters are not left to the source.

mod introspection;
mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};

use super::Authorization;
use crate::documents::{Collection, Column, Described, OpenedStore, Store, TableName};
use crate::http::HttpSource;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_required,
};
use introspection::RootField;
use rows::{Endpoint, Rows};

const SCHEMA: &str = "query";

/// Reads GraphQL APIs.
#[derive(Debug)]
pub struct Graphql;

#[async_trait]
impl Connector for Graphql {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Graphql
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: false, projections: true, limits: true, sorting: false, aggregates: false, joins: false }
    }

    fn form(&self) -> Json {
        let metadata = json!({
            "depth": {"type": "integer", "title": "Depth of nested objects", "default": 1, "minimum": 0, "maximum": 5},
            "page_size": {"type": "integer", "title": "Rows a page", "default": 100, "minimum": 1, "maximum": 10_000},
            "max_pages": {"type": "integer", "title": "Maximum pages per scan", "default": 1_000, "minimum": 1}
        });
        super::form(metadata, &["api_key", "oauth_token"])
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let mut wrong = check_required(config, credentials);
        if wrong.is_empty() {
            wrong.extend(super::base(credentials).err());
            wrong.extend(Authorization::read(config, credentials).err());
            for (name, range) in [("depth", 0..=5), ("page_size", 1..=10_000), ("max_pages", 1..=1_000_000)] {
                let given = config.metadata.get(name).filter(|given| !given.is_null());
                if given.is_some_and(|given| !given.as_u64().is_some_and(|number| range.contains(&number))) {
                    let reason = format!("must be a number from {} to {}", range.start(), range.end());
                    wrong.push(FieldError::new(format!("metadata.{name}"), reason));
                }
            }
        }
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let base = super::base(&source.credentials)?;
        let authorization = Authorization::read(&source.config, &source.credentials)?;
        let http = HttpSource::at(source, base)?;
        let number = |name: &str, usual: u64| source.config.metadata.get(name).and_then(Json::as_u64).unwrap_or(usual);
        let endpoint = Endpoint {
            http,
            authorization,
            page_size: number("page_size", 100).max(1),
            most_pages: number("max_pages", 1_000).max(1),
        };
        let endpoint = Arc::new(endpoint);
        let answer = endpoint.ask(introspection::QUERY).await?;
        let fields = introspection::root_fields(&answer, number("depth", 1).min(5) as usize)?;
        Ok(Arc::new(OpenedStore::new(Api { endpoint, fields: fields.into_iter().map(Arc::new).collect() }, source)))
    }
}

/// An API that was introspected.
#[derive(Debug)]
struct Api {
    endpoint: Arc<Endpoint>,
    fields: Vec<Arc<RootField>>,
}

impl Api {
    fn field(&self, name: &TableName) -> Result<&Arc<RootField>, ConnectorError> {
        let found = self.fields.iter().find(|field| name.schema == SCHEMA && field.name == name.table);
        found.ok_or_else(|| ConnectorError::NotFound { what: format!("table {}.{}", name.schema, name.table) })
    }
}

#[async_trait]
impl Store for Api {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        self.endpoint.ask("{ __typename }").await.map(|_| None)
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        Ok(self.fields.iter().map(|field| TableName::new(SCHEMA, &field.name)).collect())
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        let field = self.field(table)?;
        Ok(Described { columns: field.columns.clone(), rows: None, comment: field.description.clone() })
    }

    fn collection(&self, table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        let field = self.field(table)?.clone();
        Ok(Arc::new(Rows { endpoint: self.endpoint.clone(), field, columns: columns.to_vec() }))
    }
}
