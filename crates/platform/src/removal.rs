//! Removing for good what is over: rows without number in pieces, and things whose end stands in the audit log, each by
//! itself.

use rivergen_kernel::{Error, Result};
use sea_orm::{
    ColumnTrait, DeleteMany, EntityTrait, ModelTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};

use crate::{
    Database, Platform, Transaction,
    audit::{self, AuditRecord},
    jobs::{CancellationToken, JobError},
};

/// Things that are looked up together.
const BATCH: u64 = 100;

/// Removes the rows that the select finds, so many in a transaction of its own: SQLite has one writer, which others
/// wait for. The caller names the index.
pub async fn in_pieces<E: EntityTrait>(db: &Database, id: E::Column, which: Select<E>, piece: u64) -> Result<()> {
    loop {
        let some = which.clone().select_only().column(id).limit(piece).into_query();
        let tx = db.begin().await?;
        let removed = E::delete_many().filter(id.in_subquery(some)).exec(tx.conn()).await?.rows_affected;
        tx.commit().await?;
        if removed < piece {
            return Ok(());
        }
    }
}

/// Removes each of the things that are due by itself, in the order of their ids. One that cannot be removed holds up no
/// other: the log tells it, and the job fails when the others are gone, so that it is tried again. The caller names the
/// index.
pub async fn one_by_one<E, F>(
    db: &Database,
    shutdown: &CancellationToken,
    id: E::Column,
    due: Select<E>,
    remove: impl Fn(E::Model) -> F,
) -> Result<(), JobError>
where
    E: EntityTrait,
    F: Future<Output = Result<()>>,
{
    let due = due.order_by_asc(id).limit(BATCH);
    let (mut next, mut failure) = (due.clone(), None);
    loop {
        let rows = next.all(db.read()).await.map_err(Error::from)?;
        let Some(last) = rows.last().map(|row| ModelTrait::get(row, id)) else { break };
        next = due.clone().filter(id.gt(last));
        for row in rows {
            if shutdown.is_cancelled() {
                return Err(JobError::retry("the server shuts down"));
            }
            let its_id = ModelTrait::get(&row, id);
            if let Err(error) = remove(row).await {
                let table = E::default().table_name();
                tracing::error!(table, id = ?its_id, ?error, "what is over could not be removed");
                failure = Some(error);
            }
        }
    }
    failure.map_or(Ok(()), |error| Err(JobError::retry(error)))
}

/// Removes one thing, which `due` finds if its time is still over (somebody may just have restored it), and ends the
/// transaction. Only where it was removed is there a record of it.
pub async fn recorded<E: EntityTrait>(
    platform: &Platform,
    tx: Transaction,
    due: DeleteMany<E>,
    record: AuditRecord,
) -> Result<()> {
    if due.exec(tx.conn()).await?.rows_affected == 1 {
        audit::record(&tx, &platform.clock, record).await?;
    }
    tx.commit().await
}
