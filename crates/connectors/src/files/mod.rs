//! Files in storage: CSV, TSV, JSON, JSON lines, Parquet, Avro, each one table in the schema `files`, and
//! workbooks, each sheet a table ([`excel`]).
//!
//! What a file holds is found when the source is first asked, and kept while it is open ([`Layout`]). The scan is
//! the engine's own: Parquet is pruned by row group, page index and bloom filter, and filters run inside the
//! reader.

pub(crate) mod avro;
pub(crate) mod csv;
mod excel;
pub(crate) mod json;
pub(crate) mod parquet;
mod reading;
mod sealed;
mod table;
mod text;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
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
pub(crate) use reading::{Compression, Reading};
pub(crate) use sealed::{Holds, Sealed};
pub(crate) use table::FileTable;
pub(crate) use text::{LOOKED_AT, TextFile};

/// The schema of every file's table.
pub(crate) const SCHEMA: &str = "files";

/// The connectors of all kinds of files.
pub(crate) fn connectors() -> Vec<Arc<dyn Connector>> {
    use DataSourceType::{Avro, Csv, Json, Jsonl, Parquet, Tsv};
    let single = [Csv, Tsv, Json, Jsonl, Parquet, Avro].map(|kind| Arc::new(File { kind }) as Arc<dyn Connector>);
    single.into_iter().chain([Arc::new(excel::Excel) as Arc<dyn Connector>]).collect()
}

/// Reads one kind of file.
#[derive(Debug)]
struct File {
    kind: DataSourceType,
}

/// What a file was found to hold, and how the engine reads it.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub schema: SchemaRef,
    pub reading: Reading,
    /// Where all of them were counted.
    pub rows: Option<u64>,
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
            "table": {"type": "string", "title": "Table name", "description": "Taken from the file's name if left empty."}
        });
        if matches!(self.kind, DataSourceType::Csv | DataSourceType::Tsv) {
            metadata["has_header"] = json!({"type": "boolean", "title": "First line has the column names", "description": "Detected automatically if left empty."});
        }
        if self.kind == DataSourceType::Csv {
            metadata["delimiter"] = json!({"type": "string", "title": "Delimiter", "minLength": 1, "maxLength": 1, "description": "Detected automatically if left empty."});
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
        let mut wrong = validate_path(config, credentials);
        wrong.extend(csv::validate_delimiter(config));
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let path = object_path(&source.config)?;
        let meta = source.files.head(&path).await.map_err(|error| unreadable_object(&path, error))?;
        let store = Arc::new(Sealed::file(source.files.clone(), meta.clone(), &source.identity));
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
    store: Arc<Sealed>,
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
            let (files, meta) = (self.files.clone(), self.meta.clone());
            let text = TextFile { files, meta, compression: Compression::None, look_at: LOOKED_AT };
            match self.config.kind {
                DataSourceType::Parquet => parquet::layout(&self.files, &self.meta).await,
                DataSourceType::Avro => avro::layout(&self.files, &self.meta).await,
                DataSourceType::Json => json::layout(&text, true).await,
                DataSourceType::Jsonl => json::layout(&text, false).await,
                DataSourceType::Tsv => csv::layout(&text, csv::Hints::of(&self.config).for_tsv()).await,
                _ => csv::layout(&text, csv::Hints::of(&self.config)).await,
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
        let table = DiscoveredTable {
            name: self.table.clone(),
            kind: TableKind::Table,
            columns: columns(&layout.schema),
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
            return Err(ConnectorError::no_table(schema, table));
        }
        let layout = self.layout().await?;
        let table = FileTable::new(self.store.clone(), &layout.reading, layout.schema.clone());
        Ok(Arc::new(table.map_err(ConnectorError::internal)?))
    }

    async fn is_current(&self) -> bool {
        self.files.head(&self.meta.location).await.is_ok_and(|now| is_same(&now, &self.meta))
    }

    fn object_stores(&self) -> Vec<(Url, Arc<dyn ObjectStore>)> {
        vec![(self.store.url().clone(), self.store.clone())]
    }
}

/// The columns of a file, with the engine's types.
pub(crate) fn columns(schema: &SchemaRef) -> Vec<DiscoveredColumn> {
    let column = |(field, position): (&FieldRef, u32)| DiscoveredColumn {
        name: field.name().clone(),
        source_type: field.data_type().to_string(),
        arrow_type: field.data_type().clone(),
        position,
        nullable: field.is_nullable(),
        primary_key: false,
        foreign_key: None,
        default_value: None,
        comment: None,
        reading: None,
    };
    schema.fields().iter().zip(1..).map(column).collect()
}

/// The first column of a type that cannot be kept or answered: what is discovered is kept as text and must come back
/// from there, and a union is no type of an answer.
fn not_kept(schema: &Schema) -> Option<&FieldRef> {
    let kept = |kind: &DataType| kind.to_string().parse::<DataType>().is_ok_and(|read| read == *kind);
    schema.fields().iter().find(|field| !kept(field.data_type()) || has_union(field.data_type()))
}

fn has_union(kind: &DataType) -> bool {
    match kind {
        DataType::Union(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_union(field.data_type())),
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => has_union(item.data_type()),
        _ => false,
    }
}

/// A schema without what its writers noted beside it, such as the numbers of fields, and without dictionaries: of these the
/// whole would come along with any of its rows.
fn plain(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(|field| plain_field(field)).collect::<Vec<_>>())
}

fn plain_field(field: &Field) -> Field {
    let inner = |field: &FieldRef| Arc::new(plain_field(field));
    let kind = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    Field::new(field.name(), kind, field.is_nullable())
}

/// Checks what every kind of file requires.
fn validate_path(config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
    let mut wrong = check_required(config, credentials);
    if wrong.is_empty() && object_path(config).is_err() {
        wrong.push(FieldError::new("file_path", "is not a path in storage"));
    }
    wrong
}

/// Whether an object is still what it was.
fn is_same(now: &ObjectMeta, then: &ObjectMeta) -> bool {
    (&now.e_tag, now.size, now.last_modified) == (&then.e_tag, then.size, then.last_modified)
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
        // Of a store in the cloud it says what the failure means.
        error => ConnectorError::taken_from(error).unwrap_or_else(|error| {
            tracing::warn!(error, %path, "a file of a data source cannot be read from storage");
            unreadable(path, "it is damaged in storage; upload it again", None)
        }),
    }
}

pub(crate) fn unreadable(path: &Path, reason: impl Into<String>, line: Option<u64>) -> ConnectorError {
    ConnectorError::Unreadable { file: path.filename().unwrap_or_default().to_owned(), reason: reason.into(), line }
}

/// `metadata.table`, or the file's name up to its extension, as a [`slug`].
fn table_name(config: &SourceConfig, path: &Path) -> String {
    slug(config.metadata_text("table").unwrap_or_else(|| {
        let file = path.filename().unwrap_or_default();
        file.rsplit_once('.').map_or(file, |(stem, _)| stem)
    }))
}

/// A name in lower case letters, digits and underscores.
pub(crate) fn slug(name: &str) -> String {
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

/// The names, whichever their case, each once: a later one that is taken gets a number.
pub(crate) fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut suffixes: HashMap<String, usize> = HashMap::new();
    names
        .map(|name| {
            let mut unique = name.clone();
            while !taken.insert(unique.to_lowercase()) {
                let suffix = suffixes.entry(name.to_lowercase()).or_insert(1);
                *suffix += 1;
                unique = format!("{name}_{suffix}");
            }
            unique
        })
        .collect()
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

    #[test]
    fn a_plain_schema_has_no_notes_and_no_dictionaries() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let of = |code: &DataType| vec![Field::new("code", code.clone(), true)];
        let table =
            |code: &DataType| vec![of(code).remove(0), Field::new("in", DataType::Struct(of(code).into()), true)];
        let noted = table(&dictionary)
            .into_iter()
            .map(|field| field.with_metadata([("PARQUET:field_id".to_owned(), "1".to_owned())].into()));
        assert_eq!(plain(&Schema::new(noted.collect::<Vec<_>>())), Schema::new(table(&DataType::Utf8)));
    }
}
