//! The list of somebody's sessions in a database of a million.

use std::{path::Path, time::Duration};

use rivergen_platform::{Database, db::DatabaseConfig};
use sea_orm::ConnectionTrait;

use crate::{
    error::{BenchError, Result},
    load::{self, Load},
    percentile,
    report::{Goal, Report},
    server::Server,
};

const REQUESTS: usize = 1_000;
const EVERY: Duration = Duration::from_millis(2);

const OTHER_PEOPLE: u64 = 100_000;
const SESSIONS_EACH: u64 = 10;
/// Of the one who asks.
const OWN: u64 = 25;
const OWN_ENDED: u64 = 1_000;

/// `GET /api/v1/sessions` before and after the database fills.
pub fn measure(binary: &Path, name: &str, database: Option<&str>, report: &mut Report) -> Result<()> {
    let server = Server::provisioned_on(binary, database)?;
    let list = Load::get(server.address, "/api/v1/sessions", &server.sign_in()?.access_token, 1);
    let p99 = || -> Result<f64> {
        list.latencies(EVERY, REQUESTS / 10)?;
        Ok(percentile(list.latencies(EVERY, REQUESTS)?, 99))
    };
    let empty = p99()?;
    load::runtime()?.block_on(fill(&server, database))?;
    let full = p99()?;
    report.compare(
        format!("GET /api/v1/sessions, {} sessions, {name}, p99", OTHER_PEOPLE * SESSIONS_EACH),
        format!("{full:.1} ms"),
        format!("{empty:.1} ms with one session"),
        full / empty,
        Goal::AtMost(2.0),
    );
    Ok(())
}

/// Copies of the owner and of their session, as many as it takes.
async fn fill(server: &Server, database: Option<&str>) -> Result<()> {
    let database = connect_to(server, database).await?;
    let tx = database.begin().await.map_err(BenchError::database)?;
    let users = "display_name, profile, user_metadata, is_system_admin, created_at, updated_at";
    let sessions = "organization_id, workspace_id, amr, authenticated_at, lifetime_seconds, created_at, last_used_at, \
                    expires_at, ip, user_agent";
    let numbers =
        |most: u64| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})");
    let one = "(SELECT * FROM sessions ORDER BY id LIMIT 1)";
    for sql in [
        format!(
            "{} INSERT INTO users ({users}) SELECT {users} FROM users CROSS JOIN n WHERE id = 1",
            numbers(OTHER_PEOPLE)
        ),
        format!(
            "{} INSERT INTO sessions (user_id, {sessions}) SELECT other.id, {sessions} \
             FROM {one} AS one CROSS JOIN n CROSS JOIN (SELECT id FROM users WHERE id > 2) AS other",
            numbers(SESSIONS_EACH)
        ),
        format!(
            "{} INSERT INTO sessions (user_id, {sessions}) SELECT user_id, {sessions} FROM {one} AS one CROSS JOIN n",
            numbers(OWN)
        ),
        format!(
            "{} INSERT INTO sessions (user_id, {sessions}, ended_at, end_reason) \
             SELECT user_id, {sessions}, created_at, 'logout' FROM {one} AS one CROSS JOIN n",
            numbers(OWN_ENDED)
        ),
    ] {
        tx.conn().execute_unprepared(&sql).await?;
    }
    tx.commit().await.map_err(BenchError::database)?;
    database.read().execute_unprepared("ANALYZE").await?;
    Ok(())
}

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
