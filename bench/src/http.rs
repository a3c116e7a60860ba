//! Requests and sign-ins per second.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use axum::{Router, body::Bytes, http::header, routing::get};
use serde_json::{Value, json};

use crate::{
    cores,
    error::{BenchError, Result},
    load::Load,
    median,
    report::{Goal, Report},
    server::{EMAIL, PASSWORD, Server, free_address},
};

const RUNS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);
const CONNECTIONS: usize = 32;

const ME: &str = "/api/v1/auth/me";
const LOGIN: &str = "/api/v1/auth/login";

/// `GET /api/v1/auth/me` against a route that does nothing but answer the same bytes.
pub fn measure_me(server: &Server, report: &mut Report) -> Result<()> {
    let token = sign_in(server)?;
    let me = Load::get(server.address, ME, &token, CONNECTIONS);
    let body = me.once()?;
    let bare = BareRoute::start(&body)?;
    let yardstick = Load { address: bare.address, ..me.clone() };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(me.per_second(WARM_UP, MEASURED)?);
        theirs.push(yardstick.per_second(WARM_UP, MEASURED)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    report.compare(
        format!("GET {ME}, {} bytes", body.len()),
        format!("{ours:.0}/s"),
        format!("{theirs:.0}/s bare axum route"),
        ours / theirs,
        Goal::AtLeast(0.5),
    );
    Ok(())
}

/// `POST /api/v1/auth/login` against Argon2id on all cores, with the same parameters.
pub fn measure_logins(server: &Server, report: &mut Report) -> Result<()> {
    let body = json!({"email": EMAIL, "password": PASSWORD});
    // Enough that a password is always waiting for a core.
    let login = Load::post(server.address, LOGIN, &body, 4 * cores());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(login.per_second(WARM_UP, MEASURED)?);
        theirs.push(verified_per_second(MEASURED)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    report.compare(
        format!("POST {LOGIN}"),
        format!("{ours:.1}/s"),
        format!("{theirs:.1}/s Argon2id alone"),
        ours / theirs,
        Goal::AtLeast(0.9),
    );
    Ok(())
}

fn sign_in(server: &Server) -> Result<String> {
    let body = json!({"email": EMAIL, "password": PASSWORD});
    let answer: Value = serde_json::from_slice(&Load::post(server.address, LOGIN, &body, 1).once()?)?;
    let token = answer["data"]["access_token"].as_str();
    token.map(str::to_owned).ok_or_else(|| BenchError::Answer("the login answered no access token".into()))
}

/// How many passwords all cores verify in a second, with the server's default cost.
fn verified_per_second(time: Duration) -> Result<f64> {
    let told = |error: &dyn std::fmt::Display| BenchError::Argon2(error.to_string());
    let cost = rivergen::Config::with("").map_err(|error| told(&error))?.passwords;
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(|error| told(&error))?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: phc::PasswordHash = hasher.hash_password(PASSWORD.as_bytes()).map_err(|error| told(&error))?;
    let verified = AtomicU64::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                while begin.elapsed() < time {
                    if hasher.verify_password(PASSWORD.as_bytes(), &hash).is_ok() {
                        verified.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Ok(verified.into_inner() as f64 / begin.elapsed().as_secs_f64())
}

/// The yardstick's process.
struct BareRoute {
    address: SocketAddr,
    process: Child,
    _directory: tempfile::TempDir,
}

impl BareRoute {
    fn start(body: &[u8]) -> Result<Self> {
        let directory = tempfile::TempDir::new()?;
        let file = directory.path().join("body");
        std::fs::write(&file, body)?;
        let address = free_address()?;
        let program = std::env::current_exe()?;
        let mut command = Command::new(&program);
        command.arg("bare-route").arg(address.to_string()).arg(&file).stdout(Stdio::null());
        let process = command.spawn().map_err(|source| BenchError::Start { program, source })?;
        let bare = Self { address, process, _directory: directory };
        let begin = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if begin.elapsed() > Duration::from_secs(10) {
                return Err(BenchError::NotReady { log: "the bare route does not listen".into() });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(bare)
    }
}

impl Drop for BareRoute {
    fn drop(&mut self) {
        // It is gone already, or it ends now; nothing else can be done about it here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The yardstick itself.
pub fn serve_bare_route(address: SocketAddr, body: &Path) -> Result<()> {
    let body = Bytes::from(std::fs::read(body)?);
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().route(ME, get(answer));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}
