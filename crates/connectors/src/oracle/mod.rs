//! Oracle Database, over Oracle Net.
//!
//! The client of the protocol is our own. Those that there are open their connections themselves, to wherever a listener
//! sends them, and not through the guard; the one of Oracle's waits in threads, and a broken answer can end the whole
//! process. Ours reads only what a source needs: it signs in with a password, and sends queries, one at a time.
//!
//! Nothing but SELECT is ever sent, each in a transaction that is read-only. A result that nobody waits for any more is
//! cancelled at the server. Every connection goes to an address that the guard has just permitted, also where a listener
//! sends it on to another one.

mod call;
mod catalog;
mod dsn;
mod fault;
mod login;
mod negotiation;
mod net;
mod pool;
mod session;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::OpenedDatabase;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields,
};
use dsn::Settings;
use pool::Pool;

/// Reads Oracle Database 12.1 and later, Autonomous Database among them.
#[derive(Debug)]
pub struct Oracle;

#[async_trait]
impl Connector for Oracle {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Oracle
    }

    fn abilities(&self) -> Abilities {
        Abilities { filters: true, projections: true, limits: true, sorting: true, aggregates: true, joins: true }
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "title": "Host"},
                "port": {"type": "integer", "title": "Port", "default": 1521, "minimum": 1, "maximum": 65535},
                "database_name": {"type": "string", "title": "Service name", "description": "Or the SID."},
                "schema_name": {"type": "string", "title": "Schema", "description": "Only tables of this user, in capital letters as a rule; those of all users where empty."},
                "connection_string": {"type": "string", "title": "Connection string", "writeOnly": true, "description": "user/password@host:port/service, instead of the fields above."},
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
                        "named_by": {"type": "string", "title": "The database is named by", "enum": dsn::NAMED_BY, "default": "service_name"},
                        "sslmode": {"type": "string", "title": "TLS", "enum": dsn::MODES, "default": "disable", "description": "TCPS, for which a server listens at another port, 2484 as a rule."},
                        "ssl_root_certificate": {"type": "string", "title": "Root certificate (PEM)", "description": "Instead of the system's, for verify-ca and verify-full."}
                    }
                }
            },
            "anyOf": [
                {"required": ["host", "port", "database_name", "credentials"]},
                {"required": ["connection_string"]}
            ]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || Settings::read(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = Settings::read(&source.config, &source.credentials)?;
        let pool = Pool::new(source.identity.clone(), settings, source.guard.clone())?;
        Ok(Arc::new(OpenedDatabase::new(pool)))
    }
}
