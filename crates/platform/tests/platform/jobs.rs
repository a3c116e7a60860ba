//! Jobs run, fail, are retried, survive their worker, and end.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{Duration as Span, Utc};
use rivergen_kernel::{Error, JobId, OrganizationId, Result};
use rivergen_platform::{
    Transaction, idempotency,
    jobs::{Handler, JobContext, JobError, JobOptions, JobTimes, Jobs, job},
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::database::TestDatabase;

on_both_databases!(
    a_job_runs_once_after_the_commit,
    a_rolled_back_job_never_was,
    a_failing_job_is_retried_later_each_time_and_then_dead,
    a_fatal_error_ends_a_job_at_once,
    a_panic_is_a_failure,
    a_killed_workers_job_is_run_by_another,
    a_job_that_kills_its_workers_ends_dead,
    a_handler_is_told_once_that_its_job_is_given_up,
    a_job_is_not_dead_before_its_handler_could_be_told,
    an_unfinished_job_is_unique_by_its_key,
    a_job_waits_for_its_time,
    two_workers_do_not_share_a_job,
    periodic_jobs_run_once_each_turn,
    a_turn_that_went_well_leaves_no_row,
    a_worker_finds_new_jobs_soon_and_stops_in_order,
    a_job_that_does_not_stop_is_given_back,
    what_takes_long_leaves_places_to_the_rest,
    a_round_gives_up_what_is_spent_and_runs_the_rest,
    ends_that_come_together_are_written_down_together,
    a_lost_lease_ends_nothing_among_others,
    an_end_that_panics_takes_no_other_with_it,
    a_job_that_cannot_be_given_up_holds_no_other_back,
    what_a_killed_worker_had_not_written_down_runs_again,
    finished_jobs_and_spent_keys_are_purged,
);

const DIED: &str = "its worker died in every attempt";

/// Answers what it was told to, and notes its runs.
#[derive(Default)]
struct Scripted {
    runs: Mutex<Vec<(JobContext, Value)>>,
    answers: Mutex<VecDeque<Result<(), JobError>>>,
    given_up: Mutex<Vec<(Value, String)>>,
    /// How often it writes, and fails then, when it is told.
    failures: Mutex<usize>,
}

#[async_trait]
impl Handler for Scripted {
    async fn run(&self, payload: Value, context: JobContext) -> Result<(), JobError> {
        assert_ne!(payload, json!("panic"), "told to");
        self.runs.lock().unwrap().push((context, payload));
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()))
    }

    async fn given_up(&self, tx: &Transaction, payload: Value, error: &str) -> Result<()> {
        if *self.failures.lock().unwrap() > 0 {
            *self.failures.lock().unwrap() -= 1;
            idempotency::remember(tx, "given up", error, "", 1, Utc::now()).await?;
            return Err(Error::internal("not now"));
        }
        self.given_up.lock().unwrap().push((payload, error.to_owned()));
        Ok(())
    }
}

impl Scripted {
    fn runs(&self) -> usize {
        self.runs.lock().unwrap().len()
    }
}

fn jobs(test: &TestDatabase) -> (Jobs, Arc<Scripted>) {
    let jobs = Jobs::new(test.db.clone(), test.clock.clone());
    let handler = Arc::new(Scripted::default());
    jobs.register("test", handler.clone());
    (jobs, handler)
}

async fn enqueue(test: &TestDatabase, jobs: &Jobs, payload: Value, options: JobOptions) -> JobId {
    let tx = test.db.begin().await.unwrap();
    let id = jobs.enqueue(&tx, "test", &payload, options).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn row(test: &TestDatabase, id: JobId) -> job::Model {
    job::Entity::find_by_id(id).one(test.db.read()).await.unwrap().unwrap()
}

/// The platform's own periodic job runs once at first; the tests count theirs.
async fn settled(jobs: &Jobs) {
    jobs.run_due().await.unwrap();
}

async fn a_job_runs_once_after_the_commit(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    settled(&jobs).await;
    let options = JobOptions { organization_id: Some(OrganizationId(7)), ..Default::default() };
    let id = enqueue(test, &jobs, json!({"n": 1}), options).await;
    assert_eq!(jobs.run_due().await.unwrap(), 1);
    assert_eq!(jobs.run_due().await.unwrap(), 0);

    let runs = handler.runs.lock().unwrap().clone();
    assert_eq!(runs[0].1, json!({"n": 1}));
    assert_eq!((runs[0].0.job_id, runs[0].0.attempt, runs[0].0.organization_id), (id, 1, Some(OrganizationId(7))));
    let row = row(test, id).await;
    assert_eq!(row.state, job::State::Done);
    assert_eq!(row.payload, "null", "what it was about is gone");
    assert!(row.finished_at.is_some() && row.claim.is_none());
}

async fn a_rolled_back_job_never_was(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    let tx = test.db.begin().await.unwrap();
    jobs.enqueue(&tx, "test", &1, JobOptions::default()).await.unwrap();
    drop(tx);
    jobs.run_due().await.unwrap();
    assert_eq!(handler.runs(), 0);
}

async fn a_failing_job_is_retried_later_each_time_and_then_dead(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    handler.answers.lock().unwrap().extend((1..=3).map(|n| Err(JobError::Retry(format!("failure {n}\0")))));
    let id = enqueue(test, &jobs, json!(1), JobOptions { max_attempts: 3, ..Default::default() }).await;
    settled(&jobs).await;

    let mut waits = Vec::new();
    for attempt in 1..3 {
        let before = row(test, id).await;
        assert_eq!((before.attempts, before.state), (attempt, job::State::Queued));
        assert_eq!(before.last_error.as_deref(), Some(format!("failure {attempt}").as_str()));
        assert_eq!(jobs.run_due().await.unwrap(), 0, "not before its time");
        let wait = before.due_at - test.clock.now();
        waits.push(wait);
        test.time.advance(wait);
        assert_eq!(jobs.run_due().await.unwrap(), 1);
    }
    // 5 s and 10 s, each between its half and its whole.
    assert!(waits[0] > Span::seconds(2) && waits[0] <= Span::seconds(5), "{waits:?}");
    assert!(waits[1] > Span::seconds(4) && waits[1] <= Span::seconds(10), "{waits:?}");

    let dead = row(test, id).await;
    assert_eq!((dead.state, dead.attempts, dead.last_error.as_deref()), (job::State::Dead, 3, Some("failure 3")));
    assert_eq!(dead.payload, "1", "kept, to be looked at");
    test.time.advance(Span::days(1));
    jobs.run_due().await.unwrap();
    assert_eq!(handler.runs(), 3);
}

async fn a_fatal_error_ends_a_job_at_once(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    handler.answers.lock().unwrap().push_back(Err(JobError::fatal("no such thing")));
    let id = enqueue(test, &jobs, json!(1), JobOptions::default()).await;
    settled(&jobs).await;
    let row = row(test, id).await;
    assert_eq!((row.state, row.attempts, row.last_error.as_deref()), (job::State::Dead, 1, Some("no such thing")));
}

async fn a_panic_is_a_failure(test: &TestDatabase) {
    let (jobs, _) = jobs(test);
    let id = enqueue(test, &jobs, json!("panic"), JobOptions::default()).await;
    settled(&jobs).await;
    let row = row(test, id).await;
    assert_eq!((row.state, row.last_error.as_deref()), (job::State::Queued, Some("the handler panicked")));
}

/// Never ends by itself.
struct Endless(Arc<Semaphore>);

#[async_trait]
impl Handler for Endless {
    async fn run(&self, _: Value, _: JobContext) -> Result<(), JobError> {
        self.0.add_permits(1);
        std::future::pending().await
    }
}

/// Starts a run and lets its worker die in it, as `kill -9` would: nothing is written down.
async fn die_in_a_run(test: &TestDatabase, kind: &'static str) {
    let jobs = Jobs::new(test.db.clone(), test.clock.clone());
    let started = Arc::new(Semaphore::new(0));
    jobs.register(kind, Arc::new(Endless(started.clone())));
    let worker = tokio::spawn(async move { jobs.run_due().await });
    let _begun = started.acquire().await.unwrap();
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
}

async fn a_killed_workers_job_is_run_by_another(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    settled(&jobs).await;
    let id = enqueue(test, &jobs, json!(1), JobOptions::default()).await;
    die_in_a_run(test, "test").await;

    assert_eq!(row(test, id).await.state, job::State::Running);
    assert_eq!(jobs.run_due().await.unwrap(), 0, "the lease still holds");
    test.time.advance(Span::seconds(61));
    assert_eq!(jobs.run_due().await.unwrap(), 1);
    assert_eq!(handler.runs.lock().unwrap()[0].0.attempt, 2);
    assert_eq!(row(test, id).await.state, job::State::Done);
}

async fn a_job_that_kills_its_workers_ends_dead(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    settled(&jobs).await;
    let id = enqueue(test, &jobs, json!(1), JobOptions { max_attempts: 2, ..Default::default() }).await;
    for _ in 0..2 {
        die_in_a_run(test, "test").await;
        test.time.advance(Span::seconds(61));
    }
    assert_eq!(jobs.run_due().await.unwrap(), 0);
    assert_eq!(handler.runs(), 0);
    let row = row(test, id).await;
    assert_eq!((row.state, row.attempts), (job::State::Dead, 2));
    assert_eq!(row.last_error.as_deref(), Some(DIED));
}

async fn a_handler_is_told_once_that_its_job_is_given_up(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    settled(&jobs).await;
    let told = || handler.given_up.lock().unwrap().clone();
    let failing = |error: JobError| handler.answers.lock().unwrap().push_back(Err(error));
    // Not for a run that is tried again, nor for one that went well.
    failing(JobError::retry("one"));
    enqueue(test, &jobs, json!(1), JobOptions { max_attempts: 2, ..Default::default() }).await;
    jobs.run_due().await.unwrap();
    assert!(told().is_empty());
    failing(JobError::retry("two"));
    test.time.advance(Span::seconds(10));
    jobs.run_due().await.unwrap();
    let expected = [(json!(1), "two".to_owned()), (json!(2), "no such thing".to_owned()), (json!(3), DIED.to_owned())];
    assert_eq!(told(), expected[..1]);
    failing(JobError::fatal("no such thing"));
    enqueue(test, &jobs, json!(2), JobOptions::default()).await;
    jobs.run_due().await.unwrap();
    assert_eq!(told(), expected[..2]);
    enqueue(test, &jobs, json!(3), JobOptions { max_attempts: 1, ..Default::default() }).await;
    die_in_a_run(test, "test").await;
    test.time.advance(Span::seconds(61));
    jobs.run_due().await.unwrap();
    assert_eq!(told(), expected);
    enqueue(test, &jobs, json!(4), JobOptions::default()).await;
    test.time.advance(Span::hours(2));
    jobs.run_due().await.unwrap();
    assert_eq!(told(), expected);
}

async fn a_job_is_not_dead_before_its_handler_could_be_told(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    settled(&jobs).await;
    let written = async || idempotency::Entity::find().all(test.db.read()).await.unwrap().len();
    *handler.failures.lock().unwrap() = 2;
    handler.answers.lock().unwrap().push_back(Err(JobError::retry("no")));
    let id = enqueue(test, &jobs, json!(1), JobOptions { max_attempts: 1, ..Default::default() }).await;
    jobs.run_due().await.unwrap();
    assert_eq!((row(test, id).await.state, written().await), (job::State::Running, 0));
    // When the lease has ended, without another run. The others do not wait.
    for (state, told) in [(job::State::Running, 0), (job::State::Dead, 1)] {
        test.time.advance(Span::seconds(61));
        let other = enqueue(test, &jobs, json!(2), JobOptions::default()).await;
        jobs.run_due().await.unwrap();
        assert_eq!((row(test, id).await.state, handler.given_up.lock().unwrap().len()), (state, told));
        assert_eq!(row(test, other).await.state, job::State::Done);
    }
    // What it wrote where it failed was taken back.
    assert_eq!((handler.runs(), written().await), (3, 0));
}

async fn an_unfinished_job_is_unique_by_its_key(test: &TestDatabase) {
    let (jobs, _) = jobs(test);
    let keyed = |key: &str| JobOptions { unique_key: Some(key.to_owned()), ..Default::default() };
    let first = enqueue(test, &jobs, json!(1), keyed("a")).await;
    assert_eq!(enqueue(test, &jobs, json!(2), keyed("a")).await, first);
    assert_ne!(enqueue(test, &jobs, json!(3), keyed("b")).await, first);
    settled(&jobs).await;
    assert_ne!(enqueue(test, &jobs, json!(4), keyed("a")).await, first, "the first is done, so it may come again");

    let at_once = futures::future::join_all((0..8).map(|_| enqueue(test, &jobs, json!(5), keyed("c")))).await;
    assert!(at_once.iter().all(|id| *id == at_once[0]), "{at_once:?}");
}

async fn a_job_waits_for_its_time(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    let run_at = Some(test.clock.now() + Span::hours(1));
    enqueue(test, &jobs, json!(1), JobOptions { run_at, ..Default::default() }).await;
    settled(&jobs).await;
    assert_eq!(handler.runs(), 0);
    test.time.advance(Span::hours(1));
    jobs.run_due().await.unwrap();
    assert_eq!(handler.runs(), 1);
}

async fn two_workers_do_not_share_a_job(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    let other = Jobs::new(test.another_node().await, test.clock.clone());
    other.register("test", handler.clone());
    for n in 0..30 {
        enqueue(test, &jobs, json!(n), JobOptions::default()).await;
    }
    let (a, b) = tokio::join!(jobs.run_due(), other.run_due());
    // One of them also ran the purge.
    assert_eq!(a.unwrap() + b.unwrap(), 31);
    let mut seen: Vec<i64> = handler.runs.lock().unwrap().iter().map(|run| run.1.as_i64().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..30).collect::<Vec<_>>());
}

async fn periodic_jobs_run_once_each_turn(test: &TestDatabase) {
    let handler = Arc::new(Scripted::default());
    let nodes = [Jobs::new(test.db.clone(), test.clock.clone()), Jobs::new(test.db.clone(), test.clock.clone())];
    for jobs in &nodes {
        jobs.every("test.periodic", Duration::from_secs(600), handler.clone());
    }
    for turn in 1..=3 {
        let runs = futures::future::join_all(nodes.iter().map(Jobs::run_due)).await;
        assert!(runs.iter().all(Result::is_ok), "{runs:?}");
        assert_eq!(handler.runs(), turn);
        test.time.advance(Span::seconds(300));
        for jobs in &nodes {
            jobs.run_due().await.unwrap();
        }
        assert_eq!(handler.runs(), turn, "not before its time");
        test.time.advance(Span::seconds(301));
    }
}

async fn a_turn_that_went_well_leaves_no_row(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    jobs.every("test.periodic", Duration::from_secs(5), handler.clone());
    for _ in 0..3 {
        jobs.run_due().await.unwrap();
        test.time.advance(Span::seconds(6));
    }
    assert_eq!(handler.runs(), 3);
    assert!(job::Entity::find().all(test.db.read()).await.unwrap().is_empty());
    handler.answers.lock().unwrap().push_back(Err(JobError::fatal("no")));
    jobs.run_due().await.unwrap();
    let left = job::Entity::find().one(test.db.read()).await.unwrap().unwrap();
    assert_eq!((left.state, left.last_error.as_deref()), (job::State::Dead, Some("no")), "what failed is kept");
}

async fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited too long");
}

async fn a_worker_finds_new_jobs_soon_and_stops_in_order(test: &TestDatabase) {
    let times = JobTimes { poll: Duration::from_secs(3600), ..Default::default() };
    let jobs = Jobs::with_times(test.db.clone(), test.clock.clone(), times);
    let handler = Arc::new(Scripted::default());
    jobs.register("test", handler.clone());
    let worker = jobs.start(2);
    // The poll interval is an hour: only the wake-up can have found them.
    for n in 0..5 {
        enqueue(test, &jobs, json!(n), JobOptions::default()).await;
    }
    wait_for(|| handler.runs() == 5).await;
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    enqueue(test, &jobs, json!(5), JobOptions::default()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(handler.runs(), 5, "a stopped worker takes nothing");
}

async fn a_job_that_does_not_stop_is_given_back(test: &TestDatabase) {
    let jobs = Jobs::new(test.db.clone(), test.clock.clone());
    let started = Arc::new(Semaphore::new(0));
    jobs.register("test", Arc::new(Endless(started.clone())));
    let id = enqueue(test, &jobs, json!(1), JobOptions::default()).await;
    let worker = jobs.start(1);
    let _begun = started.acquire().await.unwrap();
    assert!(!worker.shutdown(Duration::from_millis(20)).await);
    let row = row(test, id).await;
    assert_eq!((row.state, row.attempts), (job::State::Queued, 0), "to be run at once, with all its attempts");
    assert!(row.due_at <= test.clock.now());
}

/// Runs until it is let go.
struct Long {
    started: Semaphore,
    let_go: Semaphore,
}

#[async_trait]
impl Handler for Long {
    async fn run(&self, _: Value, _: JobContext) -> Result<(), JobError> {
        self.started.add_permits(1);
        let _place = self.let_go.acquire().await.unwrap();
        Ok(())
    }

    fn takes_long(&self) -> bool {
        true
    }
}

async fn what_takes_long_leaves_places_to_the_rest(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    let long = Arc::new(Long { started: Semaphore::new(0), let_go: Semaphore::new(0) });
    jobs.register("test.long", long.clone());
    let mut ids = Vec::new();
    for n in 0..6 {
        let tx = test.db.begin().await.unwrap();
        ids.push(jobs.enqueue(&tx, "test.long", &n, JobOptions::default()).await.unwrap());
        tx.commit().await.unwrap();
    }
    enqueue(test, &jobs, json!("behind them"), JobOptions::default()).await;
    let worker = jobs.start(4);
    wait_for(|| handler.runs() == 1).await;
    assert!(long.started.available_permits() <= 2, "half of the places at most");
    long.let_go.add_permits(1);
    wait_for(|| long.started.available_permits() == 6).await;
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    for id in ids {
        assert_eq!(row(test, id).await.state, job::State::Done);
    }
}

async fn a_round_gives_up_what_is_spent_and_runs_the_rest(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    settled(&jobs).await;
    let spent = enqueue(test, &jobs, json!("spent"), JobOptions { max_attempts: 1, ..Default::default() }).await;
    die_in_a_run(test, "test").await;
    let fresh = enqueue(test, &jobs, json!("fresh"), JobOptions { max_attempts: 1, ..Default::default() }).await;
    test.time.advance(Span::seconds(61));
    let worker = jobs.start(4);
    wait_for(|| handler.runs() == 1 && handler.given_up.lock().unwrap().len() == 1).await;
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    assert_eq!(handler.runs.lock().unwrap()[0].1, json!("fresh"));
    assert_eq!(*handler.given_up.lock().unwrap(), [(json!("spent"), DIED.to_owned())]);
    let (spent, fresh) = (row(test, spent).await, row(test, fresh).await);
    assert_eq!((spent.state, spent.attempts), (job::State::Dead, 1));
    assert_eq!((fresh.state, fresh.attempts), (job::State::Done, 1));
}

/// Ends as its payload says, when it is let go; and cannot be given up.
struct Gated {
    started: Semaphore,
    let_go: Semaphore,
    ended: AtomicUsize,
}

#[async_trait]
impl Handler for Gated {
    async fn run(&self, payload: Value, _: JobContext) -> Result<(), JobError> {
        self.started.add_permits(1);
        self.let_go.acquire().await.unwrap().forget();
        self.ended.fetch_add(1, Ordering::SeqCst);
        match payload.as_str() {
            Some("retry") => Err(JobError::retry("not yet")),
            Some("fatal") => Err(JobError::fatal("never")),
            _ => Ok(()),
        }
    }

    async fn given_up(&self, _: &Transaction, _: Value, _: &str) -> Result<()> {
        Err(Error::internal("not now"))
    }
}

/// One job for each payload, to be run all at once.
struct Crowd {
    jobs: Jobs,
    handler: Arc<Gated>,
    ids: Vec<JobId>,
}

impl Crowd {
    async fn of(test: &TestDatabase, payloads: &[&str]) -> Self {
        let jobs = Jobs::new(test.db.clone(), test.clock.clone());
        settled(&jobs).await;
        let handler =
            Arc::new(Gated { started: Semaphore::new(0), let_go: Semaphore::new(0), ended: AtomicUsize::new(0) });
        jobs.register("test", handler.clone());
        let mut ids = Vec::new();
        for payload in payloads {
            ids.push(enqueue(test, &jobs, json!(payload), JobOptions::default()).await);
        }
        Self { jobs, handler, ids }
    }

    /// Lets all runs end while no end can be written down: on SQLite another has the writer, on PostgreSQL the rows. So
    /// all but those of the first transaction wait together. Answers what is in the way.
    async fn end(&self, test: &TestDatabase) -> Transaction {
        let size = self.ids.len();
        self.handler.started.acquire_many(u32::try_from(size).unwrap()).await.unwrap().forget();
        let tx = test.db.begin().await.unwrap();
        tx.conn().execute_unprepared("UPDATE jobs SET claim = claim").await.unwrap();
        self.handler.let_go.add_permits(size);
        wait_for(|| self.handler.ended.load(Ordering::SeqCst) == size).await;
        tx
    }

    async fn rows(&self, test: &TestDatabase) -> Vec<job::Model> {
        let mut rows = Vec::new();
        for id in &self.ids {
            rows.push(row(test, *id).await);
        }
        rows
    }

    async fn states(&self, test: &TestDatabase) -> Vec<job::State> {
        self.rows(test).await.into_iter().map(|row| row.state).collect()
    }
}

/// Transactions that have ended jobs (PostgreSQL), or all that were ever committed (SQLite).
async fn transactions(test: &TestDatabase) -> usize {
    if test.is_postgres() {
        let sql = "SELECT count(DISTINCT xmin::text) FROM jobs WHERE kind = 'test' AND state = 'done'";
        let row = test.db.read().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        let count: i64 = row.unwrap().try_get_by_index(0).unwrap();
        return usize::try_from(count).unwrap();
    }
    // A frame of the log is a page behind 24 bytes; the second four of these are zero but in the last frame of a commit.
    let log = std::fs::read(test.folder.path().join("test.sqlite-wal")).unwrap();
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    log[32..].chunks_exact(24 + page).filter(|frame| frame[4..8] != [0; 4]).count()
}

async fn ends_that_come_together_are_written_down_together(test: &TestDatabase) {
    let crowd = Crowd::of(test, &["ok"; 12]).await;
    let worker = crowd.jobs.start(12);
    let in_the_way = crowd.end(test).await;
    let before = transactions(test).await;
    in_the_way.commit().await.unwrap();
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    assert_eq!(crowd.states(test).await, [job::State::Done; 12]);
    // The first to come, the others, and (on SQLite) the one that was in the way.
    let written = transactions(test).await - before;
    assert!((1..=6).contains(&written), "{written} transactions for 12 jobs");
}

async fn a_lost_lease_ends_nothing_among_others(test: &TestDatabase) {
    let crowd = Crowd::of(test, &["ok", "ok", "retry", "retry"]).await;
    let worker = crowd.jobs.start(4);
    let in_the_way = crowd.end(test).await;
    // As another worker does, when a lease has ended.
    let taken = format!("UPDATE jobs SET claim = 'another' WHERE id IN ({}, {})", crowd.ids[1], crowd.ids[3]);
    in_the_way.conn().execute_unprepared(&taken).await.unwrap();
    in_the_way.commit().await.unwrap();
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    let states = [job::State::Done, job::State::Running, job::State::Queued, job::State::Running];
    assert_eq!(crowd.states(test).await, states);
    let rows = crowd.rows(test).await;
    for lost in [&rows[1], &rows[3]] {
        assert_eq!((lost.claim.as_deref(), lost.last_error.as_deref()), (Some("another"), None));
    }
    assert_eq!(rows[2].last_error.as_deref(), Some("not yet"));
}

/// There is no time so late as the one at which the first job would be tried again.
async fn an_end_that_panics_takes_no_other_with_it(test: &TestDatabase) {
    let times = JobTimes { first_backoff: Duration::MAX, longest_backoff: Duration::MAX, ..Default::default() };
    let jobs = Jobs::with_times(test.db.clone(), test.clock.clone(), times);
    let handler = Arc::new(Scripted::default());
    jobs.register("test", handler.clone());
    handler.answers.lock().unwrap().push_back(Err(JobError::retry("later")));
    let worker = jobs.start(2);
    let mut ids = Vec::new();
    for payload in 1..=2 {
        ids.push(enqueue(test, &jobs, json!(payload), JobOptions::default()).await);
        wait_for(|| handler.runs() == payload).await;
    }
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    let (panicked, other) = (row(test, ids[0]).await, row(test, ids[1]).await);
    assert_eq!((panicked.state, panicked.finished_at), (job::State::Running, None), "its lease will end");
    assert_eq!(other.state, job::State::Done);
}

async fn a_job_that_cannot_be_given_up_holds_no_other_back(test: &TestDatabase) {
    let crowd = Crowd::of(test, &["ok", "fatal", "retry", "ok"]).await;
    let worker = crowd.jobs.start(4);
    crowd.end(test).await.commit().await.unwrap();
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    let states = [job::State::Done, job::State::Running, job::State::Queued, job::State::Done];
    assert_eq!(crowd.states(test).await, states, "the second is given up when its lease has ended");
}

async fn what_a_killed_worker_had_not_written_down_runs_again(test: &TestDatabase) {
    let crowd = Crowd::of(test, &["ok"; 4]).await;
    let node = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let jobs = Jobs::new(test.another_node_on(node.handle()).await, test.clock.clone());
    jobs.register("test", crowd.handler.clone());
    let _worker = {
        let _inside = node.enter();
        jobs.start(4)
    };
    let in_the_way = crowd.end(test).await;
    tokio::task::spawn_blocking(move || node.shutdown_timeout(Duration::from_secs(10))).await.unwrap();
    in_the_way.commit().await.unwrap();
    assert_eq!(crowd.states(test).await, [job::State::Running; 4]);

    test.time.advance(Span::seconds(61));
    crowd.handler.let_go.add_permits(4);
    // PostgreSQL may need a moment to see that whoever wrote them is gone.
    for _ in 0..500 {
        crowd.jobs.run_due().await.unwrap();
        if crowd.handler.ended.load(Ordering::SeqCst) == 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(crowd.states(test).await, [job::State::Done; 4]);
    assert!(crowd.rows(test).await.iter().all(|row| row.attempts == 2));
}

async fn finished_jobs_and_spent_keys_are_purged(test: &TestDatabase) {
    let (jobs, handler) = jobs(test);
    let tx = test.db.begin().await.unwrap();
    idempotency::remember(&tx, "organizations", "key", "request", 1, test.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let done = enqueue(test, &jobs, json!(1), JobOptions::default()).await;
    settled(&jobs).await;
    handler.answers.lock().unwrap().push_back(Err(JobError::fatal("no")));
    let dead = enqueue(test, &jobs, json!(2), JobOptions::default()).await;
    settled(&jobs).await;
    assert_eq!(idempotency::Entity::find().all(test.db.read()).await.unwrap().len(), 1);
    test.time.advance(Span::days(8));
    settled(&jobs).await;
    assert!(idempotency::Entity::find().all(test.db.read()).await.unwrap().is_empty());
    let left: Vec<JobId> =
        job::Entity::find().all(test.db.read()).await.unwrap().into_iter().map(|row| row.id).collect();
    assert!(!left.contains(&done) && left.contains(&dead), "{left:?}");
    test.time.advance(Span::days(90));
    settled(&jobs).await;
    assert!(job::Entity::find_by_id(dead).one(test.db.read()).await.unwrap().is_none());
}
