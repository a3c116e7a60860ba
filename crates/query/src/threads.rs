//! The threads on which queries are planned and run.
//!
//! A query computes for as long as it takes, and a thread that computes hears of nothing else. So queries have a runtime
//! of their own, beside the one on which requests are answered; between the threads of both the operating system is
//! fair. (DataFusion's advice: its chapter “Thread Scheduling, CPU / IO Thread Pools, and Tokio Runtimes”.)
//!
//! ```text
//! of requests    Session::plan        Planned::run            Answer: deadline, limits, cancellation
//!                    │  ▲                 │  ▲                    ▲
//! of queries         └──┘ a plan          └──┘ its stream ──▶ …   ┴ batches, two ahead at most
//! ```
//!
//! What is spawned while a plan runs is spawned on the runtime that polls it, so all of a query's work is here, reading
//! its sources included. Only the clock stays with the reader: it is heard although all threads here compute.
//!
//! A connection belongs to the runtime on which it was made: there its socket is registered and its driver is polled. Any
//! runtime may use it while that one lives, at that one's pace. So it is with the connections of sources: a query makes
//! them, or a request that tests or discovers the source, and either takes what the other left. That is right for them,
//! since the runtime of queries ends after the last request and the last job. It is not for what every request needs: the
//! server's database and its store of files are asked on the runtime of requests, also by queries (`Database::at_home` in
//! `platform`, `backend` in `storage`).

use std::{io, num::NonZeroUsize};

use datafusion::error::DataFusionError;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinError,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::error::QueryError;

/// The runtime of queries. Whoever assembles the process holds it; dropping it ends it with all that runs on it.
#[derive(Debug)]
pub struct QueryRuntime(Option<Runtime>);

impl QueryRuntime {
    /// So many threads, with stacks as deep as plans are nested.
    pub fn start(threads: NonZeroUsize, stack_bytes: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.get())
            .thread_name("query")
            .thread_stack_size(stack_bytes)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    pub fn threads(&self) -> QueryThreads {
        QueryThreads(self.0.as_ref().map(|runtime| runtime.handle().clone()))
    }
}

impl Drop for QueryRuntime {
    fn drop(&mut self) {
        // A runtime that is merely dropped waits for its threads, which is a panic where other tasks would wait with it.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The way to the threads of queries; cheap to clone. The default are the threads of whoever asks, for programs that do
/// nothing else.
#[derive(Debug, Clone, Default)]
pub struct QueryThreads(Option<Handle>);

impl QueryThreads {
    /// What the future answers, which is polled on these threads. Dropping this drops the future there; a panic of the
    /// future is an error.
    pub async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.spawn(future).await.map_err(ended)
    }

    /// How many there are, where that is known.
    pub fn count(&self) -> Option<usize> {
        self.0.as_ref().map(|handle| handle.metrics().num_workers())
    }

    /// In the span of the caller, so that its log lines name the request.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        let future = future.in_current_span();
        AbortOnDropHandle::new(match &self.0 {
            Some(handle) => handle.spawn(future),
            None => tokio::spawn(future),
        })
    }
}

/// Why a task has no answer: it panicked, or its runtime ends.
pub(crate) fn ended(failure: JoinError) -> QueryError {
    if failure.is_cancelled() {
        return QueryError::Cancelled;
    }
    QueryError::Internal(DataFusionError::ExecutionJoin(Box::new(failure)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use futures::future;

    use super::*;

    fn one_thread() -> QueryRuntime {
        QueryRuntime::start(NonZeroUsize::MIN, 2 << 20).unwrap()
    }

    /// A future that never ends, and the names of the threads that poll it first and drop it.
    fn endless() -> (impl Future<Output = ()> + Send + 'static, Receiver<Option<String>>) {
        struct Tells(Sender<Option<String>>);
        impl Tells {
            fn thread(&self) {
                // A test that failed listens no more.
                _ = self.0.send(std::thread::current().name().map(str::to_owned));
            }
        }
        impl Drop for Tells {
            fn drop(&mut self) {
                self.thread();
            }
        }
        let (sender, told) = channel();
        let tells = Tells(sender);
        let future = async move {
            tells.thread();
            future::pending::<()>().await;
        };
        (future, told)
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_dropped_where_it_ran() {
        let runtime = one_thread();
        let (future, told) = endless();
        let task = runtime.threads().spawn(future);
        let query = Some("query".to_owned());
        assert_eq!(told.recv().unwrap(), query, "polled");
        assert!(!task.is_finished());
        drop(task);
        assert_eq!(told.recv().unwrap(), query, "dropped");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_threads_go_on() {
        let runtime = one_thread();
        let threads = runtime.threads();
        async fn panics() {
            panic!("of the test");
        }
        assert!(matches!(threads.run(panics()).await, Err(QueryError::Internal(_))));
        assert_eq!(threads.run(async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn the_end_of_the_runtime_is_the_end_of_what_runs_on_it() {
        let runtime = one_thread();
        let threads = runtime.threads();
        let (future, told) = endless();
        let task = threads.spawn(future);
        told.recv().unwrap();
        // Within a runtime: nothing of it may wait.
        drop(runtime);
        assert!(matches!(task.await.map_err(ended), Err(QueryError::Cancelled)));
        told.recv().unwrap();
        assert!(matches!(threads.run(async { 7 }).await, Err(QueryError::Cancelled)));
    }
}
