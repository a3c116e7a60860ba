//! The worker of a node: claims, runs, keeps leases alive, stops in order.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use rivergen_kernel::Result;
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Inner, JobContext, JobError,
    ends::{self, Ends},
    store::{self, Claimed, End},
};

/// The first wait after something was enqueued; it doubles up to the poll interval.
const SOONEST: Duration = Duration::from_millis(2);

/// The running worker. Dropping it leaves the worker running.
pub struct JobsHandle {
    stop: CancellationToken,
    abandon: CancellationToken,
    looking: JoinHandle<()>,
    running: TaskTracker,
    /// Ends when nobody is left whose end is to be written down.
    writing: JoinHandle<()>,
}

impl JobsHandle {
    /// Takes no more jobs, tells the running ones, and waits for them, but not longer than `patience`. What
    /// is not finished by then is stopped and given back, to be run again. Answers whether all finished.
    pub async fn shutdown(self, patience: Duration) -> bool {
        self.stop.cancel();
        if let Err(error) = self.looking.await {
            tracing::error!(%error, "the job worker had failed");
        }
        self.running.close();
        let all_finished = timeout(patience, self.running.wait()).await.is_ok();
        if !all_finished {
            self.abandon.cancel();
            self.running.wait().await;
        }
        if let Err(error) = self.writing.await {
            tracing::error!(%error, "the ends of jobs were not all written down");
        }
        all_finished
    }
}

pub(super) fn start(inner: Arc<Inner>, concurrency: usize) -> JobsHandle {
    let stop = CancellationToken::new();
    let abandon = CancellationToken::new();
    let running = TaskTracker::new();
    let (ends, writing) = ends::start(inner.clone());
    let looking = tokio::spawn(look(inner, concurrency.max(1), stop.clone(), abandon.clone(), running.clone(), ends));
    JobsHandle { stop, abandon, looking, running, writing }
}

/// Claims as many jobs as there are free places, until told to stop.
async fn look(
    inner: Arc<Inner>,
    concurrency: usize,
    stop: CancellationToken,
    abandon: CancellationToken,
    running: TaskTracker,
    ends: Ends,
) {
    let places = Arc::new(Semaphore::new(concurrency));
    let long_places = Arc::new(Semaphore::new((concurrency / 2).max(1)));
    let mut wait = SOONEST;
    while !stop.is_cancelled() {
        match turn(&inner, || (places.available_permits(), long_places.available_permits())).await {
            Ok(claimed) if !claimed.is_empty() => {
                wait = SOONEST;
                for job in claimed {
                    // Claimed for a place that was free, and this loop alone takes places.
                    let Ok(place) = places.clone().try_acquire_owned() else { break };
                    let takes_long = inner.handler(&job.kind).is_some_and(|handler| handler.takes_long());
                    let long_place = takes_long.then(|| long_places.clone().try_acquire_owned().ok()).flatten();
                    let (inner, stop, abandon, ends) = (inner.clone(), stop.clone(), abandon.clone(), ends.clone());
                    running.spawn(async move {
                        run(&inner, job, stop, abandon, Some(&ends)).await;
                        drop((place, long_place));
                    });
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "jobs cannot be claimed");
                wait = inner.times.poll;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            // Full: nothing can be taken until a place is free.
            _ = places.acquire(), if places.available_permits() == 0 => wait = SOONEST,
            _ = long_places.acquire(), if long_places.available_permits() == 0 => wait = SOONEST,
            () = inner.enqueued.notified() => wait = SOONEST,
            () = sleep(wait), if places.available_permits() > 0 => wait = (wait * 2).min(inner.times.poll),
        }
    }
}

/// Claims what takes long, for the places that it may have; where there is none of it, the rest. `free` answers how many
/// places there are, and how many for what takes long.
async fn turn(inner: &Inner, free: impl Fn() -> (usize, usize)) -> Result<Vec<Claimed>> {
    store::enqueue_periodic(inner).await?;
    // As late as this: runs that ended together give their places back together, and what follows them is claimed at once.
    let (places, long_places) = free();
    let claimed = store::claim(inner, &inner.kinds(true), places.min(long_places) as u64).await?;
    if !claimed.is_empty() {
        return Ok(claimed);
    }
    store::claim(inner, &inner.kinds(false), places as u64).await
}

pub(super) async fn run_due(inner: &Inner) -> Result<usize> {
    let mut runs = 0;
    loop {
        let claimed = turn(inner, || (1, 1)).await?;
        if claimed.is_empty() {
            if !store::is_due(inner, &inner.kinds(true)).await? && !store::is_due(inner, &inner.kinds(false)).await? {
                return Ok(runs);
            }
            // Another node is about to claim it.
            sleep(SOONEST).await;
        }
        for job in claimed {
            runs += usize::from(job.lost.is_none());
            run(inner, job, CancellationToken::new(), CancellationToken::new(), None).await;
        }
    }
}

/// Runs one job to whatever end, and writes the end down, with others where there are `ends`; one that has no attempt left
/// is given up.
async fn run(inner: &Inner, job: Claimed, stop: CancellationToken, abandon: CancellationToken, ends: Option<&Ends>) {
    let outcome = tokio::select! {
        outcome = handle(inner, &job, stop) => outcome,
        () = keep_lease(inner, &job) => {
            tracing::warn!(job = %job.id, kind = job.kind, "a job's lease was lost; another worker has it");
            return;
        }
        () = abandon.cancelled() => {
            if let Err(error) = store::release(inner, &job).await {
                tracing::warn!(%error, job = %job.id, "a job could not be given back; its lease will end");
            }
            return;
        }
    };
    let (id, kind, attempt) = (job.id, job.kind.clone(), job.attempt);
    let end = End { job, outcome };
    let label = match &end.outcome {
        Ok(()) => "done",
        Err(_) if end.died_of().is_some() => "dead",
        Err(_) => "retried",
    };
    metrics::counter!("rivergen_jobs_total", "kind" => kind.clone(), "outcome" => label).increment(1);
    match &end.outcome {
        Ok(()) => tracing::debug!(job = %id, kind, "a job is done"),
        Err(error) if label == "dead" => tracing::error!(job = %id, kind, attempt, %error, "a job is dead"),
        Err(error) => tracing::warn!(job = %id, kind, attempt, %error, "a job failed; it is tried again"),
    }
    let written = if let Some(error) = end.died_of() {
        store::give_up(inner, &end.job, error).await
    } else if let Some(ends) = ends {
        ends.write(end).await
    } else {
        store::finish(inner, &[end]).await
    };
    if let Err(error) = written {
        // The lease ends and the job runs again: at least once is what was promised.
        tracing::error!(%error, job = %id, kind, "the end of a job could not be written down");
    }
}

async fn handle(inner: &Inner, job: &Claimed, shutdown: CancellationToken) -> Result<(), JobError> {
    if let Some(error) = &job.lost {
        return Err(JobError::Fatal(error.clone()));
    }
    let handler = inner.handler(&job.kind).ok_or_else(|| JobError::retry("there is no handler for it"))?;
    let payload = serde_json::from_str(&job.payload).map_err(JobError::fatal)?;
    let context = JobContext { job_id: job.id, organization_id: job.organization_id, attempt: job.attempt, shutdown };
    let limit = handler.timeout();
    let run = AssertUnwindSafe(handler.run(payload, context)).catch_unwind();
    match timeout(limit, run).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(JobError::retry("the handler panicked")),
        Err(_) => Err(JobError::Retry(format!("it took longer than {} s", limit.as_secs_f32()))),
    }
}

/// Extends the lease for as long as it is polled; ends only when the lease is lost.
async fn keep_lease(inner: &Inner, job: &Claimed) {
    loop {
        sleep(inner.times.lease / 3).await;
        match store::extend(inner, job).await {
            Ok(true) => {}
            Ok(false) => return,
            // The database is away; the lease may still hold when it is back.
            Err(error) => tracing::warn!(%error, job = %job.id, "a job's lease could not be extended"),
        }
    }
}
