//! SQLite's values as Arrow arrays.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder,
    LargeStringBuilder, NullBuilder, StringBuilder, StringViewBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Date32Type, FieldRef, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::ConnectorError;

const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A batch in the making.
pub(super) struct Batch {
    schema: SchemaRef,
    columns: Vec<(FieldRef, Column)>,
    rows: usize,
    bytes: usize,
}

enum Column {
    Null(NullBuilder),
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    LargeText(LargeStringBuilder),
    TextView(StringViewBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Moment(TimestampMicrosecondBuilder),
}

impl Batch {
    pub fn new(schema: &SchemaRef) -> Result<Self, ConnectorError> {
        let columns = schema.fields().iter().map(|field| Ok((field.clone(), Column::new(field.data_type())?)));
        let columns = columns.collect::<Result<_, ConnectorError>>()?;
        Ok(Self { schema: schema.clone(), columns, rows: 0, bytes: 0 })
    }

    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn push(&mut self, row: &Row<'_>) -> Result<(), ConnectorError> {
        for (index, (field, column)) in self.columns.iter_mut().enumerate() {
            let value = row.get_ref(index).map_err(ConnectorError::internal)?;
            if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value {
                self.bytes += bytes.len();
            }
            if column.append(value).is_none() {
                return Err(ConnectorError::UnreadableValue {
                    column: field.name().clone(),
                    expected: field.data_type().to_string(),
                });
            }
        }
        self.rows += 1;
        Ok(())
    }

    pub fn finish(self) -> Result<RecordBatch, ConnectorError> {
        let arrays = self.columns.into_iter().map(|(field, column)| in_type(column.finish(), &field));
        let arrays = arrays.collect::<Result<_, ConnectorError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(self.schema, arrays, &options).map_err(ConnectorError::internal)
    }
}

/// The array in the type that the plan expects; a value that does not fit it is an error that names the column.
fn in_type(array: ArrayRef, field: &FieldRef) -> Result<ArrayRef, ConnectorError> {
    if array.data_type() == field.data_type() {
        return Ok(array);
    }
    let exact = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&array, field.data_type(), &exact).map_err(|_| ConnectorError::UnreadableValue {
        column: field.name().clone(),
        expected: field.data_type().to_string(),
    })
}

impl Column {
    fn new(data_type: &DataType) -> Result<Self, ConnectorError> {
        Ok(match data_type {
            DataType::Null => Self::Null(NullBuilder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            // SQLite has one type of integers and one of floats; literals and lengths of the engine have narrower ones.
            integer if integer.is_integer() => Self::Integer(Int64Builder::new()),
            DataType::Float32 | DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::LargeUtf8 => Self::LargeText(LargeStringBuilder::new()),
            DataType::Utf8View => Self::TextView(StringViewBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Moment(TimestampMicrosecondBuilder::new()),
            other => return Err(ConnectorError::internal(format!("SQLite results are not read as {other}"))),
        })
    }

    /// Takes a value; `None` where it has no place in the column's type.
    fn append(&mut self, value: ValueRef<'_>) -> Option<()> {
        let is_null = matches!(value, ValueRef::Null);
        match self {
            Self::Null(builder) => is_null.then(|| builder.append_null())?,
            Self::Boolean(builder) => match value {
                ValueRef::Integer(value @ (0 | 1)) => builder.append_value(value == 1),
                _ => is_null.then(|| builder.append_null())?,
            },
            Self::Integer(builder) => match value {
                ValueRef::Integer(value) => builder.append_value(value),
                _ => is_null.then(|| builder.append_null())?,
            },
            Self::Float(builder) => match value {
                ValueRef::Real(value) => builder.append_value(value),
                ValueRef::Integer(value) => builder.append_value(value as f64),
                _ => is_null.then(|| builder.append_null())?,
            },
            // SQLite does not check that its texts are UTF-8.
            Self::Text(builder) => match value {
                ValueRef::Text(bytes) => builder.append_value(String::from_utf8_lossy(bytes)),
                _ => is_null.then(|| builder.append_null())?,
            },
            Self::LargeText(builder) => match value {
                ValueRef::Text(bytes) => builder.append_value(String::from_utf8_lossy(bytes)),
                _ => is_null.then(|| builder.append_null())?,
            },
            Self::TextView(builder) => match value {
                ValueRef::Text(bytes) => builder.append_value(String::from_utf8_lossy(bytes)),
                _ => is_null.then(|| builder.append_null())?,
            },
            Self::Binary(builder) => match value {
                ValueRef::Blob(bytes) => builder.append_value(bytes),
                _ => is_null.then(|| builder.append_null())?,
            },
            Self::Date(builder) => match value {
                ValueRef::Text(bytes) => {
                    let date = NaiveDate::parse_from_str(std::str::from_utf8(bytes).ok()?, "%Y-%m-%d").ok()?;
                    builder.append_value(Date32Type::from_naive_date(date));
                }
                _ => is_null.then(|| builder.append_null())?,
            },
            Self::Moment(builder) => match value {
                ValueRef::Text(bytes) => {
                    let text = std::str::from_utf8(bytes).ok()?;
                    let moment = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
                    builder.append_value(moment.and_utc().timestamp_micros());
                }
                _ => is_null.then(|| builder.append_null())?,
            },
        }
        Some(())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Null(mut builder) => Arc::new(builder.finish()),
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
            Self::Integer(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::LargeText(mut builder) => Arc::new(builder.finish()),
            Self::TextView(mut builder) => Arc::new(builder.finish()),
            Self::Binary(mut builder) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Moment(mut builder) => ArrayBuilder::finish(&mut builder),
        }
    }
}
