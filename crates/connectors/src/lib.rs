//! Connectors: each turns the configuration of a data source into tables that the query engine can scan.
//!
//! ```text
//! Registry ── connector(kind) ─▶ Connector ── open(SourceContext) ─▶ OpenedSource
//!                                validate, form                     probe, discover, open_table ─▶ TableProvider
//! ```
//!
//! A [`Connector`] knows a kind; an [`OpenedSource`] holds what is dear to make (pool, schema, file) and is meant
//! to be kept in a cache: dropping it closes everything. The tables of an SQL database are *federated*: what can
//! be asked of the database with the same answer (filters, joins, aggregates, sorting) leaves as one SQL
//! statement, and what cannot is done here ([`pushdown`]). Files are read through the object store that the
//! context hands in, pruned by their statistics.
//!
//! This room knows nothing of tenants, HTTP or the control database. It trusts its caller to have checked that
//! the source is the caller's, and the network to nobody: every address passes the context's [`AddressGuard`].

mod background;
mod config;
mod connector;
mod dial;
mod error;
mod form;
mod guard;
mod http;
mod kind;
mod leaf;
mod messages;
mod registry;
mod relay;
pub mod retry;
mod server;
mod sessions;
mod statements;
mod tls;
pub mod tunnel;
mod verification;

pub mod api;
pub mod aws;
pub mod bigquery;
pub mod cassandra;
pub mod clickhouse;
pub mod databricks;
pub mod documents;
pub mod files;
pub mod kafka;
pub mod mongodb;
pub mod mssql;
pub mod mysql;
pub mod neo4j;
pub mod objects;
pub mod oracle;
pub mod postgres;
pub mod pushdown;
pub mod redis;
pub mod search;
pub mod snowflake;
pub mod sqlite;
pub mod trino;

pub use config::{Credentials, SourceConfig};
pub(crate) use config::{check_fields, check_required};
pub use connector::{
    Abilities, Connector, DiscoveredColumn, DiscoveredSchema, DiscoveredTable, ForeignKey, OpenedSource, Progress,
    SourceContext, TableKind, TestOutcome,
};
pub use error::{ConnectorError, Step};
pub use guard::{AddressGuard, Blocked};
pub use kind::{DataSourceCategory, DataSourceType, RequiredFields};
pub use registry::Registry;
pub use verification::{Verification, VerifiedWith};
