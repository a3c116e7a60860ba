//! The operations of data sources that run SQL (`query`, and `test` with a statement of the caller's), and those of
//! policies that need what policies are about: `simulate`, `explain` and `detokenize`.

mod detokenize;
mod explain;
mod query;
mod simulate;
mod tags;

pub use query::PolicyOfQuery;
mod test;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Engine;

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Engine> {
    OpenApiRouter::new()
        .routes(routes!(query::query_data_source))
        .routes(routes!(test::test_connection))
        .routes(routes!(simulate::simulate_policies))
        .routes(routes!(explain::explain_policies))
        .routes(routes!(detokenize::detokenize))
        .routes(routes!(tags::list_column_tags, tags::set_column_tags))
        .routes(routes!(tags::propose_column_tags))
}
