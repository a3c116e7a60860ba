//! SQLite database files.
//!
//! The file lies sealed in storage, and SQLite wants a plain one: a private copy is made when the source is opened
//! and removed when it is closed ([`copy`]). The copy cannot change, so what its columns hold is counted once,
//! exactly ([`columns`]): SQLite lets any value stand in any column, and a declared type is only a hint. A column
//! whose values are of several kinds is read as text.

mod columns;
mod copy;
mod database;
mod decode;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::RemoteTable;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, DiscoveredSchema, DiscoveredTable, OpenedSource,
    SourceConfig, SourceContext, check_required, form,
};
use copy::{Copies, PlainCopy};
use database::Database;

/// The schema that every SQLite database has.
const SCHEMA: &str = "main";

/// Reads SQLite 3 database files from storage.
#[derive(Debug, Default)]
pub struct Sqlite {
    copies: Copies,
}

#[async_trait]
impl Connector for Sqlite {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Sqlite
    }

    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "file_path": {"type": "string", "title": "File", "maxLength": 1000, "description": "An SQLite database in storage."},
                "connection_pool_size": form::pool_size("Maximum queries at once"),
                "query_timeout": form::query_timeout("Query")
            },
            "required": ["file_path"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_required(config, credentials)
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let copy = self.copies.open(source).await?;
        let database = Arc::new(Database::open(source, copy).await?);
        Ok(Arc::new(OpenedSqlite { database, source: source.clone(), tables: Mutex::default() }))
    }
}

/// A copy that is open, and what was found in it.
#[derive(Debug)]
struct OpenedSqlite {
    database: Arc<Database>,
    source: SourceContext,
    tables: Mutex<HashMap<String, Arc<DiscoveredTable>>>,
}

#[async_trait]
impl OpenedSource for OpenedSqlite {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        let file = self.database.file().to_owned();
        // Reads the schema, and so meets most kinds of damage.
        self.database.run(move |connection| columns::table_names(connection, &file).map(drop)).await?;
        Ok(Some(format!("SQLite {}", rusqlite::version())))
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        if schema.is_some_and(|schema| schema != SCHEMA) {
            return Ok(Vec::new());
        }
        let (file, version) = (self.database.file().to_owned(), self.database.version().to_owned());
        let tables = self.database.run(move |connection| columns::discover(connection, &file, &version)).await?;
        for table in &tables {
            self.remembered().insert(table.name.clone(), Arc::new(table.clone()));
        }
        Ok(vec![DiscoveredSchema { name: SCHEMA.to_owned(), tables }])
    }

    async fn open_table(
        &self,
        schema: &str,
        table: &str,
        known: Option<&DiscoveredTable>,
    ) -> Result<Arc<dyn TableProvider>, ConnectorError> {
        let not_found = || ConnectorError::no_table(schema, table);
        if schema != SCHEMA {
            return Err(not_found());
        }
        if let Some(provider) = known.and_then(|known| self.provider(known)) {
            return Ok(provider);
        }
        let remembered = self.remembered().get(table).cloned();
        let found = match remembered {
            Some(found) => found,
            None => {
                let (file, version) = (self.database.file().to_owned(), self.database.version().to_owned());
                let name = table.to_owned();
                let found = self
                    .database
                    .run(move |connection| columns::discover_table(connection, &name, &file, &version))
                    .await?;
                let found = Arc::new(found.ok_or_else(not_found)?);
                self.remembered().insert(table.to_owned(), found.clone());
                found
            }
        };
        self.provider(&found).ok_or_else(not_found)
    }

    async fn is_current(&self) -> bool {
        PlainCopy::version_of(&self.source).await.is_ok_and(|version| version == self.database.version())
    }
}

impl OpenedSqlite {
    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<DiscoveredTable>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn provider(&self, table: &DiscoveredTable) -> Option<Arc<dyn TableProvider>> {
        let (database, version) = (self.database.clone(), self.database.version());
        Some(RemoteTable::discovered(database, SCHEMA, table, Some(version))?.into_provider())
    }
}
