//! The one list of kinds that this build can read.

use std::sync::Arc;

use rivergen_kernel::error::FieldError;

use crate::{
    Connector, ConnectorError, Credentials, DataSourceType, SourceConfig, api, aws, bigquery, cassandra, clickhouse,
    databricks, files, kafka, mongodb, mssql, mysql, neo4j, objects, oracle, postgres, redis, search, snowflake,
    sqlite, trino, tunnel,
};

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
            Arc::new(oracle::Oracle),
            Arc::new(clickhouse::Clickhouse::default()),
            Arc::new(trino::Trino::default()),
            Arc::new(snowflake::Snowflake::default()),
            Arc::new(bigquery::Bigquery::default()),
            Arc::new(databricks::Databricks::default()),
            Arc::new(sqlite::Sqlite::default()),
        ];
        connectors.extend(files::connectors());
        connectors.extend(objects::connectors());
        connectors.extend(aws::connectors());
        connectors.extend(search::connectors());
        connectors.push(Arc::new(cassandra::Cassandra));
        connectors.push(Arc::new(kafka::Kafka));
        connectors.push(Arc::new(mongodb::Mongodb));
        connectors.push(Arc::new(neo4j::Neo4j));
        connectors.push(Arc::new(redis::Redis));
        connectors.push(Arc::new(api::rest::Rest));
        connectors.push(Arc::new(api::graphql::Graphql));
        Self { connectors: connectors.into() }
    }

    /// The connector of a kind; an error that says so where this build has none.
    pub fn connector(&self, kind: DataSourceType) -> Result<&Arc<dyn Connector>, ConnectorError> {
        self.connectors.iter().find(|connector| connector.kind() == kind).ok_or_else(|| {
            let known: Vec<_> = self.kinds().map(DataSourceType::as_str).collect();
            ConnectorError::Unsupported(format!("this build has no connector for {kind}; it has {}", known.join(", ")))
        })
    }

    /// What is wrong with a configuration, before anything is connected to. Empty means nothing.
    pub fn validate(
        &self,
        config: &SourceConfig,
        credentials: &Credentials,
    ) -> Result<Vec<FieldError>, ConnectorError> {
        let mut faults = self.connector(config.kind)?.validate(config, credentials);
        faults.extend(tunnel::validate(config, credentials));
        Ok(faults)
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Where a field of the API stands in a form.
    fn place<'a>(form: &'a Value, field: &str) -> &'a Value {
        match field.split_once('.') {
            Some((object, name)) => &form["properties"][object]["properties"][name],
            None => &form["properties"][field],
        }
    }

    #[test]
    fn every_form_has_what_its_kind_needs_and_shows_no_secret() {
        for connector in Registry::new().connectors.iter() {
            let (kind, form) = (connector.kind(), connector.form());
            let required = kind.required();
            for field in required.all.iter().chain(required.one_of) {
                assert!(place(&form, field).is_object(), "{kind} has no {field} in its form");
            }
            assert!(!required.or_connection_string || place(&form, "connection_string").is_object(), "{kind}");
            for secret in
                ["connection_string", "credentials.password", "credentials.api_key", "credentials.oauth_token"]
            {
                let shown = place(&form, secret);
                assert!(shown.is_null() || shown["writeOnly"] == true, "{kind} shows {secret}");
            }
            let port = &place(&form, "port")["default"];
            assert!(port.is_null() || port.as_u64() == kind.default_port().map(u64::from), "{kind}");
            assert!(!connector.validate(&SourceConfig::new(kind), &Credentials::default()).is_empty(), "{kind}");
        }
    }

    #[test]
    fn a_kind_has_one_connector() {
        let mut kinds: Vec<_> = Registry::new().kinds().collect();
        let all = kinds.len();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), all);
    }
}
