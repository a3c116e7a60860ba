//! SQL services over HTTP, against their public protocols over DuckDB.

mod snowflake;
#[path = "../support/mod.rs"]
mod support;
mod trino;
