//! Databricks SQL by its Statement Execution API.
//!
//! A source is one catalogue of Unity Catalog, asked through one SQL warehouse. Results come in the answer itself, in
//! chunks of JSON; such a result has at most 25 MiB there, and a larger one is an error, never cut short. A statement
//! that nobody waits for any more is cancelled.

mod catalog;
mod warehouse;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::http::base_url;
use crate::pushdown::OpenedDatabase;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields, form,
};
use warehouse::Warehouse;

/// Reads Databricks SQL warehouses.
#[derive(Debug, Default)]
pub struct Databricks {}

#[async_trait]
impl Connector for Databricks {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Databricks
    }

    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": form::described(
                    form::text("Workspace"),
                    "dbc-….cloud.databricks.com, adb-….azuredatabricks.net"
                ),
                "port": form::port(self.kind()),
                "database_name": form::described(form::text("Catalogue"), "The warehouse's default if left empty."),
                "schema_name": form::schema(),
                "connection_pool_size": form::pool_size("Maximum statements at once"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": {
                    "type": "object",
                    "properties": {
                        "warehouse": form::text("Warehouse ID"),
                        "api_key": form::described(
                            form::secret("Access token"),
                            "Of a person or, preferably, a service principal."
                        )
                    },
                    "required": ["warehouse", "api_key"]
                }
            },
            "required": ["host", "credentials"]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || base_url(config))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        Ok(Arc::new(OpenedDatabase::new(Warehouse::new(source)?)))
    }
}
