//! How far each stream is: the position of the last record that its receiver has taken, for each chain.
//!
//! Not the id of a row: on PostgreSQL ids are given out before the commit, so a lower one may appear after a higher one was
//! delivered. The positions of a chain have no such gap, because its head is locked from one record to the next.

use chrono::{DateTime, Utc};
use rivergen_kernel::{OrganizationId, Result};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    TryInsertResult,
    sea_query::{Expr, OnConflict, Query},
};

use super::config::{Start, StreamConfig};
use crate::{
    Database,
    audit::{Chain, heads, log},
};

/// The longest error that is kept.
const LONGEST_ERROR: usize = 1000;

/// A stream that was begun, and how its deliveries went.
pub(super) mod stream {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_streams")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub begun_at: DateTimeUtc,
        /// Deliveries that failed since the last one that did not.
        pub failures: i32,
        pub last_success_at: Option<DateTimeUtc>,
        pub last_failure_at: Option<DateTimeUtc>,
        #[sea_orm(column_type = "Text", nullable)]
        pub last_error: Option<String>,
        /// Not before; null where nothing has to be waited for.
        pub next_attempt_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where a stream is in a chain; without a row, before its first record.
pub(super) mod position {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_stream_positions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub stream: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub chain: i64,
        pub sequence: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Rows of one statement.
const BATCH: usize = 500;

/// Begins a stream whose name is new, where its settings say. One that was begun stays where it is.
pub(super) async fn begin(db: &Database, config: &StreamConfig, now: DateTime<Utc>) -> Result<()> {
    let tx = db.begin().await?;
    let new = stream::ActiveModel {
        name: Set(config.name.clone()),
        begun_at: Set(now),
        failures: Set(0),
        ..Default::default()
    };
    let inserted = stream::Entity::insert(new)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .try_insert()
        .exec_without_returning(tx.conn())
        .await?;
    if matches!(inserted, TryInsertResult::Inserted(1)) && config.start == Start::Now {
        // In all chains, so that one that is added to `organizations` later begins here too.
        let here = heads::Entity::find().all(tx.conn()).await?;
        for heads in here.chunks(BATCH) {
            let rows = heads.iter().map(|head| position::ActiveModel {
                stream: Set(config.name.clone()),
                chain: Set(head.chain),
                sequence: Set(head.sequence),
            });
            position::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
        }
    }
    tx.commit().await
}

/// A chain in which there is something to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    pub chain: Chain,
    /// The last record that was delivered.
    pub delivered: i64,
    /// The last record that there is.
    pub head: i64,
}

/// The chains of a stream in which there is something to deliver.
pub(super) async fn behind(db: &Database, config: &StreamConfig) -> Result<Vec<Behind>> {
    let own = Condition::all()
        .add(position::Column::Chain.into_expr().eq(heads::Column::Chain.into_expr()))
        .add(position::Column::Stream.eq(&config.name));
    let mut select = Query::select();
    select
        .column((heads::Entity, heads::Column::Chain))
        .expr_as(position::Column::Sequence.into_expr(), "delivered")
        .expr_as(heads::Column::Sequence.into_expr(), "head")
        .from(heads::Entity)
        .join(JoinType::LeftJoin, position::Entity, own)
        .cond_where(
            Condition::any()
                .add(position::Column::Sequence.is_null())
                .add(position::Column::Sequence.into_expr().lt(heads::Column::Sequence.into_expr())),
        );
    if let Some(organizations) = &config.organizations {
        select.and_where(heads::Column::Chain.is_in(organizations.iter().map(|OrganizationId(id)| *id)));
    }
    let mut behind = Vec::new();
    for row in db.read().query_all(&select).await? {
        let delivered: Option<i64> = row.try_get("", "delivered")?;
        let chain = Chain(row.try_get("", "chain")?);
        behind.push(Behind { chain, delivered: delivered.unwrap_or(0), head: row.try_get("", "head")? });
    }
    Ok(behind)
}

/// The next records of a chain.
pub(super) async fn next(db: &Database, behind: &Behind, limit: usize) -> Result<Vec<log::Model>> {
    // Index audit_log_chain (chain, sequence).
    let rows = log::Entity::find()
        .filter(log::Column::Chain.eq(behind.chain.0))
        .filter(log::Column::Sequence.gt(behind.delivered))
        .filter(log::Column::Sequence.lte(behind.head))
        .order_by_asc(log::Column::Sequence)
        .limit(limit as u64);
    Ok(rows.all(db.read()).await?)
}

/// The receiver has taken everything up to these positions. They never go back: a node that lost its lease while it
/// delivered may say so late.
pub(super) async fn delivered(
    db: &Database,
    stream: &str,
    positions: impl IntoIterator<Item = (Chain, i64)>,
    now: DateTime<Utc>,
) -> Result<()> {
    let tx = db.begin().await?;
    for (chain, sequence) in positions {
        let row =
            position::ActiveModel { stream: Set(stream.to_owned()), chain: Set(chain.0), sequence: Set(sequence) };
        let inserted = position::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .try_insert()
            .exec_without_returning(tx.conn())
            .await?;
        if !matches!(inserted, TryInsertResult::Inserted(1)) {
            position::Entity::update_many()
                .col_expr(position::Column::Sequence, Expr::value(sequence))
                .filter(position::Column::Stream.eq(stream))
                .filter(position::Column::Chain.eq(chain.0))
                .filter(position::Column::Sequence.lt(sequence))
                .exec(tx.conn())
                .await?;
        }
    }
    stream::Entity::update_many()
        .col_expr(stream::Column::Failures, Expr::value(0))
        .col_expr(stream::Column::LastSuccessAt, Expr::value(now))
        .col_expr(stream::Column::NextAttemptAt, Expr::value(None::<DateTime<Utc>>))
        .filter(stream::Column::Name.eq(stream))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}

/// The receiver has not taken what came next.
pub(super) async fn failed(
    db: &Database,
    stream: &str,
    failures: i32,
    error: &str,
    now: DateTime<Utc>,
    next_attempt_at: DateTime<Utc>,
) -> Result<()> {
    // PostgreSQL cannot keep a zero byte.
    let error: String = error.chars().filter(|c| *c != '\0').take(LONGEST_ERROR).collect();
    let tx = db.begin().await?;
    stream::Entity::update_many()
        .col_expr(stream::Column::Failures, Expr::value(failures))
        .col_expr(stream::Column::LastFailureAt, Expr::value(now))
        .col_expr(stream::Column::LastError, Expr::value(error))
        .col_expr(stream::Column::NextAttemptAt, Expr::value(next_attempt_at))
        .filter(stream::Column::Name.eq(stream))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}
