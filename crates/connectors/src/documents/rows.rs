//! Documents as record batches.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::NullBufferBuilder;
use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, ListArray, StringBuilder,
    StructArray, TimestampMicrosecondBuilder,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::shape::exact_double;
use super::value::{Decimal, Document, Value, parse_moment, size_of};
use crate::ConnectorError;

const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Writes documents into batches of one schema.
#[derive(Debug)]
pub(super) struct Rows {
    schema: SchemaRef,
    /// Those that take any value; aligned with the schema.
    mixed: Vec<bool>,
    positions: HashMap<String, usize>,
}

impl Rows {
    pub fn new(schema: SchemaRef, mixed: Vec<bool>) -> Self {
        let positions = schema.fields().iter().enumerate().map(|(at, field)| (field.name().clone(), at)).collect();
        Self { schema, mixed, positions }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The documents in batches of a bounded size.
    pub fn batches(&self, documents: &[Document]) -> Result<Vec<RecordBatch>, ConnectorError> {
        let mut batches = Vec::new();
        let mut rest = documents;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |document: &&Document| {
                let room = bytes < BATCH_BYTES;
                bytes += size_of(document);
                room
            };
            let count = rest.iter().take(BATCH_ROWS).take_while(fits).count();
            let (batch, remaining) = rest.split_at(count);
            batches.push(self.batch(batch)?);
            rest = remaining;
        }
        Ok(batches)
    }

    fn batch(&self, documents: &[Document]) -> Result<RecordBatch, ConnectorError> {
        let fields = self.schema.fields();
        let columns = fields.iter().zip(&self.mixed).map(|(field, mixed)| Cells::new(field.data_type(), *mixed));
        let mut columns = columns.collect::<Result<Vec<_>, ConnectorError>>()?;
        let mut slots: Vec<Option<&Value>> = vec![None; columns.len()];
        for document in documents {
            slots.fill(None);
            for (name, value) in document {
                if let Some(at) = self.positions.get(name) {
                    slots[*at] = Some(value);
                }
            }
            for ((column, value), field) in columns.iter_mut().zip(&slots).zip(fields) {
                let value = value.filter(|value| **value != Value::Null);
                if column.append(value).is_none() || (value.is_none() && !field.is_nullable()) {
                    return Err(ConnectorError::UnreadableValue {
                        column: field.name().clone(),
                        expected: field.data_type().to_string(),
                    });
                }
            }
        }
        let arrays = columns.into_iter().map(Cells::finish).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(documents.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(ConnectorError::internal)
    }
}

/// A column in the making.
enum Cells {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder, u8),
    Text(StringBuilder),
    /// Text that takes any value.
    Any(StringBuilder),
    Bytes(BinaryBuilder),
    Moment(TimestampMicrosecondBuilder),
    List {
        field: FieldRef,
        items: Box<Cells>,
        lengths: Vec<usize>,
        nulls: NullBufferBuilder,
    },
    Struct {
        fields: Fields,
        members: Vec<Cells>,
        nulls: NullBufferBuilder,
        length: usize,
    },
}

impl Cells {
    fn new(data_type: &DataType, mixed: bool) -> Result<Self, ConnectorError> {
        Ok(match data_type {
            DataType::Utf8 if mixed => Self::Any(StringBuilder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int64 => Self::Int(Int64Builder::new()),
            DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Decimal128(_, scale) => {
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                Self::Decimal(builder, u8::try_from(*scale).map_err(ConnectorError::internal)?)
            }
            DataType::Binary => Self::Bytes(BinaryBuilder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Moment(TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()))
            }
            // Inside of a value, no filter reaches the source: what is no text may be read as such.
            DataType::List(field) => Self::List {
                items: Box::new(Self::new(field.data_type(), true)?),
                field: field.clone(),
                lengths: Vec::new(),
                nulls: NullBufferBuilder::new(0),
            },
            DataType::Struct(fields) => Self::Struct {
                members: fields.iter().map(|field| Self::new(field.data_type(), true)).collect::<Result<_, _>>()?,
                fields: fields.clone(),
                nulls: NullBufferBuilder::new(0),
                length: 0,
            },
            other => return Err(ConnectorError::internal(format!("documents are not read as {other}"))),
        })
    }

    /// Takes a value; `None` where it has no place in the column's type.
    fn append(&mut self, value: Option<&Value>) -> Option<()> {
        let value = value.filter(|value| **value != Value::Null);
        match (self, value) {
            (Self::Bool(cells), value) => cells.append_option(match value {
                None => None,
                Some(Value::Bool(value)) => Some(*value),
                Some(_) => return None,
            }),
            (Self::Int(cells), value) => cells.append_option(match value {
                None => None,
                Some(Value::Int(value)) => Some(*value),
                Some(Value::Float(value)) => Some(whole(*value)?),
                Some(_) => return None,
            }),
            (Self::Float(cells), value) => cells.append_option(match value {
                None => None,
                Some(Value::Float(value)) => Some(*value),
                Some(Value::Int(value)) => Some(exact_double(*value)?),
                Some(_) => return None,
            }),
            (Self::Decimal(cells, scale), value) => cells.append_option(match value {
                None => None,
                Some(Value::Decimal(value)) => Some(value.at_scale(*scale)?),
                Some(Value::Int(value)) => Some(Decimal::from(i128::from(*value)).at_scale(*scale)?),
                Some(_) => return None,
            }),
            (Self::Text(cells), value) => cells.append_option(match value {
                None => None,
                Some(Value::Text(value)) => Some(value),
                Some(_) => return None,
            }),
            (Self::Any(cells), Some(Value::Text(value))) => cells.append_value(value),
            (Self::Any(cells), value) => cells.append_option(value.map(Value::to_text)),
            (Self::Bytes(cells), value) => cells.append_option(match value {
                None => None,
                Some(Value::Bytes(value)) => Some(value),
                Some(_) => return None,
            }),
            (Self::Moment(cells), value) => cells.append_option(match value {
                None => None,
                Some(Value::Moment(value)) => Some(*value),
                Some(Value::Text(value)) => Some(parse_moment(value)?),
                Some(_) => return None,
            }),
            (Self::List { items, lengths, nulls, .. }, value) => {
                let values = match value {
                    None => None,
                    Some(Value::Array(values)) => Some(values),
                    Some(_) => return None,
                };
                for value in values.into_iter().flatten() {
                    items.append(Some(value))?;
                }
                lengths.push(values.map_or(0, Vec::len));
                nulls.append(values.is_some());
            }
            (Self::Struct { fields, members, nulls, length }, value) => {
                if !matches!(value, None | Some(Value::Object(_))) {
                    return None;
                }
                for (field, member) in fields.iter().zip(members) {
                    member.append(value.and_then(|value| value.get(field.name())))?;
                }
                nulls.append(value.is_some());
                *length += 1;
            }
        }
        Some(())
    }

    fn finish(self) -> Result<ArrayRef, ConnectorError> {
        Ok(match self {
            Self::Bool(mut cells) => Arc::new(cells.finish()),
            Self::Int(mut cells) => Arc::new(cells.finish()),
            Self::Float(mut cells) => Arc::new(cells.finish()),
            Self::Decimal(mut cells, _) => Arc::new(cells.finish()),
            Self::Text(mut cells) | Self::Any(mut cells) => Arc::new(cells.finish()),
            Self::Bytes(mut cells) => Arc::new(cells.finish()),
            Self::Moment(mut cells) => Arc::new(cells.finish()),
            Self::List { field, items, lengths, mut nulls } => {
                let offsets = OffsetBuffer::from_lengths(lengths);
                let list = ListArray::try_new(field, offsets, items.finish()?, nulls.finish());
                Arc::new(list.map_err(ConnectorError::internal)?)
            }
            Self::Struct { fields, members, mut nulls, length } => {
                let arrays = members.into_iter().map(Self::finish).collect::<Result<_, _>>()?;
                let array = StructArray::try_new_with_length(fields, arrays, nulls.finish(), length);
                Arc::new(array.map_err(ConnectorError::internal)?)
            }
        })
    }
}

/// The whole number that a fraction is, where it is one.
fn whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    (exact_double(whole) == Some(value)).then_some(whole)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::arrow::util::pretty::pretty_format_batches;

    use super::super::shape::{moment, sampled};
    use super::*;

    fn documents(text: &str) -> Vec<Document> {
        let documents: Vec<Value> = serde_json::from_str(text).unwrap();
        documents.into_iter().filter_map(Value::into_document).collect()
    }

    fn rows(fields: Vec<Field>) -> Rows {
        let mixed = vec![false; fields.len()];
        Rows::new(Arc::new(Schema::new(fields)), mixed)
    }

    #[test]
    fn what_was_sampled_is_read_back() {
        let documents = documents(
            r#"[{"a": 1, "s": {"x": [1, null], "y": "t"}, "m": "text"}, {"s": {"y": null}, "m": {"k": [1]}}, {"a": null, "m": 2, "s": null}]"#,
        );
        let columns = sampled(&documents);
        let schema = Arc::new(Schema::new(columns.iter().map(|column| column.field()).collect::<Vec<_>>()));
        let rows = Rows::new(schema, columns.iter().map(|column| column.mixed).collect());
        let shown = pretty_format_batches(&rows.batches(&documents).unwrap()).unwrap().to_string();
        let lines: Vec<_> = shown.lines().skip(3).collect();
        assert_eq!(lines.len(), 4, "{shown}");
        assert!(lines[0].contains("| 1 | {x: [1, ], y: t} | text"), "{shown}");
        assert!(lines[1].contains(r#"{"k":[1]}"#) && lines[2].contains("| 2 "), "{shown}");
    }

    #[test]
    fn what_does_not_fit_names_its_column() {
        let none = |fields: &[(&str, DataType)], text: &str| {
            let fields = fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
            match rows(fields).batches(&documents(text)) {
                Err(ConnectorError::UnreadableValue { column, .. }) => column,
                other => panic!("{text}: {other:?}"),
            }
        };
        for (data_type, value) in [
            (DataType::Int64, "\"1\""),
            (DataType::Int64, "1.5"),
            (DataType::Int64, "18446744073709551615"),
            (DataType::Float64, "9007199254740993"),
            (DataType::Boolean, "0"),
            (DataType::Utf8, "1"),
            (DataType::Decimal128(38, 2), "0.125"),
            (moment(), "\"yesterday\""),
            (moment(), "\"2024-01-01T00:00:00.0000001Z\""),
            (DataType::new_list(DataType::Int64, true), "[1, true]"),
            (DataType::new_list(DataType::Int64, true), "1"),
        ] {
            assert_eq!(none(&[("fine", DataType::Int64), ("c", data_type)], &format!(r#"[{{"c": {value}}}]"#)), "c");
        }
    }

    #[test]
    fn rows_are_counted_without_columns_and_batches_are_bounded() {
        let documents: Vec<Document> = (0..20_000).map(|n| vec![("n".to_owned(), Value::Int(n))]).collect();
        let batches = rows(Vec::new()).batches(&documents).unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [8_192, 8_192, 3_616]);
        let wide: Vec<Document> =
            (0..3).map(|_| vec![("t".to_owned(), Value::text("x".repeat(BATCH_BYTES)))]).collect();
        assert_eq!(rows(vec![Field::new("t", DataType::Utf8, true)]).batches(&wide).unwrap().len(), 3);
    }
}
