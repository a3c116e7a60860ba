//! One chain, followed record by record. What holds a chain together is checked here and nowhere else, whether its records
//! come from the database ([`super::verify`]) or from an export ([`super::verify_export`]).

use super::{Chain, GENESIS, hash, log};

/// Where a chain ends: its last record's position and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub chain: Chain,
    pub sequence: i64,
    pub hash: Vec<u8>,
}

impl Head {
    /// That of a chain without records.
    pub(super) fn before_the_first(chain: Chain) -> Self {
        Self { chain, sequence: 0, hash: GENESIS.to_vec() }
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: record {}, {}", self.chain, self.sequence, hex::encode(&self.hash))
    }
}

/// How much of a chain there is to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it: each record stands behind the one before it, and the last one is the head.
    Whole,
    /// What a filter chose: each record by itself, and the links where two stand side by side.
    Selected,
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
    #[error("the record stands here a second time, or out of order")]
    OutOfOrder,
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

/// Stands at a record of a chain and takes the next one.
pub(super) struct Follower {
    extent: Extent,
    /// The last record that held.
    at: Head,
}

impl Follower {
    pub fn new(chain: Chain, extent: Extent) -> Self {
        Self { extent, at: Head::before_the_first(chain) }
    }

    pub fn at(&self) -> &Head {
        &self.at
    }

    /// Takes the next record of the chain.
    pub fn follow(&mut self, row: &log::Model) -> Result<(), Break> {
        let expected = self.at.sequence.saturating_add(1);
        if row.sequence < expected || self.at.sequence == i64::MAX {
            return self.broken(row.sequence, BreakReason::OutOfOrder);
        }
        if row.sequence > expected && self.extent == Extent::Whole {
            return self.broken(expected, BreakReason::Missing);
        }
        if row.hash != hash(row) {
            return self.broken(row.sequence, BreakReason::Changed);
        }
        if row.sequence == expected && row.previous_hash != self.at.hash {
            return self.broken(row.sequence, BreakReason::NotLinked);
        }
        self.at = Head { chain: self.at.chain, sequence: row.sequence, hash: row.hash.clone() };
        Ok(())
    }

    /// Compares the end of the chain with what is known of it elsewhere.
    pub fn end(&self, head: &Head) -> Result<(), Break> {
        if head.sequence < self.at.sequence {
            return self.broken(head.sequence.saturating_add(1), BreakReason::BeyondHead);
        }
        if head.sequence > self.at.sequence {
            return match self.extent {
                Extent::Whole => self.broken(self.at.sequence.saturating_add(1), BreakReason::Missing),
                Extent::Selected => Ok(()),
            };
        }
        if head.hash != self.at.hash {
            return self.broken(self.at.sequence, BreakReason::HeadChanged);
        }
        Ok(())
    }

    fn broken(&self, sequence: i64, reason: BreakReason) -> Result<(), Break> {
        Err(Break { chain: self.at.chain, sequence, reason })
    }
}
