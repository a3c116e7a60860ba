//! Parquet: its footer says everything.

use std::sync::Arc;

use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::reading::{Reading, parquet};
use super::{Layout, not_kept, plain, unreadable};
use crate::ConnectorError;

pub(crate) async fn layout(files: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> Result<Layout, ConnectorError> {
    let path = &meta.location;
    // The smallest file has two magic words and the length of its footer.
    if meta.size < 12 {
        return Err(damaged(path, "it is shorter than any Parquet file"));
    }
    let (files, file) = (files.clone(), meta.clone());
    let footer = async move {
        let metadata = DFParquetMetadata::new(files.as_ref(), &file).fetch_metadata().await?;
        let state = SessionContext::new().state();
        let schema = parquet().infer_schema(&state, &files, &[file]).await?;
        Ok::<_, DataFusionError>((metadata, schema))
    };
    // In a task of its own: the reader of a hostile footer may panic.
    let (metadata, schema) = match tokio::spawn(footer).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Err(ConnectorError::taken_from(error).unwrap_or_else(|cause| damaged(path, &cause))),
        Err(panic) => return Err(damaged(path, &panic.to_string())),
    };
    if schema.fields().is_empty() {
        return Err(unreadable(path, "it has no columns", None));
    }
    let schema = plain(&schema);
    if let Some(field) = not_kept(&schema) {
        let reason = format!("column {} is of a type that is not supported: {}", field.name(), field.data_type());
        return Err(unreadable(path, reason, None));
    }
    let rows = u64::try_from(metadata.file_metadata().num_rows()).ok();
    Ok(Layout { schema: Arc::new(schema), reading: Reading::Parquet, rows })
}

fn damaged(path: &Path, cause: &str) -> ConnectorError {
    tracing::info!(%path, cause, "a Parquet file cannot be read");
    unreadable(path, "it is damaged or not a Parquet file; write it again", None)
}
