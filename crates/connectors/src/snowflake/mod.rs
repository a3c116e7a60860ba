//! Snowflake by its SQL API.
//!
//! A source is one database, asked through one warehouse and, where one is named, in one role. It signs in with an
//! OAuth token, a programmatic access token or a key pair. Results come in partitions; a statement that nobody waits for
//! any more is cancelled.

mod account;
mod auth;
mod catalog;

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
use account::Account;

/// Reads Snowflake's databases.
#[derive(Debug, Default)]
pub struct Snowflake {}

#[async_trait]
impl Connector for Snowflake {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Snowflake
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true }
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "title": "Account", "description": "organization-account.snowflakecomputing.com"},
                "port": {"type": "integer", "title": "Port", "default": 443, "minimum": 1, "maximum": 65535},
                "database_name": {"type": "string", "title": "Database"},
                "schema_name": {"type": "string", "title": "Schema", "description": "Only tables of this schema; all schemas where empty."},
                "connection_pool_size": {"type": "integer", "title": "Statements at once at most", "default": 5, "minimum": 1, "maximum": 100},
                "connection_timeout": {"type": "integer", "title": "Connection timeout (s)", "default": 30},
                "query_timeout": {"type": "integer", "title": "Query timeout (s)", "default": 300},
                "credentials": {
                    "type": "object",
                    "properties": {
                        "username": {"type": "string", "title": "User"},
                        "password": {"type": "string", "title": "Private key (PEM) or programmatic access token", "writeOnly": true},
                        "oauth_token": {"type": "string", "title": "OAuth token", "writeOnly": true, "description": "Instead of a key."},
                        "warehouse": {"type": "string", "title": "Warehouse"},
                        "role": {"type": "string", "title": "Role"}
                    },
                    "required": ["username", "warehouse"]
                }
            },
            "required": ["host", "database_name", "credentials"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let missing = check_required(config, credentials);
        if !missing.is_empty() {
            return missing;
        }
        let access = auth::Access::read(config, credentials).err();
        base_url(config).err().into_iter().chain(access).collect()
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        Ok(Arc::new(OpenedDatabase::new(Account::new(source)?)))
    }
}
