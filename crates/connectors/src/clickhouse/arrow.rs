//! ClickHouse's Arrow streams, in the types that the engine expects.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, SchemaRef, TimeUnit};
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::ConnectorError;

/// What ends a stream; one without it was cut off.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

pub(super) struct Decoder {
    schema: SchemaRef,
    stream: StreamDecoder,
    last: Vec<u8>,
}

impl Decoder {
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema, stream: StreamDecoder::new(), last: Vec::with_capacity(2 * END.len()) }
    }

    /// The batches that are whole with this chunk.
    pub fn decode(&mut self, chunk: Bytes) -> Result<Vec<RecordBatch>, ConnectorError> {
        self.last.extend_from_slice(&chunk[chunk.len().saturating_sub(END.len())..]);
        self.last.drain(..self.last.len().saturating_sub(END.len()));
        let mut buffer = Buffer::from(chunk);
        let mut batches = Vec::new();
        while !buffer.is_empty() {
            if let Some(batch) = self.stream.decode(&mut buffer).map_err(unreadable)? {
                batches.push(self.convert(&batch)?);
            }
        }
        Ok(batches)
    }

    pub fn finish(mut self) -> Result<(), ConnectorError> {
        self.stream.finish().map_err(unreadable)?;
        // A statement that fails late only ends its answer.
        if self.last == END { Ok(()) } else { Err(unreadable("the stream was cut off")) }
    }

    fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch, ConnectorError> {
        let columns = self.schema.fields().iter().enumerate().map(|(index, field)| {
            let column = batch.columns().get(index).ok_or_else(|| unreadable("a column is missing"))?;
            converted(column, field.data_type()).ok_or_else(|| unreadable_value(field))
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(ConnectorError::internal)
    }
}

fn unreadable(cause: impl Into<crate::error::Cause>) -> ConnectorError {
    ConnectorError::QueryFailed { cause: Some(cause.into()) }
}

fn unreadable_value(field: &Field) -> ConnectorError {
    ConnectorError::UnreadableValue { column: field.name().clone(), expected: field.data_type().to_string() }
}

/// The same values in the expected type; `None` where one has no place there.
fn converted(column: &ArrayRef, expected: &DataType) -> Option<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    match (column.data_type(), expected) {
        (found, expected) if found == expected => Some(column.clone()),
        (DataType::Null, DataType::Timestamp(..)) => cast_with_options(column, expected, &strict).ok(),
        // Moments are seconds without a unit, or have one and some zone.
        (found, DataType::Timestamp(unit, zone)) => {
            let factor = match found {
                DataType::UInt32 | DataType::Timestamp(TimeUnit::Second, _) => 1_000_000,
                DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
                DataType::Timestamp(TimeUnit::Microsecond, _) => 1,
                _ => return None,
            };
            let numbers = cast(column, &DataType::Int64).ok()?;
            let micros = numbers.as_primitive::<Int64Type>().try_unary::<_, Int64Type, _>(|number| {
                number.checked_mul(factor).ok_or(datafusion::arrow::error::ArrowError::ComputeError(String::new()))
            });
            let micros: TimestampMicrosecondArray = micros.ok()?.reinterpret_cast();
            let micros: ArrayRef = Arc::new(micros.with_timezone_opt(zone.clone()));
            match unit {
                TimeUnit::Microsecond => Some(micros),
                _ => cast_with_options(&micros, expected, &strict).ok(),
            }
        }
        // Until 26.2 a `Date` came as the number of its days.
        (DataType::UInt16, DataType::Date32) => cast(&cast(column, &DataType::Int32).ok()?, expected).ok(),
        _ => {
            let nulls = column.null_count();
            cast_with_options(column, expected, &strict).ok().filter(|cast| cast.null_count() == nulls)
        }
    }
}
