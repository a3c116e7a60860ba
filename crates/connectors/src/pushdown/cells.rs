//! Rows of texts as Arrow arrays, for databases that write their values out.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int8Builder, Int16Builder, Int32Builder, Int64Builder, LargeStringBuilder, NullArray, StringBuilder,
    StringViewBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, TimestampMillisecondBuilder,
    TimestampNanosecondBuilder, TimestampSecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde_json::value::RawValue;

use crate::ConnectorError;

pub(crate) const BATCH_ROWS: usize = 8_192;
pub(crate) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A batch in the making.
pub(crate) struct Cells {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl Cells {
    pub fn new(schema: SchemaRef) -> Result<Self, ConnectorError> {
        let columns = schema.fields().iter().map(|field| Column::new(field.data_type())).collect::<Result<_, _>>()?;
        Ok(Self { schema, columns, rows: 0, bytes: 0 })
    }

    /// A row with a value, or NULL, for each column; `value` answers that of a position.
    pub fn push<'a>(&mut self, mut value: impl FnMut(usize) -> Option<&'a [u8]>) -> Result<(), ConnectorError> {
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = value(index);
            self.bytes += value.map_or(1, <[u8]>::len);
            column.push(value).ok_or_else(|| unreadable(self.schema.field(index)))?;
        }
        self.rows += 1;
        Ok(())
    }

    /// A row of JSON values as they are written, so that no number loses a digit; what is no text, number or truth
    /// value is taken as its JSON.
    pub fn push_json(&mut self, row: &[&RawValue], notation: Notation) -> Result<(), ConnectorError> {
        for (index, column) in self.columns.iter_mut().enumerate() {
            let raw = row.get(index).map_or("null", |raw| raw.get());
            let field = self.schema.field(index);
            self.bytes += raw.len();
            let value = match raw.as_bytes().first() {
                Some(b'n') | None => None,
                Some(b'"') => Some(serde_json::from_str::<Cow<'_, str>>(raw).map_err(ConnectorError::internal)?),
                Some(_) => Some(Cow::Borrowed(raw)),
            };
            let pushed = match (value, field.data_type()) {
                (None, _) => column.push(None),
                (Some(text), DataType::Binary) => {
                    notation.binary.decode(&text).and_then(|bytes| column.push(Some(&bytes)))
                }
                (Some(text), DataType::Date32) if notation.moments == Moments::SecondsAndDays => {
                    text.parse().ok().and_then(|days| column.push_days(days))
                }
                (Some(text), DataType::Timestamp(..)) => match notation.moments.read(&text) {
                    Some(micros) => micros.and_then(|micros| column.push_micros(micros)),
                    None => column.push(Some(text.as_bytes())),
                },
                (Some(text), _) => column.push(Some(text.as_bytes())),
            };
            pushed.ok_or_else(|| unreadable(field))?;
        }
        self.rows += 1;
        Ok(())
    }

    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What was pushed so far; the next batch begins.
    pub fn take(&mut self) -> Result<RecordBatch, ConnectorError> {
        let arrays = self.columns.iter_mut().map(|column| column.finish(self.rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(ConnectorError::internal)
    }
}

/// How a service writes values in JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notation {
    pub binary: Binary,
    pub moments: Moments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moments {
    /// As SQL or ISO 8601 write them.
    Text,
    /// Seconds since 1970 with a fraction, and then perhaps an offset that is shown and does not count; days since
    /// 1970 for dates.
    SecondsAndDays,
    /// Microseconds since 1970 for moments with a zone.
    Microseconds,
}

impl Moments {
    /// Microseconds; `None` where it is a text to be read as such.
    fn read(self, text: &str) -> Option<Option<i64>> {
        match self {
            Self::Text => None,
            Self::SecondsAndDays => {
                let seconds = text.split(' ').next().unwrap_or_default();
                Some(decimal(seconds, 6).and_then(|micros| i64::try_from(micros).ok()))
            }
            Self::Microseconds => text.parse().ok().map(Some),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Binary {
    Base64,
    Hex,
}

impl Binary {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => BASE64_STANDARD.decode(text).ok(),
            Self::Hex => hex::decode(text).ok(),
        }
    }
}

fn unreadable(field: &Field) -> ConnectorError {
    ConnectorError::UnreadableValue { column: field.name().clone(), expected: field.data_type().to_string() }
}

enum Column {
    Null,
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal { builder: Decimal128Builder, scale: i8, limit: Option<i128> },
    Utf8(StringBuilder),
    LargeUtf8(LargeStringBuilder),
    Utf8View(StringViewBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Second(TimestampSecondBuilder, bool),
    Millisecond(TimestampMillisecondBuilder, bool),
    Microsecond(TimestampMicrosecondBuilder, bool),
    Nanosecond(TimestampNanosecondBuilder, bool),
}

impl Column {
    fn new(data_type: &DataType) -> Result<Self, ConnectorError> {
        Ok(match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => Self::Decimal {
                builder: Decimal128Builder::new().with_data_type(data_type.clone()),
                scale: *scale,
                limit: 10_i128.checked_pow(u32::from(*precision)),
            },
            DataType::Utf8 => Self::Utf8(StringBuilder::new()),
            DataType::LargeUtf8 => Self::LargeUtf8(LargeStringBuilder::new()),
            DataType::Utf8View => Self::Utf8View(StringViewBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(unit, zone) => {
                let (data_type, zoned) = (data_type.clone(), zone.is_some());
                match unit {
                    TimeUnit::Second => Self::Second(TimestampSecondBuilder::new().with_data_type(data_type), zoned),
                    TimeUnit::Millisecond => {
                        Self::Millisecond(TimestampMillisecondBuilder::new().with_data_type(data_type), zoned)
                    }
                    TimeUnit::Microsecond => {
                        Self::Microsecond(TimestampMicrosecondBuilder::new().with_data_type(data_type), zoned)
                    }
                    TimeUnit::Nanosecond => {
                        Self::Nanosecond(TimestampNanosecondBuilder::new().with_data_type(data_type), zoned)
                    }
                }
            }
            other => return Err(ConnectorError::internal(format!("results are not read as {other}"))),
        })
    }

    /// Appends the value; `None` where it is none of the column's type.
    fn push(&mut self, value: Option<&[u8]>) -> Option<()> {
        let Some(bytes) = value else {
            self.push_null();
            return Some(());
        };
        if let Self::Binary(builder) = self {
            builder.append_value(bytes);
            return Some(());
        }
        let text = std::str::from_utf8(bytes).ok()?;
        match self {
            Self::Null | Self::Binary(_) => return None,
            Self::Boolean(builder) => builder.append_value(boolean(text)?),
            Self::Int8(builder) => builder.append_value(text.parse().ok()?),
            Self::Int16(builder) => builder.append_value(text.parse().ok()?),
            Self::Int32(builder) => builder.append_value(text.parse().ok()?),
            Self::Int64(builder) => builder.append_value(text.parse().ok()?),
            // A single may come as the double of its value.
            Self::Float32(builder) => builder.append_value(text.parse::<f64>().ok()? as f32),
            Self::Float64(builder) => builder.append_value(text.parse().ok()?),
            Self::Decimal { builder, scale, limit } => {
                let value = decimal(text, *scale).filter(|value| limit.is_none_or(|limit| value.abs() < limit))?;
                builder.append_value(value);
            }
            Self::Utf8(builder) => builder.append_value(text),
            Self::LargeUtf8(builder) => builder.append_value(text),
            Self::Utf8View(builder) => builder.append_value(text),
            Self::Date(builder) => builder.append_value(date(text)?),
            Self::Time(builder) => builder.append_value(time(text)?),
            Self::Second(_, zoned)
            | Self::Millisecond(_, zoned)
            | Self::Microsecond(_, zoned)
            | Self::Nanosecond(_, zoned) => {
                let micros = microseconds(text, *zoned)?;
                return self.push_micros(micros);
            }
        }
        Some(())
    }

    fn push_days(&mut self, days: i32) -> Option<()> {
        let Self::Date(builder) = self else { return None };
        builder.append_value(days);
        Some(())
    }

    fn push_micros(&mut self, micros: i64) -> Option<()> {
        match self {
            Self::Second(builder, _) => builder.append_value(micros.div_euclid(1_000_000)),
            Self::Millisecond(builder, _) => builder.append_value(micros.div_euclid(1_000)),
            Self::Microsecond(builder, _) => builder.append_value(micros),
            Self::Nanosecond(builder, _) => builder.append_value(micros.checked_mul(1_000)?),
            _ => return None,
        }
        Some(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Null => {}
            Self::Boolean(builder) => builder.append_null(),
            Self::Int8(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal { builder, .. } => builder.append_null(),
            Self::Utf8(builder) => builder.append_null(),
            Self::LargeUtf8(builder) => builder.append_null(),
            Self::Utf8View(builder) => builder.append_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Second(builder, _) => builder.append_null(),
            Self::Millisecond(builder, _) => builder.append_null(),
            Self::Microsecond(builder, _) => builder.append_null(),
            Self::Nanosecond(builder, _) => builder.append_null(),
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        match self {
            Self::Null => Arc::new(NullArray::new(rows)),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal { builder, .. } => Arc::new(builder.finish()),
            Self::Utf8(builder) => Arc::new(builder.finish()),
            Self::LargeUtf8(builder) => Arc::new(builder.finish()),
            Self::Utf8View(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Second(builder, _) => Arc::new(builder.finish()),
            Self::Millisecond(builder, _) => Arc::new(builder.finish()),
            Self::Microsecond(builder, _) => Arc::new(builder.finish()),
            Self::Nanosecond(builder, _) => Arc::new(builder.finish()),
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "TRUE" | "t" => Some(true),
        "0" | "false" | "FALSE" | "f" => Some(false),
        _ => None,
    }
}

/// A plain decimal at a scale; digits beyond it have no place there.
fn decimal(text: &str, scale: i8) -> Option<i128> {
    // As Java writes what is very small.
    if let Some((digits, exponent)) = text.split_once(['e', 'E']) {
        return decimal(digits, scale.checked_add(exponent.parse().ok()?)?);
    }
    let scale = usize::try_from(scale).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (kept, beyond) = fraction.split_at_checked(scale).unwrap_or((fraction, ""));
    if beyond.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let mut value = 0_i128;
    let zeros = std::iter::repeat_n(b'0', scale - kept.len());
    for digit in whole.bytes().chain(kept.bytes()).chain(zeros) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    Some(if negative { -value } else { value })
}

fn date(text: &str) -> Option<i32> {
    let days = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()? - NaiveDate::from_ymd_opt(1970, 1, 1)?;
    i32::try_from(days.num_days()).ok()
}

fn time(text: &str) -> Option<i64> {
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()?;
    let micros = time.nanosecond() % 1_000 == 0;
    micros.then(|| i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000))
}

/// `2024-02-29 12:30:00.5`, with a `T` and for moments a zone (`Z`, `UTC`, `+02:00`); without one it is UTC.
fn microseconds(text: &str, zoned: bool) -> Option<i64> {
    let (text, offset) = if zoned { zone(text)? } else { (text, FixedOffset::east_opt(0)?) };
    let text = text.trim_end();
    let form = if text.contains('T') { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
    let moment = NaiveDateTime::parse_from_str(text, form).ok()?;
    if moment.nanosecond() % 1_000 != 0 {
        return None;
    }
    let moment: DateTime<FixedOffset> = moment.and_local_timezone(offset).single()?;
    Some(moment.timestamp_micros())
}

fn zone(text: &str) -> Option<(&str, FixedOffset)> {
    let utc = FixedOffset::east_opt(0)?;
    if let Some(text) = text.strip_suffix('Z').or_else(|| text.strip_suffix("UTC")) {
        return Some((text, utc));
    }
    // The date has the other two hyphens.
    let Some(at) = text.rfind(['+', '-']).filter(|at| *at > 10) else { return Some((text, utc)) };
    let (text, offset) = text.split_at_checked(at)?;
    let digits: String = offset.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { minutes.parse::<i32>().ok()? };
    let seconds = (hours.parse::<i32>().ok()? * 60 + minutes) * 60;
    Some((text, FixedOffset::east_opt(if offset.starts_with('-') { -seconds } else { seconds })?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_at_their_scale() {
        assert_eq!(decimal("-12.3", 2), Some(-1230));
        assert_eq!(decimal("0.0500", 2), Some(5));
        assert_eq!(decimal("18446744073709551615", 0), Some(18_446_744_073_709_551_615));
        assert_eq!(decimal(".5", 1), Some(5));
        assert_eq!(decimal("-1E-10", 10), Some(-1));
        assert_eq!(decimal("1.5E+3", 2), Some(150_000));
        assert_eq!(decimal("1E-3", 2), None);
        for wrong in ["0.005", "", "-", ".", "1e", "1e99", "e5", "NaN", "1.2.3", "１"] {
            assert_eq!(decimal(wrong, 2), None, "{wrong}");
        }
    }

    #[test]
    fn moments_are_read_with_and_without_a_zone() {
        let noon = 1_709_208_000_000_000;
        for text in ["2024-02-29 12:00:00", "2024-02-29T12:00:00.000000Z", "2024-02-29 12:00:00.000 UTC"] {
            assert_eq!(microseconds(text, true), Some(noon), "{text}");
        }
        assert_eq!(microseconds("2024-02-29 14:00:00.5+02:00", true), Some(noon + 500_000));
        assert_eq!(microseconds("2024-02-29 09:30:00 -0230", true), Some(noon));
        assert_eq!(microseconds("2024-02-29 12:00:00", false), Some(noon));
        assert_eq!(microseconds("2024-02-29 12:00:00+02:00", false), None);
        assert_eq!(microseconds("2024-02-29 12:00:00.0000001", false), None, "finer than a microsecond");
        assert_eq!(microseconds("0000-00-00 00:00:00", false), None);
        assert_eq!(date("1969-12-31"), Some(-1));
        assert_eq!(Moments::SecondsAndDays.read("1709208000.500000000 1440"), Some(Some(noon + 500_000)));
        assert_eq!(Moments::SecondsAndDays.read("-0.000001"), Some(Some(-1)));
        assert_eq!(Moments::Microseconds.read("1709208000000000"), Some(Some(noon)));
        assert_eq!(Moments::Microseconds.read("2024-02-29T12:00:00"), None, "a moment without a zone is a text");
        assert_eq!(time("23:59:59.5"), Some(86_399_500_000));
    }
}
