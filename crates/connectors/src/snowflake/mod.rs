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
    check_required, form,
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
        Abilities::ALL
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": form::described(form::text("Account"), "organization-account.snowflakecomputing.com"),
                "port": form::port(self.kind()),
                "database_name": form::text("Database"),
                "schema_name": form::schema(),
                "connection_pool_size": form::pool_size("Maximum statements at once"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": {
                    "type": "object",
                    "properties": {
                        "username": form::text("User"),
                        "password": form::secret("Private key (PEM) or programmatic access token"),
                        "oauth_token": form::described(form::secret("OAuth token"), "Instead of a key."),
                        "warehouse": form::text("Warehouse"),
                        "role": form::text("Role")
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
