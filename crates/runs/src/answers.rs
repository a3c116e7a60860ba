//! Answers that are given again: to whoever asks the same, may see the same, and says how old an answer may be.
//!
//! What an answer is kept under holds all that it depends on but the content of the tables: the organization, the sources and
//! their versions, the statement with its parameters, and the decisions on every table that is read, the caller's attributes
//! in them. So a colleague with other rows, and the same person after a policy has changed, find nothing. Everything else
//! happens as for a query that runs: permission, policies, limits, record. Kept in the memory of this node.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use rivergen_kernel::Tenant;
use rivergen_sources::source;
use sha2::{Digest, Sha256};

use crate::engine::{Form, Run};

/// No answer is given again after it.
pub(crate) const LONGEST_AGE: Duration = Duration::from_secs(3600);

/// The answers of one kind that are kept; cheap to clone.
#[derive(Clone)]
pub(crate) struct Answers<T> {
    kept: Cache<Vec<u8>, Arc<Known<T>>>,
}

/// An answer, and when it was computed.
pub(crate) struct Known<T> {
    pub answer: T,
    /// Of the rows that it has, or was computed from.
    pub byte_count: u64,
    computed_at: DateTime<Utc>,
}

/// What somebody asks who takes an earlier answer.
pub(crate) struct Asked {
    /// What the answer depends on.
    key: Vec<u8>,
    max_age: Duration,
}

impl Asked {
    pub fn of(run: &Run<'_>) -> Option<Self> {
        let max_age = run.max_age.filter(|_| run.form != Form::Download)?.min(LONGEST_AGE);
        let parameters = serde_json::to_string(run.parameters).ok()?;
        let key = format!("{:?}", (run.sql, parameters, run.default_schema, run.max_rows)).into_bytes();
        Some(Self { key, max_age })
    }

    /// With all else that it depends on.
    pub fn under(self, tenant: Tenant, sources: &[source::Model], governance: &[u8]) -> Self {
        let versions: Vec<_> =
            sources.iter().map(|source| (source.id, source.updated_at, source.schema_discovered_at)).collect();
        let mut hash = Sha256::new();
        hash.update(format!("{:?} {versions:?} ", tenant.organization_id()));
        hash.update(governance);
        hash.update(&self.key);
        Self { key: hash.finalize().to_vec(), ..self }
    }
}

impl<T: Clone + Send + Sync + 'static> Answers<T> {
    /// Holds answers of so many bytes, none where it is 0; `bytes_of` tells those of one, beside what each takes.
    pub fn new(bytes: u64, bytes_of: fn(&Known<T>) -> u64) -> Self {
        let weight = move |_: &Vec<u8>, known: &Arc<Known<T>>| {
            u32::try_from(bytes_of(known).saturating_add(1_000)).unwrap_or(u32::MAX)
        };
        Self { kept: Cache::builder().max_capacity(bytes).weigher(weight).time_to_live(LONGEST_AGE).build() }
    }

    pub fn find(&self, asked: &Asked, now: DateTime<Utc>) -> Option<Arc<Known<T>>> {
        let known = self.kept.get(&asked.key)?;
        let age = (now - known.computed_at).to_std().unwrap_or_default();
        (age <= asked.max_age).then_some(known)
    }

    pub fn keep(&self, asked: Asked, answer: T, byte_count: u64, computed_at: DateTime<Utc>) {
        self.kept.insert(asked.key, Arc::new(Known { answer, byte_count, computed_at }));
    }
}
