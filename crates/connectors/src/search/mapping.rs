//! How the fields of an index are typed and indexed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::ConnectorError;
use crate::documents::{Column, Document, Value, moment, parse_moment, sampled};

/// The column of the document's name.
pub(super) const ID: &str = "_id";

/// What is known of a field; kept with the column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Field {
    /// As the mapping names it.
    pub kind: String,
    /// The field that holds the value as it is, unanalysed: itself or a sub-field.
    pub exact: Option<Exact>,
}

/// An index of whole values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Exact {
    pub field: String,
    /// Longer texts are not indexed.
    #[serde(default)]
    pub ignore_above: Option<u64>,
    /// Values are indexed in another form.
    #[serde(default)]
    pub normalized: bool,
}

/// The top fields of all indices behind a name; where two differ, nothing is said of how the field is indexed.
pub(super) fn fields(mappings: &Json) -> Result<BTreeMap<String, Field>, ConnectorError> {
    let mut fields: BTreeMap<String, Field> = BTreeMap::new();
    let indices: Vec<&Json> = mappings.as_object().into_iter().flat_map(|all| all.values()).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for index in &indices {
        let mapping = index.get("mappings").unwrap_or(&Json::Null);
        let source = mapping.get("_source");
        if source.is_some_and(|source| source.get("enabled") == Some(&json!(false))) {
            return Err(ConnectorError::Unsupported(
                "the index does not keep _source, which rows are read from".into(),
            ));
        }
        let properties = mapping.get("properties").and_then(Json::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let Some(mut found) = field(name, property) else { continue };
            // A field that a script makes stands before the indexed one of its name.
            if mapping.get("runtime").is_some_and(|runtime| runtime.get(name).is_some()) {
                found.exact = None;
            }
            *seen.entry(name.clone()).or_default() += 1;
            let known = fields.entry(name.clone()).or_insert_with(|| found.clone());
            if *known != found {
                let kind = if known.kind == found.kind { found.kind } else { "mixed".to_owned() };
                *known = Field { kind, exact: None };
            }
        }
    }
    // An index without the field in its mapping may hold it unindexed.
    for (name, field) in &mut fields {
        if seen.get(name).is_none_or(|seen| *seen < indices.len()) {
            *field = Field { exact: None, ..field.clone() };
        }
    }
    Ok(fields)
}

fn field(name: &str, property: &Json) -> Option<Field> {
    let kind = property.get("type").and_then(Json::as_str).unwrap_or("object");
    if kind == "alias" {
        return None;
    }
    // Moments in a form of their own are read as they are written.
    let usual = |format: &str| matches!(format, "strict_date_optional_time" | "date_optional_time" | "epoch_millis");
    let format = property.get("format").and_then(Json::as_str);
    let kind = match (kind, format) {
        ("date", Some(format)) if !format.split("||").all(usual) => "date in a custom format",
        (kind, _) => kind,
    };
    let own = exact(name, property);
    let of_subfield = || {
        let subfields = property.get("fields").and_then(Json::as_object).into_iter().flatten();
        let keywords = subfields.filter(|(_, sub)| sub.get("type").is_some_and(|kind| kind == "keyword"));
        keywords.filter_map(|(sub, property)| exact(&format!("{name}.{sub}"), property)).next()
    };
    let exact = match kind {
        "text" => of_subfield(),
        "keyword" | "long" | "integer" | "short" | "byte" | "double" | "boolean" | "date" => own,
        _ => None,
    };
    Some(Field { kind: kind.to_owned(), exact })
}

fn exact(field: &str, property: &Json) -> Option<Exact> {
    let off = |name: &str| property.get(name) == Some(&json!(false));
    // What cannot be indexed is left out in silence there.
    if off("index") || property.get("ignore_malformed") == Some(&json!(true)) || property.get("script").is_some() {
        return None;
    }
    Some(Exact {
        field: field.to_owned(),
        ignore_above: property.get("ignore_above").and_then(Json::as_u64),
        normalized: property.get("normalizer").is_some_and(|normalizer| !normalizer.is_null()),
    })
}

/// The columns: what the mapping names, with the types that the sample has.
pub(super) fn columns(fields: &BTreeMap<String, Field>, mut sample: Vec<Document>) -> Vec<Column> {
    let listed: BTreeSet<String> =
        sample.iter().flatten().filter(|(_, value)| value.as_array().is_some()).map(|(name, _)| name.clone()).collect();
    for document in &mut sample {
        for (name, value) in document {
            if let Some(field) = fields.get(name) {
                let read = std::mem::replace(value, Value::Null);
                *value = match translate(&field.kind, read) {
                    Value::Null => Value::Null,
                    Value::Array(items) => Value::Array(items),
                    one if listed.contains(name) => Value::Array(vec![one]),
                    one => one,
                };
            }
        }
    }
    let mut columns = vec![Column::new(ID, "_id", DataType::Utf8).into_key()];
    let found = sampled(&sample).into_iter().filter(|column| column.name != ID);
    let mut found: BTreeMap<String, Column> = found.map(|column| (column.name.clone(), column)).collect();
    for (name, field) in fields {
        let usual = || match data_type(&field.kind) {
            Some(data_type) => Column::new(name, &field.kind, data_type),
            None => Column::mixed(name, &field.kind),
        };
        let nothing = |column: &Column| {
            column.mixed && sample.iter().flatten().all(|(n, v)| *n != column.name || *v == Value::Null)
        };
        let column = found.remove(name).filter(|column| !nothing(column)).unwrap_or_else(usual);
        columns.push(Column { source_type: field.kind.clone(), ..column }.with_native(json!(field)));
    }
    // What is not mapped stands in the documents all the same.
    columns.extend(found.into_values());
    columns
}

fn data_type(kind: &str) -> Option<DataType> {
    Some(match kind {
        "keyword" | "constant_keyword" | "wildcard" | "text" | "match_only_text" | "ip" | "version" => DataType::Utf8,
        "long" | "integer" | "short" | "byte" => DataType::Int64,
        "double" | "float" | "half_float" | "scaled_float" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => moment(),
        _ => return None,
    })
}

/// What a field was discovered to be; `None` where it is not mapped.
pub(super) fn known(column: &Column) -> Option<Field> {
    serde_json::from_value(column.native.clone()).ok()
}

/// A value as the mapping understands it: `"5"` in a field of numbers is 5 there.
pub(super) fn translate(kind: &str, value: Value) -> Value {
    if let Value::Array(items) = value {
        return Value::Array(items.into_iter().map(|item| translate(kind, item)).collect());
    }
    let translated = match (kind, &value) {
        ("long" | "integer" | "short" | "byte", Value::Text(text)) => text.parse().ok().map(Value::Int),
        ("double" | "float" | "half_float" | "scaled_float", Value::Text(text)) => text.parse().ok().map(Value::Float),
        ("double" | "float" | "half_float" | "scaled_float", Value::Int(whole)) => {
            let float = *whole as f64;
            (float as i64 == *whole).then_some(Value::Float(float))
        }
        ("boolean", Value::Text(text)) => match text.as_str() {
            "true" => Some(Value::Bool(true)),
            "false" | "" => Some(Value::Bool(false)),
            _ => None,
        },
        ("keyword" | "text", Value::Int(_) | Value::Float(_) | Value::Bool(_)) => Some(Value::Text(value.to_text())),
        ("date", Value::Text(text)) => date(text).map(Value::Moment),
        ("date", Value::Int(milliseconds)) => milliseconds.checked_mul(1_000).map(Value::Moment),
        _ => None,
    };
    translated.unwrap_or(value)
}

/// `strict_date_optional_time`, the default; what has no zone is UTC.
fn date(text: &str) -> Option<i64> {
    parse_moment(text).or_else(|| {
        let moment = match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(date) => date.and_hms_opt(0, 0, 0)?,
            Err(_) => NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?,
        };
        Some(moment.and_utc().timestamp_micros())
    })
}

/// A value for a column: one value and an array of it are the same to the server.
pub(super) fn fit(column: &Column, field: &Field, value: Value) -> Value {
    let value = translate(&field.kind, value);
    match (&column.data_type, value) {
        (DataType::List(_), Value::Array(items)) => Value::Array(items),
        (DataType::List(_), Value::Null) => Value::Null,
        (DataType::List(_), one) => Value::Array(vec![one]),
        (_, Value::Array(mut items)) if !column.mixed && items.len() == 1 => items.swap_remove(0),
        (_, Value::Array(items)) if !column.mixed && items.is_empty() => Value::Null,
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(properties: Json) -> Json {
        json!({"mappings": {"properties": properties}})
    }

    #[test]
    fn only_what_is_indexed_everywhere_alike_is_exact() {
        let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
        let one = mapping(json!({"a": text, "n": {"type": "long"}, "d": {"type": "date"}, "o": {"properties": {}}}));
        let found = fields(&json!({"x-1": one})).unwrap();
        assert_eq!(found["a"].exact.as_ref().unwrap().field, "a.keyword");
        assert_eq!(found["a"].exact.as_ref().unwrap().ignore_above, Some(256));
        assert_eq!((found["n"].kind.as_str(), found["o"].kind.as_str()), ("long", "object"));
        let other = mapping(json!({"a": {"type": "text"}, "n": {"type": "keyword"}}));
        let found = fields(&json!({"x-1": one, "x-2": other})).unwrap();
        assert_eq!((found["a"].kind.as_str(), &found["a"].exact), ("text", &None));
        assert_eq!((found["n"].kind.as_str(), &found["n"].exact, &found["d"].exact), ("mixed", &None, &None));
        assert!(fields(&json!({"x": {"mappings": {"_source": {"enabled": false}}}})).is_err());
    }

    #[test]
    fn values_are_what_the_mapping_takes_them_for() {
        assert_eq!(translate("long", Value::text("5")), Value::Int(5));
        assert_eq!(translate("date", Value::text("2024-01-01")), Value::Moment(1_704_067_200_000_000));
        assert_eq!(translate("date", Value::Int(1)), Value::Moment(1_000));
        assert_eq!(translate("double", Value::Array(vec![Value::Int(1)])), Value::Array(vec![Value::Float(1.0)]));
        assert_eq!(translate("long", Value::text("x")), Value::text("x"));
    }

    #[test]
    fn a_sample_tells_arrays_from_single_values() {
        let fields = fields(
            &json!({"x": mapping(json!({"tags": {"type": "keyword"}, "n": {"type": "long"}, "none": {"type": "date"}}))}),
        );
        let sample = vec![
            vec![("tags".to_owned(), Value::Array(vec![Value::text("a")])), ("n".to_owned(), Value::text("5"))],
            vec![("loose".to_owned(), Value::Bool(true))],
        ];
        let columns = columns(&fields.unwrap(), sample);
        let shown: Vec<_> = columns.iter().map(|column| (column.name.as_str(), column.data_type.clone())).collect();
        let expected = [
            ("_id", DataType::Utf8),
            ("n", DataType::Int64),
            ("none", moment()),
            ("tags", DataType::new_list(DataType::Utf8, true)),
            ("loose", DataType::Boolean),
        ];
        assert_eq!(shown, expected);
        let tags = &columns[3];
        assert_eq!(fit(tags, &known(tags).unwrap(), Value::text("a")), Value::Array(vec![Value::text("a")]));
    }
}
