//! Every kind of source, each against the real server where one installs and else against what speaks its protocol.
//!
//! One binary: each module alone would link the query engine and all clients once more.

mod athena;
mod aws;
mod cassandra;
mod clickhouse;
mod files;
mod graphql;
mod kafka;
mod mongodb;
mod mssql;
mod mysql;
mod neo4j;
mod objects;
mod oracle;
mod postgres;
mod redis;
mod rest;
mod search;
mod sqlite;
mod starts;
mod support;
mod tls_by_default;
mod warehouses;
