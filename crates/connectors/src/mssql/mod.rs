//! SQL Server and Synapse, which speak TDS.
//!
//! Nothing but SELECT is ever sent, and the session says that it means to read (`ApplicationIntent=ReadOnly`): there is
//! no session that the server itself keeps from writing, so the source's user should be one that may not. A result that
//! nobody waits for any more is cancelled at the server. Every connection goes to an address that the guard has just
//! permitted, also where a server sends it on to another one.

mod catalog;
mod decode;
mod dsn;
mod server;
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
    check_fields, form,
};
use server::{Pool, Server};

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
        Abilities::ALL
    }

    fn form(&self) -> Value {
        let mut form = json!({
            "type": "object",
            "properties": {
                "host": form::text("Host"),
                "port": form::port(self.kind()),
                "database_name": form::text("Database"),
                "schema_name": form::schema(),
                "connection_pool_size": form::pool_size("Maximum connections"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": form::user_and_password(),
                "metadata": {
                    "type": "object",
                    "properties": {
                        "sslmode": form::sslmode(&SSL_MODES, "verify-full"),
                        "ssl_root_certificate": form::root_certificate_for("verify-ca and verify-full")
                    }
                }
            }
        });
        if self.kind().required().or_connection_string {
            form["properties"]["connection_string"] =
                form::connection_string("Server=tcp:host,port;Database=…;User ID=…;Password=…");
            form["anyOf"] = form::fields_or_connection_string();
        } else {
            form["required"] = json!(["host", "port", "database_name", "credentials"]);
        }
        form
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || dsn::settings(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = dsn::settings(&source.config, &source.credentials)?;
        let server = Server::new(self.flavour, settings, source.guard.clone())?;
        Ok(Arc::new(OpenedDatabase::new(Pool::new(source.identity.clone(), server))))
    }
}
