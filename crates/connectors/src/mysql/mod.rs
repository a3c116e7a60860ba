//! MySQL and MariaDB.
//!
//! A source is one database, which is its one schema. Sessions are read-only, end a statement after the source's
//! query timeout, and set whatever the meaning of our statements hangs on: `sql_mode`, character set, time zone. A
//! result that nobody waits for any more is killed at the server. Every connection goes to an address that the guard
//! has just permitted, and never from there to a socket or a file that the server names.

mod catalog;
mod dsn;
mod server;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::OpenedDatabase;
use crate::server::ServerSettings;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields, form,
};
use dsn::DSN;
use server::{Pool, Server};

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
        Abilities::ALL
    }

    fn form(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": form::text("Host"),
                "port": form::port(self.kind()),
                "database_name": form::text("Database"),
                "connection_string": form::connection_string("mysql://user:password@host:port/database?sslmode=…"),
                "connection_pool_size": form::pool_size("Maximum connections"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": form::user_and_password(),
                "metadata": {
                    "type": "object",
                    "properties": {
                        "sslmode": form::sslmode(&dsn::SSL_MODES, "require"),
                        "ssl_root_certificate": form::root_certificate_for("verify-full")
                    }
                }
            },
            "anyOf": form::fields_or_connection_string()
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || ServerSettings::read(config, credentials, &DSN))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = ServerSettings::read(&source.config, &source.credentials, &DSN)?;
        let server = Server::new(settings, source.guard.clone())?;
        Ok(Arc::new(OpenedDatabase::new(Pool::new(source.identity.clone(), server))))
    }
}
