//! Walks the chains of the database and finds where the first one breaks.

use std::collections::BTreeSet;

use rivergen_kernel::Result;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    Chain,
    chain::{Break, BreakReason, Extent, Follower, Head},
    head, heads, log,
};
use crate::Database;

/// How many records are in memory at once.
const BATCH: u64 = 1000;

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub chains: u64,
    /// Records that were read and found whole; those after a break are not read.
    pub records: u64,
    /// The last record of each chain that holds. Who notes them down elsewhere can tell later whether a chain was written anew.
    pub heads: Vec<Head>,
    pub first_break: Option<Break>,
}

/// Checks one chain, or all of them, and stops at the first break. Records that are written meanwhile do
/// not disturb it.
pub async fn verify(db: &Database, only: Option<Chain>) -> Result<Report> {
    let chains = match only {
        Some(chain) => BTreeSet::from([chain]),
        None => chains(db).await?,
    };
    let mut report = Report { chains: 0, records: 0, heads: Vec::new(), first_break: None };
    for chain in chains {
        report.chains += 1;
        match verify_chain(db, chain, &mut report.records).await? {
            Ok(head) => report.heads.push(head),
            Err(broken) => {
                report.first_break = Some(broken);
                break;
            }
        }
    }
    Ok(report)
}

/// All chains, from both tables: one whose head was removed must not go unseen.
pub async fn chains(db: &Database) -> Result<BTreeSet<Chain>> {
    let heads: Vec<i64> =
        heads::Entity::find().select_only().column(heads::Column::Chain).into_tuple().all(db.read()).await?;
    let logs: Vec<i64> =
        log::Entity::find().select_only().column(log::Column::Chain).distinct().into_tuple().all(db.read()).await?;
    Ok(heads.into_iter().chain(logs).map(Chain).collect())
}

async fn verify_chain(db: &Database, chain: Chain, records: &mut u64) -> Result<std::result::Result<Head, Break>> {
    // Both are written in one transaction, so a head that is read after the log is never behind it.
    let last = log::Entity::find()
        .filter(log::Column::Chain.eq(chain.0))
        .order_by_desc(log::Column::Sequence)
        .one(db.read())
        .await?
        .map_or(0, |row| row.sequence);
    let head = head(db.read(), chain).await?.unwrap_or_else(|| Head::before_the_first(chain));
    if last > head.sequence {
        return Ok(Err(Break { chain, sequence: head.sequence + 1, reason: BreakReason::BeyondHead }));
    }

    let mut follower = Follower::new(chain, Extent::Whole);
    loop {
        // Index audit_log_chain (chain, sequence).
        let batch = log::Entity::find()
            .filter(log::Column::Chain.eq(chain.0))
            .filter(log::Column::Sequence.gt(follower.at().sequence))
            .filter(log::Column::Sequence.lte(head.sequence))
            .order_by_asc(log::Column::Sequence)
            .limit(BATCH)
            .all(db.read())
            .await?;
        if batch.is_empty() {
            return Ok(follower.end(&head).map(|()| head));
        }
        for row in batch {
            if let Err(broken) = follower.follow(&row) {
                return Ok(Err(broken));
            }
            *records += 1;
        }
    }
}
