//! Requests per second.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::header, routing::get};

use crate::{
    error::{BenchError, Result},
    load::Load,
    median,
    report::{Goal, Report},
    server::{Server, free_address},
};

const RUNS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);
const CONNECTIONS: usize = 32;

const ME: &str = "/api/v1/auth/me";

/// Token checks: `GET /api/v1/auth/me` with a session's token and with a personal one, against a route that does
/// nothing but answer the same bytes.
pub fn measure_me(server: &Server, report: &mut Report) -> Result<()> {
    let (session, personal) = (server.sign_in()?.access_token, server.personal_token()?);
    let with = |token| Load::get(server.address, ME, token, CONNECTIONS);
    let (session, personal) = (with(&session), with(&personal));
    let body = session.once()?;
    let bare = BareRoute::start(&body)?;
    let yardstick = Load { address: bare.address, ..session.clone() };
    let (mut by_session, mut by_personal, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        by_session.push(session.per_second(WARM_UP, MEASURED)?);
        by_personal.push(personal.per_second(WARM_UP, MEASURED)?);
        theirs.push(yardstick.per_second(WARM_UP, MEASURED)?);
    }
    let theirs = median(theirs);
    for (credential, ours) in [("session", median(by_session)), ("personal token", median(by_personal))] {
        report.compare(
            format!("GET {ME}, {credential}, {} bytes", body.len()),
            format!("{ours:.0}/s"),
            format!("{theirs:.0}/s bare axum route"),
            ours / theirs,
            Goal::AtLeast(0.5),
        );
    }
    Ok(())
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
