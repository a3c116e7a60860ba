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
mod server;
mod session;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use crate::pushdown::OpenedDatabase;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
    check_fields, form,
};
use dsn::Settings;
use server::{Pool, Server};

/// Reads Oracle Database 12.1 and later, Autonomous Database among them.
#[derive(Debug)]
pub struct Oracle;

#[async_trait]
impl Connector for Oracle {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Oracle
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
                "database_name": form::described(form::text("Service name"), "Or the SID."),
                "schema_name": form::described(
                    form::text("Schema"),
                    "Only tables of this user, usually in capital letters; those of all users if left empty."
                ),
                "connection_string": form::connection_string("user/password@host:port/service"),
                "connection_pool_size": form::pool_size("Maximum connections"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query"),
                "credentials": form::user_and_password(),
                "metadata": {
                    "type": "object",
                    "properties": {
                        "named_by": {"type": "string", "title": "Identify the database by", "enum": dsn::NAMED_BY, "default": "service_name"},
                        "sslmode": form::described(
                            form::sslmode(&dsn::MODES, "disable"),
                            "TCPS, for which a server listens on a separate port, usually 2484."
                        ),
                        "ssl_root_certificate": form::root_certificate_for("verify-ca and verify-full")
                    }
                }
            },
            "anyOf": form::fields_or_connection_string()
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || Settings::read(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = Settings::read(&source.config, &source.credentials)?;
        let server = Server::new(settings, source.guard.clone())?;
        Ok(Arc::new(OpenedDatabase::new(Pool::new(source.identity.clone(), server))))
    }
}
