//! JSON: an array of objects, or one object a line.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::reader::infer_json_schema_from_iterator;
use object_store::ObjectMeta;
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value;

use super::reading::Reading;
use super::text::{LOOKED_AT, TextFile, TextReader, broken};
use super::{Layout, unreadable};
use crate::ConnectorError;

/// Objects of a large file that are looked at.
const SAMPLED_OBJECTS: u64 = 100_000;

pub(crate) async fn layout(file: &TextFile, array_allowed: bool) -> Result<Layout, ConnectorError> {
    let meta = file.meta.clone();
    // Where less is looked at, fewer objects are.
    let sample = (SAMPLED_OBJECTS * file.look_at / LOOKED_AT).max(1_000);
    let limit = if meta.size <= file.look_at { u64::MAX } else { sample };
    let (seen, array) = file.read(move |reader| look(reader, &meta, array_allowed, limit)).await?;
    let rows = (!seen.enough()).then_some(seen.rows);
    let schema = seen.schema(&file.meta)?;
    let reading = Reading::Json { array, compression: file.compression };
    Ok(Layout { schema: Arc::new(schema), reading, rows })
}

fn look(
    mut reader: TextReader,
    meta: &ObjectMeta,
    array_allowed: bool,
    limit: u64,
) -> Result<(Seen, bool), ConnectorError> {
    let head = reader.peek(64 * 1024).map_err(|error| broken(meta, error))?;
    let array = head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if array && !array_allowed {
        return Err(unreadable(&meta.location, "it is one array; add it as a source of kind json", Some(1)));
    }
    let mut seen = Seen { limit, ..Seen::default() };
    if array {
        let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(reader));
        let result = deserializer.deserialize_seq(Elements(&mut seen)).and_then(|()| {
            // Of a large file only the beginning is read.
            if seen.enough() { Ok(()) } else { deserializer.end() }
        });
        if let (Err(error), None) = (&result, &seen.problem)
            && !seen.enough()
        {
            let line = error.line() as u64;
            return Err(match result {
                Err(error) if error.is_io() => broken(meta, error.into()),
                _ => unreadable(&meta.location, "it is not valid JSON", Some(line)),
            });
        }
    } else {
        lines(reader, meta, &mut seen)?;
    }
    match seen.problem.take() {
        Some((reason, line)) => Err(unreadable(&meta.location, reason, line)),
        None if seen.rows == 0 => Err(unreadable(&meta.location, "it holds no objects", None)),
        None => Ok((seen, array)),
    }
}

fn lines(reader: TextReader, meta: &ObjectMeta, seen: &mut Seen) -> Result<(), ConnectorError> {
    let mut reader = BufReader::new(reader);
    let (mut line, mut number) = (Vec::new(), 0);
    while seen.problem.is_none() && !seen.enough() {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|error| broken(meta, error))? == 0 {
            break;
        }
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let value: Value = serde_json::from_slice(&line).map_err(|_| {
            let reason = "it is not valid JSON; write one object a line, or one array of objects";
            unreadable(&meta.location, reason, Some(number))
        })?;
        seen.see(value, Some(number));
    }
    Ok(())
}

/// What the objects hold, by name of the field.
#[derive(Default)]
struct Seen {
    /// The kind of value, and one schema for all of them, of each field in order of appearance.
    order: Vec<String>,
    kinds: HashMap<String, &'static str>,
    samples: Vec<Value>,
    schema: Option<Schema>,
    rows: u64,
    /// As many objects are looked at.
    limit: u64,
    problem: Option<(String, Option<u64>)>,
}

impl Seen {
    fn enough(&self) -> bool {
        self.rows >= self.limit
    }

    fn see(&mut self, value: Value, line: Option<u64>) {
        let Value::Object(fields) = &value else {
            self.problem = Some(("it holds something other than objects".into(), line));
            return;
        };
        for (name, value) in fields {
            let kind = match value {
                Value::Null => continue,
                Value::Bool(_) => "true or false",
                Value::Number(_) => "numbers",
                Value::String(_) => "texts",
                Value::Array(_) => "arrays",
                Value::Object(_) => "objects",
            };
            match self.kinds.get(name) {
                None => {
                    self.kinds.insert(name.clone(), kind);
                    self.order.push(name.clone());
                }
                Some(known) if *known == kind => {}
                Some(known) => {
                    let reason = format!("field {name} holds {known} and {kind}; write it as one of them");
                    self.problem = Some((reason, line));
                    return;
                }
            }
        }
        self.rows += 1;
        self.samples.push(value);
        if self.samples.len() >= 4_096 {
            self.merge();
        }
    }

    /// Folds the samples into the schema.
    fn merge(&mut self) {
        let samples = std::mem::take(&mut self.samples);
        let inferred = infer_json_schema_from_iterator(samples.into_iter().map(Ok::<_, ArrowError>));
        let merged = inferred.and_then(|inferred| match self.schema.take() {
            None => Ok(inferred),
            Some(schema) => combine(schema, inferred),
        });
        match merged {
            Ok(schema) => self.schema = Some(schema),
            Err(_) => self.problem = Some(("its objects differ too much to form one table".into(), None)),
        }
    }

    fn schema(mut self, meta: &ObjectMeta) -> Result<Schema, ConnectorError> {
        if !self.samples.is_empty() {
            self.merge();
        }
        if let Some((reason, line)) = self.problem {
            return Err(unreadable(&meta.location, reason, line));
        }
        let inferred = self.schema.unwrap_or_else(Schema::empty);
        let fields = self.order.iter().filter_map(|name| inferred.field_with_name(name).ok()).cloned();
        let fields: Vec<Field> = fields.collect();
        if fields.is_empty() {
            return Err(unreadable(&meta.location, "its objects have no fields", None));
        }
        Ok(Schema::new(fields))
    }
}

/// One schema for the objects of two; whole numbers give way to fractions.
fn combine(left: Schema, right: Schema) -> Result<Schema, ArrowError> {
    let widen = |schema: &Schema, other: &Schema| {
        let fields = schema.fields().iter().map(|field| match other.field_with_name(field.name()) {
            Ok(theirs) if is_wider(theirs.data_type(), field.data_type()) => {
                field.as_ref().clone().with_data_type(theirs.data_type().clone())
            }
            _ => field.as_ref().clone(),
        });
        Schema::new(fields.collect::<Vec<_>>())
    };
    Schema::try_merge([widen(&left, &right), widen(&right, &left)])
}

fn is_wider(theirs: &DataType, ours: &DataType) -> bool {
    matches!((theirs, ours), (DataType::Float64, DataType::Int64))
        || (*ours == DataType::Null && *theirs != DataType::Null)
}

/// Hands on the elements of an array one by one.
struct Elements<'a>(&'a mut Seen);

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while self.0.problem.is_none() && !self.0.enough() {
            let Some(value) = elements.next_element::<Value>()? else { break };
            self.0.see(value, None);
        }
        Ok(())
    }
}
