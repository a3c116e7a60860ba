//! Why a measurement could not be made.

use std::{io, path::PathBuf};

pub type Result<T, E = BenchError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("{program} could not be started: {source}")]
    Start { program: PathBuf, source: io::Error },
    #[error("the server did not become ready; its log:\n{log}")]
    NotReady { log: String },
    #[error("`{command}` failed: {output}")]
    Command { command: String, output: String },
    #[error("an answer is not what was asked for: {0}")]
    Answer(String),
    #[error("DuckDB: {0}")]
    DuckDb(String),
    #[error("{case}: {left} and {right} differ: {left_rows} against {right_rows}")]
    Different { case: &'static str, left: &'static str, right: &'static str, left_rows: String, right_rows: String },
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("Argon2: {0}")]
    Argon2(String),
    #[error("the database: {0}")]
    Database(Box<dyn std::error::Error + Send + Sync>),
    #[error("the database: {0}")]
    Sql(#[from] sea_orm::DbErr),
    /// With what the server says: the driver's own words are few.
    #[error("PostgreSQL: {0:?}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the data could not be written: {0}")]
    Data(#[from] rivergen::demo::data::DataError),
    #[error("the data could not be written: {0}")]
    Parquet(#[from] datafusion::parquet::errors::ParquetError),
    #[error("the data could not be written: {0}")]
    Arrow(#[from] datafusion::arrow::error::ArrowError),
    #[error("the data could not be opened: {0}")]
    Connector(#[from] rivergen_connectors::ConnectorError),
    #[error("the files could not be opened: {0}")]
    Store(#[from] object_store::Error),
    #[error("the network's guard could not be made: {0}")]
    Outbound(Box<dyn std::error::Error + Send + Sync>),
    #[error("the query failed: {0}")]
    DataFusion(#[from] datafusion::error::DataFusionError),
    #[error("the query failed: {0}")]
    Query(#[from] rivergen_query::QueryError),
    #[error("the policy is not one: {0}")]
    Policy(#[from] rivergen_policies::rule::ConfigError),
}

impl BenchError {
    pub fn database(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Database(Box::new(error))
    }

    pub fn outbound(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Outbound(Box::new(error))
    }
}
