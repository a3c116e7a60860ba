//! BigQuery by its REST API.
//!
//! A source is one project; its datasets are the schemas. It signs in with an access token or with the key of a service
//! account, which it exchanges for tokens. Results come page by page; a job that nobody waits for any more is
//! cancelled.

mod auth;
mod catalog;
mod project;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::OpenedDatabase;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_required, form,
};
use project::{Project, base};

/// Reads BigQuery's datasets.
#[derive(Debug, Default)]
pub struct Bigquery {}

#[async_trait]
impl Connector for Bigquery {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Bigquery
    }

    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "database_name": form::text("Project"),
                "schema_name": form::described(
                    form::text("Dataset"),
                    "Only tables of this dataset; all datasets if left empty."
                ),
                "host": {"type": "string", "title": "Endpoint", "default": "bigquery.googleapis.com", "description": "Change it for private access."},
                "connection_pool_size": form::pool_size("Maximum jobs at once"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": {
                    "type": "object",
                    "properties": {
                        "oauth_token": form::secret("Service account key (JSON) or access token")
                    },
                    "required": ["oauth_token"]
                },
                "metadata": {
                    "type": "object",
                    "properties": {
                        "location": form::described(
                            form::text("Location"),
                            "EU, US, europe-west3, …; where the datasets are."
                        )
                    }
                }
            },
            "required": ["database_name", "credentials"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let missing = check_required(config, credentials);
        if !missing.is_empty() {
            return missing;
        }
        let base = match base(config) {
            Ok(base) => base,
            Err(fault) => return vec![fault],
        };
        let key = credentials.oauth_token.as_ref().and_then(|secret| auth::Access::read(secret, &base).err());
        key.map(|reason| FieldError::new("credentials.oauth_token", reason)).into_iter().collect()
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        Ok(Arc::new(OpenedDatabase::new(Project::new(source)?)))
    }
}
