//! SQL services over HTTP, against their public protocols over DuckDB.

#[path = "../support/mod.rs"]
mod support;

mod bigquery;
mod databricks;
mod snowflake;
mod trino;
