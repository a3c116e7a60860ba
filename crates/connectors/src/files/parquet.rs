//! Parquet: its footer says everything.

use std::sync::Arc;

use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use object_store::ObjectStore;
use object_store::path::Path;

use super::one_file::OneFile;
use super::{Layout, unreadable};
use crate::ConnectorError;

pub(super) async fn layout(store: &Arc<OneFile>, path: &Path) -> Result<Layout, ConnectorError> {
    let mut options = TableParquetOptions::default();
    // Filters rule out row groups and pages. Rows they rule out afterwards: skipping single rows while a page is
    // decoded (`pushdown_filters`) took half as long again in every case of the benchmark.
    options.global.enable_page_index = true;
    options.global.bloom_filter_on_read = true;
    let format = Arc::new(ParquetFormat::default().with_options(options));
    // The smallest file has two magic words and the length of its footer.
    if store.meta().size < 12 {
        return Err(damaged(path, "it is shorter than any Parquet file"));
    }
    let (as_store, reader) = (store.clone(), format.clone());
    let footer = async move {
        let metadata = DFParquetMetadata::new(as_store.as_ref(), as_store.meta()).fetch_metadata().await?;
        let state = SessionContext::new().state();
        let meta = as_store.meta().clone();
        let as_store: Arc<dyn ObjectStore> = as_store;
        let schema = reader.infer_schema(&state, &as_store, &[meta]).await?;
        Ok::<_, DataFusionError>((metadata, schema))
    };
    // In a task of its own: the reader of a hostile footer may panic.
    let (metadata, schema) = match tokio::spawn(footer).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Err(damaged(path, &error.to_string())),
        Err(panic) => return Err(damaged(path, &panic.to_string())),
    };
    if schema.fields().is_empty() {
        return Err(unreadable(path, "it has no columns", None));
    }
    let rows = u64::try_from(metadata.file_metadata().num_rows()).ok();
    Ok(Layout { schema, format, source_types: None, rows })
}

fn damaged(path: &Path, cause: &str) -> ConnectorError {
    tracing::info!(%path, cause, "a Parquet file cannot be read");
    unreadable(path, "it is damaged or not a Parquet file; write it again", None)
}
