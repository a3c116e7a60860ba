//! A whole server in the test's own process: a free port, its own folder, its own database, a clock to move.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use rivergen::{App, Config, assembly::open_database, serve::serve};
use rivergen_platform::{Clock, Platform, clock::MovableTime};
use rivergen_storage::Storage;
use rivergen_tenancy::Tenancy;
use sea_orm::{ConnectionTrait, FromQueryResult, JsonValue, Statement};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{Answer, Client, Mailbox, eventually, postgres, sqlite};

/// Which database the server keeps its own data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A running server. [`Server::stop`] ends it and removes what it kept; dropping it (a failed test) only ends it.
pub struct Server {
    pub backend: Backend,
    pub platform: Platform,
    pub tenancy: Tenancy,
    pub storage: Storage,
    url: String,
    clock: Arc<MovableTime>,
    folder: Arc<TempDir>,
    database: Option<Arc<postgres::Database>>,
    settings: String,
    statements: Statements,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), String>>,
}

/// What the database is asked, while somebody listens.
type Statements = Arc<Mutex<Option<Vec<String>>>>;

/// What tests want otherwise than an operator does: quick passwords, keys that are made quickly, no rate limits, sources on this
/// machine.
const SETTINGS: &str = r#"
[passwords]
memory_kib = 64
passes = 1
[oauth]
id_token_algorithms = ["ES256"]
[limits]
enabled = false
[outbound.policy]
allow_private = true
[server]
shutdown_grace_seconds = 2
[database]
max_connections = 8
[query]
threads = 2
"#;

impl Server {
    /// Starts a server; `settings`, as TOML, stand over those that all tests have.
    pub async fn start(backend: Backend, settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("rivergen-test-").tempdir().unwrap();
        let database = match backend {
            Backend::Sqlite => {
                sqlite::migrated(&folder.path().join("rivergen.db")).await;
                None
            }
            Backend::Postgres => Some(Arc::new(postgres::Database::migrated().await)),
        };
        Self::start_over(backend, Arc::new(folder), database, settings, None).await
    }

    async fn start_over(
        backend: Backend,
        folder: Arc<TempDir>,
        database: Option<Arc<postgres::Database>>,
        settings: &str,
        public_url: Option<&str>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = config(folder.path(), public_url.unwrap_or(&url), database.as_deref(), settings);

        let clock = Arc::new(MovableTime::default());
        let statements = Statements::default();
        let heard = statements.clone();
        let db = open_database(&config).await.unwrap().watched(move |statement| {
            if let Some(statements) = heard.lock().unwrap().as_mut() {
                statements.push(statement.to_string());
            }
        });
        let app = App::over(db, &config, Clock::from(clock.clone())).await.unwrap();
        let (platform, tenancy, storage) = (app.platform.clone(), app.tenancy.clone(), app.storage.clone());
        let (stop, stopped) = oneshot::channel();
        let until = async move {
            // A test that failed drops the sender, which ends the server too.
            let _ = stopped.await;
        };
        let running = tokio::spawn(async move { serve(app, listener, until).await.map_err(|error| error.to_string()) });
        let settings = settings.to_owned();
        Self { backend, platform, tenancy, storage, url, clock, folder, database, settings, statements, stop, running }
    }

    /// A second node over the same database and files; stop it before the first.
    pub async fn another_node(&self) -> Self {
        assert!(self.database.is_some(), "SQLite has one node");
        let (folder, database) = (self.folder.clone(), self.database.clone());
        // People reach all nodes under one address.
        Self::start_over(self.backend, folder, database, &self.settings, Some(&self.url)).await
    }

    /// Ends the server as an operator would; the last node removes the database.
    pub async fn stop(self) {
        let Self { stop, running, database, platform, tenancy, storage, .. } = self;
        stop.send(()).expect("the server ended by itself");
        running.await.unwrap().unwrap();
        drop((platform, tenancy, storage));
        if let Some(database) = database.and_then(Arc::into_inner) {
            database.remove().await;
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.url)
    }

    pub fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.folder.path().join("mail"))
    }

    /// Where the server keeps its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's clock.
    pub fn clock(&self) -> &MovableTime {
        &self.clock
    }

    /// Rows of the server's own database, for what an operation must leave behind and no operation shows.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        let db = self.platform.db.read();
        let statement = Statement::from_string(db.get_database_backend(), sql);
        JsonValue::find_by_statement(statement).all(db).await.unwrap()
    }

    /// The first column of the only row, as a number.
    pub async fn count(&self, sql: &str) -> i64 {
        let db = self.platform.db.read();
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await.unwrap();
        row.unwrap_or_else(|| panic!("no row: {sql}")).try_get_by_index(0).unwrap()
    }

    /// What its database is asked while something is done, with the values, as it can be asked again. What the server does
    /// by itself at the same time is among it.
    pub async fn statements<T>(&self, done: impl Future<Output = T>) -> (T, Vec<String>) {
        *self.statements.lock().unwrap() = Some(Vec::new());
        let answer = done.await;
        (answer, self.statements.lock().unwrap().take().unwrap_or_default())
    }

    /// How its database would answer a query, in its own words.
    pub async fn plan(&self, sql: &str) -> String {
        let db = self.platform.db.read();
        let (explain, column) = match self.backend {
            Backend::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
            Backend::Postgres => ("EXPLAIN", "QUERY PLAN"),
        };
        let statement = Statement::from_string(db.get_database_backend(), format!("{explain} {sql}"));
        let rows = db.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get::<String>("", column).unwrap()).collect::<Vec<_>>().join("\n")
    }

    /// Takes the statistics by which the database plans its queries.
    pub async fn analyze(&self) {
        self.execute("ANALYZE").await;
        if self.backend == Backend::Sqlite {
            // A connection of SQLite reads them with the schema, so one that stands reads them when that changed.
            self.execute("CREATE TABLE reread (id integer); DROP TABLE reread").await;
        }
    }

    /// Changes the server's own database, to make what no operation makes yet.
    pub async fn execute(&self, sql: &str) {
        self.platform.db.read().execute_unprepared(sql).await.unwrap();
    }

    /// What two requests answer that are sent at once. The statement changes a row that both have to wait for, and it is let
    /// go of when both wait. The one that succeeded comes first.
    pub async fn two_at_once<F: Future<Output = Answer>>(
        &self,
        held: &str,
        ask: impl Fn(usize) -> F,
    ) -> (Answer, Answer) {
        let tx = self.platform.db.begin().await.unwrap();
        tx.conn().execute_unprepared(held).await.unwrap();
        let mut asked = std::pin::pin!(async { tokio::join!(ask(0), ask(1)) });
        let soon = std::time::Duration::from_millis(500);
        assert!(tokio::time::timeout(soon, &mut asked).await.is_err(), "both wait for their turn: {held}");
        tx.commit().await.unwrap();
        let (one, other) = asked.await;
        if one.status.is_success() { (one, other) } else { (other, one) }
    }

    /// Runs the jobs that are due, and waits for those that the server's own worker was quicker to take.
    pub async fn run_due_jobs(&self) {
        eventually("the due jobs to end", async || {
            self.platform.jobs.run_due().await.unwrap();
            (self.count("SELECT count(*) FROM jobs WHERE state = 'running'").await == 0).then_some(())
        })
        .await;
    }

    /// Lets this much time pass, and runs what is due then. What had begun before ends first: a periodic job that still runs
    /// takes no second turn.
    pub async fn later(&self, by: chrono::Duration) {
        self.run_due_jobs().await;
        self.clock.advance(by);
        self.run_due_jobs().await;
    }

    /// Lets the server forget what it keeps in memory, as it does when it may have missed a change.
    pub async fn forget(&self) {
        let tx = self.platform.db.begin().await.unwrap();
        tx.publish(rivergen_platform::Event::Resync).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// How often a role was given, but for those that people joined with.
    pub async fn roles_given(&self) -> i64 {
        let given = "SELECT count(*) FROM audit_log WHERE action = 'role.assign' AND details NOT LIKE '%\"joined\"%'";
        self.count(given).await
    }

    /// How many records of the action the audit log has with this outcome (`success`, `failure`).
    pub async fn audited(&self, action: &str, outcome: &str) -> i64 {
        self.count(&format!("SELECT count(*) FROM audit_log WHERE action = '{action}' AND outcome = '{outcome}'")).await
    }
}

fn config(folder: &Path, url: &str, database: Option<&postgres::Database>, settings: &str) -> Config {
    let mut table: toml::Table = SETTINGS.parse().unwrap();
    merge(&mut table, settings.parse().unwrap());
    let mut own = format!("data_dir = {:?}\n[server]\npublic_url = {url:?}\n", folder.display().to_string());
    if let Some(database) = database {
        own.push_str(&format!("[database]\nurl = {:?}\n", database.url()));
    }
    merge(&mut table, own.parse().unwrap());
    Config::with(&toml::to_string(&table).unwrap()).unwrap()
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
