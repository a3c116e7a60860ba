//! The operations of data sources that depend on what the caller may see inside them (`query`, `test` with a statement of
//! the caller's, `schemas`, `statistics`, `drift`), the history of what was run, and those of policies that need what
//! policies are about: `simulate`, `explain` and `detokenize`.

mod detokenize;
mod drift;
mod explain;
mod history;
mod query;
mod result;
mod schemas;
mod simulate;
mod statistics;
mod tags;
mod test;

pub use history::require_audit;
pub use query::{PolicyOfQuery, RESPOND_ASYNC, prefers_to_go_on};

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Engine;

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Engine> {
    OpenApiRouter::new()
        .routes(routes!(query::query_data_source))
        .routes(routes!(test::test_connection))
        .routes(routes!(history::list_queries))
        .routes(routes!(history::get_query))
        .routes(routes!(history::cancel_query))
        .routes(routes!(result::get_query_result))
        .routes(routes!(simulate::simulate_policies))
        .routes(routes!(explain::explain_policies))
        .routes(routes!(detokenize::detokenize))
        .routes(routes!(tags::list_column_tags, tags::set_column_tags))
        .routes(routes!(tags::propose_column_tags))
        .routes(routes!(schemas::get_schemas))
        .routes(routes!(statistics::get_statistics))
        .routes(routes!(drift::get_drift))
}
