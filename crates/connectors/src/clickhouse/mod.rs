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
    check_fields, form,
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
        Abilities::ALL
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": form::text("Host"),
                "port": {"type": "integer", "title": "HTTP port", "default": 8123, "minimum": 1, "maximum": 65535, "description": "Usually 8443 with TLS and 8123 without."},
                "database_name": form::text("Database"),
                "connection_string": form::connection_string("https://user:password@host:port/database"),
                "connection_pool_size": form::pool_size("Maximum statements at once"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": form::user_and_password(),
                "metadata": {
                    "type": "object",
                    "properties": {
                        "sslmode": form::tls(),
                        "ssl_root_certificate": form::described(form::root_certificate(), "Instead of the system's.")
                    }
                }
            },
            "anyOf": form::fields_or_connection_string()
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || Settings::read(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        Ok(Arc::new(OpenedDatabase::new(Server::new(source)?)))
    }
}
