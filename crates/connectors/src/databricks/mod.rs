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
    check_fields,
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
        Abilities { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true }
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "title": "Workspace", "description": "dbc-….cloud.databricks.com, adb-….azuredatabricks.net"},
                "port": {"type": "integer", "title": "Port", "default": 443, "minimum": 1, "maximum": 65535},
                "database_name": {"type": "string", "title": "Catalogue", "description": "The warehouse's default where empty."},
                "schema_name": {"type": "string", "title": "Schema", "description": "Only tables of this schema; all schemas where empty."},
                "connection_pool_size": {"type": "integer", "title": "Statements at once at most", "default": 5, "minimum": 1, "maximum": 100},
                "connection_timeout": {"type": "integer", "title": "Connection timeout (s)", "default": 30},
                "query_timeout": {"type": "integer", "title": "Query timeout (s)", "default": 300},
                "credentials": {
                    "type": "object",
                    "properties": {
                        "warehouse": {"type": "string", "title": "Warehouse ID"},
                        "api_key": {"type": "string", "title": "Access token", "writeOnly": true, "description": "Of a person or, better, of a service principal."}
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
