//! The one list of kinds that this build can read.

use std::sync::Arc;

use crate::{Connector, ConnectorError, DataSourceType, files, mssql, mysql, objects, postgres, sqlite};

/// Finds the connector of a kind.
#[derive(Debug, Clone)]
pub struct Registry {
    connectors: Arc<[Arc<dyn Connector>]>,
}

impl Registry {
    /// All connectors of this build.
    pub fn new() -> Self {
        let mut connectors: Vec<Arc<dyn Connector>> = vec![
            Arc::new(postgres::Postgres::POSTGRESQL),
            Arc::new(postgres::Postgres::TIMESCALEDB),
            Arc::new(postgres::Postgres::COCKROACHDB),
            Arc::new(postgres::Postgres::REDSHIFT),
            Arc::new(mysql::Mysql::MYSQL),
            Arc::new(mysql::Mysql::MARIADB),
            Arc::new(mssql::Mssql::MSSQL),
            Arc::new(mssql::Mssql::SYNAPSE),
            Arc::new(sqlite::Sqlite::default()),
        ];
        connectors.extend(files::connectors());
        connectors.extend(objects::connectors());
        Self { connectors: connectors.into() }
    }

    /// The connector of a kind; an error that says so where this build has none.
    pub fn connector(&self, kind: DataSourceType) -> Result<&Arc<dyn Connector>, ConnectorError> {
        self.connectors.iter().find(|connector| connector.kind() == kind).ok_or_else(|| {
            let known: Vec<_> = self.kinds().map(DataSourceType::as_str).collect();
            ConnectorError::Unsupported(format!("this build has no connector for {kind}; it has {}", known.join(", ")))
        })
    }

    /// The kinds that can be read.
    pub fn kinds(&self) -> impl Iterator<Item = DataSourceType> {
        self.connectors.iter().map(|connector| connector.kind())
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}
