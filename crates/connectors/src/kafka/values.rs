//! The values of records as documents.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::avro::AvroSchema;
use super::registry::{Registered, SchemaRegistry};
use super::settings::Settings;
use crate::documents::{Column, Document, Value, sampled};
use crate::messages::Payload;
use crate::{ConnectorError, SourceContext};

/// The column of a value that is no object; see [`Payload`].
pub(super) const WHOLE: &str = "_value";
/// What a schema registry's serializers put first: a zero and the schema's number in four bytes.
const MAGIC: u8 = 0;
const HEAD: usize = 5;

/// How the values of a topic are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Plain(Payload),
    /// In Avro, by the schema that the settings name.
    Avro,
    /// Each names its schema in the registry.
    Registered,
}

impl Format {
    /// As it was remembered with a column.
    pub fn recall(column: Option<&Column>) -> Self {
        match column.and_then(|column| column.native.as_str()) {
            Some("avro") => Self::Avro,
            Some("registered") => Self::Registered,
            _ => Self::Plain(Payload::recall(column)),
        }
    }

    /// What is remembered with a column.
    pub fn remember(self) -> Json {
        match self {
            Self::Plain(payload) => payload.remember(),
            Self::Avro => json!("avro"),
            Self::Registered => json!("registered"),
        }
    }
}

/// Reads values.
#[derive(Debug)]
pub(super) struct Values {
    registry: Option<SchemaRegistry>,
    schema: Option<AvroSchema>,
}

impl Values {
    pub fn new(source: &SourceContext, settings: &Settings) -> Result<Self, ConnectorError> {
        let registry = settings.registry.clone().map(|registry| SchemaRegistry::new(source, registry)).transpose()?;
        Ok(Self { registry, schema: settings.avro_schema.clone() })
    }

    /// How these values are read, and the columns of what they hold. The columns of the record itself are taken.
    pub async fn sample(
        &self,
        values: Vec<Option<Bytes>>,
        taken: &[&str],
    ) -> Result<(Format, Vec<Column>), ConnectorError> {
        let mut there = values.iter().flatten().peekable();
        let format = if self.schema.is_some() {
            Format::Avro
        } else if self.registry.is_some() && there.peek().is_some() && there.all(|value| split(value).is_some()) {
            Format::Registered
        } else {
            let values: Vec<_> = values.into_iter().map(|value| value.map(Vec::from)).collect();
            let (payload, columns) = Payload::sample(&values, taken);
            return Ok((Format::Plain(payload), columns));
        };
        let documents = self.documents(format, values, false).await?;
        let taken: BTreeSet<&str> = taken.iter().copied().collect();
        let columns = sampled(&documents).into_iter().filter(|column| !taken.contains(column.name.as_str()));
        Ok((format, columns.collect()))
    }

    /// A document of each value. One without a value (a tombstone) has no fields.
    pub async fn documents(
        &self,
        format: Format,
        values: Vec<Option<Bytes>>,
        binary: bool,
    ) -> Result<Vec<Document>, ConnectorError> {
        match format {
            Format::Plain(payload) => {
                values.into_iter().map(|value| payload.document(value.map(Vec::from), binary)).collect()
            }
            Format::Avro => {
                let schema = self.schema.as_ref().ok_or_else(|| gone("metadata.avro_schema"))?;
                let reader = schema.reader()?;
                let document = |value: Option<Bytes>| match value {
                    None => Ok(Document::new()),
                    Some(value) => {
                        reader.value(&value).map(document).ok_or_else(|| unreadable("a value of its schema"))
                    }
                };
                values.into_iter().map(document).collect()
            }
            Format::Registered => self.registered(values).await,
        }
    }

    async fn registered(&self, values: Vec<Option<Bytes>>) -> Result<Vec<Document>, ConnectorError> {
        let registry = self.registry.as_ref().ok_or_else(|| gone("metadata.schema_registry"))?;
        let mut schemas: HashMap<u32, Arc<Registered>> = HashMap::new();
        for value in values.iter().flatten() {
            let (id, _) = split(value).ok_or_else(|| unreadable("a value with the number of its schema"))?;
            if let Entry::Vacant(place) = schemas.entry(id) {
                place.insert(registry.schema(id).await?);
            }
        }
        let mut readers = HashMap::new();
        for (id, schema) in &schemas {
            if let Registered::Avro(schema) = schema.as_ref() {
                readers.insert(*id, schema.reader()?);
            }
        }
        let read = |value: Option<Bytes>| {
            let Some((id, data)) = value.as_ref().and_then(|value| split(value)) else { return Ok(Document::new()) };
            let value = match readers.get(&id) {
                Some(reader) => reader.value(data),
                None => serde_json::from_slice(data).ok(),
            };
            value.map(document).ok_or_else(|| unreadable("a value of its schema"))
        };
        values.into_iter().map(read).collect()
    }
}

/// The number of a schema, and the value behind it.
fn split(value: &[u8]) -> Option<(u32, &[u8])> {
    let (head, data) = value.split_at_checked(HEAD)?;
    let (magic, id) = head.split_first()?;
    let id = u32::from_be_bytes(id.try_into().ok()?);
    (*magic == MAGIC).then_some((id, data))
}

fn document(value: Value) -> Document {
    match value {
        Value::Object(fields) => fields,
        other => vec![(WHOLE.to_owned(), other)],
    }
}

fn unreadable(expected: &str) -> ConnectorError {
    ConnectorError::UnreadableValue { column: WHOLE.to_owned(), expected: expected.to_owned() }
}

/// The schema was discovered under other settings.
fn gone(setting: &str) -> ConnectorError {
    ConnectorError::Unsupported(format!("{setting} is no longer set; discover the schema again"))
}
