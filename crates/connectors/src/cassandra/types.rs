//! CQL's types as columns, and its values as those of documents.
//!
//! What Arrow's columns of documents have no type for is text that is compared as it is written: UUIDs and addresses in
//! their canonical form, dates and times by ISO 8601. Maps are lists of key and value, sets lists, user-defined types
//! and tuples structs.

use chrono::{NaiveDate, NaiveTime, TimeDelta};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use scylla::cluster::metadata::{CollectionType, ColumnType, NativeType};
use scylla::value::{CqlDate, CqlDuration, CqlTime, CqlValue};

use crate::documents::{Decimal, Value, moment};

/// Digits of a `decimal` after the point; CQL declares none.
const SCALE: i8 = 10;
/// Days of CQL's dates before 1970.
const EPOCH: i64 = 1 << 31;
const NANOSECONDS: i64 = 1_000_000_000;

/// The type of a column; `None` where it cannot be read.
pub(super) fn data_type(cql: &ColumnType) -> Option<DataType> {
    let structure = |fields: Vec<(String, DataType)>| {
        let fields = fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true));
        DataType::Struct(fields.collect::<Fields>())
    };
    Some(match cql {
        ColumnType::Native(native) => match native {
            NativeType::TinyInt | NativeType::SmallInt | NativeType::Int | NativeType::BigInt | NativeType::Counter => {
                DataType::Int64
            }
            NativeType::Float | NativeType::Double => DataType::Float64,
            NativeType::Boolean => DataType::Boolean,
            NativeType::Blob => DataType::Binary,
            NativeType::Timestamp => moment(),
            NativeType::Decimal => DataType::Decimal128(Decimal::DIGITS as u8, SCALE),
            NativeType::Varint => DataType::Decimal128(Decimal::DIGITS as u8, 0),
            NativeType::Ascii
            | NativeType::Text
            | NativeType::Uuid
            | NativeType::Timeuuid
            | NativeType::Inet
            | NativeType::Date
            | NativeType::Time
            | NativeType::Duration => DataType::Utf8,
            _ => return None,
        },
        ColumnType::Collection { typ: CollectionType::List(item) | CollectionType::Set(item), .. }
        | ColumnType::Vector { typ: item, .. } => DataType::new_list(data_type(item)?, true),
        ColumnType::Collection { typ: CollectionType::Map(key, value), .. } => {
            let fields = vec![("key".to_owned(), data_type(key)?), ("value".to_owned(), data_type(value)?)];
            DataType::new_list(structure(fields), true)
        }
        ColumnType::UserDefinedType { definition, .. } => {
            let fields = definition.field_types.iter().map(|(name, cql)| Some((name.to_string(), data_type(cql)?)));
            structure(fields.collect::<Option<_>>()?)
        }
        ColumnType::Tuple(items) => {
            let item = |(at, cql): (usize, &ColumnType)| Some((at.to_string(), data_type(cql)?));
            structure((1..).zip(items).map(item).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The type as CQL writes it.
pub(super) fn name(cql: &ColumnType) -> String {
    match cql {
        ColumnType::Native(native) => format!("{native:?}").to_lowercase(),
        ColumnType::Collection { frozen, typ } => {
            let text = match typ {
                CollectionType::List(item) => format!("list<{}>", name(item)),
                CollectionType::Set(item) => format!("set<{}>", name(item)),
                CollectionType::Map(key, value) => format!("map<{}, {}>", name(key), name(value)),
                _ => "collection".to_owned(),
            };
            if *frozen { format!("frozen<{text}>") } else { text }
        }
        ColumnType::Vector { typ, dimensions } => format!("vector<{}, {dimensions}>", name(typ)),
        ColumnType::UserDefinedType { frozen: true, definition } => format!("frozen<{}>", definition.name),
        ColumnType::UserDefinedType { definition, .. } => definition.name.to_string(),
        ColumnType::Tuple(items) => format!("tuple<{}>", items.iter().map(name).collect::<Vec<_>>().join(", ")),
        _ => "unknown".to_owned(),
    }
}

/// A value; `None` where it has no place in its column's type.
pub(super) fn value(cql: CqlValue) -> Option<Value> {
    let optional = |cql: Option<CqlValue>| cql.map_or(Some(Value::Null), value);
    let list = |items: Vec<CqlValue>| Some(Value::Array(items.into_iter().map(value).collect::<Option<_>>()?));
    Some(match cql {
        // A legacy of Thrift: a value without bytes where the type has some.
        CqlValue::Empty => Value::Null,
        CqlValue::Ascii(text) | CqlValue::Text(text) => Value::Text(text),
        CqlValue::Boolean(value) => Value::Bool(value),
        CqlValue::Blob(bytes) => Value::Bytes(bytes),
        CqlValue::TinyInt(value) => Value::Int(value.into()),
        CqlValue::SmallInt(value) => Value::Int(value.into()),
        CqlValue::Int(value) => Value::Int(value.into()),
        CqlValue::BigInt(value) => Value::Int(value),
        CqlValue::Counter(value) => Value::Int(value.0),
        CqlValue::Float(value) => Value::Float(value.into()),
        CqlValue::Double(value) => Value::Float(value),
        CqlValue::Decimal(value) => {
            let (digits, scale) = value.as_signed_be_bytes_slice_and_exponent();
            Value::Decimal(decimal(Decimal::whole(digits)?, scale)?)
        }
        CqlValue::Varint(value) => Value::Decimal(Decimal::whole(value.as_signed_bytes_be_slice())?.into()),
        CqlValue::Timestamp(milliseconds) => Value::Moment(milliseconds.0.checked_mul(1_000)?),
        CqlValue::Date(date) => Value::Text(date_text(date)?),
        CqlValue::Time(time) => Value::Text(time_text(time)?),
        CqlValue::Duration(duration) => Value::Text(duration_text(&duration)),
        CqlValue::Inet(address) => Value::Text(address.to_string()),
        CqlValue::Uuid(uuid) => Value::Text(uuid.to_string()),
        CqlValue::Timeuuid(uuid) => Value::Text(uuid.to_string()),
        CqlValue::List(items) | CqlValue::Set(items) | CqlValue::Vector(items) => list(items)?,
        CqlValue::Map(members) => {
            let member = |(key, content)| {
                Some(Value::Object(vec![("key".to_owned(), value(key)?), ("value".to_owned(), value(content)?)]))
            };
            Value::Array(members.into_iter().map(member).collect::<Option<_>>()?)
        }
        CqlValue::UserDefinedType { fields, .. } => {
            let field = |(name, value)| Some((name, optional(value)?));
            Value::Object(fields.into_iter().map(field).collect::<Option<_>>()?)
        }
        CqlValue::Tuple(items) => {
            let item = |(at, value): (usize, _)| Some((at.to_string(), optional(value)?));
            Value::Object((1..).zip(items).map(item).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// `digits / 10^scale`, with as few digits as it takes.
fn decimal(mut digits: i128, mut scale: i32) -> Option<Decimal> {
    if digits == 0 {
        return Some(Decimal::from(0));
    }
    while scale > 0 && digits % 10 == 0 {
        digits /= 10;
        scale -= 1;
    }
    if scale < 0 {
        digits = digits.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
        scale = 0;
    }
    Some(Decimal { digits, scale: u8::try_from(scale).ok()? })
}

/// `2024-02-29`.
fn date_text(date: CqlDate) -> Option<String> {
    let days = TimeDelta::try_days(i64::from(date.0) - EPOCH)?;
    Some(NaiveDate::default().checked_add_signed(days)?.to_string())
}

/// The date that is written so, and in no other way.
pub(super) fn date(text: &str) -> Option<CqlDate> {
    let date: NaiveDate = text.parse().ok()?;
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    (date.to_string() == text).then_some(CqlDate(u32::try_from(days + EPOCH).ok()?))
}

/// `12:30:00.000000000`.
fn time_text(time: CqlTime) -> Option<String> {
    let seconds = u32::try_from(time.0.div_euclid(NANOSECONDS)).ok()?;
    let nanoseconds = u32::try_from(time.0.rem_euclid(NANOSECONDS)).ok()?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanoseconds)?;
    Some(time.format("%H:%M:%S%.9f").to_string())
}

/// `P1M2DT3.000000004S`, with a sign before it; CQL's parts have one sign.
fn duration_text(duration: &CqlDuration) -> String {
    let negative = duration.months < 0 || duration.days < 0 || duration.nanoseconds < 0;
    let nanoseconds = duration.nanoseconds.unsigned_abs();
    let (seconds, rest) = (nanoseconds / NANOSECONDS.unsigned_abs(), nanoseconds % NANOSECONDS.unsigned_abs());
    let sign = if negative { "-" } else { "" };
    format!("{sign}P{}M{}DT{seconds}.{rest:09}S", duration.months.unsigned_abs(), duration.days.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use scylla::value::{CqlDecimal, CqlTimestamp, CqlVarint};

    use super::*;

    fn decimal_of(bytes: &[u8], scale: i32) -> Option<Value> {
        value(CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_and_exponent(bytes.to_vec(), scale)))
    }

    #[test]
    fn numbers_are_exact() {
        let exact = |digits, scale| Some(Value::Decimal(Decimal { digits, scale }));
        assert_eq!(decimal_of(&[0xff, 0x85], 2), exact(-123, 2));
        assert_eq!(decimal_of(&[0x04, 0xb0], 3), exact(12, 1));
        assert_eq!(decimal_of(&[0x07], -2), exact(700, 0));
        assert_eq!(decimal_of(&[0x00], i32::MIN), exact(0, 0));
        assert_eq!(decimal_of(&[0x01], -39), None);
        let varint = |bytes: &[u8]| value(CqlValue::Varint(CqlVarint::from_signed_bytes_be(bytes.to_vec())));
        assert_eq!(varint(&[0x80]), exact(-128, 0));
        assert_eq!(varint(&[0x7f; 20]), None);
    }

    #[test]
    fn times_are_written_as_iso_has_it() {
        let shown = |cql| value(cql).map(|value| value.to_text());
        assert_eq!(shown(CqlValue::Date(CqlDate(1 << 31))).as_deref(), Some("1970-01-01"));
        assert_eq!(date("2024-02-29").and_then(date_text).as_deref(), Some("2024-02-29"));
        assert_eq!((date("2024-2-9"), date("yesterday")), (None, None));
        assert_eq!(shown(CqlValue::Date(CqlDate(0))), None);
        let time = CqlTime(45_000 * NANOSECONDS + 7);
        assert_eq!(shown(CqlValue::Time(time)).as_deref(), Some("12:30:00.000000007"));
        let duration = CqlDuration { months: -1, days: 0, nanoseconds: -1_500_000_000 };
        assert_eq!(shown(CqlValue::Duration(duration)).as_deref(), Some("-P1M0DT1.500000000S"));
        assert_eq!(value(CqlValue::Timestamp(CqlTimestamp(-1))), Some(Value::Moment(-1_000)));
        assert_eq!(value(CqlValue::Timestamp(CqlTimestamp(i64::MAX))), None);
    }
}
