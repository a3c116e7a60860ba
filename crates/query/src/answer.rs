//! A planned query, and its answer as it streams.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    common::tree_node::TreeNodeRecursion,
    error::DataFusionError,
    execution::{SessionState, SessionStateBuilder},
    logical_expr::LogicalPlan,
    physical_plan::{SendableRecordBatchStream, stream::RecordBatchStreamAdapter},
};
use futures::{FutureExt, Stream, StreamExt, future};
use rivergen_kernel::DataSourceId;
use rivergen_policies::{
    decision::AppliedPolicy,
    rule::{QueryLimits, TableName},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    error::QueryError,
    federate, functions,
    interrupt::{Interrupt, InterruptibleJoins},
    json, partitions,
    session::{self, Limits},
    threads::{self, QueryThreads},
    view::GovernedView,
};

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QueryColumn {
    pub name: String,
    /// `text`, `integer`, `bigint`, `double`, `decimal(10,2)`, `date`, `timestamp`, …
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether a masked column is in what it is computed from.
    pub masked: bool,
}

impl QueryColumn {
    pub(crate) fn new(field: &Field, masked: bool) -> Self {
        Self { name: field.name().clone(), data_type: type_name(field.data_type()), masked }
    }
}

/// The name of a type as columns of answers and of the catalogue give it.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "null".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "decimal(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => {
            format!("decimal({p},{s})")
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Duration(_) | DataType::Interval(_) => "interval".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".into()
        }
        DataType::Dictionary(_, inner) => type_name(inner),
        DataType::Struct(_) => "struct".into(),
        DataType::Map(..) => "map".into(),
        DataType::Union(..) => "union".into(),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("{}[]", type_name(item.data_type())),
    }
}

/// A statement that was accepted and planned, with all that may be told of it before it runs.
pub struct Planned {
    pub(crate) columns: Vec<QueryColumn>,
    pub(crate) applied: Vec<AppliedPolicy>,
    pub(crate) tables: Vec<(TableName, DataSourceId)>,
    pub(crate) explain: bool,
    pub(crate) policy_limits: QueryLimits,
    pub(crate) limits: Limits,
    pub(crate) views: Vec<Arc<GovernedView>>,
    /// The plan with its views closed: what is shown.
    pub(crate) closed: LogicalPlan,
    /// The plan that runs.
    pub(crate) plan: LogicalPlan,
    pub(crate) state: SessionState,
    pub(crate) threads: QueryThreads,
}

/// A table that a plan reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub table: TableName,
    /// Of the columns that are read; a guess where their values differ in length.
    pub bytes_per_row: u64,
}

/// The bytes of a value of the type, or of a usual one.
fn width(data_type: &DataType) -> u64 {
    const TEXT: u64 = 32;
    const NESTED: u64 = 128;
    match data_type {
        data_type if data_type.is_nested() => NESTED,
        data_type => data_type.primitive_width().map_or(TEXT, |bytes| bytes as u64),
    }
}

/// What is known when an answer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub row_count: u64,
    /// Of its values, in memory.
    pub byte_count: u64,
    /// There were more rows than the limit lets through.
    pub truncated: bool,
    pub elapsed: Duration,
}

/// An answer as rows of JSON, for a response of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonAnswer {
    pub rows: Vec<Vec<serde_json::Value>>,
    pub outcome: Outcome,
}

impl Planned {
    /// The columns of the answer. An `EXPLAIN` answers one text column, see [`Planned::is_explain`].
    pub fn columns(&self) -> &[QueryColumn] {
        &self.columns
    }

    /// The policies of the tables that the plan reads.
    pub fn applied_policies(&self) -> &[AppliedPolicy] {
        &self.applied
    }

    /// The tables that the plan reads, with their sources.
    pub fn tables(&self) -> &[(TableName, DataSourceId)] {
        &self.tables
    }

    /// The sources that the plan reads.
    pub fn sources(&self) -> BTreeSet<DataSourceId> {
        session::sources(&self.tables)
    }

    /// What policies bound; rows and time are held here, queries per hour are for the caller to count.
    pub fn policy_limits(&self) -> QueryLimits {
        self.policy_limits
    }

    /// Rows after which the answer is cut.
    pub fn max_rows(&self) -> u64 {
        self.limits.max_rows
    }

    /// After which it is ended.
    pub fn timeout(&self) -> Duration {
        self.limits.timeout
    }

    /// Whether the same query has the same answer, as long as what it reads is the same: it asks neither for the time nor for
    /// chance, and no row filter looks something up in a table.
    pub fn is_repeatable(&self) -> Result<bool, QueryError> {
        let looks_up = |view: &Arc<GovernedView>| {
            view.decision().row_filters.iter().any(|filter| !filter.written.tables().is_empty())
        };
        Ok(!self.views.iter().any(looks_up)
            && functions::are_immutable(&self.closed).map_err(QueryError::from_planning)?)
    }

    /// What the plan reads, once for each time that it reads a table.
    pub fn reads(&self) -> Result<Vec<Read>, QueryError> {
        let optimized = self.state.optimizer().optimize(self.closed.clone(), &self.state, |_, _| {});
        let mut reads = Vec::new();
        optimized
            .and_then(|plan| {
                plan.apply_with_subqueries(|node| {
                    if let LogicalPlan::TableScan(scan) = node
                        && let Some(view) = GovernedView::of_scan(scan)
                    {
                        let widths = scan.projected_schema.fields().iter().map(|field| width(field.data_type()));
                        reads.push(Read { table: view.name().clone(), bytes_per_row: widths.sum() });
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
                .map(drop)
            })
            .map_err(QueryError::from_planning)?;
        Ok(reads)
    }

    /// Whether the statement asks for the plan only.
    pub fn is_explain(&self) -> bool {
        self.explain
    }

    /// The governed plan in words that the caller may read: their own query over the views, and for each view
    /// which policies stand in it, by name. The values that a row filter compares with are not shown.
    pub fn governed_plan_text(&self) -> Result<String, QueryError> {
        let plan = self
            .state
            .optimizer()
            .optimize(self.closed.clone(), &self.state, |_, _| {})
            .map_err(QueryError::from_execution)?;
        let mut text = plan.display_indent().to_string();
        let mut names = BTreeSet::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some(view) = GovernedView::of_scan(scan)
            {
                names.insert((scan.table_name.to_string(), view.name().clone()));
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(QueryError::from_planning)?;
        for view in &self.views {
            text.push_str(&format!("\n\n{}", view.name()));
            for (called, _) in names.iter().filter(|(called, name)| name == view.name() && *called != name.to_string())
            {
                text.push_str(&format!(" (as {called})"));
            }
            text.push(':');
            let decision = view.decision();
            for filter in &decision.row_filters {
                text.push_str(&format!("\n  rows: <policy {}: {}>", filter.policy.id, filter.policy.name));
            }
            for (column, held) in &decision.masks {
                let function = serde_json::to_value(held.mask.function()).unwrap_or_default();
                let function = function.as_str().unwrap_or("mask");
                text.push_str(&format!("\n  {column}: {function} <policy {}: {}>", held.policy.id, held.policy.name));
            }
            if decision.row_filters.is_empty() && decision.masks.is_empty() {
                text.push_str("\n  all rows, no masks");
            }
        }
        Ok(text)
    }

    /// The threads that it was planned on, for what else is computed of it.
    pub fn threads(&self) -> &QueryThreads {
        &self.threads
    }

    /// Runs the query; rows come as they are computed. Dropping the answer ends everything that works for it.
    pub async fn run(self) -> Result<Answer, QueryError> {
        let started = Instant::now();
        let (limits, threads) = (self.limits.clone(), self.threads.clone());
        let deadline = Box::pin(tokio::time::sleep(limits.timeout));
        let interrupt = Interrupt::at(started + limits.timeout);
        let opening = threads.run(self.open(Arc::clone(&interrupt)));
        match future::select(std::pin::pin!(opening), deadline).await {
            future::Either::Left((Ok(Ok(inner)), deadline)) => {
                Ok(Answer::new(inner, &limits, &threads, deadline, started, interrupt))
            }
            future::Either::Left((Ok(Err(error)) | Err(error), _)) => Err(error),
            future::Either::Right(_) => Err(QueryError::Timeout(limits.timeout)),
        }
    }

    /// The rows, of which none is computed yet; for an `EXPLAIN` the plan. Operators spawn what works beside them where this
    /// is polled.
    async fn open(self, interrupt: Arc<Interrupt>) -> Result<SendableRecordBatchStream, QueryError> {
        if self.explain {
            let schema = Arc::new(Schema::new(vec![Field::new("plan", DataType::Utf8, false)]));
            let text: ArrayRef = Arc::new(StringArray::from(vec![self.governed_plan_text()?]));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![text])
                .map_err(|error| QueryError::Internal(error.into()))?;
            return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)]))));
        }
        let Planned { state, plan, .. } = self;
        let state = interruptible(state, &interrupt);
        let plan = state.optimizer().optimize(plan, &state, |_, _| {}).map_err(QueryError::from_execution)?;
        let plan = federate::push_to_sources(plan, &state).map_err(QueryError::from_execution)?;
        let plan =
            state.query_planner().create_physical_plan(&plan, &state).await.map_err(QueryError::from_execution)?;
        let at_once = state.config().target_partitions();
        partitions::merged(plan, state.task_ctx(), at_once).map_err(QueryError::from_execution)
    }

    /// Runs the query and collects its rows as JSON values.
    pub async fn collect_json_rows(self) -> Result<JsonAnswer, QueryError> {
        let threads = self.threads.clone();
        let mut answer = self.run().await?;
        let mut rows = Vec::new();
        while let Some(batch) = answer.next().await {
            let batch = batch?;
            let appending = async move { json::append_rows(&batch, &mut rows).map(|()| rows) };
            rows = threads.run(appending).await??;
        }
        Ok(JsonAnswer { rows, outcome: answer.outcome() })
    }
}

/// A running query: a stream of batches, held to the limits.
///
/// The plan runs in a task of its own, on the threads of queries, so that a computation that takes long between two batches
/// keeps neither the deadline nor whoever reads the answer from being heard.
pub struct Answer {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
    task: AbortOnDropHandle<()>,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
    started: Instant,
    max_rows: u64,
    max_bytes: u64,
    rows: u64,
    bytes: u64,
    truncated: bool,
    ended: Option<Duration>,
    interrupt: Arc<Interrupt>,
}

/// The state with the rule that lets the interrupt reach into joins, before the rules that must see the final nodes.
fn interruptible(state: SessionState, interrupt: &Arc<Interrupt>) -> SessionState {
    let mut rules = state.physical_optimizers().to_vec();
    let before = rules.iter().position(|rule| rule.name() == "EnsureCooperative").unwrap_or(rules.len());
    rules.insert(before, Arc::new(InterruptibleJoins(Arc::clone(interrupt))));
    SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build()
}

/// Batches that may wait for the reader.
const BATCHES_AHEAD: usize = 2;

impl Drop for Answer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Answer {
    fn new(
        mut inner: SendableRecordBatchStream,
        limits: &Limits,
        threads: &QueryThreads,
        deadline: Pin<Box<Sleep>>,
        started: Instant,
        interrupt: Arc<Interrupt>,
    ) -> Self {
        let schema = inner.schema();
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let task = threads.spawn(async move {
            while let Some(batch) = inner.next().await {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Self {
            interrupt,
            schema,
            batches,
            task,
            deadline,
            timeout: limits.timeout,
            started,
            max_rows: limits.max_rows,
            max_bytes: limits.max_bytes,
            rows: 0,
            bytes: 0,
            truncated: false,
            ended: None,
        }
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Ends whatever works for the answer.
    fn stop(&self) {
        self.interrupt.raise();
        self.task.abort();
    }

    /// What has been answered so far; all of it once the stream has ended.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            row_count: self.rows,
            byte_count: self.bytes,
            truncated: self.truncated,
            elapsed: self.ended.unwrap_or_else(|| self.started.elapsed()),
        }
    }

    fn end<T>(&mut self, with: Option<T>) -> Poll<Option<T>> {
        self.ended = Some(self.started.elapsed());
        self.stop();
        Poll::Ready(with)
    }

    fn admit(&mut self, batch: RecordBatch) -> Poll<Option<Result<RecordBatch, QueryError>>> {
        let room = self.max_rows - self.rows;
        let batch = if batch.num_rows() as u64 > room {
            self.truncated = true;
            batch.slice(0, usize::try_from(room).unwrap_or(batch.num_rows()))
        } else {
            batch
        };
        self.rows += batch.num_rows() as u64;
        self.bytes = self.bytes.saturating_add(bytes_of(&batch));
        if self.bytes > self.max_bytes {
            let limit_bytes = self.max_bytes;
            return self.end(Some(Err(QueryError::TooLarge { limit_bytes })));
        }
        if self.truncated && batch.num_rows() == 0 {
            return self.end(None);
        }
        Poll::Ready(Some(Ok(batch)))
    }
}

/// The bytes of a batch's own rows.
pub fn bytes_of(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(|column| size_of(column.as_ref()) as u64).sum()
}

/// Of one column. Arrow's measure leaves out what views point to.
fn size_of(column: &dyn Array) -> usize {
    let pointed_to = match column.data_type() {
        DataType::Utf8View => column.as_string_view().iter().flatten().map(str::len).sum(),
        DataType::BinaryView => column.as_binary_view().iter().flatten().map(<[u8]>::len).sum(),
        _ => 0,
    };
    column.to_data().get_slice_memory_size().unwrap_or_default().saturating_add(pointed_to)
}

impl Stream for Answer {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended.is_some() {
            return Poll::Ready(None);
        }
        if self.truncated {
            return self.end(None);
        }
        if self.deadline.as_mut().poll_unpin(context).is_ready() {
            let timeout = self.timeout;
            return self.end(Some(Err(QueryError::Timeout(timeout))));
        }
        match ready!(self.batches.poll_recv(context)) {
            Some(Ok(batch)) => self.admit(batch),
            Some(Err(error)) => {
                let error = if self.interrupt.deadline_passed() {
                    QueryError::Timeout(self.timeout)
                } else {
                    QueryError::from_execution(error)
                };
                self.end(Some(Err(error)))
            }
            // The task has let go of the channel: at its end, or in a panic.
            None => match ready!(self.task.poll_unpin(context)) {
                Ok(()) => self.end(None),
                Err(failure) => self.end(Some(Err(threads::ended(failure)))),
            },
        }
    }
}
