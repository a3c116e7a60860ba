//! Trino by its client protocol over HTTP.
//!
//! A source is one catalogue of the cluster. A statement answers page by page; each page names the next one, whose
//! path is taken and whose host is not: no server leads the client elsewhere. A statement that nobody waits for any
//! more is cancelled.

mod catalog;
mod client;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::http::base_url;
use crate::pushdown::OpenedDatabase;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_required,
};
use client::Trino as Cluster;

/// Reads Trino's catalogues.
#[derive(Debug, Default)]
pub struct Trino {}

#[async_trait]
impl Connector for Trino {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Trino
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true }
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "title": "Coordinator"},
                "port": {"type": "integer", "title": "Port", "default": 8080, "minimum": 1, "maximum": 65535, "description": "Commonly 443 or 8443 with TLS and 8080 without."},
                "database_name": {"type": "string", "title": "Catalogue"},
                "schema_name": {"type": "string", "title": "Schema", "description": "Only tables of this schema; all schemas where empty."},
                "connection_pool_size": {"type": "integer", "title": "Statements at once at most", "default": 5, "minimum": 1, "maximum": 100},
                "connection_timeout": {"type": "integer", "title": "Connection timeout (s)", "default": 30},
                "query_timeout": {"type": "integer", "title": "Query timeout (s)", "default": 300},
                "credentials": {
                    "type": "object",
                    "properties": {
                        "username": {"type": "string", "title": "User"},
                        "password": {"type": "string", "title": "Password", "writeOnly": true},
                        "oauth_token": {"type": "string", "title": "JSON Web Token", "writeOnly": true, "description": "Instead of a password."}
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
            "required": ["host", "port", "database_name", "credentials"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let missing = check_required(config, credentials);
        if !missing.is_empty() {
            return missing;
        }
        let plain = config.metadata_text("sslmode") == Some("disable");
        let secret = [&credentials.password, &credentials.oauth_token].into_iter().flatten().any(|s| !s.is_empty());
        if plain && secret {
            return vec![FieldError::new("metadata.sslmode", "must be verify-full where a password or token is sent")];
        }
        base_url(config).err().into_iter().collect()
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        Ok(Arc::new(OpenedDatabase::new(Cluster::new(source)?)))
    }
}
