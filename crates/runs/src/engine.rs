//! The engine as the rest of the house uses it: who asks, which sources, which SQL; rows come back, and a
//! record of the run stays, however it ends.
//!
//! ```text
//! start ─ permission ─ record: running ─ a place ─ catalogue ─ session ─ plan ─▶ Started
//!   Started ─ rows, or a stream of bytes ─ record: ended, policies
//!         ├ kept, for a client that comes back: see [`crate::results`]
//!         └ dropped anywhere on the way (the client went away), or cancelled by its id: record: cancelled
//! ```

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, future::BoxFuture, stream};
use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, Permission, QueryId, Result, Tenant};
use rivergen_platform::{Platform, http::RequestOrigin};
use rivergen_policies::{
    Policies,
    decision::AppliedPolicy,
    evaluation::{self, Applied, NewRun, Outcome, RunKind, RunStage},
};
use rivergen_query::{
    Answer, Encoder, Encoding, JsonAnswer, Limits, Planned, QueryColumn, QueryError, QueryThreads, Session,
    SessionSpec, statement,
};
use rivergen_sources::{Sources, source};
use tokio_util::sync::CancellationToken;

use crate::{
    answers::{Answers, Asked, Known},
    catalogue::{Catalogue, CatalogueTable, governance},
    hash_key,
    lookups::Lookups,
    places::{Capacity, LentPlace, Place, Places},
    running::{Cancellable, Running},
    sample::Sampled,
    told::{Told, answerable},
};

/// What a value weighs as JSON, for each byte that it has in the engine.
const JSON_FACTOR: u64 = 4;

/// What an operator may set for all queries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of an answer that is held in memory: a page.
    pub page: Bounds,
    /// Of an answer that is streamed: a download.
    pub download: Bounds,
    pub timeout: Duration,
    /// Memory of one query, over which it spills.
    pub memory_bytes: usize,
    pub spill_directory: PathBuf,
    pub max_spill_bytes: u64,
    /// Queries of one organization on this node.
    pub capacity: Capacity,
    /// How long the answer of a query that went on after its request is kept.
    pub results_kept: Duration,
    /// How long the record of a query is kept; `None`: for ever.
    pub history_kept: Option<chrono::Duration>,
    /// Of answers that are given again to whoever may see the same, on this node.
    pub answers_bytes: u64,
}

/// How large an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The rest is cut off.
    pub rows: u64,
    /// Bytes of its values; more is an error.
    pub bytes: u64,
}

/// The engine's handle; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub platform: Platform,
    pub sources: Sources,
    pub policies: Policies,
    pub settings: Arc<Settings>,
    pub(crate) places: Places,
    pub(crate) running: Running,
    pub(crate) threads: QueryThreads,
    answers: Answers<RunAnswer>,
    samples: Answers<Sampled>,
    pub(crate) hash_keys: hash_key::HashKeys,
}

/// One query to run.
#[derive(Debug)]
pub struct Run<'a> {
    pub kind: RunKind,
    /// The sources that it may name; the first one's tables need no prefix.
    pub sources: Vec<source::Model>,
    pub sql: &'a str,
    pub parameters: &'a serde_json::Map<String, serde_json::Value>,
    /// Where unqualified names are looked up first, in the first source.
    pub default_schema: Option<&'a str>,
    pub form: Form,
    /// May only lower the limits.
    pub max_rows: Option<u64>,
    pub timeout: Option<Duration>,
    /// A page or a sample that was computed so long ago at most does, if the caller may see the same.
    pub max_age: Option<Duration>,
}

/// In which form the answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Rows in memory.
    Page,
    /// A stream of bytes.
    Download,
    /// Not at all: something is computed of the rows, batch by batch.
    Sample,
}

/// What a run answered.
#[derive(Debug, Clone)]
pub struct RunAnswer {
    pub query_id: QueryId,
    pub columns: Vec<QueryColumn>,
    pub rows: Vec<Vec<serde_json::Value>>,
    pub row_count: u64,
    pub truncated: bool,
    /// Of this run, whoever computed the rows.
    pub elapsed: Duration,
    pub policies: Vec<AppliedPolicy>,
    /// The governed plan, for a dry run.
    pub plan: Option<String>,
    /// What a dry run expects to be read, where that may be told.
    pub estimate: Option<Estimate>,
    /// When the rows were computed, where that was for an earlier query.
    pub computed_at: Option<DateTime<Utc>>,
}

/// How much a query would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = QueryEstimate)]
pub struct Estimate {
    /// Of all its tables, before its conditions.
    #[schema(examples(1_500_000))]
    pub rows: u64,
    /// Of the columns that it needs; a rough guess for texts.
    #[schema(examples(48_000_000))]
    pub bytes: u64,
}

impl Engine {
    /// Queries are planned and run on the threads.
    pub fn new(
        platform: Platform,
        sources: Sources,
        policies: Policies,
        settings: Settings,
        threads: QueryThreads,
    ) -> Self {
        let places = Places::new(settings.capacity);
        let running = Running::new(platform.db.bus());
        let for_samples = settings.answers_bytes / 8;
        let of_page = |known: &Known<RunAnswer>| known.byte_count.saturating_mul(JSON_FACTOR);
        let answers = Answers::new(settings.answers_bytes - for_samples, of_page);
        let samples = Answers::new(for_samples, |known: &Known<Sampled>| known.answer.bytes());
        let hash_keys = hash_key::HashKeys::new(platform.clone());
        let settings = Arc::new(settings);
        Self { platform, sources, policies, settings, places, running, threads, answers, samples, hash_keys }
    }

    /// Runs one governed query to its end. Dropping the future cancels it, down to the sources.
    ///
    /// Boxed: what planning and running hold is large, and whoever waits for it should not hold it on the stack.
    pub fn run<'a>(
        &'a self,
        caller: &'a Caller,
        origin: &'a RequestOrigin,
        run: Run<'a>,
    ) -> BoxFuture<'a, Result<RunAnswer>> {
        Box::pin(async move { self.start(caller, origin, run).await?.rows().await })
    }

    /// Writes the query down and plans it. What fails until then is on record too.
    pub async fn start(&self, caller: &Caller, origin: &RequestOrigin, run: Run<'_>) -> Result<Started> {
        let tenant = caller.require(Permission::DataSourceQuery)?;
        for source in &run.sources {
            caller.require_on(Permission::DataSourceQuery, &source.resource())?;
        }
        let ids: Vec<DataSourceId> = run.sources.iter().map(|source| source.id).collect();
        let new = NewRun {
            tenant,
            user_id: caller.user_id,
            kind: run.kind,
            sql: run.sql,
            data_source_ids: &ids,
            ip: origin.ip,
            stage: None,
        };
        let mut record = Record::begin(&self.platform, new).await?;
        let cancellable = self.running.enter(record.query_id, CancellationToken::new());
        let planning = self.plan(caller, tenant, run, &mut record);
        match cancellable.unless_cancelled(planning).await {
            Ok(plan) => {
                let (answers, samples) = (self.answers.clone(), self.samples.clone());
                Ok(Started { plan, record, cancellable, answers, samples })
            }
            Err(error) => {
                record.end(failed(&error)).await?;
                Err(error)
            }
        }
    }

    pub(crate) async fn plan(
        &self,
        caller: &Caller,
        tenant: Tenant,
        run: Run<'_>,
        record: &mut Record,
    ) -> Result<Plan> {
        for source in &run.sources {
            source.check_usable()?;
        }
        let place = self.places.take(tenant.organization_id(), caller.user_id).await?;
        record.reach(RunStage::Planning).await?;
        let asked = Asked::of(&run);
        let wished = run.max_rows;
        let catalogue = self.catalogue(caller, tenant, run.sources).await?;
        let limits = self.limits(&catalogue, run.form, run.max_rows, run.timeout);
        let session = self.session(&catalogue, run.sql, run.default_schema, limits).await;
        // A refusal is a decision too: what denied it is in the record.
        if session.as_ref().is_err_and(|error| error.code == ErrorCode::PolicyDenied) {
            record.applied = denials(&catalogue);
        }
        let session = session?;
        let planned = session.plan(run.sql, run.parameters).await;
        if matches!(planned, Err(QueryError::Denied { .. })) {
            record.applied = denials(&catalogue);
        }
        let planned = planned.map_err(answerable)?;
        record.applied = applied(&catalogue, &planned);
        self.check_hourly(caller, tenant, &planned).await?;
        let lookups = self.lookups(&catalogue, catalogue.tables.iter().filter(|table| is_read(table, &planned)))?;
        let read: Vec<CatalogueTable> = catalogue.tables.into_iter().filter(|table| is_read(table, &planned)).collect();
        let governance = governance(read.iter());
        let asked = asked.filter(|_| planned.is_repeatable().unwrap_or(false));
        let asked = asked.map(|asked| asked.under(tenant, &catalogue.sources, &governance));
        let may_be_cut = wished.is_some_and(|rows| rows == planned.max_rows());
        Ok(Plan { planned, governance, lookups, read, asked, may_be_cut, place })
    }

    /// A session over the tables that the statement names.
    pub async fn session(
        &self,
        catalogue: &Catalogue,
        sql: &str,
        default_schema: Option<&str>,
        limits: Limits,
    ) -> Result<Session> {
        let relations = statement::accept(sql)?.relations;
        catalogue.check_names(&relations)?;
        let tables = self.open_tables(catalogue, &relations).await?;
        let first = catalogue.sources.first();
        let default_schema = first.map(|source| {
            let of_first = |table: &&CatalogueTable| table.source_id == source.id;
            let schema = default_schema.map(str::to_owned).or_else(|| source.schema_name.clone()).or_else(|| {
                let schemas = || catalogue.tables.iter().filter(of_first).map(|table| &table.name.schema);
                schemas().find(|schema| *schema == "public").or_else(|| schemas().next()).cloned()
            });
            (source.slug.clone(), schema.unwrap_or_else(|| "public".to_owned()))
        });
        Ok(Session::open(SessionSpec {
            tables,
            limits,
            hash_key: self.hash_keys.of(catalogue.tenant).await?,
            default_schema,
            object_stores: Vec::new(),
            target_partitions: None,
            threads: self.threads.clone(),
        })?)
    }

    /// Reads a few rows on the caller's behalf beside their runs, in a place like any of them. It is no run itself, and so
    /// neither recorded nor counted: where a policy counts the caller's queries nothing is read.
    pub async fn glance(
        &self,
        caller: &Caller,
        catalogue: &Catalogue,
        sql: &str,
        limits: Limits,
    ) -> Result<Option<JsonAnswer>> {
        let _place = self.places.take(catalogue.tenant.organization_id(), caller.user_id).await?;
        let session = self.session(catalogue, sql, None, limits).await?;
        let planned = session.plan(sql, &serde_json::Map::new()).await.map_err(answerable)?;
        if planned.policy_limits().max_queries_per_hour.is_some() {
            return Ok(None);
        }
        let told = Told::of(catalogue.tables.iter().filter(|table| is_read(table, &planned)));
        Ok(Some(planned.collect_json_rows().await.map_err(|error| told.answerable(error))?))
    }

    /// The limits of a run on these sources: the operator's, lowered by the source's and the caller's wish.
    pub fn limits(
        &self,
        catalogue: &Catalogue,
        form: Form,
        max_rows: Option<u64>,
        timeout: Option<Duration>,
    ) -> Limits {
        let settings = &self.settings;
        let bounds = match form {
            Form::Page => settings.page,
            Form::Download | Form::Sample => settings.download,
        };
        let of_sources = catalogue
            .sources
            .iter()
            .map(|source| Duration::from_secs(u64::try_from(source.query_timeout).unwrap_or(300)))
            .min();
        let timeouts = [Some(settings.timeout), of_sources, timeout];
        Limits {
            max_rows: max_rows.unwrap_or(u64::MAX).min(bounds.rows),
            max_bytes: bounds.bytes,
            timeout: timeouts.into_iter().flatten().min().unwrap_or(settings.timeout),
            memory_bytes: settings.memory_bytes,
            spill_directory: settings.spill_directory.clone(),
            max_spill_bytes: settings.max_spill_bytes,
        }
    }

    pub(crate) async fn check_hourly(&self, caller: &Caller, tenant: Tenant, planned: &Planned) -> Result<()> {
        let Some(most) = planned.policy_limits().max_queries_per_hour else { return Ok(()) };
        let since = self.platform.clock.now() - chrono::Duration::hours(1);
        let started = evaluation::started_since(&self.platform, tenant, caller.user_id, since).await?;
        // The run that asks is among them.
        if started <= most {
            return Ok(());
        }
        Err(Error::new(ErrorCode::QueryLimitExceeded)
            .with_message(format!("A policy allows {most} queries per hour, and you have used them up."))
            .with_retry_after(Duration::from_secs(600)))
    }
}

/// A query that may run.
pub(crate) struct Plan {
    pub planned: Planned,
    pub governance: Vec<u8>,
    /// Of the row filters of the tables that it reads.
    pub lookups: Lookups,
    /// The tables that it reads.
    pub read: Vec<CatalogueTable>,
    /// Under what its answer may be given again.
    pub asked: Option<Asked>,
    /// The client named the number of rows after which the answer is cut.
    may_be_cut: bool,
    pub place: Place,
}

impl Plan {
    /// What it expects to read: nothing where nobody knows, and nothing of a table of which the caller sees a part only,
    /// since that would tell them how large the rest is.
    fn estimate(&self) -> Option<Estimate> {
        let mut estimate = Estimate { rows: 0, bytes: 0 };
        for read in self.planned.reads().ok()? {
            let table = self.read.iter().find(|table| table.name == read.table)?;
            let rows = table.discovered.row_count.filter(|_| table.decision.row_filters.is_empty())?;
            estimate.rows = estimate.rows.saturating_add(rows);
            estimate.bytes = estimate.bytes.saturating_add(rows.saturating_mul(read.bytes_per_row));
        }
        Some(estimate)
    }
}

/// A query that is on record and planned. One of its methods ends it.
pub struct Started {
    pub(crate) plan: Plan,
    pub(crate) record: Record,
    pub(crate) cancellable: Cancellable,
    answers: Answers<RunAnswer>,
    pub(crate) samples: Answers<Sampled>,
}

impl Started {
    pub fn query_id(&self) -> QueryId {
        self.record.query_id
    }

    /// Rows after which the answer is cut.
    pub fn max_rows(&self) -> u64 {
        self.plan.planned.max_rows()
    }

    /// Runs it and collects the rows; of an `EXPLAIN` the plan.
    pub async fn rows(self) -> Result<RunAnswer> {
        if self.plan.planned.is_explain() {
            return self.plan().await;
        }
        let begun = Instant::now();
        let told = Told::of(self.plan.read.iter());
        let Self { plan: Plan { planned, asked, place: _place, .. }, mut record, cancellable, answers, .. } = self;
        if let Some(known) = asked.as_ref().and_then(|asked| answers.find(asked, record.platform.clock.now())) {
            record.bytes = known.byte_count;
            let answer = RunAnswer { query_id: record.query_id, elapsed: begun.elapsed(), ..known.answer.clone() };
            record.end(Outcome::succeeded(answer.row_count)).await?;
            return Ok(answer);
        }
        let (columns, policies) = (planned.columns().to_vec(), planned.applied_policies().to_vec());
        let computed_at = record.platform.clock.now();
        let collecting = async { planned.collect_json_rows().await.map_err(|error| told.answerable(error)) };
        match cancellable.unless_cancelled(collecting).await {
            Ok(JsonAnswer { rows, outcome }) => {
                let query_id = record.query_id;
                record.bytes = outcome.byte_count;
                record.end(Outcome::succeeded(outcome.row_count)).await?;
                let answer = RunAnswer {
                    query_id,
                    columns,
                    rows,
                    row_count: outcome.row_count,
                    truncated: outcome.truncated,
                    elapsed: outcome.elapsed,
                    policies,
                    plan: None,
                    estimate: None,
                    computed_at: None,
                };
                if let Some(asked) = asked {
                    let known = RunAnswer { computed_at: Some(computed_at), ..answer.clone() };
                    answers.keep(asked, known, outcome.byte_count, computed_at);
                }
                Ok(answer)
            }
            Err(error) => {
                record.end(failed(&error)).await?;
                Err(error)
            }
        }
    }

    /// The governed plan; nothing runs.
    pub async fn plan(self) -> Result<RunAnswer> {
        let Self { plan, record, .. } = self;
        let threads = plan.planned.threads().clone();
        let optimizing = async move {
            let (text, estimate) = (plan.planned.governed_plan_text(), plan.estimate());
            (plan, text, estimate)
        };
        let (plan, text, estimate) = threads.run(optimizing).await?;
        let answer = RunAnswer {
            query_id: record.query_id,
            columns: plan.planned.columns().to_vec(),
            rows: Vec::new(),
            row_count: 0,
            truncated: false,
            elapsed: Duration::ZERO,
            policies: plan.planned.applied_policies().to_vec(),
            plan: Some(text?),
            estimate,
            computed_at: None,
        };
        record.end(Outcome::succeeded(0)).await?;
        Ok(answer)
    }

    /// Runs it; the answer comes as bytes of the encoding. An error after the first bytes ends the stream with itself, so
    /// that what has arrived is seen to be incomplete. More rows than a limit lets through are one, unless the client named
    /// that number itself: none of the encodings could say that it is a part.
    pub async fn encoded(self, encoding: Encoding) -> Result<impl Stream<Item = Result<Bytes>> + Send + 'static> {
        let told = Told::of(self.plan.read.iter());
        let Self { plan: Plan { planned, may_be_cut, place, .. }, record, cancellable, .. } = self;
        let (max_rows, threads) = (planned.max_rows(), planned.threads().clone());
        let _place = place.lent(planned.timeout());
        let opening = async {
            let answer = planned.run().await.map_err(|error| told.answerable(error))?;
            let encoder = Encoder::new(encoding, &answer.schema())?;
            Ok((answer, encoder))
        };
        let (answer, encoder) = match cancellable.unless_cancelled(opening).await {
            Ok(opened) => opened,
            Err(error) => {
                record.end(failed(&error)).await?;
                return Err(error);
            }
        };
        let writing = Writing { answer, threads, record, cancellable, told, may_be_cut, max_rows, _place };
        let mut bytes = Box::pin(stream::unfold(Some((writing, encoder)), |state| async {
            let (writing, encoder) = state?;
            Some(writing.step(encoder).await)
        }));
        // What fails before the first bytes is still an answer with a status of its own.
        let first = match bytes.next().await {
            Some(Err(error)) => return Err(error),
            first => first,
        };
        Ok(stream::iter(first).chain(bytes))
    }
}

/// An answer on its way out.
struct Writing {
    answer: Answer,
    threads: QueryThreads,
    record: Record,
    cancellable: Cancellable,
    told: Told,
    may_be_cut: bool,
    max_rows: u64,
    _place: LentPlace,
}

impl Writing {
    /// The next bytes, and what is left to do after them.
    async fn step(mut self, encoder: Encoder) -> (Result<Bytes>, Option<(Self, Encoder)>) {
        match self.some_bytes(encoder).await {
            Ok((bytes, Some(encoder))) => (Ok(bytes), Some((self, encoder))),
            Ok((last, None)) => {
                let ended = self.record.end(Outcome::succeeded(self.answer.outcome().row_count)).await;
                (ended.map(|()| last), None)
            }
            Err(error) => {
                if let Err(unrecorded) = self.record.end(failed(&error)).await {
                    tracing::error!(error = %unrecorded, "the end of a query could not be recorded");
                }
                (Err(error), None)
            }
        }
    }

    /// After the last bytes there is no encoder any more.
    async fn some_bytes(&mut self, mut encoder: Encoder) -> Result<(Bytes, Option<Encoder>)> {
        loop {
            let (answer, told) = (&mut self.answer, &self.told);
            let next = async { answer.next().await.transpose().map_err(|error| told.answerable(error)) };
            let batch = self.cancellable.unless_cancelled(next).await?;
            let so_far = self.answer.outcome();
            (self.record.rows, self.record.bytes) = (so_far.row_count, so_far.byte_count);
            if so_far.truncated && !self.may_be_cut {
                return Err(Error::new(ErrorCode::QueryLimitExceeded).with_message(format!(
                    "The answer has more rows than the {} that can be sent at once. Set max_rows to this number, or \
                     limit the rows in the query.",
                    self.max_rows
                )));
            }
            let threads = &self.threads;
            let Some(batch) = batch else {
                let last = async { Ok(encoder.end(threads).await?) };
                return Ok((self.cancellable.unless_cancelled(last).await?, None));
            };
            let appending = async { Ok(encoder.append(batch, threads).await?) };
            let bytes;
            (encoder, bytes) = self.cancellable.unless_cancelled(appending).await?;
            if !bytes.is_empty() {
                return Ok((bytes, Some(encoder)));
            }
        }
    }
}

fn applied(catalogue: &Catalogue, planned: &Planned) -> Vec<Applied> {
    catalogue.tables.iter().filter(|table| is_read(table, planned)).flat_map(of_table).collect()
}

pub(crate) fn is_read(table: &CatalogueTable, planned: &Planned) -> bool {
    planned.tables().iter().any(|(name, _)| *name == table.name)
}

/// With the words that the caller is answered.
pub(crate) fn failed(error: &Error) -> Outcome {
    Outcome::failed(error.code).saying(error.message.to_string())
}

fn denials(catalogue: &Catalogue) -> Vec<Applied> {
    catalogue.tables.iter().filter(|table| !table.decision.is_allowed()).flat_map(of_table).collect()
}

fn of_table(table: &CatalogueTable) -> impl Iterator<Item = Applied> + '_ {
    table.decision.applied.iter().map(|policy| Applied { data_source_id: table.source_id, policy: policy.clone() })
}

/// The record of a run that has begun. Dropped before its end, it says that the client went away.
pub(crate) struct Record {
    pub(crate) platform: Platform,
    pub(crate) query_id: QueryId,
    applied: Vec<Applied>,
    /// Whether somebody follows how far it is.
    followed: bool,
    /// That have left so far.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    ended: bool,
}

impl Record {
    /// Writes down that a query begins.
    pub(crate) async fn begin(platform: &Platform, new: NewRun<'_>) -> Result<Self> {
        let followed = new.stage.is_some();
        let query_id = evaluation::start(platform, new).await?;
        Ok(Self {
            platform: platform.clone(),
            query_id,
            applied: Vec::new(),
            followed,
            rows: 0,
            bytes: 0,
            ended: false,
        })
    }

    /// Says how far it is, to whoever follows it.
    pub(crate) async fn reach(&self, stage: RunStage) -> Result<()> {
        match self.followed {
            true => evaluation::progress(&self.platform, self.query_id, stage, self.rows, self.bytes).await,
            false => Ok(()),
        }
    }

    pub(crate) async fn end(mut self, outcome: Outcome) -> Result<()> {
        self.ended = true;
        let applied = std::mem::take(&mut self.applied);
        evaluation::finish(&self.platform, self.query_id, outcome.of_bytes(self.bytes), &applied).await
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (platform, query_id, rows) = (self.platform.clone(), self.query_id, self.rows);
        let applied = std::mem::take(&mut self.applied);
        tokio::spawn(async move {
            if let Err(error) = evaluation::finish(&platform, query_id, Outcome::cancelled(rows), &applied).await {
                tracing::error!(%error, %query_id, "the end of a cancelled query could not be recorded");
            }
        });
    }
}
