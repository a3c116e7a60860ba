//! Runs of governed queries: who asks, which sources, which SQL; rows come back, and a record of each run
//! stays, however it ends.
//!
//! Between the registry of sources, the policies and the pure engine of `query`: [`catalogue`] puts together
//! what one caller may see, [`engine`] runs a statement over it, [`http`] has the operations.

mod answers;
mod batches;
pub mod catalogue;
pub mod engine;
pub mod fit;
mod hash_key;
pub mod http;
mod lookups;
pub mod migrations;
mod places;
pub mod results;
pub mod retention;
mod running;
mod sample;
mod seen;
mod told;

pub use engine::{Bounds, Engine, Estimate, Form, Run, RunAnswer, Settings, Started};
pub use places::Capacity;
pub use rivergen_query::{QueryRuntime, QueryThreads};
