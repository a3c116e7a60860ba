//! What a database can answer with the same answer is left to the database, in one statement.
//!
//! ```text
//!   Projection upper(name)            stays here: the database's upper() is not ours
//!     Sort n DESC                ┐
//!       Aggregate region, count  │    SELECT … FROM a JOIN b ON … WHERE … GROUP BY … ORDER BY …
//!         Join a.id = b.id       │    leaves as one statement
//!           Filter, Scan a, Scan b ┘
//! ```
//!
//! `datafusion-federation` finds the largest sub-plans whose tables belong to one database and hands them to
//! [`provider`]; there each sub-plan that [`plan`] can write as SQL is replaced by one remote scan. What it can
//! write is an allow-list, and the list is the writer itself: an expression has SQL only where that SQL means the
//! same, for every value, as it does in the engine, and never raises an error where the engine would not. (An
//! error is an answer too: a predicate that fails on a row which a policy hides tells of the row.) So integer
//! arithmetic, division, most casts, case folding, and the order of texts under a linguistic collation stay here;
//! sums and products of decimals go where they are exact and their digits suffice.
//! Each text, number and identifier is written by [`dialect`], and each sub-select is aliased and its columns
//! numbered, so that no name of a caller or of a table can be mistaken for another.
//!
//! A plain scan with filters and a limit needs no federation: the tables take these by themselves, also in a
//! session without it.

mod aggregate;
mod cells;
mod deliver;
mod dialect;
mod exec;
mod expr;
mod opened;
mod plan;
mod provider;
pub(crate) mod standard_catalog;
mod table;

use std::fmt;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;

pub(crate) use cells::{Binary, Cells, Moments, Notation};
pub(crate) use deliver::{Batches, delivered};
pub use dialect::Dialect;
pub use exec::RemoteExec;
pub(crate) use opened::{Catalogued, OpenedDatabase, Wanted};
pub(crate) use table::moment;
pub use table::{Comparable, RemoteColumn, RemoteTable};

/// A database that answers SQL with record batches.
pub trait RemoteDatabase: Send + Sync + 'static {
    /// Unlike any other's; tables of one identity are joined inside the database.
    fn identity(&self) -> &str;

    fn dialect(&self) -> Dialect;

    /// Runs a statement once the stream is polled, and stops it when the stream is dropped. The columns are
    /// read by position, as the types of `schema`.
    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream;
}

/// By who it is alone: what else is behind it are credentials and connections.
impl fmt::Debug for dyn RemoteDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteDatabase").field("identity", &self.identity()).finish_non_exhaustive()
    }
}
