//! The list of somebody's sessions in a database of a million.

use std::{path::Path, time::Duration};

use sea_orm::ConnectionTrait;

use crate::{
    database::{connect_to, execute, numbers},
    error::Result,
    load::{self, Load},
    percentile,
    report::{Goal, Report},
    server::Server,
};

const REQUESTS: usize = 1_000;
const EVERY: Duration = Duration::from_millis(2);

const OTHER_PEOPLE: i64 = 100_000;
const SESSIONS_EACH: i64 = 10;
/// Of the one who asks.
const OWN: i64 = 25;
const OWN_ENDED: i64 = 1_000;

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
    let users = "display_name, profile, user_metadata, is_system_admin, created_at, updated_at";
    let sessions = "organization_id, workspace_id, amr, authenticated_at, lifetime_seconds, created_at, last_used_at, \
                    expires_at, ip, user_agent";
    let one = "(SELECT * FROM sessions ORDER BY id LIMIT 1)";
    let written = [
        format!(
            "{} INSERT INTO users ({users}) SELECT {users} FROM users CROSS JOIN n WHERE id = 1",
            numbers(1, OTHER_PEOPLE)
        ),
        format!(
            "{} INSERT INTO sessions (user_id, {sessions}) SELECT other.id, {sessions} \
             FROM {one} AS one CROSS JOIN n CROSS JOIN (SELECT id FROM users WHERE id > 2) AS other",
            numbers(1, SESSIONS_EACH)
        ),
        format!(
            "{} INSERT INTO sessions (user_id, {sessions}) SELECT user_id, {sessions} FROM {one} AS one CROSS JOIN n",
            numbers(1, OWN)
        ),
        format!(
            "{} INSERT INTO sessions (user_id, {sessions}, ended_at, end_reason) \
             SELECT user_id, {sessions}, created_at, 'logout' FROM {one} AS one CROSS JOIN n",
            numbers(1, OWN_ENDED)
        ),
    ];
    execute(&database, &written).await?;
    database.read().execute_unprepared("ANALYZE").await?;
    Ok(())
}
