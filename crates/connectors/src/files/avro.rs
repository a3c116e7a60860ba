//! Avro object container files: their header holds the schema, and records become structs.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::Schema;
use datafusion_datasource_avro::read_avro_schema_from_reader;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::reading::Reading;
use super::{Layout, not_kept, unreadable, unreadable_object};
use crate::ConnectorError;

/// The engine reads a file as a whole into memory.
const LARGEST_FILE: u64 = 512 * 1024 * 1024;
/// A header is looked for in the first of these many bytes, and then in more.
const HEADS: [u64; 3] = [64 * 1024, 1024 * 1024, 16 * 1024 * 1024];

pub(crate) async fn layout(files: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> Result<Layout, ConnectorError> {
    let path = &meta.location;
    if meta.size > LARGEST_FILE {
        return Err(unreadable(
            path,
            "an Avro file may have at most 512 MiB; write it as several files, or as Parquet",
            None,
        ));
    }
    let mut failure = None;
    for length in HEADS.map(|length| length.min(meta.size)) {
        let head = files.get_range(path, 0..length).await.map_err(|error| unreadable_object(path, error))?;
        if !head.starts_with(b"Obj\x01") {
            return Err(unreadable(path, "it is not an Avro object container file", None));
        }
        match schema(head).await {
            Ok(schema) => return checked(meta, schema),
            Err(error) => failure = Some(error),
        }
        if length == meta.size {
            break;
        }
    }
    tracing::info!(error = failure, %path, "an Avro file cannot be read");
    Err(unreadable(path, "its header is damaged, or its schema is not supported", None))
}

/// In a task of its own: the reader of a hostile header may panic.
async fn schema(head: Bytes) -> Result<Schema, String> {
    let read = tokio::task::spawn_blocking(move || read_avro_schema_from_reader(&mut head.as_ref())).await;
    read.map_err(|panic| panic.to_string())?.map_err(|error| error.to_string())
}

fn checked(meta: &ObjectMeta, schema: Schema) -> Result<Layout, ConnectorError> {
    if schema.fields().is_empty() {
        return Err(unreadable(&meta.location, "its records have no fields", None));
    }
    if let Some(field) = not_kept(&schema) {
        let reason = format!("field {} may hold values of several types; write it as one of them", field.name());
        return Err(unreadable(&meta.location, reason, None));
    }
    Ok(Layout { schema: Arc::new(schema), reading: Reading::Avro, rows: None })
}
