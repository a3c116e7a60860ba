//! The operations of data sources that run SQL: `query`, and `test` with a statement of the caller's; and the history
//! of what was run.

mod history;
mod query;
mod test;

pub use query::PolicyOfQuery;

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
}
