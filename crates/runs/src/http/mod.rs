//! The operations of data sources that depend on what the caller may see inside them: `query`, `test` with a statement of
//! the caller's, `schemas` and `drift`.

mod drift;
mod query;
mod schemas;
mod test;

pub use query::PolicyOfQuery;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Engine;

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Engine> {
    OpenApiRouter::new()
        .routes(routes!(query::query_data_source))
        .routes(routes!(test::test_connection))
        .routes(routes!(schemas::get_schemas))
        .routes(routes!(drift::get_drift))
}
