//! Walks the chains and finds where the first one breaks.

use std::collections::BTreeSet;

use rivergen_kernel::Result;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Chain, GENESIS, hash, heads, log};
use crate::Database;

/// How many records are in memory at once.
const BATCH: u64 = 1000;

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub chains: u64,
    /// Records that were read and found whole; those after a break are not read.
    pub records: u64,
    pub first_break: Option<Break>,
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    pub chain: Chain,
    /// The position at which it breaks: the first record that is wrong or missing.
    pub sequence: i64,
    pub reason: BreakReason,
}

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BreakReason {
    #[error("the record is missing")]
    Missing,
    #[error("the record was changed: its hash does not fit its fields")]
    Changed,
    #[error("the record does not follow the one before it")]
    NotLinked,
    #[error("the record stands beyond the head of its chain, or the head is missing")]
    BeyondHead,
    #[error("the head of the chain does not fit its last record")]
    HeadChanged,
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "chain {}, record {}: {}", self.chain, self.sequence, self.reason)
    }
}

/// Checks one chain, or all of them, and stops at the first break. Records that are written meanwhile do
/// not disturb it.
pub async fn verify(db: &Database, only: Option<Chain>) -> Result<Report> {
    let chains = match only {
        Some(chain) => BTreeSet::from([chain]),
        None => all_chains(db).await?,
    };
    let mut report = Report { chains: 0, records: 0, first_break: None };
    for chain in chains {
        report.chains += 1;
        if let Err(broken) = verify_chain(db, chain, &mut report.records).await? {
            report.first_break = Some(broken);
            break;
        }
    }
    Ok(report)
}

/// From both tables: a chain whose head was removed must not go unseen.
async fn all_chains(db: &Database) -> Result<BTreeSet<Chain>> {
    let heads: Vec<i64> =
        heads::Entity::find().select_only().column(heads::Column::Chain).into_tuple().all(db.read()).await?;
    let logs: Vec<i64> =
        log::Entity::find().select_only().column(log::Column::Chain).distinct().into_tuple().all(db.read()).await?;
    Ok(heads.into_iter().chain(logs).map(Chain).collect())
}

async fn verify_chain(db: &Database, chain: Chain, records: &mut u64) -> Result<std::result::Result<(), Break>> {
    let broken = |sequence, reason| Ok(Err(Break { chain, sequence, reason }));
    // Both are written in one transaction, so a head that is read after the log is never behind it.
    let last = log::Entity::find()
        .filter(log::Column::Chain.eq(chain.0))
        .order_by_desc(log::Column::Sequence)
        .one(db.read())
        .await?
        .map_or(0, |row| row.sequence);
    let head = heads::Entity::find_by_id(chain.0).one(db.read()).await?;
    let (head_sequence, head_hash) = head.map_or((0, GENESIS.to_vec()), |head| (head.sequence, head.hash));
    if last > head_sequence {
        return broken(head_sequence + 1, BreakReason::BeyondHead);
    }

    let mut sequence = 0;
    let mut previous = GENESIS.to_vec();
    while sequence < head_sequence {
        // Index audit_log_chain (chain, sequence).
        let batch = log::Entity::find()
            .filter(log::Column::Chain.eq(chain.0))
            .filter(log::Column::Sequence.gt(sequence))
            .filter(log::Column::Sequence.lte(head_sequence))
            .order_by_asc(log::Column::Sequence)
            .limit(BATCH)
            .all(db.read())
            .await?;
        if batch.is_empty() {
            return broken(sequence + 1, BreakReason::Missing);
        }
        for row in batch {
            sequence += 1;
            if row.sequence != sequence {
                return broken(sequence, BreakReason::Missing);
            }
            if row.hash != hash(&row) {
                return broken(sequence, BreakReason::Changed);
            }
            if row.previous_hash != previous {
                return broken(sequence, BreakReason::NotLinked);
            }
            previous = row.hash;
            *records += 1;
        }
    }
    if previous != head_hash {
        return broken(sequence, BreakReason::HeadChanged);
    }
    Ok(Ok(()))
}
