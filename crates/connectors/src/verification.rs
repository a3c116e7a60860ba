//! What each kind of source has been tried with: told by the API, shown by the console, and repeated by the documentation.
//!
//! Not every source is to be had for a test. Where there was none, what stood in for it says how far "it works" goes.

use serde::Serialize;

use crate::DataSourceType;

/// What stood on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifiedWith {
    /// The product that the kind is named after, or files as it writes them.
    Itself,
    /// Software of others that speaks as it does.
    Emulator,
    /// A server that was made for the tests, after the source's documents.
    StandIn,
}

/// What a kind has been tried with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verification {
    pub with: VerifiedWith,
    /// In words, with versions.
    pub against: &'static str,
}

impl DataSourceType {
    /// What its connector has been tried with.
    pub const fn verification(self) -> Verification {
        use VerifiedWith::{Emulator, Itself, StandIn};
        let (with, against) = match self {
            Self::Postgresql => (Itself, "PostgreSQL 15, with and without TLS"),
            Self::Timescaledb => (Emulator, "the protocol, by PostgreSQL 15"),
            Self::Cockroachdb | Self::Redshift => (Emulator, "the protocol alone; its own ways by its manual"),
            Self::Mysql => (Emulator, "MariaDB 10.11, with and without TLS"),
            Self::Mariadb => (Itself, "MariaDB 10.11, with and without TLS"),
            Self::Clickhouse => (Itself, "the engine of ClickHouse 26.9"),
            Self::Trino => (StandIn, "the client protocol, over DuckDB"),
            Self::Snowflake => (StandIn, "the API as documented, over fakesnow 0.12"),
            Self::Bigquery | Self::Databricks => (StandIn, "the API as documented, over DuckDB"),
            Self::Mssql => (
                Emulator,
                "the protocol by a server of others' for SQL Server's clients, with and without TLS; statements parsed by sqlglot as Transact-SQL, answered by DuckDB",
            ),
            Self::Synapse => (Emulator, "the protocol alone; its own ways by Microsoft's documents"),
            Self::Oracle => (
                StandIn,
                "no Oracle Database: a stand-in that Oracle's own client, python-oracledb 26.1, connects to and reads, with and without TLS; statements parsed by sqlglot as Oracle's, answered by DuckDB",
            ),
            Self::Sqlite => (Itself, "SQLite 3"),
            Self::Parquet => (Itself, "files of the Arrow writer"),
            Self::Csv | Self::Tsv | Self::Json | Self::Jsonl => (Itself, "generated files"),
            Self::Avro => (Itself, "files of fastavro, every codec"),
            Self::Excel => (Itself, "files of openpyxl, xlwt, odfpy"),
            Self::S3 | Self::Minio => (Emulator, "moto 5.2; a server of our own in tests"),
            Self::Gcs => (StandIn, "a server of our own in tests, by Google's documents"),
            Self::AzureBlob => (Emulator, "Azurite 3.35"),
            Self::RestApi => (StandIn, "servers of the tests with each way of paging"),
            Self::Graphql => (Itself, "graphql-yoga 5.24"),
            Self::Elasticsearch | Self::Opensearch => {
                (StandIn, "a stand-in made by their documentation: no server is to be had as a package")
            }
            Self::Mongodb => (StandIn, "a stand-in that speaks the wire protocol: no server is to be had as a package"),
            Self::Cassandra => (
                StandIn,
                "a stand-in made with another driver's library of the protocol: no server is to be had as a package",
            ),
            Self::Redis => (Itself, "Redis 7.0"),
            Self::Dynamodb | Self::Kinesis => (Emulator, "moto 5.2"),
            Self::Kafka => (
                Emulator,
                "librdkafka 2.16's mock cluster, every codec; for times, transactions and sign-in the test brokers of the client's library, SCRAM by a server of our own in tests",
            ),
            Self::Athena => {
                (Emulator, "the protocol, by moto 5.2, which runs no SQL, and a stand-in; its own ways by its manual")
            }
            Self::Neo4j => (StandIn, "a stand-in made by its documentation"),
        };
        Verification { with, against }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_says_what_each_kind_was_verified_against() {
        let documentation = include_str!("../../../docs/sources.md");
        for kind in DataSourceType::ALL {
            let row = documentation.lines().find(|line| {
                let kinds = line.strip_prefix("| ").and_then(|line| line.split(" | ").next()).unwrap_or_default();
                kinds.split(", ").any(|named| named == format!("`{kind}`")) && line.matches(" | ").count() == 3
            });
            let row = row.unwrap_or_else(|| panic!("docs/sources.md has no row for {kind}"));
            assert_eq!(row.trim_end_matches(" |").rsplit(" | ").next(), Some(kind.verification().against), "{kind}");
        }
    }
}
