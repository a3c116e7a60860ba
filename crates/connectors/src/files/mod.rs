//! Files in storage: CSV, TSV, JSON, JSON lines and Parquet, each one table in the schema `files`.
//!
//! What a file holds is found when the source is first asked, and kept while it is open ([`Layout`]). The scan is
//! the engine's own: Parquet is pruned by row group, page index and bloom filter, and filters run inside the
//! reader.

mod csv;
mod json;
mod one_file;
mod parquet;
mod table;
mod text;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::FileFormat;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::Url;

use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, DiscoveredColumn, DiscoveredSchema,
    DiscoveredTable, OpenedSource, SourceConfig, SourceContext, TableKind, check_required,
};
use one_file::OneFile;
use table::FileTable;

/// The schema of every file's table.
const SCHEMA: &str = "files";

/// The connectors of all kinds of files.
pub(crate) fn connectors() -> Vec<Arc<dyn Connector>> {
    use DataSourceType::{Csv, Json, Jsonl, Parquet, Tsv};
    [Csv, Tsv, Json, Jsonl, Parquet].map(|kind| Arc::new(File { kind }) as Arc<dyn Connector>).into()
}

/// Reads one kind of file.
#[derive(Debug)]
struct File {
    kind: DataSourceType,
}

/// What a file was found to hold, and how the engine reads it.
struct Layout {
    schema: SchemaRef,
    format: Arc<dyn FileFormat>,
    /// The types as the file writes them; where it does not, the engine's stand for them.
    source_types: Option<Vec<String>>,
    rows: Option<u64>,
}

#[async_trait]
impl Connector for File {
    fn kind(&self) -> DataSourceType {
        self.kind
    }

    fn abilities(&self) -> Abilities {
        let pruning = self.kind == DataSourceType::Parquet;
        Abilities { filters: pruning, projections: true, limits: true, sorting: false, aggregates: false, joins: false }
    }

    fn form(&self) -> Value {
        let mut metadata = json!({
            "table": {"type": "string", "title": "Table name", "description": "Made from the file's name where empty."}
        });
        if matches!(self.kind, DataSourceType::Csv | DataSourceType::Tsv) {
            metadata["has_header"] = json!({"type": "boolean", "title": "First line names the columns", "description": "Found out where absent."});
        }
        if self.kind == DataSourceType::Csv {
            metadata["delimiter"] = json!({"type": "string", "title": "Delimiter", "minLength": 1, "maxLength": 1, "description": "Found out where absent."});
        }
        json!({
            "type": "object",
            "properties": {
                "file_path": {"type": "string", "title": "File", "maxLength": 1000, "description": "A file in storage."},
                "metadata": {"type": "object", "properties": metadata}
            },
            "required": ["file_path"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let mut wrong = check_required(config, credentials);
        if wrong.is_empty() && object_path(config).is_err() {
            wrong.push(FieldError::new("file_path", "is not a path in storage"));
        }
        if let Some(delimiter) = config.metadata_text("delimiter")
            && !matches!(delimiter.as_bytes(), [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r'))
        {
            wrong.push(FieldError::new("metadata.delimiter", "must be one ASCII character, not a quote or a line end"));
        }
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let path = object_path(&source.config)?;
        let meta = source.files.head(&path).await.map_err(|error| unreadable_object(&path, error))?;
        let store = Arc::new(OneFile::new(source.files.clone(), meta.clone(), self.kind.as_str(), &source.identity));
        let (config, table) = (source.config.clone(), table_name(&source.config, &path));
        let files = source.files.clone();
        Ok(Arc::new(OpenedFile { config, table, meta, files, store, layout: OnceCell::new() }))
    }
}

/// A file that is there; what it holds is looked at when first asked.
struct OpenedFile {
    config: SourceConfig,
    table: String,
    meta: ObjectMeta,
    files: Arc<dyn ObjectStore>,
    store: Arc<OneFile>,
    layout: OnceCell<Layout>,
}

impl std::fmt::Debug for OpenedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedFile").field("table", &self.table).field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl OpenedFile {
    async fn layout(&self) -> Result<&Layout, ConnectorError> {
        let read = || async {
            if self.meta.size == 0 {
                return Err(unreadable(&self.meta.location, "the file is empty", None));
            }
            match self.config.kind {
                DataSourceType::Parquet => parquet::layout(&self.store, &self.meta.location).await,
                DataSourceType::Json | DataSourceType::Jsonl => {
                    json::layout(&self.files, &self.meta, self.config.kind == DataSourceType::Json).await
                }
                _ => csv::layout(&self.files, &self.meta, &self.config).await,
            }
        };
        self.layout.get_or_try_init(read).await
    }
}

#[async_trait]
impl OpenedSource for OpenedFile {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        self.layout().await.map(|_| None)
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        if schema.is_some_and(|schema| schema != SCHEMA) {
            return Ok(Vec::new());
        }
        let layout = self.layout().await?;
        let columns = layout.schema.fields().iter().zip(1..).map(|(field, position)| {
            let declared = layout.source_types.as_ref().and_then(|types| types.get(position as usize - 1).cloned());
            DiscoveredColumn {
                name: field.name().clone(),
                source_type: declared.unwrap_or_else(|| field.data_type().to_string()),
                arrow_type: field.data_type().clone(),
                position,
                nullable: field.is_nullable(),
                primary_key: false,
                foreign_key: None,
                default_value: None,
                comment: None,
                reading: None,
            }
        });
        let table = DiscoveredTable {
            name: self.table.clone(),
            kind: TableKind::Table,
            columns: columns.collect(),
            row_count: layout.rows,
            comment: None,
        };
        Ok(vec![DiscoveredSchema { name: SCHEMA.to_owned(), tables: vec![table] }])
    }

    async fn open_table(
        &self,
        schema: &str,
        table: &str,
        _known: Option<&DiscoveredTable>,
    ) -> Result<Arc<dyn TableProvider>, ConnectorError> {
        if (schema, table) != (SCHEMA, &self.table) {
            return Err(ConnectorError::NotFound { what: format!("table {schema}.{table}") });
        }
        let layout = self.layout().await?;
        let table = FileTable::new(self.store.clone(), layout.format.clone(), layout.schema.clone());
        Ok(Arc::new(table.map_err(ConnectorError::internal)?))
    }

    async fn is_current(&self) -> bool {
        let now = self.files.head(&self.meta.location).await;
        now.is_ok_and(|now| (now.e_tag, now.size, now.last_modified) == self.version())
    }

    fn object_stores(&self) -> Vec<(Url, Arc<dyn ObjectStore>)> {
        vec![(self.store.url().clone(), self.store.clone())]
    }
}

impl OpenedFile {
    fn version(&self) -> (Option<String>, u64, chrono::DateTime<chrono::Utc>) {
        (self.meta.e_tag.clone(), self.meta.size, self.meta.last_modified)
    }
}

/// The object that a configuration names.
pub(crate) fn object_path(config: &SourceConfig) -> Result<Path, ConnectorError> {
    let path = config.file_path.as_deref().unwrap_or_default();
    let parsed = Path::parse(path.trim_start_matches('/')).ok().filter(|path| !path.as_ref().is_empty());
    parsed.ok_or_else(|| ConnectorError::NotFound { what: "the file".into() })
}

/// What an error of storage means for a source.
pub(crate) fn unreadable_object(path: &Path, error: object_store::Error) -> ConnectorError {
    match error {
        object_store::Error::NotFound { .. } => ConnectorError::NotFound { what: format!("file {path}") },
        error => {
            tracing::warn!(%error, %path, "a file of a data source cannot be read from storage");
            unreadable(path, "it is damaged in storage; upload it again", None)
        }
    }
}

fn unreadable(path: &Path, reason: impl Into<String>, line: Option<u64>) -> ConnectorError {
    ConnectorError::Unreadable { file: path.filename().unwrap_or_default().to_owned(), reason: reason.into(), line }
}

/// `metadata.table`, or the file's name up to its extension, in lower case letters, digits and underscores.
fn table_name(config: &SourceConfig, path: &Path) -> String {
    let name = config.metadata_text("table").unwrap_or_else(|| {
        let file = path.filename().unwrap_or_default();
        file.rsplit_once('.').map_or(file, |(stem, _)| stem)
    });
    let mut slug = String::with_capacity(name.len());
    for c in name.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('_') => slug.push('_'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('_');
    if slug.is_empty() { "data".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_after_files() {
        let mut config = SourceConfig::new(DataSourceType::Csv);
        let name = |config: &SourceConfig, path: &str| table_name(config, &Path::from(path));
        assert_eq!(name(&config, "users/7/Q3 Sales (final).csv"), "q3_sales_final");
        assert_eq!(name(&config, "a.b.csv"), "a_b");
        assert_eq!(name(&config, "\u{7f}.csv"), "7f");
        config.metadata.insert("table".into(), "Products".into());
        assert_eq!(name(&config, "x.csv"), "products");
    }
}
