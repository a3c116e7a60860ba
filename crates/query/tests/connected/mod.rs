//! Sources as the server opens them, for the suites of this crate that look at what is pushed to one.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use object_store::memory::InMemory;
use rivergen_connectors::{Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use rivergen_platform::net::{AddressPolicy, Outbound, OutboundConfig};
use tokio_postgres::NoTls;

/// An open source, and the folder that it may write to.
pub type Opened = (Arc<dyn OpenedSource>, tempfile::TempDir);

/// Opens a source; `identity` is no other's.
pub async fn open(identity: &str, config: SourceConfig, credentials: Credentials, files: Arc<InMemory>) -> Opened {
    let cache = tempfile::tempdir().unwrap();
    let policy = AddressPolicy { allow_private: true, ..AddressPolicy::default() };
    let guard = Outbound::new(&OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
    let context = SourceContext {
        identity: identity.to_owned(),
        config,
        credentials,
        files,
        guard: Arc::new(guard),
        cache_dir: cache.path().to_owned(),
    };
    let source = Registry::new().connector(context.config.kind).unwrap().open(&context).await.unwrap();
    (source, cache)
}

/// A PostgreSQL database of its own, on the server that `RIVERGEN_TEST_POSTGRES_URL` names.
pub struct Postgres {
    server: tokio_postgres::Config,
    name: String,
    client: tokio_postgres::Client,
    opened: Opened,
}

impl Postgres {
    /// `None` where no server is named.
    pub async fn create(identity: &str) -> Option<Self> {
        let Ok(url) = std::env::var("RIVERGEN_TEST_POSTGRES_URL") else {
            eprintln!("skipped: RIVERGEN_TEST_POSTGRES_URL is not set");
            return None;
        };
        let server: tokio_postgres::Config = url.parse().unwrap();
        let name = format!("rivergen_query_{:032x}", any_number());
        connect(&server).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let mut own = server.clone();
        own.dbname(&name);
        let client = connect(&own).await;
        let mut config = SourceConfig::new(DataSourceType::Postgresql);
        let Some(tokio_postgres::config::Host::Tcp(host)) = server.get_hosts().first() else {
            panic!("the test server is reached over TCP")
        };
        config.host = Some(host.clone());
        config.port = server.get_ports().first().copied();
        config.database_name = Some(name.clone());
        config.metadata.insert("sslmode".to_owned(), "prefer".into());
        let password = String::from_utf8(server.get_password().unwrap_or_default().to_vec()).unwrap();
        let credentials = Credentials {
            username: server.get_user().map(str::to_owned),
            password: Some(Secret::new(password)),
            ..Credentials::default()
        };
        let opened = open(identity, config, credentials, Arc::new(InMemory::new())).await;
        Some(Self { server, name, client, opened })
    }

    pub async fn execute(&self, script: &str) {
        self.client.batch_execute(script).await.unwrap_or_else(|error| panic!("{error}: {script}"));
    }

    /// A table, read through the connector.
    pub async fn table(&self, schema: &str, name: &str) -> Arc<dyn TableProvider> {
        self.opened.0.open_table(schema, name, None).await.unwrap()
    }

    pub async fn remove(self) {
        let Self { server, name, client, opened } = self;
        drop((client, opened));
        let admin = connect(&server).await;
        admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    }
}

async fn connect(config: &tokio_postgres::Config) -> tokio_postgres::Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// One that no other test has taken.
fn any_number() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    u128::from(RandomState::new().hash_one(0)) << 64 | u128::from(RandomState::new().hash_one(1))
}
