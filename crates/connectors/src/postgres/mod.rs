//! PostgreSQL, and TimescaleDB, CockroachDB and Redshift, which speak its protocol.
//!
//! Sessions are read-only (`default_transaction_read_only`; a transaction where there is no such setting), end a statement after the source's query timeout,
//! and call themselves `rivergen`. A result that nobody waits for any more is cancelled at the server; where the
//! cancellation does not arrive, the statement timeout ends it. Every connection goes to an address that the
//! guard has just permitted.

mod catalog;
mod decode;
mod dsn;
mod flavour;
mod server;
mod session;
mod standard_catalog;
mod tls;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::OpenedDatabase;
use crate::server::ServerSettings;
use crate::tls::SSL_MODES;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields, form,
};
use dsn::DSN;
use flavour::Flavour;
use server::{Pool, Server};

/// Reads PostgreSQL 12 and later, and its relatives.
#[derive(Debug)]
pub struct Postgres {
    flavour: Flavour,
}

impl Postgres {
    pub const POSTGRESQL: Self = Self { flavour: Flavour::Postgresql };
    pub const TIMESCALEDB: Self = Self { flavour: Flavour::Timescaledb };
    pub const COCKROACHDB: Self = Self { flavour: Flavour::Cockroachdb };
    pub const REDSHIFT: Self = Self { flavour: Flavour::Redshift };
}

#[async_trait]
impl Connector for Postgres {
    fn kind(&self) -> DataSourceType {
        self.flavour.kind()
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
                "schema_name": form::schema(),
                "connection_string": form::connection_string("postgresql://user:password@host:port/database?sslmode=…"),
                "connection_pool_size": form::pool_size("Maximum connections"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": form::user_and_password(),
                "metadata": {
                    "type": "object",
                    "properties": {
                        "sslmode": form::sslmode(&SSL_MODES, "require"),
                        "ssl_root_certificate": form::root_certificate_for("verify-ca and verify-full")
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
        let server = Server::new(self.flavour, settings, source.guard.clone())?;
        Ok(Arc::new(OpenedDatabase::new(Pool::new(source.identity.clone(), server))))
    }
}
