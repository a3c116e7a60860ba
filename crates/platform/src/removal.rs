//! Removing for good what is over: rows without number in pieces, and things whose end stands in the audit log, each by
//! itself.

use rivergen_kernel::Result;
use sea_orm::{ColumnTrait, DeleteMany, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};

use crate::{
    Database, Platform, Transaction,
    audit::{self, AuditRecord},
};

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

/// Removes one thing, which `due` finds if its time is still over (somebody may just have restored it), and ends the
/// transaction. Answers whether it was removed; only then is there a record of it.
pub async fn recorded<E: EntityTrait>(
    platform: &Platform,
    tx: Transaction,
    due: DeleteMany<E>,
    record: AuditRecord,
) -> Result<bool> {
    let is_gone = due.exec(tx.conn()).await?.rows_affected == 1;
    if is_gone {
        audit::record(&tx, &platform.clock, record).await?;
    }
    tx.commit().await?;
    Ok(is_gone)
}
