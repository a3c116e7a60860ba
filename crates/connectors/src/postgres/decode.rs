//! PostgreSQL's binary values as Arrow arrays.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, LargeStringArray, NullArray, StringArray, StringViewArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::ConnectorError;

/// Days and microseconds from 1970 to 2000, where PostgreSQL counts from.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Rows as a batch, by position.
pub(super) fn decode(rows: &[Row], schema: &SchemaRef) -> Result<RecordBatch, ConnectorError> {
    let columns = schema.fields().iter().enumerate();
    let arrays = columns.map(|(index, field)| array(rows, index, field)).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(ConnectorError::internal)
}

/// A value as it came.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn array(rows: &[Row], index: usize, field: &Field) -> Result<ArrayRef, ConnectorError> {
    let column = Column { rows, index, field };
    let is_numeric = rows.first().and_then(|row| row.columns().get(index)).is_some_and(|c| *c.type_() == Type::NUMERIC);
    Ok(match field.data_type() {
        DataType::Null => Arc::new(NullArray::new(rows.len())),
        DataType::Boolean => Arc::new(BooleanArray::from(column.read(|raw| Some(raw.first()? != &0))?)),
        DataType::Int8 => Arc::new(Int8Array::from(column.read(|raw| integer(raw)?.try_into().ok())?)),
        DataType::Int16 => Arc::new(Int16Array::from(column.read(|raw| integer(raw)?.try_into().ok())?)),
        DataType::Int32 => Arc::new(Int32Array::from(column.read(|raw| integer(raw)?.try_into().ok())?)),
        DataType::Int64 => Arc::new(Int64Array::from(column.read(integer)?)),
        DataType::Float32 => {
            Arc::new(Float32Array::from(column.read(|raw| Some(f32::from_be_bytes(raw.try_into().ok()?)))?))
        }
        DataType::Float64 => Arc::new(Float64Array::from(column.read(float)?)),
        DataType::Decimal128(precision, scale) => {
            let limit = 10_i128.checked_pow(u32::from(*precision));
            let values = column.read(|raw| {
                let value = if is_numeric {
                    numeric(raw, *scale)?
                } else {
                    i128::from(integer(raw)?).checked_mul(10_i128.checked_pow(u32::try_from(*scale).ok()?)?)?
                };
                limit.is_none_or(|limit| value.abs() < limit).then_some(value)
            })?;
            let array = Decimal128Array::from(values).with_precision_and_scale(*precision, *scale);
            Arc::new(array.map_err(ConnectorError::internal)?)
        }
        DataType::Utf8 => Arc::new(StringArray::from(column.texts()?)),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(column.texts()?)),
        DataType::Utf8View => Arc::new(StringViewArray::from(column.texts()?)),
        DataType::Binary => Arc::new(BinaryArray::from(column.raw()?)),
        DataType::Date32 => Arc::new(Date32Array::from(column.read(|raw| {
            let days = i32::from_be_bytes(raw.try_into().ok()?);
            finite(days != i32::MAX && days != i32::MIN, days.checked_add(EPOCH_DAYS))
        })?)),
        DataType::Time64(TimeUnit::Microsecond) => {
            Arc::new(Time64MicrosecondArray::from(column.read(|raw| Some(i64::from_be_bytes(raw.try_into().ok()?)))?))
        }
        DataType::Timestamp(unit, zone) => {
            let moment = |raw: &[u8]| moment(raw);
            match unit {
                TimeUnit::Second => {
                    let values = column.read(|raw| Some(moment(raw)?.div_euclid(1_000_000)))?;
                    Arc::new(TimestampSecondArray::from(values).with_timezone_opt(zone.clone()))
                }
                TimeUnit::Millisecond => {
                    let values = column.read(|raw| Some(moment(raw)?.div_euclid(1_000)))?;
                    Arc::new(TimestampMillisecondArray::from(values).with_timezone_opt(zone.clone()))
                }
                TimeUnit::Microsecond => {
                    Arc::new(TimestampMicrosecondArray::from(column.read(moment)?).with_timezone_opt(zone.clone()))
                }
                TimeUnit::Nanosecond => {
                    let values = column.read(|raw| moment(raw)?.checked_mul(1_000))?;
                    Arc::new(TimestampNanosecondArray::from(values).with_timezone_opt(zone.clone()))
                }
            }
        }
        other => return Err(ConnectorError::internal(format!("PostgreSQL results are not read as {other}"))),
    })
}

struct Column<'a> {
    rows: &'a [Row],
    index: usize,
    field: &'a Field,
}

impl<'a> Column<'a> {
    fn values(&self) -> impl Iterator<Item = Result<Option<&'a [u8]>, ConnectorError>> {
        let index = self.index;
        self.rows.iter().map(move |row| {
            let raw = row.try_get::<_, Option<Raw<'a>>>(index).map_err(ConnectorError::internal)?;
            Ok(raw.map(|raw| raw.0))
        })
    }

    fn raw(&self) -> Result<Vec<Option<&'a [u8]>>, ConnectorError> {
        self.values().collect()
    }

    /// The values, where each has one in the column's type.
    fn read<T>(&self, value: impl Fn(&'a [u8]) -> Option<T>) -> Result<Vec<Option<T>>, ConnectorError> {
        let values = self.values().map(|raw| match raw? {
            Some(raw) => value(raw).map(Some).ok_or_else(|| self.unreadable()),
            None => Ok(None),
        });
        values.collect()
    }

    fn texts(&self) -> Result<Vec<Option<&'a str>>, ConnectorError> {
        self.read(|raw| std::str::from_utf8(raw).ok())
    }

    fn unreadable(&self) -> ConnectorError {
        ConnectorError::UnreadableValue {
            column: self.field.name().clone(),
            expected: self.field.data_type().to_string(),
        }
    }
}

fn integer(raw: &[u8]) -> Option<i64> {
    match raw.len() {
        2 => Some(i64::from(i16::from_be_bytes(raw.try_into().ok()?))),
        4 => Some(i64::from(i32::from_be_bytes(raw.try_into().ok()?))),
        8 => Some(i64::from_be_bytes(raw.try_into().ok()?)),
        _ => None,
    }
}

fn float(raw: &[u8]) -> Option<f64> {
    match raw.len() {
        4 => Some(f64::from(f32::from_be_bytes(raw.try_into().ok()?))),
        8 => Some(f64::from_be_bytes(raw.try_into().ok()?)),
        _ => None,
    }
}

fn finite<T>(is_finite: bool, value: Option<T>) -> Option<T> {
    value.filter(|_| is_finite)
}

/// Microseconds since 1970; infinity has none.
fn moment(raw: &[u8]) -> Option<i64> {
    let micros = i64::from_be_bytes(raw.try_into().ok()?);
    finite(micros != i64::MAX && micros != i64::MIN, micros.checked_add(EPOCH_MICROS))
}

/// Powers of ten by which a group of digits stays within 64 bits, where arithmetic is quick: most numbers have no others.
const POWERS: [i64; 15] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
    10_000_000_000_000,
    100_000_000_000_000,
];

/// A numeric's digits at a scale: groups of four decimal digits, the first worth 10000^weight. Neither NaN nor
/// digits beyond the scale have a place there.
fn numeric(raw: &[u8], scale: i8) -> Option<i128> {
    let word = |index: usize| Some(u16::from_be_bytes(raw.get(index * 2..index * 2 + 2)?.try_into().ok()?));
    let (groups, weight, sign) = (usize::from(word(0)?), i32::from(word(1)? as i16), word(2)?);
    let mut value = 0_i128;
    for group in 0..groups {
        let digits = i64::from(word(4 + group)?);
        if digits == 0 {
            continue;
        }
        let exponent = (weight - i32::try_from(group).ok()?) * 4 + i32::from(scale);
        let power = POWERS.get(usize::try_from(exponent.unsigned_abs()).ok()?);
        let digits = match power {
            Some(power) if exponent >= 0 => i128::from(digits * power),
            None if exponent >= 0 => i128::from(digits).checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?,
            Some(power) if digits % power == 0 => i128::from(digits / power),
            _ => return None,
        };
        value = value.checked_add(digits)?;
    }
    match sign {
        0x0000 => Some(value),
        0x4000 => Some(-value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(weight: i16, sign: u16, groups: &[u16]) -> Vec<u8> {
        let head = [groups.len() as u16, weight as u16, sign, 0];
        head.iter().chain(groups).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn numerics_are_read_at_their_scale() {
        assert_eq!(numeric(&wire(0, 0, &[1234, 5600]), 2), Some(123_456));
        assert_eq!(numeric(&wire(1, 0x4000, &[1, 2345]), 3), Some(-12_345_000));
        assert_eq!(numeric(&wire(-1, 0, &[500]), 2), Some(5));
        assert_eq!(numeric(&wire(-1, 0, &[50]), 2), None, "digits beyond the scale");
        assert_eq!(numeric(&wire(-2, 0, &[5000]), 2), None, "digits in a group far beyond the scale");
        assert_eq!(numeric(&wire(0, 0, &[]), 2), Some(0));
        assert_eq!(numeric(&wire(3, 0, &[9999, 9999, 9999, 9999]), 2), Some(999_999_999_999_999_900));
        assert_eq!(numeric(&wire(4, 0, &[1]), 0), Some(10_i128.pow(16)));
        assert_eq!(numeric(&wire(6, 0, &[1, 0, 0, 0, 0, 0, 7]), 10), Some(10_i128.pow(34) + 7 * 10_i128.pow(10)));
        assert_eq!(numeric(&wire(9, 0, &[99]), 2), None, "more than 128 bits");
        assert_eq!(numeric(&wire(0, 0xC000, &[]), 2), None, "NaN");
        assert_eq!(numeric(&[0, 5, 0, 0], 2), None, "cut short");
    }
}
