//! PostgreSQL.
//!
//! Sessions are read-only (`default_transaction_read_only`), end a statement after the source's query timeout,
//! and call themselves `rivergen`. A result that nobody waits for any more is cancelled at the server; where the
//! cancellation does not arrive, the statement timeout ends it. Every connection goes to an address that the
//! guard has just permitted.

mod catalog;
mod decode;
mod pool;
mod session;
mod settings;
mod tls;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::RemoteTable;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, DiscoveredSchema, DiscoveredTable, OpenedSource,
    SourceConfig, SourceContext, check_required,
};
use pool::Pool;
use settings::Settings;

/// Reads PostgreSQL 12 and later.
#[derive(Debug, Default)]
pub struct Postgres {}

#[async_trait]
impl Connector for Postgres {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Postgresql
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true }
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "title": "Host"},
                "port": {"type": "integer", "title": "Port", "default": 5432, "minimum": 1, "maximum": 65535},
                "database_name": {"type": "string", "title": "Database"},
                "schema_name": {"type": "string", "title": "Schema", "description": "Only tables of this schema; all schemas where empty."},
                "connection_string": {"type": "string", "title": "Connection string", "writeOnly": true, "description": "postgresql://user:password@host:port/database?sslmode=…, instead of the fields above."},
                "connection_pool_size": {"type": "integer", "title": "Connections at most", "default": 5, "minimum": 1, "maximum": 100},
                "connection_timeout": {"type": "integer", "title": "Connection timeout (s)", "default": 30},
                "query_timeout": {"type": "integer", "title": "Query timeout (s)", "default": 300},
                "credentials": {
                    "type": "object",
                    "properties": {
                        "username": {"type": "string", "title": "User"},
                        "password": {"type": "string", "title": "Password", "writeOnly": true}
                    }
                },
                "metadata": {
                    "type": "object",
                    "properties": {
                        "sslmode": {"type": "string", "title": "TLS", "enum": settings::SSL_MODES, "default": "prefer"},
                        "ssl_root_certificate": {"type": "string", "title": "Root certificate (PEM)", "description": "Instead of the system's, for verify-ca and verify-full."}
                    }
                }
            },
            "anyOf": [{"required": ["host", "port", "database_name", "credentials"]}, {"required": ["connection_string"]}]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let missing = check_required(config, credentials);
        if !missing.is_empty() {
            return missing;
        }
        Settings::read(config, credentials).err().into_iter().collect()
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = Settings::read(&source.config, &source.credentials)
            .map_err(|wrong| ConnectorError::Unsupported(format!("{} {}", wrong.field, wrong.reason)))?;
        let pool = Pool::new(source.identity.clone(), settings, source.guard.clone())?;
        Ok(Arc::new(OpenedPostgres { pool, only_schema: source.config.schema_name.clone().filter(|s| !s.is_empty()) }))
    }
}

/// A pool of sessions, and what may be seen through it.
#[derive(Debug)]
struct OpenedPostgres {
    pool: Pool,
    only_schema: Option<String>,
}

#[async_trait]
impl OpenedSource for OpenedPostgres {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        let session = self.pool.session().await?;
        let row = session.client().query_one("SELECT current_setting('server_version')", &[]).await;
        let version: String = row.and_then(|row| row.try_get(0)).map_err(session::classify)?;
        session.finish();
        Ok(Some(format!("PostgreSQL {version}")))
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        if self.outside(schema) {
            return Ok(Vec::new());
        }
        let session = self.pool.session().await?;
        let schemas = catalog::read(session.client(), schema.or(self.only_schema.as_deref()), None).await?;
        session.finish();
        Ok(schemas)
    }

    async fn open_table(
        &self,
        schema: &str,
        table: &str,
        known: Option<&DiscoveredTable>,
    ) -> Result<Arc<dyn TableProvider>, ConnectorError> {
        let not_found = || ConnectorError::NotFound { what: format!("table {schema}.{table}") };
        if self.outside(Some(schema)) {
            return Err(not_found());
        }
        if let Some(provider) = known.and_then(|known| self.provider(schema, known)) {
            return Ok(provider);
        }
        let session = self.pool.session().await?;
        let found = catalog::read(session.client(), Some(schema), Some(table)).await?;
        session.finish();
        let found = found.into_iter().flat_map(|schema| schema.tables).next().ok_or_else(not_found)?;
        self.provider(schema, &found).ok_or_else(not_found)
    }
}

impl OpenedPostgres {
    fn outside(&self, schema: Option<&str>) -> bool {
        matches!((schema, &self.only_schema), (Some(schema), Some(only)) if schema != only)
    }

    fn provider(&self, schema: &str, table: &DiscoveredTable) -> Option<Arc<dyn TableProvider>> {
        let database = Arc::new(self.pool.clone());
        Some(RemoteTable::discovered(database, schema, table, None)?.into_provider())
    }
}
