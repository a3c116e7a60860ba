//! Redis and what speaks like it (Valkey, KeyDB): groups of keys as tables.
//!
//! Redis has no tables, so keys that begin alike are one: `user:1`, `user:2` are rows of `user`, with the fields of
//! their hashes as columns. The metadata may name tables by pattern instead ([`keyspace`]). Besides stands `keys`, all
//! keys with their types. Keys are walked by SCAN, which does not block the server; what is written meanwhile may or
//! may not be seen. Only commands that read are sent ([`server`]).

mod keyspace;
mod rows;
mod server;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};

use crate::documents::{Collection, Column, Condition, Described, OpenedStore, Pages, Scan, Store, TableName};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_required, form,
};
use keyspace::{KeyTable, Kind};
use server::{Server, Settings};

/// The column of the key.
const KEY: &str = "_key";

/// Reads Redis databases.
#[derive(Debug)]
pub struct Redis;

#[async_trait]
impl Connector for Redis {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Redis
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
                "database_name": {"type": "string", "title": "Database number", "default": "0"},
                "connection_string": {"type": "string", "title": "Connection string", "description": "redis://user:password@host:6379/0, or rediss:// for TLS; replaces the other fields.", "writeOnly": true},
                "credentials": form::user_and_password(),
                "metadata": {"type": "object", "properties": {
                    "tables": {"type": "array", "title": "Tables", "description": "If left empty, keys are grouped by what comes before the first colon.", "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string", "title": "Table"},
                            "pattern": {"type": "string", "title": "Key pattern", "description": "As in the command KEYS: `user:*`."},
                            "kind": {"type": "string", "enum": Kind::NAMES, "description": "Detected automatically if left empty."}
                        },
                        "required": ["name", "pattern"]
                    }},
                    "sslmode": form::tls(),
                    "ssl_root_certificate": form::root_certificate()
                }},
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Command")
            },
            "anyOf": [{"required": ["host", "port"]}, {"required": ["connection_string"]}]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let mut wrong = check_required(config, credentials);
        if wrong.is_empty() {
            wrong.extend(Settings::read(config, credentials).err());
            wrong.extend(keyspace::listed(config).err());
        }
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = Settings::read(&source.config, &source.credentials)?;
        let listed = keyspace::listed(&source.config)?;
        let server = Arc::new(Server::new(settings, source.guard.clone())?);
        Ok(Arc::new(OpenedStore::new(Keyspace { server, listed }, source)))
    }
}

/// One database of a server.
#[derive(Debug)]
struct Keyspace {
    server: Arc<Server>,
    /// The tables of the metadata; found out where there are none.
    listed: Vec<KeyTable>,
}

impl Keyspace {
    fn schema(&self) -> String {
        format!("db{}", self.server.settings().database)
    }
}

#[async_trait]
impl Store for Keyspace {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        self.server.version().await
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        let names = match self.listed.as_slice() {
            [] => keyspace::found(&self.server).await?.into_iter().map(|table| table.name).collect(),
            listed => listed.iter().map(|table| table.name.clone()).collect::<Vec<_>>(),
        };
        Ok(names.into_iter().map(|name| TableName::new(self.schema(), name)).collect())
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        let not_found = || ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) };
        if table.schema != self.schema() {
            return Err(not_found());
        }
        let listed = self.listed.iter().find(|known| known.name == table.table);
        let keys = match listed {
            Some(listed) => listed.clone(),
            None if self.listed.is_empty() => KeyTable::named(&table.table).ok_or_else(not_found)?,
            None => return Err(not_found()),
        };
        if keys.kind == Some(Kind::Keys) {
            let columns = vec![
                Column::new(KEY, "key", DataType::Utf8).into_key().with_native(json!(keys)),
                Column::new("type", "type", DataType::Utf8),
                Column::new("ttl_ms", "integer", DataType::Int64),
            ];
            return Ok(Described { columns, rows: self.server.size().await.ok(), comment: None });
        }
        let (kind, columns) = rows::sample(&self.server, &keys).await?;
        if columns.is_empty() {
            return Err(not_found());
        }
        let keys = KeyTable { kind: Some(kind), ..keys };
        let key = Column::new(KEY, "key", DataType::Utf8).into_key().with_native(json!(keys));
        let columns = [key].into_iter().chain(columns).collect();
        Ok(Described { columns, rows: None, comment: None })
    }

    fn collection(&self, table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        let keys = columns.first().and_then(|key| serde_json::from_value(key.native.clone()).ok());
        let keys: KeyTable =
            keys.ok_or_else(|| ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) })?;
        Ok(Arc::new(Keys { server: self.server.clone(), keys, columns: columns.to_vec() }))
    }
}

/// The keys of one table.
#[derive(Debug)]
struct Keys {
    server: Arc<Server>,
    keys: KeyTable,
    columns: Vec<Column>,
}

impl Collection for Keys {
    fn accepts(&self, condition: &Condition) -> bool {
        rows::which(condition).is_some()
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        rows::pages(self, scan)
    }
}
