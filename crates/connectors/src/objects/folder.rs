//! The table of a folder: lists its files at each scan, leaves out what a filter rules out, and reads the rest.
//!
//! ```text
//! filters on partitions ─▶ which folders are listed ─▶ which files are left
//! other filters         ─▶ statistics of Parquet files, row groups and pages, by the engine
//! ```
//!
//! The engine's own listing table keeps listings for as long as its runtime lives and finds `month=01` by the text
//! `month=1` among them, that is, not at all. So the listing is done here.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, ScalarValue, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::{
    evaluate_partition_prefix, expr_applicable_for_cols, filter_partitioned_file,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion_datasource::{TableSchema, compute_all_files_statistics};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use sha2::{Digest, Sha256};

use super::layout::TableLayout;
use super::listing::{OBJECTS, Place, TableFiles, too_many};
use crate::ConnectorError;
use crate::files::{Reading, Sealed, TextFile, csv, unreadable};

/// Footers or first lines that are read at the same time.
const AT_ONCE: usize = 16;

#[derive(Debug)]
pub(super) struct FolderTable {
    store: Arc<dyn ObjectStore>,
    sealed: Arc<Sealed>,
    files: Arc<TableFiles>,
    reading: Reading,
    schema: TableSchema,
    partitions: Vec<(String, DataType)>,
    first_lines: Option<FirstLines>,
}

impl FolderTable {
    pub fn new(
        store: Arc<dyn ObjectStore>,
        place: &Place,
        layout: TableLayout,
        source: &str,
        checked: &Arc<Checked>,
    ) -> Result<Self, ConnectorError> {
        let files = Arc::new(place.files()?);
        let table = format!("{} {:?} {:?}", files.root, place.format, place.compression);
        let sealed = Arc::new(Sealed::folder(store.clone(), files.clone(), source, &table));
        let first_lines = FirstLines::of(&layout, checked.clone());
        let TableLayout { schema, reading, partitions, .. } = layout;
        let fields: Fields = partitions.iter().map(|(name, kind)| Field::new(name, kind.clone(), false)).collect();
        let schema = TableSchema::builder(schema).with_table_partition_cols(fields).build();
        Ok(Self { store, sealed, files, reading, schema, partitions, first_lines })
    }

    /// Whether the folders' names alone say what a filter answers.
    fn is_of_partitions(&self, filter: &Expr) -> bool {
        let names: Vec<&str> = self.partitions.iter().map(|(name, _)| name.as_str()).collect();
        !names.is_empty() && expr_applicable_for_cols(&names, filter)
    }

    /// The files that filters on partitions let through.
    fn list(&self, filters: Vec<Expr>) -> Result<BoxStream<'static, Result<(ObjectMeta, PartitionedFile)>>> {
        let fields = self.partitions.iter().map(|(name, kind)| Field::new(name, kind.clone(), true)).collect();
        let schema = DFSchema::from_unqualified_fields(fields, Default::default())?;
        let prefix = evaluate_partition_prefix(&self.partitions, &filters);
        let wanted: Vec<String> = prefix.iter().flat_map(Path::parts).map(|part| part.as_ref().to_owned()).collect();
        let (store, files, sealed) = (self.store.clone(), self.files.clone(), self.sealed.clone());
        let partitions = self.partitions.clone();
        let listing = async move { below(&store, &files.root, &wanted).await.map_err(DataFusionError::from) };
        let listing = futures::stream::once(listing)
            .map_ok(|listing| listing.map_err(DataFusionError::from))
            .try_flatten()
            .try_filter(|meta| std::future::ready(meta.size > 0));
        let files = self.files.clone();
        let mut count = 0;
        let found = listing.map(move |meta: Result<ObjectMeta>| -> Result<Option<(ObjectMeta, PartitionedFile)>> {
            let meta = meta?;
            let (Some(values), Some(seen)) = (files.values(&meta.location), sealed.seal(meta.clone())) else {
                return Ok(None);
            };
            count += 1;
            if count > OBJECTS {
                return Err(too_many().into());
            }
            let value = |(text, (_, kind)): (String, &(String, DataType))| {
                let text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
                ScalarValue::try_from_string(text, kind)
            };
            let values = values.into_iter().zip(&partitions).map(value).collect::<Result<Vec<_>>>();
            let values = values.map_err(|_| changed(&meta.location))?;
            let file = PartitionedFile::new_from_meta(seen).with_partition_values(values);
            Ok(filter_partitioned_file(file, &filters, &schema)?.map(|file| (meta, file)))
        });
        Ok(found.try_filter_map(|file| std::future::ready(Ok(file))).boxed())
    }

    /// What the footers say of each file, and whether its first line is the expected one.
    async fn look_into(
        &self,
        state: &dyn Session,
        meta: ObjectMeta,
        file: PartitionedFile,
        statistics: bool,
    ) -> Result<PartitionedFile> {
        if let Some(first_lines) = &self.first_lines {
            first_lines.check(&self.store, &meta, &self.files).await?;
        }
        let of_files = self.schema.file_schema();
        let known = match statistics && self.reading.is_pruned() {
            true => {
                let store: Arc<dyn ObjectStore> = self.sealed.clone();
                self.reading.format().infer_stats(state, &store, of_files.clone(), &file.object_meta).await?
            }
            false => Statistics::new_unknown(of_files),
        };
        Ok(file.with_statistics(Arc::new(known)))
    }
}

/// A file in a folder whose name is not of the type that the others had.
fn changed(path: &Path) -> ConnectorError {
    let reason = "it is in a partition whose value has a different type than those that were discovered; discover the \
                  schema again";
    unreadable(path, reason, None)
}

#[async_trait]
impl TableProvider for FolderTable {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.is_of_partitions(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // A runtime holds at most one store for each table: the URL stays the same when a source is opened again.
        // It is not taken back, since a plan outlives its table.
        state.runtime_env().register_object_store(self.sealed.url(), self.sealed.clone());
        let (of_partitions, others): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| self.is_of_partitions(filter));
        let statistics = state.config().collect_statistics();
        // Without further filters enough rows are enough.
        let enough = limit.filter(|_| others.is_empty());
        let mut files = self
            .list(of_partitions)?
            .map(|found| async move {
                let (meta, file) = found?;
                self.look_into(state, meta, file, statistics).await
            })
            .buffered(AT_ONCE);
        let (mut group, mut rows, mut cut) = (Vec::new(), Precision::Exact(0), false);
        while let Some(file) = files.try_next().await? {
            rows = rows.add(&file.statistics.as_ref().map_or(Precision::Absent, |known| known.num_rows));
            group.push(file);
            if let (Some(enough), Precision::Exact(rows)) = (enough, rows)
                && rows > enough
            {
                cut = true;
                break;
            }
        }
        drop(files);
        if group.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        let groups = FileGroup::new(group).split_files(state.config().target_partitions().max(1));
        let (groups, known) = compute_all_files_statistics(groups, self.schema(), statistics, cut)?;
        let format = self.reading.format();
        let source = format.file_source(self.schema.clone());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(self.sealed.url())?, source)
            .with_file_groups(groups)
            .with_statistics(known)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        format.create_physical_plan(state, config).await
    }
}

/// Lists the folders of these partitions, `name=value`. A number may be written otherwise in a folder's name than the
/// engine writes it, `month=01`, so the names are compared as what they mean.
async fn below(
    store: &Arc<dyn ObjectStore>,
    root: &Path,
    partitions: &[String],
) -> object_store::Result<BoxStream<'static, object_store::Result<ObjectMeta>>> {
    let mut folders = vec![root.clone()];
    for wanted in partitions {
        let mut next = Vec::new();
        for folder in &folders {
            let found = store.list_with_delimiter(some(folder)).await?.common_prefixes;
            next.extend(found.into_iter().filter(|found| found.filename().is_some_and(|name| is_same(name, wanted))));
        }
        folders = next;
    }
    let store = store.clone();
    let listings = folders.into_iter().map(move |folder| store.list(some(&folder)));
    Ok(futures::stream::iter(listings).flatten().boxed())
}

fn some(folder: &Path) -> Option<&Path> {
    Some(folder).filter(|folder| !folder.as_ref().is_empty())
}

/// Whether a folder's name may mean what is wanted; the filter itself decides in the end.
fn is_same(name: &str, wanted: &str) -> bool {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (Some((name, value)), Some((wanted_name, wanted))) = (name.split_once('='), wanted.split_once('=')) else {
        return false;
    };
    let (value, wanted) = (decoded(value), decoded(wanted));
    let number = |text: &str| text.parse::<i64>().ok();
    decoded(name) == decoded(wanted_name)
        && (value == wanted || (number(&value).is_some() && number(&value) == number(&wanted)))
}

/// The engine reads the fields of a line by position. So a file whose columns are others, or stand in another
/// order, would be read wrongly without a word: each file's first line is looked at, once.
#[derive(Debug)]
struct FirstLines {
    delimiter: u8,
    header: bool,
    columns: Vec<String>,
    checked: Arc<Checked>,
}

/// The files of a source whose first lines were found to be as expected, by a digest of both.
#[derive(Debug, Default)]
pub(super) struct Checked(Mutex<HashSet<[u8; 32]>>);

impl FirstLines {
    fn of(layout: &TableLayout, checked: Arc<Checked>) -> Option<Self> {
        let Reading::Csv { delimiter, header, .. } = layout.reading else { return None };
        let columns = layout.schema.fields().iter().map(|field| field.name().clone()).collect();
        Some(Self { delimiter: u8::try_from(delimiter).unwrap_or(b','), header, columns, checked })
    }

    async fn check(
        &self,
        store: &Arc<dyn ObjectStore>,
        meta: &ObjectMeta,
        files: &TableFiles,
    ) -> Result<(), ConnectorError> {
        let version = (&meta.location, &meta.e_tag, meta.last_modified, self.delimiter, self.header, &self.columns);
        let version: [u8; 32] = Sha256::digest(format!("{version:?}")).into();
        let checked = || self.checked.0.lock().unwrap_or_else(PoisonError::into_inner);
        if checked().contains(&version) {
            return Ok(());
        }
        let file = TextFile { files: store.clone(), meta: meta.clone(), compression: files.compression, look_at: 0 };
        let found = csv::columns(&file, self.delimiter, self.header).await?;
        if found != self.columns {
            return Err(unreadable(&meta.location, csv_differs(&found, &self.columns), None));
        }
        let mut checked = checked();
        // Files come and go; one more look does no harm.
        if checked.len() >= OBJECTS {
            checked.clear();
        }
        checked.insert(version);
        Ok(())
    }
}

/// What is told of a CSV file that does not fit the others of its folder.
pub(super) fn csv_differs(found: &[String], expected: &[String]) -> String {
    let few = |names: &[String]| {
        let shown: Vec<_> = names.iter().take(20).map(String::as_str).collect();
        format!("{}{}", shown.join(", "), if names.len() > 20 { ", …" } else { "" })
    };
    format!(
        "its columns are {}, where other files of the folder have {}; text files of a folder must have the same \
         columns in the same order",
        few(found),
        few(expected)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_compared_as_what_they_mean() {
        assert!(is_same("month=01", "month=1") && is_same("month=1", "month=1") && is_same("c=DE", "c=DE"));
        assert!(is_same("c=a~b", "c=a%7Eb") && is_same("c=a%7Eb", "c=a%7Eb"));
        assert!(!is_same("month=10", "month=1") && !is_same("day=1", "month=1") && !is_same("c=de", "c=DE"));
        assert!(!is_same("month", "month=1"));
    }
}
