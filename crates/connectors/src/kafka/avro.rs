//! Values in Avro, by a schema that stands elsewhere.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{Name, NamespaceRef, ResolvedSchema};
use apache_avro::types::Value as Avro;
use apache_avro::{Schema, util};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};

use crate::ConnectorError;
use crate::documents::{Decimal, Value};

/// One value of a record.
const LARGEST: usize = 16 * 1024 * 1024;

/// A schema, checked.
#[derive(Debug, Clone)]
pub(super) struct AvroSchema {
    /// Those that it refers to, and itself last.
    schemas: Arc<[Schema]>,
}

impl AvroSchema {
    /// Of its text, which is the last, and of those that it refers to.
    pub fn parse(texts: &[String]) -> Result<Self, &'static str> {
        let (own, others) = texts.split_last().ok_or("is not an Avro schema")?;
        let parsed = Schema::parse_str_with_list(own, others).map_err(|_| "is not an Avro schema")?;
        let schemas: Vec<Schema> = parsed.1.into_iter().chain([parsed.0]).collect();
        let schema = Self { schemas: schemas.into() };
        let reader = schema.reader().map_err(|_| "refers to a schema that does not exist")?;
        // A few bytes could be a value that takes all of the stack, or of the memory.
        reader.measure(reader.schema, None, &mut Open::default())?;
        drop(reader);
        Ok(schema)
    }

    pub fn reader(&self) -> Result<AvroReader<'_>, ConnectorError> {
        // Of the whole process; nothing else of it reads Avro with this library.
        util::max_allocation_bytes(LARGEST);
        let all = || self.schemas.iter().collect::<Vec<_>>();
        let schema = self.schemas.last().ok_or_else(|| ConnectorError::internal("a schema without a text"))?;
        let datum = GenericDatumReader::builder(schema)
            .writer_schemata(all())
            .and_then(|builder| builder.build())
            .map_err(ConnectorError::internal)?;
        let names = ResolvedSchema::new_with_schemata(all()).map_err(ConnectorError::internal)?;
        Ok(AvroReader { schema, datum, names })
    }
}

/// Reads values of one schema.
pub(super) struct AvroReader<'s> {
    schema: &'s Schema,
    datum: GenericDatumReader<'s>,
    names: ResolvedSchema<'s>,
}

impl<'s> AvroReader<'s> {
    /// The value that all of these bytes are.
    pub fn value(&self, bytes: &[u8]) -> Option<Value> {
        let mut whole = Whole { rest: bytes, is_short: false };
        let value = self.datum.read_value(&mut whole).ok()?;
        if whole.rest.is_empty() && !whole.is_short { self.translate(self.schema, value, None) } else { None }
    }

    fn translate(&self, schema: &Schema, value: Avro, namespace: NamespaceRef<'_>) -> Option<Value> {
        Some(match (schema, value) {
            (Schema::Ref { name }, value) => {
                let (name, schema) = self.named(name, namespace)?;
                self.translate(schema, value, name.namespace())?
            }
            (Schema::Union(union), Avro::Union(at, value)) => {
                self.translate(union.variants().get(usize::try_from(at).ok()?)?, *value, namespace)?
            }
            (Schema::Record(record), Avro::Record(fields)) => {
                let namespace = record.name.namespace().or(namespace);
                let field = |(field, (name, value)): (&apache_avro::schema::RecordField, (String, Avro))| {
                    Some((name, self.translate(&field.schema, value, namespace)?))
                };
                Value::Object(record.fields.iter().zip(fields).map(field).collect::<Option<_>>()?)
            }
            (Schema::Array(array), Avro::Array(items)) => Value::Array(
                items.into_iter().map(|item| self.translate(&array.items, item, namespace)).collect::<Option<_>>()?,
            ),
            (Schema::Map(map), Avro::Map(members)) => {
                let member = |(name, value)| Some((name, self.translate(&map.types, value, namespace)?));
                let mut members = members.into_iter().map(member).collect::<Option<Vec<_>>>()?;
                // They come in no order.
                members.sort_by(|(one, _), (other, _)| one.cmp(other));
                Value::Object(members)
            }
            (Schema::Decimal(decimal), Avro::Decimal(digits)) => {
                let digits = <Vec<u8>>::try_from(&digits).ok()?;
                Value::Decimal(Decimal { digits: Decimal::whole(&digits)?, scale: u8::try_from(decimal.scale).ok()? })
            }
            (_, value) => scalar(value)?,
        })
    }

    fn named(&self, name: &Name, namespace: NamespaceRef<'_>) -> Option<(Name, &'s Schema)> {
        let name = name.fully_qualified_name(namespace).into_owned();
        let schema = *self.names.get_names().get(&name)?;
        Some((name, schema))
    }

    /// How much a value of the schema takes; refuses schemas that hold themselves, nest deep, or have values of which many
    /// are made of few bytes.
    fn measure(&self, schema: &Schema, namespace: NamespaceRef<'_>, open: &mut Open) -> Result<Measure, &'static str> {
        if open.depth >= DEEPEST {
            return Err("is nested too deeply");
        }
        open.depth += 1;
        let measure = match schema {
            Schema::Ref { name } => match self.named(name, namespace) {
                Some((name, _)) if open.records.contains(&name) => Err("contains itself, which cannot be read"),
                Some((name, schema)) => match open.known.get(&name) {
                    Some(known) => Ok(*known),
                    None => self.measure(schema, name.namespace(), open),
                },
                None => Ok(Measure::ONE),
            },
            Schema::Record(record) => {
                let name = record.name.fully_qualified_name(namespace).into_owned();
                open.records.push(name.clone());
                let mut whole = Measure { values: 1, bytes: 0 };
                for field in &record.fields {
                    let field = self.measure(&field.schema, name.namespace(), open)?;
                    whole.values = whole.values.saturating_add(field.values);
                    whole.bytes = whole.bytes.saturating_add(field.bytes);
                }
                open.records.pop();
                open.known.insert(name, whole);
                Ok(whole)
            }
            Schema::Array(array) => self.measure(&array.items, namespace, open)?.repeated(0),
            // Each has a name, of one byte at least.
            Schema::Map(map) => self.measure(&map.types, namespace, open)?.repeated(1),
            Schema::Union(union) => {
                let mut largest = Measure::ONE;
                for variant in union.variants() {
                    largest.values = largest.values.max(1 + self.measure(variant, namespace, open)?.values);
                }
                Ok(largest)
            }
            Schema::Null => Ok(Measure { values: 1, bytes: 0 }),
            _ => Ok(Measure::ONE),
        }?;
        open.depth -= 1;
        if measure.values > MOST_VALUES { Err("has too many fields") } else { Ok(measure) }
    }
}

/// Levels of a schema.
const DEEPEST: usize = 64;
/// Values that one value holds, lists and maps aside.
const MOST_VALUES: u64 = 10_000;
/// Values for each byte of a list's items.
const VALUES_PER_BYTE: u64 = 64;

/// What stands open around a schema, and what is known of others.
#[derive(Default)]
struct Open {
    depth: usize,
    records: Vec<Name>,
    known: HashMap<Name, Measure>,
}

/// What a value takes: how many values it holds at most, lists and maps aside, and how many bytes at least.
#[derive(Clone, Copy)]
struct Measure {
    values: u64,
    bytes: u64,
}

impl Measure {
    const ONE: Self = Self { values: 1, bytes: 1 };

    /// Of a list of such items, each with so many bytes more.
    fn repeated(self, more: u64) -> Result<Self, &'static str> {
        let fits = self.values <= VALUES_PER_BYTE.saturating_mul(self.bytes + more);
        fits.then_some(Self::ONE).ok_or("has lists of items that take more memory than bytes")
    }
}

/// Bytes that remember whether more were wanted: the library takes a text that breaks off for a null.
struct Whole<'a> {
    rest: &'a [u8],
    is_short: bool,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.is_short |= self.rest.len() < buffer.len();
        self.rest.read(buffer)
    }
}

/// A value that needs no schema to be understood.
fn scalar(value: Avro) -> Option<Value> {
    Some(match value {
        Avro::Null => Value::Null,
        Avro::Boolean(value) => Value::Bool(value),
        Avro::Int(value) => Value::Int(value.into()),
        Avro::Long(value) => Value::Int(value),
        Avro::Float(value) => Value::Float(value.into()),
        Avro::Double(value) => Value::Float(value),
        Avro::Bytes(bytes) | Avro::Fixed(_, bytes) => Value::Bytes(bytes),
        Avro::String(text) | Avro::Enum(_, text) => Value::Text(text),
        Avro::BigDecimal(value) => {
            let text = value.to_string();
            Decimal::parse(&text).map_or(Value::Text(text), Value::Decimal)
        }
        Avro::Uuid(value) => Value::Text(value.to_string()),
        Avro::Date(days) => {
            let date = NaiveDate::default().checked_add_signed(TimeDelta::try_days(days.into())?)?;
            Value::Text(date.to_string())
        }
        Avro::TimeMillis(value) => time(i64::from(value).checked_mul(1_000)?)?,
        Avro::TimeMicros(value) => time(value)?,
        Avro::TimestampMillis(value) => Value::Moment(value.checked_mul(1_000)?),
        Avro::TimestampMicros(value) => Value::Moment(value),
        // Finer than a column of moments is.
        Avro::TimestampNanos(value) => Value::Text(DateTime::from_timestamp_nanos(value).to_rfc3339()),
        Avro::LocalTimestampMillis(value) => local(DateTime::from_timestamp_millis(value)?),
        Avro::LocalTimestampMicros(value) => local(DateTime::from_timestamp_micros(value)?),
        Avro::LocalTimestampNanos(value) => local(DateTime::from_timestamp_nanos(value)),
        Avro::Duration(value) => {
            let (months, days, millis): (u32, u32, u32) =
                (value.months().into(), value.days().into(), value.millis().into());
            Value::Text(format!("P{months}M{days}DT{}.{:03}S", millis / 1_000, millis % 1_000))
        }
        Avro::Decimal(_) | Avro::Union(..) | Avro::Array(_) | Avro::Map(_) | Avro::Record(_) => return None,
    })
}

fn time(microseconds: i64) -> Option<Value> {
    let seconds = u32::try_from(microseconds.div_euclid(1_000_000)).ok()?;
    let nanoseconds = u32::try_from(microseconds.rem_euclid(1_000_000) * 1_000).ok()?;
    Some(Value::Text(NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanoseconds)?.to_string()))
}

/// A date with a time that no zone is told of.
fn local(moment: DateTime<chrono::Utc>) -> Value {
    Value::Text(moment.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(schema: &str, bytes: &[u8]) -> Option<Value> {
        AvroSchema::parse(&[schema.to_owned()]).unwrap().reader().unwrap().value(bytes)
    }

    #[test]
    fn every_type_has_its_value() {
        let text = |text: &str| Some(Value::text(text));
        let logical = |base: &str, name: &str| format!(r#"{{"type": "{base}", "logicalType": "{name}"}}"#);
        assert_eq!(read(r#""long""#, &[0x03]), Some(Value::Int(-2)));
        assert_eq!(read(&logical("int", "date"), &[0x02]), text("1970-01-02"));
        assert_eq!(read(&logical("int", "time-millis"), &[0xd0, 0x0f]), text("00:00:01"));
        assert_eq!(read(&logical("long", "timestamp-millis"), &[0x02]), Some(Value::Moment(1_000)));
        assert_eq!(read(&logical("long", "timestamp-micros"), &[0x02]), Some(Value::Moment(1)));
        assert_eq!(read(&logical("long", "local-timestamp-millis"), &[0x02]), text("1970-01-01T00:00:00.001"));
        let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#;
        assert_eq!(read(decimal, &[4, 0xff, 0x85]), Some(Value::Decimal(Decimal { digits: -123, scale: 2 })));
        assert_eq!(read(r#"["null", "string"]"#, &[2, 2, b'x']), text("x"));
        assert_eq!(read(r#"["null", "string"]"#, &[0]), Some(Value::Null));
        let map = read(r#"{"type": "map", "values": "int"}"#, &[4, 2, b'b', 2, 2, b'a', 4, 0]);
        assert_eq!(map.unwrap().to_text(), r#"{"a":2,"b":1}"#);
        let named = r#"{"type": "record", "name": "n.Pair", "fields": [
            {"name": "one", "type": {"type": "enum", "name": "Side", "symbols": ["L", "R"]}},
            {"name": "other", "type": "Side"}]}"#;
        assert_eq!(read(named, &[2, 0]).unwrap().to_text(), r#"{"one":"R","other":"L"}"#);
    }

    #[test]
    fn what_is_left_over_or_missing_is_no_value() {
        assert_eq!(read(r#""long""#, &[0x02, 0x00]), None);
        assert_eq!(read(r#""string""#, &[0x04, b'x']), None);
        // An array that says it has more items than there are bytes.
        let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0x00];
        assert_eq!(read(r#"{"type": "array", "items": "int"}"#, &many), None);
    }

    #[test]
    fn a_schema_that_holds_itself_is_refused() {
        let list = r#"{"type": "record", "name": "a.List", "fields": [{"name": "next", "type": ["null", "List"]}]}"#;
        assert!(AvroSchema::parse(&[list.to_owned()]).is_err());
        let twice = r#"{"type": "record", "name": "Twice", "fields": [
            {"name": "a", "type": {"type": "record", "name": "One", "fields": []}}, {"name": "b", "type": "One"}]}"#;
        assert!(AvroSchema::parse(&[twice.to_owned()]).is_ok());
        let other = r#"{"type": "record", "name": "Other", "fields": [{"name": "t", "type": "Twice"}]}"#;
        assert!(AvroSchema::parse(&[twice.to_owned(), other.to_owned()]).is_ok());
        let nothing = r#"{"type": "array", "items": "null"}"#;
        let nulls: Vec<String> = (0..200).map(|n| format!(r#"{{"name": "n{n}", "type": "null"}}"#)).collect();
        let of_nulls = format!(
            r#"{{"type": "record", "name": "Nulls", "fields": [{}, {{"name": "b", "type": "boolean"}}]}}"#,
            nulls.join(", ")
        );
        let list = format!(r#"{{"type": "array", "items": {of_nulls}}}"#);
        let deep = (0..100).fold(r#""int""#.to_owned(), |items, _| format!(r#"{{"type": "array", "items": {items}}}"#));
        assert!(AvroSchema::parse(&[of_nulls]).is_ok());
        for bomb in [nothing, list.as_str(), deep.as_str()] {
            assert!(AvroSchema::parse(&[bomb.to_owned()]).is_err(), "{bomb}");
        }
        for wrong in ["", "nonsense", r#"{"type": "record"}"#, r#""Missing""#] {
            assert!(AvroSchema::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
