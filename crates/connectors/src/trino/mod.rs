//! Trino by its client protocol over HTTP.
//!
//! A source is one catalogue of the cluster. A statement answers page by page; each page names the next one, whose
//! path is taken and whose host is not: no server leads the client elsewhere. A statement that nobody waits for any
//! more is cancelled.

pub(crate) mod catalog;
mod client;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::http::base_url;
use crate::pushdown::OpenedDatabase;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_required, form,
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
        Abilities::ALL
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": form::text("Coordinator"),
                "port": form::described(form::port(self.kind()), "Usually 443 or 8443 with TLS and 8080 without."),
                "database_name": form::text("Catalogue"),
                "schema_name": form::schema(),
                "connection_pool_size": form::pool_size("Maximum statements at once"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": {
                    "type": "object",
                    "properties": {
                        "username": form::text("User"),
                        "password": form::secret("Password"),
                        "oauth_token": form::described(form::secret("JSON Web Token"), "Instead of a password.")
                    }
                },
                "metadata": {
                    "type": "object",
                    "properties": {
                        "sslmode": form::tls(),
                        "ssl_root_certificate": form::described(form::root_certificate(), "Instead of the system's.")
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
