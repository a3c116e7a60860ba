//! The table of jobs: every statement that touches it.
//!
//! `due_at` is the one time that matters of an unfinished job: when it may run first, when it may run
//! again, or when the lease of whoever runs it ends. So "what can be claimed" is one range of one index.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, JobId, Result};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, TryInsertResult,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
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
        /// A random name of the run that holds the lease. A run that lost its lease cannot finish the job.
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

/// What may be claimed now, oldest first. Index jobs_due (due_at, id) WHERE finished_at IS NULL.
fn due(kinds: &[&'static str], now: DateTime<Utc>) -> Select<job::Entity> {
    job::Entity::find()
        .filter(job::Column::FinishedAt.is_null())
        .filter(job::Column::DueAt.lte(now))
        .filter(job::Column::Kind.is_in(kinds.iter().copied()))
        .order_by_asc(job::Column::DueAt)
        .order_by_asc(job::Column::Id)
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

/// Claims up to `limit` due jobs. Reads first, outside any transaction, so that an idle node never writes.
pub(super) async fn claim(inner: &Inner, limit: u64) -> Result<Vec<Claimed>> {
    let kinds = inner.kinds();
    if limit == 0 || kinds.is_empty() {
        return Ok(Vec::new());
    }
    let now = inner.clock.now();
    let any: Option<JobId> =
        due(&kinds, now).select_only().column(job::Column::Id).limit(1).into_tuple().one(inner.db.read()).await?;
    if any.is_none() {
        return Ok(Vec::new());
    }

    let tx = inner.db.begin().await?;
    // SKIP LOCKED on PostgreSQL: nodes do not wait for each other's claims. SQLite has one writer.
    let rows = due(&kinds, now)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        // Each attempt ended without a word: the worker was killed, perhaps by this very job. It is claimed to be given up,
        // in a transaction of its own.
        let is_spent = row.attempts >= row.max_attempts;
        let attempt = if is_spent { row.attempts } else { row.attempts + 1 };
        let claim = format!("{:032x}", rand::random::<u128>());
        let held = job::ActiveModel {
            id: Set(row.id),
            state: Set(job::State::Running),
            attempts: Set(attempt),
            claim: Set(Some(claim.clone())),
            due_at: Set(now + inner.times.lease),
            ..Default::default()
        };
        job::Entity::update(held).exec(tx.conn()).await?;
        claimed.push(Claimed {
            id: row.id,
            kind: row.kind,
            payload: row.payload,
            organization_id: row.organization_id,
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            last_attempt: attempt >= row.max_attempts,
            lost: is_spent.then(|| row.last_error.unwrap_or_else(|| "its worker died in every attempt".to_owned())),
            claim,
        });
    }
    tx.commit().await?;
    Ok(claimed)
}

/// Extends the lease; `false` where it was lost.
pub(super) async fn extend(inner: &Inner, job: &Claimed) -> Result<bool> {
    let until = inner.clock.now() + inner.times.lease;
    let tx = inner.db.begin().await?;
    let extended = job::Entity::update_many()
        .col_expr(job::Column::DueAt, Expr::value(until))
        .filter(job::Column::Id.eq(job.id))
        .filter(job::Column::Claim.eq(&job.claim))
        .exec(tx.conn())
        .await?;
    tx.commit().await?;
    Ok(extended.rows_affected == 1)
}

/// Writes down how a run ended.
pub(super) async fn finish(inner: &Inner, job: &Claimed, outcome: &Result<(), JobError>) -> Result<()> {
    let now = inner.clock.now();
    let tx = inner.db.begin().await?;
    match outcome {
        // What it did shows elsewhere, and when it runs next stands in `periodic_jobs`.
        Ok(()) if inner.is_periodic(&job.kind) => {
            let own = job::Entity::delete_many().filter(job::Column::Id.eq(job.id));
            own.filter(job::Column::Claim.eq(&job.claim)).exec(tx.conn()).await?;
        }
        Ok(()) => {
            end(&tx, job, job::State::Done, None, now).await?;
        }
        Err(JobError::Retry(error)) if !job.last_attempt => {
            back(&tx, job, now + inner.backoff(job.attempt), Some(error)).await?;
        }
        Err(JobError::Retry(error) | JobError::Fatal(error)) => {
            // Whoever has the job by now tells its handler.
            if end(&tx, job, job::State::Dead, Some(error), now).await?
                && let Some(handler) = inner.handler(&job.kind)
            {
                let payload = serde_json::from_str(&job.payload).unwrap_or_default();
                handler.given_up(&tx, payload, error).await?;
            }
        }
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
    update.filter(job::Column::Id.eq(job.id)).filter(job::Column::Claim.eq(&job.claim)).exec(tx.conn()).await.map(drop)
}

/// Ends a job for good; `false` where the claim does not hold any more.
async fn end(
    tx: &Transaction,
    job: &Claimed,
    state: job::State,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let mut update = job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value(state))
        .col_expr(job::Column::FinishedAt, Expr::value(now))
        .col_expr(job::Column::Claim, Expr::value(None::<String>));
    if let Some(error) = error {
        update = update.col_expr(job::Column::LastError, Expr::value(shortened(error)));
    }
    if state == job::State::Done {
        update = update.col_expr(job::Column::Payload, Expr::value("null"));
    }
    let held = update.filter(job::Column::Id.eq(job.id)).filter(job::Column::Claim.eq(&job.claim));
    Ok(held.exec(tx.conn()).await?.rows_affected == 1)
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
    use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};

    use super::*;
    use crate::{Database, db::DatabaseConfig, migrations::migrations};

    #[tokio::test]
    async fn looking_for_jobs_reads_one_range_of_one_index() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.sqlite").display());
        let db = Database::connect(&DatabaseConfig { url, max_connections: 1 }).await.unwrap();
        db.migrate(migrations).await.unwrap();
        let query = due(&["a", "b"], Utc::now()).limit(1).build(DbBackend::Sqlite);
        let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {}", query.sql), ..query };
        let plan = db.read().query_all_raw(explain).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        assert_eq!(plan, ["SEARCH jobs USING INDEX jobs_due (due_at<?)"]);
    }
}
