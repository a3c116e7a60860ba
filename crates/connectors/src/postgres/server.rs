//! The server: how a session with it is made, tried and stopped, and what it tells of itself.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};

use super::flavour::Flavour;
use super::session::classify;
use super::tls::TlsMaker;
use super::{catalog, standard_catalog};
use crate::dial::ADDRESSES;
use crate::pushdown::{Catalogued, Wanted};
use crate::server::ServerSettings;
use crate::sessions;
use crate::tls::Tls;
use crate::{AddressGuard, ConnectorError, DiscoveredSchema};

/// The sessions of one source.
pub(super) type Pool = sessions::Pool<Server>;

/// Where one server is, and how to sign in.
pub(super) struct Server {
    pub flavour: Flavour,
    settings: ServerSettings,
    tls: TlsMaker,
    guard: Arc<dyn AddressGuard>,
}

#[async_trait]
impl Catalogued for Pool {
    async fn version(&self) -> Result<Option<String>, ConnectorError> {
        let flavour = self.server().flavour;
        let session = self.session().await?;
        let row = session.conn().query_one(flavour.version_query(), &[]).await;
        let version: String = row.and_then(|row| row.try_get(0)).map_err(classify)?;
        session.end().await;
        Ok(Some(flavour.version(&version)))
    }

    fn only_schema(&self) -> Option<&str> {
        self.server().settings.schema.as_deref()
    }

    async fn catalogue(&self, wanted: Wanted<'_>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let flavour = self.server().flavour;
        let session = self.session().await?;
        let mut schemas = match flavour {
            Flavour::Postgresql | Flavour::Timescaledb => catalog::read(session.conn(), wanted).await?,
            Flavour::Cockroachdb | Flavour::Redshift => standard_catalog::read(session.conn(), flavour, wanted).await?,
        };
        session.end().await;
        schemas.retain(|schema| !flavour.is_internal(&schema.name));
        Ok(schemas)
    }
}

#[async_trait]
impl sessions::Server for Server {
    type Conn = Client;

    fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    async fn connect(&self) -> Result<Client, ConnectorError> {
        let settings = &self.settings;
        let addresses = self.guard.check(&settings.host, settings.port).await?;
        let mut failure = ConnectorError::Unreachable { cause: None };
        for address in addresses.into_iter().take(ADDRESSES) {
            let mut config = Config::new();
            config
                .host(&settings.host)
                .hostaddr(address.ip())
                .port(address.port())
                .user(&settings.user)
                .dbname(&settings.database)
                .ssl_mode(mode(settings.tls))
                .application_name("rivergen")
                .connect_timeout(settings.connect_timeout);
            if let Some(password) = &settings.password {
                config.password(password.expose());
            }
            match config.connect(self.tls.clone()).await {
                Ok((client, connection)) => {
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a PostgreSQL connection ended");
                        }
                    });
                    client.batch_execute(&self.flavour.preamble(settings.query_timeout)).await.map_err(classify)?;
                    return Ok(client);
                }
                Err(error) => failure = self.refused(error),
            }
        }
        Err(failure)
    }

    async fn answers(&self, client: &mut Client) -> bool {
        !client.is_closed()
    }

    /// Where the flavour has brackets, in them.
    async fn begin(&self, client: &mut Client) -> Result<(), ConnectorError> {
        match self.flavour.bracket() {
            Some((begin, _)) => client.batch_execute(begin).await.map_err(classify),
            None => Ok(()),
        }
    }

    fn stop(self: Arc<Self>, client: Client) -> BoxFuture<'static, ()> {
        let (token, tls) = (client.cancel_token(), self.tls.clone());
        let limit = self.settings.connect_timeout;
        Box::pin(async move {
            match tokio::time::timeout(limit, token.cancel_query(tls)).await {
                Ok(Ok(())) => {}
                _ => tracing::debug!("a PostgreSQL statement could not be cancelled and ends by its timeout"),
            }
            drop(client);
        })
    }
}

impl Server {
    pub fn new(
        flavour: Flavour,
        settings: ServerSettings,
        guard: Arc<dyn AddressGuard>,
    ) -> Result<Self, ConnectorError> {
        let tls = TlsMaker::new(settings.tls, settings.root_certificate.as_deref())?;
        Ok(Self { flavour, settings, tls, guard })
    }

    fn refused(&self, error: tokio_postgres::Error) -> ConnectorError {
        let verifying = !matches!(self.settings.tls, Tls::Disable | Tls::Prefer);
        match classify(error) {
            // The server answered, but TLS did not come about.
            ConnectorError::Unreachable { cause }
                if verifying && cause.as_ref().is_some_and(|c| is_tls(c.as_ref())) =>
            {
                ConnectorError::Untrusted { cause }
            }
            other => other,
        }
    }
}

fn mode(tls: Tls) -> SslMode {
    match tls {
        Tls::Disable => SslMode::Disable,
        Tls::Prefer => SslMode::Prefer,
        _ => SslMode::Require,
    }
}

fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let text = error.to_string();
    // The driver names the step, not the cause; see its `Kind::Tls`.
    text.contains("TLS handshake") || text.contains("does not support TLS")
}
