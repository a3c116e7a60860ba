//! A source of collections, opened.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use futures::{StreamExt, stream};

use super::Collection;
use super::shape::Column;
use super::table::DocumentTable;
use crate::{
    ConnectorError, DiscoveredSchema, DiscoveredTable, OpenedSource, Progress, SourceContext, TableKind, retry,
};

/// Tables of one source that are discovered; of more, the first by name.
const MOST_TABLES: usize = 1_000;
/// Collections that are looked at at a time.
const AT_ONCE: usize = 4;

/// Where a collection stands among the source's tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableName {
    pub schema: String,
    pub table: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }
}

/// What a collection holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Described {
    /// None where nothing is known of it: it is then no table.
    pub columns: Vec<Column>,
    pub rows: Option<u64>,
    pub comment: Option<String>,
}

/// A source whose tables are collections of documents.
#[async_trait]
pub(crate) trait Store: fmt::Debug + Send + Sync + 'static {
    /// Reads something small; answers the version where there is one.
    async fn probe(&self) -> Result<Option<String>, ConnectorError>;

    /// The collections, of one schema or of all.
    async fn tables(&self, schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError>;

    /// What a collection holds; [`ConnectorError::NotFound`] where it is not there.
    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError>;

    /// The collection itself, with what was remembered of its columns.
    fn collection(&self, table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError>;
}

/// A store as every source is: what cannot be reached is tried again.
#[derive(Debug)]
pub(crate) struct OpenedStore<S> {
    store: S,
    max_retries: u32,
}

impl<S: Store> OpenedStore<S> {
    pub fn new(store: S, source: &SourceContext) -> Self {
        Self { store, max_retries: source.config.max_retries }
    }

    async fn describe(&self, table: TableName) -> (TableName, Result<Described, ConnectorError>) {
        let found = retry::reaching(self.max_retries, || self.store.describe(&table)).await;
        (table, found)
    }
}

#[async_trait]
impl<S: Store> OpenedSource for OpenedStore<S> {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        retry::reaching(self.max_retries, || self.store.probe()).await
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        self.discover_watched(schema, &Progress::default()).await
    }

    async fn discover_watched(
        &self,
        schema: Option<&str>,
        progress: &Progress,
    ) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let mut tables = retry::reaching(self.max_retries, || self.store.tables(schema)).await?;
        tables.retain(|table| schema.is_none_or(|schema| table.schema == schema));
        tables.sort();
        tables.dedup();
        tables.truncate(MOST_TABLES);
        progress.found(tables.len());
        let mut described = stream::iter(tables).map(|table| self.describe(table)).buffered(AT_ONCE);
        let mut schemas: BTreeMap<String, Vec<DiscoveredTable>> = BTreeMap::new();
        while let Some((table, found)) = described.next().await {
            progress.look();
            match found {
                Ok(found) if !found.columns.is_empty() => {
                    schemas.entry(table.schema).or_default().push(discovered(&table.table, found));
                }
                Ok(_) => {}
                Err(error) if of_one_table(&error) => {
                    let cause: &dyn std::error::Error = &error;
                    tracing::warn!(error = cause, table = table.table, "a table was left out of a discovery");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(schemas.into_iter().map(|(name, tables)| DiscoveredSchema { name, tables }).collect())
    }

    async fn open_table(
        &self,
        schema: &str,
        table: &str,
        known: Option<&DiscoveredTable>,
    ) -> Result<Arc<dyn TableProvider>, ConnectorError> {
        let name = TableName::new(schema, table);
        let recalled = known.and_then(|known| known.columns.iter().map(Column::recall).collect::<Option<Vec<_>>>());
        let (columns, rows) = match recalled {
            Some(columns) => (columns, known.and_then(|known| known.row_count)),
            None => {
                let (_, found) = self.describe(name.clone()).await;
                let found = found?;
                (found.columns, found.rows)
            }
        };
        if columns.is_empty() {
            return Err(ConnectorError::no_table(schema, table));
        }
        let collection = self.store.collection(&name, &columns)?;
        Ok(Arc::new(DocumentTable::new(collection, columns, rows, self.max_retries)))
    }
}

fn discovered(name: &str, found: Described) -> DiscoveredTable {
    let columns = found.columns.into_iter().zip(1..).map(|(column, position)| column.describe(position)).collect();
    let (row_count, comment) = (found.rows, found.comment);
    DiscoveredTable { name: name.to_owned(), kind: TableKind::Table, columns, row_count, comment }
}

/// Whether an error says something of one collection only: the others can still be read.
fn of_one_table(error: &ConnectorError) -> bool {
    matches!(
        error,
        ConnectorError::NotFound { .. }
            | ConnectorError::QueryFailed { .. }
            | ConnectorError::Unreadable { .. }
            | ConnectorError::UnreadableValue { .. }
            | ConnectorError::Unsupported(_)
    )
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::sync::Semaphore;

    use super::*;

    /// Four collections, of which one cannot be read; each is described when it is permitted.
    #[derive(Debug)]
    struct Shelf(Arc<Semaphore>);

    #[async_trait]
    impl Store for Shelf {
        async fn probe(&self) -> Result<Option<String>, ConnectorError> {
            Ok(None)
        }

        async fn tables(&self, _: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
            Ok(["a", "b", "broken", "c"].map(|name| TableName::new("shelf", name)).to_vec())
        }

        async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
            self.0.acquire().await.map_err(ConnectorError::internal)?.forget();
            match table.table.as_str() {
                "broken" => Err(ConnectorError::Unsupported("nobody can read it".to_owned())),
                _ => Ok(Described {
                    columns: vec![Column::new("id", "text", datafusion::arrow::datatypes::DataType::Utf8)],
                    ..Described::default()
                }),
            }
        }

        fn collection(&self, _: &TableName, _: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
            Err(ConnectorError::Unsupported("nothing is read here".to_owned()))
        }
    }

    #[tokio::test]
    async fn a_discovery_tells_how_many_tables_it_has_looked_at() {
        let permits = Arc::new(Semaphore::new(0));
        let source = OpenedStore { store: Shelf(permits.clone()), max_retries: 0 };
        let progress = Progress::default();
        assert_eq!(progress.tables(), None);
        let mut discovery = source.discover_watched(None, &progress);
        assert!((&mut discovery).now_or_never().is_none());
        assert_eq!(progress.tables(), Some((0, 4)));
        permits.add_permits(2);
        assert!((&mut discovery).now_or_never().is_none());
        assert_eq!(progress.tables(), Some((2, 4)));
        permits.add_permits(2);
        let found = discovery.await.unwrap();
        // What cannot be read was looked at, too.
        assert_eq!(progress.tables(), Some((4, 4)));
        let names: Vec<_> = found[0].tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
