//! The table of jobs: every statement that touches it.
//!
//! `due_at` is the one time that matters of an unfinished job: when it may run first, when it may run
//! again, or when the lease of whoever runs it ends. So "what can be claimed of a kind" is one range of one index.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, JobId, Result};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    TryInsertResult, UpdateMany,
    sea_query::{
        CommonTableExpression, Expr, LockBehavior, LockType, OnConflict, Order, Query, SelectStatement, UnionType,
    },
};
use serde_json::Value;

use super::{Inner, JobError, JobOptions};
use crate::Transaction;

/// The longest error text that is kept.
const LONGEST_ERROR: usize = 2000;

/// A job's row.
pub mod job {
    use rivergen_kernel::{JobId, OrganizationId};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "jobs")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: JobId,
        pub kind: String,
        /// JSON; emptied when the job is done, since it may hold what should not lie around.
        #[sea_orm(column_type = "Text")]
        pub payload: String,
        pub organization_id: Option<OrganizationId>,
        pub state: State,
        pub due_at: DateTimeUtc,
        pub attempts: i32,
        pub max_attempts: i32,
        pub unique_key: Option<String>,
        /// A random name of the round in which it was claimed, which no job is in twice: of a job's runs, it names one. A run
        /// that lost its lease cannot finish the job.
        pub claim: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub last_error: Option<String>,
        pub created_at: DateTimeUtc,
        pub finished_at: Option<DateTimeUtc>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::None)")]
    pub enum State {
        #[sea_orm(string_value = "queued")]
        Queued,
        #[sea_orm(string_value = "running")]
        Running,
        #[sea_orm(string_value = "done")]
        Done,
        #[sea_orm(string_value = "dead")]
        Dead,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// When a periodic job is due next.
pub mod periodic_job {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "periodic_jobs")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        pub next_run_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Inserts a job, or finds the unfinished one with the same unique key.
pub(super) async fn insert(
    tx: &Transaction,
    now: DateTime<Utc>,
    kind: &str,
    payload: &Value,
    options: JobOptions,
) -> Result<JobId> {
    let row = queued(now, kind, payload, &options);
    // A second round only where the other job finished between the two statements.
    for _ in 0..3 {
        let inserted = job::Entity::insert(row.clone())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .try_insert()
            .exec(tx.conn())
            .await?;
        if let TryInsertResult::Inserted(inserted) = inserted {
            return Ok(inserted.last_insert_id);
        }
        let existing: Option<JobId> = job::Entity::find()
            .select_only()
            .column(job::Column::Id)
            .filter(job::Column::Kind.eq(kind))
            .filter(job::Column::UniqueKey.eq(options.unique_key.clone()))
            .filter(job::Column::FinishedAt.is_null())
            .into_tuple()
            .one(tx.conn())
            .await?;
        if let Some(id) = existing {
            return Ok(id);
        }
    }
    Err(Error::internal(format!("the job {kind} could neither be inserted nor found")))
}

/// Rows of one statement.
const BATCH: usize = 250;

/// Inserts many jobs of a kind, none of which has a unique key.
pub(super) async fn insert_all(tx: &Transaction, now: DateTime<Utc>, kind: &str, payloads: &[Value]) -> Result<()> {
    for batch in payloads.chunks(BATCH) {
        let rows = batch.iter().map(|payload| queued(now, kind, payload, &JobOptions::default()));
        job::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

fn queued(now: DateTime<Utc>, kind: &str, payload: &Value, options: &JobOptions) -> job::ActiveModel {
    job::ActiveModel {
        id: NotSet,
        kind: Set(kind.to_owned()),
        payload: Set(payload.to_string()),
        organization_id: Set(options.organization_id),
        state: Set(job::State::Queued),
        due_at: Set(options.run_at.unwrap_or(now)),
        attempts: Set(0),
        max_attempts: Set(i32::try_from(options.max_attempts.max(1)).unwrap_or(i32::MAX)),
        unique_key: Set(options.unique_key.clone()),
        claim: Set(None),
        last_error: Set(None),
        created_at: Set(now),
        finished_at: Set(None),
    }
}

/// The ids of what may be claimed now, oldest first. Of each kind by itself, so that a hundred thousand mails that are due
/// are not read to learn that nothing else is. Index jobs_due (kind, due_at, id) WHERE finished_at IS NULL.
///
/// `held`: on PostgreSQL the rows are locked and those of other nodes are passed over. The first `limit` of each kind are, so
/// that a node which looks in that very moment may find nothing and looks again. SQLite has one writer.
fn due(kinds: &[&'static str], now: DateTime<Utc>, limit: u64, held: bool) -> SelectStatement {
    debug_assert!(!kinds.is_empty());
    let mut each = kinds.iter().map(|kind| {
        let mut first = job::Entity::find()
            .select_only()
            .columns([job::Column::Id, job::Column::DueAt])
            .filter(job::Column::FinishedAt.is_null())
            .filter(job::Column::DueAt.lte(now))
            .filter(job::Column::Kind.eq(*kind))
            .order_by_asc(job::Column::DueAt)
            .order_by_asc(job::Column::Id)
            .limit(limit)
            .into_query();
        if held {
            first.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        // In a select of its own: SQLite takes neither order nor limit of a part of a union, PostgreSQL no locks.
        Query::select().columns([job::Column::Id, job::Column::DueAt]).from_subquery(first, "of_kind").to_owned()
    });
    let mut all = each.next().unwrap_or_default();
    all.unions(each.map(|of_kind| (UnionType::All, of_kind)));
    Query::select()
        .column(job::Column::Id)
        .from_subquery(all, "due")
        .order_by(job::Column::DueAt, Order::Asc)
        .order_by(job::Column::Id, Order::Asc)
        .limit(limit)
        .to_owned()
}

/// A job that this node holds, and what its handler is given.
pub(super) struct Claimed {
    pub id: JobId,
    pub kind: String,
    pub payload: String,
    pub organization_id: Option<rivergen_kernel::OrganizationId>,
    pub attempt: u32,
    pub last_attempt: bool,
    /// Why it is not run but given up: it has no attempt left.
    pub lost: Option<String>,
    pub claim: String,
}

/// Whether a job of the kinds is due, claimed as it may be in this moment by a node that has not said so yet.
pub(super) async fn is_due(inner: &Inner, kinds: &[&'static str]) -> Result<bool> {
    if kinds.is_empty() {
        return Ok(false);
    }
    Ok(inner.db.read().query_one(&due(kinds, inner.clock.now(), 1, false)).await?.is_some())
}

/// Claims up to `limit` due jobs of the kinds. Reads first, outside any transaction, so that an idle node never writes.
pub(super) async fn claim(inner: &Inner, kinds: &[&'static str], limit: u64) -> Result<Vec<Claimed>> {
    if limit == 0 || !is_due(inner, kinds).await? {
        return Ok(Vec::new());
    }
    let now = inner.clock.now();
    let round = Round { now, until: now + inner.times.lease, runs: random_name(), given_up: random_name() };
    let tx = inner.db.begin().await?;
    let mut rows = round.claim(kinds, limit).exec_with_returning(tx.conn()).await?;
    tx.commit().await?;
    // Whatever the order in which they were written.
    rows.sort_unstable_by_key(|row| row.id);
    let claimed = rows.into_iter().map(|row| {
        let claim = row.claim.unwrap_or_default();
        let is_spent = claim == round.given_up;
        Claimed {
            id: row.id,
            kind: row.kind,
            payload: row.payload,
            organization_id: row.organization_id,
            attempt: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            last_attempt: row.attempts >= row.max_attempts,
            lost: is_spent.then(|| row.last_error.unwrap_or_else(|| "its worker died in every attempt".to_owned())),
            claim,
        }
    });
    Ok(claimed.collect())
}

/// Jobs that are claimed together, by one statement.
struct Round {
    now: DateTime<Utc>,
    /// When the leases end.
    until: DateTime<Utc>,
    /// Claims those that are run.
    runs: String,
    /// Claims those of which each attempt ended without a word: the worker was killed, perhaps by this very job. They are
    /// claimed to be given up, in a transaction of their own.
    given_up: String,
}

impl Round {
    fn claim(&self, kinds: &[&'static str], limit: u64) -> UpdateMany<job::Entity> {
        // By name, because PostgreSQL may ask a subquery of the condition several times, and would lock others each time.
        let due = CommonTableExpression::new()
            .table_name("due")
            .column(job::Column::Id)
            .query(due(kinds, self.now, limit, true))
            .to_owned();
        let chosen = Query::select().column(job::Column::Id).from("due").to_owned();
        let has_attempts =
            || sea_orm::ExprTrait::lt(Expr::col(job::Column::Attempts), Expr::col(job::Column::MaxAttempts));
        let attempt = Expr::case(has_attempts(), sea_orm::ExprTrait::add(Expr::col(job::Column::Attempts), 1))
            .finally(Expr::col(job::Column::Attempts));
        let claim =
            Expr::case(has_attempts(), Expr::value(self.runs.clone())).finally(Expr::value(self.given_up.clone()));
        let mut update = job::Entity::update_many()
            .col_expr(job::Column::State, Expr::value(job::State::Running))
            .col_expr(job::Column::Attempts, attempt.into())
            .col_expr(job::Column::Claim, claim.into())
            .col_expr(job::Column::DueAt, Expr::value(self.until))
            .filter(job::Column::Id.in_subquery(chosen));
        QueryTrait::query(&mut update).with_cte(due);
        update
    }
}

fn random_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Extends the lease; `false` where it was lost.
pub(super) async fn extend(inner: &Inner, job: &Claimed) -> Result<bool> {
    let until = inner.clock.now() + inner.times.lease;
    let tx = inner.db.begin().await?;
    let extended = job::Entity::update_many()
        .col_expr(job::Column::DueAt, Expr::value(until))
        .filter(held(&[job]))
        .exec(tx.conn())
        .await?;
    tx.commit().await?;
    Ok(extended.rows_affected == 1)
}

/// How a run ended.
pub(super) struct End {
    pub job: Claimed,
    pub outcome: Result<(), JobError>,
}

impl End {
    /// Why the job is not tried again, where it failed for good.
    pub fn died_of(&self) -> Option<&str> {
        match &self.outcome {
            Err(JobError::Retry(error)) if self.job.last_attempt => Some(error),
            Err(JobError::Fatal(error)) => Some(error),
            _ => None,
        }
    }
}

/// Writes down, in one transaction, how runs ended that went well or are tried again.
pub(super) async fn finish(inner: &Inner, ends: &[End]) -> Result<()> {
    let now = inner.clock.now();
    let (mut done, mut turns) = (Vec::new(), Vec::new());
    let tx = inner.db.begin().await?;
    for End { job, outcome } in ends {
        match outcome {
            // What it did shows elsewhere, and when it runs next stands in `periodic_jobs`.
            Ok(()) if inner.is_periodic(&job.kind) => turns.push(job),
            Ok(()) => done.push(job),
            Err(JobError::Retry(error) | JobError::Fatal(error)) => {
                back(&tx, job, now + inner.backoff(job.attempt), Some(error)).await?;
            }
        }
    }
    if !turns.is_empty() {
        job::Entity::delete_many().filter(held(&turns)).exec(tx.conn()).await?;
    }
    if !done.is_empty() {
        let done = ended(job::State::Done, now).filter(held(&done));
        done.col_expr(job::Column::Payload, Expr::value("null")).exec(tx.conn()).await?;
    }
    tx.commit().await
}

/// Writes down that the job is dead, and tells its handler, in a transaction that it shares with no other: where its handler
/// fails, that is nobody else's fault.
pub(super) async fn give_up(inner: &Inner, job: &Claimed, error: &str) -> Result<()> {
    let tx = inner.db.begin().await?;
    let dead = ended(job::State::Dead, inner.clock.now())
        .col_expr(job::Column::LastError, Expr::value(shortened(error)))
        .filter(held(&[job]))
        .exec(tx.conn())
        .await?;
    // Whoever has the job by now tells its handler.
    if dead.rows_affected == 1
        && let Some(handler) = inner.handler(&job.kind)
    {
        let payload = serde_json::from_str(&job.payload).unwrap_or_default();
        handler.given_up(&tx, payload, error).await?;
    }
    tx.commit().await
}

/// Gives an unfinished run back at shutdown; it was not the job's fault, so the attempt does not count.
pub(super) async fn release(inner: &Inner, job: &Claimed) -> Result<()> {
    let tx = inner.db.begin().await?;
    back(&tx, job, inner.clock.now(), None).await?;
    job::Entity::update_many()
        .col_expr(job::Column::Attempts, sea_orm::ExprTrait::sub(Expr::col(job::Column::Attempts), 1))
        .filter(job::Column::Id.eq(job.id))
        .filter(job::Column::State.eq(job::State::Queued))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}

async fn back(tx: &Transaction, job: &Claimed, due_at: DateTime<Utc>, error: Option<&str>) -> Result<(), DbErr> {
    let mut update = job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value(job::State::Queued))
        .col_expr(job::Column::DueAt, Expr::value(due_at))
        .col_expr(job::Column::Claim, Expr::value(None::<String>));
    if let Some(error) = error {
        update = update.col_expr(job::Column::LastError, Expr::value(shortened(error)));
    }
    update.filter(held(&[job])).exec(tx.conn()).await.map(drop)
}

/// Ends jobs for good.
fn ended(state: job::State, now: DateTime<Utc>) -> UpdateMany<job::Entity> {
    job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value(state))
        .col_expr(job::Column::FinishedAt, Expr::value(now))
        .col_expr(job::Column::Claim, Expr::value(None::<String>))
}

/// Those of the jobs that their runs still hold, each by its own claim: another run of the same node may hold one by now.
fn held(jobs: &[&Claimed]) -> Condition {
    let by_claim = jobs.iter().fold(Condition::any(), |any, job| {
        any.add(Condition::all().add(job::Column::Id.eq(job.id)).add(job::Column::Claim.eq(&job.claim)))
    });
    // The ids by themselves too: so each is looked up by its key.
    Condition::all().add(job::Column::Id.is_in(jobs.iter().map(|job| job.id))).add(by_claim)
}

/// Within bounds, and without the zero bytes that PostgreSQL cannot keep.
fn shortened(error: &str) -> String {
    error.chars().filter(|c| *c != '\0').take(LONGEST_ERROR).collect()
}

/// Enqueues the periodic jobs that are due. The conditional update lets one node win each turn.
pub(super) async fn enqueue_periodic(inner: &Inner) -> Result<()> {
    let periodic = inner.periodic();
    if periodic.is_empty() {
        return Ok(());
    }
    let now = inner.clock.now();
    let known = periodic_job::Entity::find().all(inner.db.read()).await?;
    for (kind, interval) in periodic {
        let next = now + interval;
        // Further away than any turn of this interval: it was longer once. (Twice, because the clocks of
        // nodes differ a little, and a turn that another node just took is no such case.)
        let beyond = now + interval * 2;
        if known.iter().any(|row| row.kind == kind && row.next_run_at > now && row.next_run_at <= beyond) {
            continue;
        }
        let tx = inner.db.begin().await?;
        let first = periodic_job::ActiveModel { kind: Set(kind.to_owned()), next_run_at: Set(next) };
        let inserted = periodic_job::Entity::insert(first)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .try_insert()
            .exec_without_returning(tx.conn())
            .await?;
        let won = match inserted {
            TryInsertResult::Inserted(1) => true,
            _ => {
                periodic_job::Entity::update_many()
                    .col_expr(periodic_job::Column::NextRunAt, Expr::value(next))
                    .filter(periodic_job::Column::Kind.eq(kind))
                    .filter(
                        sea_orm::Condition::any()
                            .add(periodic_job::Column::NextRunAt.lte(now))
                            .add(periodic_job::Column::NextRunAt.gt(beyond)),
                    )
                    .exec(tx.conn())
                    .await?
                    .rows_affected
                    == 1
            }
        };
        if won {
            let options = JobOptions { max_attempts: 3, unique_key: Some("periodic".to_owned()), ..Default::default() };
            insert(&tx, now, kind, &Value::Null, options).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, DbBackend, Statement};

    use super::*;
    use crate::{Database, db::DatabaseConfig, migrations::migrations};

    async fn plan(query: Statement) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.sqlite").display());
        let db = Database::connect(&DatabaseConfig { url, max_connections: 1 }).await.unwrap();
        db.migrate(migrations).await.unwrap();
        let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {}", query.sql), ..query };
        let plan = db.read().query_all_raw(explain).await.unwrap();
        plan.iter().map(|row| row.try_get("", "detail").unwrap()).collect()
    }

    const DUE: &str = "SEARCH jobs USING INDEX jobs_due (kind=? AND due_at<?)";

    #[tokio::test]
    async fn looking_for_jobs_reads_one_range_of_one_index_for_each_kind() {
        let query = due(&["a", "b"], Utc::now(), 1, false);
        let plan = plan(DbBackend::Sqlite.build(&query)).await;
        assert_eq!(plan.iter().filter(|step| step.contains(" jobs")).collect::<Vec<_>>(), [DUE, DUE], "{plan:?}");
    }

    fn round() -> Round {
        let now = Utc::now();
        Round { now, until: now, runs: "runs".to_owned(), given_up: "given up".to_owned() }
    }

    #[tokio::test]
    async fn claiming_reads_no_more_and_finds_the_rows_by_their_keys() {
        let plan = plan(round().claim(&["a", "b"], 4).build(DbBackend::Sqlite)).await;
        assert!(plan.iter().any(|step| step == DUE), "{plan:?}");
        assert!(plan.iter().any(|step| step.contains("USING INTEGER PRIMARY KEY (rowid=?)")), "{plan:?}");
        assert!(!plan.iter().any(|step| step == "SCAN jobs"), "{plan:?}");
    }

    #[test]
    fn a_claim_of_postgresql_waits_for_no_other_and_is_chosen_once() {
        let sql = round().claim(&["a", "b"], 4).build(DbBackend::Postgres).sql;
        assert!(sql.starts_with("WITH \"due\" (\"id\") AS (SELECT"), "{sql}");
        assert_eq!(sql.matches("FOR UPDATE SKIP LOCKED) AS \"of_kind\"").count(), 2, "{sql}");
    }
}
