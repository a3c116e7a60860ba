//! The database under the server that is measured: opened beside it, filled with more than anybody would send, and
//! asked.

use rivergen_platform::{Database, db::DatabaseConfig};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::{
    error::{BenchError, Result},
    load,
    server::Server,
};

/// A database that the server under measurement has, too.
pub async fn connect(url: &str) -> Result<Database> {
    let database = Database::connect(&DatabaseConfig { url: url.to_owned(), max_connections: 2 }).await;
    database.map_err(BenchError::database)
}

/// That of the server: the one which it was given, else its own SQLite.
pub async fn connect_to(server: &Server, given: Option<&str>) -> Result<Database> {
    let own = server.sqlite_url();
    let url = given.or(own.as_deref()).ok_or_else(|| BenchError::Answer("there is no database".into()))?;
    connect(url).await
}

/// Makes an empty database on the PostgreSQL server of this URL; answers its own URL.
pub fn empty_postgres(url: &str, name: &str) -> Result<String> {
    load::runtime()?.block_on(async {
        connect(url).await?.read().execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
        let (server, _) = url.rsplit_once('/').ok_or_else(|| BenchError::Answer("the URL names no database".into()))?;
        Ok(format!("{server}/{name}"))
    })
}

/// What one transaction writes.
pub async fn execute(database: &Database, statements: &[String]) -> Result<()> {
    let tx = database.begin().await.map_err(BenchError::database)?;
    for sql in statements {
        tx.conn().execute_unprepared(sql).await?;
    }
    tx.commit().await.map_err(BenchError::database)
}

/// What the database does by itself after a while.
pub async fn analyse(database: &Database) -> Result<()> {
    let analyse = if database.backend() == DbBackend::Postgres { "VACUUM ANALYZE" } else { "ANALYZE" };
    database.read().execute_unprepared(analyse).await?;
    Ok(())
}

#[derive(FromQueryResult)]
struct Number {
    number: i64,
}

/// What the expression comes to.
pub async fn number(database: &Database, sql: &str) -> Result<i64> {
    let statement = Statement::from_string(database.backend(), format!("SELECT {sql} AS number"));
    let found = Number::find_by_statement(statement).one(database.read()).await?;
    found.map(|row| row.number).ok_or_else(|| BenchError::Answer(format!("nothing is {sql}")))
}

/// The beginning of a statement that has the numbers, both ends among them, as `i` of the table `n`.
pub fn numbers(from: i64, to: i64) -> String {
    format!("WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to})")
}
