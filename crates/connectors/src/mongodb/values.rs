//! BSON as documents.

use mongodb::bson::{Bson, Document as BsonDocument, spec::BinarySubtype};

use crate::documents::{Decimal, Document, Value};

/// A document with all its fields.
pub(super) fn document(document: &BsonDocument) -> Document {
    document.iter().map(|(name, bson)| (name.clone(), value(bson))).collect()
}

/// A document of which the named fields are of one kind; another kind is a value that fits no column.
pub(super) fn typed_document(document: &BsonDocument, kinds: &[(String, String)]) -> Document {
    let field = |(name, bson): (&String, &Bson)| {
        let expected = kinds.iter().find(|(known, _)| known == name).map(|(_, kind)| kind.as_str());
        let fits = expected.is_none_or(|expected| kind(bson).is_none_or(|kind| kind == expected));
        (name.clone(), if fits { value(bson) } else { misfit(expected) })
    };
    document.iter().map(field).collect()
}

/// A value of another kind than the column's, whatever that is.
fn misfit(expected: Option<&str>) -> Value {
    match expected {
        Some("boolean") => Value::Int(0),
        _ => Value::Bool(true),
    }
}

fn value(bson: &Bson) -> Value {
    match bson {
        Bson::Null | Bson::Undefined => Value::Null,
        Bson::Boolean(value) => Value::Bool(*value),
        Bson::Int32(value) => Value::Int(i64::from(*value)),
        Bson::Int64(value) => Value::Int(*value),
        Bson::Double(value) => Value::Float(*value),
        Bson::Decimal128(value) => {
            let text = value.to_string();
            Decimal::parse(&text).map_or(Value::Text(text), Value::Decimal)
        }
        Bson::String(text) | Bson::Symbol(text) => Value::text(text),
        Bson::ObjectId(id) => Value::Text(id.to_hex()),
        Bson::DateTime(moment) => {
            let milliseconds = moment.timestamp_millis();
            milliseconds.checked_mul(1_000).map_or(Value::Int(milliseconds), Value::Moment)
        }
        Bson::Binary(binary) if matches!(binary.subtype, BinarySubtype::Uuid) && binary.bytes.len() == 16 => {
            let hex = hex::encode(&binary.bytes);
            Value::Text(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
        }
        Bson::Binary(binary) => Value::Bytes(binary.bytes.clone()),
        Bson::Array(items) => Value::Array(items.iter().map(value).collect()),
        Bson::Document(fields) => Value::Object(document(fields)),
        other => Value::Text(other.to_string()),
    }
}

/// The kind of a scalar, as far as the server compares values; `None` for null and what is not compared.
fn kind(bson: &Bson) -> Option<&'static str> {
    Some(match bson {
        Bson::Boolean(_) => "boolean",
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => "number",
        Bson::String(_) => "string",
        Bson::ObjectId(_) => "objectId",
        Bson::DateTime(_) => "date",
        Bson::Null | Bson::Undefined => return None,
        _ => "other",
    })
}

/// The one kind that a field has in all documents.
pub(super) fn kind_of(documents: &[BsonDocument], field: &str) -> Option<&'static str> {
    let mut kinds = documents.iter().filter_map(|document| kind(document.get(field)?));
    let first = kinds.next().filter(|kind| *kind != "other")?;
    kinds.all(|kind| kind == first).then_some(first)
}
