//! Records on their way to whoever watches (a SIEM): each stream of the settings brings them, chain by chain and in the
//! order of the chain, to one receiver.
//!
//! ```text
//!   audit_heads ─┐                         ┌─▶ webhook (HTTP, signed)
//!                ├─ what is behind ─ batch ─┤                          taken ─▶ position
//!   positions  ──┘                         └─▶ syslog (UDP, TCP, TLS)   not  ─▶ later, with the error
//! ```
//!
//! - **At least once, in order.** A position moves after the receiver has taken the records, so a node that is killed in
//!   between sends them again. The next records of a stream wait for those before them.
//! - **Nothing is lost**, however long a receiver is away: the log itself is the queue. Attempts are ever further apart, up
//!   to ten minutes.
//! - **One node at a time** delivers, all streams at once, in a periodic job whose lease ends with its node.
//!
//! A stream begins when the server first starts with its name ([`Streams::begin`]).

mod cef;
mod config;
mod format;
mod ocsf;
mod progress;
mod syslog;
mod webhook;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use rivergen_kernel::Result;
use sea_orm::EntityTrait;
use serde_json::Value;
use url::Url;

pub use config::{AuditConfig, Kind, Start, StreamConfig, Transport};
pub use format::Format;
pub use progress::Behind;

use config::Destination;
use syslog::{Syslog, Way};

use super::{Chain, log};
use crate::{
    Clock, Database,
    jobs::{Handler, JobContext, JobError, Jobs},
    net::{AddressPolicy, Outbound, OutboundConfig},
    webhook::Webhook,
};

/// The kind of the periodic job.
const JOB: &str = "audit.streams";
const EVERY: Duration = Duration::from_secs(5);

/// Records of one delivery, and about how many bytes of them.
const BATCH: usize = 200;
const BATCH_BYTES: usize = 1024 * 1024;
/// How long a stream delivers before it waits for the others.
const ROUND: Duration = Duration::from_secs(2);
/// How long a run goes on while there is something to deliver.
const RUN: Duration = Duration::from_secs(60);

/// The wait after the first failure; it doubles from there.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(600);

/// What is wrong with a stream's settings that only its start can tell.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("audit.streams.{name}: {reason}")]
    Settings { name: String, reason: String },
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

/// The streams of the settings; cheap to clone.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    db: Database,
    clock: Clock,
    streams: Vec<Stream>,
}

struct Stream {
    config: StreamConfig,
    receiver: Receiver,
}

enum Receiver {
    Webhook(Webhook),
    Syslog(Syslog),
}

impl Streams {
    /// `outbound` is how the server reaches others. Receivers are the operator's choice, so private addresses are allowed
    /// for them; what the policy denies by name stays closed.
    pub fn new(
        config: &AuditConfig,
        outbound: &OutboundConfig,
        public_url: &str,
        db: Database,
        clock: Clock,
    ) -> Result<Self, StreamError> {
        if config.streams.is_empty() {
            // Clients of its own would read all the certificates that the machine trusts, at each start and for nobody.
            return Ok(Self(Arc::new(Inner { db, clock, streams: Vec::new() })));
        }
        let policy = AddressPolicy { allow_private: true, ..outbound.policy.clone() };
        let outbound = Outbound::new(&OutboundConfig { policy, ..outbound.clone() })?;
        let own = public_url.parse::<Url>().ok();
        let own = own.as_ref().and_then(Url::host_str).unwrap_or_default();
        let streams = config.streams.iter().map(|config| {
            let receiver = Receiver::new(config, &outbound, own);
            let named = |reason| StreamError::Settings { name: config.name.clone(), reason };
            Ok(Stream { config: config.clone(), receiver: receiver.map_err(named)? })
        });
        let streams = streams.collect::<Result<_, StreamError>>()?;
        Ok(Self(Arc::new(Inner { db, clock, streams })))
    }

    /// Begins the streams whose names are new. Before the first request is taken, or its records would be missing.
    pub async fn begin(&self) -> Result<()> {
        for stream in &self.0.streams {
            progress::begin(&self.0.db, &stream.config, self.0.clock.now()).await?;
        }
        Ok(())
    }

    /// Delivers on this node, whenever it is the one.
    pub fn register(&self, jobs: &Jobs) {
        if !self.0.streams.is_empty() {
            jobs.every(JOB, EVERY, Arc::new(Delivery(self.0.clone())));
        }
    }

    /// Brings the metrics of the streams up to date.
    pub async fn measure(&self) -> Result<()> {
        for stream in &self.0.streams {
            let state = state(&self.0.db, &stream.config).await?;
            let name = state.name;
            metrics::gauge!("rivergen_audit_stream_records_behind", "stream" => name.clone())
                .set(state.records_behind as f64);
            metrics::gauge!("rivergen_audit_stream_failures", "stream" => name).set(f64::from(state.failures));
        }
        Ok(())
    }
}

impl Receiver {
    fn new(config: &StreamConfig, outbound: &Outbound, own_name: &str) -> Result<Self, String> {
        Ok(match config.destination()? {
            Destination::Webhook { url, key } => {
                Self::Webhook(Webhook::new(outbound.http_without_redirects().clone(), url, key))
            }
            Destination::Syslog { host, port, transport, ca_file } => {
                let way = match transport {
                    Transport::Udp => Way::Udp,
                    Transport::Tcp => Way::Tcp,
                    Transport::Tls => Way::tls(&host, ca_file.as_deref())?,
                };
                Self::Syslog(Syslog::new(outbound.clone(), host, port, way, own_name))
            }
        })
    }

    async fn send(&self, rows: &[log::Model], format: Format, now: DateTime<Utc>) -> Result<(), String> {
        match self {
            Self::Webhook(receiver) => webhook::send(receiver, rows, format, now).await,
            Self::Syslog(syslog) => syslog.send(rows, format).await,
        }
    }
}

/// How a stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    pub name: String,
    /// When a server first started with it; `None`, not yet.
    pub begun_at: Option<DateTime<Utc>>,
    /// The chains in which something is to be delivered.
    pub behind: Vec<Behind>,
    pub records_behind: i64,
    /// Deliveries that failed since the last one that did not.
    pub failures: i32,
    pub last_success_at: Option<DateTime<Utc>>,
    pub last_failure_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    /// `None` where nothing has to be waited for.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// How a stream of the settings stands, on whatever node it is delivered.
pub async fn state(db: &Database, config: &StreamConfig) -> Result<StreamState> {
    let row = progress::stream::Entity::find_by_id(config.name.clone()).one(db.read()).await?;
    let behind = match row {
        Some(_) => progress::behind(db, config).await?,
        None => Vec::new(),
    };
    let records_behind = behind.iter().map(|chain| chain.head - chain.delivered).sum();
    Ok(StreamState {
        name: config.name.clone(),
        begun_at: row.as_ref().map(|row| row.begun_at),
        behind,
        records_behind,
        failures: row.as_ref().map_or(0, |row| row.failures),
        last_success_at: row.as_ref().and_then(|row| row.last_success_at),
        last_failure_at: row.as_ref().and_then(|row| row.last_failure_at),
        next_attempt_at: row.as_ref().and_then(|row| row.next_attempt_at),
        last_error: row.and_then(|row| row.last_error),
    })
}

struct Delivery(Arc<Inner>);

#[async_trait]
impl Handler for Delivery {
    /// Round by round, so that a stream with much to deliver holds the others up for no longer than one round.
    async fn run(&self, _: Value, context: JobContext) -> Result<(), JobError> {
        let begun = Instant::now();
        loop {
            let rounds = join_all(self.0.streams.iter().map(|stream| self.0.round(stream, &context))).await;
            let goes_on = rounds.into_iter().collect::<Result<Vec<bool>>>()?.contains(&true);
            if !goes_on || context.shutdown.is_cancelled() || begun.elapsed() > RUN {
                return Ok(());
            }
        }
    }

    fn takes_long(&self) -> bool {
        true
    }
}

impl Inner {
    /// Delivers of one stream for a while; answers whether there may be more that need not wait.
    async fn round(&self, stream: &Stream, context: &JobContext) -> Result<bool> {
        let name = &stream.config.name;
        let Some(row) = progress::stream::Entity::find_by_id(name.clone()).one(self.db.read()).await? else {
            return Ok(false);
        };
        if row.next_attempt_at.is_some_and(|at| at > self.clock.now()) {
            return Ok(false);
        }
        let mut failures = row.failures;
        let begun = Instant::now();
        while begun.elapsed() < ROUND && !context.shutdown.is_cancelled() {
            let batch = self.batch(stream).await?;
            if batch.is_empty() {
                return Ok(false);
            }
            if let Err(error) = stream.receiver.send(&batch, stream.config.format, self.clock.now()).await {
                failures = failures.saturating_add(1);
                let next = self.clock.now() + backoff(failures);
                tracing::warn!(stream = name, failures, error, next_attempt = %next, "audit records were not delivered");
                progress::failed(&self.db, name, failures, &error, self.clock.now(), next).await?;
                return Ok(false);
            }
            let positions: BTreeMap<Chain, i64> = batch.iter().map(|row| (Chain(row.chain), row.sequence)).collect();
            progress::delivered(&self.db, name, positions, self.clock.now()).await?;
            failures = 0;
        }
        Ok(true)
    }

    /// What is to be delivered next, of several chains, each in its order.
    async fn batch(&self, stream: &Stream) -> Result<Vec<log::Model>> {
        let mut behind = progress::behind(&self.db, &stream.config).await?;
        if !behind.is_empty() {
            // A chain in which much happens does not hold the others up.
            let first = rand::random_range(0..behind.len());
            behind.rotate_left(first);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for chain in &behind {
            for row in progress::next(&self.db, chain, BATCH - batch.len()).await? {
                bytes += row.details.len();
                if bytes > BATCH_BYTES && !batch.is_empty() {
                    return Ok(batch);
                }
                batch.push(row);
            }
            if batch.len() >= BATCH {
                break;
            }
        }
        Ok(batch)
    }
}

/// Doubling, then spread over its upper half, so that streams that failed together do not come back together.
fn backoff(failures: i32) -> Duration {
    let doublings = u32::try_from(failures).unwrap_or(0).saturating_sub(1).min(20);
    FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF).mul_f64(rand::random_range(0.5..=1.0))
}

/// A record for the tests of the formats.
#[cfg(test)]
fn sample(action: &str) -> log::Model {
    use rivergen_kernel::{OrganizationId, UserId};
    log::Model {
        id: 1,
        chain: 7,
        sequence: 12,
        organization_id: Some(OrganizationId(7)),
        occurred_at: "2026-03-14T15:09:26.535897Z".parse().unwrap(),
        actor_kind: "user".to_owned(),
        actor_user_id: Some(UserId(3)),
        ip: Some("203.0.113.9".to_owned()),
        user_agent: None,
        action: action.to_owned(),
        target_kind: Some("user".to_owned()),
        target_id: Some("4".to_owned()),
        outcome: "success".to_owned(),
        details: r#"{"user_id":4}"#.to_owned(),
        previous_hash: vec![0x22; 32],
        hash: vec![0x11; 32],
    }
}
