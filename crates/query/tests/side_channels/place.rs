//! Where the tables lie: in memory, in a SQLite file, in a PostgreSQL database. The latter two are read through the
//! connectors, as the server reads them, and what they can compute is pushed to them.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    catalog::TableProvider,
    datasource::MemTable,
};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use rivergen_connectors::{Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use rivergen_platform::net::{AddressPolicy, Outbound, OutboundConfig};
use tokio_postgres::NoTls;

use crate::world::Content;

#[derive(Debug, Clone, Copy)]
pub enum Place {
    Memory,
    Sqlite,
    /// Where `RIVERGEN_TEST_POSTGRES_URL` names a server on which databases may be created.
    Postgres,
}

/// The tables of one world.
pub struct Tables {
    providers: BTreeMap<&'static str, Arc<dyn TableProvider>>,
    /// What the providers read through.
    source: Option<Arc<dyn OpenedSource>>,
    cache: Option<tempfile::TempDir>,
    database: Option<(tokio_postgres::Config, String)>,
}

pub const NAMES: [&str; 5] = ["people", "orders", "secrets", "notes", "grants"];

impl Tables {
    /// `None` where the place is not there.
    pub async fn build(place: Place, identity: &str, content: &Content) -> Option<Self> {
        match place {
            Place::Memory => Some(Self::in_memory(content)),
            Place::Sqlite => Some(Self::in_sqlite(identity, content).await),
            Place::Postgres => Self::in_postgres(identity, content).await,
        }
    }

    pub fn provider(&self, name: &str) -> Arc<dyn TableProvider> {
        Arc::clone(&self.providers[name])
    }

    pub async fn remove(self) {
        let Self { providers, source, cache, database } = self;
        drop((providers, source, cache));
        if let Some((server, name)) = database {
            let admin = connect(&server).await;
            admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        }
    }

    fn in_memory(content: &Content) -> Self {
        let texts = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let numbers = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        let people = &content.people;
        let orders = &content.orders;
        let tables: [Vec<(&str, ArrayRef)>; 5] = [
            vec![
                ("id", numbers(people.iter().map(|row| row.0).collect())),
                ("name", texts(people.iter().map(|row| Some(row.1.as_str())).collect())),
                ("email", texts(people.iter().map(|row| Some(row.2.as_str())).collect())),
                ("region", texts(people.iter().map(|row| row.3).collect())),
                ("salary", numbers(people.iter().map(|row| row.4).collect())),
                ("badge", texts(people.iter().map(|row| Some(row.5.as_str())).collect())),
            ],
            vec![
                ("id", numbers(orders.iter().map(|row| row.0).collect())),
                ("person_id", numbers(orders.iter().map(|row| row.1).collect())),
                ("amount", numbers(orders.iter().map(|row| row.2).collect())),
            ],
            vec![("word", texts(content.secrets.iter().map(|word| Some(word.as_str())).collect()))],
            vec![("id", numbers(content.notes.clone()))],
            vec![
                ("note", Arc::new(Int64Array::from_iter(content.grants.iter().map(|grant| grant.0)))),
                ("holder", texts(content.grants.iter().map(|grant| Some(grant.1)).collect())),
            ],
        ];
        let table = |columns: Vec<(&str, ArrayRef)>| -> Arc<dyn TableProvider> {
            let columns = columns.into_iter().map(|(name, array)| (name, array, true));
            let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
            Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
        };
        let providers = NAMES.into_iter().zip(tables.map(table)).collect();
        Self { providers, source: None, cache: None, database: None }
    }

    async fn in_sqlite(identity: &str, content: &Content) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made.db");
        rusqlite::Connection::open(&file).unwrap().execute_batch(&script(content)).unwrap();
        let mut config = SourceConfig::new(DataSourceType::Sqlite);
        config.file_path = Some("made.db".to_owned());
        let files = InMemory::new();
        files.put(&Path::from("made.db"), std::fs::read(&file).unwrap().into()).await.unwrap();
        Self::opened(identity, config, Credentials::default(), Arc::new(files), "main").await
    }

    async fn in_postgres(identity: &str, content: &Content) -> Option<Self> {
        let Ok(url) = std::env::var("RIVERGEN_TEST_POSTGRES_URL") else {
            eprintln!("skipped: RIVERGEN_TEST_POSTGRES_URL is not set");
            return None;
        };
        let server: tokio_postgres::Config = url.parse().unwrap();
        let name = format!("side_channels_{:032x}", uuid_like());
        connect(&server).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let mut own = server.clone();
        own.dbname(&name);
        connect(&own).await.batch_execute(&script(content)).await.unwrap();
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
        let mut tables = Self::opened(identity, config, credentials, Arc::new(InMemory::new()), "public").await;
        tables.database = Some((server, name));
        Some(tables)
    }

    async fn opened(
        identity: &str,
        config: SourceConfig,
        credentials: Credentials,
        files: Arc<InMemory>,
        schema: &str,
    ) -> Self {
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
        let mut providers = BTreeMap::new();
        for name in NAMES {
            providers.insert(name, source.open_table(schema, name, None).await.unwrap());
        }
        Self { providers, source: Some(source), cache: Some(cache), database: None }
    }
}

async fn connect(config: &tokio_postgres::Config) -> tokio_postgres::Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A name that no other test has taken.
fn uuid_like() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    u128::from(RandomState::new().hash_one(0)) << 64 | u128::from(RandomState::new().hash_one(1))
}

/// The tables as SQL that both databases take.
fn script(content: &Content) -> String {
    let text = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let mut script = "CREATE TABLE people (id BIGINT, name TEXT, email TEXT, region TEXT, salary BIGINT, badge TEXT);\
        CREATE TABLE orders (id BIGINT, person_id BIGINT, amount BIGINT);\
        CREATE TABLE secrets (word TEXT);\
        CREATE TABLE notes (id BIGINT);\
        CREATE TABLE grants (note BIGINT, holder TEXT);"
        .to_owned();
    for (id, name, email, region, salary, badge) in &content.people {
        let region = region.map_or("NULL".to_owned(), &text);
        let (name, email, badge) = (text(name), text(email), text(badge));
        script.push_str(&format!("INSERT INTO people VALUES ({id}, {name}, {email}, {region}, {salary}, {badge});"));
    }
    for (id, person, amount) in &content.orders {
        script.push_str(&format!("INSERT INTO orders VALUES ({id}, {person}, {amount});"));
    }
    for id in &content.notes {
        script.push_str(&format!("INSERT INTO notes VALUES ({id});"));
    }
    for (note, holder) in &content.grants {
        let note = note.map_or("NULL".to_owned(), |note| note.to_string());
        script.push_str(&format!("INSERT INTO grants VALUES ({note}, {});", text(holder)));
    }
    for word in &content.secrets {
        script.push_str(&format!("INSERT INTO secrets VALUES ({});", text(word)));
    }
    script
}
