//! The control-plane database: SQLite (the default, one node) or PostgreSQL (many nodes).
//!
//! Reads go through [`Database::read`]. Everything that changes something opens a [`Transaction`]; on
//! SQLite there is a single writing connection and `BEGIN IMMEDIATE`, because a deferred transaction that
//! turns into a writer fails with BUSY whatever the timeout. A transaction that is dropped is rolled back;
//! its events reach the [`Bus`] only when it commits.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rivergen_kernel::{Error, Extent, OrganizationId, PageRequest, Result, Tenant};
use sea_orm::sea_query::{
    Alias, CommonTableExpression, Expr, Func, LikeExpr, Query, SelectStatement, SubQueryStatement, WithClause,
    WithQuery,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    FromQueryResult, QueryFilter, QueryTrait, Select, SqlxPostgresConnector, SqlxSqliteConnector, Statement,
    TransactionOptions, TransactionTrait,
};
use sea_orm_migration::{MigrationTrait, MigratorTraitSelf};
use serde::Serialize;
use sqlx::{
    Connection as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::runtime::Handle;

use crate::bus::{Bus, CHANNEL, Event};

/// Handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Database {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    bus: Bus,
    /// Where its connections are made.
    home: Handle,
    /// On SQLite: hears of what other processes change, for as long as a handle lives.
    _watch: Option<Arc<Watch>>,
}

/// A task that ends with this value.
struct Watch(tokio::task::JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection of PostgreSQL that was given back so long ago at most is taken for alive: it was asked when it was given back.
const SURELY_ALIVE: Duration = Duration::from_secs(1);

/// How often SQLite is asked whether another process has written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the database is and how many connections it may take.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `sqlite:<path>` or `postgres://…`.
    pub url: String,
    /// Connections of this node (PostgreSQL), or reading connections (SQLite).
    pub max_connections: u32,
}

impl Database {
    /// Connects; a missing SQLite file is created.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self> {
        if let Some(path) = config.url.strip_prefix("sqlite:") {
            Self::connect_sqlite(Path::new(path), config.max_connections).await.map_err(Error::internal)
        } else if config.url.starts_with("postgres://") || config.url.starts_with("postgresql://") {
            Self::connect_postgres(&config.url, config.max_connections).await.map_err(Error::internal)
        } else {
            Err(Error::internal("database.url must begin with sqlite: or postgres://"))
        }
    }

    async fn connect_sqlite(path: &Path, readers: u32) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: an acknowledged commit survives a power cut, not only a killed process.
            .synchronous(SqliteSynchronous::Full)
            // Four times the default, in pages: what is written again and again is copied into the file once.
            .pragma("wal_autocheckpoint", "4000")
            // In KiB, for each connection that needs it.
            .pragma("cache_size", "-16000")
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        // A file does not hang up.
        let pool = || SqlitePoolOptions::new().test_before_acquire(false);
        let writer = pool().max_connections(1).connect_with(options.clone()).await?;
        let reader = pool().max_connections(readers.max(1)).connect_with(options).await?;
        let bus = Bus::in_memory();
        let watch = Watch(tokio::spawn(watch_other_processes(writer.clone(), bus.clone())));
        Ok(Self {
            reader: SqlxSqliteConnector::from_sqlx_sqlite_pool(reader),
            writer: SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
            bus,
            home: Handle::current(),
            _watch: Some(Arc::new(watch)),
        })
    }

    async fn connect_postgres(url: &str, connections: u32) -> Result<Self, sqlx::Error> {
        let options = url.parse::<PgConnectOptions>()?.application_name("rivergen");
        let pool = PgPoolOptions::new()
            // Beside the one of the bus. The lock of a migration and the migration itself take one each.
            .max_connections(connections.saturating_sub(1).max(3))
            .acquire_timeout(Duration::from_secs(10))
            // Of a statement that is a round trip by itself the question would be another one.
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for > SURELY_ALIVE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options.clone())
            .await?;
        let bus = Bus::over_postgres(options).await?;
        let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        Ok(Self { reader: connection.clone(), writer: connection, bus, home: Handle::current(), _watch: None })
    }

    /// Shows each statement, with its values, that is run by this handle or by one that is cloned from it.
    #[must_use]
    pub fn watched(mut self, seen: impl Fn(&Statement) + Clone + Send + Sync + 'static) -> Self {
        for connection in [&mut self.reader, &mut self.writer] {
            let seen = seen.clone();
            connection.set_metric_callback(move |ran| seen(ran.statement));
        }
        self
    }

    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// For reads outside a transaction.
    pub fn read(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// Asks it on the runtime that it was connected on, from whichever. A connection that another runtime makes is bound to
    /// that one, and stands still, with whoever takes it next, as long as all threads there compute.
    pub async fn at_home<T: Send + 'static>(
        &self,
        asking: impl Future<Output = Result<T, DbErr>> + Send + 'static,
    ) -> Result<T, DbErr> {
        let asked = self.home.spawn(asking).await;
        asked.unwrap_or_else(|failure| Err(DbErr::Custom(failure.to_string())))
    }

    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// Opens a transaction; dropping it without [`Transaction::commit`] undoes everything.
    pub async fn begin(&self) -> Result<Transaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let inner = self.writer.begin_with_options(options).await?;
        Ok(Transaction { inner, bus: self.bus.clone(), events: Mutex::default() })
    }

    /// Brings the schema up to date; when several nodes start at once, one does it and the others wait.
    pub async fn migrate(&self, migrations: fn() -> Vec<Box<dyn MigrationTrait>>) -> Result<()> {
        let migrator = Migrations(migrations);
        match self.backend() {
            DbBackend::Postgres => {
                // The lock lives as long as this transaction's connection; migrations run on others.
                let lock = self.writer.begin().await?;
                lock.execute_unprepared("SELECT pg_advisory_xact_lock(7236781)").await?;
                migrator.up(&self.writer, None).await?;
                lock.commit().await?;
            }
            _ => migrator.up(&self.writer, None).await?,
        }
        Ok(())
    }

    /// Answers whether the database can be asked and, on SQLite, written.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader.execute_unprepared("SELECT 1").await.map(drop)
    }
}

/// The command line works on the database of a server that runs. `data_version` of a connection moves only with what
/// other connections commit, and the one that is asked makes all commits of this process.
async fn watch_other_processes(writer: sqlx::SqlitePool, bus: Bus) {
    let mut known: Option<i64> = None;
    let mut rhythm = tokio::time::interval(LOOK_EVERY);
    rhythm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rhythm.tick().await;
        match sqlx::query_scalar("PRAGMA data_version").fetch_one(&writer).await {
            Ok(version) => {
                if known.is_some_and(|known| known != version) {
                    bus.deliver(&Event::Resync);
                }
                known = Some(version);
            }
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => tracing::debug!(%error, "whether another process has written is not known"),
        }
    }
}

struct Migrations(fn() -> Vec<Box<dyn MigrationTrait>>);

impl MigratorTraitSelf for Migrations {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        (self.0)()
    }
}

/// An open transaction: the change, its audit record, its jobs and its mails stand or fall together.
pub struct Transaction {
    inner: DatabaseTransaction,
    bus: Bus,
    events: Mutex<Vec<Event>>,
}

impl Transaction {
    pub fn conn(&self) -> &DatabaseTransaction {
        &self.inner
    }

    /// Tells all nodes, if and when the transaction commits.
    pub async fn publish(&self, event: Event) -> Result<()> {
        let mut events = self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !events.contains(&event) {
            events.push(event);
        }
        Ok(())
    }

    pub async fn commit(self) -> Result<()> {
        let events = self.events.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.inner.get_database_backend() == DbBackend::Postgres && !events.is_empty() {
            let payloads = serde_json::to_string(&events).map_err(Error::internal)?;
            // All by one statement, which costs more than what it says.
            let notify = Statement::from_sql_and_values(
                DbBackend::Postgres,
                "SELECT pg_notify($1, payload) FROM json_array_elements_text($2::json) AS payload",
                [CHANNEL.into(), payloads.into()],
            );
            self.inner.execute_raw(notify).await?;
        }
        let (inner, bus) = (self.inner, self.bus);
        // In a task of its own: whoever goes away meanwhile would leave a commit behind of which nobody is told.
        let committed = tokio::spawn(async move {
            inner.commit().await?;
            events.iter().for_each(|event| bus.deliver(event));
            Ok::<(), Error>(())
        });
        committed.await.map_err(Error::internal)?
    }
}

/// Writes of a transaction that are sent together. None reads what another writes, nor is anything read back of them.
///
/// PostgreSQL takes them as one statement, which is one round trip and asks after foreign keys when all is written; SQLite has
/// no such statement, nor a way to go, and takes one after the other.
#[derive(Debug, Default)]
pub struct Writes(Vec<SubQueryStatement>);

impl Writes {
    /// One more. What its rows refer to is there, or written by one before.
    pub fn add(&mut self, write: impl Into<SubQueryStatement>) {
        self.0.push(write.into());
    }

    /// Sends all of them.
    pub async fn send(mut self, tx: &Transaction) -> Result<(), DbErr> {
        match self.0.pop() {
            Some(last) if self.is_one_statement(tx) => tx.conn().execute(&self.before(last)).await.map(drop),
            last => self.send_each(tx, last).await,
        }
    }

    /// Sends all of them, and reads besides what the transaction sees without them.
    pub async fn send_and_read<E: EntityTrait>(
        self,
        tx: &Transaction,
        select: Select<E>,
    ) -> Result<Vec<E::Model>, DbErr> {
        if !self.is_one_statement(tx) {
            let found = select.all(tx.conn()).await?;
            self.send_each(tx, None).await?;
            return Ok(found);
        }
        let rows = tx.conn().query_all(&self.before(select.into_query())).await?;
        rows.iter().map(|row| E::Model::from_query_result(row, "")).collect()
    }

    /// Whether they and one more are one statement.
    fn is_one_statement(&self, tx: &Transaction) -> bool {
        tx.conn().get_database_backend() == DbBackend::Postgres && !self.0.is_empty()
    }

    fn before(self, last: impl Into<SubQueryStatement>) -> WithQuery {
        let mut with = WithClause::new();
        for (at, write) in self.0.into_iter().enumerate() {
            let mut one = CommonTableExpression::new();
            one.table_name(Alias::new(format!("write_{at}"))).query(write);
            with.cte(one);
        }
        with.query(last)
    }

    async fn send_each(self, tx: &Transaction, last: Option<SubQueryStatement>) -> Result<(), DbErr> {
        let db = tx.conn();
        for write in self.0.into_iter().chain(last) {
            match write {
                SubQueryStatement::InsertStatement(write) => db.execute(&write).await?,
                SubQueryStatement::UpdateStatement(write) => db.execute(&write).await?,
                SubQueryStatement::DeleteStatement(write) => db.execute(&write).await?,
                SubQueryStatement::SelectStatement(read) => db.execute(&read).await?,
                SubQueryStatement::WithStatement(with) => db.execute(&with).await?,
            };
        }
        Ok(())
    }
}

/// Ids as the rows of a subquery, by one value: no database takes a value for each where there are many, and PostgreSQL
/// expects few of such rows, so that it looks each of them up by an index.
pub fn rows_of<T: Serialize>(backend: DbBackend, ids: &[T]) -> Result<SelectStatement> {
    use sea_orm::ExprTrait;

    let list = Expr::val(serde_json::to_string(ids).map_err(Error::internal)?);
    let id = Expr::col((Alias::new("one"), Alias::new("value")));
    let (call, id) = match backend {
        DbBackend::Postgres => {
            (Func::cust("jsonb_array_elements_text").arg(list.cast_as("jsonb")), id.cast_as("bigint"))
        }
        _ => (Func::cust("json_each").arg(list), id),
    };
    Ok(Query::select().expr(id).from_function(call, "one").to_owned())
}

/// An entity whose rows belong to an organization. It is read through a [`Tenant`], so that the scope
/// cannot be forgotten.
pub trait TenantOwned: EntityTrait {
    fn organization_column() -> Self::Column;
}

/// Queries inside one organization.
pub trait TenantScope {
    /// `SELECT … WHERE organization_id = <the tenant's>`, to be narrowed further.
    fn find<E: TenantOwned>(&self) -> Select<E>;

    /// The same, as far as somebody's permission reaches: `workspace` is the column that says to which one a row
    /// belongs, where it does not belong to all of them.
    fn find_within<E: TenantOwned>(&self, extent: Extent, workspace: E::Column) -> Select<E>;

    fn id(&self) -> OrganizationId;
}

impl TenantScope for Tenant {
    fn find<E: TenantOwned>(&self) -> Select<E> {
        E::find().filter(E::organization_column().eq(self.organization_id()))
    }

    fn find_within<E: TenantOwned>(&self, extent: Extent, workspace: E::Column) -> Select<E> {
        let all = self.find::<E>();
        match extent {
            Extent::Organization => all,
            Extent::Workspace(id) => all.filter(Condition::any().add(workspace.eq(id)).add(workspace.is_null())),
        }
    }

    fn id(&self) -> OrganizationId {
        self.organization_id()
    }
}

/// What a list of a record that grows without end counts to: beyond it, a page would cost as much as all of the record.
pub const COUNTED: u64 = 10_000;

/// What a list counts to that shows rows up to the `end`th: [`COUNTED`] at most, or one behind the page, so that the
/// page knows whether there is a next.
pub fn counted_to(end: u64) -> u64 {
    Ord::max(COUNTED, end.saturating_add(1)).min(i64::MAX as u64)
}

/// How many rows a select finds, as far as the page counts them.
pub async fn count_up<E: EntityTrait>(db: &impl ConnectionTrait, select: Select<E>, page: PageRequest) -> Result<u64> {
    count_rows(db, select, counted_to(page.offset() + page.limit())).await
}

/// How many rows a select finds, `most` at most.
pub async fn count_rows<E: EntityTrait>(db: &impl ConnectionTrait, select: Select<E>, most: u64) -> Result<u64> {
    use sea_orm::{
        QuerySelect,
        sea_query::{Asterisk, ExprTrait},
    };
    let few = select.limit(most).into_query();
    let count = Query::select().expr(Expr::col(Asterisk).count()).from_subquery(few, "few").to_owned();
    let row = db.query_one(&count).await?;
    let counted: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    Ok(u64::try_from(counted).unwrap_or_default())
}

/// A page of a list that is in order, by what tells its rows apart: the page is chosen among the entries of an index
/// that has this beside the condition and the order, and then read, so that no row is read that is passed over.
pub fn page_by<E: EntityTrait>(list: Select<E>, key: Expr, skip: u64, limit: u64) -> Select<E> {
    use sea_orm::{QuerySelect, sea_query::ExprTrait};
    let chosen = list.clone().select_only().expr(key.clone()).offset(skip).limit(limit);
    list.filter(key.in_subquery(chosen.into_query()))
}

/// Whether an insert or update failed because a unique index said no; anything else stays an error.
pub fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// Whether a write failed because a row that it refers to is not there, or not any more.
pub fn is_foreign_key_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_)))
}

/// The same of what an operation came to. It may be tried again: what it refers to was removed at this moment, or
/// elsewhere, and this node has not heard of it yet.
pub fn refers_to_what_is_gone(error: &Error) -> bool {
    let source = error.source.as_ref().and_then(|source| source.downcast_ref::<DbErr>());
    source.is_some_and(is_foreign_key_violation)
}

/// For `map_err` of an insert: that what it refers to was removed at this moment is answered so.
pub fn gone_is(answer: impl Into<Error>) -> impl FnOnce(DbErr) -> Error {
    let answer = answer.into();
    move |error| if is_foreign_key_violation(&error) { answer } else { error.into() }
}

/// For `map_err` of an insert or update: what is there already, or came at the same time, is answered so.
pub fn duplicate_is(answer: impl Into<Error>) -> impl FnOnce(DbErr) -> Error {
    let answer = answer.into();
    move |error| if is_unique_violation(&error) { answer } else { error.into() }
}

/// Values of a column that begin so. Unlike a range of values it holds under every collation; it takes no index.
pub fn begins_with<C: ColumnTrait>(column: C, text: &str) -> Expr {
    column.like(LikeExpr::new(format!("{}%", like(text))).escape('\\'))
}

/// A text whose `%` and `_` mean themselves in a pattern.
fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Those of a list that have the text in one of the columns, whatever its case. A blank text leaves the list whole.
pub fn searched<E: EntityTrait>(
    list: Select<E>,
    text: Option<&str>,
    columns: impl IntoIterator<Item = E::Column>,
) -> Select<E> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => list.filter(contains(text, columns)),
        None => list,
    }
}

/// The text's own `%` and `_` mean themselves.
fn contains<C: ColumnTrait>(text: &str, columns: impl IntoIterator<Item = C>) -> Condition {
    use sea_orm::sea_query::ExprTrait;
    let pattern = LikeExpr::new(format!("%{}%", like(&text.to_lowercase()))).escape('\\');
    columns
        .into_iter()
        .fold(Condition::any(), |any, column| any.add(Expr::expr(Func::lower(Expr::col(column))).like(pattern.clone())))
}
