//! A fresh database for each test.

use std::sync::Arc;

use rivergen_platform::{
    Clock, Database,
    clock::MovableTime,
    db::DatabaseConfig,
    migrations::migrations,
    vault::{ServerKeys, Vault},
};
use sea_orm::{ConnectionTrait, DbBackend};
use tempfile::TempDir;

/// 32 bytes each.
pub const KEY_A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
pub const KEY_B: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

pub struct TestDatabase {
    pub db: Database,
    pub time: Arc<MovableTime>,
    pub clock: Clock,
    pub folder: TempDir,
    url: String,
    drop: Option<(Database, String)>,
}

impl TestDatabase {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.sqlite").display());
        Self::migrated(url, folder, None).await
    }

    /// `None` where no server is named.
    pub async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("RIVERGEN_TEST_POSTGRES_URL") else {
            eprintln!("skipped: RIVERGEN_TEST_POSTGRES_URL is not set");
            return None;
        };
        let admin = connect(&server).await;
        let name = format!("rivergen_test_{:016x}", rand::random::<u64>());
        admin.read().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let mut url: url::Url = server.parse().unwrap();
        url.set_path(&name);
        Some(Self::migrated(url.to_string(), tempfile::tempdir().unwrap(), Some((admin, name))).await)
    }

    async fn migrated(url: String, folder: TempDir, drop: Option<(Database, String)>) -> Self {
        let db = connect(&url).await;
        db.migrate(migrations).await.unwrap();
        let time = Arc::new(MovableTime::default());
        Self { db, clock: Clock::from(time.clone()), time, folder, url, drop }
    }

    /// Another node on the same database.
    pub async fn another_node(&self) -> Database {
        connect(&self.url).await
    }

    /// As [`Self::another_node`], on a runtime of its own, with which it ends as by `kill -9`.
    pub async fn another_node_on(&self, runtime: &tokio::runtime::Handle) -> Database {
        let url = self.url.clone();
        runtime.spawn(async move { connect(&url).await }).await.unwrap()
    }

    /// As [`Self::another_node`], which reaches the database through the address given (PostgreSQL).
    pub async fn another_node_through(&self, address: std::net::SocketAddr) -> Database {
        let mut url: url::Url = self.url.parse().unwrap();
        url.set_ip_host(address.ip()).unwrap();
        url.set_port(Some(address.port())).unwrap();
        connect(url.as_str()).await
    }

    /// Where PostgreSQL listens.
    pub fn address(&self) -> String {
        let url: url::Url = self.url.parse().unwrap();
        format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))
    }

    /// Throws everybody out of the database (PostgreSQL), and lets nobody in until [`Self::open`].
    pub async fn close(&self) {
        let (admin, name) = self.drop.as_ref().unwrap();
        let closed = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        admin.read().execute_unprepared(&closed).await.unwrap();
        let thrown_out = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        admin.read().execute_unprepared(&thrown_out).await.unwrap();
    }

    pub async fn open(&self) {
        let (admin, name) = self.drop.as_ref().unwrap();
        admin.read().execute_unprepared(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.unwrap();
    }

    pub fn vault(&self) -> Vault {
        Vault::new(self.db.clone(), ServerKeys::parse(KEY_A).unwrap(), self.clock.clone())
    }

    pub async fn remove(self) {
        if let Some((admin, name)) = self.drop {
            admin.read().execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        }
    }

    /// Runs SQL past all rooms, as somebody with the database in hand would.
    pub async fn sql(&self, statement: &str) -> Result<(), sea_orm::DbErr> {
        let tx = self.db.begin().await.unwrap();
        tx.conn().execute_unprepared(statement).await?;
        tx.commit().await.unwrap();
        Ok(())
    }

    pub fn is_postgres(&self) -> bool {
        self.db.backend() == DbBackend::Postgres
    }
}

async fn connect(url: &str) -> Database {
    Database::connect(&DatabaseConfig { url: url.to_owned(), max_connections: 4 }).await.unwrap()
}

/// Makes two tests of each function: on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&crate::database::TestDatabase::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(database) = crate::database::TestDatabase::postgres().await else { return };
                super::$name(&database).await;
                database.remove().await;
            })+
        }
    };
}
