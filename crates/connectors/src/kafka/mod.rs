//! Kafka: one topic as a table in the schema `topics`, of a bounded window ([`messages`](crate::messages)).
//!
//! ```text
//!   settings.rs   what is entered, and the client of it: brokers through the guarded relay, TLS, SASL
//!   span.rs       what of a partition a filter leaves
//!   reading.rs    the window, fixed when the scan begins, and its records
//!   values.rs     the values: JSON, Avro, or what a schema registry says (registry.rs, avro.rs)
//! ```
//!
//! The end of the window is what stood in each partition when the scan began, and of records of transactions only those
//! that were committed. Filters on partition, offset and the begin of a time narrow what is fetched; records of one
//! partition need not be in the order of their times, so the end of a time does not.
//!
//! The cluster names its brokers itself, so all connections go through the guarded [relay](crate::relay).

mod avro;
mod reading;
mod registry;
mod settings;
mod span;
mod values;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use futures::{StreamExt, TryStreamExt};
use krafka::consumer::ConsumerRecord;
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};

use crate::documents::{
    Collection, Column, Condition, Described, Document, OpenedStore, Pages, Scan, Store, TableName, Value, moment,
};
use crate::messages::{Window, text};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields, form,
};
use reading::Topic;
use settings::{MECHANISMS, Settings};
use values::{Format, Values};

const SCHEMA: &str = "topics";
/// Records that tell what the columns are; the last of each partition.
const SAMPLED: u64 = 500;

const PARTITION: &str = "_partition";
const OFFSET: &str = "_offset";
const TIMESTAMP: &str = "_timestamp";
const KEY: &str = "_key";
const HEADERS: &str = "_headers";
const OWN: [&str; 5] = [PARTITION, OFFSET, TIMESTAMP, KEY, HEADERS];

/// Reads Kafka topics.
#[derive(Debug)]
pub struct Kafka;

#[async_trait]
impl Connector for Kafka {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Kafka
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: false, limits: true, sorting: false, aggregates: false, joins: false }
    }

    fn form(&self) -> Json {
        let mut metadata = Window::form();
        metadata["topic"] = form::text("Topic");
        metadata["sasl_mechanism"] =
            json!({"type": "string", "title": "Sign-in", "enum": MECHANISMS, "default": "PLAIN"});
        metadata["sslmode"] = form::tls();
        metadata["ssl_root_certificate"] = form::root_certificate();
        metadata["schema_registry"] = json!({"type": "string", "title": "Schema registry", "format": "uri"});
        metadata["schema_registry_user"] = form::text("User name for the schema registry");
        metadata["avro_schema"] = json!({"type": "string", "title": "Schema of the values (Avro)", "description": "For values in Avro that no schema registry describes."});
        json!({
            "type": "object",
            "properties": {
                "host": form::text("Broker"),
                "port": {"type": "integer", "title": "Port", "default": 9092},
                "credentials": {"type": "object", "properties": {
                    "username": form::text("User"),
                    "password": form::secret("Password"),
                    "api_key": form::secret("Password for the schema registry")
                }},
                "metadata": {"type": "object", "properties": metadata, "required": ["topic"]},
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query")
            },
            "required": ["host", "port", "metadata"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || Settings::read(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = Settings::read(&source.config, &source.credentials)?;
        let values = Values::new(source, &settings)?;
        let topic = Topic::open(source, settings).await?;
        Ok(Arc::new(OpenedStore::new(Topics { topic: Arc::new(topic), values: Arc::new(values) }, source)))
    }
}

/// The one topic of a source.
#[derive(Debug)]
struct Topics {
    topic: Arc<Topic>,
    values: Arc<Values>,
}

#[async_trait]
impl Store for Topics {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        self.topic.partitions().await.map(|_| None)
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        Ok(vec![TableName::new(SCHEMA, self.topic.name())])
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        if (table.schema.as_str(), table.table.as_str()) != (SCHEMA, self.topic.name()) {
            return Err(ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) });
        }
        let (rows, sample) = self.topic.sample(SAMPLED).await?;
        let payloads: Vec<_> = sample.iter().map(|record| record.value.clone()).collect();
        let (format, columns) = self.values.sample(payloads, &OWN).await?;
        let key = scalar(sample.iter().filter_map(|record| record.key.as_deref()));
        let header = scalar(sample.iter().flat_map(|record| &record.headers).filter_map(|(_, value)| value.as_deref()));
        let header = Fields::from(vec![Field::new("key", DataType::Utf8, true), Field::new("value", header, true)]);
        let own = [
            Column::new(PARTITION, "partition", DataType::Int64).into_key().with_native(format.remember()),
            Column::new(OFFSET, "offset", DataType::Int64).into_key(),
            Column::new(TIMESTAMP, "timestamp", moment()),
            Column::new(KEY, "key", key),
            Column::new(HEADERS, "headers", DataType::new_list(DataType::Struct(header), true)),
        ];
        Ok(Described { columns: own.into_iter().chain(columns).collect(), rows: Some(rows), comment: None })
    }

    fn collection(&self, _table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        let is_binary = |name: &str| {
            columns.iter().find(|column| column.name == name).is_some_and(|column| has_binary(&column.data_type))
        };
        Ok(Arc::new(Records {
            topic: self.topic.clone(),
            values: self.values.clone(),
            format: Format::recall(columns.first()),
            binary_key: is_binary(KEY),
            binary_headers: is_binary(HEADERS),
            binary_value: is_binary(values::WHOLE),
        }))
    }
}

/// Text where all of them are, else bytes.
fn scalar<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> DataType {
    if values.all(|value| std::str::from_utf8(value).is_ok()) { DataType::Utf8 } else { DataType::Binary }
}

fn has_binary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary => true,
        DataType::List(item) => has_binary(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_binary(field.data_type())),
        _ => false,
    }
}

/// The topic as a collection.
#[derive(Debug)]
struct Records {
    topic: Arc<Topic>,
    values: Arc<Values>,
    format: Format,
    binary_key: bool,
    binary_headers: bool,
    binary_value: bool,
}

impl Collection for Records {
    fn accepts(&self, condition: &Condition) -> bool {
        span::narrows(condition)
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        // A value that is not asked for is not read, so that a damaged one does no harm.
        let with_values = scan.fields.iter().any(|field| !OWN.contains(&field.as_str()));
        let records = self.topic.clone().records(scan.conditions, scan.limit);
        records
            .and_then(move |records| {
                let topic = self.clone();
                async move { topic.documents(records, with_values).await }
            })
            .boxed()
    }
}

impl Records {
    async fn documents(
        &self,
        records: Vec<ConsumerRecord>,
        with_values: bool,
    ) -> Result<Vec<Document>, ConnectorError> {
        let mut documents = match with_values {
            true => {
                let values = records.iter().map(|record| record.value.clone()).collect();
                self.values.documents(self.format, values, self.binary_value).await?
            }
            false => vec![Document::new(); records.len()],
        };
        for (document, record) in documents.iter_mut().zip(records) {
            document.push((PARTITION.to_owned(), Value::Int(record.partition.into())));
            document.push((OFFSET.to_owned(), Value::Int(record.offset)));
            // Kafka writes -1 where there is none.
            let timestamp = (record.timestamp >= 0).then(|| record.timestamp.checked_mul(1_000)).flatten();
            document.push((TIMESTAMP.to_owned(), timestamp.map_or(Value::Null, Value::Moment)));
            let key = record.key.map_or(Value::Null, |key| bytes(key.into(), self.binary_key));
            document.push((KEY.to_owned(), key));
            let headers = record.headers.into_iter().map(|(name, value)| {
                let value = value.map_or(Value::Null, |value| bytes(value.into(), self.binary_headers));
                Value::Object(vec![("key".to_owned(), Value::Text(name)), ("value".to_owned(), value)])
            });
            document.push((HEADERS.to_owned(), Value::Array(headers.collect())));
        }
        Ok(documents)
    }
}

fn bytes(bytes: Vec<u8>, binary: bool) -> Value {
    if binary { Value::Bytes(bytes) } else { text(bytes) }
}
