//! The operations of data sources that run SQL: `query`, and `test` with a statement of the caller's.

mod query;

pub use query::PolicyOfQuery;
mod test;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Engine;

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Engine> {
    OpenApiRouter::new().routes(routes!(query::query_data_source)).routes(routes!(test::test_connection))
}
