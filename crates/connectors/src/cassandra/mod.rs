//! Cassandra, and ScyllaDB: the tables and materialized views of one keyspace, as tables in a schema of its name.
//!
//! ```text
//!   session.rs     what is entered, and the driver's session: nodes through the guard, TLS
//!   types.rs       CQL's types and values as columns and values of documents
//!   statement.rs   the one SELECT of a scan
//! ```
//!
//! What CQL answers by its keys is left to it: equality on the whole partition key, and in it ranges of the clustering
//! columns. Everything else would need `ALLOW FILTERING`, which is never sent; the engine filters such rows.

mod session;
mod statement;
mod types;

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use rivergen_kernel::error::FieldError;
use scylla::cluster::metadata::{ColumnKind, Table as Metadata};
use scylla::value::Row;
use serde_json::{Value as Json, json};

use crate::documents::{
    Collection, Column, Condition, Described, Document, OpenedStore, Pages, Scan, Store, TableName,
};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields, form,
};
use session::{Cluster, Settings};
use statement::{Statement, role};

/// Rows of a page, at most.
const PAGE: i32 = 1_000;

/// Reads Cassandra.
#[derive(Debug)]
pub struct Cassandra;

#[async_trait]
impl Connector for Cassandra {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Cassandra
    }

    fn abilities(&self) -> Abilities {
        Abilities::SCANS
    }

    fn form(&self) -> Json {
        json!({
            "type": "object",
            "properties": {
                "host": form::text("Host"),
                "port": {"type": "integer", "title": "Port", "default": 9042},
                "database_name": form::text("Keyspace"),
                "credentials": form::user_and_password(),
                "metadata": {"type": "object", "properties": {
                    "datacenter": form::text("Preferred data centre"),
                    "sslmode": form::tls(),
                    "ssl_root_certificate": form::root_certificate()
                }},
                "connection_pool_size": form::pool_size("Connections per node"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query")
            },
            "required": ["host", "port", "database_name"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || Settings::read(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = Settings::read(&source.config, &source.credentials)?;
        let cluster = Cluster::open(source, settings).await?;
        Ok(Arc::new(OpenedStore::new(Keyspace { cluster: Arc::new(cluster) }, source)))
    }
}

/// The one keyspace of a source.
#[derive(Debug)]
struct Keyspace {
    cluster: Arc<Cluster>,
}

#[async_trait]
impl Store for Keyspace {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        let statement = Statement::plain("SELECT release_version FROM system.local");
        let mut pages = self.cluster.pages(statement, 1).await?;
        let row = pages.try_next().await?.and_then(|rows| rows.into_iter().next());
        let version = row.and_then(|row| row.columns.into_iter().next()?);
        if self.cluster.keyspace(|_| ()).is_none() {
            return Err(ConnectorError::NotFound { what: format!("keyspace {}", self.cluster.name()) });
        }
        Ok(version.and_then(|version| Some(format!("Cassandra {}", version.as_text()?))))
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        self.cluster.refresh().await?;
        let names = self.cluster.keyspace(|keyspace| {
            let names = keyspace.tables.keys().chain(keyspace.views.keys());
            names.map(|name| TableName::new(self.cluster.name(), name)).collect()
        });
        names.ok_or_else(|| ConnectorError::NotFound { what: format!("keyspace {}", self.cluster.name()) })
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        let columns = self.cluster.keyspace(|keyspace| {
            let view = || keyspace.views.get(&table.table).map(|view| &view.view_metadata);
            keyspace.tables.get(&table.table).or_else(view).map(columns)
        });
        match columns.flatten() {
            Some(columns) if table.schema == self.cluster.name() => {
                Ok(Described { columns, rows: None, comment: None })
            }
            _ => Err(ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) }),
        }
    }

    fn collection(&self, table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        Ok(Arc::new(Rows { cluster: self.cluster.clone(), name: table.clone(), columns: columns.to_vec() }))
    }
}

/// The columns of a table: its key, then the others by name.
fn columns(table: &Metadata) -> Vec<Column> {
    let mut others: Vec<_> = table
        .columns
        .iter()
        .filter(|(_, column)| matches!(column.kind, ColumnKind::Regular | ColumnKind::Static))
        .collect();
    others.sort_by_key(|(name, _)| *name);
    let has_static = others.iter().any(|(_, column)| column.kind == ColumnKind::Static);
    let keys = [(&table.partition_key, role::PARTITION), (&table.clustering_key, role::CLUSTERING)];
    let keys = keys.into_iter().flat_map(|(names, part)| {
        names.iter().zip(0..).filter_map(move |(name, at)| Some((name, table.columns.get(name)?, part, at)))
    });
    let others = others.into_iter().map(|(name, column)| {
        let part = if column.kind == ColumnKind::Static { role::STATIC } else { role::REGULAR };
        (name, column, part, 0)
    });
    let column = |(name, column, part, at): (&String, &scylla::cluster::metadata::Column, &str, i32)| {
        let cql = types::name(&column.typ);
        let native = json!({"role": part, "at": at, "type": cql});
        let found = Column::new(name, cql, types::data_type(&column.typ)?).with_native(native);
        // A partition that has static values alone is a row without a clustering key.
        let is_there = part == role::PARTITION || (part == role::CLUSTERING && !has_static);
        Some(if is_there { found.into_key() } else { found })
    };
    keys.chain(others).filter_map(column).collect()
}

/// A table or view.
#[derive(Debug)]
struct Rows {
    cluster: Arc<Cluster>,
    name: TableName,
    columns: Vec<Column>,
}

impl Collection for Rows {
    fn accepts(&self, condition: &Condition) -> bool {
        statement::accepts(condition, &self.columns)
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        let (statement, selected) = Statement::of(&self.name, &self.columns, &scan);
        let page = scan.limit.and_then(|limit| i32::try_from(limit).ok()).unwrap_or(PAGE).clamp(1, PAGE);
        futures::stream::once(async move {
            let pages = self.cluster.pages(statement, page).await?;
            Ok::<_, ConnectorError>(pages.try_filter_map(move |rows| {
                let documents: Result<Vec<_>, _> = rows.into_iter().map(|row| document(row, &selected)).collect();
                // A page may be empty and not be the last.
                std::future::ready(documents.map(|documents| (!documents.is_empty()).then_some(documents)))
            }))
        })
        .try_flatten()
        .boxed()
    }
}

fn document(row: Row, names: &[String]) -> Result<Document, ConnectorError> {
    let field = |(name, value): (&String, Option<_>)| {
        let Some(value) = value.map(types::value) else { return Ok((name.clone(), crate::documents::Value::Null)) };
        let value = value.ok_or_else(|| ConnectorError::UnreadableValue {
            column: name.clone(),
            expected: "a value that a column can hold".to_owned(),
        })?;
        Ok((name.clone(), value))
    };
    names.iter().zip(row.columns).map(field).collect()
}
