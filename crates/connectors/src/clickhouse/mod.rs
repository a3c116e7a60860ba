//! ClickHouse over HTTP.
//!
//! A source is one database, which is its one schema. Results stream as Arrow. Each statement is read-only, ends after
//! the source's query timeout, and brings the settings that the meaning of our SQL hangs on, so that a profile of the
//! server cannot change an answer. One that nobody waits for any more is killed.

mod arrow;
mod catalog;
mod server;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::OpenedDatabase;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields,
};
use server::{Server, Settings};

/// Reads ClickHouse 23.8 and later.
#[derive(Debug, Default)]
pub struct Clickhouse {}

#[async_trait]
impl Connector for Clickhouse {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Clickhouse
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true }
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "title": "Host"},
                "port": {"type": "integer", "title": "HTTP port", "default": 8123, "minimum": 1, "maximum": 65535, "description": "Commonly 8443 with TLS and 8123 without."},
                "database_name": {"type": "string", "title": "Database"},
                "connection_string": {"type": "string", "title": "Connection string", "writeOnly": true, "description": "https://user:password@host:port/database, instead of the fields above."},
                "connection_pool_size": {"type": "integer", "title": "Statements at once at most", "default": 5, "minimum": 1, "maximum": 100},
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
                        "sslmode": {"type": "string", "title": "TLS", "enum": ["verify-full", "disable"], "default": "verify-full"},
                        "ssl_root_certificate": {"type": "string", "title": "Root certificate (PEM)", "description": "Instead of the system's."}
                    }
                }
            },
            "anyOf": [{"required": ["host", "port", "database_name", "credentials"]}, {"required": ["connection_string"]}]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || Settings::read(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        Ok(Arc::new(OpenedDatabase::new(Server::new(source)?)))
    }
}
