//! The governed engine: SQL over exactly what one caller may see.
//!
//! ```text
//! Session::open(tables with their decisions, limits)      a catalogue of governed views and nothing else
//!   └ session.plan(sql, parameters)                       one read-only statement, policies inside the plan
//!       └ planned.run()                                   a stream of batches, held to the limits
//! ```
//!
//! What it promises, and what the property tests in `tests/leak_oracle` hold it to: the answer to a query, its
//! success included, is the answer that the same query would have over copies of the tables to which the policies had
//! been applied beforehand. Nothing of a hidden row, a hidden column or a masked value is in it.
//!
//! - [`view`]: a table behind its policies, as a plan: scan, row filter, masks.
//! - [`total`]: which expressions have an answer for every row, and so may meet hidden ones; [`barrier`] keeps out the rest.
//! - [`statement`], [`functions`]: what may be said at all; [`growth`]: how much may be made of it.
//! - [`federate`]: what may be said to a source in its own SQL.
//! - [`session`], [`answer`]: the way from text to rows; [`json`] and [`encode`] their forms, [`decode`] the way back.
//! - [`threads`]: where all that is computed.

pub mod answer;
pub mod barrier;
pub mod decode;
pub mod encode;
pub mod error;
pub mod expression;
pub mod federate;
pub mod filter;
pub mod functions;
pub mod growth;
mod interrupt;
pub mod json;
pub mod lineage;
pub mod mask;
mod nulls;
mod partitions;
pub mod session;
pub mod statement;
pub mod threads;
pub mod total;
pub mod view;

pub use answer::{Answer, JsonAnswer, Outcome, Planned, QueryColumn, Read, bytes_of};
pub use decode::ArrowReader;
pub use encode::{Encoder, Encoding};
pub use error::QueryError;
pub use session::{Limits, Session, SessionSpec};
pub use threads::{QueryRuntime, QueryThreads};
pub use view::GovernedTable;
