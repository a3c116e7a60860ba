//! The window of a topic and its records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use krafka::KrafkaError;
use krafka::consumer::{AutoOffsetReset, Consumer, ConsumerRecord, IsolationLevel, TopicPartition};

use super::settings::Settings;
use super::span::Span;
use crate::documents::Condition;
use crate::relay::Relay;
use crate::{ConnectorError, SourceContext, background, retry};

/// Records that are handed on at a time; fewer where they are large.
const PAGE: usize = 1_000;
const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// What a broker sends at a time, and of one partition.
const ANSWER_BYTES: i32 = 4 * 1024 * 1024;
const PARTITION_BYTES: i32 = 1024 * 1024;
/// What a batch may unpack to.
const UNPACKED_BYTES: usize = 64 * 1024 * 1024;
/// How long a broker waits for records; all of the window are there.
const FETCH_WAIT: Duration = Duration::from_millis(100);
/// Within it the brokers are asked again.
const POLL: Duration = Duration::from_secs(1);
/// A sample ends with as much.
const SAMPLE_BYTES: usize = 16 * 1024 * 1024;

/// Times that stand for the ends of a partition.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// One topic, and the way to it.
#[derive(Debug)]
pub(super) struct Topic {
    kafka: krafka::Kafka,
    relay: Relay,
    settings: Settings,
}

/// The offsets of a partition that are read; the end is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: i64,
    end: i64,
}

type Ranges = BTreeMap<i32, Range>;

impl Topic {
    pub async fn open(source: &SourceContext, settings: Settings) -> Result<Self, ConnectorError> {
        let limit = settings.connect_timeout;
        let relay = Relay::start(source.guard.clone(), limit).await?;
        let kafka = retry::reaching(settings.max_retries, || async {
            match tokio::time::timeout(limit, settings.connect(&relay)).await {
                Ok(connected) => connected.map_err(|error| settings.classify(error, &relay)),
                Err(_) => Err(relay.refused().map_or(ConnectorError::Timeout(limit), ConnectorError::from)),
            }
        });
        let kafka = kafka.await?;
        Ok(Self { kafka, relay, settings })
    }

    pub fn name(&self) -> &str {
        &self.settings.topic
    }

    /// The numbers of its partitions.
    pub async fn partitions(self: &Arc<Self>) -> Result<Vec<i32>, ConnectorError> {
        self.reader().await?.partitions().await
    }

    /// How many records the window may hold, and about so many of the last ones.
    pub async fn sample(self: &Arc<Self>, wanted: u64) -> Result<(u64, Vec<ConsumerRecord>), ConnectorError> {
        let reader = self.reader().await?;
        let mut ranges = reader.window(&[]).await?;
        let rows = ranges.values().map(|range| range.end.abs_diff(range.start)).sum();
        let each = wanted.div_ceil(ranges.len().max(1) as u64);
        for range in ranges.values_mut() {
            range.start = range.start.max(range.end.saturating_sub_unsigned(each));
        }
        let mut sample = Vec::new();
        let mut bytes = 0;
        let mut pages = reader.read(ranges, PAGE).await?;
        while let Some(page) = pages.try_next().await? {
            bytes += page.iter().map(size).sum::<usize>();
            sample.extend(page);
            if bytes > SAMPLE_BYTES {
                break;
            }
        }
        Ok((rows, sample))
    }

    /// The records of the window that the conditions leave, in pages. The window is fixed when the stream is first polled.
    pub fn records(
        self: Arc<Self>,
        conditions: Vec<Condition>,
        limit: Option<usize>,
    ) -> BoxStream<'static, Result<Vec<ConsumerRecord>, ConnectorError>> {
        stream::once(async move {
            let reader = self.reader().await?;
            let ranges = reader.window(&conditions).await?;
            reader.read(ranges, limit.unwrap_or(PAGE).clamp(1, PAGE)).await
        })
        .try_flatten()
        .boxed()
    }

    /// A consumer for one scan.
    async fn reader(self: &Arc<Self>) -> Result<Reader, ConnectorError> {
        let consumer = self
            .kafka
            .consumer_without_group()
            .isolation_level(IsolationLevel::ReadCommitted)
            .auto_offset_reset(AutoOffsetReset::None)
            .enable_auto_commit(false)
            .metrics_push(false)
            .fetch_max_bytes(ANSWER_BYTES)
            .max_partition_fetch_bytes(PARTITION_BYTES)
            .max_decompressed_size(UNPACKED_BYTES)
            .max_poll_records(PAGE as i32)
            .max_buffered_records(PAGE as i32)
            .fetch_max_wait(FETCH_WAIT)
            .build()
            .await
            .map_err(|error| self.classify(error))?;
        Ok(Reader { topic: self.clone(), consumer: Arc::new(consumer), oldest: self.settings.window.start() })
    }

    fn classify(&self, error: KrafkaError) -> ConnectorError {
        self.settings.classify(error, &self.relay)
    }
}

/// About the memory that a record takes.
fn size(record: &ConsumerRecord) -> usize {
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    length(&record.key) + length(&record.value) + record.headers.iter().map(|(_, value)| length(value)).sum::<usize>()
}

/// How many of the records, which are some, make a page: at least one.
fn fitting(records: &[ConsumerRecord], most: usize) -> usize {
    let mut bytes = 0;
    let within = records.iter().take(most).take_while(|record| {
        bytes += size(record);
        bytes <= PAGE_BYTES
    });
    within.count().max(1)
}

/// One scan.
struct Reader {
    topic: Arc<Topic>,
    consumer: Arc<Consumer>,
    /// The first moment of the window, in microseconds.
    oldest: Option<i64>,
}

impl Reader {
    /// Asks the cluster, within the time for it.
    async fn ask<T>(&self, question: impl Future<Output = krafka::Result<T>>) -> Result<T, ConnectorError> {
        let limit = self.topic.settings.query_timeout;
        match tokio::time::timeout(limit, question).await {
            Ok(answer) => answer.map_err(|error| self.topic.classify(error)),
            Err(_) => Err(ConnectorError::Timeout(limit)),
        }
    }

    async fn partitions(&self) -> Result<Vec<i32>, ConnectorError> {
        let name = self.topic.name();
        let found = self.ask(self.consumer.fetch_metadata(Some(name))).await?;
        let found = found.topics.into_iter().find(|found| found.name == name);
        let found = found.ok_or_else(|| ConnectorError::NotFound { what: format!("topic {name}") })?;
        let mut partitions: Vec<i32> = found.partitions.into_keys().collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// The first offset of a moment, for each partition; below 0 where there is no record as late.
    async fn offsets(&self, partitions: &[i32], moment: i64) -> Result<BTreeMap<i32, i64>, ConnectorError> {
        let name = self.topic.name();
        let asked: Vec<(&str, i32)> = partitions.iter().map(|partition| (name, *partition)).collect();
        let found = self.ask(async { Ok(self.consumer.offsets_for_times(&asked, moment).await) }).await?;
        let found = found.into_iter().map(|((_, partition), offset)| {
            offset.map(|offset| (partition, offset)).map_err(|error| self.topic.classify(error))
        });
        found.collect()
    }

    /// What is read of each partition; those of which nothing is are left out.
    async fn window(&self, conditions: &[Condition]) -> Result<Ranges, ConnectorError> {
        let spans: BTreeMap<i32, Span> = self
            .partitions()
            .await?
            .into_iter()
            .map(|partition| (partition, Span::of(conditions, partition)))
            .filter(|(_, span)| !span.is_empty())
            .collect();
        let partitions: Vec<i32> = spans.keys().copied().collect();
        // The ends come first: what arrives in between is not of the window.
        let ends = self.offsets(&partitions, LATEST).await?;
        let starts = self.offsets(&partitions, EARLIEST).await?;
        let messages = i64::try_from(self.topic.settings.window.messages).unwrap_or(i64::MAX);
        let mut ranges = Ranges::new();
        let mut moments: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
        for (partition, span) in spans {
            let (Some(start), Some(end)) = (starts.get(&partition), ends.get(&partition)) else { continue };
            let start = (*start).max(end.saturating_sub(messages)).max(span.first);
            let end = (*end).min(span.last.saturating_add(1));
            if start < end {
                ranges.insert(partition, Range { start, end });
                // A broker asked for a moment before 1970 would read it as one of the ends.
                let since = span.since.max(self.oldest.map_or(i64::MIN, |oldest| oldest.div_euclid(1_000)));
                if since > 0 {
                    moments.entry(since).or_default().push(partition);
                }
            }
        }
        for (moment, partitions) in moments {
            for (partition, first) in self.offsets(&partitions, moment).await? {
                match ranges.get_mut(&partition) {
                    Some(range) if first >= 0 && first < range.end => range.start = range.start.max(first),
                    _ => drop(ranges.remove(&partition)),
                }
            }
        }
        Ok(ranges)
    }

    /// The records of the ranges, at most so many a page.
    async fn read(
        self,
        ranges: Ranges,
        page: usize,
    ) -> Result<BoxStream<'static, Result<Vec<ConsumerRecord>, ConnectorError>>, ConnectorError> {
        let name = self.topic.name();
        if !ranges.is_empty() {
            self.ask(self.consumer.assign(name, ranges.keys().copied().collect())).await?;
            let starts = ranges.iter().map(|(partition, range)| (TopicPartition::new(name, *partition), range.start));
            self.ask(self.consumer.seek_many(starts)).await?;
        }
        let rest = Rest { reader: self, left: ranges.keys().copied().collect(), ranges, page };
        Ok(stream::try_unfold((rest, Vec::new()), |(mut rest, mut kept)| async move {
            if kept.is_empty() {
                kept = rest.next().await?;
            }
            if kept.is_empty() {
                return Ok(None);
            }
            let later = kept.split_off(fitting(&kept, rest.page));
            Ok(Some((kept, (rest, later))))
        })
        .boxed())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Its fetches end with it; the connections are the topic's.
        let consumer = self.consumer.clone();
        background::spawn(async move { _ = consumer.close().await });
    }
}

/// What of a scan is still to be read.
struct Rest {
    reader: Reader,
    ranges: Ranges,
    /// The partitions that have not been read to their end.
    left: Vec<i32>,
    page: usize,
}

impl Rest {
    /// The next records; none where all are read.
    async fn next(&mut self) -> Result<Vec<ConsumerRecord>, ConnectorError> {
        let limit = self.reader.topic.settings.query_timeout;
        let mut progress = Instant::now();
        self.finish().await;
        while !self.left.is_empty() {
            let before: Vec<_> = self.positions().await;
            let records = match tokio::time::timeout(limit, self.reader.consumer.poll(POLL)).await {
                Ok(Ok(records)) => records,
                Ok(Err(KrafkaError::NoOffset { .. })) => {
                    self.follow_retention().await?;
                    Vec::new()
                }
                Ok(Err(error)) => return Err(self.reader.topic.classify(error)),
                Err(_) => return Err(ConnectorError::Timeout(limit)),
            };
            let came = !records.is_empty();
            let records: Vec<_> = records.into_iter().filter(|record| self.is_wanted(record)).collect();
            self.finish().await;
            if !records.is_empty() {
                return Ok(records);
            }
            if came || self.positions().await != before {
                progress = Instant::now();
            } else if progress.elapsed() >= limit {
                return Err(ConnectorError::Timeout(limit));
            }
        }
        Ok(Vec::new())
    }

    fn is_wanted(&self, record: &ConsumerRecord) -> bool {
        let in_range = |range: &Range| (range.start..range.end).contains(&record.offset);
        self.ranges.get(&record.partition).is_some_and(in_range)
            && self.reader.oldest.is_none_or(|oldest| record.timestamp.saturating_mul(1_000) >= oldest)
    }

    async fn positions(&self) -> Vec<Option<i64>> {
        let mut positions = Vec::with_capacity(self.left.len());
        for partition in &self.left {
            positions.push(self.reader.consumer.position(self.reader.topic.name(), *partition).await);
        }
        positions
    }

    /// Lets go of the partitions that are read.
    async fn finish(&mut self) {
        let name = self.reader.topic.name();
        let positions = self.positions().await;
        let is_read = |(partition, position): &(&i32, Option<i64>)| {
            let end = self.ranges.get(*partition).map_or(0, |range| range.end);
            position.is_some_and(|position| position >= end)
        };
        let read: Vec<i32> = self.left.iter().zip(positions).filter(is_read).map(|(partition, _)| *partition).collect();
        if !read.is_empty() {
            self.reader.consumer.pause(name, &read).await;
            self.left.retain(|partition| !read.contains(partition));
        }
    }

    /// Goes on behind what was deleted because it was too old; anything else that has no offset any more is an error.
    async fn follow_retention(&mut self) -> Result<(), ConnectorError> {
        let starts = self.reader.offsets(&self.left, EARLIEST).await?;
        let name = self.reader.topic.name();
        let mut followed = false;
        for (partition, start) in starts {
            let position = self.reader.consumer.position(name, partition).await;
            if position.is_some_and(|position| position < start) {
                let end = self.ranges.get(&partition).map_or(start, |range| range.end);
                self.reader.ask(self.reader.consumer.seek(name, partition, start.min(end))).await?;
                followed = true;
            }
        }
        if followed {
            return Ok(());
        }
        Err(ConnectorError::QueryFailed { cause: Some("a partition lost records while it was read".into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_of_so_many_records_and_bytes() {
        let record = |bytes: usize| ConsumerRecord::new("t", 0, 0, None, Some(bytes::Bytes::from(vec![0; bytes])));
        assert_eq!(fitting(&vec![record(10); 30], 20), 20);
        assert_eq!(fitting(&vec![record(10); 30], 100), 30);
        assert_eq!(fitting(&vec![record(1024 * 1024); 30], 100), 16);
        assert_eq!(fitting(&vec![record(PAGE_BYTES + 1); 2], 100), 1, "what is larger than a page is one");
    }
}
