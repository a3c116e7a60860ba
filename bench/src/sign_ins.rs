//! Sign-ins: how many, how many refreshes, what a storm of them costs the others and the memory.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde_json::{Value, json};

use crate::{
    cores,
    error::{BenchError, Result},
    load::{self, Connection, Load},
    median, percentile,
    report::{Goal, Report},
    server::{EMAIL, LOGIN, PASSWORD, Server},
};

const RUNS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);

const REFRESH: &str = "/api/v1/auth/refresh";
/// Sessions that refresh at the same time.
const SESSIONS: usize = 32;

/// Reads that are made during a storm, and how often.
const READS: usize = 1_500;
const READ_EVERY: Duration = Duration::from_millis(4);

const BURST: usize = 200;

/// Enough that a password is always waiting for a core.
pub fn storm(server: &Server) -> Load {
    Load::post(server.address, LOGIN, &json!({"email": EMAIL, "password": PASSWORD}), None, 4 * cores())
}

/// `POST /api/v1/auth/login` against Argon2id on all cores, with the same parameters.
pub fn measure_logins(server: &Server, report: &mut Report) -> Result<()> {
    let login = storm(server);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(login.per_second(WARM_UP, MEASURED)?);
        theirs.push(hashes_per_second(MEASURED)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    report.compare(
        format!("POST {LOGIN}"),
        format!("{ours:.1}/s"),
        format!("{theirs:.1}/s Argon2id alone"),
        ours / theirs,
        Goal::AtLeast(0.95),
    );
    Ok(())
}

/// How many passwords all cores hash in a second with the server's default cost, their memory kept as the server
/// keeps it.
fn hashes_per_second(time: Duration) -> Result<f64> {
    let told = |error: &dyn std::fmt::Display| BenchError::Argon2(error.to_string());
    let cost = rivergen::Config::with("").map_err(|error| told(&error))?.passwords;
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(|error| told(&error))?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashed = AtomicU64::new(0);
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                let mut memory = vec![Block::new(); hasher.params().block_count()];
                let mut out = [0; 32];
                while begin.elapsed() < time {
                    let salt = b"the salt of a benchmark";
                    let done = hasher.hash_password_into_with_memory(PASSWORD.as_bytes(), salt, &mut out, &mut memory);
                    if done.is_ok() {
                        hashed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Ok(hashed.into_inner() as f64 / begin.elapsed().as_secs_f64())
}

/// An authenticated read of one person while all cores verify the password of another.
pub fn measure_read_in_storm(server: &Server, report: &mut Report) -> Result<()> {
    let read = Load::get(server.address, "/api/v1/auth/me", &server.sign_other_in()?.access_token, 1);
    let login = storm(server);
    let storming = thread::spawn(move || login.per_second(WARM_UP, READ_EVERY * READS as u32 + WARM_UP));
    thread::sleep(WARM_UP);
    let taken = read.latencies(READ_EVERY, READS);
    storming.join().map_err(|_| BenchError::Answer("the storm of logins broke down".into()))??;
    report.bound("GET /api/v1/auth/me, p99 in a storm of logins", percentile(taken?, 99), "ms", Goal::AtMost(5.0));
    Ok(())
}

/// Refreshes of some sessions at the same time, each with the token that its last refresh gave.
pub fn measure_refreshes(server: &Server, database: &str, report: &mut Report) -> Result<()> {
    let tokens = (0..SESSIONS).map(|_| Ok(server.sign_in()?.refresh_token)).collect::<Result<Vec<_>>>()?;
    let begin = Instant::now() + WARM_UP;
    let end = begin + MEASURED;
    let refreshed = load::runtime()?.block_on(async {
        let chains = tokens.into_iter().map(|token| refresh_until(server, token, begin, end));
        futures::future::try_join_all(chains).await
    })?;
    let per_second = refreshed.iter().sum::<u64>() as f64 / MEASURED.as_secs_f64();
    report.bound(format!("POST {REFRESH}, {database}"), per_second, "/s", Goal::AtLeast(1_500.0));
    Ok(())
}

async fn refresh_until(server: &Server, mut token: String, begin: Instant, end: Instant) -> Result<u64> {
    let mut connection = Connection::open(server.address).await?;
    let mut refreshed = 0;
    loop {
        let request = Load::post(server.address, REFRESH, &json!({"refresh_token": token}), None, 1).request;
        connection.exchange(&request).await?;
        let answer: Value = serde_json::from_slice(connection.body())?;
        let next = answer["data"]["refresh_token"].as_str();
        token = next.ok_or_else(|| BenchError::Answer("the refresh answered no token".into()))?.to_owned();
        let now = Instant::now();
        if now >= end {
            return Ok(refreshed);
        }
        refreshed += u64::from(now >= begin);
    }
}

/// The most that a fresh server holds while so many sign in at once.
pub fn measure_memory(binary: &Path, report: &mut Report) -> Result<()> {
    let server = Server::provisioned(binary)?;
    Load { connections: BURST, ..storm(&server) }.burst()?;
    report.bound(format!("peak memory, {BURST} logins at once"), server.peak_mib()?, "MiB", Goal::AtMost(200.0));
    Ok(())
}
