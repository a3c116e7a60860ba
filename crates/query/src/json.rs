//! Values of an answer as JSON.
//!
//! What JSON's numbers cannot hold exactly is text: decimals always, integers beyond 2^53, NaN and the infinities.
//! Dates and timestamps are RFC 3339 (`2024-08-15`, `2024-08-15T13:45:00.5Z`; without a zone where the column has
//! none), binary is base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::{
    arrow::{
        array::{Array, AsArray, RecordBatch, StringArray},
        datatypes::{
            DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
            TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
            UInt8Type, UInt16Type, UInt32Type, UInt64Type,
        },
        util::display::{ArrayFormatter, FormatOptions},
    },
    error::DataFusionError,
};
use serde_json::Value as Json;

use crate::error::QueryError;

const EXACT: i128 = 1 << 53;

/// Appends the batch's rows.
pub fn append_rows(batch: &RecordBatch, rows: &mut Vec<Vec<Json>>) -> Result<(), QueryError> {
    let start = rows.len();
    rows.resize_with(start + batch.num_rows(), || Vec::with_capacity(batch.num_columns()));
    for column in batch.columns() {
        append_column(column.as_ref(), &mut rows[start..])?;
    }
    Ok(())
}

fn append_column(column: &dyn Array, rows: &mut [Vec<Json>]) -> Result<(), QueryError> {
    macro_rules! each {
        ($array:expr, |$value:ident| $json:expr) => {{
            for (row, value) in rows.iter_mut().zip($array.iter()) {
                row.push(match value {
                    Some($value) => $json,
                    None => Json::Null,
                });
            }
        }};
    }
    match column.data_type() {
        DataType::Null => rows.iter_mut().for_each(|row| row.push(Json::Null)),
        DataType::Boolean => each!(column.as_boolean(), |v| Json::Bool(v)),
        DataType::Int8 => each!(column.as_primitive::<Int8Type>(), |v| v.into()),
        DataType::Int16 => each!(column.as_primitive::<Int16Type>(), |v| v.into()),
        DataType::Int32 => each!(column.as_primitive::<Int32Type>(), |v| v.into()),
        DataType::Int64 => each!(column.as_primitive::<Int64Type>(), |v| integer(v.into())),
        DataType::UInt8 => each!(column.as_primitive::<UInt8Type>(), |v| v.into()),
        DataType::UInt16 => each!(column.as_primitive::<UInt16Type>(), |v| v.into()),
        DataType::UInt32 => each!(column.as_primitive::<UInt32Type>(), |v| v.into()),
        DataType::UInt64 => each!(column.as_primitive::<UInt64Type>(), |v| integer(v.into())),
        DataType::Float16 => each!(column.as_primitive::<Float16Type>(), |v| float(f64::from(v))),
        // Through its shortest text, so that 0.1 stays 0.1.
        DataType::Float32 => {
            each!(column.as_primitive::<Float32Type>(), |v| float(v.to_string().parse().unwrap_or(f64::from(v))))
        }
        DataType::Float64 => each!(column.as_primitive::<Float64Type>(), |v| float(v)),
        DataType::Utf8 => each!(column.as_string::<i32>(), |v| v.into()),
        DataType::LargeUtf8 => each!(column.as_string::<i64>(), |v| v.into()),
        DataType::Utf8View => each!(column.as_string_view(), |v| v.into()),
        DataType::Binary => each!(column.as_binary::<i32>(), |v| STANDARD.encode(v).into()),
        DataType::LargeBinary => each!(column.as_binary::<i64>(), |v| STANDARD.encode(v).into()),
        DataType::BinaryView => each!(column.as_binary_view(), |v| STANDARD.encode(v).into()),
        DataType::FixedSizeBinary(_) => each!(column.as_fixed_size_binary(), |v| STANDARD.encode(v).into()),
        DataType::Timestamp(unit, zone) => each!(moments(column, *unit, zone.is_some()), |v| v.into()),
        DataType::List(_) => each!(column.as_list::<i32>(), |v| list(v.as_ref())?),
        DataType::LargeList(_) => each!(column.as_list::<i64>(), |v| list(v.as_ref())?),
        DataType::FixedSizeList(..) => each!(column.as_fixed_size_list(), |v| list(v.as_ref())?),
        DataType::Struct(fields) => {
            let columns = column.as_struct();
            let mut parts: Vec<Vec<Json>> = vec![Vec::with_capacity(fields.len()); rows.len()];
            for part in columns.columns() {
                append_column(part.as_ref(), &mut parts)?;
            }
            for (at, (row, part)) in rows.iter_mut().zip(parts).enumerate() {
                row.push(if columns.is_null(at) {
                    Json::Null
                } else {
                    Json::Object(fields.iter().map(|field| field.name().clone()).zip(part).collect())
                });
            }
        }
        DataType::Dictionary(_, values) => {
            let plain = datafusion::arrow::compute::cast(column, values)
                .map_err(|error| QueryError::from_execution(DataFusionError::from(error)))?;
            append_column(plain.as_ref(), rows)?;
        }
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options)
                .map_err(|error| QueryError::from_execution(DataFusionError::from(error)))?;
            for (at, row) in rows.iter_mut().enumerate() {
                row.push(if column.is_null(at) { Json::Null } else { formatter.value(at).to_string().into() });
            }
        }
    }
    Ok(())
}

fn list(items: &dyn Array) -> Result<Json, QueryError> {
    let mut rows = vec![Vec::with_capacity(1); items.len()];
    append_column(items, &mut rows)?;
    Ok(Json::Array(rows.into_iter().flatten().collect()))
}

fn integer(value: i128) -> Json {
    if (-EXACT..=EXACT).contains(&value) {
        i64::try_from(value).map_or_else(|_| value.to_string().into(), Json::from)
    } else {
        value.to_string().into()
    }
}

fn float(value: f64) -> Json {
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Json::Number)
}

/// A column of timestamps as texts.
pub(crate) fn moments(column: &dyn Array, unit: TimeUnit, zoned: bool) -> StringArray {
    macro_rules! texts {
        ($kind:ty, |$value:ident| $moment:expr) => {
            column
                .as_primitive::<$kind>()
                .iter()
                .map(|value| value.map(|$value| moment($moment, zoned, $value)))
                .collect()
        };
    }
    match unit {
        TimeUnit::Second => texts!(TimestampSecondType, |v| DateTime::from_timestamp(v, 0)),
        TimeUnit::Millisecond => texts!(TimestampMillisecondType, |v| DateTime::from_timestamp_millis(v)),
        TimeUnit::Microsecond => texts!(TimestampMicrosecondType, |v| DateTime::from_timestamp_micros(v)),
        TimeUnit::Nanosecond => texts!(TimestampNanosecondType, |v| Some(DateTime::from_timestamp_nanos(v))),
    }
}

fn moment(value: Option<DateTime<Utc>>, zoned: bool, raw: i64) -> String {
    match value {
        // Outside the calendar: the number is all there is to say.
        None => raw.to_string(),
        Some(value) if zoned => value.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        Some(value) => value.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
    }
}
