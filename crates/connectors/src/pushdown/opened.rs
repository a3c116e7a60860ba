//! A database of tables as an opened source.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use super::{RemoteDatabase, RemoteTable};
use crate::{ConnectorError, DiscoveredSchema, DiscoveredTable, OpenedSource};

/// The part of a catalogue that is asked for: everything, one schema, or one table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub schema: Option<&'a str>,
    pub table: Option<&'a str>,
}

/// A database that tells of its tables.
#[async_trait]
pub(crate) trait Catalogued: RemoteDatabase + Sized {
    /// Something small that tells the version.
    async fn version(&self) -> Result<Option<String>, ConnectorError>;

    /// The one schema that the source is confined to.
    fn only_schema(&self) -> Option<&str>;

    /// What is wanted, as far as it may be read.
    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError>;

    /// The catalogue, project or database that its schemas stand in, where a table's name has to say so.
    fn container(&self) -> Option<&str> {
        None
    }

    /// A table's quoted and qualified name.
    fn qualified(&self, schema: &str, table: &str) -> String {
        let parts = self.container().into_iter().chain([schema, table]);
        parts.map(|part| self.dialect().quote(part)).collect::<Vec<_>>().join(".")
    }
}

/// The source over such a database.
pub(crate) struct OpenedDatabase<D>(Arc<D>);

impl<D: Catalogued> OpenedDatabase<D> {
    pub fn new(database: D) -> Self {
        Self(Arc::new(database))
    }

    fn outside(&self, schema: &str) -> bool {
        self.0.only_schema().is_some_and(|only| only != schema)
    }

    fn provider(&self, schema: &str, table: &DiscoveredTable) -> Option<Arc<dyn TableProvider>> {
        let from = self.0.qualified(schema, &table.name);
        Some(RemoteTable::discovered_as(self.0.clone(), from, table, None)?.into_provider())
    }
}

impl<D: Catalogued> fmt::Debug for OpenedDatabase<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedDatabase").field("identity", &self.0.identity()).finish_non_exhaustive()
    }
}

#[async_trait]
impl<D: Catalogued> OpenedSource for OpenedDatabase<D> {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        self.0.version().await
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        if schema.is_some_and(|schema| self.outside(schema)) {
            return Ok(Vec::new());
        }
        self.0.catalogue(Wanted { schema: schema.or(self.0.only_schema()), table: None }).await
    }

    async fn open_table(
        &self,
        schema: &str,
        table: &str,
        known: Option<&DiscoveredTable>,
    ) -> Result<Arc<dyn TableProvider>, ConnectorError> {
        let not_found = || ConnectorError::no_table(schema, table);
        if self.outside(schema) {
            return Err(not_found());
        }
        if let Some(provider) = known.and_then(|known| self.provider(schema, known)) {
            return Ok(provider);
        }
        let found = self.0.catalogue(Wanted { schema: Some(schema), table: Some(table) }).await?;
        // A database may compare names without their case.
        let found = found.into_iter().filter(|found| found.name == schema).flat_map(|schema| schema.tables);
        let found = found.into_iter().find(|found| found.name == table).ok_or_else(not_found)?;
        self.provider(schema, &found).ok_or_else(not_found)
    }
}
