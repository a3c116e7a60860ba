//! MySQL and MariaDB.
//!
//! A source is one database, which is its one schema. Sessions are read-only, end a statement after the source's
//! query timeout, and set whatever the meaning of our statements hangs on: `sql_mode`, character set, time zone. A
//! result that nobody waits for any more is killed at the server. Every connection goes to an address that the guard
//! has just permitted, and never from there to a socket or a file that the server names.

mod catalog;
mod dsn;
mod pool;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::OpenedDatabase;
use crate::server::ServerSettings;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields,
};
use dsn::DSN;
use pool::Pool;

/// Reads MySQL 5.7 and later, and MariaDB 10.3 and later.
#[derive(Debug)]
pub struct Mysql {
    kind: DataSourceType,
}

impl Mysql {
    pub const MYSQL: Self = Self { kind: DataSourceType::Mysql };
    pub const MARIADB: Self = Self { kind: DataSourceType::Mariadb };
}

#[async_trait]
impl Connector for Mysql {
    fn kind(&self) -> DataSourceType {
        self.kind
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true }
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "title": "Host"},
                "port": {"type": "integer", "title": "Port", "default": 3306, "minimum": 1, "maximum": 65535},
                "database_name": {"type": "string", "title": "Database"},
                "connection_string": {"type": "string", "title": "Connection string", "writeOnly": true, "description": "mysql://user:password@host:port/database?sslmode=…, instead of the fields above."},
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
                        "sslmode": {"type": "string", "title": "TLS", "enum": dsn::SSL_MODES, "default": "require"},
                        "ssl_root_certificate": {"type": "string", "title": "Root certificate (PEM)", "description": "Instead of the system's, for verify-full."}
                    }
                }
            },
            "anyOf": [{"required": ["host", "port", "database_name", "credentials"]}, {"required": ["connection_string"]}]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || ServerSettings::read(config, credentials, &DSN))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = ServerSettings::read(&source.config, &source.credentials, &DSN)?;
        let pool = Pool::new(source.identity.clone(), settings, source.guard.clone())?;
        Ok(Arc::new(OpenedDatabase::new(pool)))
    }
}
