//! How long the record of queries is kept. SQL that people typed has names and numbers of other people in it, and nobody
//! needs it for ever; the counts by day ([`crate::daily`]) stay.
//!
//! Rows lie by their age, as their ids grow with the time: the oldest are looked at, in pieces, until one is younger.

use chrono::{DateTime, Utc};
use rivergen_kernel::Result;
use rivergen_platform::Platform;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::evaluation::{entry, run};

/// Rows of one transaction.
const PIECE: u64 = 5_000;

/// Removes the runs of queries that began before, and what policies did before; answers how many rows those were.
pub async fn forget(platform: &Platform, before: DateTime<Utc>) -> Result<u64> {
    let evaluations = remove::<entry::Entity>(platform, entry::Column::Id, entry::Column::EvaluatedAt, before).await?;
    let runs = remove::<run::Entity>(platform, run::Column::Id, run::Column::StartedAt, before).await?;
    Ok(evaluations + runs)
}

/// Index: the primary key.
async fn remove<E: EntityTrait>(
    platform: &Platform,
    id: E::Column,
    at: E::Column,
    before: DateTime<Utc>,
) -> Result<u64> {
    let mut removed = 0;
    loop {
        let oldest: Vec<(i64, DateTime<Utc>)> = E::find()
            .select_only()
            .column(id)
            .column(at)
            .order_by_asc(id)
            .limit(PIECE)
            .into_tuple()
            .all(platform.db.read())
            .await?;
        let due = oldest.iter().take_while(|(_, at)| *at < before);
        let Some((last, _)) = due.last() else { return Ok(removed) };
        let tx = platform.db.begin().await?;
        removed += E::delete_many().filter(id.lte(*last)).exec(tx.conn()).await?.rows_affected;
        tx.commit().await?;
    }
}
