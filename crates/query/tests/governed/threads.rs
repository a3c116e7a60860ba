//! Queries on threads of their own.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use datafusion::{
    arrow::{
        array::{ArrayRef, Int64Array, RecordBatch},
        datatypes::SchemaRef,
    },
    catalog::{TableProvider, streaming::StreamingTable},
    error::DataFusionError,
    execution::TaskContext,
    physical_plan::{SendableRecordBatchStream, stream::RecordBatchStreamAdapter, streaming::PartitionStream},
};
use futures::{Stream, StreamExt, stream};
use rivergen_policies::mask::HashKey;
use rivergen_query::{Limits, QueryError, QueryRuntime, Session, SessionSpec};
use serde_json::json;

use crate::support::*;

type Next = Result<RecordBatch, DataFusionError>;

/// Rows that come from whatever stream the test makes.
struct Made<F> {
    schema: SchemaRef,
    stream: F,
}

impl<F> fmt::Debug for Made<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows of the test")
    }
}

impl<F, S> PartitionStream for Made<F>
where
    F: Fn() -> S + Send + Sync,
    S: Stream<Item = Next> + Send + 'static,
{
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), (self.stream)()))
    }
}

fn table<S>(stream: impl Fn() -> S + Send + Sync + 'static) -> Arc<dyn TableProvider>
where
    S: Stream<Item = Next> + Send + 'static,
{
    let schema = batch().schema();
    let rows: Arc<dyn PartitionStream> = Arc::new(Made { schema: schema.clone(), stream });
    Arc::new(StreamingTable::try_new(schema, vec![rows]).unwrap())
}

fn batch() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..8_192));
    RecordBatch::try_from_iter_with_nullable([("n", numbers, true)]).unwrap()
}

fn one_thread() -> QueryRuntime {
    QueryRuntime::start(NonZeroUsize::MIN, 8 << 20).unwrap()
}

/// A session with the table `numbers` on the threads of the runtime.
fn session_of(runtime: &QueryRuntime, numbers: Arc<dyn TableProvider>, limits: Limits) -> Session {
    Session::open(SessionSpec {
        tables: vec![governed("src", "numbers", numbers, &[])],
        limits,
        hash_key: HashKey::new(b"a key of the organization"),
        default_schema: None,
        object_stores: Vec::new(),
        target_partitions: None,
        threads: runtime.threads(),
    })
    .unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begun,
    Read,
    Dropped,
}

/// A step, and the thread that took it.
type Taken = (Step, Option<String>);

/// Tells which thread does what.
struct Teller(Sender<Taken>);

impl Teller {
    fn tell(&self, step: Step) {
        // A test that failed listens no more.
        _ = self.0.send((step, std::thread::current().name().map(str::to_owned)));
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.tell(Step::Dropped);
    }
}

/// A table without end, which tells what is done to its rows.
fn endless() -> (Arc<dyn TableProvider>, Receiver<Taken>) {
    let (sender, told) = channel();
    let rows = move || {
        let teller = Teller(sender.clone());
        teller.tell(Step::Begun);
        stream::repeat_with(move || {
            teller.tell(Step::Read);
            Ok::<_, DataFusionError>(batch())
        })
    };
    (table(rows), told)
}

#[tokio::test]
async fn a_query_is_read_and_dropped_on_their_threads_and_waits_for_its_reader() {
    let runtime = one_thread();
    let (numbers, told) = endless();
    let boundless = Limits { max_rows: 1 << 40, max_bytes: 1 << 40, ..limits() };
    let session = session_of(&runtime, numbers, boundless);
    let planned = session.plan("SELECT n FROM numbers", &Default::default()).await.unwrap();
    let mut answer = planned.run().await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap().num_rows(), 8_192);

    let query = Some("query".to_owned());
    assert_eq!(told.recv().unwrap(), (Step::Begun, query.clone()));
    let mut batches = 0;
    // Until it waits.
    while let Ok(step) = told.recv_timeout(Duration::from_millis(500)) {
        assert_eq!(step, (Step::Read, query.clone()));
        batches += 1;
        assert!(batches < 100, "nobody takes them, and it goes on");
    }

    drop(answer);
    assert_eq!(told.recv().unwrap(), (Step::Dropped, query));
}

#[tokio::test]
async fn a_query_that_holds_its_thread_is_still_ended_in_time() {
    let runtime = one_thread();
    let (held, holding) = channel::<()>();
    let (begun, begins) = channel();
    let holding = Arc::new(Mutex::new(holding));
    let numbers = table(move || {
        let (holding, begun) = (holding.clone(), begun.clone());
        stream::repeat_with(move || {
            _ = begun.send(());
            // As a computation would that looks at nothing else.
            _ = holding.lock().unwrap().recv();
            Ok::<_, DataFusionError>(batch())
        })
    });
    let brief = Limits { timeout: Duration::from_secs(1), ..limits() };
    let session = session_of(&runtime, numbers, brief);
    let error = ask(&session, "SELECT sum(n) FROM numbers").await.unwrap_err();
    assert!(matches!(error, QueryError::Timeout(_)), "{error:?}");
    assert!(begins.try_recv().is_ok(), "it never ran");
    drop(held);
}

#[tokio::test]
async fn a_panic_is_the_failure_of_its_query_alone() {
    let runtime = one_thread();
    let read = table(|| stream::repeat_with(|| -> Next { panic!("a batch of the test") }));
    let begun = table(|| -> stream::Empty<Next> { panic!("a stream of the test") });
    for numbers in [read, begun] {
        let error = ask(&session_of(&runtime, numbers, limits()), "SELECT n FROM numbers").await.unwrap_err();
        assert!(matches!(error, QueryError::Internal(_)), "{error:?}");
    }
    let numbers = session_of(&runtime, table(|| stream::iter([Ok(batch())])), limits());
    assert_eq!(rows(&numbers, "SELECT count(*) FROM numbers").await, json!([[8_192]]));
}
