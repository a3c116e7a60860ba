//! Kinesis: one stream as a table in the schema `streams`, of a bounded window ([`messages`](crate::messages)).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use datafusion::arrow::datatypes::DataType;
use futures::{StreamExt, TryStreamExt, stream};
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};

use super::{Aws, Service};
use crate::documents::{
    Collection, Column, Condition, Described, Document, OpenedStore, Pages, Scan, Store, TableName, Value, moment,
};
use crate::messages::{Payload, Window};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
};

const SERVICE: Service =
    Service { name: "kinesis", target: "Kinesis_20131202", content_type: "application/x-amz-json-1.1" };
const SCHEMA: &str = "streams";
/// Records that tell what the columns are.
const SAMPLED: usize = 500;
/// A call answers at most so many.
const PAGE: u64 = 10_000;
/// Answers without a record that are followed before a shard counts as read: an open shard has no end.
const PATIENCE: u32 = 20;
/// Five reads of a shard a second are allowed.
const PAUSE: Duration = Duration::from_millis(200);

const SHARD: &str = "_shard";
const SEQUENCE: &str = "_sequence";
const PARTITION_KEY: &str = "_partition_key";
const ARRIVED: &str = "_arrived_at";

/// Reads Kinesis streams.
#[derive(Debug)]
pub(super) struct Kinesis;

#[async_trait]
impl Connector for Kinesis {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Kinesis
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: false, projections: false, limits: true, sorting: false, aggregates: false, joins: false }
    }

    fn form(&self) -> Json {
        let mut metadata = Window::form();
        metadata["stream"] = json!({"type": "string", "title": "Stream"});
        super::form("Kinesis", metadata, &["region", "stream"])
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let mut wrong = super::validate(config, credentials, SERVICE);
        wrong.extend(Window::read(config).err());
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let window = Window::read(&source.config)?;
        let name = source.config.metadata_text("stream").unwrap_or_default().to_owned();
        let stream = DataStream { aws: Aws::open(source, SERVICE)?, name, window };
        Ok(Arc::new(OpenedStore::new(Streams { stream: Arc::new(stream) }, source)))
    }
}

/// The one stream of a source.
#[derive(Debug)]
struct Streams {
    stream: Arc<DataStream>,
}

#[async_trait]
impl Store for Streams {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        self.stream.shards().await.map(|_| None)
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        Ok(vec![TableName::new(SCHEMA, &self.stream.name)])
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        if (table.schema.as_str(), &table.table) != (SCHEMA, &self.stream.name) {
            return Err(ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) });
        }
        let mut payloads = Vec::new();
        let mut records = self.stream.clone().records();
        while let Some(page) = records.try_next().await? {
            payloads.extend(page.into_iter().map(|record| Some(record.data)));
            if payloads.len() >= SAMPLED {
                break;
            }
        }
        payloads.truncate(SAMPLED);
        let (payload, columns) = Payload::sample(&payloads, &[SHARD, SEQUENCE, PARTITION_KEY, ARRIVED]);
        let own = [
            Column::new(SHARD, "shard", DataType::Utf8).into_key().with_native(payload.remember()),
            Column::new(SEQUENCE, "sequence number", DataType::Utf8).into_key(),
            Column::new(PARTITION_KEY, "partition key", DataType::Utf8),
            Column::new(ARRIVED, "timestamp", moment()),
        ];
        Ok(Described { columns: own.into_iter().chain(columns).collect(), rows: None, comment: None })
    }

    fn collection(&self, _table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        let binary = columns.iter().any(|column| column.data_type == DataType::Binary);
        Ok(Arc::new(Records { stream: self.stream.clone(), payload: Payload::recall(columns.first()), binary }))
    }
}

/// A stream and the window of it that is read.
#[derive(Debug)]
struct DataStream {
    aws: Aws,
    name: String,
    window: Window,
}

struct Record {
    shard: String,
    sequence: String,
    partition_key: String,
    arrived: i64,
    data: Vec<u8>,
}

impl Record {
    fn read(shard: &str, record: &Value) -> Option<Self> {
        let text = |name| record.get(name).and_then(Value::as_str);
        // Seconds with a fraction of three digits.
        let arrived = match record.get("ApproximateArrivalTimestamp")? {
            Value::Float(seconds) => (seconds * 1_000.0).round() as i64 * 1_000,
            Value::Int(seconds) => seconds.checked_mul(1_000_000)?,
            _ => return None,
        };
        Some(Self {
            shard: shard.to_owned(),
            sequence: text("SequenceNumber")?.to_owned(),
            partition_key: text("PartitionKey")?.to_owned(),
            arrived,
            data: STANDARD.decode(text("Data")?).ok()?,
        })
    }
}

impl DataStream {
    async fn shards(&self) -> Result<Vec<String>, ConnectorError> {
        let mut shards = Vec::new();
        let mut input = json!({"StreamName": self.name});
        loop {
            let mut answer = self.aws.call("ListShards", &input).await?;
            let found = answer.get("Shards").and_then(Value::as_array).unwrap_or_default();
            shards.extend(found.iter().filter_map(|shard| shard.get("ShardId")?.as_str()).map(str::to_owned));
            match answer.take("NextToken") {
                Some(Value::Text(token)) => input = json!({ "NextToken": token }),
                _ => return Ok(shards),
            }
        }
    }

    /// The records of the window, shard after shard. Those that arrive once it has begun are not of it.
    fn records(self: Arc<Self>) -> futures::stream::BoxStream<'static, Result<Vec<Record>, ConnectorError>> {
        let end = Utc::now().timestamp_micros();
        stream::once(async move {
            let shards = self.shards().await?;
            let pages = stream::iter(shards).then(move |shard| {
                let stream = self.clone();
                async move { stream.shard(&shard, end).await }
            });
            Ok::<_, ConnectorError>(pages)
        })
        .try_flatten()
        .boxed()
    }

    /// The last records of a shard.
    async fn shard(&self, shard: &str, end: i64) -> Result<Vec<Record>, ConnectorError> {
        let mut input = json!({"StreamName": self.name, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let start = self.window.start();
        if let Some(start) = start {
            input["ShardIteratorType"] = json!("AT_TIMESTAMP");
            // Whole seconds, so that no rounding passes over a record.
            input["Timestamp"] = json!(start.div_euclid(1_000_000));
        }
        let iterator = |answer: &mut Value, name: &str| match answer.take(name) {
            Some(Value::Text(iterator)) => Some(iterator),
            _ => None,
        };
        let mut next = iterator(&mut self.aws.call("GetShardIterator", &input).await?, "ShardIterator");
        let most = usize::try_from(self.window.messages).unwrap_or(usize::MAX);
        let mut records: std::collections::VecDeque<Record> = std::collections::VecDeque::new();
        let mut empty = 0;
        while let Some(at) = next {
            let mut answer = self.aws.call("GetRecords", &json!({"ShardIterator": at, "Limit": PAGE})).await?;
            next = iterator(&mut answer, "NextShardIterator");
            let found = answer.get("Records").and_then(Value::as_array).unwrap_or_default();
            let mut late = false;
            for record in found {
                let unread = || ConnectorError::QueryFailed { cause: Some("a record without its parts".into()) };
                let record = Record::read(shard, record).ok_or_else(unread)?;
                late |= record.arrived > end;
                if record.arrived <= end && start.is_none_or(|start| record.arrived >= start) {
                    records.push_back(record);
                    // Only the last ones are of the window.
                    if records.len() > most {
                        records.pop_front();
                    }
                }
            }
            let behind = answer.get("MillisBehindLatest").cloned();
            empty = if found.is_empty() { empty + 1 } else { 0 };
            if late || (found.is_empty() && behind == Some(Value::Int(0))) {
                break;
            }
            if empty > PATIENCE {
                return Err(ConnectorError::QueryFailed {
                    cause: Some("a shard answers no records and no end".into()),
                });
            }
            if next.is_some() && found.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(records.into())
    }
}

/// The stream as a collection.
#[derive(Debug)]
struct Records {
    stream: Arc<DataStream>,
    payload: Payload,
    binary: bool,
}

impl Collection for Records {
    fn accepts(&self, _condition: &Condition) -> bool {
        false
    }

    fn scan(self: Arc<Self>, _scan: Scan) -> Pages {
        let records = self.stream.clone().records();
        records.map(move |page| page?.into_iter().map(|record| self.document(record)).collect()).boxed()
    }
}

impl Records {
    fn document(&self, record: Record) -> Result<Document, ConnectorError> {
        let mut document = self.payload.document(Some(record.data), self.binary)?;
        document.push((SHARD.to_owned(), Value::Text(record.shard)));
        document.push((SEQUENCE.to_owned(), Value::Text(record.sequence)));
        document.push((PARTITION_KEY.to_owned(), Value::Text(record.partition_key)));
        document.push((ARRIVED.to_owned(), Value::Moment(record.arrived)));
        Ok(document)
    }
}
