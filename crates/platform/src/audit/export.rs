//! Records as lines of JSON: every field that is hashed, so that whoever has the lines can verify them without the
//! database.
//!
//! ```text
//! {"type":"record","chain":7,"sequence":1, … ,"details":"{\"role\":\"Viewer\"}","previous_hash":"00…","hash":"9c…"}
//! {"type":"record","chain":7,"sequence":2, … ,"previous_hash":"9c…","hash":"41…"}
//! {"type":"head","chain":7,"sequence":2,"hash":"41…"}
//! ```
//!
//! The details are a text that holds JSON, because the hash is over its bytes. A chain that is exported whole ends with a
//! line for its head: where that is missing, the end was cut off. What a filter chose has no such line.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::{Stream, stream};
use rivergen_kernel::{OrganizationId, Result, UserId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Chain,
    chain::{Extent, Head},
    heads, log,
};
use crate::Database;

/// How many records are in memory at once.
const BATCH: u64 = 500;

/// The media type of an export.
pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// Where a chain ends now; `None` where it has no record.
pub async fn head(conn: &impl ConnectionTrait, chain: Chain) -> Result<Option<Head>> {
    let head = heads::Entity::find_by_id(chain.0).one(conn).await?;
    Ok(head.map(|head| Head { chain, sequence: head.sequence, hash: head.hash }))
}

/// Which records of a chain are exported; all of them where the extent is [`Extent::Whole`].
pub enum Rows {
    /// What a select finds along the chain.
    Along(Box<Select<log::Entity>>),
    /// What is looked up batch by batch: the first so many of the chain's behind an id, in the order of their ids.
    Behind(Box<dyn Fn(i64, u64) -> Select<log::Entity> + Send>),
}

impl Rows {
    fn batch(&self, head: &Head, after: Place) -> Select<log::Entity> {
        let rows = match self {
            // Index audit_log_chain (chain, sequence).
            Self::Along(rows) => rows
                .as_ref()
                .clone()
                .filter(log::Column::Chain.eq(head.chain.0))
                .filter(log::Column::Sequence.gt(after.sequence))
                .order_by_asc(log::Column::Sequence)
                .limit(BATCH),
            // Records are written in the order of their chain, so that their ids have it too.
            Self::Behind(rows) => rows(after.id, BATCH).order_by_asc(log::Column::Id),
        };
        rows.filter(log::Column::Sequence.lte(head.sequence))
    }
}

/// Of a record, in the log and in its chain.
#[derive(Clone, Copy, Default)]
struct Place {
    id: i64,
    sequence: i64,
}

/// The lines of a chain up to a head, in the order of the chain, batch by batch.
pub fn export(
    db: Database,
    rows: Rows,
    head: Head,
    extent: Extent,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold(Some(Place::default()), move |after| {
        let (db, head) = (db.clone(), head.clone());
        let batch = after.map(|after| rows.batch(&head, after));
        async move {
            let Some(batch) = batch else { return Ok(None) };
            let batch = batch.all(db.read()).await?;
            let last = batch.last().filter(|_| batch.len() as u64 == BATCH);
            let next = last.map(|row| Place { id: row.id, sequence: row.sequence });
            let mut lines: String = batch.iter().map(|row| record_line(row) + "\n").collect();
            if next.is_none() && extent == Extent::Whole {
                lines.push_str(&(head_line(&head) + "\n"));
            }
            Ok(Some((Bytes::from(lines), next)))
        }
    })
}

/// A record as a line, without its end.
pub(super) fn record_line(row: &log::Model) -> String {
    text(&Line::Record(Box::new(RecordLine {
        chain: row.chain,
        sequence: row.sequence,
        organization_id: row.organization_id.map(|id| id.0),
        occurred_at: time(row.occurred_at),
        actor_kind: row.actor_kind.clone(),
        actor_user_id: row.actor_user_id.map(|id| id.0),
        ip: row.ip.clone(),
        user_agent: row.user_agent.clone(),
        action: row.action.clone(),
        target_kind: row.target_kind.clone(),
        target_id: row.target_id.clone(),
        outcome: row.outcome.clone(),
        details: row.details.clone(),
        previous_hash: hex::encode(&row.previous_hash),
        hash: hex::encode(&row.hash),
    })))
}

/// A head as a line, without its end.
fn head_line(head: &Head) -> String {
    text(&Line::Head(HeadLine { chain: head.chain.0, sequence: head.sequence, hash: hex::encode(&head.hash) }))
}

/// What a line says; `Err` is why it says nothing.
pub(super) fn parse(line: &str) -> Result<Parsed, String> {
    match serde_json::from_str(line).map_err(|error| error.to_string())? {
        Line::Record(line) => line.model().map(Box::new).map(Parsed::Record),
        Line::Head(line) => {
            let hash = digest("hash", &line.hash)?;
            Ok(Parsed::Head(Head { chain: Chain(line.chain), sequence: line.sequence, hash }))
        }
    }
}

pub(super) enum Parsed {
    Record(Box<log::Model>),
    Head(Head),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Record(Box<RecordLine>),
    Head(HeadLine),
}

/// Every field is there, even if it is null: one that is left out is a fault and not an empty one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine {
    chain: i64,
    sequence: i64,
    #[serde(deserialize_with = "nullable")]
    organization_id: Option<i64>,
    occurred_at: String,
    actor_kind: String,
    #[serde(deserialize_with = "nullable")]
    actor_user_id: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    ip: Option<String>,
    #[serde(deserialize_with = "nullable")]
    user_agent: Option<String>,
    action: String,
    #[serde(deserialize_with = "nullable")]
    target_kind: Option<String>,
    #[serde(deserialize_with = "nullable")]
    target_id: Option<String>,
    outcome: String,
    details: String,
    previous_hash: String,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    chain: i64,
    sequence: i64,
    hash: String,
}

impl RecordLine {
    fn model(self) -> Result<log::Model, String> {
        Ok(log::Model {
            id: 0,
            chain: self.chain,
            sequence: self.sequence,
            organization_id: self.organization_id.map(OrganizationId),
            occurred_at: parse_time(&self.occurred_at)?,
            actor_kind: self.actor_kind,
            actor_user_id: self.actor_user_id.map(UserId),
            ip: self.ip,
            user_agent: self.user_agent,
            action: self.action,
            target_kind: self.target_kind,
            target_id: self.target_id,
            outcome: self.outcome,
            details: self.details,
            previous_hash: digest("previous_hash", &self.previous_hash)?,
            hash: digest("hash", &self.hash)?,
        })
    }
}

/// Without a default for a field that is missing.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// These structures cannot fail to be written: their keys are texts.
fn text(line: &Line) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

/// With microseconds, which are what is hashed.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// In the one spelling that [`time`] has: what the hash does not cover (more digits, another zone) is no place to hide in.
fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc));
    match parsed {
        Ok(at) if time(at) == text => Ok(at),
        _ => Err("occurred_at is not a time in UTC with microseconds".to_owned()),
    }
}

/// 32 bytes in lower-case hexadecimal.
fn digest(field: &str, text: &str) -> Result<Vec<u8>, String> {
    match hex::decode(text) {
        Ok(bytes) if bytes.len() == 32 && hex::encode(&bytes) == text => Ok(bytes),
        _ => Err(format!("{field} is not a SHA-256 in hexadecimal")),
    }
}
