//! Excel and OpenDocument workbooks (xlsx, xlsm, xlsb, xls, ods): each sheet one table in the schema `files`.
//!
//! A workbook has no types and no order that a scan could use, so it is read once, wholly, into memory, and its
//! tables are scans of that. What a small file may blow up to is measured before anything is built of it
//! ([`guard`]); what the cells of a column are, all of them say together ([`sheet`]).
//!
//! Formulas have the value that the program saved last, errors (`#N/A`) are null, and a merged cell has its value
//! in its first row and column. Hidden sheets are left out, unless `metadata.sheet` names one.

mod guard;
mod sheet;
mod workbook;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore};

use self::sheet::Table;
use super::{SCHEMA, columns, distinct, is_same, object_path, slug, unreadable, unreadable_object, validate_path};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, DiscoveredColumn, DiscoveredSchema,
    DiscoveredTable, OpenedSource, SourceConfig, SourceContext, TableKind,
};

/// A larger workbook is better a CSV or Parquet file.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// Workbooks that are taken apart at the same time: each may need hundreds of megabytes while it is.
static READERS: Semaphore = Semaphore::const_new(2);

#[derive(Debug)]
pub(super) struct Excel;

#[async_trait]
impl Connector for Excel {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Excel
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: false, projections: true, limits: false, sorting: false, aggregates: false, joins: false }
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "file_path": {"type": "string", "title": "File", "maxLength": 1000, "description": "A workbook in storage."},
                "metadata": {"type": "object", "properties": {
                    "sheet": {"type": "string", "title": "Sheet", "description": "The only sheet to read; all visible ones if left empty."},
                    "table": {"type": "string", "title": "Table name", "description": "For a source with one sheet; taken from the sheet's name if left empty."},
                    "has_header": {"type": "boolean", "title": "First row has the column names", "description": "Detected automatically if left empty."}
                }}
            },
            "required": ["file_path"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        validate_path(config, credentials)
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let path = object_path(&source.config)?;
        let meta = source.files.head(&path).await.map_err(|error| unreadable_object(&path, error))?;
        let (config, files) = (source.config.clone(), source.files.clone());
        Ok(Arc::new(OpenedWorkbook { config, meta, files, tables: OnceCell::new() }))
    }
}

/// A workbook that is there; its sheets are read when first asked for.
struct OpenedWorkbook {
    config: SourceConfig,
    meta: ObjectMeta,
    files: Arc<dyn ObjectStore>,
    tables: OnceCell<Vec<(String, Table)>>,
}

impl std::fmt::Debug for OpenedWorkbook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedWorkbook").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl OpenedWorkbook {
    async fn tables(&self) -> Result<&Vec<(String, Table)>, ConnectorError> {
        self.tables.get_or_try_init(|| self.read()).await
    }

    async fn read(&self) -> Result<Vec<(String, Table)>, ConnectorError> {
        let path = &self.meta.location;
        if self.meta.size > LARGEST_FILE {
            let reason = "a workbook may have at most 64 MiB; save its sheets as CSV or Parquet files";
            return Err(unreadable(path, reason, None));
        }
        let object = self.files.get(path).await.map_err(|error| unreadable_object(path, error))?;
        let content = object.bytes().await.map_err(|error| unreadable_object(path, error))?;
        let _permit = READERS.acquire().await.map_err(ConnectorError::internal)?;
        let wanted = self.config.metadata_text("sheet").map(str::to_owned);
        let has_header = self.config.metadata.get("has_header").and_then(Value::as_bool);
        // On a thread of its own, since it takes long, and since the reader of a hostile file may panic.
        let read = tokio::task::spawn_blocking(move || workbook::read(content, wanted.as_deref(), has_header)).await;
        let sheets = match read {
            Ok(Ok(sheets)) => sheets,
            Ok(Err(reason)) => return Err(unreadable(path, reason, None)),
            Err(panic) => {
                tracing::info!(%panic, %path, "the reader of a workbook gave up");
                return Err(unreadable(path, workbook::DAMAGED, None));
            }
        };
        let own_name = self.config.metadata_text("table").filter(|_| sheets.len() == 1);
        let titles: Vec<String> = sheets.iter().map(|(name, _)| slug(own_name.unwrap_or(name))).collect();
        let names = distinct(titles.into_iter());
        Ok(names.into_iter().zip(sheets.into_iter().map(|(_, table)| table)).collect())
    }
}

#[async_trait]
impl OpenedSource for OpenedWorkbook {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        self.tables().await.map(|_| None)
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        if schema.is_some_and(|schema| schema != SCHEMA) {
            return Ok(Vec::new());
        }
        let tables = self.tables().await?.iter().map(|(name, table)| DiscoveredTable {
            name: name.clone(),
            kind: TableKind::Table,
            columns: columns(&table.schema)
                .into_iter()
                .map(|column| DiscoveredColumn {
                    source_type: sheet::source_type(&column.arrow_type).to_owned(),
                    ..column
                })
                .collect(),
            row_count: Some(table.rows),
            comment: None,
        });
        Ok(vec![DiscoveredSchema { name: SCHEMA.to_owned(), tables: tables.collect() }])
    }

    async fn open_table(
        &self,
        schema: &str,
        table: &str,
        _known: Option<&DiscoveredTable>,
    ) -> Result<Arc<dyn TableProvider>, ConnectorError> {
        let missing = || ConnectorError::no_table(schema, table);
        let (_, found) = self.tables().await?.iter().find(|(name, _)| name == table).ok_or_else(missing)?;
        if schema != SCHEMA {
            return Err(missing());
        }
        let table = MemTable::try_new(found.schema.clone(), vec![found.batches.clone()]);
        Ok(Arc::new(table.map_err(ConnectorError::internal)?))
    }

    async fn is_current(&self) -> bool {
        self.files.head(&self.meta.location).await.is_ok_and(|now| is_same(&now, &self.meta))
    }
}
