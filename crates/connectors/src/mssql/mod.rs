//! SQL Server and Synapse, which speak TDS.
//!
//! Nothing but SELECT is ever sent, and the session says that it means to read (`ApplicationIntent=ReadOnly`): there is
//! no session that the server itself keeps from writing, so the source's user should be one that may not. A result that
//! nobody waits for any more is cancelled at the server. Every connection goes to an address that the guard has just
//! permitted, also where a server sends it on to another one.

mod catalog;
mod decode;
mod dsn;
mod pool;
mod session;
mod transport;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::{Dialect, OpenedDatabase};
use crate::tls::SSL_MODES;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields,
};
use pool::Pool;

/// Reads SQL Server 2016 and later, Azure SQL, and the pools of Synapse.
#[derive(Debug)]
pub struct Mssql {
    flavour: Flavour,
}

impl Mssql {
    pub const MSSQL: Self = Self { flavour: Flavour::SqlServer };
    pub const SYNAPSE: Self = Self { flavour: Flavour::Synapse };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    SqlServer,
    Synapse,
}

impl Flavour {
    fn kind(self) -> DataSourceType {
        match self {
            Self::SqlServer => DataSourceType::Mssql,
            Self::Synapse => DataSourceType::Synapse,
        }
    }

    fn dialect(self) -> Dialect {
        match self {
            Self::SqlServer => Dialect::SqlServer,
            Self::Synapse => Dialect::Synapse,
        }
    }

    fn version(self, number: &str) -> String {
        match self {
            Self::SqlServer => format!("SQL Server {number}"),
            Self::Synapse => format!("Synapse {number}"),
        }
    }
}

#[async_trait]
impl Connector for Mssql {
    fn kind(&self) -> DataSourceType {
        self.flavour.kind()
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true }
    }

    fn form(&self) -> Value {
        let mut form = json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "title": "Host"},
                "port": {"type": "integer", "title": "Port", "default": 1433, "minimum": 1, "maximum": 65535},
                "database_name": {"type": "string", "title": "Database"},
                "schema_name": {"type": "string", "title": "Schema", "description": "Only tables of this schema; all schemas where empty."},
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
                        "sslmode": {"type": "string", "title": "TLS", "enum": SSL_MODES, "default": "verify-full"},
                        "ssl_root_certificate": {"type": "string", "title": "Root certificate (PEM)", "description": "Instead of the system's, for verify-ca and verify-full."}
                    }
                }
            }
        });
        let fields = json!({"required": ["host", "port", "database_name", "credentials"]});
        if self.kind().required().or_connection_string {
            form["properties"]["connection_string"] = json!({"type": "string", "title": "Connection string", "writeOnly": true, "description": "Server=tcp:host,port;Database=…;User ID=…;Password=…, instead of the fields above."});
            form["anyOf"] = json!([fields, {"required": ["connection_string"]}]);
        } else {
            form["required"] = fields["required"].clone();
        }
        form
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || dsn::settings(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = dsn::settings(&source.config, &source.credentials)?;
        let pool = Pool::new(source.identity.clone(), self.flavour, settings, source.guard.clone())?;
        Ok(Arc::new(OpenedDatabase::new(pool)))
    }
}
