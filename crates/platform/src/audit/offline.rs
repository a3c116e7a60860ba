//! Verifies an export without a database: line by line, each chain by itself.
//!
//! A whole export must hold from the first record of each chain to its head. What a filter chose is verified as far as it
//! goes, and whoever calls says that it is that: an export that was cut off must not pass for a filtered one.
//!
//! What nobody can find in one export alone is a chain that was written anew from some record to its head. The heads are in
//! the report for that: compare them with those that were noted down earlier.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead},
};

use super::{
    Chain,
    chain::{Break, Extent, Follower, Head},
    export::{Parsed, parse},
};

/// What [`verify_export`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// Records that were read and found whole; those after a fault are not read.
    pub records: u64,
    /// The last record of each chain.
    pub heads: Vec<Head>,
    pub fault: Option<Fault>,
}

/// What is wrong with an export, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1; beyond the last one where something is missing at the end.
    pub line: u64,
    pub reason: FaultReason,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultReason {
    #[error("it is not a whole line of an export: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Broken(Break),
    #[error("chain {0} goes on after its head")]
    AfterHead(Chain),
    #[error("the head of chain {0} is missing: its end was cut off, or a filter chose these records")]
    NoHead(Chain),
    #[error("there is no record and no head")]
    Empty,
}

/// Reads an export and stops at the first fault.
pub fn verify_export(lines: impl BufRead, extent: Extent) -> io::Result<ExportReport> {
    let mut reading = Reading { extent, records: 0, chains: BTreeMap::new(), ended: BTreeSet::new() };
    let mut line = 0;
    let mut fault = None;
    for text in lines.split(b'\n') {
        line += 1;
        let text = text?;
        let taken = match std::str::from_utf8(&text) {
            Ok(text) => reading.take(text),
            Err(error) => Err(FaultReason::Unreadable(error.to_string())),
        };
        if let Err(reason) = taken {
            fault = Some(Fault { line, reason });
            break;
        }
    }
    if fault.is_none() {
        fault = reading.end().err().map(|reason| Fault { line: line + 1, reason });
    }
    let heads = reading.chains.values().map(|follower| follower.at().clone()).collect();
    Ok(ExportReport { records: reading.records, heads, fault })
}

struct Reading {
    extent: Extent,
    records: u64,
    chains: BTreeMap<Chain, Follower>,
    /// Those whose head was read.
    ended: BTreeSet<Chain>,
}

impl Reading {
    fn take(&mut self, line: &str) -> Result<(), FaultReason> {
        let parsed = parse(line).map_err(FaultReason::Unreadable)?;
        let chain = match &parsed {
            Parsed::Record(row) => Chain(row.chain),
            Parsed::Head(head) => head.chain,
        };
        if self.ended.contains(&chain) {
            return Err(FaultReason::AfterHead(chain));
        }
        let follower = self.chains.entry(chain).or_insert_with(|| Follower::new(chain, self.extent));
        match parsed {
            Parsed::Record(row) => {
                follower.follow(&row).map_err(FaultReason::Broken)?;
                self.records += 1;
            }
            Parsed::Head(head) => {
                follower.end(&head).map_err(FaultReason::Broken)?;
                self.ended.insert(chain);
            }
        }
        Ok(())
    }

    fn end(&self) -> Result<(), FaultReason> {
        if self.extent == Extent::Selected {
            return Ok(());
        }
        match self.chains.keys().find(|chain| !self.ended.contains(chain)) {
            Some(chain) => Err(FaultReason::NoHead(*chain)),
            None if self.chains.is_empty() => Err(FaultReason::Empty),
            None => Ok(()),
        }
    }
}
