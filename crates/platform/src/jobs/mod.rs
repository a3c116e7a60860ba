//! Durable background jobs, in a table of the control-plane database.
//!
//! A job is enqueued in the transaction of what makes it necessary, so it exists if and only if that was
//! committed. Any node that has a handler for its kind may run it:
//!
//! ```text
//!             claim                    ok
//!   queued ──────────▶ running ──────────────────▶ done      (purged after a week)
//!     ▲                  │  │
//!     └── error, later ──┘  └── fatal, or no attempt left ──▶ dead  (kept for 90 days, with its error)
//!                                                         given_up
//! ```
//!
//! - **At least once.** A claim is a lease that the worker extends while it runs. A killed worker's lease
//!   ends and the job is claimed again, so a handler must bear running twice.
//! - **Retries** back off exponentially, with jitter, up to `max_attempts`.
//! - **Given up**: a job that dies tells its handler in the transaction in which it does ([`Handler::given_up`]),
//!   so that what waits for it does not wait for ever.
//! - **Unique**: of the unfinished jobs of a kind, one with each `unique_key`.
//! - **Places**: a node runs so many jobs at once, and of those that take long half as many ([`Handler::takes_long`]).
//! - **Periodic** jobs ([`Jobs::every`]) run on one node only, whichever is first. A turn that went well leaves no row:
//!   one of every few seconds would bury the table in a week.
//!
//! A worker looks at once after something was enqueued in its process, then ever more slowly, down to
//! once a second. Looking is reading: the writer of SQLite is asked only when there is something to claim. What is claimed
//! together is claimed by one statement, and runs that end together are written down in one transaction.

mod ends;
mod purge;
mod store;
mod worker;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, JobId, OrganizationId, Result};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

pub use store::{job, periodic_job};
pub use tokio_util::sync::CancellationToken;
pub use worker::JobsHandle;

use crate::{Clock, Database, Transaction};

/// Runs the jobs of one kind.
#[async_trait]
pub trait Handler: Send + Sync {
    async fn run(&self, payload: Value, context: JobContext) -> Result<(), JobError>;

    /// The job is dead: it failed for good, or in its last attempt, or its worker died in every one. In the transaction
    /// that writes that down, so both happen or neither does; where this fails, it is tried again when the lease has ended.
    async fn given_up(&self, _tx: &Transaction, _payload: Value, _error: &str) -> Result<()> {
        Ok(())
    }

    /// A run that takes longer is stopped and counts as failed.
    fn timeout(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }

    /// Whether a run waits for others, for minutes perhaps. Of a node's places such jobs have half, so that a mail with a code
    /// does not wait behind somebody's questions.
    fn takes_long(&self) -> bool {
        false
    }
}

/// What a handler knows beside the payload.
#[derive(Debug, Clone)]
pub struct JobContext {
    pub job_id: JobId,
    pub organization_id: Option<OrganizationId>,
    /// From 1.
    pub attempt: u32,
    /// Ends when the server shuts down: a long handler should stop at a good place and answer with a retry.
    pub shutdown: CancellationToken,
}

/// Why a run failed, and whether another attempt makes sense. The text is stored with the job: no secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    #[error("{0}")]
    Retry(String),
    #[error("{0}")]
    Fatal(String),
}

impl JobError {
    pub fn retry(error: impl fmt::Display) -> Self {
        Self::Retry(error.to_string())
    }

    pub fn fatal(error: impl fmt::Display) -> Self {
        Self::Fatal(error.to_string())
    }
}

/// An [`Error`] is mostly the database being away: worth another attempt.
impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        match &error.source {
            Some(source) => Self::Retry(format!("{error}: {source}")),
            None => Self::retry(error),
        }
    }
}

/// How a job is to be run.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Not before; `None` is at once.
    pub run_at: Option<DateTime<Utc>>,
    pub max_attempts: u32,
    /// While an unfinished job of this kind has the same key, enqueueing answers that job.
    pub unique_key: Option<String>,
    pub organization_id: Option<OrganizationId>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self { run_at: None, max_attempts: 10, unique_key: None, organization_id: None }
    }
}

/// Times of the machinery; the defaults are for production.
#[derive(Debug, Clone)]
pub struct JobTimes {
    /// How long a claim holds without being extended.
    pub lease: Duration,
    /// The wait before the second attempt; it doubles from there.
    pub first_backoff: Duration,
    pub longest_backoff: Duration,
    /// How often an idle worker looks.
    pub poll: Duration,
    pub keep_done: Duration,
    pub keep_dead: Duration,
}

impl Default for JobTimes {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            lease: Duration::from_secs(60),
            first_backoff: Duration::from_secs(5),
            longest_backoff: Duration::from_secs(3600),
            poll: Duration::from_secs(1),
            keep_done: Duration::from_secs(7 * DAY),
            keep_dead: Duration::from_secs(90 * DAY),
        }
    }
}

/// Enqueues and runs jobs; cheap to clone.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    db: Database,
    clock: Clock,
    times: JobTimes,
    handlers: RwLock<HashMap<&'static str, Arc<dyn Handler>>>,
    periodic: RwLock<HashMap<&'static str, Duration>>,
    enqueued: Notify,
}

impl Jobs {
    pub fn new(db: Database, clock: Clock) -> Self {
        Self::with_times(db, clock, JobTimes::default())
    }

    pub fn with_times(db: Database, clock: Clock, times: JobTimes) -> Self {
        let jobs = Self(Arc::new(Inner {
            db: db.clone(),
            clock: clock.clone(),
            times: times.clone(),
            handlers: RwLock::default(),
            periodic: RwLock::default(),
            enqueued: Notify::new(),
        }));
        let purge = purge::Purge { db, clock, keep_done: times.keep_done, keep_dead: times.keep_dead };
        jobs.every(purge::JOB, Duration::from_secs(3600), Arc::new(purge));
        jobs
    }

    /// Puts a job into the table, in the caller's transaction.
    pub async fn enqueue(
        &self,
        tx: &Transaction,
        kind: &'static str,
        payload: &impl Serialize,
        options: JobOptions,
    ) -> Result<JobId> {
        let payload = serde_json::to_value(payload).map_err(Error::internal)?;
        let id = store::insert(tx, self.0.clock.now(), kind, &payload, options).await?;
        // It can be seen only after the commit, which is about to come; the worker looks a few times.
        self.0.enqueued.notify_one();
        Ok(id)
    }

    /// Puts many jobs of a kind into the table, with the usual options.
    pub async fn enqueue_all(
        &self,
        tx: &Transaction,
        kind: &'static str,
        payloads: impl IntoIterator<Item = impl Serialize>,
    ) -> Result<()> {
        let payloads: Result<Vec<Value>, _> = payloads.into_iter().map(serde_json::to_value).collect();
        store::insert_all(tx, self.0.clock.now(), kind, &payloads.map_err(Error::internal)?).await?;
        self.0.enqueued.notify_one();
        Ok(())
    }

    /// Removes the jobs of an organization that is erased, in whatever state: their payloads tell of it.
    pub async fn forget_organization(&self, tx: &Transaction, organization: OrganizationId) -> Result<()> {
        job::Entity::delete_many().filter(job::Column::OrganizationId.eq(organization)).exec(tx.conn()).await?;
        Ok(())
    }

    /// Says who runs the jobs of a kind, on this node.
    pub fn register(&self, kind: &'static str, handler: Arc<dyn Handler>) {
        self.0.handlers.write().unwrap_or_else(PoisonError::into_inner).insert(kind, handler);
    }

    /// Runs the handler every `interval`, on one node at a time; the payload is null. A run that is late
    /// or failed is not made up for.
    pub fn every(&self, kind: &'static str, interval: Duration, handler: Arc<dyn Handler>) {
        self.register(kind, handler);
        self.0.periodic.write().unwrap_or_else(PoisonError::into_inner).insert(kind, interval);
    }

    /// Starts the worker of this node, which runs up to `concurrency` jobs at once.
    pub fn start(&self, concurrency: usize) -> JobsHandle {
        worker::start(self.0.clone(), concurrency)
    }

    /// Runs everything that is due, on the caller's task, until nothing is, and answers how many runs that
    /// took: for the command line and for tests that do not want to wait for a worker.
    pub async fn run_due(&self) -> Result<usize> {
        worker::run_due(&self.0).await
    }
}

impl Inner {
    fn handler(&self, kind: &str) -> Option<Arc<dyn Handler>> {
        self.handlers.read().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }

    /// The kinds that take long, or the others.
    fn kinds(&self, that_take_long: bool) -> Vec<&'static str> {
        let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = handlers.iter().filter(|(_, handler)| handler.takes_long() == that_take_long);
        wanted.map(|(kind, _)| *kind).collect()
    }

    fn is_periodic(&self, kind: &str) -> bool {
        self.periodic.read().unwrap_or_else(PoisonError::into_inner).contains_key(kind)
    }

    fn periodic(&self) -> Vec<(&'static str, Duration)> {
        let periodic = self.periodic.read().unwrap_or_else(PoisonError::into_inner);
        periodic.iter().map(|(kind, interval)| (*kind, *interval)).collect()
    }

    /// How long to wait after the given attempt: doubling, then spread over its upper half, so that jobs
    /// that failed together do not come back together.
    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.times.first_backoff.saturating_mul(1u32 << attempt.saturating_sub(1).min(20));
        doubled.min(self.times.longest_backoff).mul_f64(rand::random_range(0.5..=1.0))
    }
}
