//! The values of TDS as Arrow arrays.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, LargeStringArray, NullArray, StringArray, StringViewArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use tiberius::time::{Date, DateTime2, Time};
use tiberius::{ColumnData, Row};

use crate::ConnectorError;

/// Days from the first of January of the year 1, where TDS counts from, to 1970.
const EPOCH_DAYS: i64 = 719_162;
/// Days from 1900, where `datetime` counts from, to 1970.
const DATETIME_EPOCH_DAYS: i64 = 25_567;
const DAY_MICROS: i64 = 86_400_000_000;

/// Rows as a batch, by position.
pub(super) fn decode(rows: &[Row], schema: &SchemaRef) -> Result<RecordBatch, ConnectorError> {
    let columns = schema.fields().iter().enumerate();
    let arrays = columns.map(|(index, field)| array(rows, index, field)).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(ConnectorError::internal)
}

fn array(rows: &[Row], index: usize, field: &Field) -> Result<ArrayRef, ConnectorError> {
    let column = Column { rows, index, field };
    Ok(match field.data_type() {
        DataType::Null => Arc::new(NullArray::new(rows.len())),
        DataType::Boolean => Arc::new(BooleanArray::from(column.read(boolean)?)),
        DataType::Int8 => Arc::new(Int8Array::from(column.read(|cell| integer(cell)?.try_into().ok())?)),
        DataType::Int16 => Arc::new(Int16Array::from(column.read(|cell| integer(cell)?.try_into().ok())?)),
        DataType::Int32 => Arc::new(Int32Array::from(column.read(|cell| integer(cell)?.try_into().ok())?)),
        DataType::Int64 => Arc::new(Int64Array::from(column.read(integer)?)),
        // A single may come as the double of its value.
        DataType::Float32 => Arc::new(Float32Array::from(column.read(|cell| float(cell).map(|value| value as f32))?)),
        DataType::Float64 => Arc::new(Float64Array::from(column.read(float)?)),
        DataType::Decimal128(precision, scale) => {
            let limit = 10_i128.checked_pow(u32::from(*precision));
            let values = column.read(|cell| {
                let value = decimal(cell, *scale)?;
                limit.is_none_or(|limit| value.abs() < limit).then_some(value)
            })?;
            let array = Decimal128Array::from(values).with_precision_and_scale(*precision, *scale);
            Arc::new(array.map_err(ConnectorError::internal)?)
        }
        DataType::Utf8 => Arc::new(StringArray::from(column.read(text)?)),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(column.read(text)?)),
        DataType::Utf8View => Arc::new(StringViewArray::from(column.read(text)?)),
        DataType::Binary => Arc::new(BinaryArray::from(column.read(|cell| match cell {
            ColumnData::Binary(Some(bytes)) => Some(bytes.as_ref()),
            _ => None,
        })?)),
        DataType::Date32 => Arc::new(Date32Array::from(column.read(|cell| match cell {
            ColumnData::Date(Some(date)) => days(*date).try_into().ok(),
            cell => moment(cell)?.div_euclid(DAY_MICROS).try_into().ok(),
        })?)),
        DataType::Time64(TimeUnit::Microsecond) => Arc::new(Time64MicrosecondArray::from(column.read(|cell| {
            let ColumnData::Time(Some(time)) = cell else { return None };
            micros(*time)
        })?)),
        DataType::Timestamp(unit, zone) => {
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => {
                    let values = column.read(|cell| Some(moment(cell)?.div_euclid(1_000_000)))?;
                    Arc::new(TimestampSecondArray::from(values).with_timezone_opt(zone))
                }
                TimeUnit::Millisecond => {
                    let values = column.read(|cell| Some(moment(cell)?.div_euclid(1_000)))?;
                    Arc::new(TimestampMillisecondArray::from(values).with_timezone_opt(zone))
                }
                TimeUnit::Microsecond => {
                    Arc::new(TimestampMicrosecondArray::from(column.read(moment)?).with_timezone_opt(zone))
                }
                TimeUnit::Nanosecond => {
                    let values = column.read(|cell| moment(cell)?.checked_mul(1_000))?;
                    Arc::new(TimestampNanosecondArray::from(values).with_timezone_opt(zone))
                }
            }
        }
        other => return Err(ConnectorError::internal(format!("SQL Server's results are not read as {other}"))),
    })
}

struct Column<'a> {
    rows: &'a [Row],
    index: usize,
    field: &'a Field,
}

impl<'a> Column<'a> {
    /// The values, NULLs among them; `read` answers `None` for a value that is none of the column's type.
    fn read<T>(&self, read: impl Fn(&'a ColumnData<'static>) -> Option<T>) -> Result<Vec<Option<T>>, ConnectorError> {
        let value = |row: &'a Row| {
            let cell = row.get_column_data(self.index).map_err(ConnectorError::internal)?;
            if is_null(cell) {
                return Ok(None);
            }
            read(cell).map(Some).ok_or_else(|| self.unreadable())
        };
        self.rows.iter().map(value).collect()
    }

    fn unreadable(&self) -> ConnectorError {
        ConnectorError::UnreadableValue {
            column: self.field.name().clone(),
            expected: self.field.data_type().to_string(),
        }
    }
}

fn is_null(cell: &ColumnData<'_>) -> bool {
    matches!(
        cell,
        ColumnData::U8(None)
            | ColumnData::I16(None)
            | ColumnData::I32(None)
            | ColumnData::I64(None)
            | ColumnData::F32(None)
            | ColumnData::F64(None)
            | ColumnData::Bit(None)
            | ColumnData::String(None)
            | ColumnData::Guid(None)
            | ColumnData::Binary(None)
            | ColumnData::Numeric(None)
            | ColumnData::Xml(None)
            | ColumnData::DateTime(None)
            | ColumnData::SmallDateTime(None)
            | ColumnData::Time(None)
            | ColumnData::Date(None)
            | ColumnData::DateTime2(None)
            | ColumnData::DateTimeOffset(None)
    )
}

fn boolean(cell: &ColumnData<'_>) -> Option<bool> {
    match cell {
        ColumnData::Bit(value) => *value,
        cell => match integer(cell)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

fn integer(cell: &ColumnData<'_>) -> Option<i64> {
    match cell {
        ColumnData::U8(value) => value.map(i64::from),
        ColumnData::I16(value) => value.map(i64::from),
        ColumnData::I32(value) => value.map(i64::from),
        ColumnData::I64(value) => *value,
        ColumnData::Bit(value) => value.map(i64::from),
        cell @ ColumnData::Numeric(_) => decimal(cell, 0)?.try_into().ok(),
        _ => None,
    }
}

fn float(cell: &ColumnData<'_>) -> Option<f64> {
    match cell {
        ColumnData::F32(value) => value.map(f64::from),
        ColumnData::F64(value) => *value,
        _ => None,
    }
}

/// At the scale; digits beyond it have no place there.
fn decimal(cell: &ColumnData<'_>, scale: i8) -> Option<i128> {
    let (value, has) = match cell {
        ColumnData::Numeric(value) => value.map(|value| (value.value(), value.scale()))?,
        cell => (i128::from(integer(cell)?), 0),
    };
    let shift = i32::from(scale) - i32::from(has);
    let factor = 10_i128.checked_pow(shift.unsigned_abs())?;
    match shift {
        0.. => value.checked_mul(factor),
        _ => (value % factor == 0).then(|| value / factor),
    }
}

fn text<'a>(cell: &'a ColumnData<'_>) -> Option<&'a str> {
    match cell {
        ColumnData::String(value) => value.as_deref(),
        _ => None,
    }
}

fn days(date: Date) -> i64 {
    i64::from(date.days()) - EPOCH_DAYS
}

/// Since midnight; finer parts are cut off.
fn micros(time: Time) -> Option<i64> {
    let increments = i64::try_from(time.increments()).ok()?;
    let shift = 6 - i32::from(time.scale());
    let factor = 10_i64.checked_pow(shift.unsigned_abs())?;
    if shift < 0 { Some(increments / factor) } else { increments.checked_mul(factor) }
}

/// Microseconds since 1970; moments with an offset come in UTC already, with the offset beside them.
fn moment(cell: &ColumnData<'_>) -> Option<i64> {
    let of = |moment: DateTime2| days(moment.date()).checked_mul(DAY_MICROS)?.checked_add(micros(moment.time())?);
    match cell {
        ColumnData::DateTime2(value) => of((*value)?),
        ColumnData::DateTimeOffset(value) => of((*value)?.datetime2()),
        ColumnData::Date(value) => days((*value)?).checked_mul(DAY_MICROS),
        ColumnData::DateTime(value) => {
            let value = (*value)?;
            // Three hundredths of a second are shown as thousandths.
            let millis = (i64::from(value.seconds_fragments()) * 10 + 1) / 3;
            Some((i64::from(value.days()) - DATETIME_EPOCH_DAYS) * DAY_MICROS + millis * 1_000)
        }
        ColumnData::SmallDateTime(value) => {
            let value = (*value)?;
            let days = i64::from(value.days()) - DATETIME_EPOCH_DAYS;
            Some(days * DAY_MICROS + i64::from(value.seconds_fragments()) * 60_000_000)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tiberius::numeric::Numeric;
    use tiberius::time::{DateTime, DateTimeOffset};

    use super::*;

    #[test]
    fn decimals_are_put_to_the_scale() {
        let of = |value, scale| ColumnData::Numeric(Some(Numeric::new_with_scale(value, scale)));
        assert_eq!(decimal(&of(-1_230, 2), 2), Some(-1_230));
        assert_eq!(decimal(&of(5, 1), 3), Some(500));
        assert_eq!(decimal(&of(1_200, 2), 0), Some(12));
        assert_eq!(decimal(&of(1_205, 2), 0), None, "a digit beyond the scale");
        assert_eq!(decimal(&ColumnData::I32(Some(7)), 2), Some(700));
        assert_eq!(integer(&of(900, 2)), Some(9));
    }

    #[test]
    fn moments_count_from_1970() {
        // 2024-02-29, 12:00:00.
        let (date, noon) = (Date::new(738_944), 1_709_208_000_000_000);
        assert_eq!(days(date), 19_782);
        let of = |increments, scale| DateTime2::new(date, Time::new(increments, scale));
        assert_eq!(moment(&ColumnData::DateTime2(Some(of(43_200, 0)))), Some(noon));
        assert_eq!(moment(&ColumnData::DateTime2(Some(of(432_000_000_019, 7)))), Some(noon + 1));
        let zoned = DateTimeOffset::new(of(43_200_500, 3), 120);
        assert_eq!(moment(&ColumnData::DateTimeOffset(Some(zoned))), Some(noon + 500_000));
        let old = |fragments: u32| moment(&ColumnData::DateTime(Some(DateTime::new(45_349, 12_960_000 + fragments))));
        assert_eq!([old(0), old(1), old(2), old(3)].map(|m| m.unwrap() - noon), [0, 3_000, 7_000, 10_000]);
    }
}
