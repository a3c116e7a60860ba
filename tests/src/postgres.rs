//! PostgreSQL for the tests: one instance for the whole run, a database of its own for each test.
//!
//! `make test` starts the instance and names it in `RIVERGEN_TEST_POSTGRES_URL`. Without that, the first test
//! that needs one starts it in a temporary folder; a keeper stops it and removes the folder when no test has
//! used it for two minutes, because under nextest each test is a process of its own and none is the last.

mod instance;

use std::time::SystemTime;

use rivergen_platform::{Database as ControlDatabase, db::DatabaseConfig};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use url::Url;

/// An empty or migrated database that nothing else uses.
pub struct Database {
    url: Url,
}

impl Database {
    /// An empty one: a data source for tests.
    pub async fn empty() -> Self {
        let mut admin = connect(&instance::url()).await;
        Self::create(&mut admin, "template1").await
    }

    /// A copy of a database that has the server's tables.
    pub async fn migrated() -> Self {
        let mut admin = connect(&instance::url()).await;
        let template = template(&mut admin).await;
        Self::create(&mut admin, &template).await
    }

    async fn create(admin: &mut PgConnection, template: &str) -> Self {
        let name = format!("rivergen_{:016x}", rand::random::<u64>());
        execute(admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { url: of_instance(&name) }
    }

    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    pub fn name(&self) -> &str {
        self.url.path().trim_start_matches('/')
    }

    pub fn password(&self) -> &str {
        self.url.password().unwrap_or("not asked for")
    }

    /// It, as the body that registers a data source.
    pub fn source(&self, name: &str) -> Value {
        json!({"name": name, "type": "postgresql", "host": self.url.host_str(), "port": self.url.port().unwrap_or(5432),
            "database_name": self.name(), "metadata": {"sslmode": "disable"},
            "credentials": {"username": self.url.username(), "password": self.password()}})
    }

    /// Runs statements in it.
    pub async fn execute(&self, sql: &str) {
        let mut connection = connect(&self.url).await;
        execute(&mut connection, sql).await;
        connection.close().await.unwrap();
    }

    /// The first column of the only row, as a number.
    pub async fn count(&self, sql: &str) -> i64 {
        let mut connection = connect(&self.url).await;
        let row = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await;
        let number = row.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0);
        connection.close().await.unwrap();
        number
    }

    pub async fn remove(self) {
        let mut admin = connect(&instance::url()).await;
        execute(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.name())).await;
    }
}

async fn connect(url: &Url) -> PgConnection {
    PgConnection::connect(url.as_str()).await.unwrap_or_else(|error| panic!("PostgreSQL does not answer: {error}"))
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    statements.execute(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn of_instance(database: &str) -> Url {
    let mut url = instance::url();
    url.set_path(database);
    url
}

/// The migrated database of this build, made by the first test that asks for it.
async fn template(admin: &mut PgConnection) -> String {
    let built = std::fs::metadata(std::env::current_exe().unwrap()).unwrap().modified().unwrap();
    let built = built.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    let name = format!("rivergen_template_{built:x}");
    let finished = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}' AND NOT datallowconn");
    // Any number will do: nothing else takes advisory locks in the database `postgres` of a test instance.
    execute(admin, "SELECT pg_advisory_lock(7)").await;
    let known: i64 = sqlx::query(sqlx::AssertSqlSafe(finished)).fetch_one(&mut *admin).await.unwrap().get(0);
    if known == 0 {
        execute(admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        execute(admin, &format!("CREATE DATABASE {name}")).await;
        let config = DatabaseConfig { url: of_instance(&name).into(), max_connections: 8 };
        let db = ControlDatabase::connect(&config).await.unwrap();
        db.migrate(rivergen::assembly::migrations).await.unwrap();
        drop(db);
        // A template is copied only while nobody is connected to it.
        execute(admin, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        let others = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        execute(admin, &others).await;
    }
    execute(admin, "SELECT pg_advisory_unlock(7)").await;
    name
}
