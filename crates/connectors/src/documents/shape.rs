//! What documents look like, found from a sample of them.

use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::value::{Document, Value};
use crate::DiscoveredColumn;

/// Columns of one table; what comes later in the sample is left out.
const MOST_COLUMNS: usize = 1_000;
/// Objects with more members, and deeper ones, are read as JSON text.
const MOST_MEMBERS: usize = 200;
const DEEPEST: usize = 8;
/// Decimals get so many digits after the point where the sample needs no more.
const USUAL_SCALE: u8 = 10;
/// Every whole number up to here is a `double` too.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// A column of a table of documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub name: String,
    /// The type as the source writes it.
    pub source_type: String,
    pub data_type: DataType,
    /// A column of text that takes any value: texts as they are, others as JSON.
    pub mixed: bool,
    /// It names the document, and is never missing.
    pub key: bool,
    pub comment: Option<String>,
    /// What the connector remembers of it.
    pub native: Json,
}

impl Column {
    pub fn new(name: impl Into<String>, source_type: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            source_type: source_type.into(),
            data_type,
            mixed: false,
            key: false,
            comment: None,
            native: Json::Null,
        }
    }

    /// One that takes any value as text.
    pub fn mixed(name: impl Into<String>, source_type: impl Into<String>) -> Self {
        Self { mixed: true, ..Self::new(name, source_type, DataType::Utf8) }
    }

    pub fn into_key(self) -> Self {
        Self { key: true, ..self }
    }

    pub fn with_native(self, native: Json) -> Self {
        Self { native, ..self }
    }

    pub(super) fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), !self.key)
    }

    pub(super) fn describe(self, position: u32) -> DiscoveredColumn {
        DiscoveredColumn {
            reading: Some(json!({ "mixed": self.mixed, "native": self.native })),
            name: self.name,
            source_type: self.source_type,
            arrow_type: self.data_type,
            position,
            nullable: !self.key,
            primary_key: self.key,
            foreign_key: None,
            default_value: None,
            comment: self.comment,
        }
    }

    /// The column as it was discovered; `None` where it was not by this connector.
    pub(super) fn recall(column: &DiscoveredColumn) -> Option<Self> {
        let reading = column.reading.as_ref()?;
        Some(Self {
            name: column.name.clone(),
            source_type: column.source_type.clone(),
            data_type: column.arrow_type.clone(),
            mixed: reading.get("mixed")?.as_bool()?,
            key: !column.nullable,
            comment: column.comment.clone(),
            native: reading.get("native").cloned().unwrap_or_default(),
        })
    }
}

/// The type of moments.
pub(crate) fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The columns that a sample of documents shows, in order of appearance.
pub(crate) fn sampled<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Vec<Column> {
    let mut members: IndexMap<String, Shape> = IndexMap::new();
    for document in documents {
        for (name, value) in document {
            if let Some(shape) = members.get_mut(name) {
                shape.see(value, 1);
            } else if members.len() < MOST_COLUMNS {
                members.entry(name.clone()).or_insert(Shape::Unknown).see(value, 1);
            }
        }
    }
    let column = |(name, shape): (String, Shape)| match shape.data_type() {
        Some(data_type) => Column::new(name, shape.name(), data_type),
        None => Column::mixed(name, "mixed"),
    };
    members.into_iter().map(column).collect()
}

/// What all values of a field have in common.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// Only nulls so far.
    Unknown,
    Bool,
    Int {
        digits: u32,
        /// All of them are doubles too.
        exact: bool,
    },
    Float,
    Decimal {
        whole: u32,
        scale: u8,
    },
    Text,
    Bytes,
    Moment,
    Array(Box<Shape>),
    Object(IndexMap<String, Shape>),
    Mixed,
}

impl Shape {
    fn see(&mut self, value: &Value, depth: usize) {
        if *self == Self::Mixed || *value == Value::Null {
            return;
        }
        let theirs = match value {
            Value::Null => return,
            Value::Bool(_) => Self::Bool,
            Value::Int(value) => Self::Int {
                digits: value.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1),
                exact: value.unsigned_abs() <= EXACT_IN_DOUBLE,
            },
            Value::Float(_) => Self::Float,
            Value::Decimal(value) => Self::Decimal { whole: value.whole_digits(), scale: value.scale },
            Value::Text(_) => Self::Text,
            Value::Bytes(_) => Self::Bytes,
            Value::Moment(_) => Self::Moment,
            Value::Array(items) if depth < DEEPEST => {
                if *self == Self::Unknown {
                    *self = Self::Array(Box::new(Self::Unknown));
                }
                match self {
                    Self::Array(shape) => items.iter().for_each(|item| shape.see(item, depth + 1)),
                    other => *other = Self::Mixed,
                }
                return;
            }
            Value::Object(fields) if depth < DEEPEST => {
                if *self == Self::Unknown {
                    *self = Self::Object(IndexMap::new());
                }
                let Self::Object(members) = self else {
                    *self = Self::Mixed;
                    return;
                };
                for (name, value) in fields {
                    members.entry(name.clone()).or_insert(Self::Unknown).see(value, depth + 1);
                }
                if members.len() > MOST_MEMBERS {
                    *self = Self::Mixed;
                }
                return;
            }
            Value::Array(_) | Value::Object(_) => Self::Mixed,
        };
        let ours = std::mem::replace(self, Self::Unknown);
        *self = ours.and(theirs);
    }

    /// What has place for both; of scalars only.
    fn and(self, theirs: Self) -> Self {
        use Shape::{Decimal, Float, Int, Mixed, Unknown};
        match (self, theirs) {
            (Unknown, shape) => shape,
            (Int { digits: a, exact: x }, Int { digits: b, exact: y }) => Int { digits: a.max(b), exact: x && y },
            (Int { exact: true, .. }, Float) | (Float, Int { exact: true, .. }) => Float,
            (Int { digits, .. }, Decimal { whole, scale }) | (Decimal { whole, scale }, Int { digits, .. }) => {
                Decimal { whole: whole.max(digits), scale }
            }
            (Decimal { whole: a, scale: x }, Decimal { whole: b, scale: y }) => {
                Decimal { whole: a.max(b), scale: x.max(y) }
            }
            (ours, theirs) if ours == theirs => ours,
            _ => Mixed,
        }
    }

    /// The type of a column for it; `None` where only text takes everything.
    fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Unknown | Self::Mixed => return None,
            Self::Bool => DataType::Boolean,
            Self::Int { .. } => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Decimal { whole, scale } => {
                let fits = |scale: u8| (whole + u32::from(scale) <= super::Decimal::DIGITS).then_some(scale);
                let scale = fits(USUAL_SCALE.max(*scale)).or_else(|| fits(*scale))?;
                DataType::Decimal128(super::Decimal::DIGITS as u8, i8::try_from(scale).ok()?)
            }
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Moment => moment(),
            Self::Array(items) => DataType::new_list(items.data_type().unwrap_or(DataType::Utf8), true),
            // A struct has fields.
            Self::Object(members) if members.is_empty() => return None,
            Self::Object(members) => {
                let fields = members
                    .iter()
                    .map(|(name, shape)| Field::new(name, shape.data_type().unwrap_or(DataType::Utf8), true));
                DataType::Struct(fields.collect::<Fields>())
            }
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unknown | Self::Mixed => "mixed",
            Self::Bool => "boolean",
            Self::Int { .. } => "integer",
            Self::Float => "double",
            Self::Decimal { .. } => "decimal",
            Self::Text => "text",
            Self::Bytes => "binary",
            Self::Moment => "timestamp",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// Whether the number is a double without loss.
pub(super) fn exact_double(whole: i64) -> Option<f64> {
    (whole.unsigned_abs() <= EXACT_IN_DOUBLE).then_some(whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(documents: &str) -> Vec<String> {
        let documents: Vec<Value> = serde_json::from_str(documents).unwrap();
        let documents: Vec<_> = documents.into_iter().filter_map(Value::into_document).collect();
        let columns = sampled(&documents);
        columns.iter().map(|c| format!("{} {}{}", c.name, c.data_type, if c.mixed { " mixed" } else { "" })).collect()
    }

    #[test]
    fn a_column_has_place_for_every_value_of_the_sample() {
        let found = shown(
            r#"[{"z": 1, "f": 1, "t": "x", "m": 1, "n": null, "big": 9007199254740993, "e": {}},
                {"z": 2, "f": 1.5, "t": null, "m": "a", "big": 0.5, "late": true}]"#,
        );
        let expected = [
            "z Int64",
            "f Float64",
            "t Utf8",
            "m Utf8 mixed",
            "n Utf8 mixed",
            "big Utf8 mixed",
            "e Utf8 mixed",
            "late Boolean",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn nested_values_are_structs_and_lists() {
        let columns =
            shown(r#"[{"a": {"x": 1, "y": [1, 2.5]}}, {"a": {"x": 2, "z": [{"k": "v"}, {"k": 1}]}}, {"l": []}]"#);
        assert_eq!(columns.len(), 2);
        assert!(columns[0].starts_with("a Struct("), "{columns:?}");
        assert_eq!(columns[1], "l List(Utf8)");
        let deep = format!("[{{\"a\": {}1{}}}]", "[".repeat(40), "]".repeat(40));
        assert!(shown(&deep)[0].contains("Utf8"));
    }

    #[test]
    fn whole_numbers_beyond_64_bits_are_decimals() {
        assert_eq!(shown(r#"[{"a": 18446744073709551615}, {"a": -1}]"#), ["a Decimal128(38, 10)"]);
    }

    #[test]
    fn a_discovered_column_is_read_back() {
        let documents: Vec<Value> =
            serde_json::from_str(r#"[{"a": {"x": [1], "y": {"z": "t"}}, "l": [[true]], "m": null}]"#).unwrap();
        let documents: Vec<_> = documents.into_iter().filter_map(Value::into_document).collect();
        for column in sampled(&documents) {
            let written = serde_json::to_string(&column.clone().describe(1)).unwrap();
            assert_eq!(Column::recall(&serde_json::from_str(&written).unwrap()), Some(column));
        }
    }
}
