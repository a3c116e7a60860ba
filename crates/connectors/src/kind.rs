//! The kinds of data sources: their names, categories, default ports and what a configuration of them must hold.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The group that a kind is shown under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataSourceCategory {
    SQL,
    NoSQL,
    Cloud,
    Files,
    Streaming,
    API,
}

/// What a configuration of a kind must hold. Fields are named as in the API; `credentials.` and `metadata.` name
/// the members of those objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredFields {
    /// All of these, unless an alternative is given.
    pub all: &'static [&'static str],
    /// At least one of these as well; empty where there is no such rule.
    pub one_of: &'static [&'static str],
    /// A `connection_string` does instead of host, port, database and credentials.
    pub or_connection_string: bool,
}

macro_rules! kinds {
    ($($variant:ident $name:literal $category:ident $port:expr, [$($all:literal),*] [$($one_of:literal),*] $string:literal;)+) => {
        /// A kind of data source, as the API names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum DataSourceType { $(#[serde(rename = $name)] $variant),+ }

        impl DataSourceType {
            /// Every kind, in the contract's order.
            pub const ALL: &'static [DataSourceType] = &[$(DataSourceType::$variant),+];

            /// The name in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            pub const fn category(self) -> DataSourceCategory {
                match self { $(Self::$variant => DataSourceCategory::$category),+ }
            }

            /// The port that is meant where none is given.
            pub const fn default_port(self) -> Option<u16> {
                match self { $(Self::$variant => $port),+ }
            }

            pub const fn required(self) -> RequiredFields {
                match self { $(Self::$variant => RequiredFields {
                    all: &[$($all),*], one_of: &[$($one_of),*], or_connection_string: $string,
                }),+ }
            }
        }
    };
}

kinds! {
    Postgresql "postgresql" SQL Some(5432), ["host", "port", "database_name", "credentials.username", "credentials.password"] [] true;
    Mysql "mysql" SQL Some(3306), ["host", "port", "database_name", "credentials.username", "credentials.password"] [] true;
    Mariadb "mariadb" SQL Some(3306), ["host", "port", "database_name", "credentials.username", "credentials.password"] [] true;
    Mssql "mssql" SQL Some(1433), ["host", "port", "database_name", "credentials.username", "credentials.password"] [] true;
    Oracle "oracle" SQL Some(1521), ["host", "port", "database_name", "credentials.username", "credentials.password"] [] true;
    Sqlite "sqlite" SQL None, ["file_path"] [] false;
    Cockroachdb "cockroachdb" SQL Some(26257), ["host", "port", "database_name", "credentials.username"] [] true;
    Timescaledb "timescaledb" SQL Some(5432), ["host", "port", "database_name", "credentials.username", "credentials.password"] [] true;
    Clickhouse "clickhouse" SQL Some(8123), ["host", "port", "database_name", "credentials.username"] [] true;
    Trino "trino" SQL Some(8080), ["host", "port", "database_name", "credentials.username"] [] false;
    Mongodb "mongodb" NoSQL Some(27017), ["host", "port", "database_name"] [] true;
    Cassandra "cassandra" NoSQL Some(9042), ["host", "port", "database_name"] [] false;
    Redis "redis" NoSQL Some(6379), ["host", "port"] [] true;
    Dynamodb "dynamodb" NoSQL None, ["metadata.region", "credentials.username", "credentials.password"] [] false;
    Elasticsearch "elasticsearch" NoSQL Some(9200), ["host", "port"] ["credentials.api_key", "credentials.username"] false;
    Opensearch "opensearch" NoSQL Some(9200), ["host", "port"] ["credentials.api_key", "credentials.username"] false;
    Neo4j "neo4j" NoSQL Some(7687), ["host", "port", "credentials.username", "credentials.password"] [] false;
    Snowflake "snowflake" Cloud Some(443), ["host", "database_name", "credentials.username", "credentials.warehouse"] ["credentials.password", "credentials.oauth_token"] false;
    Bigquery "bigquery" Cloud None, ["database_name", "credentials.oauth_token"] [] false;
    Redshift "redshift" Cloud Some(5439), ["host", "port", "database_name", "credentials.username", "credentials.password"] [] true;
    Databricks "databricks" Cloud Some(443), ["host", "credentials.warehouse", "credentials.api_key"] [] false;
    Synapse "synapse" Cloud Some(1433), ["host", "port", "database_name", "credentials.username", "credentials.password"] [] false;
    Athena "athena" Cloud None, ["metadata.region", "database_name", "credentials.username", "credentials.password"] [] false;
    S3 "s3" Cloud None, ["metadata.bucket", "metadata.region", "credentials.username", "credentials.password"] [] false;
    Gcs "gcs" Cloud None, ["metadata.bucket", "credentials.oauth_token"] [] false;
    AzureBlob "azure_blob" Cloud None, ["metadata.container", "credentials.username", "credentials.password"] [] false;
    Minio "minio" Cloud Some(9000), ["host", "port", "metadata.bucket", "credentials.username", "credentials.password"] [] false;
    Csv "csv" Files None, ["file_path"] [] false;
    Tsv "tsv" Files None, ["file_path"] [] false;
    Excel "excel" Files None, ["file_path"] [] false;
    Json "json" Files None, ["file_path"] [] false;
    Jsonl "jsonl" Files None, ["file_path"] [] false;
    Parquet "parquet" Files None, ["file_path"] [] false;
    Avro "avro" Files None, ["file_path"] [] false;
    Kafka "kafka" Streaming Some(9092), ["host", "port", "metadata.topic"] [] false;
    Kinesis "kinesis" Streaming None, ["metadata.region", "metadata.stream", "credentials.username", "credentials.password"] [] false;
    RestApi "rest_api" API Some(443), ["connection_string"] ["credentials.api_key", "credentials.oauth_token", "credentials.username"] false;
    Graphql "graphql" API Some(443), ["connection_string"] ["credentials.api_key", "credentials.oauth_token"] false;
}

impl fmt::Display for DataSourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DataSourceType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| format!("{name} is not a kind of data source"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_serialized_alike() {
        assert_eq!(DataSourceType::ALL.len(), 38);
        for kind in DataSourceType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!("postgres".parse::<DataSourceType>().is_err());
    }
}
