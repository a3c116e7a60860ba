//! Streams of messages as tables: a bounded window of what a stream holds.
//!
//! A table ends and a stream does not, so a scan reads what was there when it began, and of that the last minutes and
//! at most so many messages of each partition. A message that is an object in JSON gives its fields as columns, beside
//! where and when it was put; others are one column of text.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use datafusion::arrow::datatypes::DataType;
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};

use crate::documents::{Column, Document, Value, sampled};
use crate::{ConnectorError, SourceConfig};

/// The column of a message that is no object.
const PAYLOAD: &str = "_value";

/// What of a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Messages that are older are not.
    pub age: Option<Duration>,
    /// The last so many of each partition.
    pub messages: u64,
}

impl Window {
    /// `metadata.window_minutes` and `metadata.window_messages`.
    pub fn read(config: &SourceConfig) -> Result<Self, FieldError> {
        let number =
            |name: &str, usual: u64, most: u64| match config.metadata.get(name).filter(|given| !given.is_null()) {
                None => Ok(usual),
                Some(given) => given.as_u64().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
                    FieldError::new(format!("metadata.{name}"), format!("must be a number from 1 to {most}"))
                }),
            };
        let minutes = match config.metadata.get("window_minutes") {
            None | Some(Json::Null) => None,
            Some(_) => Some(number("window_minutes", 60, 525_600)?),
        };
        let messages = number("window_messages", 10_000, 10_000_000)?;
        Ok(Self { age: minutes.map(|minutes| Duration::from_secs(minutes * 60)), messages })
    }

    /// The first moment that counts, in microseconds.
    pub fn start(&self) -> Option<i64> {
        let age = TimeDelta::from_std(self.age?).ok()?;
        Some((Utc::now() - age).timestamp_micros())
    }

    pub fn form() -> Json {
        json!({
            "window_minutes": {"type": "integer", "title": "Minutes to read", "description": "Everything that is kept, if left empty.", "minimum": 1},
            "window_messages": {"type": "integer", "title": "Latest messages of each partition", "default": 10_000, "minimum": 1}
        })
    }
}

/// How the messages of a stream are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Each is an object in JSON.
    Objects,
    /// Each is one value: text, or bytes where it is none.
    Whole,
}

impl Payload {
    /// How these messages are read, and the columns of what they hold.
    pub fn sample(messages: &[Option<Vec<u8>>], taken: &[&str]) -> (Self, Vec<Column>) {
        let there = || messages.iter().flatten();
        let objects: Option<Vec<Document>> = there().map(|bytes| object(bytes)).collect();
        match objects.filter(|objects| !objects.is_empty()) {
            Some(objects) => {
                // The columns of the message itself come first.
                let taken: BTreeSet<&str> = taken.iter().copied().collect();
                let columns = sampled(&objects).into_iter().filter(|column| !taken.contains(column.name.as_str()));
                (Self::Objects, columns.collect())
            }
            None => {
                let text = there().all(|bytes| std::str::from_utf8(bytes).is_ok());
                let (name, data_type) = if text { ("text", DataType::Utf8) } else { ("binary", DataType::Binary) };
                (Self::Whole, vec![Column::new(PAYLOAD, name, data_type)])
            }
        }
    }

    /// As it was remembered with a column.
    pub fn recall(column: Option<&Column>) -> Self {
        if column.is_some_and(|column| column.native == "objects") { Self::Objects } else { Self::Whole }
    }

    /// What is remembered with a column.
    pub fn remember(self) -> Json {
        match self {
            Self::Objects => json!("objects"),
            Self::Whole => json!("whole"),
        }
    }

    /// The fields of a message, before those of where it was put. One without a value (a tombstone) has none.
    pub fn document(self, message: Option<Vec<u8>>, binary: bool) -> Result<Document, ConnectorError> {
        let Some(bytes) = message else { return Ok(Document::new()) };
        match self {
            Self::Objects => object(&bytes).ok_or_else(|| ConnectorError::UnreadableValue {
                column: PAYLOAD.to_owned(),
                expected: "an object in JSON".to_owned(),
            }),
            Self::Whole => Ok(vec![(PAYLOAD.to_owned(), if binary { Value::Bytes(bytes) } else { text(bytes) })]),
        }
    }
}

/// A text where it is one, else bytes.
pub(crate) fn text(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text)
}

fn object(bytes: &[u8]) -> Option<Document> {
    serde_json::from_slice::<Value>(bytes).ok()?.into_document()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_give_their_fields_and_others_are_whole() {
        let messages = |texts: &[&str]| texts.iter().map(|text| Some(text.as_bytes().to_vec())).collect::<Vec<_>>();
        let (payload, columns) =
            Payload::sample(&messages(&[r#"{"a": 1, "_offset": 5}"#, r#"{"b": "x"}"#]), &["_offset"]);
        assert_eq!(payload, Payload::Objects);
        assert_eq!(columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(payload.document(Some(b"[1]".to_vec()), false).is_err());
        assert!(payload.document(None, false).unwrap().is_empty());
        let (payload, columns) = Payload::sample(&messages(&[r#"{"a": 1}"#, "plain"]), &[]);
        assert_eq!((payload, &columns[0].data_type), (Payload::Whole, &DataType::Utf8));
        let (_, columns) = Payload::sample(&[Some(vec![255]), None], &[]);
        assert_eq!(columns[0].data_type, DataType::Binary);
    }
}
